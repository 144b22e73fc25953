-- A second object of a resource, at another endpoint than its own, which a move between clouds makes or leaves (broker/control/other_side.h).
CREATE TABLE other_side (
    unit_id     text NOT NULL,
    resource_id uuid NOT NULL,
    endpoint_id text NOT NULL,
    system_id   text NOT NULL,
    may_run     boolean NOT NULL,
    PRIMARY KEY (unit_id, resource_id, endpoint_id)
);
CREATE INDEX other_side_by_endpoint ON other_side (endpoint_id, resource_id);
SELECT scope_enable('other_side', 'unit_id', 'system_id', NULL, NULL);
GRANT SELECT, INSERT, UPDATE, DELETE ON other_side TO yunqiao_app;
