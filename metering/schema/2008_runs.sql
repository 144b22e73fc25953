-- Rating runs: what a closing, or a rating before it, was made from and what it came to. The same inputs give the same digest, so that
-- anyone can repeat a run and compare. What all units together owe is for those who see all (the API's rule), so the table has no owner.
CREATE TABLE rating_run (
    id uuid PRIMARY KEY,
    month text NOT NULL CHECK (month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    purpose text NOT NULL CHECK (purpose IN ('rate', 'close')),
    program text NOT NULL,                 -- version of the broker that ran it
    workers integer NOT NULL,
    started_at timestamptz NOT NULL,       -- the broker's clock
    began_at timestamptz NOT NULL DEFAULT now(), -- the database's: what came in later may not be in it
    took_us bigint NOT NULL,
    units bigint NOT NULL,
    intervals bigint NOT NULL,             -- read, of all months that were rated
    usage numeric(38, 0) NOT NULL,         -- their quantity × time within the month: micro-units × microseconds
    prices_digest text NOT NULL,           -- SM3 over the prices and prorations that were applied
    bills bigint NOT NULL,
    lines bigint NOT NULL,
    total_fen bigint NOT NULL,
    digest text NOT NULL                   -- as a closed month's: SM3 over "number digest" of every bill
);
CREATE INDEX rating_run_by_month ON rating_run (month, started_at, id);
CREATE TRIGGER rating_run_immutable BEFORE UPDATE OR DELETE ON rating_run FOR EACH ROW EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER rating_run_no_truncate BEFORE TRUNCATE ON rating_run FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();
GRANT SELECT, INSERT ON rating_run TO yunqiao_app;

-- When a change was made, so that it is known whether a month was rated since.
ALTER TABLE usage_change ADD COLUMN made_at timestamptz NOT NULL DEFAULT clock_timestamp();

-- The broker's signature (Ed25519, base64url) over a closed bill and month, and the key that made it; NULL: closed before there were any.
ALTER TABLE bill ADD COLUMN kid text, ADD COLUMN signature text, ADD CHECK ((kid IS NULL) = (signature IS NULL));
ALTER TABLE billing_month ADD COLUMN kid text, ADD COLUMN signature text, ADD CHECK ((kid IS NULL) = (signature IS NULL)),
    ADD COLUMN run_id uuid REFERENCES rating_run;
GRANT UPDATE (kid, signature, run_id) ON billing_month TO yunqiao_app;

-- The same rule as 2003's, asked once for each statement: a closing writes thousands of lines with one.
DROP TRIGGER bill_sealed ON bill;
DROP TRIGGER bill_line_sealed ON bill_line;
CREATE OR REPLACE FUNCTION billing_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT month FROM added GROUP BY month HAVING NOT EXISTS
               (SELECT FROM billing_month m WHERE m.month = added.month AND m.state = 'closing')) THEN
        RAISE EXCEPTION 'a month that is not closing takes no bills: a closed one never changes'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER bill_sealed AFTER INSERT ON bill REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION billing_sealed();
CREATE TRIGGER bill_line_sealed AFTER INSERT ON bill_line REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION billing_sealed();
