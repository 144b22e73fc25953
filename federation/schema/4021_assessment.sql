-- Assessments of machines that are to move; see federation/assess_store.h. A report is written once, with what the providers said,
-- and stays.
CREATE TABLE assessment (
    unit_id      text NOT NULL,
    id           uuid NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('cloud-host', 'physical-host', 'single-database', 'ha-database')),
    touched      text[] NOT NULL CHECK (cardinality(touched) > 0), -- systems of the machines
    clouds       text[] NOT NULL CHECK (cardinality(clouds) > 0),  -- of all of them, and the target
    to_cloud     text NOT NULL,
    to_zone      text NOT NULL,
    request      jsonb NOT NULL,
    machines     uuid[] NOT NULL CHECK (cardinality(machines) > 0),
    principal    text NOT NULL,
    operation_id uuid NOT NULL,
    state        text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed')),
    created_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    PRIMARY KEY (unit_id, id),
    CHECK ((state = 'running') = (ended_at IS NULL))
);
CREATE INDEX assessment_by_id ON assessment (id);
CREATE INDEX assessment_by_operation ON assessment (operation_id);

CREATE TABLE assessment_host (
    unit_id       text NOT NULL,
    assessment_id uuid NOT NULL,
    number        bigint NOT NULL,
    resource_id   uuid NOT NULL,
    system_id     text NOT NULL,
    cloud_id      text NOT NULL,
    report        jsonb NOT NULL,
    answers       jsonb NOT NULL,   -- of source and target
    digest        text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'), -- SM3 of report and answers, canonical
    assessed_at   timestamptz NOT NULL,
    PRIMARY KEY (unit_id, assessment_id, number),
    FOREIGN KEY (unit_id, assessment_id) REFERENCES assessment
);

-- As consent has it: a caller of some systems sees what touches them alone; one of clouds what concerns one of them.
ALTER TABLE assessment ENABLE ROW LEVEL SECURITY;
ALTER TABLE assessment FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON assessment
    USING ((SELECT coalesce(current_setting('yunqiao.all', true), '') = 'on')
        OR (unit_id = ANY ((SELECT scope_list('units'))::text[])
            AND ((SELECT scope_list('systems') = '{}') OR touched <@ (SELECT scope_list('systems'))))
        OR clouds && (SELECT scope_list('clouds')))
    WITH CHECK ((SELECT coalesce(current_setting('yunqiao.all', true), '') = 'on')
        OR (unit_id = ANY ((SELECT scope_list('units'))::text[])
            AND ((SELECT scope_list('systems') = '{}') OR touched <@ (SELECT scope_list('systems')))));
-- Whoever sees the whole sees its machines: a regulator of the target too.
ALTER TABLE assessment_host ENABLE ROW LEVEL SECURITY;
ALTER TABLE assessment_host FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON assessment_host
    USING (EXISTS (SELECT FROM assessment a WHERE a.unit_id = assessment_host.unit_id AND a.id = assessment_host.assessment_id));

CREATE FUNCTION assessment_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a report is never changed' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON assessment_host FOR EACH ROW EXECUTE FUNCTION assessment_guard();
CREATE TRIGGER guard_all BEFORE TRUNCATE ON assessment_host FOR EACH STATEMENT EXECUTE FUNCTION assessment_guard();
GRANT SELECT, INSERT, UPDATE (state, ended_at) ON assessment TO yunqiao_app;
GRANT SELECT, INSERT ON assessment_host TO yunqiao_app;

-- Without the machines, of which there may be many.
CREATE VIEW assessment_view WITH (security_invoker = true) AS
SELECT a.unit_id, a.id, a.to_cloud, a.touched, a.state, jsonb_build_object(
    'id', a.id, 'unit', a.unit_id, 'systems', a.touched, 'kind', a.kind, 'to', jsonb_build_object('cloud', a.to_cloud, 'zone', a.to_zone),
    'machines', cardinality(a.machines),
    'assessed', (SELECT count(*) FROM assessment_host h WHERE h.unit_id = a.unit_id AND h.assessment_id = a.id),
    'movable', (SELECT count(*) FROM assessment_host h WHERE h.unit_id = a.unit_id AND h.assessment_id = a.id
                AND (h.report->>'movable')::boolean),
    'state', a.state, 'operation', a.operation_id, 'principal', a.principal,
    'created_at', rfc3339(a.created_at), 'ended_at', rfc3339(a.ended_at)) AS body
FROM assessment a;
GRANT SELECT ON assessment_view TO yunqiao_app;
