/* Identity against a real database: first start, issuing, revoking, disabling, rotation, several brokers, and
 * what row-level security shows of principals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/auth/auth.h"
#include "broker/auth/keyring.h"
#include "broker/auth/principal_store.h"
#include "broker/auth/token_cache.h"
#include "broker/base/digest.h"
#include "tests/support/pg.h"

#define NOW (INT64_C(1800000000) * MOMENT_SECOND)

static struct pg *pg;

struct fixture {
    struct arena *arena;
    struct db *db;
    struct auth *auth;
    const char *key_dir;
};

static void ok(struct error *error)
{
    if (error)
        fail_msg("%s", error_message(error));
}

static void assert_code(struct error *error, enum error_code code, const char *part)
{
    assert_non_null(error);
    if (error_code(error) != code || !strstr(error_message(error), part))
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
    error_free(error);
}

static int start(void **state)
{
    pg = pg_start();
    return 0;
}

static int stop(void **state)
{
    pg_stop(pg);
    return 0;
}

static int setup(void **state)
{
    static int number;
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    fixture->arena = arena_new();
    fixture->key_dir = arena_printf(fixture->arena, "%s/keys-%d", pg_folder(pg), number++);
    pg_exec(pg, "DELETE FROM token; DELETE FROM principal; DELETE FROM signing_key");
    ok(db_connect(pg_conninfo(pg), &fixture->db));
    ok(auth_new(fixture->key_dir, fixture->db, NOW, &fixture->auth));
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    auth_free(fixture->auth);
    db_close(fixture->db);
    arena_free(fixture->arena);
    free(fixture);
    return 0;
}

static struct error *make_body(struct db *db, void *context)
{
    return principal_store_insert(db, context, NOW);
}

static void make_row(struct fixture *fixture, const struct principal_row *row)
{
    ok(db_transaction(fixture->db, &db_scope_system, DB_READ_COMMITTED, make_body, (void *)(uintptr_t)row));
}

static void make(struct fixture *fixture, const char *id, enum role role, const char *unit)
{
    const struct principal_row row = {.grant = {.id = id, .role = role, .unit = unit}};
    make_row(fixture, &row);
}

struct issuing {
    struct fixture *fixture;
    struct auth *auth;
    const char *id;
    const struct principal *actor;
    int64_t life;
    moment now;
    const char *token, *jti;
};

static struct error *issue_body(struct db *db, void *context)
{
    struct issuing *issuing = context;
    return auth_issue_token(issuing->auth, db, issuing->actor, issuing->id, issuing->life, issuing->now,
                            issuing->fixture->arena, &issuing->token, &issuing->jti);
}

static struct error *try_issue(struct issuing *issuing, const struct db_scope *scope)
{
    return db_transaction(issuing->fixture->db, scope, DB_READ_COMMITTED, issue_body, issuing);
}

static struct issuing issue(struct fixture *fixture, const char *id)
{
    struct issuing issuing = {
        .fixture = fixture, .auth = fixture->auth, .id = id, .life = MOMENT_HOUR, .now = NOW};
    ok(try_issue(&issuing, &db_scope_system));
    return issuing;
}

static struct error *verify(struct auth *auth, const char *token, moment now, char id[64])
{
    struct principal *principal;
    TRY(auth_verify_token(auth, token, strlen(token), now, &principal));
    (void)snprintf(id, 64, "%s", principal_id(principal));
    principal_unref(principal);
    return NULL;
}

static void assert_accepts(struct auth *auth, const char *token, moment now, const char *id)
{
    char found[64];
    ok(verify(auth, token, now, found));
    assert_string_equal(found, id);
}

static void assert_refuses(struct auth *auth, const char *token, moment now, const char *part)
{
    char found[64];
    assert_code(verify(auth, token, now, found), ERR_UNAUTHENTICATED, part);
}

static char *read_file(struct arena *arena, const char *path)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *text = arena_alloc(arena, 4096);
    assert_true(fread(text, 1, 4095, file) > 0);
    assert_int_equal(fclose(file), 0);
    return text;
}

static int count_keys(const char *folder)
{
    DIR *entries = opendir(folder);
    assert_non_null(entries);
    int count = 0;
    for (const struct dirent *entry; (entry = readdir(entries));)
        count += strstr(entry->d_name, ".pem") != NULL;
    assert_int_equal(closedir(entries), 0);
    return count;
}

static void test_bootstrap(void **state)
{
    struct fixture *fixture = *state;
    const char *folder = pg_folder(pg);
    const char *path = arena_printf(fixture->arena, "%s/admin.token", folder);
    bool made;
    ok(auth_bootstrap(fixture->auth, fixture->db, folder, NOW, &made));
    assert_true(made);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    const char *token = read_file(fixture->arena, path);
    assert_accepts(fixture->auth, token, NOW, "admin");
    assert_accepts(fixture->auth, token, NOW + MOMENT_DAY - 1, "admin");
    assert_refuses(fixture->auth, token, NOW + MOMENT_DAY, "expired");
    ok(auth_bootstrap(fixture->auth, fixture->db, folder, NOW, &made));
    assert_false(made);
    assert_string_equal(read_file(fixture->arena, path), token);
    assert_int_equal(
        pg_number(pg, "SELECT count(*) FROM audit WHERE principal = 'system' AND action = 'tokens:issue'"),
        1);
    ok(auth_reissue_admin(fixture->auth, fixture->db, folder, NOW + MOMENT_DAY));
    assert_int_equal(
        pg_number(pg, "SELECT count(*) FROM audit WHERE principal = 'system' AND action = 'tokens:issue'"),
        2);
    const char *fresh = read_file(fixture->arena, path);
    assert_string_not_equal(fresh, token);
    assert_accepts(fixture->auth, fresh, NOW + MOMENT_DAY, "admin");
}

static void test_key_files(void **state)
{
    struct fixture *fixture = *state;
    struct stat about;
    assert_int_equal(stat(fixture->key_dir, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0700);
    assert_int_equal(count_keys(fixture->key_dir), 1);
    struct auth *again;
    ok(auth_new(fixture->key_dir, fixture->db, NOW, &again)); /* a restart makes no second key */
    auth_free(again);
    assert_int_equal(count_keys(fixture->key_dir), 1);
    assert_int_equal(chmod(fixture->key_dir, 0755), 0);
    assert_code(auth_new(fixture->key_dir, fixture->db, NOW, &again), ERR_INVALID, "read by others");
    assert_int_equal(chmod(fixture->key_dir, 0700), 0);
    char *kid = pg_value(pg, "SELECT kid FROM signing_key");
    const char *path = arena_printf(fixture->arena, "%s/%s.pem", fixture->key_dir, kid);
    free(kid);
    assert_int_equal(chmod(path, 0640), 0);
    assert_code(auth_new(fixture->key_dir, fixture->db, NOW, &again), ERR_INVALID, "read by others");
    assert_int_equal(chmod(path, 0600), 0);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_code(auth_new(fixture->key_dir, fixture->db, NOW, &again), ERR_INVALID, "holds no private key");
}

