-- Months, bills and their lines. A closed month, a bill and a line never change: neither grant nor trigger lets them.
CREATE TABLE billing_setting (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    close_grace_seconds bigint NOT NULL DEFAULT 0 CHECK (close_grace_seconds BETWEEN 0 AND 2678400)
);
INSERT INTO billing_setting DEFAULT VALUES;

CREATE TABLE billing_month (
    month text PRIMARY KEY CHECK (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    state text NOT NULL CHECK (state IN ('closing', 'closed')),
    closed_at timestamptz,
    bills bigint NOT NULL DEFAULT 0,
    lines bigint NOT NULL DEFAULT 0,
    total_fen bigint NOT NULL DEFAULT 0,
    digest text,
    CHECK ((state = 'closed') = (closed_at IS NOT NULL AND digest IS NOT NULL))
);

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
    PRIMARY KEY (unit_id, id),
    UNIQUE (unit_id, provider_id, month)
);
CREATE INDEX bill_by_month ON bill (month, unit_id, provider_id);
CREATE INDEX bill_by_id ON bill (id);

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
    PRIMARY KEY (unit_id, bill_id, line_no),
    FOREIGN KEY (unit_id, bill_id) REFERENCES bill,
    CHECK (type = 'adjustment' OR (usage > 0 AND amount_fen >= 0 AND charge_month = month)),
    CHECK (type = 'charge' OR charge_month < month),
    CHECK ((corrects_number IS NULL) = (corrects_line IS NULL) AND (type = 'adjustment' OR corrects_line IS NULL))
);
CREATE INDEX bill_line_by_month ON bill_line (month, unit_id);
CREATE INDEX bill_line_by_charge ON bill_line (unit_id, charge_month);

CREATE FUNCTION billing_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% never changes', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE FUNCTION billing_month_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'closed' OR NEW.month <> OLD.month THEN
        RAISE EXCEPTION 'a closed month never changes' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bill_immutable BEFORE UPDATE OR DELETE ON bill FOR EACH ROW EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER bill_no_truncate BEFORE TRUNCATE ON bill FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER bill_line_immutable BEFORE UPDATE OR DELETE ON bill_line FOR EACH ROW EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER bill_line_no_truncate BEFORE TRUNCATE ON bill_line
    FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER billing_month_guard BEFORE UPDATE ON billing_month FOR EACH ROW EXECUTE FUNCTION billing_month_guard();
CREATE TRIGGER billing_month_kept BEFORE DELETE ON billing_month FOR EACH ROW EXECUTE FUNCTION billing_immutable();

SELECT scope_enable('bill', 'unit_id', NULL, NULL, 'provider_id');
SELECT scope_enable('bill_line', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
-- A bill has no cloud of its own: who sees one of its lines (a regulator of a cloud) sees the bill.
CREATE POLICY bill_by_line ON bill FOR SELECT
    USING (EXISTS (SELECT FROM bill_line l WHERE l.unit_id = bill.unit_id AND l.bill_id = bill.id));

GRANT SELECT, INSERT ON bill, bill_line TO yunqiao_app;
GRANT SELECT, INSERT, UPDATE (state, closed_at, bills, lines, total_fen, digest) ON billing_month TO yunqiao_app;
GRANT SELECT, UPDATE (close_grace_seconds) ON billing_setting TO yunqiao_app;
