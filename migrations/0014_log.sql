-- What the program noticed: the system log. The number is the moment in microseconds with a few bits below it, so that the order of the
-- numbers is that of time.
CREATE TABLE log (
    id      BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    level   BIGINT NOT NULL,
    area    TEXT NOT NULL,
    subject TEXT NOT NULL,
    message TEXT NOT NULL,
    details TEXT NOT NULL,
    run_id  TEXT NOT NULL
);
CREATE INDEX log_area ON log (area, level, id);
CREATE INDEX log_subject ON log (subject, id);
CREATE INDEX log_run ON log (run_id, id);

-- By which session. It is part of the hash where it isn't empty, so that older rows keep theirs.
ALTER TABLE audit ADD COLUMN session TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_actor ON audit (actor, sequence);
CREATE INDEX audit_action ON audit (action, sequence);
CREATE INDEX audit_address ON audit (address, sequence);
CREATE INDEX audit_at ON audit (at, sequence);

-- Where the chain begins after old entries were cut: the last one that was cut, sealed with the key of the chain.
CREATE TABLE audit_cut (
    id       BIGINT PRIMARY KEY,
    sequence BIGINT NOT NULL,
    hash     TEXT NOT NULL,
    at       BIGINT NOT NULL,
    seal     TEXT NOT NULL
);
