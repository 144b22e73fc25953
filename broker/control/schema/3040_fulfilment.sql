-- What the provider's operator has to do for resources without a driver; see broker/control/fulfilment.h.
CREATE TABLE fulfilment (
    unit_id      text NOT NULL,
    id           uuid NOT NULL,
    system_id    text NOT NULL,
    cloud_id     text NOT NULL,
    provider_id  text NOT NULL,
    zone_id      text,
    resource_id  uuid NOT NULL,
    operation_id uuid NOT NULL,
    job_id       uuid,              -- that waits for it; NULL: nobody does
    verb         text NOT NULL CHECK (verb IN ('create', 'resize', 'delete')),
    kind         text NOT NULL,
    name         text NOT NULL,
    spec         jsonb NOT NULL,    -- what shall be; of a deletion what was
    before       jsonb,             -- of a resize: what was
    attached_to  uuid,
    state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'completed', 'refused', 'withdrawn')),
    reference    text,              -- the operator's, of what was done
    address      text,
    reason       text,              -- of a refusal
    created_at   timestamptz NOT NULL,
    due_at       timestamptz NOT NULL,
    ended_at     timestamptz,
    ended_by     text,              -- the principal; NULL: the broker
    PRIMARY KEY (unit_id, id),
    CHECK ((state = 'open') = (ended_at IS NULL))
);
-- One of each verb for an operation's resource: asking again after a crash finds it.
CREATE UNIQUE INDEX fulfilment_once ON fulfilment (unit_id, operation_id, resource_id, verb);
CREATE INDEX fulfilment_by_id ON fulfilment (id);
CREATE INDEX fulfilment_open ON fulfilment (provider_id, id) WHERE state = 'open';
SELECT scope_enable('fulfilment', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
GRANT SELECT, INSERT, UPDATE ON fulfilment TO yunqiao_app;

-- Without "overdue", which needs the caller's time.
CREATE VIEW fulfilment_view WITH (security_invoker = true) AS
SELECT f.unit_id, f.id, f.cloud_id, f.kind, f.state, f.due_at, jsonb_build_object(
    'id', f.id, 'unit', f.unit_id, 'system', f.system_id, 'cloud', f.cloud_id, 'provider', f.provider_id, 'zone', f.zone_id,
    'resource', f.resource_id, 'operation', f.operation_id, 'verb', f.verb, 'kind', f.kind, 'name', f.name, 'spec', f.spec,
    'before', f.before, 'attached_to', f.attached_to, 'state', f.state, 'reference', f.reference, 'address', f.address,
    'reason', f.reason, 'created_at', rfc3339(f.created_at), 'due_at', rfc3339(f.due_at), 'ended_at', rfc3339(f.ended_at),
    'ended_by', f.ended_by) AS body
FROM fulfilment f;
GRANT SELECT ON fulfilment_view TO yunqiao_app;

-- What is fulfilled by the provider's operator counts against quotas too.
ALTER TABLE quota DROP CONSTRAINT quota_metric_check;
ALTER TABLE quota ADD CONSTRAINT quota_metric_check CHECK (metric IN ('instances', 'vcpu', 'memory_gb', 'standard_gb', 'high_gb',
    'addresses', 'bandwidth_mbps', 'servers', 'gpu_gb', 'static_gb', 'backup_gb'));
