-- An import is written in parts. Each part leaves here what it takes to undo it, sealed, and goes when it is undone.
CREATE TABLE import_parts (
    import_id TEXT NOT NULL REFERENCES imports (id) ON DELETE CASCADE,
    part      BIGINT NOT NULL,
    sealed    TEXT NOT NULL,
    PRIMARY KEY (import_id, part)
);

-- When the first part was begun; how many entries are done.
ALTER TABLE imports ADD COLUMN begun_at BIGINT;
ALTER TABLE imports ADD COLUMN done BIGINT NOT NULL DEFAULT 0;

-- Which mailboxes came or changed in which import, for the filter of the list.
CREATE TABLE imported_mailboxes (
    import_id   TEXT NOT NULL,
    mailbox_id  TEXT NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
    imported_at BIGINT NOT NULL,
    PRIMARY KEY (import_id, mailbox_id)
);
CREATE INDEX imported_mailboxes_of ON imported_mailboxes (mailbox_id);
