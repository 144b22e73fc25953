-- Idempotency keys: the answer of a call that made something, kept with the key of the caller in the
-- transaction of what was made. Purged by age. Small: a day's POSTs; no row-level security by unit, since a row
-- belongs to one principal and is read only by the function below with that principal's name.
CREATE TABLE http_key (
    principal    text        NOT NULL, -- '' for a caller without credentials
    key          text        NOT NULL,
    digest       text        NOT NULL, -- SHA-256 of method, path and canonical body
    made_at      timestamptz NOT NULL,
    status       integer     NOT NULL,
    location     text,
    etag         text,
    content_type text,
    body         text,
    retry_after  integer     NOT NULL,
    PRIMARY KEY (principal, key)
);
CREATE INDEX http_key_made_at ON http_key (made_at);

-- outcome: 'running' (another transaction holds the key), 'other' (used for another request), 'kept' (here is
-- the answer), 'new' (go on; the key is held until the transaction ends). A key made before p_oldest has had
-- its time and is forgotten.
CREATE FUNCTION http_key_claim(p_principal text, p_key text, p_digest text, p_oldest timestamptz,
                               OUT outcome text, OUT status integer, OUT location text, OUT etag text,
                               OUT content_type text, OUT body text, OUT retry_after integer)
LANGUAGE plpgsql AS $$
DECLARE
    kept http_key%ROWTYPE;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended(p_principal || chr(10) || p_key, 300)) THEN
        outcome := 'running';
        RETURN;
    END IF;
    SELECT * INTO kept FROM http_key k WHERE k.principal = p_principal AND k.key = p_key;
    IF FOUND AND kept.made_at < p_oldest THEN
        DELETE FROM http_key k WHERE k.principal = p_principal AND k.key = p_key;
        outcome := 'new';
    ELSIF NOT FOUND THEN
        outcome := 'new';
    ELSIF kept.digest <> p_digest THEN
        outcome := 'other';
    ELSE
        outcome := 'kept';
        status := kept.status;
        location := kept.location;
        etag := kept.etag;
        content_type := kept.content_type;
        body := kept.body;
        retry_after := kept.retry_after;
    END IF;
END
$$;

-- The outbox: rows written in the transaction of what they tell of, streamed by GET /v1/events. Read in the
-- order of (tx, id), and only below the oldest transaction still running (pg_snapshot_xmin), so that a row
-- committed late is never skipped. Empty text where there is none, so that unit_id can be in the key and the
-- table distributed by it.
CREATE TABLE event (
    unit_id     text        NOT NULL DEFAULT '',
    tx          xid8        NOT NULL DEFAULT pg_current_xact_id(),
    id          bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL,
    type        text        NOT NULL,
    system_id   text        NOT NULL DEFAULT '',
    cloud_id    text        NOT NULL DEFAULT '',
    provider_id text        NOT NULL DEFAULT '',
    subject     text        NOT NULL DEFAULT '',
    data        jsonb       NOT NULL,
    PRIMARY KEY (unit_id, tx, id)
);
CREATE INDEX event_order ON event (tx, id);
CREATE INDEX event_at ON event (at);
SELECT scope_enable('event', 'unit_id', 'system_id', 'cloud_id', 'provider_id');

GRANT SELECT, INSERT, DELETE ON http_key TO yunqiao_app;
GRANT SELECT, INSERT, DELETE ON event TO yunqiao_app;
