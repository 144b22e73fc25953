-- Archives: months whose usage, and later bills, were written to files, compared with the database and dropped (metering/archive.h).
-- How many closed months a month is kept in the database; 0: for ever.
ALTER TABLE billing_setting
    ADD COLUMN usage_retention_months integer NOT NULL DEFAULT 0 CHECK (usage_retention_months = 0 OR usage_retention_months BETWEEN 3 AND 1200),
    ADD COLUMN bill_retention_months integer NOT NULL DEFAULT 0 CHECK (bill_retention_months = 0 OR bill_retention_months BETWEEN 24 AND 1200),
    ADD CONSTRAINT billing_setting_retention CHECK (bill_retention_months = 0
        OR (usage_retention_months > 0 AND usage_retention_months <= bill_retention_months));
GRANT UPDATE (usage_retention_months, bill_retention_months) ON billing_setting TO yunqiao_app;

-- A folder of files that was read back from the disk and compared with the database, row by row. What all units together used and owe
-- is for those who see all (the API's rule), so the table has no owner.
CREATE TABLE archive (
    month text COLLATE "C" PRIMARY KEY CHECK (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    manifest_sm3 text NOT NULL,
    program text NOT NULL,
    verified_at timestamptz NOT NULL, -- the broker's clock
    intervals bigint NOT NULL,
    usage numeric NOT NULL,           -- quantity × time of the intervals: micro-units × microseconds
    bills bigint NOT NULL,
    bills_fen numeric NOT NULL,
    lines bigint NOT NULL,
    lines_usage numeric NOT NULL,
    lines_fen numeric NOT NULL,
    usage_dropped_at timestamptz,     -- the database's clock, like the other
    bills_dropped_at timestamptz,
    CHECK (bills_dropped_at IS NULL OR usage_dropped_at IS NOT NULL)
);
GRANT SELECT, DELETE, INSERT (month, manifest_sm3, program, verified_at, intervals, usage, bills, bills_fen, lines, lines_usage, lines_fen)
    ON archive TO yunqiao_app;
CREATE FUNCTION archive_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.usage_dropped_at IS NOT NULL THEN
        RAISE EXCEPTION 'the archive of % is all that there is of its usage', OLD.month USING ERRCODE = 'check_violation';
    END IF;
    RETURN OLD;
END $$;
CREATE TRIGGER archive_kept BEFORE DELETE ON archive FOR EACH ROW EXECUTE FUNCTION archive_kept();
CREATE TRIGGER archive_no_truncate BEFORE TRUNCATE ON archive FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();

-- Up to when usage is archived: an interval that ended then or before is in a file. One row; billing_partition_drop alone moves it on.
CREATE TABLE usage_archived (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    until timestamptz NOT NULL DEFAULT '-infinity'
);
INSERT INTO usage_archived DEFAULT VALUES;
GRANT SELECT ON usage_archived TO yunqiao_app;

-- When usage is archived up to. A transaction with an older view of the database than the latest drop must not go by that view: it locks
-- the row, which fails it as one to be run again.
CREATE FUNCTION usage_archived_now() RETURNS timestamptz LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    at timestamptz;
BEGIN
    IF current_setting('transaction_isolation') = 'read committed' THEN
        SELECT until INTO at FROM usage_archived;
    ELSE
        SELECT until INTO at FROM usage_archived FOR SHARE;
    END IF;
    RETURN at;
END $$;
REVOKE ALL ON FUNCTION usage_archived_now FROM PUBLIC;
GRANT EXECUTE ON FUNCTION usage_archived_now TO yunqiao_app;

-- What would need archived usage to be rated is refused: a change from a moment on that is archived, and an interval that would end there.
CREATE FUNCTION usage_archived_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    archived timestamptz := usage_archived_now();
BEGIN
    IF TG_TABLE_NAME = 'usage_change' THEN
        IF NEW.from_at >= archived THEN
            RETURN NEW;
        END IF;
    ELSIF NEW.end_at > archived THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'usage up to % is archived and cannot change any more',
        to_char(archived AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
        USING ERRCODE = 'check_violation', CONSTRAINT = 'usage_archived';
END $$;
CREATE TRIGGER usage_archived BEFORE INSERT ON usage_change FOR EACH ROW EXECUTE FUNCTION usage_archived_guard();
CREATE TRIGGER usage_archived BEFORE INSERT ON usage_interval FOR EACH ROW WHEN (NEW.end_at <> 'infinity')
    EXECUTE FUNCTION usage_archived_guard();

CREATE FUNCTION billing_month_begin_at(month text) RETURNS timestamptz LANGUAGE sql STABLE
    RETURN timezone('Asia/Shanghai', (month || '-01')::timestamp);
CREATE FUNCTION billing_month_after(month text, months integer) RETURNS text LANGUAGE sql STABLE
    RETURN to_char((month || '-01')::timestamp + make_interval(months => months), 'YYYY-MM');

-- Rows and exact sums of what is in a month's partitions, as far as the caller's scope sees.
CREATE FUNCTION archive_sums(of_month text, OUT intervals bigint, OUT usage numeric, OUT bills bigint, OUT bills_fen numeric,
                             OUT lines bigint, OUT lines_usage numeric, OUT lines_fen numeric) LANGUAGE sql STABLE AS $$
    SELECT u.n, u.usage, b.n, b.fen, l.n, l.usage, l.fen
    FROM (SELECT count(*) AS n, coalesce(sum(micro * trunc(extract(epoch FROM end_at - start_at) * 1000000)), 0) AS usage
          FROM usage_interval WHERE end_at > billing_month_begin_at(of_month)
              AND end_at <= billing_month_begin_at(billing_month_after(of_month, 1))) u,
        (SELECT count(*) AS n, coalesce(sum(total_fen), 0) AS fen FROM bill WHERE month = of_month) b,
        (SELECT count(*) AS n, coalesce(sum(x.usage), 0) AS usage, coalesce(sum(x.amount_fen), 0) AS fen
         FROM bill_line x WHERE x.month = of_month) l
$$;

-- Why a month's usage, or bills, cannot go now; NULL: they can. A month goes when it is closed, all before it went, as many months after it
-- are closed as are kept, and no change waits for a closing that would rate it again; bills go after their usage.
CREATE FUNCTION billing_kept_because(of_month text, what text) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    setting billing_setting;
    kept integer;
    before text;
    gone archive;
    next_at timestamptz := billing_month_begin_at(billing_month_after(of_month, 1));
BEGIN
    SELECT * INTO setting FROM billing_setting;
    kept := CASE what WHEN 'usage' THEN setting.usage_retention_months ELSE setting.bill_retention_months END;
    IF kept = 0 THEN
        RETURN format('%s are kept for ever (%s)', CASE what WHEN 'usage' THEN 'usage intervals' ELSE 'bills' END,
                      CASE what WHEN 'usage' THEN 'usage_retention_months' ELSE 'bill_retention_months' END);
    END IF;
    IF NOT EXISTS (SELECT FROM billing_month WHERE month = of_month AND state = 'closed') THEN
        RETURN format('%s is not closed', of_month);
    END IF;
    IF NOT EXISTS (SELECT FROM billing_month WHERE month = billing_month_after(of_month, kept) AND state = 'closed') THEN
        RETURN format('%s is kept until %s is closed', of_month, billing_month_after(of_month, kept));
    END IF;
    SELECT max(month COLLATE "C") INTO before FROM billing_month WHERE month COLLATE "C" < of_month;
    SELECT * INTO gone FROM archive WHERE month = before;
    IF before IS NOT NULL AND (CASE what WHEN 'usage' THEN gone.usage_dropped_at ELSE gone.bills_dropped_at END) IS NULL THEN
        RETURN format('%s goes before it', before);
    END IF;
    SELECT * INTO gone FROM archive WHERE month = of_month;
    IF what = 'bills' AND gone.usage_dropped_at IS NULL THEN
        RETURN 'its usage goes before it';
    END IF;
    IF what = 'usage' AND EXISTS (SELECT FROM usage_interval WHERE end_at <= billing_month_begin_at(of_month)) THEN
        RETURN format('there is usage that ended before %s and was never in a closed month', of_month);
    END IF;
    IF EXISTS (SELECT FROM usage_change WHERE from_at < next_at) THEN
        RETURN 'a change of its usage, or of earlier usage, waits for the next closing';
    END IF;
    RETURN NULL;
END $$;

-- Drops what a month's archive holds: 'usage' or 'bills'. With the owner's rights, and only when billing_kept_because has no reason, the
-- month's archive was verified, and rows and sums are to the last digit those of the archive, while nobody writes. False: it was dropped
-- before. In a read committed transaction alone: each look must see what was committed before it.
CREATE FUNCTION billing_partition_drop(of_month text, what text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp SET timezone = 'UTC' SET yunqiao."all" = 'on' SET lock_timeout = '2s' AS $$
DECLARE
    suffix text := '_' || replace(of_month, '-', '_');
    kept archive;
    found_now record;
    reason text;
    part text;
BEGIN
    IF of_month !~ '^[0-9]{4}-(0[1-9]|1[0-2])$' OR what NOT IN ('usage', 'bills') THEN
        RAISE EXCEPTION 'not a month''s usage or bills: % %', of_month, what USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'a partition is dropped in a read committed transaction alone' USING ERRCODE = 'check_violation';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('billing_partition_make'));
    SELECT * INTO kept FROM archive WHERE month = of_month FOR UPDATE;
    IF kept.month IS NULL THEN
        RAISE EXCEPTION '% was not archived', of_month USING ERRCODE = 'check_violation';
    END IF;
    IF (CASE what WHEN 'usage' THEN kept.usage_dropped_at ELSE kept.bills_dropped_at END) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- Whoever writes usage (and so its changes) or bills ends first, and whoever comes waits.
    IF what = 'usage' THEN
        LOCK TABLE usage_interval IN ACCESS EXCLUSIVE MODE;
    ELSE
        LOCK TABLE bill, bill_line IN ACCESS EXCLUSIVE MODE;
    END IF;
    reason := billing_kept_because(of_month, what);
    IF reason IS NOT NULL THEN
        RAISE EXCEPTION '%', reason USING ERRCODE = 'check_violation';
    END IF;
    SELECT * INTO found_now FROM archive_sums(of_month);
    IF (what = 'usage' AND (found_now.intervals, found_now.usage) IS DISTINCT FROM (kept.intervals, kept.usage))
        OR (found_now.bills, found_now.bills_fen, found_now.lines, found_now.lines_usage, found_now.lines_fen)
           IS DISTINCT FROM (kept.bills, kept.bills_fen, kept.lines, kept.lines_usage, kept.lines_fen) THEN
        RAISE EXCEPTION 'the archive of % is not what the database holds', of_month USING ERRCODE = 'check_violation';
    END IF;
    FOREACH part IN ARRAY CASE what WHEN 'usage' THEN ARRAY['usage_interval'] ELSE ARRAY['bill_line', 'bill'] END LOOP
        EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', part, part || suffix);
        EXECUTE format('DROP TABLE %I', part || suffix);
    END LOOP;
    IF what = 'usage' THEN
        UPDATE usage_archived SET until = billing_month_begin_at(billing_month_after(of_month, 1));
        UPDATE archive SET usage_dropped_at = clock_timestamp() WHERE month = of_month;
    ELSE
        UPDATE archive SET bills_dropped_at = clock_timestamp() WHERE month = of_month;
    END IF;
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION billing_partition_drop FROM PUBLIC;
GRANT EXECUTE ON FUNCTION billing_partition_drop TO yunqiao_app;

-- As 2007's; of an archived month nothing is made again.
CREATE OR REPLACE FUNCTION billing_partition_make(month text) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    IF month !~ '^[0-9]{4}-(0[1-9]|1[0-2])$' THEN
        RAISE EXCEPTION 'not a month: %', month USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('billing_partition_make'));
    IF to_regclass('usage_interval_' || replace(month, '-', '_')) IS NOT NULL
        OR billing_month_begin_at(month) < (SELECT until FROM usage_archived) THEN
        RETURN false;
    END IF;
    PERFORM billing_partition_attach('usage_interval', month, 'usage_interval_other');
    PERFORM billing_partition_attach('bill', month, 'bill_other');
    PERFORM billing_partition_attach('bill_line', month, 'bill_line_other');
    RETURN true;
END $$;
