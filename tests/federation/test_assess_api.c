/* Assessments over HTTP and through the job, with two providers in memory: what is found, who asks and sees,
 * what is kept, and the report as HTML and CSV. */
#include "federation/assess_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "federation/services.h"
#include "tests/federation/desk.h"
#include "tests/federation/scripted.h"

static struct job_runner *runner;

static void run_jobs(void)
{
    static struct federation_services services;
    services = (struct federation_services){.control = house.services};
    static const struct job_type *const types[] = {&order_job, &assess_job};
    ok(job_runner_start(&(struct job_runner_settings){.conninfo = pg_conninfo(house.pg),
                                                      .types = types,
                                                      .type_count = sizeof types / sizeof *types,
                                                      .workers = 2,
                                                      .context = &services,
                                                      .clock = house.clock},
                        &runner));
}

static int rest(void **state)
{
    memory_cloud_release();
    if (runner)
        job_runner_stop(runner, 20 * MOMENT_SECOND);
    runner = NULL;
    return house_rest(state);
}

/* A machine of system u001 on endpoint e-ext of the scripted driver, with a target that was looked at. */
static void build(const char *resources, const char *name, char ret_id[37])
{
    char operation[37];
    pg_exec(house.pg,
            "UPDATE endpoint SET driver = 'scripted', architectures = 1, version = version + 1 WHERE id IN"
            " ('e-ext', 'd-ext', 'd-med');"
            "INSERT INTO capacity (cloud_id, endpoint_id, metric, total) SELECT 'd', 'd-ext', m, t FROM"
            " (VALUES ('vcpu', 64), ('memory_gb', 128), ('standard_gb', 2000), ('high_gb', 0)) AS v (m, t)");
    ok(house_order(resources, operation));
    run_jobs();
    house_await(operation, "succeeded");
    house_id(name, ret_id);
}

static const char *body_of(struct arena *arena, const char *instances, const char *zone, const char *more)
{
    return arena_printf(arena,
                        "{\"unit\":\"u\",\"instances\":[%s],\"to\":{\"cloud\":\"d\",\"zone\":\"%s\"}%s}",
                        instances, zone, more);
}

/* The report as the caller asked for it once it is done. */
static json_t *assessed(struct arena *arena, enum who who, const char *body)
{
    json_t *made = desk_call(arena, ENGINEER, "POST", "/v1/assessments", body, 202);
    assert_string_equal(desk_header("location"),
                        arena_printf(arena, "/v1/operations/%s", desk_text(made, "operation")));
    house_await(desk_text(made, "operation"), "succeeded");
    return desk_call(arena, who, "GET", arena_printf(arena, "/v1/assessments/%s", desk_text(made, "id")),
                     NULL, 200);
}

static const json_t *report_of(const json_t *assessment, size_t number)
{
    return json_array_get(json_object_get(assessment, "reports"), number);
}

static bool found(const json_t *report, const char *id)
{
    const json_t *finding;
    size_t i;
    json_array_foreach (json_object_get(report, "findings"), i, finding)
        if (!strcmp(desk_text(finding, "id"), id))
            return true;
    return false;
}

static const char *quoted(struct arena *arena, const char *id)
{
    return arena_printf(arena, "\"%s\"", id);
}

