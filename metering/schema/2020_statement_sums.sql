-- What the consolidated statement reads instead of all lines: the lines of each closed month added up twice, once for each unit, system
-- and cloud (statement_unit), once for each cloud, item and place without the units (statement_place). Made in the transaction that
-- closes the month, by a trigger, so that no closing can leave it out; only read afterwards. Sums of lines that were rounded once, so any
-- adding up of these gives what adding up the lines gives. Ids compare by their bytes, as the statement's order does.
CREATE TABLE statement_unit (
    unit_id text COLLATE "C" NOT NULL,
    month text COLLATE "C" NOT NULL, -- of the bill
    system_id text COLLATE "C" NOT NULL,
    cloud_id text COLLATE "C" NOT NULL,
    provider_id text COLLATE "C" NOT NULL,
    industry text COLLATE "C" NOT NULL,
    charges_fen bigint NOT NULL,
    adjustments_fen bigint NOT NULL,
    free_fen bigint NOT NULL, -- what the lines under free tariffs would have cost
    line_count bigint NOT NULL,
    PRIMARY KEY (unit_id, month, system_id, cloud_id, provider_id, industry)
);

-- Small: it does not grow with the units.
CREATE TABLE statement_place (
    month text COLLATE "C" NOT NULL,
    charge_month text COLLATE "C" NOT NULL, -- when it was used
    cloud_id text COLLATE "C" NOT NULL,
    provider_id text COLLATE "C" NOT NULL,
    item text COLLATE "C" NOT NULL,
    industry text COLLATE "C" NOT NULL,
    zone_id text COLLATE "C" NOT NULL,
    architecture text COLLATE "C" NOT NULL,
    tariff text COLLATE "C" NOT NULL,
    charges_fen bigint NOT NULL,
    adjustments_fen bigint NOT NULL,
    free_fen bigint NOT NULL,
    line_count bigint NOT NULL,
    usage numeric(38, 0) NOT NULL, -- of the charges
    price_low bigint,              -- of the charges; NULL: adjustments alone
    price_high bigint,
    PRIMARY KEY (month, charge_month, cloud_id, provider_id, item, industry, zone_id, architecture, tariff)
);

-- For pages of the statement that need the lines themselves: by unit, in the statement's order.
CREATE INDEX bill_line_statement ON bill_line (unit_id COLLATE "C", month);

SELECT scope_enable('statement_unit', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
SELECT scope_enable('statement_place', NULL, NULL, 'cloud_id', 'provider_id');
GRANT SELECT ON statement_unit, statement_place TO yunqiao_app;

CREATE TRIGGER statement_unit_immutable BEFORE UPDATE OR DELETE ON statement_unit
    FOR EACH ROW EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER statement_unit_no_truncate BEFORE TRUNCATE ON statement_unit
    FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER statement_place_immutable BEFORE UPDATE OR DELETE ON statement_place
    FOR EACH ROW EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER statement_place_no_truncate BEFORE TRUNCATE ON statement_place
    FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();

-- The sums of one month, once: a second time fails on the primary keys. Its caller's scope must see every line.
CREATE FUNCTION statement_fill(billed text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO statement_unit (unit_id, month, system_id, cloud_id, provider_id, industry, charges_fen, adjustments_fen, free_fen,
                                line_count)
    SELECT unit_id, month, system_id, cloud_id, provider_id, industry,
        coalesce(sum(amount_fen) FILTER (WHERE type = 'charge'), 0), coalesce(sum(amount_fen) FILTER (WHERE type = 'adjustment'), 0),
        coalesce(sum(list_fen) FILTER (WHERE tariff <> 'standard'), 0), count(*)
    FROM bill_line WHERE month = billed GROUP BY unit_id, month, system_id, cloud_id, provider_id, industry;
    INSERT INTO statement_place (month, charge_month, cloud_id, provider_id, item, industry, zone_id, architecture, tariff, charges_fen,
                                 adjustments_fen, free_fen, line_count, usage, price_low, price_high)
    SELECT month, charge_month, cloud_id, provider_id, item, industry, zone_id, architecture, tariff,
        coalesce(sum(amount_fen) FILTER (WHERE type = 'charge'), 0), coalesce(sum(amount_fen) FILTER (WHERE type = 'adjustment'), 0),
        coalesce(sum(list_fen) FILTER (WHERE tariff <> 'standard'), 0), count(*),
        coalesce(sum(usage) FILTER (WHERE type = 'charge'), 0), min(price_fen) FILTER (WHERE type = 'charge'),
        max(price_fen) FILTER (WHERE type = 'charge')
    FROM bill_line WHERE month = billed
    GROUP BY month, charge_month, cloud_id, provider_id, item, industry, zone_id, architecture, tariff;
END $$;
REVOKE ALL ON FUNCTION statement_fill FROM PUBLIC;

CREATE FUNCTION statement_follow() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM statement_fill(NEW.month);
    RETURN NULL;
END $$;
CREATE TRIGGER statement_follow AFTER UPDATE OF state ON billing_month FOR EACH ROW
    WHEN (NEW.state = 'closed' AND OLD.state <> 'closed') EXECUTE FUNCTION statement_follow();

SELECT set_config('yunqiao.all', 'on', true);
SELECT statement_fill(month) FROM billing_month WHERE state = 'closed';
