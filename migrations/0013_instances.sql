-- Processes that serve this database now. A row is there as long as its process lives; whoever finds one dead takes its row away, and
-- with it every claim that names it.
CREATE TABLE instances (
    id         TEXT PRIMARY KEY,
    host       TEXT NOT NULL,
    version    TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    beat       BIGINT NOT NULL
);

-- Work that one instance does for all: who does it now.
CREATE TABLE duties (
    name  TEXT PRIMARY KEY,
    owner TEXT NOT NULL
);
