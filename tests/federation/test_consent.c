/* Consents: the rule by a table, the database that lets nobody change one, the check that moves rest on, and
 * who gives, sees and withdraws them over HTTP. */
#include "federation/consent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/federation/desk.h"

#define DIGEST "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
#define MACHINE "0193b2f0-7c1e-7d3a-9f2b-5a1c0e4d8b61"
#define T0 INT64_C(1800000000000000)

static const char *systems[] = {"u001"}, *machines[] = {MACHINE}, *from[] = {"c/s"}, *to[] = {"d"};

static struct consent example(void)
{
    return (struct consent){.id = "one",
                            .unit = "u",
                            .algorithm = "sm3",
                            .digest = DIGEST,
                            .reference = "letter 17",
                            .signer_name = "Wang",
                            .signer_post = "director",
                            .systems = {systems, 1},
                            .from = {from, 1},
                            .to = {to, 1},
                            .valid_from = T0,
                            .valid_until = T0 + MOMENT_DAY};
}

static void a_place_covers_its_sites(void **state)
{
    (void)state;
    assert_true(consent_place_covers("c/s", "c/s"));
    assert_true(consent_place_covers("c", "c/s"));
    assert_false(consent_place_covers("c/s", "c/s2"));
    assert_false(consent_place_covers("c/s2", "c/s"));
    assert_false(consent_place_covers("c", "c2/s"));
    assert_false(consent_place_covers("c2", "c/s"));
    assert_false(consent_place_covers("c/s", "d/s"));
    assert_false(consent_place_covers("c/s", "c/s/x")); /* there are no sites of sites */
}

/* Each case breaks one thing of a consent for system u001 and one machine, from c/s to all of d. */
static void what_a_consent_covers(void **state)
{
    static const struct {
        struct consent_ask ask;
        moment at;
        enum consent_verdict verdict;
    } cases[] = {
        {{"u", "u001", NULL, "c/s", "d/t"}, T0, CONSENT_COVERS},
        {{"u", "u001", "other", "c/s", "d/t"}, T0 + MOMENT_DAY - 1, CONSENT_COVERS},
        {{"u", "u002", MACHINE, "c/s", "d/t2"}, T0, CONSENT_COVERS}, /* whatever its system */
        {{"u", "u001", NULL, "c/s", "d/t"}, T0 - 1, CONSENT_EARLY},
        {{"u", "u001", NULL, "c/s", "d/t"}, T0 + MOMENT_DAY, CONSENT_EXPIRED},
        {{"v", "u001", NULL, "c/s", "d/t"}, T0, CONSENT_ELSEWHERE},
        {{"u", "u002", NULL, "c/s", "d/t"}, T0, CONSENT_ELSEWHERE}, /* one machine is not its system */
        {{"u", "u002", "other", "c/s", "d/t"}, T0, CONSENT_ELSEWHERE},
        {{"u", "u001", NULL, "c/s2", "d/t"}, T0, CONSENT_ELSEWHERE},
        {{"u", "u001", NULL, "c/s", "e/t"}, T0, CONSENT_ELSEWHERE},
        {{"u", "u001", NULL, "d/t", "c/s"}, T0, CONSENT_ELSEWHERE}, /* there is not back */
    };
    struct consent consent = example();
    (void)state;
    consent.instances = (struct json_texts){machines, 1};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (consent_weigh(&consent, &cases[i].ask, cases[i].at) != cases[i].verdict)
            fail_msg("case %zu: %d", i, (int)consent_weigh(&consent, &cases[i].ask, cases[i].at));
    consent.withdrawn_at = T0 + MOMENT_HOUR;
    assert_int_equal(consent_weigh(&consent, &cases[0].ask, T0 + MOMENT_HOUR - 1), CONSENT_COVERS);
    assert_int_equal(consent_weigh(&consent, &cases[0].ask, T0 + MOMENT_HOUR), CONSENT_WITHDRAWN);
    assert_int_equal(consent_weigh(&consent, &cases[0].ask, T0 + 2 * MOMENT_DAY), CONSENT_WITHDRAWN);
}

