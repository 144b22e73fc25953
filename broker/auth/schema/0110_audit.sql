-- The audit trail: rows, and the chain over them. Both are append-only: by grant, and by trigger for whoever has more grants
-- than the broker. What a superuser can still do is what `yunqiao audit verify` finds.

CREATE TABLE audit (
    unit_id    text NOT NULL DEFAULT '',            -- '': no unit
    id         bigint GENERATED ALWAYS AS IDENTITY,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(), -- orders rows so that none is committed behind the sealer
    at         timestamptz NOT NULL,
    principal  text,                                -- NULL: nobody was authenticated
    action     text NOT NULL,
    method     text,
    path       text,
    cloud_id   text,
    subject    text,
    request_id text,
    status     integer NOT NULL,
    details    jsonb,
    PRIMARY KEY (unit_id, id)
);
CREATE INDEX audit_by_order ON audit (xid, id);
CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX audit_by_unit ON audit (unit_id, at, id);
CREATE INDEX audit_by_principal ON audit (principal, at, id);
SELECT scope_enable('audit', 'unit_id', NULL, 'cloud_id', NULL);
-- Anybody's call is written, whatever they may read.
CREATE POLICY append ON audit FOR INSERT WITH CHECK (true);

-- The chain: link n holds the digest of row n and of the link before it. Not distributed: it is one line by nature.
CREATE TABLE audit_link (
    number   bigint PRIMARY KEY CHECK (number > 0),
    unit_id  text NOT NULL,
    audit_id bigint NOT NULL UNIQUE,
    xid      xid8 NOT NULL,
    previous text NOT NULL CHECK (length(previous) = 64),
    digest   text NOT NULL CHECK (length(digest) = 64)
);

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON audit FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_link FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();

GRANT SELECT, INSERT ON audit, audit_link TO yunqiao_app;