struct starter {
    pthread_t thread;
    const char *key_dir;
    struct auth *auth;
    struct error *error;
};

static void *start_broker(void *context)
{
    struct starter *starter = context;
    struct db *db = NULL;
    starter->error = db_connect(pg_conninfo(pg), &db);
    if (!starter->error)
        starter->error = auth_new(starter->key_dir, db, NOW, &starter->auth);
    db_close(db);
    return NULL;
}

static void test_brokers_starting_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct starter starters[4] = {0};
    const char *shared = arena_printf(fixture->arena, "%s-shared", fixture->key_dir);
    pg_exec(pg, "DELETE FROM signing_key");
    for (size_t i = 0; i < 4; i++) {
        starters[i].key_dir = shared;
        assert_int_equal(pthread_create(&starters[i].thread, NULL, start_broker, &starters[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(starters[i].thread, NULL), 0);
        ok(starters[i].error);
    }
    assert_int_equal(count_keys(shared), 1);
    assert_int_equal(pg_number(pg, "SELECT count(*) FROM signing_key"), 1);
    make(fixture, "alice", ROLE_AUDITOR, NULL);
    struct issuing issuing = {
        .fixture = fixture, .auth = starters[0].auth, .id = "alice", .life = MOMENT_HOUR, .now = NOW};
    ok(try_issue(&issuing, &db_scope_system));
    assert_accepts(starters[0].auth, issuing.token, NOW, "alice"); /* at once, without a refresh */
    for (size_t i = 1; i < 4; i++) {
        assert_refuses(starters[i].auth, issuing.token, NOW, "revoked"); /* not known there yet */
        ok(auth_refresh(starters[i].auth, fixture->db, NOW));
        assert_accepts(starters[i].auth, issuing.token, NOW, "alice");
    }
    for (size_t i = 0; i < 4; i++)
        auth_free(starters[i].auth);
}

struct revoking {
    const struct principal *actor;
    const char *jti;
};

static struct error *revoke_body(struct db *db, void *context)
{
    const struct revoking *revoking = context;
    return auth_revoke_token(db, revoking->actor, revoking->jti, NOW);
}

static struct error *revoke(struct fixture *fixture, const char *jti, const struct db_scope *scope)
{
    return db_transaction(fixture->db, scope, DB_READ_COMMITTED, revoke_body, &(struct revoking){.jti = jti});
}

static struct error *revoke_as(struct fixture *fixture, const struct principal *actor, const char *jti)
{
    return db_transaction(fixture->db, principal_scope(actor), DB_READ_COMMITTED, revoke_body,
                          &(struct revoking){actor, jti});
}

/* One bound to systems has no power over the unit's own administrator, but may give up what is its own. */
static void test_who_revokes(void **state)
{
    struct fixture *fixture = *state;
    static const char *const systems[] = {"s1"};
    const struct principal_row bound = {
        .grant = {
            .id = "bound", .role = ROLE_UNIT_ADMIN, .unit = "u1", .systems = systems, .system_count = 1}};
    struct principal *actor, *chief;
    make(fixture, "alice", ROLE_UNIT_ADMIN, "u1");
    make_row(fixture, &bound);
    ok(principal_new(&bound.grant, &actor));
    ok(principal_new(&(struct principal_grant){.id = "alice", .role = ROLE_UNIT_ADMIN, .unit = "u1"},
                     &chief));
    struct issuing alice = issue(fixture, "alice"), own = issue(fixture, "bound"),
                   second = issue(fixture, "bound");
    assert_code(revoke_as(fixture, actor, alice.jti), ERR_DENIED, "whole unit");
    ok(revoke_as(fixture, actor, own.jti));
    ok(revoke_as(fixture, chief, second.jti));
    ok(auth_refresh(fixture->auth, fixture->db, NOW));
    assert_accepts(fixture->auth, alice.token, NOW, "alice");
    assert_refuses(fixture->auth, own.token, NOW, "revoked");
    principal_unref(actor);
    principal_unref(chief);
}

static void test_revocation(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, "alice", ROLE_UNIT_ADMIN, "u1");
    make(fixture, "bob", ROLE_UNIT_ADMIN, "u2");
    struct issuing first = issue(fixture, "alice"), second = issue(fixture, "alice"),
                   bob = issue(fixture, "bob");
    ok(auth_refresh(fixture->auth, fixture->db, NOW));
    assert_accepts(fixture->auth, first.token, NOW, "alice");
    assert_accepts(fixture->auth, second.token, NOW, "alice");
    const struct db_scope u2 = {.units = "u2"}, u1 = {.units = "u1"};
    assert_code(revoke(fixture, first.jti, &u2), ERR_NOT_FOUND, "no such token");
    assert_code(revoke(fixture, "nonsense", &u1), ERR_NOT_FOUND, "no such token");
    ok(revoke(fixture, first.jti, &u1));
    ok(auth_refresh(fixture->auth, fixture->db, NOW));
    assert_refuses(fixture->auth, first.token, NOW, "revoked");
    assert_accepts(fixture->auth, second.token, NOW, "alice");
    assert_accepts(fixture->auth, bob.token, NOW, "bob");
    ok(revoke(fixture, first.jti, &u1)); /* again */
    struct auth *fresh;
    ok(auth_new(fixture->key_dir, fixture->db, NOW, &fresh));
    assert_refuses(fresh, first.token, NOW, "revoked");
    assert_accepts(fresh, second.token, NOW, "alice");
    auth_free(fresh);
}

