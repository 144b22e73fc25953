/* Archiving as its operators see it: settings, the call, the job, what is shown of it and what is told in
 * place of what is gone; and the files under the command line client's own check. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/json.h"
#include "broker/jobs/job.h"
#include "metering/archive.h"
#include "metering/partition.h"
#include "metering/routes.h"
#include "tests/broker/http/fixture.h"
#include "tests/metering/ledger.h"
#include "tests/support/child.h"

static struct ledger ledger;
static struct arena *arena;
static struct h2_client *client;
static struct job_runner *runner;
static struct clock *the_clock;
static struct metering_services services;
static const struct month january = {2027, 1};

static const struct http_table *const tables[] = {&archive_routes,  &bill_routes, &setting_routes,
                                                  &usage_routes,    &line_routes, &export_routes,
                                                  &statement_routes};

static void close_months(struct month month, int count)
{
    for (int i = 0; i < count; i++, month = month_next(month))
        ledger_ok(ledger_close_month(&ledger, month, month_end(month), NULL));
}

static void start_runner(void)
{
    static const struct job_type *const types[] = {&archive_job};
    const struct job_runner_settings settings = {.conninfo = pg_conninfo(fixture.pg),
                                                 .types = types,
                                                 .type_count = 1,
                                                 .workers = 1,
                                                 .context = &services,
                                                 .clock = the_clock};
    ledger_ok(job_runner_start(&settings, &runner));
}

/* Two units; January to April are closed. */
static int start(void **state)
{
    (void)state;
    fixture_start();
    ledger = (struct ledger){.pg = fixture.pg, .db = fixture.db};
    arena = arena_new();
    services = (struct metering_services){
        .auth = fixture.auth, .archive_dir = arena_printf(arena, "%s/archive", pg_folder(fixture.pg))};
    ledger.services = &services;
    pg_exec(ledger.pg, "UPDATE billing_setting SET close_grace_seconds = 0");
    ledger_provider(&ledger, "p1", &agreement_default, january, 2);
    ledger_ok(partition_ahead(ledger.db, january));
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1001=4,1019=2",
                         at("2027-01-03T00:00:00+08:00")));
    ledger_ok(
        ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1001=2", at("2027-01-20T00:00:00+08:00")));
    ledger_ok(
        ledger_set(&ledger, "u2", "u2001", "c1", "p1", "r2", "1002=0.5", at("2027-01-03T00:00:00+08:00")));
    ledger_ok(ledger_end(&ledger, "u2", "r2", at("2027-01-09T00:00:00+08:00")));
    close_months(january, 4);
    the_clock = clock_new(0);
    fixture_serve((struct server_settings){
        .tables = tables, .table_count = sizeof tables / sizeof *tables, .workers = 2, .context = &services});
    client = h2_open(fixture.https.port, NULL);
    return client ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    job_runner_stop(runner, MOMENT_SECOND);
    clock_free(the_clock);
    h2_close(client);
    char *command = xasprintf("rm -rf '%s'", services.archive_dir);
    FILE *shell = popen(command, "r");
    free(command);
    arena_free(arena);
    fixture_stop();
    return shell ? pclose(shell) : -1;
}

/* ------------------------------------------------------------------------------------------------- calling
 */

static json_t *answer_of(const struct h2_reply *reply, int status, const char *path)
{
    json_t *json;
    if (reply->status != status)
        fail_msg("%s: %d %s", path, reply->status, reply->body ? reply->body : "");
    ledger_ok(json_parse_in(arena, reply->body, strlen(reply->body), &json));
    return json;
}

static json_t *get(const char *path, const char *token, int status)
{
    return answer_of(h2_get(client, path, token), status, path);
}

static const char *text(const json_t *json, const char *member)
{
    const char *value = json_string_value(json_object_get(json, member));
    return value ? value : "";
}

static void says(const json_t *problem, const char *what)
{
    if (!strstr(text(problem, "detail"), what))
        fail_msg("\"%s\" does not say \"%s\"", text(problem, "detail"), what);
}

