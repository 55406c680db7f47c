-- Bulk tests: how often an item could not be tested because of the console's own database, and when it may be tried again.
ALTER TABLE batch_items ADD COLUMN tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE batch_items ADD COLUMN not_before BIGINT NOT NULL DEFAULT 0;

-- An act on many mailboxes goes on after a stop: who asked for it and who for undoing it, as JSON; which instance is at it; how many of
-- its mailboxes were made as they were, were left because they had changed since, and could not be read.
ALTER TABLE bulk_acts ADD COLUMN actor TEXT NOT NULL DEFAULT '';
ALTER TABLE bulk_acts ADD COLUMN undo_actor TEXT;
ALTER TABLE bulk_acts ADD COLUMN owner TEXT;
ALTER TABLE bulk_acts ADD COLUMN undone BIGINT NOT NULL DEFAULT 0;
ALTER TABLE bulk_acts ADD COLUMN kept BIGINT NOT NULL DEFAULT 0;
ALTER TABLE bulk_acts ADD COLUMN unread BIGINT NOT NULL DEFAULT 0;

-- The mailboxes an act has not looked at yet.
CREATE TABLE bulk_left (
    act_id     TEXT NOT NULL,
    mailbox_id TEXT NOT NULL,
    PRIMARY KEY (act_id, mailbox_id)
);
