-- One text for SQLite and PostgreSQL: TEXT and BIGINT only. Times are Unix seconds, flags 0 or 1, sealed values base64 text,
-- lists JSON text. Ids are made by the program.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- Data keys of the vault, each wrapped by the master key; one of them is active.
CREATE TABLE data_keys (
    id         TEXT PRIMARY KEY,
    wrapped    TEXT NOT NULL,
    active     BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    disabled      BIGINT NOT NULL DEFAULT 0,
    theme         TEXT NOT NULL DEFAULT 'system',
    time_zone     TEXT NOT NULL DEFAULT '',
    created_at    BIGINT NOT NULL,
    last_seen_at  BIGINT
);

CREATE TABLE sessions (
    id_hash    TEXT PRIMARY KEY,
    user_id    TEXT,
    data       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id);
CREATE INDEX sessions_expiry ON sessions (expires_at);

-- Leaky buckets of sign-in tries, by account and by address.
CREATE TABLE throttles (
    bucket     TEXT PRIMARY KEY,
    level      BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- A form that came in without a session, sealed with a key that only a cookie knows.
CREATE TABLE drafts (
    id         TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    path       TEXT NOT NULL,
    sealed     TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE providers (
    id                     TEXT PRIMARY KEY,
    name                   TEXT NOT NULL UNIQUE,
    template               TEXT NOT NULL,
    tenant                 TEXT,
    cloud                  TEXT NOT NULL,
    client_id              TEXT NOT NULL,
    client_auth            TEXT NOT NULL,
    client_secret          TEXT,
    client_secret_version  BIGINT NOT NULL DEFAULT 0,
    client_secret_hint     TEXT,
    client_secret_set_at   BIGINT,
    client_secret_set_by   TEXT,
    client_secret_expires  TEXT,
    consent_screen         TEXT,
    grant_type             TEXT NOT NULL,
    scopes                 TEXT NOT NULL,
    prompt                 TEXT NOT NULL,
    login_hint             BIGINT NOT NULL DEFAULT 1,
    pkce                   BIGINT NOT NULL DEFAULT 1,
    endpoints              TEXT NOT NULL,
    extra_authorize_params TEXT NOT NULL,
    problem                TEXT,
    problem_since          BIGINT,
    version                BIGINT NOT NULL,
    created_at             BIGINT NOT NULL,
    updated_at             BIGINT NOT NULL
);

CREATE TABLE tokens (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    provider_id TEXT NOT NULL REFERENCES providers (id),
    grant_type  TEXT NOT NULL,
    account     TEXT,
    scopes      TEXT NOT NULL,
    prompt      TEXT,
    shared      BIGINT NOT NULL DEFAULT 0,
    version     BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX tokens_provider ON tokens (provider_id);

-- What a token yielded, and the durable record of its renewals: one row per refresh token.
CREATE TABLE grants (
    token_id            TEXT PRIMARY KEY REFERENCES tokens (id) ON DELETE CASCADE,
    state               TEXT NOT NULL,
    generation          BIGINT NOT NULL,
    rt_current          TEXT,
    rt_current_version  BIGINT NOT NULL DEFAULT 0,
    rt_current_proven   BIGINT NOT NULL DEFAULT 0,
    rt_previous         TEXT,
    rt_previous_version BIGINT NOT NULL DEFAULT 0,
    rt_rotated_at       BIGINT,
    access_token        TEXT,
    access_version      BIGINT NOT NULL DEFAULT 0,
    token_type          TEXT NOT NULL DEFAULT 'Bearer',
    issued_at           BIGINT,
    expires_at          BIGINT,
    granted_scopes      TEXT NOT NULL DEFAULT '[]',
    identity            TEXT NOT NULL DEFAULT '{}',
    destination         TEXT NOT NULL DEFAULT '',
    authorized_at       BIGINT,
    authorized_by       TEXT,
    refreshed_at        BIGINT,
    lease_owner         TEXT,
    lease_until         BIGINT,
    attempt_id          TEXT,
    attempt_started     BIGINT,
    outcome             TEXT NOT NULL DEFAULT '',
    failures            BIGINT NOT NULL DEFAULT 0,
    retry_at            BIGINT,
    last_error          TEXT,
    last_error_at       BIGINT
);
CREATE INDEX grants_expiry ON grants (expires_at);

CREATE TABLE token_events (
    id       TEXT PRIMARY KEY,
    token_id TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    at       BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    actor    TEXT NOT NULL,
    text     TEXT NOT NULL
);
CREATE INDEX token_events_token ON token_events (token_id, sequence);

-- A sign-in on its way: what the callback must match. state_hash is SHA-256 of the state sent.
CREATE TABLE authorizations (
    id            TEXT PRIMARY KEY,
    state_hash    TEXT NOT NULL UNIQUE,
    token_id      TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    provider_id   TEXT NOT NULL,
    user_id       TEXT,
    session_hash  TEXT,
    flow_hash     TEXT,
    link_id       TEXT,
    redirect_uri  TEXT NOT NULL,
    issuer        TEXT,
    prompt        TEXT NOT NULL,
    sealed        TEXT NOT NULL,
    started_by    TEXT NOT NULL,
    started_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    outcome       TEXT NOT NULL DEFAULT '',
    detail        TEXT NOT NULL DEFAULT '',
    finished_at   BIGINT
);
CREATE INDEX authorizations_token ON authorizations (token_id, started_at);

-- Sign-in links for people without an account, and for the command line.
CREATE TABLE links (
    id         TEXT PRIMARY KEY,
    code_hash  TEXT NOT NULL UNIQUE,
    token_id   TEXT NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    prompt     TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    opened_at  BIGINT,
    used_at    BIGINT,
    withdrawn  BIGINT NOT NULL DEFAULT 0,
    outcome    TEXT NOT NULL DEFAULT '',
    detail     TEXT NOT NULL DEFAULT ''
);
CREATE INDEX links_token ON links (token_id);

CREATE TABLE mailboxes (
    id                        TEXT PRIMARY KEY,
    name                      TEXT NOT NULL UNIQUE,
    address                   TEXT NOT NULL,
    display_name              TEXT NOT NULL,
    enabled                   BIGINT NOT NULL,
    paused_by                 TEXT,
    paused_at                 BIGINT,
    paused_reason             TEXT,
    tags                      TEXT NOT NULL,
    incoming_protocol         TEXT,
    incoming_host             TEXT,
    incoming_port             BIGINT,
    incoming_security         TEXT,
    incoming_auth             TEXT,
    incoming_token_id         TEXT REFERENCES tokens (id),
    incoming_username         TEXT,
    incoming_password         TEXT,
    incoming_password_version BIGINT NOT NULL DEFAULT 0,
    incoming_folder           TEXT,
    outgoing_protocol         TEXT,
    outgoing_host             TEXT,
    outgoing_port             BIGINT,
    outgoing_security         TEXT,
    outgoing_auth             TEXT,
    outgoing_token_id         TEXT REFERENCES tokens (id),
    outgoing_username         TEXT,
    outgoing_password         TEXT,
    outgoing_password_version BIGINT NOT NULL DEFAULT 0,
    sender                    TEXT,
    bcc                       TEXT NOT NULL,
    state                     BIGINT NOT NULL,
    incoming_outcome          TEXT NOT NULL DEFAULT '',
    incoming_problem          TEXT,
    incoming_run              TEXT,
    incoming_tested_at        BIGINT,
    outgoing_outcome          TEXT NOT NULL DEFAULT '',
    outgoing_problem          TEXT,
    outgoing_run              TEXT,
    outgoing_tested_at        BIGINT,
    checked_at                BIGINT NOT NULL DEFAULT 0,
    failing_since             BIGINT,
    changed_at                BIGINT NOT NULL,
    version                   BIGINT NOT NULL,
    created_at                BIGINT NOT NULL
);
CREATE INDEX mailboxes_address ON mailboxes (address, id);
CREATE INDEX mailboxes_state ON mailboxes (state, address, id);
CREATE INDEX mailboxes_checked ON mailboxes (checked_at, id);
CREATE INDEX mailboxes_created ON mailboxes (created_at, id);
CREATE INDEX mailboxes_incoming_token ON mailboxes (incoming_token_id);
CREATE INDEX mailboxes_outgoing_token ON mailboxes (outgoing_token_id);

-- One tag a row, so that a filter by tag stays an index lookup.
CREATE TABLE mailbox_tags (
    tag        TEXT NOT NULL,
    mailbox_id TEXT NOT NULL REFERENCES mailboxes (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, mailbox_id)
);

-- Runs of Test incoming and Test outgoing. newest holds senders and subjects, sealed.
CREATE TABLE runs (
    id           TEXT PRIMARY KEY,
    mailbox_id   TEXT,
    mailbox_name TEXT NOT NULL,
    address      TEXT NOT NULL,
    direction    TEXT NOT NULL,
    protocol     TEXT NOT NULL,
    draft        BIGINT NOT NULL DEFAULT 0,
    started_by   TEXT NOT NULL,
    user_id      TEXT,
    started_at   BIGINT NOT NULL,
    finished_at  BIGINT,
    outcome      TEXT NOT NULL,
    failed_step  TEXT,
    diagnosis_id TEXT,
    settings     TEXT NOT NULL,
    fingerprint  TEXT NOT NULL,
    report       TEXT NOT NULL,
    newest       TEXT
);
CREATE INDEX runs_mailbox ON runs (mailbox_id, started_at, id);
CREATE INDEX runs_started ON runs (started_at, id);

-- Append only: the store adds triggers that refuse changes (their text differs by engine).
CREATE TABLE audit (
    sequence   BIGINT PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    target     TEXT NOT NULL,
    detail     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    address    TEXT NOT NULL,
    request_id TEXT NOT NULL,
    hash       TEXT NOT NULL
);
CREATE INDEX audit_target ON audit (target, sequence);
CREATE TABLE audit_head (
    id       BIGINT PRIMARY KEY,
    sequence BIGINT NOT NULL,
    hash     TEXT NOT NULL
);
INSERT INTO audit_head (id, sequence, hash) VALUES (1, 0, '');
