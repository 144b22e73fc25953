-- Usage intervals: a resource used this quantity of this item from start_at to end_at, half-open; open while it runs.
-- The unit leads every key, so that the table can be distributed by it.
CREATE TABLE usage_interval (
    unit_id text NOT NULL,
    system_id text NOT NULL,
    cloud_id text NOT NULL,
    provider_id text NOT NULL,
    resource_id text NOT NULL,
    kind text NOT NULL,
    item text NOT NULL CHECK (item ~ '^10[0-2][0-9]$'),
    micro bigint NOT NULL CHECK (micro > 0 AND micro <= 1000000000000000), -- 1e-6 of the item's billing unit
    start_at timestamptz NOT NULL,
    end_at timestamptz CHECK (end_at > start_at),                          -- NULL: open
    PRIMARY KEY (unit_id, resource_id, item, start_at),
    CONSTRAINT usage_interval_overlap EXCLUDE USING gist
        (unit_id WITH =, resource_id WITH =, item WITH =, tstzrange(start_at, end_at) WITH &&)
);
CREATE INDEX usage_interval_open ON usage_interval (unit_id, resource_id) WHERE end_at IS NULL;
CREATE INDEX usage_interval_ended ON usage_interval (unit_id, end_at);

-- An interval is opened, ended once, and stays: what was used cannot be rewritten. One that never lasted (changed again
-- at the very moment it began) may go.
CREATE FUNCTION usage_interval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.end_at IS NOT NULL THEN
        RAISE EXCEPTION 'an ended usage interval cannot change' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF NEW.end_at IS NULL OR (NEW.unit_id, NEW.system_id, NEW.cloud_id, NEW.provider_id, NEW.resource_id, NEW.kind,
                              NEW.item, NEW.micro, NEW.start_at)
                             IS DISTINCT FROM
                             (OLD.unit_id, OLD.system_id, OLD.cloud_id, OLD.provider_id, OLD.resource_id, OLD.kind,
                              OLD.item, OLD.micro, OLD.start_at) THEN
        RAISE EXCEPTION 'a usage interval can only be ended' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER usage_interval_guard BEFORE UPDATE OR DELETE ON usage_interval
    FOR EACH ROW EXECUTE FUNCTION usage_interval_guard();

SELECT scope_enable('usage_interval', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
GRANT SELECT, INSERT, DELETE, UPDATE (end_at) ON usage_interval TO yunqiao_app;
