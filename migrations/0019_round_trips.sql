-- Messages that mailboxes send to themselves: how often (hours, 0: not at all), when the next one is due, and which instance is at it.
ALTER TABLE mailboxes ADD COLUMN round_trip_hours BIGINT NOT NULL DEFAULT 0;
ALTER TABLE mailboxes ADD COLUMN next_round_trip_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE mailboxes ADD COLUMN round_trip_owner TEXT;
CREATE INDEX mailboxes_round_trips ON mailboxes (round_trip_hours, next_round_trip_at);

-- Each of them. `outcome`: begun, sent, arrived, lost, refused. A row is there before anything is sent.
CREATE TABLE round_trips (
    id         TEXT PRIMARY KEY,
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
    message_id TEXT NOT NULL,
    sent_at    BIGINT NOT NULL,
    outcome    TEXT NOT NULL,
    seconds    BIGINT,
    place      TEXT NOT NULL,
    problem    TEXT NOT NULL
);
CREATE INDEX round_trips_mailbox ON round_trips (mailbox_id, sent_at);

-- What the weekly look found in a mailbox; the time is when it was looked at, 0 before the first time.
CREATE TABLE findings (
    mailbox_id TEXT PRIMARY KEY REFERENCES mailboxes (id) ON DELETE CASCADE,
    found_at   BIGINT NOT NULL,
    messages   BIGINT NOT NULL,
    junk       BIGINT,
    junk_days  BIGINT NOT NULL,
    oversized  BIGINT NOT NULL,
    limit_mb   BIGINT NOT NULL
);
-- Which week's look a mailbox has had, and which instance is at it.
ALTER TABLE mailboxes ADD COLUMN next_finding_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE mailboxes ADD COLUMN finding_owner TEXT;
CREATE INDEX mailboxes_findings ON mailboxes (enabled, next_finding_at);
