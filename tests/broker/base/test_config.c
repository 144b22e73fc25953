/* broker/base/config: precedence of default, file, environment and flags; every way to be wrong; reloading.
 */
#include "broker/base/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct values {
    const char *data_dir;
    int64_t port, wait, body;
    bool verbose;
};
#define AT(field) .name = #field, .offset = offsetof(struct values, field)
static const struct config_option options[] = {
    {AT(data_dir), .type = CONFIG_TEXT, .fallback = "/var/lib/x", .argument = "DIR",
     .help = "Where data lives."},
    {AT(port), .type = CONFIG_INT, .fallback = "8443", .min = 1, .max = 65535, .argument = "PORT",
     .help = "Port."},
    {AT(wait), .type = CONFIG_DURATION, .fallback = "30s", .min = 1000, .max = 86400000000,
     .reloadable = true, .help = "Wait."},
    {AT(body), .type = CONFIG_SIZE, .fallback = "64k", .help = "Body."},
    {AT(verbose), .type = CONFIG_BOOL, .fallback = "no", .reloadable = true, .help = "Say more."}};
static const struct config_table table = {"tester", "tests things", options, 5, sizeof(struct values)};

static char file[] = "/tmp/yunqiao-config-XXXXXX";

static int make_file(void **state)
{
    int made = mkstemp(file);
    return made < 0 ? -1 : close(made);
}

static int remove_file(void **state)
{
    return unlink(file);
}

static void write_file(const char *text)
{
    FILE *out = fopen(file, "we");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static struct error *load(struct values *values, struct config **config, char *a, char *b)
{
    char *argv[] = {(char[]){"tester"}, a, b, NULL}, **rest;
    enum config_action action;
    return config_load(&table, a ? b ? 3 : 2 : 1, argv, file, values, config, &action, &rest);
}

static void expect_bad(char *flag, const char *text, const char *words)
{
    struct values values = {.port = -1};
    struct config *config = NULL;
    write_file(text);
    struct error *error = load(&values, &config, flag, NULL);
    if (!error || !strstr(error_message(error), words))
        fail_msg("%s / %s: %s", flag ? flag : "", text, error ? error_message(error) : "taken");
    error_free(error);
    assert_int_equal(values.port, -1); /* nothing changed */
}

static void test_precedence(void **state)
{
    struct values values;
    struct config *config;
    char flag[] = "--port=1", dashed[] = "--data-dir";
    write_file("");
    assert_null(load(&values, &config, NULL, NULL));
    assert_int_equal(values.port, 8443);
    assert_int_equal(values.wait, 30000000);
    assert_int_equal(values.body, 65536);
    assert_string_equal(values.data_dir, "/var/lib/x");
    config_free(config);
    write_file("# comment\n\n port = 3 \ndata_dir=/a b\nwait = 250ms\nbody = 1G\nverbose = on");
    setenv("YUNQIAO_WAIT", "2h", 1);
    assert_null(load(&values, &config, flag, NULL));
    assert_int_equal(values.port, 1);
    assert_int_equal(values.wait, INT64_C(7200000000));
    assert_int_equal(values.body, 1 << 30);
    assert_string_equal(values.data_dir, "/a b");
    assert_true(values.verbose);
    config_free(config);
    unsetenv("YUNQIAO_WAIT");
    assert_null(load(&values, &config, dashed, flag));
    assert_string_equal(values.data_dir, "--port=1"); /* the next word is the value, whatever it looks like */
    assert_int_equal(values.port, 3);
    config_free(config);
}

static void test_refuses(void **state)
{
    expect_bad((char[]){"--no-such"}, "", "no option is named \"--no-such\"");
    expect_bad((char[]){"--port"}, "", "needs a value");
    expect_bad((char[]){"--port="}, "", "integer");
    expect_bad((char[]){"--port=0"}, "", "out of range");
    expect_bad((char[]){"--port=65536"}, "", "out of range");
    expect_bad((char[]){"--port=8443x"}, "", "integer");
    expect_bad((char[]){"--port=99999999999999999999"}, "", "integer");
    expect_bad((char[]){"--wait=30"}, "", "duration");
    expect_bad((char[]){"--wait=2d"}, "", "out of range");
    expect_bad((char[]){"--wait=9223372036854775807d"}, "", "too large");
    expect_bad((char[]){"--body=1T"}, "", "size");
    expect_bad((char[]){"--verbose=maybe"}, "", "yes or no");
    expect_bad((char[]){"--config=/nonexistent/file"}, "", "could not open");
    expect_bad((char[]){"--config=/tmp"}, "", "could not read");
    expect_bad(NULL, "port = 1\nnonsense\n", ":2: not of the form");
    expect_bad(NULL, "prot = 1\n", "no option is named \"prot\"");
    expect_bad(NULL, "port = 70000\n", "option port");
    char longest[6000] = "# ";
    memset(longest + 2, ' ', 4200);
    memcpy(longest + 4202, "port = 5\n", 10); /* the end of a long comment is no line of its own */
    expect_bad(NULL, longest, "too long");
}

static void test_reload(void **state)
{
    struct values values;
    struct config *config;
    write_file("port = 5\nwait = 5s\n");
    assert_null(load(&values, &config, (char[]){"--verbose"}, NULL));
    write_file("port = 6\nwait = 6s\nverbose = no\n");
    assert_null(config_reload(config, &values));
    assert_int_equal(values.port, 5); /* not reloadable */
    assert_int_equal(values.wait, 6000000);
    assert_true(values.verbose); /* the flag still wins */
    write_file("wait = 7s\nverbose = nonsense?\nwait = 1us\n");
    struct error *error = config_reload(config, &values);
    assert_non_null(error);
    error_free(error);
    assert_int_equal(values.wait, 6000000);
    config_free(config);
}

static void test_help_names_every_option(void **state)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    config_print_help(&table, out);
    config_print_manual(&table, out);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "--data-dir"));
    assert_non_null(strstr(text, "8443"));
    assert_non_null(strstr(text, "Say more."));
    assert_non_null(strstr(text, ".TH"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_precedence), cmocka_unit_test(test_refuses),
                                       cmocka_unit_test(test_reload),
                                       cmocka_unit_test(test_help_names_every_option)};
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
