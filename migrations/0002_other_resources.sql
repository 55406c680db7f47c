-- Access tokens for other resources than the grant's own, got with the same refresh token: a JSON list, its values sealed.
ALTER TABLE grants ADD COLUMN others TEXT NOT NULL DEFAULT '[]';
