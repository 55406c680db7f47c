-- Tests of many mailboxes at once. Counts are kept beside the batch: nobody counts thousands of items for a page. `finished_at` is set
-- once nothing of it waits or runs any more. `form` is the form that started it, so that sending one twice starts one.
CREATE TABLE batches (
    id          TEXT PRIMARY KEY,
    which       TEXT NOT NULL,
    what        TEXT NOT NULL,
    parallel    BIGINT NOT NULL,
    note        TEXT NOT NULL,
    state       TEXT NOT NULL,
    user_id     TEXT,
    started_by  TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    mailboxes   BIGINT NOT NULL,
    total       BIGINT NOT NULL,
    passed      BIGINT NOT NULL,
    failed      BIGINT NOT NULL,
    skipped     BIGINT NOT NULL,
    form        TEXT UNIQUE
);
CREATE INDEX batches_started ON batches (started_at, id);
CREATE INDEX batches_finished ON batches (finished_at);

-- One test each: a side of a mailbox. `lane` is what it shares a limit with others by; `owner` is the instance that runs it now; `cause`
-- is what it failed with, as `batch_causes` has it.
CREATE TABLE batch_items (
    batch_id    TEXT NOT NULL,
    position    BIGINT NOT NULL,
    mailbox_id  TEXT NOT NULL,
    name        TEXT NOT NULL,
    address     TEXT NOT NULL,
    direction   TEXT NOT NULL,
    lane        TEXT NOT NULL,
    state       TEXT NOT NULL,
    owner       TEXT,
    run_id      TEXT,
    cause       TEXT NOT NULL,
    problem     TEXT NOT NULL,
    finished_at BIGINT,
    PRIMARY KEY (batch_id, position)
);
CREATE INDEX batch_items_due ON batch_items (batch_id, state, lane, position);
CREATE INDEX batch_items_cause ON batch_items (batch_id, cause, position);

-- What items of a batch failed with, counted: `provider:` and `token:` with their id, `problem:` with the title of the diagnosis.
CREATE TABLE batch_causes (
    batch_id TEXT NOT NULL,
    cause    TEXT NOT NULL,
    title    TEXT NOT NULL,
    items    BIGINT NOT NULL,
    run_id   TEXT,
    name     TEXT NOT NULL,
    PRIMARY KEY (batch_id, cause)
);

-- Acts on many mailboxes at once, and which they changed, so that they can be undone. `done` counts those looked at.
CREATE TABLE bulk_acts (
    id          TEXT PRIMARY KEY,
    act         TEXT NOT NULL,
    tag         TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    undone_at   BIGINT,
    mailboxes   BIGINT NOT NULL,
    changed     BIGINT NOT NULL
);
CREATE TABLE bulk_changed (
    act_id     TEXT NOT NULL,
    mailbox_id TEXT NOT NULL,
    before     TEXT NOT NULL,
    PRIMARY KEY (act_id, mailbox_id)
);