struct changing {
    const char *id;
    bool disabled;
    const char *certificate;
    struct arena *arena;
};

static struct error *change_body(struct db *db, void *context)
{
    const struct changing *changing = context;
    struct principal_row row;
    TRY(principal_store_lock(db, changing->id, changing->arena, &row));
    row.disabled = changing->disabled;
    row.certificate = changing->certificate;
    return principal_store_update(db, &row, NOW);
}

static struct error *change(struct fixture *fixture, const char *id, bool disabled, const char *certificate,
                            const struct db_scope *scope)
{
    struct changing changing = {id, disabled, certificate, fixture->arena};
    return db_transaction(fixture->db, scope, DB_READ_COMMITTED, change_body, &changing);
}

static void test_disabling(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, "alice", ROLE_UNIT_OPERATOR, "u1");
    struct issuing alice = issue(fixture, "alice");
    assert_accepts(fixture->auth, alice.token, NOW, "alice");
    ok(change(fixture, "alice", true, NULL, &db_scope_system));
    ok(auth_refresh(fixture->auth, fixture->db, NOW));
    assert_refuses(fixture->auth, alice.token, NOW, "revoked");
    struct issuing refused = {
        .fixture = fixture, .auth = fixture->auth, .id = "alice", .life = MOMENT_HOUR, .now = NOW};
    assert_code(try_issue(&refused, &db_scope_system), ERR_CONFLICT, "disabled");
    ok(change(fixture, "alice", false, NULL, &db_scope_system));
    ok(auth_refresh(fixture->auth, fixture->db, NOW));
    assert_accepts(fixture->auth, alice.token, NOW, "alice");
}

