-- Usage that providers report (metering/report.h): every event that was ever taken, for exactly once by (source, id) for ever; and the
-- intervals that are derived from them, which late events may change. What such a change takes away is kept in usage_superseded.

-- A provider's journal. Its key leads with the provider and not with the unit, for an id is unique over all units that the provider
-- reports of, and a resource may pass from one unit to another; nothing joins it to anything.
CREATE TABLE usage_event (
    provider_id  text NOT NULL,
    source       text COLLATE "C" NOT NULL,
    event_id     text COLLATE "C" NOT NULL,
    unit_id      text NOT NULL,
    system_id    text NOT NULL,
    cloud_id     text NOT NULL,
    industry     text NOT NULL,             -- of the cloud, as it was received
    subject      text NOT NULL,
    occurred_at  timestamptz NOT NULL CHECK (isfinite(occurred_at)),
    sequence     text COLLATE "C" NOT NULL, -- '': none
    received_at  timestamptz NOT NULL,
    digest       bytea NOT NULL CHECK (length(digest) = 32),       -- SM3 of body
    state_digest bytea NOT NULL CHECK (length(state_digest) = 32), -- of what it says of usage
    state        text NOT NULL CHECK (state IN ('counted', 'quarantined', 'discarded')),
    decided_at   timestamptz,               -- when a quarantined one was counted or discarded
    body         text NOT NULL,             -- the event, canonical
    PRIMARY KEY (provider_id, source, event_id)
);
CREATE INDEX usage_event_by_subject ON usage_event (provider_id, subject, occurred_at);
CREATE INDEX usage_event_waiting ON usage_event (occurred_at) WHERE state = 'quarantined';
SELECT scope_enable('usage_event', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
GRANT SELECT, INSERT, UPDATE (state, decided_at) ON usage_event TO yunqiao_app;

CREATE FUNCTION usage_event_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.state = 'quarantined' AND NEW.state <> 'quarantined' THEN
        OLD.state := NEW.state;
        OLD.decided_at := NEW.decided_at;
        IF NEW IS NOT DISTINCT FROM OLD THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a usage event never changes: a quarantined one is counted or discarded, once' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER usage_event_guard BEFORE UPDATE OR DELETE ON usage_event FOR EACH ROW EXECUTE FUNCTION usage_event_guard();
CREATE TRIGGER usage_event_no_truncate BEFORE TRUNCATE ON usage_event FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();

-- Where an interval comes from: the broker's own work, never rewritten, or reports, made anew where a late one changes them. The name
-- of a reported resource holds a slash ("provider/subject"), that of our own never does.
ALTER TABLE usage_interval
    ADD COLUMN origin text NOT NULL DEFAULT 'control' CHECK (origin IN ('control', 'reported')),
    ADD COLUMN known_from timestamptz NOT NULL DEFAULT now();
ALTER TABLE usage_interval ADD CONSTRAINT usage_interval_origin CHECK ((origin = 'reported') = (strpos(resource_id, '/') > 0));

-- What was known of reported resources from known_from to known_to and is no longer so. Only added to.
CREATE TABLE usage_superseded (
    unit_id text NOT NULL,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    system_id text NOT NULL,
    cloud_id text NOT NULL,
    provider_id text NOT NULL,
    resource_id text NOT NULL,
    kind text NOT NULL,
    item text NOT NULL,
    tariff text NOT NULL,
    micro bigint NOT NULL,
    start_at timestamptz NOT NULL,
    end_at timestamptz NOT NULL, -- 'infinity': was open
    industry text NOT NULL,
    zone_id text NOT NULL,
    architecture text NOT NULL,
    known_from timestamptz NOT NULL,
    known_to timestamptz NOT NULL,
    PRIMARY KEY (unit_id, id)
);
CREATE INDEX usage_superseded_by_resource ON usage_superseded (unit_id, resource_id, start_at);
SELECT scope_enable('usage_superseded', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
GRANT SELECT, INSERT ON usage_superseded TO yunqiao_app;
CREATE TRIGGER usage_superseded_immutable BEFORE UPDATE OR DELETE ON usage_superseded
    FOR EACH ROW EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER usage_superseded_no_truncate BEFORE TRUNCATE ON usage_superseded
    FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();

-- An interval is opened, ended once, and stays: what was used cannot be rewritten. One that never lasted (changed again at the very
-- moment it began) may go. A reported one goes when reports say otherwise, and leaves what it said behind.
CREATE OR REPLACE FUNCTION usage_interval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'a usage interval can only be ended' USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.origin = 'reported' THEN
        IF NOT usage_interval_is_ending() THEN
            INSERT INTO usage_superseded (unit_id, system_id, cloud_id, provider_id, resource_id, kind, item, tariff, micro, start_at,
                                          end_at, industry, zone_id, architecture, known_from, known_to)
            VALUES (OLD.unit_id, OLD.system_id, OLD.cloud_id, OLD.provider_id, OLD.resource_id, OLD.kind, OLD.item, OLD.tariff,
                    OLD.micro, OLD.start_at, OLD.end_at, OLD.industry, OLD.zone_id, OLD.architecture, OLD.known_from, now());
        END IF;
        RETURN OLD;
    END IF;
    IF OLD.end_at <> 'infinity' THEN
        RAISE EXCEPTION 'an ended usage interval cannot change' USING ERRCODE = 'check_violation';
    END IF;
    RETURN OLD;
END $$;

-- A report says itself from when on usage changed (report_derive.c): an interval that was cut begins where it always did, and months
-- before the cut are not to be rated again.
CREATE OR REPLACE FUNCTION usage_interval_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF usage_interval_is_ending() THEN
            RETURN NULL;
        END IF;
        NEW := OLD;
    END IF;
    IF NEW.origin = 'reported' THEN
        RETURN NULL;
    END IF;
    INSERT INTO usage_change (unit_id, system_id, cloud_id, provider_id, from_at)
    VALUES (NEW.unit_id, NEW.system_id, NEW.cloud_id, NEW.provider_id,
            CASE WHEN TG_OP = 'INSERT' AND usage_interval_is_ending() THEN NEW.end_at ELSE NEW.start_at END);
    RETURN NULL;
END $$;
