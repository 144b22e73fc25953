-- What a move copied that came to nothing is not on the target: it counts no more. Else as schema/4031 has it.
CREATE OR REPLACE VIEW wave_host_view WITH (security_invoker = true) AS
SELECT h.*, m.state AS move_state, m.version AS move_version, m.approvals, m.predicted_us, m.measured_us, m.downtime_us, m.passes, m.progress,
    m.error AS move_error, m.why AS move_why, m.down_at, m.live_at, m.source_cloud_id, s.at AS started_at,
    CASE WHEN h.out_at IS NOT NULL THEN 'out'
         WHEN h.migration_id IS NULL OR m.state IN ('assessed', 'consented', 'approved') THEN 'waiting'
         WHEN m.state IN ('holding', 'committing', 'committed') OR (m.state = 'failed' AND m.failed_in = 'committing') THEN 'done'
         WHEN m.state IN ('copying', 'synced', 'testing', 'cutting-over', 'verifying') THEN 'running'
         ELSE 'failed' END AS class,
    CASE WHEN m.state IN ('holding', 'committing', 'committed') OR (m.state = 'failed' AND m.failed_in = 'committing') THEN h.bytes
         WHEN m.state IN ('copying', 'synced', 'testing', 'cutting-over', 'verifying') AND m.passes > 0 THEN h.bytes
         WHEN m.state = 'copying' THEN least(h.bytes, coalesce((m.progress ->> 'done_bytes')::bigint, 0))
         ELSE 0 END AS copied,
    (SELECT sum(p.elapsed_us)::bigint FROM migration_pass p WHERE p.unit_id = h.unit_id AND p.migration_id = h.migration_id AND p.pass = 1)
        AS first_pass_us
FROM wave_host h
LEFT JOIN migration m ON m.unit_id = h.unit_id AND m.id = h.migration_id
LEFT JOIN LATERAL (SELECT min(t.at) AS at FROM migration_history t WHERE t.unit_id = h.unit_id AND t.migration_id = h.migration_id
                   AND t.event = 'start') s ON true;
