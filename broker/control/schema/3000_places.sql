-- Places: clouds, their sites, zones and endpoints; units and their systems; quotas; capacity. Small reference tables: every
-- principal may read clouds, sites and zones (one catalog, one view); endpoints name where to log in and are not for units.

CREATE TABLE cloud (
    id           text PRIMARY KEY,
    name         text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('service', 'office', 'backup', 'health', 'education')),
    provider_id  text NOT NULL REFERENCES provider (id),
    state        text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'leaving')),
    state_reason text,
    version      bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
);
CREATE INDEX cloud_by_provider ON cloud (provider_id);

CREATE TABLE site (
    cloud_id   text NOT NULL REFERENCES cloud (id),
    id         text NOT NULL,
    name       text NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (cloud_id, id)
);

-- One hypervisor manager. The secret is a reference (file:, env:, credential:), never the secret.
CREATE TABLE endpoint (
    id          text PRIMARY KEY,
    cloud_id    text NOT NULL REFERENCES cloud (id),
    site_id     text NOT NULL,
    driver      text NOT NULL,
    url         text NOT NULL,
    username    text,
    secret      text,
    ca_file     text,
    fingerprint text,
    options     jsonb NOT NULL DEFAULT '{}',
    timeout_us  bigint NOT NULL,
    enabled     boolean NOT NULL DEFAULT true,
    enclave     boolean NOT NULL DEFAULT false, -- hosts of the medical-insurance zone only (procurement 1.3.1.2)
    version     bigint NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    synced_at   timestamptz,                    -- the last whole inventory
    sync_error  text,                           -- why the last try failed; NULL: it did not
    tried_at    timestamptz,                    -- the last try, whatever came of it
    about       jsonb,
    architectures bigint NOT NULL DEFAULT 0,    -- bits of enum driver_architecture; 0: never reported
    FOREIGN KEY (cloud_id, site_id) REFERENCES site (cloud_id, id)
);
CREATE INDEX endpoint_by_cloud ON endpoint (cloud_id);

-- Each zone of a cloud has its own endpoint (procurement 2.4.1), so that zones never share a management plane.
CREATE TABLE zone (
    cloud_id    text NOT NULL REFERENCES cloud (id),
    id          text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('extranet', 'internet', 'insurance')),
    site_id     text NOT NULL,
    endpoint_id text REFERENCES endpoint (id),
    network     text,               -- the provider's name of the network of this zone
    pool_v4     cidr CHECK (pool_v4 IS NULL OR family(pool_v4) = 4),
    pool_v6     cidr CHECK (pool_v6 IS NULL OR family(pool_v6) = 6),
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (cloud_id, id),
    FOREIGN KEY (cloud_id, site_id) REFERENCES site (cloud_id, id)
);
CREATE INDEX zone_by_endpoint ON zone (endpoint_id);

CREATE TABLE unit (
    id         text PRIMARY KEY,
    name       text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('government', 'education-commission', 'hospital', 'community', 'school', 'university', 'education-unit')),
    state      text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended')),
    version    bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
SELECT scope_enable('unit', 'id', NULL, NULL, NULL);

-- One information system: the unit's code and three digits (procurement, operational data dictionary). Only non-classified ones
-- may be hosted (procurement 1.1).
CREATE TABLE system (
    unit_id    text NOT NULL REFERENCES unit (id),
    id         text NOT NULL,
    name       text NOT NULL,
    insurance  boolean NOT NULL DEFAULT false, -- a medical-insurance system: lives in insurance zones, and only there
    version    bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (unit_id, id),
    CHECK (id ~ '[0-9]{3}$' AND left(id, length(id) - 3) = unit_id)
);
SELECT scope_enable('system', 'unit_id', 'id', NULL, NULL);

-- What a unit may hold on a cloud, by metric, and what it holds now. No row of `most`: no limit.
CREATE TABLE quota (
    unit_id  text NOT NULL,
    cloud_id text NOT NULL,
    metric   text NOT NULL CHECK (metric IN ('instances', 'vcpu', 'memory_gb', 'standard_gb', 'high_gb', 'addresses', 'bandwidth_mbps')),
    most     bigint CHECK (most >= 0),
    used     bigint NOT NULL DEFAULT 0 CHECK (used >= 0),
    PRIMARY KEY (unit_id, cloud_id, metric)
); -- a limit may be lowered below what is held; it then stops growth, so there is no CHECK (used <= most)
SELECT scope_enable('quota', 'unit_id', NULL, 'cloud_id', NULL);