static void test_certificates(void **state)
{
    struct fixture *fixture = *state;
    char fingerprint[65], other[65];
    memset(fingerprint, 'a', 64);
    memset(other, 'b', 64);
    fingerprint[64] = other[64] = '\0';
    make(fixture, "alice", ROLE_UNIT_OPERATOR, "u1");
    make(fixture, "bob", ROLE_UNIT_OPERATOR, "u1");
    ok(change(fixture, "alice", false, fingerprint, &db_scope_system));
    ok(auth_refresh(fixture->auth, fixture->db, NOW));
    struct principal *principal;
    ok(auth_verify_certificate(fixture->auth, fingerprint, &principal));
    assert_string_equal(principal_id(principal), "alice");
    principal_unref(principal);
    assert_code(auth_verify_certificate(fixture->auth, other, &principal), ERR_UNAUTHENTICATED, "not known");
    assert_code(auth_verify_certificate(fixture->auth, "", &principal), ERR_UNAUTHENTICATED, "not known");
    assert_code(change(fixture, "bob", false, fingerprint, &db_scope_system), ERR_EXISTS, "bob");
    ok(change(fixture, "alice", true, fingerprint, &db_scope_system));
    ok(auth_refresh(fixture->auth, fixture->db, NOW));
    assert_code(auth_verify_certificate(fixture->auth, fingerprint, &principal), ERR_UNAUTHENTICATED,
                "not known");
}

