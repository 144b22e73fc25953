-- Drift becomes cases: what is billed stands beside what the broker holds and what the provider reports, with the money at stake, a
-- proposed correction, a person's word on it and a history; see broker/control/drift.h.
ALTER TABLE drift DROP CONSTRAINT drift_kind_check;
ALTER TABLE drift ADD CONSTRAINT drift_kind_check
    CHECK (kind IN ('missing', 'orphan', 'foreign', 'power', 'size', 'unbilled', 'misbilled', 'billed-gone'));
ALTER TABLE drift
    ADD COLUMN version       bigint NOT NULL DEFAULT 1, -- counts what differs and what people say, not every look
    ADD COLUMN since         timestamptz,               -- the inventory that first saw the difference as it is now
    ADD COLUMN correct_at    timestamptz,               -- from when on the correction counts: since, or the later latest change of usage
    ADD COLUMN fingerprint   text NOT NULL DEFAULT '',  -- of the difference; another one is another difference
    ADD COLUMN reported      jsonb,                     -- the last inventory's words
    ADD COLUMN billed        jsonb,                     -- open usage with prices
    ADD COLUMN stake         jsonb,                     -- money a month
    ADD COLUMN correction    jsonb,
    ADD COLUMN no_correction text,                      -- why there is none
    ADD COLUMN decision      jsonb,                     -- who accepted or refused it, when and why
    ADD COLUMN meanwhile     jsonb;                     -- of one that ended by itself: what was billed while it lasted
UPDATE drift SET since = first_seen;
ALTER TABLE drift ALTER COLUMN since SET NOT NULL;

-- What became of a case. unit_id '': of no unit.
CREATE TABLE drift_history (
    unit_id     text NOT NULL DEFAULT '',
    drift_id    uuid NOT NULL,
    number      bigint GENERATED ALWAYS AS IDENTITY,
    cloud_id    text NOT NULL,
    provider_id text NOT NULL,
    at          timestamptz NOT NULL,
    event       text NOT NULL CHECK (event IN ('opened', 'changed', 'accepted', 'refused', 'resolved')),
    body        jsonb NOT NULL,
    PRIMARY KEY (unit_id, drift_id, number)
);
SELECT scope_enable('drift_history', 'unit_id', NULL, 'cloud_id', 'provider_id');
GRANT SELECT, INSERT ON drift_history TO yunqiao_app;

CREATE FUNCTION drift_state(resolved_at timestamptz, refused boolean) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN resolved_at IS NOT NULL THEN 'resolved' WHEN refused THEN 'refused' ELSE 'open' END;

DROP VIEW drift_view;
CREATE VIEW drift_view WITH (security_invoker = true) AS
SELECT d.id, d.unit_id, d.cloud_id, d.kind, d.version, drift_state(d.resolved_at, d.dismissed) AS state, jsonb_build_object(
    'id', d.id, 'version', d.version, 'cloud', d.cloud_id, 'provider', d.provider_id, 'endpoint', d.endpoint_id, 'kind', d.kind,
    'subject', d.subject, 'unit', d.unit_id, 'resource', d.resource_id, 'state', drift_state(d.resolved_at, d.dismissed),
    'expected', d.expected, 'seen', d.seen, 'reported', d.reported, 'billed', d.billed, 'stake', d.stake,
    'correction', d.correction, 'no_correction', d.no_correction, 'decision', d.decision, 'meanwhile', d.meanwhile,
    'first_seen', rfc3339(d.first_seen), 'since', rfc3339(d.since), 'last_seen', rfc3339(d.last_seen),
    'resolved_at', rfc3339(d.resolved_at), 'resolution', d.resolution) AS body
FROM drift d;
GRANT SELECT ON drift_view TO yunqiao_app;
