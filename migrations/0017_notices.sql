-- What somebody is told: one row for each cause. Open while the cause is there; `state` says what is still to be told of it.
CREATE TABLE notices (
    id        TEXT PRIMARY KEY,
    event     TEXT NOT NULL,
    cause     TEXT NOT NULL,
    state     TEXT NOT NULL,
    opened_at BIGINT NOT NULL,
    closed_at BIGINT,
    words     TEXT NOT NULL
);
CREATE UNIQUE INDEX notices_open ON notices (cause) WHERE closed_at IS NULL;
CREATE INDEX notices_state ON notices (state, opened_at, id);
CREATE INDEX notices_cause ON notices (cause);

-- What a cause hits: mailboxes, tokens, a provider.
CREATE TABLE notice_members (
    notice_id TEXT NOT NULL REFERENCES notices (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL,
    member    TEXT NOT NULL,
    PRIMARY KEY (notice_id, kind, member)
);

-- Messages on their way: one row for each recipient. An attempt is written down before anything is sent.
CREATE TABLE deliveries (
    id         TEXT PRIMARY KEY,
    message    TEXT NOT NULL,
    event      TEXT NOT NULL,
    channel    TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    subject    TEXT NOT NULL,
    content    TEXT NOT NULL,
    state      TEXT NOT NULL,
    owner      TEXT,
    attempts   BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    tried_at   BIGINT,
    via        TEXT NOT NULL,
    request    TEXT NOT NULL,
    reply      TEXT NOT NULL,
    problem    TEXT
);
CREATE INDEX deliveries_due ON deliveries (state, next_at);
CREATE INDEX deliveries_made ON deliveries (created_at, id);
CREATE INDEX deliveries_message ON deliveries (message);

-- Which message told which notice: its beginning, or its end.
CREATE TABLE notice_deliveries (
    notice_id   TEXT NOT NULL REFERENCES notices (id) ON DELETE CASCADE,
    delivery_id TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    ended       BIGINT NOT NULL,
    PRIMARY KEY (notice_id, delivery_id, ended)
);
CREATE INDEX notice_deliveries_delivery ON notice_deliveries (delivery_id);

-- Whom to tell, and how: one row. The two secrets are sealed for the place they are sent to or made for.
CREATE TABLE notice_channels (
    id             BIGINT PRIMARY KEY,
    version        BIGINT NOT NULL,
    channels       TEXT NOT NULL,
    smtp_password  TEXT,
    webhook_secret TEXT
);