static void judged(const struct consent *list, size_t count, moment at, const char *part)
{
    const struct consent_ask ask = {"u", "u001", NULL, "c/s", "d/t"};
    size_t which;
    struct error *error = consent_judge(list, count, &ask, at, &which);
    if (!error || !strstr(error_message(error), part))
        fail_msg("\"%s\" is not in: %s", part, error ? error_message(error) : "(it is covered)");
    refused(error, ERR_DENIED);
}

static void a_refusal_says_why(void **state)
{
    struct consent list[3] = {example(), example(), example()};
    const struct consent_ask ask = {"u", "u001", NULL, "c/s", "d/t"};
    size_t which = 9;
    (void)state;
    judged(list, 0, T0, "no consent of unit \"u\" for system \"u001\" to leave site \"c/s\"");
    list[0].unit = "v";
    judged(list, 1, T0, "no consent");
    list[0] = example();
    list[1].id = "two";
    list[1].valid_until = T0 + 2 * MOMENT_DAY;
    judged(list, 2, T0 + 3 * MOMENT_DAY, "two"); /* the one that expired last */
    judged(list, 2, T0 + 3 * MOMENT_DAY, "expired on 2027-01-17 16:00:00");
    judged(list, 2, T0 - 1, "is not in force before 2027-01-15 16:00:00");
    list[2].id = "three";
    list[2].withdrawn_at = T0;
    list[2].withdrawal_reason = "put off";
    judged(list, 3, T0 + 3 * MOMENT_DAY, "withdrawn on 2027-01-15 16:00:00 (Asia/Shanghai): put off");
    ok(consent_judge(list, 3, &ask, T0 + MOMENT_DAY, &which));
    assert_int_equal(which, 1);
}

static void what_a_new_consent_must_be(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    static const char *twice[] = {"u001", "u001"};
    struct consent consent = example();
    (void)state;
    consent.digest = "66C7F0F462EEEDD9D1F2D46BDC10E4E24167C4875CF2F7A2297DA02B8F4BA8E0";
    ok(consent_check_new(arena, &consent, T0));
    assert_string_equal(consent.digest, DIGEST);
    consent.digest = "66c7";
    refused(consent_check_new(arena, &consent, T0), ERR_INVALID);
    consent.digest = "g6c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
    refused(consent_check_new(arena, &consent, T0), ERR_INVALID);
    consent = example();
    consent.systems.count = 0;
    refused(consent_check_new(arena, &consent, T0), ERR_INVALID);
    consent.instances = (struct json_texts){machines, 1};
    ok(consent_check_new(arena, &consent, T0));
    consent = example();
    consent.systems = (struct json_texts){twice, 2};
    refused(consent_check_new(arena, &consent, T0), ERR_INVALID);
    consent = example();
    refused(consent_check_new(arena, &consent, T0 + MOMENT_DAY), ERR_INVALID); /* over already */
    consent.valid_until = T0;
    refused(consent_check_new(arena, &consent, T0 - MOMENT_DAY), ERR_INVALID);
}

#define BODY(systems, from, to, until)                                                               \
    "{\"unit\":\"u\",\"document\":{\"algorithm\":\"sm3\",\"digest\":\"" DIGEST                       \
    "\",\"reference\":\"letter 17\"},\"signer\":{\"name\":\"Wang\",\"post\":\"director\"},\"systems" \
    "\":" systems ",\"from\":" from ",\"to\":" to ",\"valid_until\":\"" until "\"}"
#define GOOD \
    BODY("[\"u001\"]", "[{\"cloud\":\"c\",\"site\":\"s\"}]", "[{\"cloud\":\"d\"}]", "2090-01-01T00:00:00Z")

struct asking {
    const char *system, *resource, *from, *to;
    moment at;
    char consent[40];
};

/* From site c/s. */
static struct asking ask(const char *system, const char *resource, const char *to_site)
{
    return (struct asking){.system = system, .resource = resource, .from = "c/s", .to = to_site};
}

