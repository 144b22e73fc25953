-- From when on a unit's usage changed since its last closing: what a closing must rate again. A row for every change, written with it
-- and taken away by the closing that read it, so that a change whose transaction was not over when a month closed is found by the
-- next closing.
CREATE TABLE usage_change (
    unit_id text NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    system_id text NOT NULL,
    cloud_id text NOT NULL,
    provider_id text NOT NULL,
    from_at timestamptz NOT NULL,
    PRIMARY KEY (unit_id, id)
);
SELECT scope_enable('usage_change', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
GRANT SELECT, INSERT, DELETE ON usage_change TO yunqiao_app;

INSERT INTO usage_change (unit_id, system_id, cloud_id, provider_id, from_at)
SELECT DISTINCT ON (unit_id) unit_id, system_id, cloud_id, provider_id, start_at FROM usage_interval ORDER BY unit_id, start_at;

CREATE FUNCTION usage_interval_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        NEW := OLD;
    END IF;
    INSERT INTO usage_change (unit_id, system_id, cloud_id, provider_id, from_at)
    VALUES (NEW.unit_id, NEW.system_id, NEW.cloud_id, NEW.provider_id,
            CASE TG_OP WHEN 'UPDATE' THEN NEW.end_at ELSE NEW.start_at END);
    RETURN NULL;
END $$;
CREATE TRIGGER usage_interval_changed AFTER INSERT OR UPDATE OR DELETE ON usage_interval
    FOR EACH ROW EXECUTE FUNCTION usage_interval_changed();
