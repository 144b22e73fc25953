/* Tokens as compact JWS; see jwt.h. */
#include "broker/auth/jwt.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/digest.h"
#include "broker/base/json.h"

#define SIGNATURE_SIZE 64

static struct error *malformed(const char *what)
{
    return error_new(ERR_UNAUTHENTICATED, "the token is malformed: %s", what);
}

void jwt_key_id(const unsigned char public_key[JWT_PUBLIC], char kid[JWT_KID])
{
    char hex[DIGEST_HEX];
    digest_sha256(public_key, JWT_PUBLIC, hex);
    (void)snprintf(kid, JWT_KID, "k-%.32s", hex);
}

static const char *encode_json(struct arena *arena, json_t *json)
{
    const char *text = json_canonical(arena, json_hold(arena, json));
    return base64url_encode(arena, text, strlen(text));
}

static json_t *claims_json(const struct jwt_claims *claims)
{
    json_t *json = json_object();
    json_put_text(json, "iss", JWT_ISSUER);
    json_put_text(json, "aud", JWT_AUDIENCE);
    json_put_text(json, "sub", claims->subject);
    json_put_text(json, "jti", claims->jti);
    json_put_int(json, "iat", claims->issued / MOMENT_SECOND);
    json_put_int(json, "nbf", claims->not_before / MOMENT_SECOND);
    json_put_int(json, "exp", claims->expires / MOMENT_SECOND);
    return json;
}

struct error *jwt_sign_bytes(EVP_PKEY *key, const void *bytes, size_t length, struct arena *arena,
                             const char **ret_signature)
{
    unsigned char signature[SIGNATURE_SIZE];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool signed_well = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                       EVP_DigestSign(context, signature, &size, bytes, length) == 1;
    EVP_MD_CTX_free(context);
    if (!signed_well || size != SIGNATURE_SIZE)
        return error_new(ERR_INTERNAL, "could not sign");
    *ret_signature = base64url_encode(arena, signature, size);
    return NULL;
}

struct error *jwt_sign(EVP_PKEY *key, const struct jwt_claims *claims, struct arena *arena,
                       const char **ret_token)
{
    json_t *header = json_object();
    json_put_text(header, "alg", "EdDSA");
    json_put_text(header, "typ", "JWT");
    json_put_text(header, "kid", claims->kid);
    const char *text =
        arena_printf(arena, "%s.%s", encode_json(arena, header), encode_json(arena, claims_json(claims)));
    const char *signature;
    TRY_DOING(jwt_sign_bytes(key, text, strlen(text), arena, &signature), "the token");
    text = arena_printf(arena, "%s.%s", text, signature);
    if (strlen(text) > JWT_LENGTH_MAX)
        return error_new(ERR_INTERNAL, "the token is longer than %d bytes", JWT_LENGTH_MAX);
    *ret_token = text;
    return NULL;
}

/* The three parts between dots; bytes that are not base64url are refused when a part is decoded. */
struct parts {
    const char *header, *claims, *signature;
    size_t header_length, claims_length, signature_length;
};

static struct error *split(const char *token, size_t length, struct parts *ret_parts)
{
    const char *end = token + length;
    const char *first = memchr(token, '.', length);
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return malformed("it has not three parts");
    *ret_parts = (struct parts){
        .header = token,
        .header_length = (size_t)(first - token),
        .claims = first + 1,
        .claims_length = (size_t)(second - first - 1),
        .signature = second + 1,
        .signature_length = (size_t)(end - second - 1),
    };
    return NULL;
}

static struct error *decode_object(struct arena *arena, const char *text, size_t length, const char *what,
                                   json_t **ret_json)
{
    unsigned char *bytes;
    size_t size;
    json_t *json;
    struct error *error = base64url_decode(arena, text, length, &bytes, &size);
    if (!error)
        error = json_parse_in(arena, (const char *)bytes, size, &json);
    if (error) {
        error_ignore(error); /* the caller learns that it is malformed, not how our parser works */
        return malformed(what);
    }
    if (!json_is_object(json))
        return malformed(what);
    *ret_json = json;
    return NULL;
}

static bool text_is(const json_t *object, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && !strcmp(text, wanted);
}

