/* From assessments to waves: which machines, what they occupy, in which order, and what a request must be. */
#include "federation/wave_api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#define HOSTS 4
static const char *const ids[HOSTS] = {"a", "b", "c", "d"};

/* Four machines of two systems; d cannot move. */
static void assessed(struct arena *arena, struct assessment_host hosts[HOSTS])
{
    for (int i = 0; i < HOSTS; i++) {
        json_t *report = json_pack(
            "{s:b, s:s, s:I, s:[{s:s, s:i, s:i}, {s:s, s:i, s:i}], s:{s:s, s:s}, s:{s:s, s:s}}", "movable",
            i < 3, "preferred", "warm", "disk_bytes", (json_int_t)1000000000, "methods", "method", "live",
            "copy_seconds", 1, "downtime_ms", 1, "method", "warm", "copy_seconds", 7200, "downtime_ms",
            120000, "from", "cloud", "c", "site", "s", "to", "cloud", "d", "site", "t");
        json_t *answers =
            json_pack("{s:{s:s, s:[{s:s}, {s:s}, {s:s, s:b}]}}", "source", "host", i ? "esx-2" : "esx-1",
                      "disks", "ref", "[ds1] web/web.vmdk", "ref", i ? "/pool/x.qcow2" : "[ds1] o.vmdk",
                      "ref", "[iso] tools.iso", "removable", 1);
        assert_non_null(report);
        assert_non_null(answers);
        hosts[i] = (struct assessment_host){.number = i + 1,
                                            .resource = ids[i],
                                            .system = i < 2 ? "u001" : "u002",
                                            .cloud = "c",
                                            .report = json_hold(arena, report),
                                            .answers = json_hold(arena, answers)};
    }
}

static const struct wave_limits limits = {20, 10, 4, 3, 2};
#define NOW INT64_C(1800000000000000)

static bool occupies(const struct wave *wave, size_t host, enum wave_reason kind, const char *name,
                     size_t most)
{
    for (size_t i = 0; i < wave->hosts[host].use_count; i++) {
        const struct wave_resource *resource = &wave->resources[wave->hosts[host].uses[i]];
        if (resource->kind == kind && !strcmp(resource->name, name) && resource->most == most)
            return true;
    }
    return false;
}

static void what_each_occupies(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct assessment_host hosts[HOSTS];
    struct wave_ask ask = {.limits = limits};
    struct wave_made made;
    (void)state;
    assessed(arena, hosts);
    assert_null(wave_of_assessment(arena, &ask, hosts, HOSTS, NOW, &made));
    const struct wave *wave = &made.wave;
    assert_int_equal(wave->host_count, 3);
    assert_int_equal(made.left_count, 1);
    assert_string_equal(made.left[0], "d");
    assert_int_equal(wave->hosts[0].copy_us, 7200 * MOMENT_SECOND); /* of the preferred method */
    assert_int_equal(wave->hosts[0].cut_us, 120 * MOMENT_SECOND);
    assert_int_equal(wave->hosts[0].use_count, 6);
    assert_int_equal(wave->hosts[1].use_count, 7);
    assert_true(occupies(wave, 0, WAVE_TOTAL, "all", 20));
    assert_true(occupies(wave, 0, WAVE_SITE, "c/s", 10) && occupies(wave, 0, WAVE_SITE, "d/t", 10));
    assert_true(occupies(wave, 1, WAVE_LINK, "c/s-d/t", 4));
    assert_true(occupies(wave, 0, WAVE_HOST, "c/s esx-1", 3) && occupies(wave, 1, WAVE_HOST, "c/s esx-2", 3));
    assert_true(occupies(wave, 0, WAVE_DATASTORE, "c/s ds1", 2) &&
                occupies(wave, 1, WAVE_DATASTORE, "c/s /pool", 2));
    assert_int_equal(wave->system_count, 2);
    assert_int_equal(wave->now, NOW);
}

static void order_and_what_has_begun(void **state)
{
    static const char *order[] = {"c", "a"}, *first[] = {"u002"};
    struct wave_begun begun[] = {
        {.instance = "b", .started = NOW - 10 * MOMENT_SECOND, .copied_bytes = 5000000}};
    struct wave_follows follows[] = {{"u001", {first, 1}}};
    ARENA_AUTO struct arena *arena = arena_new();
    struct assessment_host hosts[HOSTS];
    struct wave_ask ask = {.limits = limits,
                           .not_before = NOW + MOMENT_DAY,
                           .order = {order, 2},
                           .begun = {begun, 1},
                           .dependencies = {follows, 1}};
    struct wave_made made;
    (void)state;
    assessed(arena, hosts);
    assert_null(wave_of_assessment(arena, &ask, hosts, HOSTS, NOW, &made));
    const struct wave *wave = &made.wave;
    assert_string_equal(wave->hosts[0].name, "c");
    assert_string_equal(wave->hosts[1].name, "a");
    assert_string_equal(wave->hosts[2].name, "b");
    assert_int_equal(wave->hosts[2].state, WAVE_RUNNING);
    assert_int_equal(wave->now, NOW + MOMENT_DAY); /* paused until then */
    size_t system = wave->hosts[1].system;
    assert_string_equal(wave->systems[system].name, "u001");
    assert_int_equal(wave->systems[system].after_count, 1);
    assert_int_equal(wave->systems[system].after[0], wave->hosts[0].system);
    /* 5 MB in 10 seconds: a gigabyte takes 2000 s, for those that wait */
    assert_int_equal(made.rate, 500000);
    assert_int_equal(wave->hosts[0].copy_us, 2000 * MOMENT_SECOND);
    assert_int_equal(wave->hosts[2].copy_us, 7200 * MOMENT_SECOND);
}

