-- Usage and bills in partitions by month, so that a month that nobody needs any more is detached whole (metering/README.md, "Months
-- and partitions"). An interval lives in the month that it ended in; an open one has end_at 'infinity' and lives in usage_interval_open,
-- so that nothing that still runs is ever in a month that may go. A bill and its lines live in the bill's month. What belongs to a month
-- whose partition was not made in time is in a default partition and moves when the partition is made.

-- ---------------------------------------------------------------------------------------------------------------------- usage
ALTER TABLE usage_interval NO FORCE ROW LEVEL SECURITY;
ALTER TABLE usage_interval DISABLE ROW LEVEL SECURITY;
ALTER TABLE usage_interval RENAME TO usage_interval_old;
ALTER TABLE usage_interval_old RENAME CONSTRAINT usage_interval_pkey TO usage_interval_old_pkey;
ALTER TABLE usage_interval_old RENAME CONSTRAINT usage_interval_overlap TO usage_interval_old_overlap;
ALTER INDEX usage_interval_open RENAME TO usage_interval_old_open;
ALTER INDEX usage_interval_ended RENAME TO usage_interval_old_ended;

CREATE TABLE usage_interval (
    unit_id text NOT NULL,
    system_id text NOT NULL,
    cloud_id text NOT NULL,
    provider_id text NOT NULL,
    resource_id text NOT NULL,
    kind text NOT NULL,
    item text NOT NULL CHECK (item ~ '^10[0-2][0-9]$'),
    micro bigint NOT NULL CHECK (micro > 0 AND micro <= 1000000000000000), -- 1e-6 of the item's billing unit
    start_at timestamptz NOT NULL CHECK (isfinite(start_at)),
    end_at timestamptz NOT NULL DEFAULT 'infinity' CHECK (end_at > start_at), -- 'infinity': open
    tariff text NOT NULL DEFAULT 'standard' CHECK (tariff IN ('standard', 'expansion')),
    industry text NOT NULL DEFAULT '',
    zone_id text NOT NULL DEFAULT '',
    architecture text NOT NULL DEFAULT '',
    PRIMARY KEY (unit_id, resource_id, item, tariff, start_at, end_at)
) PARTITION BY RANGE (end_at);
CREATE INDEX usage_interval_ended ON usage_interval (unit_id, end_at);
CREATE TABLE usage_interval_open PARTITION OF usage_interval FOR VALUES FROM ('infinity') TO (MAXVALUE);
CREATE TABLE usage_interval_other PARTITION OF usage_interval DEFAULT;
CREATE UNIQUE INDEX usage_interval_overlap_open ON usage_interval_open (unit_id, resource_id, item, tariff);
ALTER TABLE usage_interval_other ADD CONSTRAINT usage_interval_overlap_other EXCLUDE USING gist
    (unit_id WITH =, resource_id WITH =, item WITH =, tariff WITH =, tstzrange(start_at, end_at) WITH &&);

INSERT INTO usage_interval SELECT unit_id, system_id, cloud_id, provider_id, resource_id, kind, item, micro, start_at,
    coalesce(end_at, 'infinity'), tariff, industry, zone_id, architecture FROM usage_interval_old;
DROP TABLE usage_interval_old;
DROP FUNCTION usage_interval_guard, usage_interval_changed;

-- Ending an interval takes the open row away and puts the ended one into its month: usage_interval_end alone does it, and says so in
-- this setting of the transaction, for the triggers that look at what changed.
CREATE FUNCTION usage_interval_is_ending() RETURNS boolean LANGUAGE sql STABLE
    RETURN coalesce(current_setting('yunqiao.usage_ending', true), '') = 'on';

-- An interval is opened, ended once, and stays: what was used cannot be rewritten. One that never lasted (changed again at the very
-- moment it began) may go.
CREATE FUNCTION usage_interval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        RAISE EXCEPTION 'a usage interval can only be ended' USING ERRCODE = 'check_violation';
    END IF;
    IF OLD.end_at <> 'infinity' THEN
        RAISE EXCEPTION 'an ended usage interval cannot change' USING ERRCODE = 'check_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER usage_interval_guard BEFORE UPDATE OR DELETE ON usage_interval
    FOR EACH ROW EXECUTE FUNCTION usage_interval_guard();

-- The partitions' own constraints keep intervals of one month, and open ones, from overlapping; this one, those of several. Callers
-- hold the resource's row (usage.h), so nobody else adds to the same resource meanwhile.
CREATE FUNCTION usage_interval_alone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM usage_interval u WHERE u.unit_id = NEW.unit_id AND u.resource_id = NEW.resource_id
               AND u.item = NEW.item AND u.tariff = NEW.tariff AND u.end_at > NEW.start_at AND u.start_at < NEW.end_at) THEN
        RAISE EXCEPTION 'item % of resource % is counted already at that time', NEW.item, NEW.resource_id
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'usage_interval_overlap';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER usage_interval_alone BEFORE INSERT ON usage_interval FOR EACH ROW EXECUTE FUNCTION usage_interval_alone();

