-- Waves: moves that go together, kept, started and reported; see federation/wave_store.h. A wave is of one unit.
CREATE TABLE wave (
    unit_id       text NOT NULL,
    id            uuid NOT NULL,
    name          text NOT NULL,
    programme     text,
    touched       text[] NOT NULL CHECK (cardinality(touched) > 0), -- systems of its hosts
    clouds        text[] NOT NULL,
    providers     text[] NOT NULL,
    state         text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'running', 'paused', 'done', 'cancelled')),
    why           text,                                 -- of the state
    cancels_moves boolean NOT NULL DEFAULT false,       -- a cancelled one: what runs, too
    terms         jsonb NOT NULL,                       -- limits, calendar, links, terms of its moves: as the request has them
    left_out      jsonb NOT NULL,                       -- machines of its assessments that cannot move
    version       bigint NOT NULL DEFAULT 1,            -- of people's words
    principal     text NOT NULL,
    acts_for      text,                                 -- who let it run: in this one's name it acts
    job_id        uuid,
    told          jsonb NOT NULL DEFAULT '{}',          -- of which system it was told that it is late, and when
    forecast_at   timestamptz,                          -- end of the last host as it was planned last
    late          boolean NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL,
    started_at    timestamptz,
    ended_at      timestamptz,
    PRIMARY KEY (unit_id, id),
    CHECK ((state IN ('done', 'cancelled')) = (ended_at IS NOT NULL)),
    CHECK (state NOT IN ('running', 'paused') OR (acts_for IS NOT NULL AND job_id IS NOT NULL AND started_at IS NOT NULL))
);
CREATE INDEX wave_by_id ON wave (id);
CREATE INDEX wave_by_programme ON wave (programme, id) WHERE programme IS NOT NULL;

CREATE TABLE wave_host (
    unit_id       text NOT NULL,
    wave_id       uuid NOT NULL,
    resource_id   uuid NOT NULL,
    number        integer NOT NULL,       -- its place in the order, from 1
    system_id     text NOT NULL,
    name          text NOT NULL,
    assessment_id uuid NOT NULL,
    facts         jsonb NOT NULL,         -- of the assessment: what planning needs
    bytes         bigint NOT NULL CHECK (bytes >= 0),
    migration_id  uuid,
    earlier       uuid[] NOT NULL DEFAULT '{}', -- migrations of it that came to nothing
    consent_id    uuid,                   -- on which it was started
    note          text,                   -- what stands in the way
    out_at        timestamptz,            -- taken out by a person
    open          boolean NOT NULL DEFAULT true, -- it is this wave's: neither has the wave ended nor was it taken out
    PRIMARY KEY (unit_id, wave_id, resource_id),
    FOREIGN KEY (unit_id, wave_id) REFERENCES wave
);
-- A machine is in one wave at a time, and a migration of one host: what was planned is not planned again.
CREATE UNIQUE INDEX wave_host_open ON wave_host (unit_id, resource_id) WHERE open;
CREATE UNIQUE INDEX wave_host_migration ON wave_host (unit_id, migration_id) WHERE migration_id IS NOT NULL;

CREATE TABLE wave_history (
    unit_id   text NOT NULL,
    wave_id   uuid NOT NULL,
    number    integer NOT NULL,
    event     text NOT NULL,
    to_state  text NOT NULL,
    instance  uuid,                       -- that it is about; NULL: the wave
    principal text,                       -- NULL: the broker
    why       text,
    at        timestamptz NOT NULL,
    PRIMARY KEY (unit_id, wave_id, number),
    FOREIGN KEY (unit_id, wave_id) REFERENCES wave
);

-- As assessments have it: who is bound to some systems sees what touches these alone; clouds and providers see what concerns them.
ALTER TABLE wave ENABLE ROW LEVEL SECURITY;
ALTER TABLE wave FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON wave
    USING ((SELECT coalesce(current_setting('yunqiao.all', true), '') = 'on')
        OR (unit_id = ANY ((SELECT scope_list('units'))::text[])
            AND ((SELECT scope_list('systems') = '{}') OR touched <@ (SELECT scope_list('systems'))))
        OR clouds && (SELECT scope_list('clouds')) OR providers && (SELECT scope_list('providers')))
    WITH CHECK ((SELECT coalesce(current_setting('yunqiao.all', true), '') = 'on')
        OR (unit_id = ANY ((SELECT scope_list('units'))::text[])
            AND ((SELECT scope_list('systems') = '{}') OR touched <@ (SELECT scope_list('systems')))));