static void test_last_admin_stays(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, "root", ROLE_PLATFORM_ADMIN, NULL);
    assert_code(change(fixture, "root", true, NULL, &db_scope_system), ERR_CONFLICT,
                "no other platform-admin");
    make(fixture, "root2", ROLE_PLATFORM_ADMIN, NULL);
    ok(change(fixture, "root", true, NULL, &db_scope_system));
    assert_code(change(fixture, "root2", true, NULL, &db_scope_system), ERR_CONFLICT,
                "no other platform-admin");
}

/* A unit's scope neither sees, changes, issues for nor makes what is outside it. */
static void test_scope_of_a_unit(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, "alice", ROLE_UNIT_ADMIN, "u1");
    make(fixture, "bob", ROLE_UNIT_OPERATOR, "u2");
    make(fixture, "root", ROLE_PLATFORM_ADMIN, NULL);
    const struct db_scope u1 = {.units = "u1"};
    const char *const outside[] = {"bob", "root", "nobody"};
    for (size_t i = 0; i < 3; i++) {
        struct issuing issuing = {
            .fixture = fixture, .auth = fixture->auth, .id = outside[i], .life = MOMENT_HOUR, .now = NOW};
        assert_code(try_issue(&issuing, &u1), ERR_NOT_FOUND, "no such principal");
        assert_code(change(fixture, outside[i], true, NULL, &u1), ERR_NOT_FOUND, "no such principal");
    }
    const struct principal_row rows[] = {
        {.grant = {.id = "eve", .role = ROLE_UNIT_ADMIN, .unit = "u2"}},
        {.grant = {.id = "eve", .role = ROLE_PLATFORM_ADMIN}},
    };
    for (size_t i = 0; i < 2; i++)
        assert_code(
            db_transaction(fixture->db, &u1, DB_READ_COMMITTED, make_body, (void *)(uintptr_t)&rows[i]),
            ERR_DENIED, "eve");
    const struct principal_row own = {.grant = {.id = "carol", .role = ROLE_UNIT_OPERATOR, .unit = "u1"}};
    ok(db_transaction(fixture->db, &u1, DB_READ_COMMITTED, make_body, (void *)(uintptr_t)&own));
    assert_code(db_transaction(fixture->db, &u1, DB_READ_COMMITTED, make_body, (void *)(uintptr_t)&own),
                ERR_EXISTS, "carol");
}

static void test_lives(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, "alice", ROLE_AUDITOR, NULL);
    const int64_t refused[] = {INT64_MIN, -1, 0, TOKEN_LIFE_MIN - 1, TOKEN_LIFE_MAX + 1, INT64_MAX};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct issuing issuing = {
            .fixture = fixture, .auth = fixture->auth, .id = "alice", .life = refused[i], .now = NOW};
        assert_code(try_issue(&issuing, &db_scope_system), ERR_INVALID, "");
    }
    struct issuing longest = {.fixture = fixture,
                              .auth = fixture->auth,
                              .id = "alice",
                              .life = TOKEN_LIFE_MAX,
                              .now = NOW + 999999};
    ok(try_issue(&longest, &db_scope_system));
    assert_accepts(fixture->auth, longest.token, NOW + TOKEN_LIFE_MAX - 1, "alice");
    assert_refuses(fixture->auth, longest.token, NOW + TOKEN_LIFE_MAX, "expired");
    /* The cache holds it now; time still decides. */
    assert_accepts(fixture->auth, longest.token, NOW, "alice");
    assert_refuses(fixture->auth, longest.token, NOW - MOMENT_MINUTE, "not yet");
}

static struct error *rotate_body(struct db *db, void *context)
{
    return auth_rotate_keys(db, *(moment *)context, &(int64_t){0});
}

static void rotate(struct fixture *fixture, moment now)
{
    ok(db_transaction(fixture->db, &db_scope_system, DB_READ_COMMITTED, rotate_body, &now));
}

