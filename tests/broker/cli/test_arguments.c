/* Taking flags and arguments out of a line, in whatever order they stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/json.h"
#include "broker/cli/cli.h"

#define LINE_MAX_WORDS 16

static struct arena *arena;

/* The words behind a command; ended by NULL. */
static struct cli line(const char *const *words)
{
    struct cli cli = {.arena = arena, .argv = arena_array(arena, LINE_MAX_WORDS, sizeof(char *))};
    for (; words[cli.argc]; cli.argc++)
        cli.argv[cli.argc] = arena_strdup(arena, words[cli.argc]);
    return cli;
}
#define LINE(...) line((const char *const[]){__VA_ARGS__, NULL})

static void refuses(struct error *error, const char *message)
{
    assert_non_null(error);
    assert_int_equal(error_code(error), ERR_INVALID);
    assert_string_equal(error_message(error), message);
    error_free(error);
}

static void test_any_order(void **state)
{
    const char *id, *second;
    (void)state;
    struct cli cli = LINE("--name", "Cloud A", "gov-a", "--enclave", "dc1", "--kind=service");
    assert_null(cli_argument(&cli, "ID", &id));
    assert_string_equal(id, "gov-a"); /* not "Cloud A", which is the flag's */
    assert_null(cli_argument(&cli, "SITE", &second));
    assert_string_equal(second, "dc1"); /* --enclave has no value */
    assert_string_equal(cli_flag(&cli, "name"), "Cloud A");
    assert_string_equal(cli_flag(&cli, "kind"), "service");
    assert_true(cli_switch(&cli, "enclave"));
    assert_false(cli_switch(&cli, "enclave"));
    assert_null(cli_end(&cli));
}

static void test_missing(void **state)
{
    const char *id;
    (void)state;
    struct cli cli = LINE("--name", "x");
    refuses(cli_argument(&cli, "ID", &id), "ID is missing");
    assert_null(cli_flag(&cli, "nam"));
    assert_null(cli_flag(&cli, "names"));
    refuses(cli_end(&cli), "--name is not a flag of this command");
    cli = LINE("one");
    refuses(cli_end(&cli), "\"one\" is one argument too many");
    cli = LINE("--name");
    assert_null(cli_flag(&cli, "name"));
    refuses(cli_end(&cli), "--name needs a value");
    cli = LINE("--name", "--kind", "x");
    assert_null(cli_flag(&cli, "name")); /* a flag is not a value */
    refuses(cli_end(&cli), "--name needs a value");
    cli = LINE("--name=--kind");
    assert_string_equal(cli_flag(&cli, "name"), "--kind");
}

static void test_numbers(void **state)
{
    static const char *const bad[] = {"", "x", "12x", "1.5", "99999999999999999999"};
    int64_t value = 7;
    bool found;
    (void)state;
    struct cli cli = LINE("--vcpu", "-1");
    assert_null(cli_number(&cli, "vcpu", &found, &value));
    assert_true(found);
    assert_int_equal(value, -1);
    assert_null(cli_number(&cli, "vcpu", &found, &value));
    assert_false(found);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cli = LINE("--vcpu", bad[i]);
        refuses(cli_number(&cli, "vcpu", &found, &value),
                arena_printf(arena, "--vcpu must be a whole number, not \"%s\"", bad[i]));
    }
}

static void test_bodies(void **state)
{
    const char **values;
    json_t *body = json_object();
    (void)state;
    struct cli cli =
        LINE("--pool-v4", "198.51.100.0/24", "--clouds", "a,b", "--instance", "x=1", "--instance=y=2");
    cli_put_flag(&cli, body, "pool_v4");
    cli_put_flag(&cli, body, "pool_v6");
    cli_put_list(&cli, body, "clouds");
    assert_string_equal(json_canonical(arena, body),
                        "{\"clouds\":[\"a\",\"b\"],\"pool_v4\":\"198.51.100.0/24\"}");
    assert_int_equal(cli_flags(&cli, "instance", &values), 2);
    assert_string_equal(values[0], "x=1");
    assert_string_equal(values[1], "y=2");
    assert_null(cli_end(&cli));
    json_decref(body);
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bodies),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
