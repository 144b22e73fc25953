/* /v1/links through the server and the client: who may, what a limit must be, the last word counts. */
#include "federation/link_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>

#include "broker/base/arena.h"
#include "tests/federation/desk.h"

static int set_up(void **state)
{
    desk_reset(state);
    pg_exec(house.pg, "DELETE FROM migration_link");
    return 0;
}

static const char *body_of(struct arena *arena, const char *from, const char *to, long long rate)
{
    return arena_printf(arena,
                        "{\"from\":{\"cloud\":\"c\",\"site\":\"%s\"},\"to\":{\"cloud\":\"d\","
                        "\"site\":\"%s\"},\"bytes_per_second\":%lld}",
                        from, to, rate);
}

static void who_may(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    for (int who = 0; who < WHO_COUNT; who++) {
        (void)desk_call(arena, (enum who)who, "PUT", "/v1/links", body_of(arena, "s", "t", 1000 + who),
                        who == ADMIN ? 200 : 403);
        bool reads = who == ADMIN || who == OPERATOR || who == REGULATOR || who == OTHER_REGULATOR ||
                     who == ENGINEER || who == AUDITOR;
        (void)desk_call(arena, (enum who)who, "GET", "/v1/links", NULL, reads ? 200 : 403);
    }
    desk_expect("SELECT bytes_per_second || ' ' || changed_by FROM migration_link", "1000 boss");
    desk_expect("SELECT subject || ' ' || principal FROM audit WHERE path = '/v1/links' AND status = 200",
                "c/s d/t boss");
}

static void what_a_limit_must_be(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *gone = desk_call(arena, ADMIN, "PUT", "/v1/links", body_of(arena, "s", "x", 1), 422);
    assert_string_equal(desk_text(json_array_get(json_object_get(gone, "errors"), 0), "pointer"), "/to");
    (void)desk_call(arena, ADMIN, "PUT", "/v1/links", body_of(arena, "s", "t", -1), 422);
    (void)desk_call(arena, ADMIN, "PUT", "/v1/links",
                    "{\"from\":{\"cloud\":\"c\",\"site\":\"s\"},\"to\":{\"cloud\":\"c\",\"site\":\"s\"},"
                    "\"bytes_per_second\":1}",
                    422);
    (void)desk_call(arena, ADMIN, "PUT", "/v1/links", "{}", 422);
    desk_expect("SELECT count(*) FROM migration_link", "0");
}

struct reading {
    uint64_t rate;
};

static struct error *read_body(struct db *db, void *context)
{
    struct reading *reading = context;
    return link_get(db, &(struct link_place){"c", "s"}, &(struct link_place){"d", "t"}, &reading->rate);
}

static uint64_t rate_now(void)
{
    struct reading reading = {7};
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, read_body, &reading));
    return reading.rate;
}

static void the_last_word_counts(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    assert_int_equal(rate_now(), 0);
    (void)desk_call(arena, ADMIN, "PUT", "/v1/links", body_of(arena, "s", "t", 5000), 200);
    assert_int_equal(rate_now(), 5000);
    json_t *put = desk_call(arena, ADMIN, "PUT", "/v1/links", body_of(arena, "s", "t", 0), 200);
    assert_int_equal(json_integer_value(json_object_get(put, "bytes_per_second")), 0);
    assert_int_equal(rate_now(), 0);
}

static int client(enum who who, const char *const *words, const char *says)
{
    struct process *process = desk_client(who, words);
    bool said = !says;
    for (const char *line; (line = process_line(process, 60 * MOMENT_SECOND));)
        said |= says && strstr(line, says);
    int status = process_stop(process);
    assert_true(said);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void from_the_command_line(void **state)
{
    assert_int_equal(
        client(ADMIN, (const char *const[]){"link", "set", "c/s", "d/t", "--mbps", "100", NULL}, "12500000"),
        0);
    assert_int_equal(rate_now(), 12500000);
    assert_int_equal(client(ENGINEER, (const char *const[]){"link", "list", NULL}, "12500000"), 0);
    assert_int_equal(client(ADMIN, (const char *const[]){"link", "set", "c/s", "d/t", NULL}, NULL), 2);
    assert_int_equal(
        client(ADMIN, (const char *const[]){"link", "set", "c", "d/t", "--mbps", "1", NULL}, NULL), 2);
    assert_int_equal(
        client(ENGINEER, (const char *const[]){"link", "set", "c/s", "d/t", "--bytes-per-second", "1", NULL},
               NULL),
        4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_may, set_up, house_rest),
        cmocka_unit_test_setup_teardown(what_a_limit_must_be, set_up, house_rest),
        cmocka_unit_test_setup_teardown(the_last_word_counts, set_up, house_rest),
        cmocka_unit_test_setup_teardown(from_the_command_line, set_up, house_rest),
    };
    return cmocka_run_group_tests(tests, desk_open, desk_close);
}
