-- What people bring along waits here for a day: sealed, because it may hold secrets. Applied, it stays as long for its report and to be
-- undone.
CREATE TABLE imports (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    applied_at BIGINT,
    undone_at  BIGINT,
    report     TEXT NOT NULL
);
CREATE INDEX imports_of_user ON imports (user_id, created_at);
