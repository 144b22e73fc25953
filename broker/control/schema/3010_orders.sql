-- Orders, resources and operations. Every table carries unit_id first in its key.

CREATE TABLE orders (
    unit_id      text NOT NULL,
    id           uuid NOT NULL,
    system_id    text NOT NULL,
    principal    text NOT NULL,
    state        text NOT NULL CHECK (state IN ('accepted', 'fulfilled', 'failed', 'cancelled')),
    operation_id uuid NOT NULL,
    note         text,
    created_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    PRIMARY KEY (unit_id, id)
);
CREATE INDEX orders_by_id ON orders (id);
SELECT scope_enable('orders', 'unit_id', 'system_id', NULL, NULL);

CREATE TABLE resource (
    unit_id      text NOT NULL,
    id           uuid NOT NULL,
    system_id    text NOT NULL,
    cloud_id     text NOT NULL,
    provider_id  text NOT NULL,
    zone_id      text,
    endpoint_id  text,              -- NULL: fulfilled by the broker alone (address, bandwidth)
    order_id     uuid NOT NULL,
    kind         text NOT NULL,
    name         text NOT NULL,
    state        text NOT NULL CHECK (state IN ('requested', 'creating', 'active', 'deleting', 'deleted', 'failed')),
    power        text NOT NULL DEFAULT 'none' CHECK (power IN ('none', 'on', 'off', 'suspended', 'unknown', 'error')),
    spec         jsonb NOT NULL,    -- whole and checked by the kind (catalog/kind.h)
    attached_to  uuid,              -- the instance that a volume or address belongs to
    ref          text,              -- the provider's reference
    address      text,
    operation_id uuid,              -- the operation that holds it now; NULL: free
    error        text,
    version      bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL,
    active_at    timestamptz,
    deleted_at   timestamptz,
    touched_at   timestamptz NOT NULL, -- the last change of state, power or spec; the reconciler leaves younger ones alone
    PRIMARY KEY (unit_id, id)
);
CREATE INDEX resource_by_id ON resource (id);
CREATE UNIQUE INDEX resource_name ON resource (unit_id, system_id, kind, name) WHERE state NOT IN ('deleted', 'failed');
CREATE INDEX resource_list ON resource (kind, id) WHERE state <> 'deleted';
CREATE INDEX resource_by_unit ON resource (unit_id, kind, id) WHERE state <> 'deleted';
CREATE INDEX resource_by_order ON resource (unit_id, order_id);
CREATE INDEX resource_by_endpoint ON resource (endpoint_id, id) WHERE state NOT IN ('deleted', 'failed');
CREATE INDEX resource_ended ON resource (endpoint_id, deleted_at) WHERE state IN ('deleted', 'failed');
CREATE INDEX resource_attached ON resource (unit_id, attached_to) WHERE attached_to IS NOT NULL AND state NOT IN ('deleted', 'failed');
SELECT scope_enable('resource', 'unit_id', 'system_id', 'cloud_id', 'provider_id');

CREATE TABLE operation (
    unit_id      text NOT NULL,
    id           uuid NOT NULL,
    system_id    text NOT NULL,
    cloud_id     text,              -- NULL: several clouds
    provider_id  text,              -- of that cloud
    kind         text NOT NULL,
    order_id     uuid,
    resource_id  uuid,
    job_id       uuid,
    principal    text NOT NULL,
    state        text NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    percent      integer NOT NULL DEFAULT 0 CHECK (percent BETWEEN 0 AND 100),
    step         text,
    args         jsonb NOT NULL DEFAULT '{}',
    result       jsonb,
    error        jsonb,
    cancel_asked boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL,
    started_at   timestamptz,
    seen_at      timestamptz,       -- when percent was last told
    ended_at     timestamptz,
    PRIMARY KEY (unit_id, id)
);
CREATE INDEX operation_by_id ON operation (id);
CREATE INDEX operation_by_job ON operation (job_id);
SELECT scope_enable('operation', 'unit_id', 'system_id', 'cloud_id', 'provider_id');

-- Internet addresses given out of a zone's pool; one row per address in use (procurement 3.2.1.9).
CREATE TABLE address_lease (
    cloud_id    text NOT NULL,
    zone_id     text NOT NULL,
    address     inet NOT NULL,
    unit_id     text NOT NULL,
    resource_id uuid NOT NULL,
    PRIMARY KEY (cloud_id, zone_id, address)
);
CREATE UNIQUE INDEX address_lease_resource ON address_lease (resource_id);