static void a_machine_that_can_move(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char id[37];
    (void)state;
    build(INSTANCE_AND_VOLUME, "web", id);
    scripted_inventory(NULL);
    json_t *whole =
        assessed(arena, ENGINEER, body_of(arena, quoted(arena, id), "ext", ",\"bandwidth_mbps\":1000"));
    const json_t *report = report_of(whole, 0);
    assert_string_equal(desk_text(whole, "state"), "done");
    assert_int_equal(json_integer_value(json_object_get(whole, "movable")), 0);
    /* The volume is of a class that the target has none of: by what was ordered, there is no room. */
    assert_true(found(report, "target-no-room"));
    assert_true(found(report, "consent-missing"));
    assert_true(found(report, "mac-kept"));
    assert_false(found(report, "bandwidth-unknown"));
    pg_exec(house.pg, "UPDATE capacity SET total = 1000 WHERE endpoint_id = 'd-ext' AND metric = 'high_gb'");
    whole = assessed(arena, ENGINEER, body_of(arena, quoted(arena, id), "ext", ""));
    report = report_of(whole, 0);
    assert_true(json_is_true(json_object_get(report, "movable")));
    assert_string_equal(desk_text(report, "preferred"), "warm");
    assert_true(found(report, "bandwidth-unknown"));
    /* 2 vCPU, 4 GB, the system disk and 100 GB at 1.00 and 1.50 a month each. */
    const json_t *month = json_object_get(report, "month");
    assert_string_equal(desk_text(month, "before_yuan"), "7.40");
    assert_string_equal(desk_text(month, "after_yuan"), "11.10");
    assert_true(found(report, "price-changes"));
    assert_null(json_object_get(report, "answers")); /* what providers said is not for units */
    assert_int_equal(strlen(desk_text(report, "digest")), 64);
    house_check();
}

static void what_stands_in_the_way(void **state)
{
    static struct driver_disk disks[] = {
        {.name = "sda", .format = "raw", .size_bytes = UINT64_C(20) << 30, .boot = true, .untracked = "raw"},
        {.name = "sdb", .format = "raw", .size_bytes = UINT64_C(20) << 30, .unreadable = "passed through"}};
    static const char *snapshots[] = {"before"};
    static const struct driver_detail detail = {.firmware = DRIVER_FIRMWARE_UEFI_SECURE,
                                                .disks = disks,
                                                .disk_count = 2,
                                                .snapshots = snapshots,
                                                .snapshot_count = 1};
    static const char *const ids[] = {"disk-unreadable", "disk-untracked", "snapshots-in-the-way",
                                      "secure-boot",     "agent-missing",  "no-method",
                                      "network-missing", "host-too-small"};
    static const struct driver_inventory nothing = {0};
    ARENA_AUTO struct arena *arena = arena_new();
    char id[37];
    (void)state;
    build(ONE_INSTANCE("web"), "web", id);
    scripted_detail(&detail);
    scripted_inventory(&nothing);
    json_t *whole = assessed(arena, AUDITOR, body_of(arena, quoted(arena, id), "ext", ""));
    const json_t *report = report_of(whole, 0);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (!found(report, ids[i]))
            fail_msg("no %s in %s", ids[i], json_canonical(arena, report));
    /* Who may look into clouds sees what was answered, which the digest covers. */
    const json_t *answers = json_object_get(report, "answers");
    const json_t *disk = json_array_get(json_object_get(json_object_get(answers, "source"), "disks"), 1);
    assert_string_equal(desk_text(disk, "unreadable"), "passed through");
    json_t *bare = json_hold(arena, json_deep_copy(report));
    static const char *const added[] = {"answers", "digest", "number", "assessed_at"};
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        (void)json_object_del(bare, added[i]);
    assert_string_equal(assessment_digest(arena, bare, answers), desk_text(report, "digest"));
    /* A medical-insurance zone is not for it. */
    scripted_detail(NULL);
    whole = assessed(arena, UNIT, body_of(arena, quoted(arena, id), "medical", ""));
    assert_true(found(report_of(whole, 0), "placement"));
    /* A provider that does not answer is a finding. */
    scripted_fail("session limit");
    whole = assessed(arena, UNIT, body_of(arena, quoted(arena, id), "ext", ""));
    assert_true(found(report_of(whole, 0), "source-unreachable"));
}

