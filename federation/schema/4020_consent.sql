-- Consents of units for their data to leave a site; see federation/consent.h. Places are 'CLOUD/SITE' or 'CLOUD'. The lists are
-- short and never change, so they are arrays: one row is the whole paper.
CREATE TABLE consent (
    unit_id           text NOT NULL,
    id                uuid NOT NULL,
    algorithm         text NOT NULL CHECK (algorithm IN ('sha256', 'sm3')),
    digest            text NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    reference         text NOT NULL CHECK (reference <> ''),
    signer_name       text NOT NULL CHECK (signer_name <> ''),
    signer_post       text NOT NULL CHECK (signer_post <> ''),
    systems           text[] NOT NULL, -- covered whole
    instances         uuid[] NOT NULL, -- single machines
    touched           text[] NOT NULL CHECK (cardinality(touched) > 0), -- systems, and those of the machines
    from_places       text[] NOT NULL CHECK (cardinality(from_places) > 0),
    to_places         text[] NOT NULL CHECK (cardinality(to_places) > 0),
    clouds            text[] NOT NULL CHECK (cardinality(clouds) > 0), -- of all places
    valid_from        timestamptz NOT NULL,
    valid_until       timestamptz NOT NULL CHECK (valid_until > valid_from),
    given_by          text NOT NULL,
    given_at          timestamptz NOT NULL,
    withdrawn_at      timestamptz,
    withdrawn_by      text,
    withdrawal_reason text CHECK (withdrawal_reason <> ''),
    version           bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (unit_id, id),
    CHECK (cardinality(systems) + cardinality(instances) > 0),
    CHECK ((withdrawn_at IS NULL) = (withdrawn_by IS NULL) AND (withdrawn_at IS NULL) = (withdrawal_reason IS NULL))
);
CREATE INDEX consent_by_id ON consent (id);

-- As scope_enable makes it, for lists: a caller of some systems sees what touches one of them and writes what touches them alone;
-- a caller of clouds sees what leaves or enters one of them, and writes none.
ALTER TABLE consent ENABLE ROW LEVEL SECURITY;
ALTER TABLE consent FORCE ROW LEVEL SECURITY;
CREATE POLICY scope ON consent
    USING ((SELECT coalesce(current_setting('yunqiao.all', true), '') = 'on')
        OR (unit_id = ANY ((SELECT scope_list('units'))::text[])
            AND ((SELECT scope_list('systems') = '{}') OR touched && (SELECT scope_list('systems'))))
        OR clouds && (SELECT scope_list('clouds')))
    WITH CHECK ((SELECT coalesce(current_setting('yunqiao.all', true), '') = 'on')
        OR (unit_id = ANY ((SELECT scope_list('units'))::text[])
            AND ((SELECT scope_list('systems') = '{}') OR touched <@ (SELECT scope_list('systems')))));

-- Append-only but for the withdrawal, which happens once: by grant, and by trigger for whoever has more grants than the broker.
CREATE FUNCTION consent_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN -- OLD and NEW are nothing in a TRUNCATE
        IF OLD.withdrawn_at IS NULL AND NEW.withdrawn_at IS NOT NULL
           AND to_jsonb(OLD) - '{withdrawn_at,withdrawn_by,withdrawal_reason,version}'::text[]
             = to_jsonb(NEW) - '{withdrawn_at,withdrawn_by,withdrawal_reason,version}'::text[] THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'a consent is only withdrawn, once' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER guard BEFORE UPDATE OR DELETE ON consent FOR EACH ROW EXECUTE FUNCTION consent_guard();
CREATE TRIGGER guard_all BEFORE TRUNCATE ON consent FOR EACH STATEMENT EXECUTE FUNCTION consent_guard();
GRANT SELECT, INSERT, UPDATE (withdrawn_at, withdrawn_by, withdrawal_reason, version) ON consent TO yunqiao_app;

CREATE FUNCTION consent_state(withdrawn_at timestamptz, valid_from timestamptz, valid_until timestamptz, at timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN withdrawn_at <= at THEN 'withdrawn' WHEN valid_until <= at THEN 'expired'
                WHEN valid_from > at THEN 'not-yet' ELSE 'in-force' END;

CREATE FUNCTION consent_places(places text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT jsonb_agg(jsonb_build_object('cloud', split_part(p, '/', 1), 'site', nullif(split_part(p, '/', 2), ''))
                             ORDER BY n) FROM unnest(places) WITH ORDINALITY AS place (p, n));

-- Without "state", which needs the caller's time.
CREATE VIEW consent_view WITH (security_invoker = true) AS
SELECT c.unit_id, c.id, c.version, c.touched, c.clouds, c.valid_from, c.valid_until, c.withdrawn_at, jsonb_build_object(
    'id', c.id, 'unit', c.unit_id,
    'document', jsonb_build_object('algorithm', c.algorithm, 'digest', c.digest, 'reference', c.reference),
    'signer', jsonb_build_object('name', c.signer_name, 'post', c.signer_post),
    'systems', c.systems, 'instances', c.instances, 'from', consent_places(c.from_places), 'to', consent_places(c.to_places),
    'valid_from', rfc3339(c.valid_from), 'valid_until', rfc3339(c.valid_until), 'given_by', c.given_by,
    'given_at', rfc3339(c.given_at), 'withdrawn_at', rfc3339(c.withdrawn_at), 'withdrawn_by', c.withdrawn_by,
    'withdrawal_reason', c.withdrawal_reason) AS body
FROM consent c;
GRANT SELECT ON consent_view TO yunqiao_app;