-- Where what a driver reports and what the broker holds differ. Open until seen equal again or resolved by a person.
CREATE TABLE drift (
    id          uuid PRIMARY KEY,
    cloud_id    text NOT NULL,
    endpoint_id text NOT NULL,
    provider_id text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('missing', 'orphan', 'foreign', 'power', 'size')),
    subject     text NOT NULL,      -- resource id, or the provider's reference of an object without one
    unit_id     text,
    resource_id uuid,
    expected    jsonb,
    seen        jsonb,
    first_seen  timestamptz NOT NULL,
    last_seen   timestamptz NOT NULL,
    dismissed   boolean NOT NULL DEFAULT false, -- a person knows of it: kept, not shown as open
    resolved_at timestamptz,                    -- seen equal again, or settled by a person
    resolution  text
);
CREATE UNIQUE INDEX drift_open ON drift (endpoint_id, kind, subject) WHERE resolved_at IS NULL;
CREATE INDEX drift_list ON drift (first_seen, id);
SELECT scope_enable('drift', 'unit_id', NULL, 'cloud_id', 'provider_id');

GRANT SELECT, INSERT, UPDATE ON orders, resource, operation, drift TO yunqiao_app;
GRANT SELECT, INSERT, DELETE ON address_lease TO yunqiao_app;

CREATE VIEW resource_view WITH (security_invoker = true) AS
SELECT r.unit_id, r.id, r.kind, r.cloud_id, r.system_id, r.state, r.version, jsonb_build_object(
    'id', r.id, 'kind', r.kind, 'name', r.name, 'unit', r.unit_id, 'system', r.system_id, 'cloud', r.cloud_id,
    'provider', r.provider_id, 'zone', r.zone_id, 'order', r.order_id, 'state', r.state, 'power', r.power, 'spec', r.spec,
    'attached_to', r.attached_to, 'address', r.address, 'operation', r.operation_id, 'error', r.error,
    'created_at', rfc3339(r.created_at), 'active_at', rfc3339(r.active_at), 'deleted_at', rfc3339(r.deleted_at)) AS body
FROM resource r;

CREATE VIEW operation_view WITH (security_invoker = true) AS
SELECT o.unit_id, o.id, o.state, o.resource_id, o.order_id, jsonb_build_object(
    'id', o.id, 'kind', o.kind, 'unit', o.unit_id, 'system', o.system_id, 'cloud', o.cloud_id, 'order', o.order_id,
    'resource', o.resource_id, 'principal', o.principal, 'state', o.state, 'percent', o.percent, 'step', o.step,
    'cancel_asked', o.cancel_asked, 'result', o.result, 'error', o.error, 'created_at', rfc3339(o.created_at),
    'started', rfc3339(o.started_at), 'ended', rfc3339(o.ended_at),
    'eta', CASE WHEN o.state = 'running' AND o.percent BETWEEN 5 AND 99
                THEN rfc3339(o.started_at + (o.seen_at - o.started_at) * 100 / o.percent) END) AS body
FROM operation o;

CREATE VIEW order_view WITH (security_invoker = true) AS
SELECT o.unit_id, o.id, o.state, o.system_id, jsonb_build_object(
    'id', o.id, 'unit', o.unit_id, 'system', o.system_id, 'principal', o.principal, 'state', o.state, 'note', o.note,
    'operation', o.operation_id,
    'resources', (SELECT coalesce(jsonb_agg(v.body ORDER BY v.id), '[]')
                  FROM resource r JOIN resource_view v ON v.unit_id = r.unit_id AND v.id = r.id
                  WHERE r.unit_id = o.unit_id AND r.order_id = o.id),
    'created_at', rfc3339(o.created_at), 'ended_at', rfc3339(o.ended_at)) AS body
FROM orders o;

CREATE VIEW drift_view WITH (security_invoker = true) AS
SELECT d.id, d.cloud_id, d.kind, d.dismissed, d.resolved_at, jsonb_build_object(
    'id', d.id, 'cloud', d.cloud_id, 'endpoint', d.endpoint_id, 'kind', d.kind, 'subject', d.subject, 'unit', d.unit_id,
    'resource', d.resource_id, 'expected', d.expected, 'seen', d.seen, 'first_seen', rfc3339(d.first_seen), 'dismissed', d.dismissed,
    'last_seen', rfc3339(d.last_seen), 'resolved_at', rfc3339(d.resolved_at), 'resolution', d.resolution) AS body
FROM drift d;

GRANT SELECT ON resource_view, operation_view, order_view, drift_view TO yunqiao_app;
