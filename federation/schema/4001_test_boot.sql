-- Test boots of migrations: a row for each that somebody asked for, with its terms and what it showed (federation/migration_test.h).
ALTER TABLE migration ADD COLUMN test_required boolean NOT NULL DEFAULT false; -- no cut-over unless the last test has passed

CREATE TABLE migration_test (
    unit_id        text NOT NULL,
    migration_id   uuid NOT NULL,
    number         integer NOT NULL CHECK (number > 0),
    id             uuid NOT NULL,           -- stamp of the test instance
    system_id      text NOT NULL,
    clouds         text[] NOT NULL,
    providers      text[] NOT NULL,
    seconds        integer NOT NULL CHECK (seconds > 0),
    stays_seconds  integer NOT NULL CHECK (stays_seconds BETWEEN 1 AND seconds),
    expect_console text,                    -- NULL: anything at all
    agent          boolean NOT NULL,
    principal      text NOT NULL,
    asked_at       timestamptz NOT NULL,
    pass           integer,                 -- of how many passes its disks are
    booted_at      timestamptz,
    ended_at       timestamptz,
    outcome        text CHECK (outcome IN ('passed', 'failed', 'cancelled')), -- NULL: it is not over
    why            text,
    checks         jsonb,
    console        text,                    -- the last of what its guest printed
    PRIMARY KEY (unit_id, migration_id, number),
    CHECK ((outcome IS NULL) = (ended_at IS NULL))
);
CREATE UNIQUE INDEX migration_test_open ON migration_test (unit_id, migration_id) WHERE outcome IS NULL;

-- As the tables of 4000_migration.sql are seen.
ALTER TABLE migration_test ENABLE ROW LEVEL SECURITY;
ALTER TABLE migration_test FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON migration_test
    USING ((SELECT coalesce(current_setting('yunqiao.all', true), '') = 'on')
        OR (unit_id = ANY ((SELECT scope_list('units'))::text[])
            AND ((SELECT scope_list('systems') = '{}') OR system_id = ANY ((SELECT scope_list('systems'))::text[])))
        OR clouds && (SELECT scope_list('clouds')) OR providers && (SELECT scope_list('providers')))
    WITH CHECK ((SELECT coalesce(current_setting('yunqiao.all', true), '') = 'on')
        OR (unit_id = ANY ((SELECT scope_list('units'))::text[])
            AND ((SELECT scope_list('systems') = '{}') OR system_id = ANY ((SELECT scope_list('systems'))::text[])))
        OR clouds && (SELECT scope_list('clouds')) OR providers && (SELECT scope_list('providers')));

-- What a test has shown stays so.
CREATE FUNCTION migration_test_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.outcome IS NOT NULL THEN
        RAISE EXCEPTION 'a test boot that is over does not change' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON migration_test FOR EACH ROW EXECUTE FUNCTION migration_test_guard();
GRANT SELECT, INSERT, UPDATE ON migration_test TO yunqiao_app;