static struct error *check_body(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct asking *asking = context;
    const char *id = "untouched";
    TRY(consent_check(db, arena, "u", asking->system, asking->resource, asking->from, asking->to,
                      asking->at ? asking->at : clock_now(house.clock), &id));
    (void)snprintf(asking->consent, sizeof asking->consent, "%s", id ? id : "none needed");
    return NULL;
}

static struct error *check(struct asking *asking)
{
    return db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, check_body, asking);
}

static void moves_ask_before_they_begin(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct asking asking = ask("u001", NULL, "d/t"), other = ask("u002", MACHINE, "d/t"),
                  within = ask("u001", NULL, "c/s");
    (void)state;
    refused(check(&asking), ERR_DENIED);
    const char *id = desk_text(desk_call(arena, UNIT, "POST", "/v1/consents", GOOD, 201), "id");
    ok(check(&asking));
    assert_string_equal(asking.consent, id);
    refused(check(&other), ERR_DENIED);
    ok(check(&within));
    assert_string_equal(within.consent, "none needed");
    asking.at = clock_now(house.clock) + 100 * 366 * MOMENT_DAY;
    refused(check(&asking), ERR_DENIED);
    asking.at = 0;
    desk_match = "\"v1\"";
    desk_call(arena, UNIT, "POST", arena_printf(arena, "/v1/consents/%s:withdraw", id),
              "{\"reason\":\"put off\"}", 200);
    struct error *error = check(&asking);
    assert_non_null(error);
    assert_non_null(strstr(error_message(error), "put off"));
    refused(error, ERR_DENIED);
}

/* One machine alone, of whatever system. */
static void a_single_machine_may_leave(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char operation[37], id[37];
    (void)state;
    ok(house_order(ONE_INSTANCE("web"), operation));
    house_id("web", id);
    const char *good = arena_printf(
        arena,
        "{\"unit\":\"u\",\"document\":{\"algorithm\":\"sha256\",\"digest\":\"" DIGEST
        "\",\"reference\":\"mail\"},\"signer\":{\"name\":\"W\",\"post\":\"d\"},\"instances\":[\"%s\"],"
        "\"from\":[{\"cloud\":\"c\"}],\"to\":[{\"cloud\":\"d\",\"site\":\"t\"}],\"valid_until\":"
        "\"2090-01-01T00:00:00Z\"}",
        id);
    desk_call(arena, PART, "POST", "/v1/consents", good, 422); /* not a system of its own */
    json_t *made = desk_call(arena, UNIT, "POST", "/v1/consents", good, 201);
    assert_string_equal(desk_text(json_array_get(json_object_get(made, "from"), 0), "cloud"), "c");
    assert_null(json_object_get(json_array_get(json_object_get(made, "from"), 0), "site"));
    struct asking machine = ask("u001", id, "d/t"), whole = ask("u001", NULL, "d/t");
    ok(check(&machine));
    refused(check(&whole), ERR_DENIED);
    assert_int_equal(desk_count(arena, UNIT, "/v1/consents?system=u001", "consents"), 1);
    assert_int_equal(desk_count(arena, MEMBER, "/v1/consents", "consents"), 0);
}