static const char *kid_of(struct fixture *fixture, struct auth *auth, moment now)
{
    struct issuing issuing = {
        .fixture = fixture, .auth = auth, .id = "alice", .life = MOMENT_DAY, .now = now};
    ok(try_issue(&issuing, &db_scope_system));
    char *kid =
        pg_value(pg, arena_printf(fixture->arena, "SELECT kid FROM token WHERE jti = '%s'", issuing.jti));
    const char *copy = arena_strdup(fixture->arena, kid);
    free(kid);
    return copy;
}

static void test_rotation(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, "alice", ROLE_AUDITOR, NULL);
    struct auth *other;
    ok(auth_new(arena_printf(fixture->arena, "%s-other", fixture->key_dir), fixture->db, NOW, &other));
    ok(auth_refresh(fixture->auth, fixture->db, NOW));
    struct issuing old = issue(fixture, "alice");
    const char *first = kid_of(fixture, fixture->auth, NOW);
    assert_string_not_equal(kid_of(fixture, other, NOW), first);

    moment rotated = NOW + MOMENT_MINUTE;
    rotate(fixture, rotated);
    ok(auth_refresh(fixture->auth, fixture->db, rotated));
    ok(auth_refresh(other, fixture->db, rotated));
    ok(auth_refresh(fixture->auth, fixture->db, rotated)); /* knows the other's new key now */
    assert_int_equal(count_keys(fixture->key_dir), 2);
    assert_string_equal(kid_of(fixture, fixture->auth, rotated), first); /* the new one settles first */
    moment later = rotated + AUTH_KEY_OVERLAP;
    const char *second = kid_of(fixture, fixture->auth, later);
    assert_string_not_equal(second, first);
    assert_accepts(fixture->auth, old.token, later, "alice");
    assert_accepts(other, old.token, later, "alice");

    /* Something else changes: the retired key's private half goes; its tokens live until they expire. */
    make(fixture, "bob", ROLE_AUDITOR, NULL);
    ok(auth_refresh(fixture->auth, fixture->db, later));
    assert_int_equal(count_keys(fixture->key_dir), 1);
    assert_accepts(fixture->auth, old.token, later, "alice");
    ok(auth_refresh(other, fixture->db, later));
    assert_accepts(other, old.token, later, "alice");
    auth_free(other);
}

static struct error *revoke_key_body(struct db *db, void *context)
{
    return auth_revoke_key(db, context, NOW);
}

static void test_leaked_key(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, "alice", ROLE_AUDITOR, NULL);
    struct issuing old = issue(fixture, "alice");
    assert_accepts(fixture->auth, old.token, NOW, "alice");
    char *kid = pg_value(pg, "SELECT kid FROM signing_key");
    ok(db_transaction(fixture->db, &db_scope_system, DB_READ_COMMITTED, revoke_key_body, kid));
    ok(auth_refresh(fixture->auth, fixture->db, NOW));
    assert_refuses(fixture->auth, old.token, NOW, "key is unknown");
    assert_accepts(fixture->auth, issue(fixture, "alice").token, NOW, "alice"); /* by a new key */
    assert_int_equal(count_keys(fixture->key_dir), 1);
    free(kid);
    assert_code(db_transaction(fixture->db, &db_scope_system, DB_READ_COMMITTED, revoke_key_body,
                               (void *)(uintptr_t) "k-0"),
                ERR_NOT_FOUND, "no such key");
}

static struct error *purge_body(struct db *db, void *context)
{
    return auth_purge_tokens(db, NOW + MOMENT_HOUR + TOKEN_KEEP + 1, context);
}

static void test_purge(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, "alice", ROLE_AUDITOR, NULL);
    (void)issue(fixture, "alice");
    struct issuing kept = {
        .fixture = fixture, .auth = fixture->auth, .id = "alice", .life = MOMENT_DAY, .now = NOW};
    ok(try_issue(&kept, &db_scope_system));
    int64_t count;
    ok(db_transaction(fixture->db, &db_scope_system, DB_READ_COMMITTED, purge_body, &count));
    assert_int_equal(count, 1);
    char *left = pg_value(pg, "SELECT jti FROM token");
    assert_string_equal(left, kept.jti);
    free(left);
}

