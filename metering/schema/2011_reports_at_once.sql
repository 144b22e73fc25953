-- Reports come by the thousand: what is checked row by row for the broker's own intervals is checked once a statement for reported ones.

-- The whole order of a resource's events, so that the one before and the one after a moment are each one look into the index, however
-- long its history is.
DROP INDEX usage_event_by_subject;
CREATE INDEX usage_event_by_subject ON usage_event (provider_id, subject, occurred_at, sequence, event_id, source);

DROP TRIGGER usage_interval_alone ON usage_interval;
CREATE TRIGGER usage_interval_alone BEFORE INSERT ON usage_interval
    FOR EACH ROW WHEN (NEW.origin = 'control') EXECUTE FUNCTION usage_interval_alone();

CREATE FUNCTION usage_interval_reported_alone() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    twice record;
BEGIN
    IF NOT EXISTS (SELECT FROM added WHERE origin = 'reported') THEN
        RETURN NULL;
    END IF;
    SELECT a.item, a.resource_id INTO twice
    FROM added a CROSS JOIN LATERAL (
        SELECT u.end_at FROM usage_interval u WHERE u.unit_id = a.unit_id AND u.resource_id = a.resource_id AND u.item = a.item
            AND u.tariff = a.tariff AND u.start_at < a.end_at AND (u.start_at, u.end_at) IS DISTINCT FROM (a.start_at, a.end_at)
        ORDER BY u.start_at DESC LIMIT 1) u -- the others do not overlap, so the last one to begin is the one that could
    WHERE a.origin = 'reported' AND u.end_at > a.start_at LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'item % of resource % is counted already at that time', twice.item, twice.resource_id
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'usage_interval_overlap';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_interval_reported_alone AFTER INSERT ON usage_interval REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION usage_interval_reported_alone();

-- Reports say themselves from when on usage changed (2010).
DROP TRIGGER usage_interval_changed ON usage_interval;
CREATE TRIGGER usage_interval_opened AFTER INSERT ON usage_interval
    FOR EACH ROW WHEN (NEW.origin = 'control') EXECUTE FUNCTION usage_interval_changed();
CREATE TRIGGER usage_interval_dropped AFTER DELETE ON usage_interval
    FOR EACH ROW WHEN (OLD.origin = 'control') EXECUTE FUNCTION usage_interval_changed();
