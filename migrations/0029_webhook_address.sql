-- The webhook's address often holds a key in its path: it is sealed, and what is readable names the server alone.
ALTER TABLE notice_channels ADD COLUMN webhook_address TEXT;
