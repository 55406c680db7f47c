-- For how long a bulk test was held, in seconds, and since when it is now: what is left of it is reckoned without that.
ALTER TABLE batches ADD COLUMN paused_seconds BIGINT NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN paused_at BIGINT;
