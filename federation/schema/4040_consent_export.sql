-- A consent may let data leave all clouds as files: the place '@export' (federation/consent.h).
CREATE OR REPLACE FUNCTION consent_places(places text[]) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (SELECT jsonb_agg(CASE WHEN p = '@export' THEN jsonb_build_object('kind', 'export')
                                  ELSE jsonb_build_object('cloud', split_part(p, '/', 1), 'site', nullif(split_part(p, '/', 2), '')) END
                             ORDER BY n) FROM unnest(places) WITH ORDINALITY AS place (p, n));
