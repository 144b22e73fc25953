-- Inventories of an endpoint that failed one after another: the next try waits the longer the more they are, and some raise an alert.
ALTER TABLE endpoint ADD COLUMN sync_failures bigint NOT NULL DEFAULT 0;
UPDATE endpoint SET sync_failures = 1 WHERE sync_error IS NOT NULL;
