-- The token a side of a mailbox had before its own, and what the side was set to then (JSON, no secrets): until somebody removes the token
-- or says that it stays.
CREATE TABLE former_tokens (
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
    direction  TEXT NOT NULL,
    token_id   TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    settings   TEXT NOT NULL,
    since      BIGINT NOT NULL,
    PRIMARY KEY (mailbox_id, direction, token_id)
);
CREATE INDEX former_tokens_token ON former_tokens (token_id);