static void who_gives_and_sees_one(void **state)
{
    static const struct {
        enum who who;
        int give;   /* GOOD, for system u001 */
        int read;   /* of one that was given */
        int listed; /* −1: may not */
    } cases[] = {
        {ADMIN, 403, 200, 1},    {OPERATOR, 403, 403, -1}, {REGULATOR, 403, 200, 1},
        {ENGINEER, 403, 200, 1}, {AUDITOR, 403, 200, 1},   {OTHER_REGULATOR, 403, 404, 0},
        {MEMBER, 403, 404, 0},   {PART, 422, 404, 0},      {STRANGER, 404, 404, 0},
    };
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    json_t *made = desk_call(arena, UNIT, "POST", "/v1/consents", GOOD, 201);
    const char *path = arena_printf(arena, "/v1/consents/%s", desk_text(made, "id"));
    assert_string_equal(desk_text(made, "state"), "in-force");
    assert_string_equal(desk_text(made, "given_by"), "unit-admin");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        desk_call(arena, cases[i].who, "POST", "/v1/consents", GOOD, cases[i].give);
        desk_call(arena, cases[i].who, "GET", path, NULL, cases[i].read);
        if (cases[i].listed >= 0)
            assert_int_equal(desk_count(arena, cases[i].who, "/v1/consents", "consents"), cases[i].listed);
    }
    desk_expect("SELECT count(*) FROM consent", "1");
    desk_expect(
        "SELECT string_agg(type || ' ' || unit_id || ' ' || cloud_id || ' ' || system_id, ',') FROM event",
        "consent.given u c u001");
    jobs_await(house.pg,
               "SELECT count(*) FROM audit WHERE action = 'consents:write' AND status = 201 AND unit_id = 'u'"
               " AND cloud_id = 'c' AND subject = (SELECT id::text FROM consent)",
               "1");
    assert_int_equal(desk_count(arena, UNIT, "/v1/consents?state=in-force&cloud=d&unit=u", "consents"), 1);
    assert_int_equal(desk_count(arena, UNIT, "/v1/consents?state=withdrawn", "consents"), 0);
    desk_call(arena, UNIT, "GET", "/v1/consents?state=lost", NULL, 400);
    desk_call(arena, UNIT, "GET", "/v1/consents/nothing", NULL, 404);
}

static void it_is_withdrawn_once_by_the_unit(void **state)
{
    static const char why[] = "{\"reason\":\"put off\"}";
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    json_t *made = desk_call(arena, UNIT, "POST", "/v1/consents", GOOD, 201);
    const char *path = arena_printf(arena, "/v1/consents/%s:withdraw", desk_text(made, "id"));
    desk_call(arena, UNIT, "POST", path, why, 428);
    desk_match = "\"v2\"";
    desk_call(arena, UNIT, "POST", path, why, 412);
    desk_match = "\"v1\"";
    desk_call(arena, ADMIN, "POST", path, why, 403);
    desk_call(arena, ENGINEER, "POST", path, why, 403);
    desk_call(arena, STRANGER, "POST", path, why, 404);
    desk_call(arena, PART, "POST", path, why, 404);
    desk_call(arena, UNIT, "POST", path, "{}", 422);
    json_t *gone = desk_call(arena, UNIT, "POST", path, why, 200);
    assert_string_equal(desk_text(gone, "state"), "withdrawn");
    assert_string_equal(desk_text(gone, "withdrawal_reason"), "put off");
    assert_string_equal(desk_text(gone, "withdrawn_by"), "unit-admin");
    desk_call(arena, UNIT, "POST", path, why, 412);
    desk_match = "\"v2\"";
    desk_call(arena, UNIT, "POST", path, why, 409);
    desk_expect("SELECT string_agg(type, ',' ORDER BY id) FROM event", "consent.given,consent.withdrawn");
}

