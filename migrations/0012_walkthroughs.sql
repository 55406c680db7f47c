-- A checklist that leads through a setup. It belongs to everybody here; what it is about comes as it goes on, and may go again.
CREATE TABLE walkthroughs (
    id          TEXT PRIMARY KEY,
    template    TEXT NOT NULL,
    name        TEXT NOT NULL,
    address     TEXT NOT NULL,
    account     TEXT NOT NULL,
    provider_id TEXT REFERENCES providers (id) ON DELETE SET NULL,
    token_id    TEXT REFERENCES tokens (id) ON DELETE SET NULL,
    mailbox_id  TEXT REFERENCES mailboxes (id) ON DELETE SET NULL,
    started_by  TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    touched_by  TEXT NOT NULL,
    touched_at  BIGINT NOT NULL,
    finished_at BIGINT,
    version     BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX walkthroughs_touched ON walkthroughs (touched_at);

-- What is known of its steps: how each stands, what that rests on, since when and by whom; when it last held; and whom it was sent to.
CREATE TABLE walkthrough_steps (
    walkthrough_id TEXT NOT NULL REFERENCES walkthroughs (id) ON DELETE CASCADE,
    step           TEXT NOT NULL,
    state          TEXT NOT NULL,
    evidence       TEXT NOT NULL,
    problem        TEXT NOT NULL,
    changed_at     BIGINT NOT NULL,
    changed_by     TEXT NOT NULL,
    held_at        BIGINT,
    sent_to        TEXT NOT NULL,
    link_id        TEXT NOT NULL,
    PRIMARY KEY (walkthrough_id, step)
);
