-- What instances that serve one database have to know of each other's work.

-- A test run: whose it is, what form began it, its stages, when the one under way began (0: it waits for its turn), and whether somebody
-- wants it stopped. Its report grows while it runs.
ALTER TABLE runs ADD COLUMN owner TEXT;
ALTER TABLE runs ADD COLUMN form TEXT;
ALTER TABLE runs ADD COLUMN planned TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN step_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN stop_wanted BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX runs_form ON runs (form);
CREATE INDEX runs_running ON runs (mailbox_id, direction) WHERE outcome = 'running';

-- An import: who writes or undoes it now, how many entries that is, and why it stopped, until somebody was told.
ALTER TABLE imports ADD COLUMN owner TEXT;
ALTER TABLE imports ADD COLUMN owner_total BIGINT NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN owner_undo BIGINT NOT NULL DEFAULT 0;
ALTER TABLE imports ADD COLUMN failed TEXT;

-- A duty: how often its owner took it up. Whoever sees that stand still for long takes it over.
ALTER TABLE duties ADD COLUMN turn BIGINT NOT NULL DEFAULT 0;

-- Secrets that were typed into a form which came back: sealed, for half an hour, for whoever typed them.
CREATE TABLE kept (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    kind       TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX kept_of ON kept (user_id, kind, expires_at);
