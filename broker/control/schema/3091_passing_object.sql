-- Objects at an endpoint that bear a stamp of the broker's and are no resource's: made for a while, such as a test boot, and then taken
-- away (broker/control/other_side.h).
CREATE TABLE passing_object (
    unit_id     text NOT NULL,
    object_id   uuid NOT NULL,
    endpoint_id text NOT NULL,
    system_id   text NOT NULL,
    kind        text NOT NULL,
    spec        jsonb NOT NULL,
    PRIMARY KEY (unit_id, object_id)
);
CREATE INDEX passing_object_by_endpoint ON passing_object (endpoint_id, object_id);
SELECT scope_enable('passing_object', 'unit_id', 'system_id', NULL, NULL);
GRANT SELECT, INSERT, DELETE ON passing_object TO yunqiao_app;