/* More tokens than places: nothing is confused, nothing leaks. */
static void test_cache_under_pressure(void **state)
{
    struct fixture *fixture = *state;
    struct token_cache *cache = token_cache_new();
    struct principal *principals[2];
    ok(principal_new(&(struct principal_grant){.id = "a", .role = ROLE_AUDITOR}, &principals[0]));
    ok(principal_new(&(struct principal_grant){.id = "b", .role = ROLE_AUDITOR}, &principals[1]));
    enum { TOKENS = TOKEN_CACHE_SIZE + 4000 };
    char(*tokens)[129] = arena_array(fixture->arena, TOKENS, sizeof *tokens);
    for (int i = 0; i < TOKENS; i++) {
        char seed[16];
        (void)snprintf(seed, sizeof seed, "%d", i);
        digest_sha256(seed, strlen(seed), tokens[i]);
        digest_sha256(tokens[i], 64, tokens[i] + 64);
        struct token_verdict verdict = {.principal = principals[i % 2], .number = (uint64_t)i};
        verdict.claims.expires = NOW + i;
        token_cache_put(cache, tokens[i], 128, &verdict);
    }
    int found = 0;
    for (int i = 0; i < TOKENS; i++) {
        struct token_verdict verdict;
        if (!token_cache_get(cache, tokens[i], 128, &verdict))
            continue;
        assert_int_equal(verdict.number, i);
        assert_ptr_equal(verdict.principal, principals[i % 2]);
        principal_unref(verdict.principal);
        found++;
    }
    assert_in_range(found, TOKEN_CACHE_SIZE / 2, TOKEN_CACHE_SIZE);
    struct token_verdict verdict;
    assert_false(token_cache_get(cache, tokens[0], 127, &verdict));
    assert_false(token_cache_get(cache, "", 0, &verdict));
    token_cache_free(cache);
    principal_unref(principals[0]);
    principal_unref(principals[1]);
}

struct hammer {
    pthread_t thread;
    struct auth *auth;
    const char *token;
    int accepted, refused;
};

static void *hammer(void *context)
{
    struct hammer *hammer = context;
    for (int i = 0; i < 2000; i++) {
        char id[64];
        struct error *error = verify(hammer->auth, hammer->token, NOW, id);
        if (!error && !strcmp(id, "alice"))
            hammer->accepted++;
        else
            hammer->refused++;
        error_free(error);
    }
    return NULL;
}

/* Event loops verify while the state is swapped under them. */
static void test_threads(void **state)
{
    struct fixture *fixture = *state;
    make(fixture, "alice", ROLE_AUDITOR, NULL);
    struct issuing alice = issue(fixture, "alice");
    struct hammer hammers[4] = {0};
    for (size_t i = 0; i < 4; i++) {
        hammers[i].auth = fixture->auth;
        hammers[i].token = alice.token;
        assert_int_equal(pthread_create(&hammers[i].thread, NULL, hammer, &hammers[i]), 0);
    }
    for (int i = 0; i < 20; i++) {
        make(fixture, arena_printf(fixture->arena, "p%d", i), ROLE_AUDITOR, NULL);
        (void)issue(fixture, arena_printf(fixture->arena, "p%d", i));
        ok(auth_refresh(fixture->auth, fixture->db, NOW));
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(hammers[i].thread, NULL), 0);
        assert_int_equal(hammers[i].accepted, 2000);
        assert_int_equal(hammers[i].refused, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_bootstrap),
        TEST(test_key_files),
        TEST(test_brokers_starting_at_once),
        TEST(test_revocation),
        TEST(test_who_revokes),
        TEST(test_disabling),
        TEST(test_certificates),
        TEST(test_last_admin_stays),
        TEST(test_scope_of_a_unit),
        TEST(test_lives),
        TEST(test_rotation),
        TEST(test_leaked_key),
        TEST(test_purge),
        TEST(test_cache_under_pressure),
        TEST(test_threads),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
