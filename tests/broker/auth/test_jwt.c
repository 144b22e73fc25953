/* Every class of token that must be refused, alg confusion among them, and noise. Tokens are put together
 * here by hand, with their own signer, so that each differs from a good one in one thing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "broker/auth/jwt.h"
#include "broker/base/digest.h"

#define NOW (INT64_C(1800000000) * MOMENT_SECOND)
#define JTI "01890a5d-ac96-774b-bcce-b302099a8057"

struct fixture {
    struct arena *arena;
    EVP_PKEY *key;
    unsigned char public_key[JWT_PUBLIC];
    char kid[JWT_KID];
};

static EVP_PKEY *find_key(void *context, const char *kid)
{
    struct fixture *fixture = context;
    return strcmp(kid, fixture->kid) ? NULL : fixture->key;
}

static int setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    fixture->arena = arena_new();
    fixture->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    size_t size = sizeof fixture->public_key;
    assert_int_equal(EVP_PKEY_get_raw_public_key(fixture->key, fixture->public_key, &size), 1);
    jwt_key_id(fixture->public_key, fixture->kid);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    EVP_PKEY_free(fixture->key);
    arena_free(fixture->arena);
    free(fixture);
    return 0;
}

static const char *sign_text(struct fixture *fixture, const char *signing_input)
{
    unsigned char signature[64];
    size_t size = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, NULL, NULL, fixture->key), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &size, (const unsigned char *)signing_input,
                                    strlen(signing_input)),
                     1);
    EVP_MD_CTX_free(context);
    return arena_printf(fixture->arena, "%s.%s", signing_input,
                        base64url_encode(fixture->arena, signature, size));
}

static const char *input(struct fixture *fixture, const char *header, const char *claims)
{
    return arena_printf(fixture->arena, "%s.%s", base64url_encode(fixture->arena, header, strlen(header)),
                        base64url_encode(fixture->arena, claims, strlen(claims)));
}

static const char *good_header(struct fixture *fixture)
{
    return arena_printf(fixture->arena, "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"%s\"}", fixture->kid);
}

#define CLAIMS(iss, aud, sub, jti, iat, nbf, exp)                                                   \
    "{\"iss\":" iss ",\"aud\":" aud ",\"sub\":" sub ",\"jti\":" jti ",\"iat\":" iat ",\"nbf\":" nbf \
    ",\"exp\":" exp "}"
#define GOOD_CLAIMS \
    CLAIMS("\"yunqiao\"", "\"yunqiao\"", "\"alice\"", "\"" JTI "\"", "1799999000", "1799999000", "1800003600")

static struct error *verify(struct fixture *fixture, const char *token)
{
    struct jwt_claims claims;
    return jwt_verify(token, strlen(token), find_key, fixture, &claims);
}

static void assert_refused(struct error *error, const char *message_part)
{
    assert_non_null(error);
    assert_int_equal(error_code(error), ERR_UNAUTHENTICATED);
    if (!strstr(error_message(error), message_part))
        fail_msg("\"%s\" lacks \"%s\"", error_message(error), message_part);
    error_free(error);
}

static void ok(struct error *error)
{
    if (error)
        fail_msg("%s", error_message(error));
}

static void test_round_trip(void **state)
{
    struct fixture *fixture = *state;
    struct jwt_claims made = {
        .subject = "alice", .jti = JTI, .issued = NOW + 5, .not_before = NOW, .expires = NOW + MOMENT_HOUR};
    memcpy(made.kid, fixture->kid, sizeof made.kid);
    const char *token;
    ok(jwt_sign(fixture->key, &made, fixture->arena, &token));
    struct jwt_claims read;
    ok(jwt_verify(token, strlen(token), find_key, fixture, &read));
    assert_string_equal(read.subject, "alice");
    assert_string_equal(read.jti, JTI);
    assert_string_equal(read.kid, fixture->kid);
    assert_int_equal(read.issued, NOW);
    assert_int_equal(read.not_before, NOW);
    assert_int_equal(read.expires, NOW + MOMENT_HOUR);
}

/* The hand-made good token is good: otherwise the refusals below would prove nothing. */
static void test_hand_made_is_good(void **state)
{
    struct fixture *fixture = *state;
    ok(verify(fixture, sign_text(fixture, input(fixture, good_header(fixture), GOOD_CLAIMS))));
}

/* RFC 8037, appendix A.4: the signature of a known key over a known input. */
static void test_known_answer(void **state)
{
    struct fixture *fixture = *state;
    static const char d[] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    static const char text[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    static const char wanted[] =
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    unsigned char *raw;
    size_t size;
    ok(base64url_decode(fixture->arena, d, strlen(d), &raw, &size));
    EVP_PKEY_free(fixture->key);
    fixture->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, size);
    assert_string_equal(strrchr(sign_text(fixture, text), '.') + 1, wanted);
}