static void bad_requests_are_told_in_whole(void **state)
{
    static const struct {
        const char *body, *pointer;
    } cases[] = {
        {BODY("[]", "[{\"cloud\":\"c\"}]", "[{\"cloud\":\"d\"}]", "2090-01-01T00:00:00Z"), "/systems"},
        {BODY("[\"u009\"]", "[{\"cloud\":\"c\"}]", "[{\"cloud\":\"d\"}]", "2090-01-01T00:00:00Z"),
         "/systems/0"},
        {BODY("[\"v001\"]", "[{\"cloud\":\"c\"}]", "[{\"cloud\":\"d\"}]", "2090-01-01T00:00:00Z"),
         "/systems/0"},
        {BODY("[\"u001\"]", "[{\"cloud\":\"x\"}]", "[{\"cloud\":\"d\"}]", "2090-01-01T00:00:00Z"), "/from/0"},
        {BODY("[\"u001\"]", "[{\"cloud\":\"c\",\"site\":\"t\"}]", "[{\"cloud\":\"d\"}]",
              "2090-01-01T00:00:00Z"),
         "/from/0"},
        {BODY("[\"u001\"]", "[{\"cloud\":\"c\"}]", "[]", "2090-01-01T00:00:00Z"), "/to"},
        {BODY("[\"u001\"]", "[{\"cloud\":\"c\"}]", "[{\"cloud\":\"d\"},{\"cloud\":\"d\"}]",
              "2090-01-01T00:00:00Z"),
         "/to/1"},
        {BODY("[\"u001\"]", "[{\"cloud\":\"c\"}]", "[{\"cloud\":\"d\"}]", "2020-01-01T00:00:00Z"),
         "/valid_until"},
        {BODY("[\"u001\"]", "[{\"kind\":\"export\"}]", "[{\"cloud\":\"d\"}]", "2090-01-01T00:00:00Z"),
         "/from/0/kind"},
        {BODY("[\"u001\"]", "[{\"cloud\":\"c\"}]", "[{\"kind\":\"export\",\"cloud\":\"d\"}]",
              "2090-01-01T00:00:00Z"),
         "/to/0/kind"},
        {BODY("[\"u001\"]", "[{\"cloud\":\"c\"}]", "[{}]", "2090-01-01T00:00:00Z"), "/to/0/cloud"},
        {"{\"unit\":\"u\"}", "/document"},
    };
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *problem = desk_call(arena, UNIT, "POST", "/v1/consents", cases[i].body, 422);
        const char *text = json_canonical(arena, problem);
        if (!strstr(text, arena_printf(arena, "\"pointer\":\"%s\"", cases[i].pointer)))
            fail_msg("case %zu: no %s in %s", i, cases[i].pointer, text);
    }
    desk_expect("SELECT count(*) FROM consent", "0");
}

static struct error *ask_export(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    return consent_check(db, arena, "u", "u001", NULL, "c/s", CONSENT_EXPORT, clock_now(house.clock), NULL);
}

/* A paper that speaks of a cloud says nothing of files, and the other way round. */
static void files_are_a_place_of_their_own(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    desk_call(arena, UNIT, "POST", "/v1/consents", GOOD, 201);
    struct error *error = db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, ask_export, NULL);
    assert_non_null(strstr(error_message(error), "for files outside all clouds"));
    refused(error, ERR_DENIED);
    json_t *made = desk_call(
        arena, UNIT, "POST", "/v1/consents",
        BODY("[\"u001\"]", "[{\"cloud\":\"c\"}]", "[{\"kind\":\"export\"}]", "2090-01-01T00:00:00Z"), 201);
    assert_string_equal(json_canonical(arena, json_object_get(made, "to")), "[{\"kind\":\"export\"}]");
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, ask_export, NULL));
    desk_expect("SELECT clouds::text FROM consent ORDER BY given_at DESC LIMIT 1", "{c}");
}

static struct error *tamper_body(struct db *db, void *context)
{
    return db_run(db, context, DB_NO_VALUES, NULL);
}

/* By grant for the broker, by trigger for the owner of the tables. */
static void a_row_never_changes(void **state)
{
    static const struct db_statement attempts[] = {
        {"t1", "UPDATE consent SET digest = repeat('0', 64)"},
        {"t2", "UPDATE consent SET to_places = '{e}'"},
        {"t3", "DELETE FROM consent"},
        {"t4", "UPDATE consent SET withdrawn_at = NULL, withdrawn_by = NULL, withdrawal_reason = NULL"},
        {"t5", "UPDATE consent SET withdrawal_reason = 'another'"},
    };
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    desk_call(arena, UNIT, "POST", "/v1/consents", GOOD, 201);
    pg_exec(house.pg, "UPDATE consent SET withdrawn_at = now(), withdrawn_by = 'x', withdrawal_reason = 'y'");
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        struct error *error = db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, tamper_body,
                                             (void *)(uintptr_t)&attempts[i]);
        refused(error, ERR_DENIED);
        char *sql = xasprintf("DO $$ BEGIN %s; EXCEPTION WHEN insufficient_privilege THEN"
                              " INSERT INTO note VALUES (%zu); END $$",
                              attempts[i].sql, i);
        pg_exec(house.pg, "CREATE TABLE IF NOT EXISTS note (n bigint)");
        pg_exec(house.pg, sql);
        free(sql);
    }
    pg_exec(house.pg, "DO $$ BEGIN TRUNCATE consent; EXCEPTION WHEN insufficient_privilege THEN"
                      " INSERT INTO note VALUES (9); END $$");
    desk_expect("SELECT string_agg(n::text, ' ' ORDER BY n) FROM note", "0 1 2 3 4 9");
    pg_exec(house.pg, "DROP TABLE note");
}

