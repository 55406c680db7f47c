-- Checks on schedule: when a mailbox is next looked at, which instance looks at it now, and how many checks in a row have failed.
ALTER TABLE mailboxes ADD COLUMN next_check_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE mailboxes ADD COLUMN check_owner TEXT;
ALTER TABLE mailboxes ADD COLUMN failed_checks BIGINT NOT NULL DEFAULT 0;
CREATE INDEX mailboxes_due ON mailboxes (enabled, next_check_at);

-- How checks ended, counted by time: `mailbox-day` and `mailbox-hour` by mailbox id, `provider-hour` by provider id (empty where a
-- password is used). `slot` is the second the hour or day (UTC) began with.
CREATE TABLE check_counts (
    kind   TEXT NOT NULL,
    id     TEXT NOT NULL,
    slot   BIGINT NOT NULL,
    passed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    PRIMARY KEY (kind, id, slot)
);
CREATE INDEX check_counts_slot ON check_counts (kind, slot);