-- From when on a unit's usage changed (usage_change): from the interval's start, or from where it ended.
CREATE FUNCTION usage_interval_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF usage_interval_is_ending() THEN
            RETURN NULL;
        END IF;
        NEW := OLD;
    END IF;
    INSERT INTO usage_change (unit_id, system_id, cloud_id, provider_id, from_at)
    VALUES (NEW.unit_id, NEW.system_id, NEW.cloud_id, NEW.provider_id,
            CASE WHEN TG_OP = 'INSERT' AND usage_interval_is_ending() THEN NEW.end_at ELSE NEW.start_at END);
    RETURN NULL;
END $$;
CREATE TRIGGER usage_interval_changed AFTER INSERT OR DELETE ON usage_interval
    FOR EACH ROW EXECUTE FUNCTION usage_interval_changed();
CREATE TRIGGER usage_interval_no_truncate BEFORE TRUNCATE ON usage_interval
    FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();

-- Ends an open interval; whether there was one.
CREATE FUNCTION usage_interval_end(unit text, resource text, item_code text, tariff_name text, started timestamptz, ended timestamptz)
    RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    gone usage_interval;
BEGIN
    PERFORM set_config('yunqiao.usage_ending', 'on', true);
    DELETE FROM usage_interval u WHERE u.unit_id = unit AND u.resource_id = resource AND u.item = item_code
        AND u.tariff = tariff_name AND u.start_at = started AND u.end_at = 'infinity' RETURNING * INTO gone;
    IF FOUND THEN
        gone.end_at := ended;
        INSERT INTO usage_interval SELECT gone.*;
    END IF;
    PERFORM set_config('yunqiao.usage_ending', 'off', true);
    RETURN gone.unit_id IS NOT NULL;
END $$;

