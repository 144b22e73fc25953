-- Free short-term expansion (procurement 4.1.2.2, 6); see broker/control/expansion.h.
ALTER TABLE resource
    ADD COLUMN expansion_days  integer CHECK (expansion_days > 0), -- asked, and not begun: the operation is under way
    ADD COLUMN expansion_base  jsonb,                              -- the spec that is charged meanwhile; {}: nothing is
    ADD COLUMN expansion_until timestamptz,                        -- from then on all of it is charged
    ADD COLUMN expansion_told  boolean NOT NULL DEFAULT false,     -- that it ends soon
    ADD CHECK ((expansion_base IS NULL) = (expansion_until IS NULL));
CREATE INDEX resource_expanding ON resource (expansion_until, id) WHERE expansion_until IS NOT NULL;
CREATE INDEX resource_expansion_asked ON resource (unit_id, system_id, cloud_id) WHERE expansion_days IS NOT NULL;

CREATE OR REPLACE VIEW resource_view WITH (security_invoker = true) AS
SELECT r.unit_id, r.id, r.kind, r.cloud_id, r.system_id, r.state, r.version, jsonb_build_object(
    'id', r.id, 'kind', r.kind, 'name', r.name, 'unit', r.unit_id, 'system', r.system_id, 'cloud', r.cloud_id,
    'provider', r.provider_id, 'zone', r.zone_id, 'order', r.order_id, 'state', r.state, 'power', r.power, 'spec', r.spec,
    'attached_to', r.attached_to, 'address', r.address, 'operation', r.operation_id, 'error', r.error,
    'expansion', CASE WHEN r.expansion_until IS NOT NULL
                      THEN jsonb_build_object('charged', r.expansion_base, 'until', rfc3339(r.expansion_until)) END,
    'created_at', rfc3339(r.created_at), 'active_at', rfc3339(r.active_at), 'deleted_at', rfc3339(r.deleted_at)) AS body
FROM resource r;
