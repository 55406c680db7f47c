-- Passwords of tokens that are got with one, sealed for where they are sent. The row stays when the password goes: the version never repeats.
CREATE TABLE token_passwords (
    token_id    TEXT PRIMARY KEY REFERENCES tokens (id) ON DELETE CASCADE,
    sealed      TEXT,
    version     BIGINT NOT NULL,
    destination TEXT NOT NULL,
    set_at      BIGINT NOT NULL,
    set_by      TEXT NOT NULL
);
-- Keys of service accounts: the file sealed, and what may be said of it.
CREATE TABLE service_accounts (
    provider_id  TEXT PRIMARY KEY REFERENCES providers (id) ON DELETE CASCADE,
    sealed       TEXT NOT NULL,
    version      BIGINT NOT NULL,
    destination  TEXT NOT NULL,
    client_email TEXT NOT NULL,
    client_id    TEXT NOT NULL,
    key_id       TEXT NOT NULL,
    set_at       BIGINT NOT NULL,
    set_by       TEXT NOT NULL
);