SELECT scope_enable('usage_interval', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
-- UPDATE for locking rows alone: the guard refuses every update.
GRANT SELECT, INSERT, DELETE, UPDATE (end_at) ON usage_interval TO yunqiao_app;

-- ---------------------------------------------------------------------------------------------------------------------- bills
ALTER TABLE bill NO FORCE ROW LEVEL SECURITY;
ALTER TABLE bill_line NO FORCE ROW LEVEL SECURITY;
ALTER TABLE bill DISABLE ROW LEVEL SECURITY;
ALTER TABLE bill_line DISABLE ROW LEVEL SECURITY;
ALTER TABLE bill_line RENAME TO bill_line_old;
ALTER TABLE bill RENAME TO bill_old;
ALTER INDEX bill_by_month RENAME TO bill_old_by_month;
ALTER INDEX bill_by_id RENAME TO bill_old_by_id;
ALTER INDEX bill_line_by_month RENAME TO bill_line_old_by_month;
ALTER INDEX bill_line_by_charge RENAME TO bill_line_old_by_charge;
ALTER TABLE bill_old RENAME CONSTRAINT bill_pkey TO bill_old_pkey;
ALTER TABLE bill_line_old RENAME CONSTRAINT bill_line_pkey TO bill_line_old_pkey;

CREATE TABLE bill (
    unit_id text NOT NULL,
    id text NOT NULL,
    number text NOT NULL,
    provider_id text NOT NULL,
    month text NOT NULL REFERENCES billing_month,
    charges_fen bigint NOT NULL,
    adjustments_fen bigint NOT NULL,
    total_fen bigint NOT NULL CHECK (total_fen = charges_fen + adjustments_fen),
    line_count bigint NOT NULL CHECK (line_count > 0),
    digest text NOT NULL, -- SM3 over the canonical lines (metering/README.md)
    closed_at timestamptz NOT NULL,
    digest_version integer NOT NULL DEFAULT 2, -- which canonical text
    PRIMARY KEY (unit_id, month, id),
    UNIQUE (unit_id, provider_id, month)
) PARTITION BY LIST (month);
CREATE INDEX bill_by_month ON bill (month, unit_id, provider_id);
CREATE INDEX bill_by_id ON bill (id);
CREATE TABLE bill_other PARTITION OF bill DEFAULT;

-- No foreign key to bill: a month's lines and bills are detached one after the other. A bill and its lines come in one transaction, and
-- neither ever changes.
CREATE TABLE bill_line (
    unit_id text NOT NULL,
    bill_id text NOT NULL,
    line_no integer NOT NULL CHECK (line_no > 0),
    month text NOT NULL,        -- of the bill
    type text NOT NULL CHECK (type IN ('charge', 'adjustment')),
    charge_month text NOT NULL, -- when it was used: the bill's month for a charge, an earlier one for an adjustment
    provider_id text NOT NULL,
    cloud_id text NOT NULL,
    system_id text NOT NULL,
    item text NOT NULL,
    price_fen bigint NOT NULL CHECK (price_fen > 0),
    price_from timestamptz NOT NULL,
    price_to timestamptz NOT NULL,
    usage numeric(38, 0) NOT NULL, -- micro-units × microseconds, below zero only in an adjustment
    amount_fen bigint NOT NULL,
    corrects_number text,          -- the bill and line that an adjustment corrects; NULL: nothing was billed then
    corrects_line integer,
    tariff text NOT NULL DEFAULT 'standard' CHECK (tariff IN ('standard', 'expansion', 'allowance')),
    industry text NOT NULL DEFAULT '',
    zone_id text NOT NULL DEFAULT '',
    architecture text NOT NULL DEFAULT '',
    list_fen bigint NOT NULL,      -- what it would have cost by the list
    PRIMARY KEY (unit_id, month, bill_id, line_no),
    CHECK (type = 'adjustment' OR (usage > 0 AND amount_fen >= 0 AND charge_month = month)),
    CHECK (type = 'charge' OR charge_month < month),
    CHECK ((corrects_number IS NULL) = (corrects_line IS NULL) AND (type = 'adjustment' OR corrects_line IS NULL)),
    CHECK (amount_fen = CASE tariff WHEN 'standard' THEN list_fen ELSE 0 END)
) PARTITION BY LIST (month);
CREATE INDEX bill_line_by_charge ON bill_line (unit_id, charge_month);
CREATE TABLE bill_line_other PARTITION OF bill_line DEFAULT;

INSERT INTO bill SELECT * FROM bill_old;
INSERT INTO bill_line SELECT * FROM bill_line_old;
DROP TABLE bill_line_old, bill_old;

CREATE TRIGGER bill_immutable BEFORE UPDATE OR DELETE ON bill FOR EACH ROW EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER bill_no_truncate BEFORE TRUNCATE ON bill FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER bill_line_immutable BEFORE UPDATE OR DELETE ON bill_line FOR EACH ROW EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER bill_line_no_truncate BEFORE TRUNCATE ON bill_line FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER bill_sealed BEFORE INSERT ON bill FOR EACH ROW EXECUTE FUNCTION billing_sealed();
CREATE TRIGGER bill_line_sealed BEFORE INSERT ON bill_line FOR EACH ROW EXECUTE FUNCTION billing_sealed();
SELECT scope_enable('bill', 'unit_id', NULL, NULL, 'provider_id');
SELECT scope_enable('bill_line', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
-- A bill has no cloud of its own: who sees one of its lines (a regulator of a cloud) sees the bill.
CREATE POLICY bill_by_line ON bill FOR SELECT USING (EXISTS
    (SELECT FROM bill_line l WHERE l.unit_id = bill.unit_id AND l.month = bill.month AND l.bill_id = bill.id));
GRANT SELECT, INSERT ON bill, bill_line TO yunqiao_app;

-- ----------------------------------------------------------------------------------------------------------------- partitions
-- Makes a month's partition of one table and moves in what waited for it in the default one. With the owner's rights, and names built
-- from a checked month alone.
CREATE FUNCTION billing_partition_attach(parent text, month text, waiting text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    part text := parent || '_' || replace(month, '-', '_');
    first timestamptz := timezone('Asia/Shanghai', (month || '-01')::timestamp);
    after timestamptz := timezone('Asia/Shanghai', (month || '-01')::timestamp + interval '1 month');
    bounds text;
    belongs text;
BEGIN
    IF parent = 'usage_interval' THEN
        -- An interval that ended at a month's very start was used in the month before: (first, after].
        bounds := format('FROM (%L) TO (%L)', first + interval '1 microsecond', after + interval '1 microsecond');
        belongs := format('end_at > %L AND end_at <= %L', first, after);
    ELSE
        bounds := format('IN (%L)', month);
        belongs := format('month = %L', month);
    END IF;
    EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', waiting);
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES)', part, parent);
    IF parent = 'usage_interval' THEN
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I EXCLUDE USING gist (unit_id WITH =, resource_id WITH =, item WITH =,'
                       ' tariff WITH =, tstzrange(start_at, end_at) WITH &&)', part, 'usage_interval_overlap_' || replace(month, '-', '_'));
    END IF;
    EXECUTE format('INSERT INTO %I SELECT * FROM %I WHERE %s', part, waiting, belongs);
    EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', waiting);
    EXECUTE format('DELETE FROM %I WHERE %s', waiting, belongs);
    EXECUTE format('ALTER TABLE %I ENABLE TRIGGER USER', waiting);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES %s', parent, part, bounds);
END $$;
REVOKE ALL ON FUNCTION billing_partition_attach FROM PUBLIC;

-- The partitions of a month ("2026-11"); whether they were missing. Two at once: one waits.
CREATE FUNCTION billing_partition_make(month text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    IF month !~ '^[0-9]{4}-(0[1-9]|1[0-2])$' THEN
        RAISE EXCEPTION 'not a month: %', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('billing_partition_make'));
    IF to_regclass('usage_interval_' || replace(month, '-', '_')) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM billing_partition_attach('usage_interval', month, 'usage_interval_other');
    PERFORM billing_partition_attach('bill', month, 'bill_other');
    PERFORM billing_partition_attach('bill_line', month, 'bill_line_other');
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION billing_partition_make FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing_partition_make TO yunqiao_app;
