-- Proofs of least privilege: what became of opening a mailbox that an app-only token must not open.
CREATE TABLE proofs (
    id        TEXT PRIMARY KEY,
    token_id  TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    address   TEXT NOT NULL,
    outcome   TEXT NOT NULL,
    detail    TEXT NOT NULL,
    proved_at BIGINT NOT NULL,
    proved_by TEXT NOT NULL
);
CREATE INDEX proofs_token ON proofs (token_id, proved_at);
