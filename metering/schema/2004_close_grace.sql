-- One grace for every broker and for closing by hand; until now the daemon had a setting of its own, one hour by default.
ALTER TABLE billing_setting ALTER COLUMN close_grace_seconds SET DEFAULT 3600;
UPDATE billing_setting SET close_grace_seconds = 3600 WHERE close_grace_seconds = 0;
