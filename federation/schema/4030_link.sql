-- How much a link between two sites carries for moves; see federation/link.h. Places of the house, nobody's own.
CREATE TABLE migration_link (
    source_cloud_id  text NOT NULL,
    source_site_id   text NOT NULL,
    target_cloud_id  text NOT NULL,
    target_site_id   text NOT NULL,
    bytes_per_second bigint NOT NULL CHECK (bytes_per_second >= 0), -- 0: no limit
    version          bigint NOT NULL DEFAULT 1,
    changed_at       timestamptz NOT NULL,
    changed_by       text NOT NULL,
    PRIMARY KEY (source_cloud_id, source_site_id, target_cloud_id, target_site_id),
    FOREIGN KEY (source_cloud_id, source_site_id) REFERENCES site (cloud_id, id),
    FOREIGN KEY (target_cloud_id, target_site_id) REFERENCES site (cloud_id, id)
);
GRANT SELECT, INSERT, UPDATE ON migration_link TO yunqiao_app;

-- `moves`: those that the caller sees and that copy over it now.
CREATE VIEW migration_link_view WITH (security_invoker = true) AS
SELECT source_cloud_id || '/' || source_site_id || ' ' || target_cloud_id || '/' || target_site_id AS key, version, jsonb_build_object(
    'from', jsonb_build_object('cloud', source_cloud_id, 'site', source_site_id),
    'to', jsonb_build_object('cloud', target_cloud_id, 'site', target_site_id),
    'bytes_per_second', bytes_per_second,
    'moves', (SELECT count(*) FROM migration m WHERE m.state IN ('copying', 'synced', 'cutting-over')
              AND (m.source_cloud_id, m.source_site_id) = (l.source_cloud_id, l.source_site_id)
              AND (m.target_cloud_id, m.target_site_id) = (l.target_cloud_id, l.target_site_id)),
    'changed_at', rfc3339(changed_at), 'changed_by', changed_by) AS body
FROM migration_link l;
GRANT SELECT ON migration_link_view TO yunqiao_app;
