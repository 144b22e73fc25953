-- What a closing wrote is whole: nothing is added to it later, and nothing is emptied at once. Bills and lines come in only while
-- their month is closing, which it is inside the closing's own transaction alone.
CREATE FUNCTION billing_sealed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM billing_month m WHERE m.month = NEW.month AND m.state = 'closing') THEN
        RAISE EXCEPTION 'a month that is not closing takes no bills: a closed one never changes'
            USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER bill_sealed BEFORE INSERT ON bill FOR EACH ROW EXECUTE FUNCTION billing_sealed();
CREATE TRIGGER bill_line_sealed BEFORE INSERT ON bill_line FOR EACH ROW EXECUTE FUNCTION billing_sealed();

CREATE FUNCTION billing_month_begin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'closing' THEN
        RAISE EXCEPTION 'a month is closed by its closing alone, or it never changes' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER billing_month_begin BEFORE INSERT ON billing_month FOR EACH ROW EXECUTE FUNCTION billing_month_begin();
CREATE TRIGGER billing_month_no_truncate BEFORE TRUNCATE ON billing_month
    FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();
CREATE TRIGGER usage_interval_no_truncate BEFORE TRUNCATE ON usage_interval
    FOR EACH STATEMENT EXECUTE FUNCTION billing_immutable();
