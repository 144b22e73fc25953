-- What the API shows of identity: rows of (key text, version, body). security_invoker keeps row-level security that of the caller.

CREATE VIEW principal_view WITH (security_invoker = true) AS
SELECT p.id, p.version, p.unit_id, jsonb_build_object(
    'id', p.id, 'role', p.role, 'name', p.name, 'unit', p.unit_id, 'provider', p.provider_id,
    'systems', p.systems, 'clouds', p.clouds, 'certificate', p.certificate, 'disabled', p.disabled,
    'created_at', to_char(p.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'updated_at', to_char(p.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) AS body
FROM principal p;

CREATE VIEW token_view WITH (security_invoker = true) AS
SELECT t.jti, t.principal_id, jsonb_build_object(
    'jti', t.jti, 'principal', t.principal_id, 'unit', t.unit_id, 'key', t.kid,
    'issued_at', to_char(t.issued_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'expires_at', to_char(t.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'revoked_at', to_char(t.revoked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) AS body
FROM token t;

CREATE VIEW signing_key_view WITH (security_invoker = true) AS
SELECT k.kid, jsonb_build_object(
    'kid', k.kid, 'kty', 'OKP', 'crv', 'Ed25519', 'alg', 'EdDSA', 'x', k.public_key,
    'created_at', to_char(k.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'signs_from', to_char(k.signs_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'retires_at', to_char(k.retires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'revoked_at', to_char(k.revoked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) AS body
FROM signing_key k;

CREATE VIEW audit_view WITH (security_invoker = true) AS
SELECT a.id, a.at, a.unit_id, a.principal,
    to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || '/' || a.id AS key, jsonb_build_object(
    'id', a.id, 'at', to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'principal', a.principal,
    'action', a.action, 'method', a.method, 'path', a.path, 'unit', nullif(a.unit_id, ''), 'cloud', a.cloud_id,
    'subject', a.subject, 'request_id', a.request_id, 'status', a.status, 'details', a.details) AS body
FROM audit a;

GRANT SELECT ON principal_view, token_view, signing_key_view, audit_view TO yunqiao_app;
