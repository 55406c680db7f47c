-- When a grant is renewed by itself (model/due.rs says how that is reckoned). What was there before is spread over a tenth of its life by
-- its number; what ran out long ago is due at once, and the refresher's pace spreads that.
ALTER TABLE grants ADD COLUMN due_at BIGINT;
UPDATE grants SET due_at = CASE
    WHEN outcome = 'sent' THEN attempt_started
    WHEN state = 'failing' THEN COALESCE(retry_at, last_error_at + 900)
    WHEN issued_at IS NULL OR expires_at IS NULL THEN CASE WHEN rt_current IS NULL THEN NULL ELSE authorized_at + 2700 + 36 * (numbered.n % 11) END
    WHEN expires_at - issued_at > 604800 THEN issued_at + 6048 * (75 + numbered.n % 11)
    WHEN expires_at - issued_at < 40 THEN issued_at + 30
    ELSE issued_at + (expires_at - issued_at) * (75 + numbered.n % 11) / 100
END
FROM (SELECT token_id AS numbered_id, ROW_NUMBER() OVER (ORDER BY token_id) AS n FROM grants) AS numbered
WHERE numbered.numbered_id = grants.token_id AND state <> 'revoked' AND (rt_current IS NOT NULL OR authorized_by IS NULL);
CREATE INDEX grants_due ON grants (due_at);
