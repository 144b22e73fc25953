-- The application's role, and row-level security by the caller's scope (struct db_scope). The broker connects as yunqiao_app,
-- which owns nothing and cannot bypass row-level security; migrations run as the owner, who needs CREATEROLE once. Roles belong to
-- the whole cluster, so this one may exist already.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'yunqiao_app') THEN
        CREATE ROLE yunqiao_app LOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- another database of this cluster was migrated at the same moment
END $$;

CREATE EXTENSION IF NOT EXISTS btree_gist;

GRANT SELECT ON schema_migration TO yunqiao_app;

-- One list of the transaction's scope; empty when nothing was set.
CREATE FUNCTION scope_list(name text) RETURNS text[]
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN string_to_array(coalesce(current_setting('yunqiao.' || name, true), ''), ',');

-- Whether the transaction's scope holds a thing, for single look-ups and views. A NULL argument: the thing has no such side. Tables
-- have the same rule as a policy, made by scope_enable, which reads the settings once a query instead of once a row.
CREATE FUNCTION scope_sees(unit text, system text, cloud text, provider text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(current_setting('yunqiao.all', true), '') = 'on'
        OR coalesce(unit = ANY (scope_list('units'))
            AND (scope_list('systems') = '{}' OR system = ANY (scope_list('systems'))), false)
        OR coalesce(cloud = ANY (scope_list('clouds')), false)
        OR coalesce(provider = ANY (scope_list('providers')), false);

-- Puts a table under row-level security, for its owner too. Name the columns that hold unit, system, cloud and provider; NULL for
-- one that the table lacks. A scope that lists systems does not see rows whose system is NULL; where the table has no column for
-- it, the unit decides. Every (SELECT …) is an InitPlan: evaluated at most once a query, and not at all when an earlier branch of
-- the OR holds. The same rule is checked on what is written.
CREATE FUNCTION scope_enable(target regclass, unit_col text, system_col text, cloud_col text, provider_col text) RETURNS void
    LANGUAGE plpgsql AS $$
DECLARE
    rule text := '(SELECT coalesce(current_setting(''yunqiao.all'', true), '''') = ''on'')';
    unit_rule text;
BEGIN
    IF unit_col IS NOT NULL THEN
        unit_rule := format('%I::text = ANY ((SELECT scope_list(''units''))::text[])', unit_col);
        IF system_col IS NOT NULL THEN
            unit_rule := unit_rule || format(
                ' AND ((SELECT scope_list(''systems'') = ''{}'') OR %I::text = ANY ((SELECT scope_list(''systems''))::text[]))',
                system_col);
        END IF;
        rule := rule || ' OR (' || unit_rule || ')';
    END IF;
    IF cloud_col IS NOT NULL THEN
        rule := rule || format(' OR %I::text = ANY ((SELECT scope_list(''clouds''))::text[])', cloud_col);
    END IF;
    IF provider_col IS NOT NULL THEN
        rule := rule || format(' OR %I::text = ANY ((SELECT scope_list(''providers''))::text[])', provider_col);
    END IF;
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY scope ON %s USING (%s) WITH CHECK (%s)', target, rule, rule);
END $$;
