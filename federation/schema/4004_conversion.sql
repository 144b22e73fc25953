-- The conversion of a guest that moves to another kind of hypervisor (federation/convert.h): what was planned, and what became
-- of it: {"mode", "state": "planned", "running", "done", "skipped" or "failed", "why", "log", "attempts", "elapsed_ms"}.
ALTER TABLE migration ADD COLUMN conversion jsonb
    CHECK (conversion IS NULL OR conversion ->> 'state' IN ('planned', 'running', 'done', 'skipped', 'failed'));

CREATE OR REPLACE VIEW migration_view WITH (security_invoker = true) AS
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
    'progress', m.progress, 'conversion', m.conversion, 'passes', m.passes, 'test', m.test, 'accepted_at', rfc3339(m.accepted_at),
    'accepted_by', m.accepted_by, 'live_at', rfc3339(m.live_at), 'hold_until', rfc3339(m.hold_until), 'principal', m.principal,
    'created_at', rfc3339(m.created_at), 'ended_at', rfc3339(m.ended_at)) AS body,
    jsonb_build_object('plan', m.plan, 'rollback_plan', m.rollback_plan) AS plans
FROM migration m;