static struct error *read_header(const json_t *header, char kid[JWT_KID])
{
    if (!text_is(header, "alg", "EdDSA"))
        return malformed("alg is not EdDSA");
    if (!text_is(header, "typ", "JWT"))
        return malformed("typ is not JWT");
    const char *name = json_string_value(json_object_get(header, "kid"));
    if (!name || strlen(name) != JWT_KID - 1)
        return malformed("no kid");
    if (json_object_size(header) != 3)
        return malformed("a header member that is not understood");
    memcpy(kid, name, JWT_KID);
    return NULL;
}

static bool read_second(const json_t *claims, const char *name, moment *ret_at)
{
    const json_t *value = json_object_get(claims, name);
    json_int_t seconds = json_integer_value(value);
    if (!json_is_integer(value) || seconds < MOMENT_MIN / MOMENT_SECOND ||
        seconds > MOMENT_MAX / MOMENT_SECOND)
        return false;
    *ret_at = seconds * MOMENT_SECOND;
    return true;
}

static struct error *read_claims(const json_t *json, struct jwt_claims *claims)
{
    if (!text_is(json, "iss", JWT_ISSUER) || !text_is(json, "aud", JWT_AUDIENCE))
        return malformed("not made by or for this broker");
    const char *subject = json_string_value(json_object_get(json, "sub"));
    const char *jti = json_string_value(json_object_get(json, "jti"));
    if (!subject || !name_valid(subject, JWT_SUBJECT - 1) || !jti || !id_valid(jti))
        return malformed("sub or jti");
    if (!read_second(json, "iat", &claims->issued) || !read_second(json, "nbf", &claims->not_before) ||
        !read_second(json, "exp", &claims->expires) || claims->expires <= claims->not_before)
        return malformed("iat, nbf or exp");
    if (json_object_size(json) != 7)
        return malformed("a claim that is not understood");
    memcpy(claims->subject, subject, strlen(subject) + 1);
    memcpy(claims->jti, jti, ID_TEXT);
    return NULL;
}

static struct error *check_signature(struct arena *arena, const struct parts *parts, EVP_PKEY *key)
{
    unsigned char *signature;
    size_t size;
    struct error *error =
        base64url_decode(arena, parts->signature, parts->signature_length, &signature, &size);
    if (error || size != SIGNATURE_SIZE || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
        error_free(error);
        return malformed("signature");
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, size, (const unsigned char *)parts->header,
                                 parts->header_length + 1 + parts->claims_length) == 1;
    EVP_MD_CTX_free(context);
    return good ? NULL : error_new(ERR_UNAUTHENTICATED, "the token's signature is wrong");
}

static struct error *verify(struct arena *arena, const char *token, size_t length, jwt_find_key find,
                            void *find_context, struct jwt_claims *claims)
{
    struct parts parts;
    json_t *header, *json;
    TRY(split(token, length, &parts));
    TRY(decode_object(arena, parts.header, parts.header_length, "header", &header));
    TRY(read_header(header, claims->kid));
    EVP_PKEY *key = find(find_context, claims->kid);
    if (!key)
        return error_new(ERR_UNAUTHENTICATED, "the token's key is unknown");
    TRY(check_signature(arena, &parts, key));
    TRY(decode_object(arena, parts.claims, parts.claims_length, "claims", &json));
    return read_claims(json, claims);
}

struct error *jwt_verify(const char *token, size_t length, jwt_find_key find, void *context,
                         struct jwt_claims *ret_claims)
{
    if (length > JWT_LENGTH_MAX)
        return malformed("too long");
    ARENA_AUTO struct arena *arena = arena_new();
    struct jwt_claims claims = {0};
    TRY(verify(arena, token, length, find, context, &claims));
    *ret_claims = claims;
    return NULL;
}

struct error *jwt_check_time(const struct jwt_claims *claims, moment now)
{
    if (now >= claims->expires)
        return error_new(ERR_UNAUTHENTICATED, "the token has expired");
    if (now + JWT_LEEWAY < claims->not_before || now + JWT_LEEWAY < claims->issued)
        return error_new(ERR_UNAUTHENTICATED, "the token is not yet valid");
    return NULL;
}
