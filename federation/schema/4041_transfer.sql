-- Machines that leave and come as files: exports and imports; see federation/transfer.h. Seen by the unit, the cloud that the
-- machine is or shall be on, and its provider.
CREATE TABLE transfer (
    unit_id      text NOT NULL,
    id           uuid NOT NULL,
    system_id    text NOT NULL,
    cloud_id     text NOT NULL,
    provider_id  text NOT NULL,
    direction    text NOT NULL CHECK (direction IN ('export', 'import')),
    resource_id  uuid,               -- the exported instance, or the one that was made
    name         text NOT NULL,      -- the instance's
    format       text NOT NULL CHECK (format IN ('raw', 'qcow2', 'vmdk', 'ova')),
    state        text NOT NULL CHECK (state IN ('uploading', 'working', 'ready', 'done', 'failed', 'deleting', 'deleted')),
    request      jsonb NOT NULL,
    bytes        bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0), -- of disk space that it has or may come to need
    machine      jsonb,              -- what the exported one is; what was found in what came
    consent_id   uuid,               -- that an export rests on
    manifest     jsonb,              -- sealed: manifest, digest, signature
    error        text,
    operation_id uuid,
    cleaner_id   uuid,               -- the job that removes its files
    principal    text NOT NULL,
    version      bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL,
    ready_at     timestamptz,
    expires_at   timestamptz,
    ended_at     timestamptz,        -- its files are gone
    PRIMARY KEY (unit_id, id),
    CHECK ((state = 'deleted') = (ended_at IS NOT NULL))
);
CREATE INDEX transfer_by_id ON transfer (id);
CREATE INDEX transfer_by_operation ON transfer (operation_id);
CREATE INDEX transfer_held ON transfer (bytes) WHERE ended_at IS NULL;

CREATE TABLE transfer_file (
    unit_id     text NOT NULL,
    transfer_id uuid NOT NULL,
    name        text NOT NULL,
    system_id   text NOT NULL,
    cloud_id    text NOT NULL,
    provider_id text NOT NULL,
    number      integer NOT NULL,
    size        bigint NOT NULL CHECK (size >= 0),
    sha256      text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    sm3         text CHECK (sm3 ~ '^[0-9a-f]{64}$'),
    received    bigint NOT NULL CHECK (received BETWEEN 0 AND size), -- bytes that are on disk
    PRIMARY KEY (unit_id, transfer_id, name)
);
SELECT scope_enable('transfer', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
SELECT scope_enable('transfer_file', 'unit_id', 'system_id', 'cloud_id', 'provider_id');
GRANT SELECT, INSERT, UPDATE ON transfer TO yunqiao_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON transfer_file TO yunqiao_app;

CREATE VIEW transfer_view WITH (security_invoker = true) AS
SELECT t.unit_id, t.id, t.version, t.direction, t.state, t.system_id, t.cloud_id, t.resource_id, jsonb_build_object(
    'id', t.id, 'version', t.version, 'unit', t.unit_id, 'system', t.system_id, 'cloud', t.cloud_id, 'provider', t.provider_id,
    'instance', t.resource_id, 'name', t.name, 'format', t.format, 'state', t.state, 'error', t.error, 'operation', t.operation_id,
    'principal', t.principal, 'created_at', rfc3339(t.created_at), 'expires_at', rfc3339(t.expires_at), 'files', coalesce(
        (SELECT jsonb_agg(jsonb_build_object('name', f.name, 'size', f.size, 'sha256', f.sha256, 'sm3', f.sm3, 'received', f.received)
                          ORDER BY f.number)
         FROM transfer_file f WHERE f.unit_id = t.unit_id AND f.transfer_id = t.id), '[]'::jsonb))
    || CASE t.direction
       WHEN 'export' THEN jsonb_build_object('consent', t.consent_id, 'ready_at', rfc3339(t.ready_at),
           'digest_sm3', t.manifest ->> 'digest_sm3')
       ELSE jsonb_build_object('request', t.request, 'found', t.machine) END AS body
FROM transfer t;
GRANT SELECT ON transfer_view TO yunqiao_app;
