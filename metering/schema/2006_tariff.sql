-- How a quantity is charged, and where it was used: the tariff (catalog/tariff.h), the cloud's industry, the zone and the
-- architecture. A resource may use an item under two tariffs at once, so the tariff is part of the key. '' means "has none".
ALTER TABLE usage_interval
    ADD COLUMN tariff text NOT NULL DEFAULT 'standard' CHECK (tariff IN ('standard', 'expansion')),
    ADD COLUMN industry text NOT NULL DEFAULT '',
    ADD COLUMN zone_id text NOT NULL DEFAULT '',
    ADD COLUMN architecture text NOT NULL DEFAULT '';
ALTER TABLE usage_interval DROP CONSTRAINT usage_interval_overlap;
ALTER TABLE usage_interval DROP CONSTRAINT usage_interval_pkey;
ALTER TABLE usage_interval ADD PRIMARY KEY (unit_id, resource_id, item, tariff, start_at);
ALTER TABLE usage_interval ADD CONSTRAINT usage_interval_overlap EXCLUDE USING gist
    (unit_id WITH =, resource_id WITH =, item WITH =, tariff WITH =, tstzrange(start_at, end_at) WITH &&);

CREATE OR REPLACE FUNCTION usage_interval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.end_at IS NOT NULL THEN
        RAISE EXCEPTION 'an ended usage interval cannot change' USING ERRCODE = 'check_violation';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    OLD.end_at := NEW.end_at;
    IF NEW.end_at IS NULL OR NEW IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'a usage interval can only be ended' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

-- A free line (expansion, allowance) has amount 0 and shows in list_fen what it would have cost; of others both are equal.
ALTER TABLE bill_line DISABLE TRIGGER USER;
ALTER TABLE bill_line
    ADD COLUMN tariff text NOT NULL DEFAULT 'standard' CHECK (tariff IN ('standard', 'expansion', 'allowance')),
    ADD COLUMN industry text NOT NULL DEFAULT '',
    ADD COLUMN zone_id text NOT NULL DEFAULT '',
    ADD COLUMN architecture text NOT NULL DEFAULT '',
    ADD COLUMN list_fen bigint;
UPDATE bill_line SET list_fen = amount_fen;
ALTER TABLE bill_line ALTER COLUMN list_fen SET NOT NULL,
    ADD CHECK (amount_fen = CASE tariff WHEN 'standard' THEN list_fen ELSE 0 END);
ALTER TABLE bill_line ENABLE TRIGGER USER;
-- Which canonical text a bill's digest is over (metering/README.md).
ALTER TABLE bill ADD COLUMN digest_version integer NOT NULL DEFAULT 1;
ALTER TABLE bill ALTER COLUMN digest_version SET DEFAULT 2;
