-- Settings that come into force change what running resources use; control walks them once, in pages (broker/control/remeter.h).
ALTER TABLE agreement
    ADD COLUMN metered_after text,       -- resources up to this id are done
    ADD COLUMN metered_at timestamptz;   -- NULL: not all are done
UPDATE agreement a SET metered_at = changed_at
WHERE NOT EXISTS (SELECT FROM agreement b WHERE b.provider_id = a.provider_id AND b.valid_from < a.valid_from);
CREATE INDEX agreement_due ON agreement (valid_from) WHERE metered_at IS NULL;
GRANT UPDATE (metered_after, metered_at) ON agreement TO yunqiao_app;
