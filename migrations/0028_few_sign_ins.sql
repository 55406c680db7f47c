-- Sign-ins that nothing has used for a while, of which there are few as long as all goes well: found without a look at the others.
CREATE INDEX grants_unused ON grants ((CASE WHEN COALESCE(refreshed_at, 0) > COALESCE(authorized_at, 0) THEN refreshed_at ELSE authorized_at END))
    WHERE state <> 'revoked' AND rt_current IS NOT NULL;
-- Those that have ended are counted for the menu of every page.
CREATE INDEX grants_revoked ON grants (token_id) WHERE state = 'revoked';
