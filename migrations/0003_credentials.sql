-- A certificate in place of a client secret, and two credentials at once. Each is JSON with its private value sealed; the row holds them
-- all, so that every step of a replacement is one write.
ALTER TABLE providers ADD COLUMN assertion_alg TEXT NOT NULL DEFAULT 'PS256';
ALTER TABLE providers ADD COLUMN certificate TEXT;
ALTER TABLE providers ADD COLUMN next_certificate TEXT;
ALTER TABLE providers ADD COLUMN fallback TEXT;
