-- Migrations: one instance's move from one cloud to another; see federation/migration.h. Every table leads its key with the unit
-- and is seen by the unit, by both clouds and by both providers.
CREATE TABLE migration (
    unit_id            text NOT NULL,
    id                 uuid NOT NULL,
    system_id          text NOT NULL,
    clouds             text[] NOT NULL,
    providers          text[] NOT NULL,
    resource_id        uuid NOT NULL,
    name               text NOT NULL,      -- the instance's
    source_cloud_id    text NOT NULL,
    source_provider_id text NOT NULL,
    source_zone_id     text NOT NULL,
    source_site_id     text NOT NULL,
    source_endpoint_id text NOT NULL,
    source_ref         text,
    target_cloud_id    text NOT NULL,
    target_provider_id text NOT NULL,
    target_zone_id     text NOT NULL,
    target_site_id     text NOT NULL,
    target_endpoint_id text NOT NULL,
    target_network     text,
    target_ref         text,
    method             text NOT NULL CHECK (method IN ('live', 'mobility', 'warm', 'cold')),
    method_why         text NOT NULL,
    state              text NOT NULL CHECK (state IN ('assessed', 'consented', 'approved', 'copying', 'synced', 'testing',
                           'cutting-over', 'verifying', 'holding', 'committing', 'rolling-back', 'cancelling', 'failed',
                           'committed', 'rolled-back', 'cancelled')),
    step               integer NOT NULL DEFAULT 0 CHECK (step >= 0), -- of the state's list that are done
    failed_in          text,
    version            bigint NOT NULL DEFAULT 1,                    -- of the state and of people's words
    assessment_id      uuid,
    plan               jsonb NOT NULL,
    rollback_plan      jsonb NOT NULL,
    approvals          text NOT NULL CHECK (approvals IN ('none', 'unit', 'unit+platform')),
    window_from        timestamptz,
    window_until       timestamptz,
    downtime_us        bigint NOT NULL DEFAULT 0 CHECK (downtime_us >= 0), -- agreed; 0: any
    hold_us            bigint NOT NULL CHECK (hold_us >= 0),
    commits_itself     boolean NOT NULL DEFAULT false,
    bandwidth          bigint NOT NULL DEFAULT 0 CHECK (bandwidth >= 0),   -- bytes a second; 0: no limit
    proof              text NOT NULL DEFAULT 'full' CHECK (proof IN ('full', 'sampled')), -- of what the target is read back
    shape              jsonb,              -- of the instance when copying began: its spec, disks and volumes
    moved              jsonb,              -- what goes along: its spec and its volumes' when it was started
    was_on             boolean NOT NULL DEFAULT true,
    predicted_us       bigint NOT NULL DEFAULT -1,
    measured_us        bigint,             -- downtime of the cut-over
    progress           jsonb,              -- of the pass that runs
    passes             integer NOT NULL DEFAULT 0,
    passed_at          timestamptz,
    source_seen        jsonb,
    target_seen        jsonb,
    test               jsonb,              -- what the last test boot showed
    accepted_at        timestamptz,
    accepted_by        text,
    down_at            timestamptz,        -- the source was stopped
    live_at            timestamptz,        -- the resource's row moved
    hold_until         timestamptz,
    hold_told          boolean NOT NULL DEFAULT false,
    why                text,               -- of the present state
    error              text,               -- what is being tried again, or stands in the way
    job_id             uuid,
    principal          text NOT NULL,
    created_at         timestamptz NOT NULL,
    touched_at         timestamptz NOT NULL,
    ended_at           timestamptz,
    PRIMARY KEY (unit_id, id),
    CHECK (source_endpoint_id <> target_endpoint_id),
    CHECK ((window_from IS NULL) = (window_until IS NULL) AND window_from < window_until),
    CHECK ((state IN ('committed', 'rolled-back', 'cancelled')) = (ended_at IS NOT NULL)),
    CHECK ((state = 'failed') = (failed_in IS NOT NULL))
);
CREATE INDEX migration_by_id ON migration (id);
CREATE UNIQUE INDEX migration_open ON migration (unit_id, resource_id) WHERE ended_at IS NULL;

