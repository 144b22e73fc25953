-- Usage intervals by the thousand: what was checked row by row, or by an exclusion constraint of each partition, is checked once a
-- statement, and just as strictly. Three rules are meant: no two intervals of a resource, item and tariff overlap, in whatever months
-- they end; what was used is not rewritten; what is archived does not change.

-- A row for each resource, or for each provider that reports ("provider/"), whose intervals were ever written: its turn. Whoever adds
-- intervals moves it on and so holds it to the end of the transaction: of two who add to one resource at once, the second waits, and
-- then sees what the first wrote, or, when its view of the database is older (repeatable read, serializable), is failed as one to be
-- run again. Reached by the trigger alone.
CREATE TABLE usage_turn (
    name text COLLATE "C" PRIMARY KEY,
    turn bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 50);

-- Among intervals in order of their beginning, if any two overlap then two neighbours do, and of those one is new: so the check of an
-- added one is a look at the last that begins before it ends, in the partitions of its month and later ones. It sees the intervals of
-- all scopes, and goes by the key of every partition whatever the statistics say.
CREATE FUNCTION usage_interval_added() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp SET yunqiao."all" = 'on' SET jit = off SET plan_cache_mode = force_generic_plan SET enable_sort = off
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    since timestamptz;
    ended timestamptz;
    archived timestamptz;
    twice record;
BEGIN
    SELECT date_trunc('month', min(start_at), 'Asia/Shanghai'), min(end_at) INTO since, ended FROM added;
    IF since IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO usage_turn AS t (name)
    SELECT DISTINCT CASE origin WHEN 'reported' THEN split_part(resource_id, '/', 1) || '/' ELSE resource_id END AS name
    FROM added ORDER BY name
    ON CONFLICT (name) DO UPDATE SET turn = t.turn + 1;
    SELECT a.item, a.resource_id INTO twice
    FROM added a CROSS JOIN LATERAL (
        SELECT u.end_at FROM usage_interval u WHERE u.unit_id = a.unit_id AND u.resource_id = a.resource_id AND u.item = a.item
            AND u.tariff = a.tariff AND u.start_at < a.end_at AND u.end_at > since
            AND (u.start_at, u.end_at) IS DISTINCT FROM (a.start_at, a.end_at)
        ORDER BY u.start_at DESC LIMIT 1) u
    WHERE u.end_at > a.start_at LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'item % of resource % is counted already at that time', twice.item, twice.resource_id
            USING ERRCODE = 'exclusion_violation', CONSTRAINT = 'usage_interval_overlap';
    END IF;
    archived := usage_archived_now();
    IF ended <= archived THEN
        RAISE EXCEPTION 'usage up to % is archived and cannot change any more',
            to_char(archived AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            USING ERRCODE = 'check_violation', CONSTRAINT = 'usage_archived';
    END IF;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION usage_interval_added FROM PUBLIC;

-- An interval is opened, ended once, and stays: what was used cannot be rewritten. One that never lasted (changed again at the very
-- moment it began) may go. A reported one goes when reports say otherwise, and leaves what it said behind.
CREATE FUNCTION usage_interval_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gone WHERE origin <> 'reported' AND end_at <> 'infinity') THEN
        RAISE EXCEPTION 'an ended usage interval cannot change' USING ERRCODE = 'check_violation';
    END IF;
    IF NOT usage_interval_is_ending() THEN
        INSERT INTO usage_superseded (unit_id, system_id, cloud_id, provider_id, resource_id, kind, item, tariff, micro, start_at,
                                      end_at, industry, zone_id, architecture, known_from, known_to)
        SELECT unit_id, system_id, cloud_id, provider_id, resource_id, kind, item, tariff, micro, start_at,
            end_at, industry, zone_id, architecture, known_from, now() FROM gone WHERE origin = 'reported';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION usage_interval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a usage interval can only be ended' USING ERRCODE = 'check_violation';
END $$;

DROP TRIGGER usage_interval_guard ON usage_interval;
DROP TRIGGER usage_interval_alone ON usage_interval;
DROP TRIGGER usage_interval_reported_alone ON usage_interval;
DROP TRIGGER usage_archived ON usage_interval;
DROP FUNCTION usage_interval_alone, usage_interval_reported_alone;
CREATE TRIGGER usage_interval_guard BEFORE UPDATE ON usage_interval FOR EACH ROW EXECUTE FUNCTION usage_interval_guard();

-- The triggers of a statement fire for the table that it names: so each partition has them too, for statements that name it.
CREATE FUNCTION usage_interval_watch(watched regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TRIGGER usage_interval_added AFTER INSERT ON %s REFERENCING NEW TABLE AS added'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION usage_interval_added()', watched);
    EXECUTE format('CREATE TRIGGER usage_interval_gone AFTER DELETE ON %s REFERENCING OLD TABLE AS gone'
                   ' FOR EACH STATEMENT EXECUTE FUNCTION usage_interval_gone()', watched);
END $$;
REVOKE ALL ON FUNCTION usage_interval_watch FROM PUBLIC;

-- What the index of ends was for, a unit's intervals from a time on, partitions and the key give; what reports look for are the
-- intervals of one resource from a time on.
DROP INDEX usage_interval_ended;
CREATE INDEX usage_interval_by_end ON usage_interval (unit_id, resource_id, end_at);

DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT conrelid::regclass AS of, conname FROM pg_constraint
                WHERE contype = 'x' AND conrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'usage_interval'::regclass) LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', part.of, part.conname);
    END LOOP;
    PERFORM usage_interval_watch('usage_interval');
    FOR part IN SELECT inhrelid::regclass AS of FROM pg_inherits WHERE inhparent = 'usage_interval'::regclass LOOP
        PERFORM usage_interval_watch(part.of);
    END LOOP;
END $$;

-- As 2007's, but for a partition of usage: no constraint of its own, triggers instead.
CREATE OR REPLACE FUNCTION billing_partition_attach(parent text, month text, waiting text) RETURNS void LANGUAGE plpgsql AS $$
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
    EXECUTE format('INSERT INTO %I SELECT * FROM %I WHERE %s', part, waiting, belongs);
    EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', waiting);
    EXECUTE format('DELETE FROM %I WHERE %s', waiting, belongs);
    EXECUTE format('ALTER TABLE %I ENABLE TRIGGER USER', waiting);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES %s', parent, part, bounds);
    IF parent = 'usage_interval' THEN
        PERFORM usage_interval_watch(part::regclass);
    END IF;
END $$;
