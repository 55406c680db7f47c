-- A side of a mailbox whose password was refused: how often in a row, and until when it is left in peace.
CREATE TABLE rests (
    mailbox_id  TEXT NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
    direction   TEXT NOT NULL,
    refused     BIGINT NOT NULL,
    rests_until BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, direction)
);