static void windows_and_days(void **state)
{
    struct wave_span spans[] = {{300, 400}, {100, 200}, {200, 250}, {120, 130}, {390, 500}};
    static const char *days[] = {"2026-12-02", "2026-12-01", "2026-12-02"};
    ARENA_AUTO struct arena *arena = arena_new();
    struct assessment_host hosts[HOSTS];
    struct wave_ask ask = {
        .limits = limits, .windows = {spans, 5}, .blackout_days = {days, 3}, .holidays = {days, 1}};
    struct wave_made made;
    (void)state;
    assessed(arena, hosts);
    assert_null(wave_of_assessment(arena, &ask, hosts, HOSTS, NOW, &made));
    assert_int_equal(made.wave.window_count, 2);
    assert_int_equal(made.wave.windows[0].from, 100);
    assert_int_equal(made.wave.windows[0].to, 250);
    assert_int_equal(made.wave.windows[1].from, 300);
    assert_int_equal(made.wave.windows[1].to, 500);
    assert_int_equal(made.wave.blackout_count, 2);
    assert_true(made.wave.blackout[0] + MOMENT_DAY == made.wave.blackout[1]);
    assert_int_equal(made.wave.holiday_count, 1);
}

static void wrong(const struct wave_ask *ask, const char *pointer)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct assessment_host hosts[HOSTS];
    struct wave_made made;
    size_t count = 0;
    assessed(arena, hosts);
    struct error *error = wave_of_assessment(arena, ask, hosts, HOSTS, NOW, &made);
    assert_non_null(error);
    assert_int_equal(error_code(error), ERR_INVALID);
    const struct error_detail *details = error_details(error, &count);
    if (pointer && (!count || strcmp(details[0].pointer, pointer) != 0))
        fail_msg("%s instead of %s", count ? details[0].pointer : error_message(error), pointer);
    error_free(error);
}

static void what_a_request_must_be(void **state)
{
    static const char *nobody[] = {"d"}, *system[] = {"u001"}, *moon[] = {"moon"}, *day[] = {"2026-13-01"},
                      *late[] = {"2026-12-01T00:00:00+08:00"};
    struct wave_begun future[] = {{.instance = "a", .started = NOW + 1}}, unknown[] = {{.instance = "d"}},
                      back[] = {{.instance = "a", .started = NOW - 5, .ended = NOW - 6}};
    struct wave_follows self[] = {{"u001", {system, 1}}}, gone[] = {{"u001", {moon, 1}}},
                        twice[] = {{"u002", {system, 1}}, {"u002", {system, 1}}};
    struct wave_span empty[] = {{10, 10}};
    (void)state;
    wrong(&(struct wave_ask){.limits = limits, .order = {nobody, 1}}, "/order/0");
    wrong(&(struct wave_ask){.limits = limits, .begun = {future, 1}}, "/begun/0");
    wrong(&(struct wave_ask){.limits = limits, .begun = {unknown, 1}}, "/begun/0");
    wrong(&(struct wave_ask){.limits = limits, .begun = {back, 1}}, "/begun/0");
    wrong(&(struct wave_ask){.limits = limits, .dependencies = {gone, 1}}, "/dependencies");
    wrong(&(struct wave_ask){.limits = limits, .dependencies = {twice, 2}}, "/dependencies/1/system");
    wrong(&(struct wave_ask){.limits = limits, .dependencies = {self, 1}}, NULL);
    wrong(&(struct wave_ask){.limits = limits, .windows = {empty, 1}}, "/windows/0/to");
    wrong(&(struct wave_ask){.limits = limits, .blackout_days = {day, 1}}, "/blackout_days/0");
    wrong(&(struct wave_ask){.limits = limits, .holidays = {late, 1}}, "/holidays/0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_each_occupies),
        cmocka_unit_test(order_and_what_has_begun),
        cmocka_unit_test(windows_and_days),
        cmocka_unit_test(what_a_request_must_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