static void test_headers(void **state)
{
    struct fixture *fixture = *state;
    const char *kid = fixture->kid;
    struct arena *arena = fixture->arena;
    const struct {
        const char *header, *message;
    } cases[] = {
        {arena_printf(arena, "{\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid), "alg"},
        {arena_printf(arena, "{\"alg\":\"None\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid), "alg"},
        {arena_printf(arena, "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid), "alg"},
        {arena_printf(arena, "{\"alg\":\"ES256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid), "alg"},
        {arena_printf(arena, "{\"alg\":\"eddsa\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid), "alg"},
        {arena_printf(arena, "{\"alg\":[\"EdDSA\"],\"typ\":\"JWT\",\"kid\":\"%s\"}", kid), "alg"},
        {arena_printf(arena, "{\"typ\":\"JWT\",\"kid\":\"%s\"}", kid), "alg"},
        {arena_printf(arena, "{\"alg\":\"EdDSA\",\"kid\":\"%s\"}", kid), "typ"},
        {arena_printf(arena, "{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}", kid), "typ"},
        {"{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}", "kid"},
        {"{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"\"}", "kid"},
        {"{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":7}", "kid"},
        {"{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"../../etc/passwd\"}", "kid"},
        {"{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"k-00000000000000000000000000000000\"}",
         "key is unknown"},
        {arena_printf(arena, "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"%s\",\"crit\":[\"exp\"]}", kid),
         "not understood"},
        {arena_printf(arena, "{\"alg\":\"EdDSA\",\"typ\":\"JWT\",\"kid\":\"%s\",\"jku\":\"http://x\"}", kid),
         "not understood"},
        {arena_printf(arena, "{\"alg\":\"EdDSA\",\"alg\":\"none\",\"typ\":\"JWT\",\"kid\":\"%s\"}", kid),
         "header"},
        {"[]", "header"},
        {"\"EdDSA\"", "header"},
        {"{", "header"},
        {"", "header"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(verify(fixture, sign_text(fixture, input(fixture, cases[i].header, GOOD_CLAIMS))),
                       cases[i].message);
}

#define ISS "\"yunqiao\""
#define ID "\"" JTI "\""

static void test_claims(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *claims, *message;
    } cases[] = {
        {CLAIMS("\"other\"", ISS, "\"alice\"", ID, "1799999000", "1799999000", "1800003600"), "by or for"},
        {CLAIMS(ISS, "\"other\"", "\"alice\"", ID, "1799999000", "1799999000", "1800003600"), "by or for"},
        {CLAIMS(ISS, "[\"yunqiao\"]", "\"alice\"", ID, "1799999000", "1799999000", "1800003600"),
         "by or for"},
        {CLAIMS(ISS, ISS, "\"\"", ID, "1799999000", "1799999000", "1800003600"), "sub"},
        {CLAIMS(ISS, ISS, "\"Alice\"", ID, "1799999000", "1799999000", "1800003600"), "sub"},
        {CLAIMS(ISS, ISS, "null", ID, "1799999000", "1799999000", "1800003600"), "sub"},
        {CLAIMS(ISS, ISS, "\"alice\"", "\"1\"", "1799999000", "1799999000", "1800003600"), "jti"},
        {CLAIMS(ISS, ISS, "\"alice\"", "17", "1799999000", "1799999000", "1800003600"), "jti"},
        {CLAIMS(ISS, ISS, "\"alice\"", ID, "\"1799999000\"", "1799999000", "1800003600"), "iat"},
        {CLAIMS(ISS, ISS, "\"alice\"", ID, "1799999000", "1799999000.5", "1800003600"), "nbf"},
        {CLAIMS(ISS, ISS, "\"alice\"", ID, "1799999000", "1799999000", "1e12"), "exp"},
        {CLAIMS(ISS, ISS, "\"alice\"", ID, "1799999000", "1799999000", "9223372036854775807"), "exp"},
        {CLAIMS(ISS, ISS, "\"alice\"", ID, "-1", "1799999000", "1800003600"), "iat"},
        {CLAIMS(ISS, ISS, "\"alice\"", ID, "1799999000", "1799999000", "1799999000"), "exp"},
        {CLAIMS(ISS, ISS, "\"alice\"", ID, "1799999000", "1799999000", "99999999999999999999"), "claims"},
        {"{\"iss\":\"yunqiao\",\"aud\":\"yunqiao\",\"sub\":\"alice\",\"jti\":" ID
         ",\"iat\":1799999000,\"nbf\":1799999000}",
         "exp"},
        {"{\"iss\":\"yunqiao\",\"aud\":\"yunqiao\",\"sub\":\"alice\",\"jti\":" ID
         ",\"iat\":1799999000,\"nbf\":1799999000,\"exp\":1800003600,\"role\":\"platform-admin\"}",
         "not understood"},
        {"{}", "by or for"},
        {"null", "claims"},
        {"", "claims"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_refused(
            verify(fixture, sign_text(fixture, input(fixture, good_header(fixture), cases[i].claims))),
            cases[i].message);
}

static void test_forms(void **state)
{
    struct fixture *fixture = *state;
    struct arena *arena = fixture->arena;
    const char *unsigned_text = input(fixture, good_header(fixture), GOOD_CLAIMS);
    const char *good = sign_text(fixture, unsigned_text);
    const char *bad[] = {
        "",
        ".",
        "..",
        "...",
        unsigned_text,
        arena_printf(arena, "%s.", unsigned_text),
        arena_printf(arena, "%s.x", good),
        arena_printf(arena, "%s=", good),
        arena_printf(arena, "%s ", good),
        arena_printf(arena, " %s", good),
        arena_printf(arena, "%s\n", good),
        arena_printf(arena, ".%s", good),
        arena_strndup(arena, good, strlen(good) - 1),
        arena_strndup(arena, good, strlen(good) - 2),
        arena_strndup(arena, good, strlen(good) / 2),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_refused(verify(fixture, bad[i]), "malformed");
    char *lengthy = arena_alloc(arena, JWT_LENGTH_MAX + 2);
    memset(lengthy, 'A', JWT_LENGTH_MAX + 1);
    assert_refused(verify(fixture, lengthy), "too long");
}

/* The classic: the public key used as the secret of an HMAC, and a signature of nothing. */
static void test_alg_confusion(void **state)
{
    struct fixture *fixture = *state;
    struct arena *arena = fixture->arena;
    const char *header =
        arena_printf(arena, "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", fixture->kid);
    const char *text = input(fixture, header, GOOD_CLAIMS);
    unsigned char mac[32];
    unsigned size = sizeof mac;
    assert_non_null(HMAC(EVP_sha256(), fixture->public_key, sizeof fixture->public_key,
                         (const unsigned char *)text, strlen(text), mac, &size));
    assert_refused(verify(fixture, arena_printf(arena, "%s.%s", text, base64url_encode(arena, mac, size))),
                   "alg");
    /* The same MAC under the right alg is no signature. */
    text = input(fixture, good_header(fixture), GOOD_CLAIMS);
    assert_refused(verify(fixture, arena_printf(arena, "%s.%s", text, base64url_encode(arena, mac, size))),
                   "malformed");
    unsigned char zeros[64] = {0};
    assert_refused(verify(fixture, arena_printf(arena, "%s.%s", text, base64url_encode(arena, zeros, 64))),
                   "signature is wrong");
}

/* Each byte of a good token changed in turn: none may pass. */
static void test_every_byte_counts(void **state)
{
    struct fixture *fixture = *state;
    const char *good = sign_text(fixture, input(fixture, good_header(fixture), GOOD_CLAIMS));
    size_t length = strlen(good);
    for (size_t i = 0; i < length; i++) {
        char *changed = arena_strdup(fixture->arena, good);
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        assert_refused(verify(fixture, changed), "token");
    }
}

static void test_another_key(void **state)
{
    struct fixture *fixture = *state;
    const char *token = sign_text(fixture, input(fixture, good_header(fixture), GOOD_CLAIMS));
    EVP_PKEY_free(fixture->key);
    fixture->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_refused(verify(fixture, token), "signature is wrong");
    EVP_PKEY_free(fixture->key);
    fixture->key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    assert_refused(verify(fixture, token), "malformed");
}

static void test_noise(void **state)
{
    struct fixture *fixture = *state;
    const char *good = sign_text(fixture, input(fixture, good_header(fixture), GOOD_CLAIMS));
    size_t length = strlen(good);
    uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
    for (int round = 0; round < 20000; round++) {
        char bytes[JWT_LENGTH_MAX];
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        size_t size = (size_t)(random >> 33) % sizeof bytes;
        bool mutate = round % 2;
        if (mutate)
            size = length;
        for (size_t i = 0; i < size; i++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            unsigned dice = (unsigned)(random >> 40);
            bytes[i] = mutate && dice % 64 ? good[i] : (char)(dice >> 8);
        }
        if (mutate && !memcmp(bytes, good, length))
            continue;
        struct jwt_claims claims;
        struct error *error = jwt_verify(bytes, size, find_key, fixture, &claims);
        assert_refused(error, "token");
    }
}

static void test_time(void **state)
{
    const struct jwt_claims claims = {.issued = NOW, .not_before = NOW, .expires = NOW + MOMENT_SECOND};
    ok(jwt_check_time(&claims, NOW));
    ok(jwt_check_time(&claims, NOW + MOMENT_SECOND - 1));
    assert_refused(jwt_check_time(&claims, NOW + MOMENT_SECOND), "expired");
    ok(jwt_check_time(&claims, NOW - JWT_LEEWAY));
    assert_refused(jwt_check_time(&claims, NOW - JWT_LEEWAY - 1), "not yet");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),       TEST(test_hand_made_is_good),
        TEST(test_known_answer),     TEST(test_headers),
        TEST(test_claims),           TEST(test_forms),
        TEST(test_alg_confusion),    TEST(test_every_byte_counts),
        TEST(test_another_key),      TEST(test_noise),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