static json_t *archive(int status)
{
    static int key;
    const char *const headers[] = {"idempotency-key", arena_printf(arena, "key-%d-of-the-test", key++), NULL};
    struct h2_request request = {
        .method = "POST", .path = "/v1/months/2027-01:archive", .token = fixture.root, .headers = headers};
    return answer_of(h2_call(client, &request), status, request.path);
}

static const char *etag = "\"g0\"";

static json_t *patch(const char *body, int status)
{
    const char *const headers[] = {"content-type", "application/json", "if-match", etag, NULL};
    struct h2_request request = {.method = "PATCH",
                                 .path = "/v1/billing-settings",
                                 .token = fixture.root,
                                 .headers = headers,
                                 .body = body,
                                 .length = strlen(body)};
    const struct h2_reply *reply = h2_call(client, &request);
    if (reply->status == 200)
        etag = arena_strdup(arena, h2_header(reply, "etag"));
    return answer_of(reply, status, body);
}

/* --------------------------------------------------------------------------------------------------- tests
 */

static void retention_is_set_within_its_rules(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}",
                                      "{\"usage_retention_months\":2}",
                                      "{\"usage_retention_months\":1201}",
                                      "{\"usage_retention_months\":3,\"bill_retention_months\":23}",
                                      "{\"bill_retention_months\":24}",
                                      "{\"usage_retention_months\":25,\"bill_retention_months\":24}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        (void)patch(bad[i], 422);
    says(archive(409), "kept for ever");
    json_t *settings = patch("{\"usage_retention_months\":3,\"bill_retention_months\":24}", 200);
    assert_int_equal(json_integer_value(json_object_get(settings, "close_grace_seconds")), 0);
    assert_string_equal(etag, "\"g0-u3-b24\"");
    (void)patch("{\"usage_retention_months\":0}", 422); /* bills would go before their usage */
    assert_int_equal(json_integer_value(json_object_get(get("/v1/billing-settings", fixture.alice, 200),
                                                        "bill_retention_months")),
                     24);
}

static void usage_goes_and_its_place_is_told(void **state)
{
    (void)state;
    json_t *lines = json_object_get(get("/v1/lines?month=2027-01&unit=u2", fixture.root, 200), "lines");
    const char *usage = text(json_array_get(lines, 0), "usage");
    assert_int_equal(json_array_size(json_object_get(get(usage, fixture.root, 200), "intervals")), 1);
    json_t *asked = archive(202);
    assert_string_equal(text(asked, "drops"), "usage");
    assert_string_equal(text(asked, "month"), "2027-01");
    says(archive(409), "2027-01 is not archived now");
    start_runner();
    fixture_until("SELECT count(*) FROM job WHERE type = 'archive' AND state = 'done'", 1);
    json_t *month = json_object_get(get("/v1/months/2027-01", fixture.root, 200), "archive");
    assert_string_equal(text(month, "folder"), "2027-01");
    assert_int_equal(strlen(text(month, "manifest_sm3")), 64);
    assert_true(*text(month, "usage_dropped_at") && !*text(month, "bills_dropped_at"));
    assert_int_equal(json_integer_value(json_object_get(month, "intervals")), 3);
    json_t *seen = json_object_get(get("/v1/months/2027-01", fixture.alice, 200), "archive");
    assert_true(*text(seen, "usage_dropped_at") && !json_object_get(seen, "total_yuan"));
    json_t *list = json_object_get(get("/v1/archives", fixture.root, 200), "archives");
    assert_int_equal(json_array_size(list), 1);
    (void)get("/v1/archives", fixture.alice, 403);
    json_t *intervals = get("/v1/usage", fixture.root, 200);
    assert_string_equal(text(intervals, "archived_until"), "2027-01-31T16:00:00.000000Z");
    assert_null(
        json_object_get(get("/v1/usage?from=2027-01-31T16:00:00Z", fixture.root, 200), "archived_until"));
    says(get(usage, fixture.root, 404), "2027-01/usage.jsonl");
    says(archive(409), "is kept until 2029-01 is closed");
    assert_int_equal(
        json_array_size(json_object_get(get("/v1/bills?month=2027-01", fixture.root, 200), "bills")), 2);
}