static void consent_and_quota_are_weighed(void **state)
{
    static const char given[] = "{\"unit\":\"u\",\"document\":{\"algorithm\":\"sm3\",\"digest\":"
                                "\"66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0\","
                                "\"reference\":\"17\"},\"signer\":"
                                "{\"name\":\"W\",\"post\":\"d\"},\"systems\":[\"u001\"],\"from\":[{\"cloud\":"
                                "\"c\"}],\"to\":[{\"cloud\":"
                                "\"d\"}],\"valid_until\":\"2090-01-01T00:00:00Z\"}";
    ARENA_AUTO struct arena *arena = arena_new();
    char id[37];
    (void)state;
    build(ONE_INSTANCE("web"), "web", id);
    const char *consent = desk_text(desk_call(arena, UNIT, "POST", "/v1/consents", given, 201), "id");
    pg_exec(house.pg, "INSERT INTO quota (unit_id, cloud_id, metric, most) VALUES ('u', 'd', 'vcpu', 1)");
    json_t *whole = assessed(arena, UNIT, body_of(arena, quoted(arena, id), "ext", ""));
    const json_t *report = report_of(whole, 0);
    assert_true(found(report, "consent-in-force"));
    assert_string_equal(desk_text(report, "consent"), consent);
    assert_true(found(report, "quota-short"));
}

#define TWO                                                                                                 \
    "[{\"kind\":\"instance\",\"name\":\"web\",\"spec\":{\"vcpu\":2,\"memory_gb\":4,\"architecture\":"       \
    "\"x86\","                                                                                              \
    "\"image\":\"debian\",\"zone\":\"ext\"}},{\"kind\":\"instance\",\"name\":\"app\",\"spec\":{\"vcpu\":2," \
    "\"memory_gb\":4,\"architecture\":\"x86\",\"image\":\"debian\",\"zone\":\"ext\"}}]"

static size_t occurrences(const char *text, const char *what)
{
    size_t count = 0;
    for (; (text = strstr(text, what)); text += strlen(what))
        count++;
    return count;
}

/* Several machines at once; what people print and sort. The guest's word is markup and a formula. */
static void a_report_on_paper(void **state)
{
    static struct driver_disk disk = {.name = "=cmd()",
                                      .format = "raw",
                                      .size_bytes = UINT64_C(20) << 30,
                                      .boot = true,
                                      .untracked = "<b>raw</b>"};
    static const struct driver_detail detail = {
        .firmware = DRIVER_FIRMWARE_BIOS, .disks = &disk, .disk_count = 1, .agent = true};
    ARENA_AUTO struct arena *arena = arena_new();
    char web[37], app[37];
    (void)state;
    build(TWO, "web", web);
    house_id("app", app);
    scripted_detail(&detail);
    json_t *whole =
        assessed(arena, ENGINEER, body_of(arena, arena_printf(arena, "\"%s\",\"%s\"", web, app), "ext", ""));
    assert_int_equal(json_array_size(json_object_get(whole, "reports")), 2);
    assert_int_equal(json_integer_value(json_object_get(whole, "movable")), 2);
    assert_string_equal(desk_text(report_of(whole, 1), "instance"), app);
    const char *path = arena_printf(arena, "/v1/assessments/%s", desk_text(whole, "id"));
    desk_accept = "text/html,application/xhtml+xml,*/*;q=0.8";
    desk_call(arena, ENGINEER, "GET", path, NULL, 200);
    const char *html = desk_bytes(arena);
    assert_memory_equal(html, "<!DOCTYPE html>", 15);
    assert_string_equal(desk_header("content-type"), "text/html; charset=utf-8");
    assert_null(strstr(html, "<b>raw"));
    assert_non_null(strstr(html, "&lt;b&gt;raw"));
    assert_non_null(strstr(html, "size:A4"));
    assert_non_null(strstr(html, "磁盘无法跟踪变更块"));
    assert_null(strstr(html, "<script"));
    assert_int_equal(occurrences(html, "<section>"), 2);
    assert_int_equal(occurrences(html, "<tr"), occurrences(html, "</tr>"));
    assert_int_equal(occurrences(html, "<td"), occurrences(html, "</td>"));
    desk_accept = "text/csv";
    desk_call(arena, ENGINEER, "GET", path, NULL, 200);
    const char *csv = desk_bytes(arena);
    assert_memory_equal(csv, "instance,name,unit,system,from_cloud,to_cloud,to_zone,severity,id,", 66);
    assert_non_null(strstr(csv, "'=cmd()")); /* no formula */
    assert_int_equal(occurrences(csv, ",method,live,"), 2);
    desk_accept = NULL;
    desk_call(arena, ENGINEER, "GET", arena_printf(arena, "%s?format=csv", path), NULL, 200);
    assert_string_equal(desk_bytes(arena), csv);
    desk_call(arena, ENGINEER, "GET", arena_printf(arena, "%s?format=pdf", path), NULL, 400);
}

