-- Who may call: principals, the public halves of signing keys, and the tokens that were issued. What the brokers keep in
-- memory of them carries the number in auth_generation: whatever changes what a token is worth raises it.

-- One row, so that readers see the number only together with the change that raised it (a sequence would run ahead of its
-- transaction). Writers of identity are few; they take turns on it.
CREATE TABLE auth_generation (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    value bigint NOT NULL
);
INSERT INTO auth_generation (value) VALUES (1);

CREATE TABLE principal (
    id          text PRIMARY KEY CHECK (id ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
    role        text NOT NULL,
    name        text,                              -- for people
    unit_id     text,                              -- of the unit roles
    provider_id text,                              -- of a provider-operator
    systems     text[] NOT NULL DEFAULT '{}',      -- of the unit roles; empty: all of the unit
    clouds      text[] NOT NULL DEFAULT '{}',      -- of a regulator; empty: all
    certificate text UNIQUE CHECK (certificate ~ '^[0-9a-f]{64}$'), -- SHA-256 of the client certificate in DER
    disabled    boolean NOT NULL DEFAULT false,
    version     bigint NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    CHECK ((role IN ('unit-admin', 'unit-operator', 'migration-engineer')) = (unit_id IS NOT NULL)),
    CHECK ((role = 'provider-operator') = (provider_id IS NOT NULL)),
    CHECK (unit_id IS NOT NULL OR systems = '{}'),
    CHECK (role = 'regulator' OR clouds = '{}')
);
CREATE INDEX principal_by_unit ON principal (unit_id, id);
SELECT scope_enable('principal', 'unit_id', NULL, NULL, NULL);

-- The private half is a file of the broker that made it. Times are the brokers' clock.
CREATE TABLE signing_key (
    kid        text PRIMARY KEY,
    public_key text NOT NULL CHECK (length(public_key) = 43), -- base64url of the 32 bytes
    created_at timestamptz NOT NULL,
    signs_from timestamptz NOT NULL,  -- by then every broker knows it
    retires_at timestamptz,           -- signs nothing from then on; verifies until its tokens have expired
    revoked_at timestamptz            -- verifies nothing any more
);

CREATE TABLE token (
    jti          uuid PRIMARY KEY,
    principal_id text NOT NULL REFERENCES principal (id),
    unit_id      text,                -- of the principal
    kid          text NOT NULL REFERENCES signing_key (kid),
    issued_at    timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz
);
CREATE INDEX token_revoked ON token (expires_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX token_by_expiry ON token (expires_at);
CREATE INDEX token_by_key ON token (kid, expires_at);
CREATE INDEX token_by_principal ON token (principal_id, jti);
CREATE INDEX token_by_unit ON token (unit_id, jti);
SELECT scope_enable('token', 'unit_id', NULL, NULL, NULL);

CREATE FUNCTION auth_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE auth_generation SET value = value + 1;
    NOTIFY auth_changed;
    RETURN NULL;
END $$;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON principal FOR EACH STATEMENT EXECUTE FUNCTION auth_changed();
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON signing_key FOR EACH STATEMENT EXECUTE FUNCTION auth_changed();
-- Issuing a token changes nothing for those who verify, nor does forgetting one that has expired; revoking does.
CREATE TRIGGER changed AFTER UPDATE ON token FOR EACH STATEMENT EXECUTE FUNCTION auth_changed();

GRANT SELECT, UPDATE ON auth_generation TO yunqiao_app;
GRANT SELECT, INSERT ON principal, signing_key, token TO yunqiao_app;
GRANT UPDATE (name, systems, clouds, certificate, disabled, version, updated_at) ON principal TO yunqiao_app;
GRANT UPDATE (retires_at, revoked_at) ON signing_key TO yunqiao_app;
GRANT UPDATE (revoked_at), DELETE ON token TO yunqiao_app;