static void bills_go_and_the_statement_stays(void **state)
{
    (void)state;
    json_t *bills = json_object_get(get("/v1/bills?month=2027-01", fixture.root, 200), "bills");
    const char *bill = arena_printf(arena, "/v1/bills/%s", text(json_array_get(bills, 0), "id"));
    const char *statement = "/v1/statements/2027-01?group_by=cloud,item",
               *lines = "/v1/statements/2027-01?group_by=unit,item";
    json_t *before = get(statement, fixture.root, 200);
    (void)get(lines, fixture.root, 200);
    ledger_reprice(&ledger, "p1", (struct month){2029, 1}, 3);
    close_months((struct month){2027, 5}, 21);
    assert_string_equal(text(archive(202), "drops"), "bills");
    fixture_until("SELECT count(*) FROM job WHERE type = 'archive' AND state = 'done'", 2);
    says(get(bill, fixture.root, 404), "those of months before 2027-02 are archived");
    says(get("/v1/months/2027-01/lines", fixture.root, 404), "2027-01/lines.jsonl");
    says(get(lines, fixture.root, 404), "2027-01/lines.jsonl");
    assert_true(json_equal(get(statement, fixture.root, 200), before));
    assert_string_equal(text(get("/v1/bills", fixture.root, 200), "archived_until"),
                        "2027-01-31T16:00:00.000000Z");
    assert_true(
        *text(json_object_get(get("/v1/months/2027-01", fixture.root, 200), "archive"), "bills_dropped_at"));
    says(archive(409), "with its bills");
}

static int verify(const char *keys)
{
    const char *folder = arena_printf(arena, "%s/2027-01", services.archive_dir);
    const char *const argv[] = {BINARY_DIR "/yunqiao",  "archive", "verify", folder,
                                keys ? "--keys" : NULL, keys,      NULL};
    return child_run(argv, MOMENT_MINUTE);
}

static void damage(const char *name, const char *sed)
{
    char *command = xasprintf("sed -i '%s' %s/2027-01/%s", sed, services.archive_dir, name);
    FILE *shell = popen(command, "r");
    assert_non_null(shell);
    assert_int_equal(pclose(shell), 0);
    free(command);
}

/* The only copy, months later, in the hands of somebody without a broker. */
static void the_folder_is_verified_without_a_broker(void **state)
{
    (void)state;
    char *key = pg_value(
        ledger.pg,
        "SELECT '{\"keys\":[{\"kid\":\"' || kid || '\",\"x\":\"' || public_key || '\"}]}' FROM signing_key");
    const char *keys = arena_printf(arena, "%s/keys.json", services.archive_dir);
    FILE *file = fopen(keys, "we");
    assert_non_null(file);
    assert_true(fputs(key, file) >= 0);
    assert_int_equal(fclose(file), 0);
    free(key);
    assert_int_equal(verify(NULL), 0);
    assert_int_equal(verify(keys), 0);
    static const char *const changes[][3] = {
        {"usage.jsonl", "1s/\"micro\": ./\"micro\": 9/", "1s/\"micro\": ./\"micro\": 4/"},
        {"bills.jsonl", "1s/p1/p2/", "1s/p2/p1/"},
        {"lines.jsonl", "1s/u1001/u1002/", "1s/u1002/u1001/"},
        {"manifest.json", "s/\"signature\":\"/&x/", "s/\"signature\":\"x/\"signature\":\"/"},
        {"manifest.json", "s/\"rows\":3/\"rows\":4/", "s/\"rows\":4/\"rows\":3/"},
        {"manifest.json", "s/\"format\":1/\"format\":2/", "s/\"format\":2/\"format\":1/"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        damage(changes[i][0], changes[i][1]);
        if (!verify(keys))
            fail_msg("taken: %s %s", changes[i][0], changes[i][1]);
        damage(changes[i][0], changes[i][2]);
        if (verify(keys))
            fail_msg("not as before: %s %s", changes[i][0], changes[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retention_is_set_within_its_rules),
        cmocka_unit_test(usage_goes_and_its_place_is_told),
        cmocka_unit_test(bills_go_and_the_statement_stays),
        cmocka_unit_test(the_folder_is_verified_without_a_broker),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