struct holding {
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool held, release;
};

/* A move's step that rests on the consent: it is checked, then work is done, then it commits. */
static struct error *hold_body(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct holding *holding = context;
    TRY(consent_check(db, arena, "u", "u001", NULL, "c/s", "d/t", clock_now(house.clock), NULL));
    pthread_mutex_lock(&holding->lock);
    holding->held = true;
    pthread_cond_broadcast(&holding->told);
    while (!holding->release)
        pthread_cond_wait(&holding->told, &holding->lock);
    pthread_mutex_unlock(&holding->lock);
    static const struct db_statement note = {"note_step", "INSERT INTO step VALUES (clock_timestamp())"};
    return db_run(db, &note, DB_NO_VALUES, NULL);
}

static void *hold(void *context)
{
    struct db *db;
    ok(db_connect(pg_conninfo(house.pg), &db));
    ok(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, hold_body, context));
    db_close(db);
    return NULL;
}

static void *let_go_when_waited_for(void *context)
{
    struct holding *holding = context;
    jobs_await(house.pg, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'", "1");
    pthread_mutex_lock(&holding->lock);
    holding->release = true;
    pthread_cond_broadcast(&holding->told);
    pthread_mutex_unlock(&holding->lock);
    return NULL;
}

/* A withdrawal that comes while a step rests on the consent is behind that step, whole. */
static void a_withdrawal_never_comes_in_the_middle(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct holding holding = {.lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};
    pthread_t mover, watcher;
    (void)state;
    pg_exec(house.pg, "CREATE TABLE step (at timestamptz); GRANT ALL ON step TO yunqiao_app");
    const char *id = desk_text(desk_call(arena, UNIT, "POST", "/v1/consents", GOOD, 201), "id");
    assert_int_equal(pthread_create(&mover, NULL, hold, &holding), 0);
    pthread_mutex_lock(&holding.lock);
    while (!holding.held)
        pthread_cond_wait(&holding.told, &holding.lock);
    pthread_mutex_unlock(&holding.lock);
    assert_int_equal(pthread_create(&watcher, NULL, let_go_when_waited_for, &holding), 0);
    desk_match = "\"v1\"";
    desk_call(arena, UNIT, "POST", arena_printf(arena, "/v1/consents/%s:withdraw", id),
              "{\"reason\":\"put off\"}", 200);
    assert_int_equal(pthread_join(watcher, NULL), 0);
    assert_int_equal(pthread_join(mover, NULL), 0);
    desk_expect("SELECT count(*) FROM step", "1");
    struct asking asking = ask("u001", NULL, "d/t");
    refused(check(&asking), ERR_DENIED);
    pg_exec(house.pg, "DROP TABLE step");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_reset, house_rest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_place_covers_its_sites),
        cmocka_unit_test(what_a_consent_covers),
        cmocka_unit_test(a_refusal_says_why),
        cmocka_unit_test(what_a_new_consent_must_be),
        TEST(moves_ask_before_they_begin),
        TEST(a_single_machine_may_leave),
        TEST(who_gives_and_sees_one),
        TEST(it_is_withdrawn_once_by_the_unit),
        TEST(bad_requests_are_told_in_whole),
        TEST(files_are_a_place_of_their_own),
        TEST(a_row_never_changes),
        TEST(a_withdrawal_never_comes_in_the_middle),
    };
    return cmocka_run_group_tests(tests, desk_open, desk_close);
}
