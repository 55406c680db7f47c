-- Messages of a run that somebody moved: written down before it is tried, so that nothing is done that isn't recorded. `list` and `place`
-- are where the run has it, `folder` where it goes, in words; an empty outcome is one that isn't known (yet).
CREATE TABLE moved_messages (
    run_id   TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    list     TEXT NOT NULL,
    place    BIGINT NOT NULL,
    folder   TEXT NOT NULL,
    outcome  TEXT NOT NULL DEFAULT '',
    moved_by TEXT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (run_id, list, place)
);