static void who_asks_and_who_sees(void **state)
{
    static const struct {
        enum who who;
        int ask, read;
        int listed; /* −1: may not */
    } cases[] = {{ADMIN, 202, 200, 1},  {OPERATOR, 403, 403, -1}, {REGULATOR, 403, 200, 1},
                 {UNIT, 202, 200, 1},   {AUDITOR, 403, 200, 1},   {OTHER_REGULATOR, 403, 404, 0},
                 {MEMBER, 403, 404, 0}, {PART, 422, 404, 0},      {STRANGER, 404, 404, 0}};
    ARENA_AUTO struct arena *arena = arena_new();
    char id[37];
    (void)state;
    build(ONE_INSTANCE("web"), "web", id);
    const char *body = body_of(arena, quoted(arena, id), "ext", "");
    json_t *whole = assessed(arena, ENGINEER, body);
    const char *path = arena_printf(arena, "/v1/assessments/%s", desk_text(whole, "id"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        desk_call(arena, cases[i].who, "GET", path, NULL, cases[i].read);
        if (cases[i].listed >= 0)
            assert_int_equal(desk_count(arena, cases[i].who, "/v1/assessments", "assessments"),
                             cases[i].listed);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        desk_call(arena, cases[i].who, "POST", "/v1/assessments", body, cases[i].ask);
    desk_call(arena, UNIT, "POST", "/v1/assessments",
              body_of(arena, "\"0193b2f0-7c1e-7d3a-9f2b-5a1c0e4d8b61\"", "ext", ""), 422);
    desk_call(arena, UNIT, "POST", "/v1/assessments", body_of(arena, quoted(arena, id), "moon", ""), 422);
    desk_call(arena, UNIT, "POST", "/v1/assessments", body_of(arena, "\"x\"", "ext", ""), 422);
    desk_call(arena, UNIT, "POST", "/v1/assessments",
              body_of(arena, arena_printf(arena, "\"%s\",\"%s\"", id, id), "ext", ""), 422);
    desk_call(arena, UNIT, "POST", "/v1/assessments",
              body_of(arena, quoted(arena, id), "ext", ",\"kind\":\"boat\""), 422);
}

/* What software does not move is an answer with its reason (procurement 3.2.3.15, 3.1.5). */
static void kinds_that_people_move(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char id[37];
    (void)state;
    build(ONE_INSTANCE("web"), "web", id);
    json_t *whole = assessed(
        arena, UNIT,
        body_of(arena, quoted(arena, id), "ext",
                ",\"kind\":\"ha-database\",\"database\":{\"engine\":\"Oracle\",\"target_engine\":\"DM8\"},"
                "\"hosting_area\":true"));
    assert_true(found(report_of(whole, 0), "database-by-people"));
    assert_true(found(report_of(whole, 0), "database-engine-differs"));
    assert_true(found(report_of(whole, 0), "hosting-area"));
    assert_false(json_is_true(json_object_get(report_of(whole, 0), "movable")));
}

/* What the assessed machines come to as a wave. */
static void a_wave_of_it_is_planned(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char web[37], app[37];
    (void)state;
    build(TWO, "web", web);
    house_id("app", app);
    json_t *whole =
        assessed(arena, ENGINEER, body_of(arena, arena_printf(arena, "\"%s\",\"%s\"", web, app), "ext", ""));
    const char *path = arena_printf(arena, "/v1/assessments/%s:plan", desk_text(whole, "id"));
    json_t *plan = desk_call(arena, ENGINEER, "POST", path,
                             arena_printf(arena, "{\"limits\":{\"link\":1},\"order\":[\"%s\"]}", app), 200);
    const json_t *hosts = json_object_get(plan, "hosts"), *first = json_array_get(hosts, 0),
                 *second = json_array_get(hosts, 1);
    assert_int_equal(json_array_size(hosts), 2);
    assert_string_equal(desk_text(first, "instance"), app);
    assert_string_equal(desk_text(first, "ends_at"), desk_text(second, "starts_at")); /* one at a time */
    assert_true(json_integer_value(json_object_get(json_object_get(second, "waited_seconds"), "link")) > 0);
    const json_t *system = json_array_get(json_object_get(plan, "systems"), 0);
    assert_string_equal(desk_text(system, "rule"), "five-working-days");
    assert_true(json_is_false(json_object_get(system, "late")));
    struct process *client =
        desk_client(ENGINEER, (const char *const[]){"wave", "plan", desk_text(whole, "id"), NULL});
    const char *line;
    bool told = false;
    while ((line = process_line(client, 60 * MOMENT_SECOND)))
        told = told || (strstr(line, "u001") && strstr(line, "five-working-days"));
    (void)process_stop(client);
    assert_true(told);
    desk_call(arena, ENGINEER, "POST", path, "{\"limits\":{\"link\":0}}", 422);
    desk_call(arena, ENGINEER, "POST", path, "{\"windows\":[{\"from\":\"2026-12-01T00:00:00Z\"}]}", 422);
    desk_call(arena, OTHER_REGULATOR, "POST", path, "{}", 404);
    desk_call(arena, OPERATOR, "POST", path, "{}", 403);
}

/* The client asks, waits, saves the page and prints what there is. */
static void from_the_command_line(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char id[37];
    (void)state;
    build(ONE_INSTANCE("web"), "web", id);
    const char *html = arena_printf(arena, "%s/report.html", pg_folder(house.pg));
    struct process *client =
        desk_client(ENGINEER, (const char *const[]){"migrate", "assess", id, "--to", "d", "--bandwidth-mbps",
                                                    "1000", "--html", html, NULL});
    const char *line;
    bool can = false, told = false;
    while ((line = process_line(client, 60 * MOMENT_SECOND))) {
        can = can || !strcmp(line, "web: can move, warm");
        told = told || strstr(line, "consent-missing");
    }
    (void)process_stop(client); /* its output has ended: it is on its way out, or out */
    assert_true(can && told);
    FILE *file = fopen(html, "re");
    assert_non_null(file);
    char start[16] = "";
    assert_int_equal(fread(start, 1, 15, file), 15);
    assert_string_equal(start, "<!DOCTYPE html>");
    (void)fclose(file);
}

/* A report stays as it was, for the owner of the tables too. */
static void a_report_never_changes(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char id[37];
    (void)state;
    build(ONE_INSTANCE("web"), "web", id);
    assessed(arena, UNIT, body_of(arena, quoted(arena, id), "ext", ""));
    pg_exec(house.pg, "CREATE TABLE note (n bigint);"
                      "DO $$ BEGIN UPDATE assessment_host SET digest = repeat('0', 64);"
                      " EXCEPTION WHEN insufficient_privilege THEN INSERT INTO note VALUES (1); END $$;"
                      "DO $$ BEGIN DELETE FROM assessment_host;"
                      " EXCEPTION WHEN insufficient_privilege THEN INSERT INTO note VALUES (2); END $$;"
                      "DO $$ BEGIN TRUNCATE assessment_host;"
                      " EXCEPTION WHEN insufficient_privilege THEN INSERT INTO note VALUES (3); END $$");
    desk_expect("SELECT string_agg(n::text, ' ' ORDER BY n) FROM note", "1 2 3");
    pg_exec(house.pg, "DROP TABLE note");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_reset, rest)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_machine_that_can_move), TEST(what_stands_in_the_way),  TEST(consent_and_quota_are_weighed),
        TEST(a_report_on_paper),       TEST(who_asks_and_who_sees),   TEST(kinds_that_people_move),
        TEST(a_report_never_changes),  TEST(a_wave_of_it_is_planned), TEST(from_the_command_line),
    };
    return cmocka_run_group_tests(tests, desk_open, desk_close);
}
