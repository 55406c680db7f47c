-- Sign-ins that wait for somebody at another device: one a token, and when the provider is to be asked about it next. Whoever moves
-- next_at on has taken that turn, so that of several processes only one asks. What is asked with lies sealed in authorizations.
CREATE TABLE devices (
    token_id      TEXT PRIMARY KEY REFERENCES tokens (id) ON DELETE CASCADE,
    attempt_id    TEXT NOT NULL REFERENCES authorizations (id) ON DELETE CASCADE,
    token_version BIGINT NOT NULL,
    pause         BIGINT NOT NULL,
    failures      BIGINT NOT NULL,
    next_at       BIGINT NOT NULL
);
CREATE INDEX devices_next ON devices (next_at);