-- What an endpoint offers (total, as its driver reports), what others hold there (outside) and what the broker has promised
-- (reserved). No row-level security: every order reserves here. endpoint_id '' holds what belongs to the cloud as a whole: bandwidth.
CREATE TABLE capacity (
    cloud_id    text NOT NULL,
    endpoint_id text NOT NULL,
    metric      text NOT NULL CHECK (metric IN ('vcpu', 'memory_gb', 'standard_gb', 'high_gb', 'bandwidth_mbps')),
    total       bigint NOT NULL DEFAULT 0 CHECK (total >= 0),
    outside     bigint NOT NULL DEFAULT 0 CHECK (outside >= 0),
    reserved    bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    reported_at timestamptz,
    PRIMARY KEY (cloud_id, endpoint_id, metric)
);

-- More than 80 % allocated asks for expansion within 7 days (procurement 4.1.2.2); one open alert per cause.
CREATE TABLE alert (
    id         uuid PRIMARY KEY,
    cloud_id   text NOT NULL,
    provider_id text NOT NULL,
    kind       text NOT NULL,
    subject    text NOT NULL,
    details    jsonb NOT NULL,
    raised_at  timestamptz NOT NULL,
    due_at     timestamptz,
    cleared_at timestamptz
);
CREATE UNIQUE INDEX alert_open ON alert (cloud_id, kind, subject) WHERE cleared_at IS NULL;
CREATE INDEX alert_by_time ON alert (raised_at, id);
SELECT scope_enable('alert', NULL, NULL, 'cloud_id', 'provider_id');

-- Images as the last inventory of an endpoint saw them.
CREATE TABLE image (
    endpoint_id  text NOT NULL REFERENCES endpoint (id),
    name         text NOT NULL,
    ref          text NOT NULL,
    architecture text,
    size_gb      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (endpoint_id, name)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON cloud, site, endpoint, zone, unit, system, quota, capacity, alert, image TO yunqiao_app;

-- The API's view of each: (key, version, body). security_invoker keeps row-level security that of the caller.
CREATE FUNCTION rfc3339(at timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');

CREATE VIEW cloud_view WITH (security_invoker = true) AS
SELECT c.id, c.version, c.kind, c.provider_id, jsonb_build_object(
    'id', c.id, 'name', c.name, 'kind', c.kind,
    'group', CASE WHEN c.kind IN ('health', 'education') THEN 'industry' ELSE 'government' END,
    'provider', c.provider_id, 'state', c.state, 'state_reason', c.state_reason,
    'sites', (SELECT coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'name', s.name) ORDER BY s.id), '[]') FROM site s WHERE s.cloud_id = c.id),
    'zones', (SELECT coalesce(jsonb_agg(jsonb_build_object(
                  'id', z.id, 'kind', z.kind, 'site', z.site_id, 'pool_v4', z.pool_v4::text, 'pool_v6', z.pool_v6::text,
                  'images', (SELECT coalesce(jsonb_agg(jsonb_build_object('name', i.name, 'architecture', i.architecture, 'size_gb', i.size_gb) ORDER BY i.name), '[]')
                             FROM image i WHERE i.endpoint_id = z.endpoint_id)) ORDER BY z.id), '[]') FROM zone z WHERE z.cloud_id = c.id),
    'created_at', rfc3339(c.created_at), 'updated_at', rfc3339(c.updated_at)) AS body
FROM cloud c;

-- Never the username or the secret's reference: who may read endpoints need not know where the credentials lie.
CREATE VIEW endpoint_view WITH (security_invoker = true) AS
SELECT e.id, e.version, e.cloud_id, jsonb_build_object(
    'id', e.id, 'cloud', e.cloud_id, 'site', e.site_id, 'driver', e.driver, 'url', e.url, 'fingerprint', e.fingerprint,
    'ca_file', e.ca_file, 'options', e.options, 'timeout_ms', e.timeout_us / 1000, 'enabled', e.enabled, 'enclave', e.enclave,
    'synced_at', rfc3339(e.synced_at), 'sync_error', e.sync_error, 'about', e.about,
    'created_at', rfc3339(e.created_at), 'updated_at', rfc3339(e.updated_at)) AS body
FROM endpoint e;

CREATE VIEW unit_view WITH (security_invoker = true) AS
SELECT u.id, u.version, jsonb_build_object(
    'id', u.id, 'name', u.name, 'kind', u.kind, 'state', u.state,
    'created_at', rfc3339(u.created_at), 'updated_at', rfc3339(u.updated_at)) AS body
FROM unit u;

CREATE VIEW system_view WITH (security_invoker = true) AS
SELECT s.unit_id, s.id, s.version, jsonb_build_object(
    'id', s.id, 'unit', s.unit_id, 'name', s.name, 'insurance', s.insurance, 'classified', false,
    'created_at', rfc3339(s.created_at), 'updated_at', rfc3339(s.updated_at)) AS body
FROM system s;

GRANT SELECT ON cloud_view, endpoint_view, unit_view, system_view TO yunqiao_app;
