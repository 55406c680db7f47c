-- Why a message was given up though nobody refused it: its recipient or its channel was removed.
ALTER TABLE deliveries ADD COLUMN why TEXT NOT NULL DEFAULT '';

-- Whoever has something mailed is mailed as well that the webhook gets nothing: the event is new, so nobody can have chosen against it.
UPDATE notice_channels SET channels = REPLACE(channels, '"mail_events":[', '"mail_events":["notices.webhook_dead",')
WHERE channels NOT LIKE '%"mail_events":[]%';
