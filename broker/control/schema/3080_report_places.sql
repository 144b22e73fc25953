-- What the broker knows of the places that reports of usage name (report_api.c), of all units: whoever reports for a provider sees the
-- provider's clouds, but not the units' own rows. `resources` are subjects that are resources of the broker's own on that cloud, by id
-- or by the provider's reference: those are metered by the broker, and counting them twice must not happen.
CREATE FUNCTION report_places(units text[], systems text[], clouds text[], zones text[])
    RETURNS TABLE (provider text, industry text, has_system boolean, has_zone boolean)
    LANGUAGE sql STABLE SET yunqiao."all" = 'on' AS $$
    SELECT c.provider_id, c.kind,
           EXISTS (SELECT FROM system s WHERE s.unit_id = g.unit AND s.id = g.system),
           g.zone = '' OR EXISTS (SELECT FROM zone z WHERE z.cloud_id = g.cloud AND z.id = g.zone)
    FROM unnest(units, systems, clouds, zones) WITH ORDINALITY AS g (unit, system, cloud, zone, n)
    LEFT JOIN cloud c ON c.id = g.cloud ORDER BY g.n
$$;

CREATE INDEX resource_by_ref ON resource (provider_id, ref) WHERE ref IS NOT NULL;
CREATE FUNCTION report_own(provider text, subjects text[]) RETURNS SETOF text
    LANGUAGE sql STABLE SET yunqiao."all" = 'on' AS $$
    SELECT r.ref FROM resource r WHERE r.provider_id = provider AND r.ref = ANY (subjects)
    UNION
    SELECT r.id::text FROM resource r
    WHERE r.id = ANY (SELECT s::uuid FROM unnest(subjects) s
                      WHERE s ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$')
$$;