-- Each transition, and each word of a person.
CREATE TABLE migration_history (
    unit_id      text NOT NULL,
    migration_id uuid NOT NULL,
    number       integer NOT NULL,
    system_id    text NOT NULL,
    clouds       text[] NOT NULL,
    providers    text[] NOT NULL,
    event        text NOT NULL,
    from_state   text,
    to_state     text NOT NULL,
    principal    text,               -- NULL: the broker
    why          text,
    at           timestamptz NOT NULL,
    PRIMARY KEY (unit_id, migration_id, number)
);
CREATE TABLE migration_approval (
    unit_id      text NOT NULL,
    migration_id uuid NOT NULL,
    part         text NOT NULL CHECK (part IN ('unit', 'platform')),
    system_id    text NOT NULL,
    clouds       text[] NOT NULL,
    providers    text[] NOT NULL,
    principal    text NOT NULL,
    note         text,
    at           timestamptz NOT NULL,
    PRIMARY KEY (unit_id, migration_id, part)
);
-- What was made for the move, written before it is made.
CREATE TABLE migration_ledger (
    unit_id      text NOT NULL,
    migration_id uuid NOT NULL,
    side         text NOT NULL CHECK (side IN ('source', 'target')),
    kind         text NOT NULL CHECK (kind IN ('instance', 'room', 'export', 'checkpoint', 'snapshot', 'manifest', 'test')),
    what         text NOT NULL,
    system_id    text NOT NULL,
    clouds       text[] NOT NULL,
    providers    text[] NOT NULL,
    made_at      timestamptz NOT NULL,
    removed_at   timestamptz,
    PRIMARY KEY (unit_id, migration_id, side, kind, what)
);
CREATE TABLE migration_pass (
    unit_id       text NOT NULL,
    migration_id  uuid NOT NULL,
    disk          text NOT NULL,
    pass          integer NOT NULL,
    system_id     text NOT NULL,
    clouds        text[] NOT NULL,
    providers     text[] NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('full', 'changed', 'compared')),
    why           text,              -- a full or compared one that could have been of the changes alone
    disk_bytes    bigint NOT NULL,
    written_bytes bigint NOT NULL,
    read_bytes    bigint NOT NULL,
    elapsed_us    bigint NOT NULL,
    digest        text NOT NULL,
    quiesced      boolean NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (unit_id, migration_id, disk, pass)
);

-- As scope_enable makes it, for things between two clouds.
CREATE FUNCTION migration_scope(target regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    rule text := '(SELECT coalesce(current_setting(''yunqiao.all'', true), '''') = ''on'')'
        ' OR (unit_id = ANY ((SELECT scope_list(''units''))::text[])'
        ' AND ((SELECT scope_list(''systems'') = ''{}'') OR system_id = ANY ((SELECT scope_list(''systems''))::text[])))'
        ' OR clouds && (SELECT scope_list(''clouds'')) OR providers && (SELECT scope_list(''providers''))';
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', target);
    EXECUTE format('CREATE POLICY scope ON %s USING (%s) WITH CHECK (%s)', target, rule, rule);
END $$;
SELECT migration_scope(t) FROM unnest('{migration,migration_history,migration_approval,migration_ledger,migration_pass}'::regclass[]) AS t;
DROP FUNCTION migration_scope(regclass);

-- An ending is not written while something that was made for it is left; and it is written once.
CREATE FUNCTION migration_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION 'a migration that has ended does not change' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.ended_at IS NOT NULL AND EXISTS (SELECT FROM migration_ledger l WHERE l.unit_id = NEW.unit_id
            AND l.migration_id = NEW.id AND l.removed_at IS NULL) THEN
        RAISE EXCEPTION 'the ledger of the migration is not empty' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON migration FOR EACH ROW EXECUTE FUNCTION migration_guard();

GRANT SELECT, INSERT, UPDATE ON migration, migration_ledger TO yunqiao_app;
GRANT SELECT, INSERT ON migration_history, migration_approval, migration_pass TO yunqiao_app;

CREATE VIEW migration_view WITH (security_invoker = true) AS
SELECT m.unit_id, m.id, m.version, m.state, m.system_id, m.clouds, m.resource_id, jsonb_build_object(
    'id', m.id, 'version', m.version, 'unit', m.unit_id, 'system', m.system_id, 'instance', m.resource_id, 'name', m.name,
    'source', jsonb_build_object('cloud', m.source_cloud_id, 'provider', m.source_provider_id, 'zone', m.source_zone_id,
                                 'site', m.source_site_id, 'seen', m.source_seen),
    'target', jsonb_build_object('cloud', m.target_cloud_id, 'provider', m.target_provider_id, 'zone', m.target_zone_id,
                                 'site', m.target_site_id, 'seen', m.target_seen),
    'method', m.method, 'method_reason', m.method_why, 'state', m.state, 'failed_in', m.failed_in, 'reason', m.why,
    'error', m.error, 'assessment', m.assessment_id, 'approvals', m.approvals,
    'window', CASE WHEN m.window_from IS NOT NULL
                   THEN jsonb_build_object('from', rfc3339(m.window_from), 'until', rfc3339(m.window_until)) END,
    'downtime_seconds', m.downtime_us / 1000000, 'hold_days', m.hold_us / 86400000000, 'commits_itself', m.commits_itself,
    'bandwidth', m.bandwidth, 'downtime', jsonb_build_object('predicted_ms', CASE WHEN m.predicted_us >= 0 THEN m.predicted_us / 1000 END,
                                                             'measured_ms', m.measured_us / 1000),
    'progress', m.progress, 'passes', m.passes, 'test', m.test, 'accepted_at', rfc3339(m.accepted_at),
    'accepted_by', m.accepted_by, 'live_at', rfc3339(m.live_at), 'hold_until', rfc3339(m.hold_until), 'principal', m.principal,
    'created_at', rfc3339(m.created_at), 'ended_at', rfc3339(m.ended_at)) AS body,
    jsonb_build_object('plan', m.plan, 'rollback_plan', m.rollback_plan) AS plans
FROM migration m;
GRANT SELECT ON migration_view TO yunqiao_app;
