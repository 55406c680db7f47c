-- What a cause hit and that works again, while the cause goes on for others: since when. It fails anew when it fails once more.
ALTER TABLE notice_members ADD COLUMN left_at BIGINT;
