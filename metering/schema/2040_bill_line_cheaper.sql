-- Writing a closed month's lines, without what repeats itself. Units compare by their bytes, as the statement's order and the sums'
-- tables do, so that the primary key has the statement's order and an index of its own for it is not needed. Policies name the columns:
-- they go and come back.
DROP POLICY bill_by_line ON bill;
DROP POLICY scope ON bill;
DROP POLICY scope ON bill_line;
DROP INDEX bill_line_statement;
ALTER TABLE bill ALTER COLUMN unit_id TYPE text COLLATE "C";
ALTER TABLE bill_line ALTER COLUMN unit_id TYPE text COLLATE "C";
SELECT scope_enable('bill', 'unit_id', NULL, NULL, 'provider_id');
SELECT scope_enable('bill_line', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
CREATE POLICY bill_by_line ON bill FOR SELECT USING (EXISTS
    (SELECT FROM bill_line l WHERE l.unit_id = bill.unit_id AND l.month = bill.month AND l.bill_id = bill.id));

-- The same rules in two constraints instead of eight: each is computed for every line.
ALTER TABLE bill_line DROP CONSTRAINT bill_line_line_no_check1, DROP CONSTRAINT bill_line_price_fen_check1,
    DROP CONSTRAINT bill_line_type_check1, DROP CONSTRAINT bill_line_tariff_check1, DROP CONSTRAINT bill_line_check4,
    DROP CONSTRAINT bill_line_check5, DROP CONSTRAINT bill_line_check6, DROP CONSTRAINT bill_line_check7,
    ADD CONSTRAINT bill_line_type CHECK (line_no > 0 AND price_fen > 0 AND CASE type
        WHEN 'charge' THEN usage > 0 AND amount_fen >= 0 AND charge_month = month AND corrects_number IS NULL AND corrects_line IS NULL
        WHEN 'adjustment' THEN charge_month < month AND (corrects_number IS NULL) = (corrects_line IS NULL)
        ELSE false END),
    ADD CONSTRAINT bill_line_tariff CHECK (CASE tariff
        WHEN 'standard' THEN amount_fen = list_fen
        WHEN 'expansion' THEN amount_fen = 0
        WHEN 'allowance' THEN amount_fen = 0
        ELSE false END);

-- bill_sealed asks once a statement that the bills' month is there and closing, and a month never goes (billing_month_kept); the foreign
-- key asked the same of every bill.
ALTER TABLE bill DROP CONSTRAINT bill_month_fkey1;

-- As 2020's, with the month said once.
CREATE OR REPLACE FUNCTION statement_fill(billed text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO statement_unit (unit_id, month, system_id, cloud_id, provider_id, industry, charges_fen, adjustments_fen, free_fen,
                                line_count)
    SELECT unit_id, billed, system_id, cloud_id, provider_id, industry,
        coalesce(sum(amount_fen) FILTER (WHERE type = 'charge'), 0), coalesce(sum(amount_fen) FILTER (WHERE type = 'adjustment'), 0),
        coalesce(sum(list_fen) FILTER (WHERE tariff <> 'standard'), 0), count(*)
    FROM bill_line WHERE month = billed GROUP BY unit_id, system_id, cloud_id, provider_id, industry;
    INSERT INTO statement_place (month, charge_month, cloud_id, provider_id, item, industry, zone_id, architecture, tariff, charges_fen,
                                 adjustments_fen, free_fen, line_count, usage, price_low, price_high)
    SELECT billed, charge_month, cloud_id, provider_id, item, industry, zone_id, architecture, tariff,
        coalesce(sum(amount_fen) FILTER (WHERE type = 'charge'), 0), coalesce(sum(amount_fen) FILTER (WHERE type = 'adjustment'), 0),
        coalesce(sum(list_fen) FILTER (WHERE tariff <> 'standard'), 0), count(*),
        coalesce(sum(usage) FILTER (WHERE type = 'charge'), 0), min(price_fen) FILTER (WHERE type = 'charge'),
        max(price_fen) FILTER (WHERE type = 'charge')
    FROM bill_line WHERE month = billed
    GROUP BY charge_month, cloud_id, provider_id, item, industry, zone_id, architecture, tariff;
END $$;
