/* A bill that a broker signed, checked by the client without the broker: right as it came, wrong after any
 * change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/moment.h"
#include "tests/e2e/world.h"
#include "tests/support/child.h"

#define WAIT_SECONDS 120
#define CONFLICT 6 /* the client's exit code for what does not hold */
#define USAGE 2

static char *bill_file, *key_file;

static int verify(const json_t *bill, const json_t *keys)
{
    const char *argv[] = {BINARY_DIR "/yunqiao",  "bill",   "verify", bill_file,
                          keys ? "--keys" : NULL, key_file, NULL};
    assert_int_equal(json_dump_file(bill, bill_file, 0), 0);
    if (keys)
        assert_int_equal(json_dump_file(keys, key_file, 0), 0);
    return child_run(argv, 60 * MOMENT_SECOND);
}

static json_t *line_of(json_t *bill, size_t i)
{
    return json_array_get(json_object_get(bill, "lines"), i);
}

static void change_text(json_t *object, const char *member, const char *text)
{
    assert_true(json_is_string(json_object_get(object, member)));
    json_object_set_new(object, member, json_string(text));
}

/* Each on a copy of its own; all must be noticed. */
static void raise_amount(json_t *bill)
{
    change_text(line_of(bill, 0), "amount_yuan", "0.01");
}
static void raise_usage(json_t *bill)
{
    change_text(line_of(bill, 0), "usage_exact", "1");
}
static void move_to_another_system(json_t *bill)
{
    change_text(line_of(bill, 0), "system", "110105009");
}
static void call_it_free(json_t *bill)
{
    change_text(line_of(bill, 0), "tariff", "expansion");
}
static void lose_a_line(json_t *bill)
{
    json_array_remove(json_object_get(bill, "lines"), 1);
}
static void change_the_total(json_t *bill)
{
    change_text(bill, "total_yuan", "0.00");
}
static void change_the_unit(json_t *bill)
{
    change_text(bill, "unit", "110106");
}
static void change_the_signature(json_t *bill)
{
    json_t *signature = json_object_get(bill, "signature");
    char *text = strdup(json_string_value(json_object_get(signature, "value")));
    text[0] = text[0] == 'A' ? 'B' : 'A';
    change_text(signature, "value", text);
    free(text);
}
static void take_the_signature_away(json_t *bill)
{
    json_object_del(bill, "signature");
}

static void a_bill_holds_and_its_forgeries_do_not(void **state)
{
    static void (*const forgeries[])(json_t * bill) = {
        raise_amount,     raise_usage,     move_to_another_system, call_it_free,           lose_a_line,
        change_the_total, change_the_unit, change_the_signature,   take_the_signature_away};
    struct world *w = *state;
    moment now = (moment)time(NULL) * MOMENT_SECOND;
    struct month month = month_next(month_of(now));
    world_clock(w, (month_start(month) - now) / MOMENT_SECOND + 9 * 3600);
    char *operation = world_order(
        w, w->operator_, WORLD_SYSTEM, "health",
        json_pack("[o, o]", world_instance("health", "billed", 2, 3), world_volume("billed", 37, "billed")));
    world_succeeds(w, w->operator_, operation);
    world_clock(w, (month_end(month) - now) / MOMENT_SECOND + 2 * 3600);
    world_await(w, "SELECT count(*) FROM billing_month WHERE state = 'closed'", "1", WAIT_SECONDS);
    char *token = world_token(w, "admin", 3600);
    char *id = world_value(w, "SELECT id FROM bill"), *path = xasprintf("/v1/bills/%s", id);
    API_AUTO struct api_reply bill = api_get(w->client, token, path),
                              keys = api_get(w->client, token, "/v1/keys");
    api_expect(&bill, 200);
    api_expect(&keys, 200);
    bill_file = xasprintf("%s/bill.json", w->folder);
    key_file = xasprintf("%s/keys.json", w->folder);
    assert_int_equal(verify(bill.json, keys.json), 0);
    assert_int_equal(verify(bill.json, json_object_get(keys.json, "keys")), 0); /* as key list prints them */
    assert_int_equal(verify(bill.json, NULL), 0);
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        json_t *copy = json_deep_copy(bill.json);
        forgeries[i](copy);
        int code = verify(copy, keys.json);
        if (code != CONFLICT)
            fail_msg("forgery %zu: exit code %d", i, code);
        json_decref(copy);
    }
    json_t *nothing = json_object();
    assert_int_equal(verify(nothing, keys.json), USAGE);
    json_decref(nothing);
    free(token);
    free(id);
    free(path);
    free(bill_file);
    free(key_file);
}

static int start(void **state)
{
    *state = world_start(&(struct world_options){.settings = "sync_interval = 1d\n"});
    return 0;
}

static int stop(void **state)
{
    world_stop(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_bill_holds_and_its_forgeries_do_not)};
    return cmocka_run_group_tests_name("bills verified offline", tests, start, stop);
}