ALTER TABLE wave_host ENABLE ROW LEVEL SECURITY;
ALTER TABLE wave_host FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON wave_host
    USING (EXISTS (SELECT FROM wave w WHERE w.unit_id = wave_host.unit_id AND w.id = wave_host.wave_id));
ALTER TABLE wave_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE wave_history FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON wave_history
    USING (EXISTS (SELECT FROM wave w WHERE w.unit_id = wave_history.unit_id AND w.id = wave_history.wave_id));
GRANT SELECT, INSERT, UPDATE ON wave, wave_host TO yunqiao_app;
GRANT SELECT, INSERT ON wave_history TO yunqiao_app;

-- A host with its move. `class` is where planning sees it: waiting, running (from the start to the target's health), done (it lives on
-- the target), failed (it came back, or a person is needed), out. `copied`: of its bytes.
CREATE VIEW wave_host_view WITH (security_invoker = true) AS
SELECT h.*, m.state AS move_state, m.version AS move_version, m.approvals, m.predicted_us, m.measured_us, m.downtime_us, m.passes, m.progress,
    m.error AS move_error, m.why AS move_why, m.down_at, m.live_at, m.source_cloud_id, s.at AS started_at,
    CASE WHEN h.out_at IS NOT NULL THEN 'out'
         WHEN h.migration_id IS NULL OR m.state IN ('assessed', 'consented', 'approved') THEN 'waiting'
         WHEN m.state IN ('holding', 'committing', 'committed') OR (m.state = 'failed' AND m.failed_in = 'committing') THEN 'done'
         WHEN m.state IN ('copying', 'synced', 'testing', 'cutting-over', 'verifying') THEN 'running'
         ELSE 'failed' END AS class,
    CASE WHEN m.state IN ('holding', 'committing', 'committed') OR m.passes > 0 THEN h.bytes
         WHEN m.state = 'copying' THEN least(h.bytes, coalesce((m.progress ->> 'done_bytes')::bigint, 0))
         ELSE 0 END AS copied,
    (SELECT sum(p.elapsed_us)::bigint FROM migration_pass p WHERE p.unit_id = h.unit_id AND p.migration_id = h.migration_id AND p.pass = 1)
        AS first_pass_us
FROM wave_host h
LEFT JOIN migration m ON m.unit_id = h.unit_id AND m.id = h.migration_id
LEFT JOIN LATERAL (SELECT min(t.at) AS at FROM migration_history t WHERE t.unit_id = h.unit_id AND t.migration_id = h.migration_id
                   AND t.event = 'start') s ON true;
GRANT SELECT ON wave_host_view TO yunqiao_app;

CREATE VIEW wave_view WITH (security_invoker = true) AS
SELECT w.unit_id, w.id, w.version, w.state, w.programme, w.touched, w.clouds, c.hosts, c.done, c.bytes, c.copied, w.forecast_at, w.late,
    jsonb_build_object('id', w.id, 'version', w.version, 'unit', w.unit_id, 'name', w.name, 'programme', w.programme, 'systems', w.touched,
        'clouds', w.clouds, 'state', w.state, 'reason', w.why, 'cutover', coalesce(w.terms ->> 'cutover', 'manual'),
        'principal', w.principal, 'acts_for', w.acts_for,
        'sums', jsonb_build_object('hosts', c.hosts, 'waiting', c.waiting, 'running', c.running, 'done', c.done, 'failed', c.failed,
            'out', c.out, 'bytes', c.bytes, 'copied_bytes', c.copied),
        'forecast_at', rfc3339(w.forecast_at), 'late', w.late, 'created_at', rfc3339(w.created_at), 'started_at', rfc3339(w.started_at),
        'ended_at', rfc3339(w.ended_at)) AS body
FROM wave w CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE class <> 'out') AS hosts,
    count(*) FILTER (WHERE class = 'waiting') AS waiting, count(*) FILTER (WHERE class = 'running') AS running,
    count(*) FILTER (WHERE class = 'done') AS done, count(*) FILTER (WHERE class = 'failed') AS failed,
    count(*) FILTER (WHERE class = 'out') AS out, coalesce(sum(bytes) FILTER (WHERE class <> 'out'), 0) AS bytes,
    coalesce(sum(copied) FILTER (WHERE class <> 'out'), 0) AS copied
    FROM wave_host_view v WHERE v.unit_id = w.unit_id AND v.wave_id = w.id) c;
GRANT SELECT ON wave_view TO yunqiao_app;
