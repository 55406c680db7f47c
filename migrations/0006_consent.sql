-- One-time links about a provider, for people without an account: to consent for an organisation, or to enter the client secret.
-- app is what the link was made for: the client id, and where its secrets go.
CREATE TABLE provider_links (
    id          TEXT PRIMARY KEY,
    code_hash   TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL,
    provider_id TEXT NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    app         TEXT NOT NULL,
    created_by  TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    opened_at   BIGINT,
    used_at     BIGINT,
    withdrawn   BIGINT NOT NULL DEFAULT 0,
    tries       BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX provider_links_provider ON provider_links (provider_id, created_at);

-- Admin consents: on their way while outcome is empty, then how they ended. Those that were looked up or told here have no state.
CREATE TABLE consents (
    id           TEXT PRIMARY KEY,
    state_hash   TEXT UNIQUE,
    provider_id  TEXT NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    app          TEXT NOT NULL,
    user_id      TEXT,
    session_hash TEXT,
    flow_hash    TEXT,
    link_id      TEXT,
    scopes       TEXT NOT NULL,
    sealed       TEXT NOT NULL,
    started_by   TEXT NOT NULL,
    started_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    outcome      TEXT NOT NULL DEFAULT '',
    detail       TEXT NOT NULL DEFAULT '',
    finished_at  BIGINT
);
CREATE INDEX consents_provider ON consents (provider_id, finished_at);
