/* Plans of waves against a brute-force planner that tries every hour and looks at every hour of a move; what
 * the contract asks, in dates; what was measured. 2026-11-23 is a Monday. */
#include "federation/wave.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS 7
#define SYSTEMS 4
#define RESOURCES 4
#define HOURS 400 /* that the oracle looks at */

static void ok(struct error *error)
{
    if (error)
        fail_msg("%s", error_message(error));
}

static void invalid(struct error *error, const char *part)
{
    if (!error || error_code(error) != ERR_INVALID || !strstr(error_message(error), part))
        fail_msg("not \"%s\": %s", part, error ? error_message(error) : "(fine)");
    error_free(error);
}

static moment at(const char *text)
{
    moment value;
    ok(moment_parse(text, &value));
    return value;
}

static char names[HOSTS][8];
static struct wave_resource resources[RESOURCES];
static struct wave_system systems[SYSTEMS];
static size_t after[SYSTEMS][SYSTEMS];
static struct wave_host hosts[HOSTS];
static struct wave_span windows[6];
static moment blackout[4];
static moment zero; /* hour 0 */

static uint64_t seed = 20261126;

/* splitmix64: the same waves in every run. */
static int roll(int below)
{
    uint64_t mixed = seed += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (int)((mixed ^ (mixed >> 31)) % (uint64_t)below);
}

static moment hour(int64_t number)
{
    return zero + number * MOMENT_HOUR;
}

static void roll_host(struct wave *wave, size_t number)
{
    struct wave_host *host = &hosts[number];
    (void)snprintf(names[number], sizeof names[number], "h%zu", number);
    *host = (struct wave_host){.name = names[number],
                               .system = (size_t)roll((int)wave->system_count),
                               .copy_us = roll(9) * MOMENT_HOUR,
                               .cut_us = (1 + roll(4)) * MOMENT_HOUR};
    for (size_t i = 0; i < wave->resource_count; i++)
        if (roll(2))
            host->uses[host->use_count++] = i;
    if (roll(5))
        return;
    host->state = roll(2) ? WAVE_RUNNING : WAVE_DONE;
    host->started = hour(-roll(10));
    host->ended = host->state == WAVE_DONE ? zero : 0;
}

/* What has begun may exceed a limit that was lowered since; a system that waits has not begun. */
static struct wave roll_wave(void)
{
    struct wave wave = {.resources = resources,
                        .resource_count = (size_t)roll(RESOURCES + 1),
                        .systems = systems,
                        .system_count = 1 + (size_t)roll(SYSTEMS),
                        .hosts = hosts,
                        .host_count = (size_t)roll(HOSTS + 1),
                        .windows = windows,
                        .blackout = blackout,
                        .now = zero};
    for (size_t i = 0; i < wave.resource_count; i++)
        resources[i] = (struct wave_resource){
            .kind = (enum wave_reason)roll(WAVE_DATASTORE + 1), .name = "r", .most = 1 + (size_t)roll(3)};
    for (size_t i = 0; i < wave.system_count; i++) {
        systems[i] = (struct wave_system){.name = "s", .after = after[i]};
        for (size_t k = 0; k < i; k++)
            if (!roll(3))
                after[i][systems[i].after_count++] = k;
    }
    int64_t from = 0;
    size_t spans = (size_t)roll(7);
    for (; wave.window_count < spans; wave.window_count++) {
        from += 1 + roll(20);
        windows[wave.window_count].from = hour(from);
        from += 1 + roll(20);
        windows[wave.window_count].to = hour(from);
    }
    int64_t day = roll(2);
    for (size_t days = (size_t)roll(5); wave.blackout_count < days; day += 1 + roll(3))
        blackout[wave.blackout_count++] = moment_day_start(zero) + day * MOMENT_DAY;
    for (size_t i = 0; i < wave.host_count; i++)
        roll_host(&wave, i);
    return wave;
}

/* --- the oracle: hours alone --- */

static bool open_hour(const struct wave *wave, int64_t number)
{
    bool open = !wave->window_count;
    for (size_t i = 0; i < wave->window_count; i++)
        open = open || (hour(number) >= wave->windows[i].from && hour(number) < wave->windows[i].to);
    for (size_t i = 0; i < wave->blackout_count; i++)
        open = open && (hour(number) < wave->blackout[i] || hour(number) >= wave->blackout[i] + MOMENT_DAY);
    return open;
}

struct guess {
    bool placed, settled;
    int64_t start, cut, end; /* hours; end HOURS × 10: never */
};

static bool has(const struct wave_host *host, size_t resource)
{
    bool found = false;
    for (size_t i = 0; i < host->use_count; i++)
        found = found || host->uses[i] == resource;
    return found;
}

static bool free_hour(const struct wave *wave, const struct guess *guesses, size_t number, int64_t at_hour)
{
    for (size_t r = 0; r < wave->resource_count; r++) {
        size_t load = 0;
        for (size_t i = 0; i < wave->host_count; i++)
            load += guesses[i].settled && has(&wave->hosts[i], r) && guesses[i].start <= at_hour &&
                    at_hour < guesses[i].end;
        if (has(&wave->hosts[number], r) && load >= wave->resources[r].most)
            return false;
    }
    return true;
}

static bool cut_fits(const struct wave *wave, int64_t cut, int64_t length)
{
    for (int64_t h = cut; h < cut + length; h++)
        if (!open_hour(wave, h))
            return false;
    return true;
}

static void guess_begun(const struct wave *wave, struct guess *guesses)
{
    for (size_t i = 0; i < wave->host_count; i++) {
        const struct wave_host *host = &wave->hosts[i];
        if (host->state == WAVE_WAITING)
            continue;
        guesses[i] =
            (struct guess){.placed = true, .settled = true, .start = (host->started - zero) / MOMENT_HOUR};
        int64_t copied = guesses[i].start + host->copy_us / MOMENT_HOUR, cut = copied > 0 ? copied : 0;
        while (host->state == WAVE_RUNNING && cut < HOURS && !cut_fits(wave, cut, host->cut_us / MOMENT_HOUR))
            cut++;
        guesses[i].placed = cut < HOURS;
        guesses[i].end = host->state == WAVE_DONE ? 0
                         : cut < HOURS            ? cut + host->cut_us / MOMENT_HOUR
                                                  : HOURS * 10;
    }
}

static void guess_one(const struct wave *wave, struct guess *guesses, size_t number, int64_t ready)
{
    const struct wave_host *host = &wave->hosts[number];
    int64_t copy = host->copy_us / MOMENT_HOUR, length = host->cut_us / MOMENT_HOUR;
    for (int64_t start = ready; start < HOURS; start++) {
        bool fits = cut_fits(wave, start + copy, length);
        for (int64_t h = start; fits && h < start + copy + length; h++)
            fits = free_hour(wave, guesses, number, h);
        if (!fits)
            continue;
        guesses[number] = (struct guess){true, false, start, start + copy, start + copy + length};
        return;
    }
}

/* 1: ready, from *ret_ready on; 0: not yet; −1: never. */
static int readiness(const struct wave *wave, const struct guess *guesses, size_t number, int64_t *ret_ready)
{
    const struct wave_system *system = &wave->systems[wave->hosts[number].system];
    int result = 1;
    *ret_ready = 0;
    for (size_t k = 0; k < system->after_count; k++)
        for (size_t i = 0; i < wave->host_count; i++) {
            if (wave->hosts[i].system != system->after[k])
                continue;
            if (!guesses[i].settled)
                return 0;
            if (!guesses[i].placed)
                result = -1;
            *ret_ready = guesses[i].placed && guesses[i].end > *ret_ready ? guesses[i].end : *ret_ready;
        }
    return result;
}

static void guess_all(const struct wave *wave, struct guess *guesses)
{
    memset(guesses, 0, HOSTS * sizeof *guesses);
    guess_begun(wave, guesses);
    for (size_t i = 0; i < wave->host_count; i++) {
        int64_t ready;
        if (guesses[i].settled || !readiness(wave, guesses, i, &ready))
            continue;
        if (readiness(wave, guesses, i, &ready) > 0)
            guess_one(wave, guesses, i, ready);
        guesses[i].settled = true;
        i = (size_t)-1; /* from the first again */
    }
}

static void as_an_oracle_plans(void **state)
{
    size_t placed = 0, waited = 0;
    (void)state;
    zero = at("2026-11-23T09:00:00+08:00");
    for (int round = 0; round < 4000; round++) {
        ARENA_AUTO struct arena *arena = arena_new();
        struct guess guesses[HOSTS];
        struct wave wave = roll_wave();
        struct wave_slot *slots;
        ok(wave_check(&wave));
        wave_plan(arena, &wave, &slots);
        guess_all(&wave, guesses);
        for (size_t i = 0; i < wave.host_count; i++) {
            if (slots[i].placed != guesses[i].placed)
                fail_msg("round %d, host %zu: %s", round, i, slots[i].placed ? "placed" : "not placed");
            if (!slots[i].placed)
                continue;
            if (slots[i].start != hour(guesses[i].start) || slots[i].end != hour(guesses[i].end))
                fail_msg("round %d, host %zu: from hour %lld to %lld, not %lld to %lld", round, i,
                         (long long)((slots[i].start - zero) / MOMENT_HOUR),
                         (long long)((slots[i].end - zero) / MOMENT_HOUR), (long long)guesses[i].start,
                         (long long)guesses[i].end);
            placed++;
            if (wave.hosts[i].state != WAVE_WAITING)
                continue;
            /* What it waited for adds up to when it begins. */
            int64_t sum = 0;
            for (int k = 0; k < WAVE_REASON_COUNT; k++)
                sum += slots[i].waited_us[k];
            assert_int_equal(sum, slots[i].start - wave.now);
            waited += sum > 0;
        }
    }
    print_message("%zu placed, %zu of them later than now\n", placed, waited);
    assert_true(placed > 5000 && waited > 2000);
}

static void what_is_refused(void **state)
{
    static const size_t second[] = {1}, first[] = {0}, far[] = {7};
    struct wave_resource link = {.kind = WAVE_LINK, .name = "line", .most = 1};
    struct wave_system two[] = {{.name = "one", .after = second, .after_count = 1},
                                {.name = "two", .after = first, .after_count = 1}};
    struct wave_host host = {.name = "h", .uses = {0, 0}, .use_count = 1};
    struct wave_span spans[] = {{0, 10}, {10, 20}};
    moment days[] = {at("2026-11-23T00:00:00+08:00"), at("2026-11-24T08:00:00+08:00")};
    struct wave wave = {.resources = &link,
                        .resource_count = 1,
                        .systems = two,
                        .system_count = 1,
                        .hosts = &host,
                        .host_count = 1};
    (void)state;
    invalid(wave_check(&wave), "one that there is not");
    wave.system_count = 2;
    invalid(wave_check(&wave), "wait for each other, or for one that does: one, two");
    two[0].after_count = 0;
    ok(wave_check(&wave));
    two[1].after = far;
    invalid(wave_check(&wave), "two waits");
    two[1].after = first;
    host.use_count = 2;
    invalid(wave_check(&wave), "uses line twice");
    host.use_count = 1;
    link.most = 0;
    invalid(wave_check(&wave), "no limit");
    link.most = 1;
    wave.windows = spans;
    wave.window_count = 2;
    invalid(wave_check(&wave), "apart");
    spans[1].from = 11;
    ok(wave_check(&wave));
    wave.blackout = days;
    wave.blackout_count = 2;
    invalid(wave_check(&wave), "blackout days");
    wave.blackout_count = 1;
    ok(wave_check(&wave));
}

static void working_days(void **state)
{
    static const char *const dates[][3] = {
        {"2026-11-23T09:00:00+08:00", "5", "2026-12-01T00:00:00+08:00"}, /* Monday: Tuesday to Monday */
        {"2026-11-20T23:00:00+08:00", "1", "2026-11-24T00:00:00+08:00"}, /* Friday night */
        {"2026-11-22T09:00:00+08:00", "1", "2026-11-24T00:00:00+08:00"}, /* Sunday: Monday */
        {"2026-11-23T09:00:00+08:00", "0", "2026-11-24T00:00:00+08:00"},
    };
    moment holiday = at("2026-11-24T00:00:00+08:00");
    struct wave wave = {.host_count = 0};
    (void)state;
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++)
        assert_int_equal(wave_working_days(&wave, at(dates[i][0]), (size_t)strtol(dates[i][1], NULL, 10)),
                         at(dates[i][2]));
    wave.holidays = &holiday;
    wave.holiday_count = 1;
    assert_int_equal(wave_working_days(&wave, at("2026-11-23T09:00:00+08:00"), 1),
                     at("2026-11-26T00:00:00+08:00"));
}

/* `count` equal hosts of one system that take so many hours, `most` at once. */
static struct wave_pace pace_of(struct arena *arena, size_t count, uint64_t bytes, int64_t hours, size_t most)
{
    struct wave_resource *link = arena_alloc(arena, sizeof *link);
    struct wave_system *system = arena_alloc(arena, sizeof *system);
    struct wave_host *list = arena_array(arena, count, sizeof *list);
    *link = (struct wave_resource){.kind = WAVE_LINK, .name = "line", .most = most};
    *system = (struct wave_system){.name = "s"};
    for (size_t i = 0; i < count; i++)
        list[i] = (struct wave_host){.name = "h",
                                     .use_count = 1,
                                     .bytes = bytes,
                                     .copy_us = (hours - 1) * MOMENT_HOUR,
                                     .cut_us = MOMENT_HOUR};
    struct wave wave = {.resources = link,
                        .resource_count = 1,
                        .systems = system,
                        .system_count = 1,
                        .hosts = list,
                        .host_count = count,
                        .now = at("2026-11-23T09:00:00+08:00")};
    struct wave_slot *slots;
    struct wave_pace pace;
    ok(wave_check(&wave));
    wave_plan(arena, &wave, &slots);
    wave_pace(&wave, slots, 0, wave.now, &pace);
    return pace;
}

/* Procurement 4.1.3.1: 19 hosts in 5 working days, 20 at 4 a day, 5 with 11 TB at the rate too. */
static void what_the_contract_asks(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const uint64_t tb = UINT64_C(1000000000000);
    (void)state;
    struct wave_pace pace = pace_of(arena, 19, 1, 2, 4);
    assert_false(pace.by_rate || pace.late);
    assert_int_equal(pace.due, at("2026-12-01T00:00:00+08:00"));
    pace = pace_of(arena, 20, 1, 2, 4);
    assert_true(pace.by_rate && !pace.late);
    assert_int_equal(pace.due, at("2026-12-01T00:00:00+08:00")); /* 4 a day: 5 days */
    pace = pace_of(arena, 40, 1, 2, 4);
    assert_int_equal(pace.due, at("2026-12-08T00:00:00+08:00"));
    pace = pace_of(arena, 5, 2 * tb, 2, 4);
    assert_false(pace.by_rate); /* 10 TB are not over 10 TB */
    pace = pace_of(arena, 5, 2 * tb + tb / 5, 2, 4);
    assert_true(pace.by_rate);
    assert_int_equal(pace.due, at("2026-11-26T00:00:00+08:00")); /* 2 days */
    /* 19 hosts of 10 hours one by one: 190 hours are over within 5 working days; of 12 they are not. */
    pace = pace_of(arena, 19, 1, 9, 1);
    assert_false(pace.late);
    assert_int_equal(pace.forecast, at("2026-11-30T12:00:00+08:00"));
    pace = pace_of(arena, 19, 1, 12, 1);
    assert_true(pace.late);
    assert_int_equal(pace.late_at, pace.due);
    assert_int_equal(pace.reason, WAVE_LINK);
    /* 20 hosts, one by one: until the end of Tuesday there are 39 hours, for 4 of 9 hours each, but for 3
     * of 10. */
    pace = pace_of(arena, 20, 1, 10, 1);
    assert_true(pace.late);
    assert_int_equal(pace.late_at, at("2026-11-25T00:00:00+08:00"));
    pace = pace_of(arena, 20, 1, 9, 1);
    assert_int_equal(pace.late_at, at("2026-11-26T00:00:00+08:00"));
    assert_int_equal(pace.expected, 0);
}

/* Begun on Monday and asked on Thursday: Tuesday and Wednesday are over, 8 hosts must be done. */
static void what_must_be_done_by_now(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct wave_system system = {.name = "s"};
    struct wave_host list[20];
    struct wave wave = {.systems = &system,
                        .system_count = 1,
                        .hosts = list,
                        .host_count = 20,
                        .asked = at("2026-11-26T12:00:00+08:00"),
                        .now = at("2026-11-26T12:00:00+08:00")};
    struct wave_slot *slots;
    struct wave_pace pace;
    moment began = at("2026-11-23T09:00:00+08:00");
    (void)state;
    for (size_t i = 0; i < 20; i++)
        list[i] = (struct wave_host){.name = "h",
                                     .copy_us = MOMENT_HOUR,
                                     .cut_us = MOMENT_HOUR,
                                     .state = i < 8 ? WAVE_DONE : WAVE_WAITING,
                                     .started = began,
                                     .ended = began + 2 * MOMENT_HOUR};
    wave_plan(arena, &wave, &slots);
    wave_pace(&wave, slots, 0, began, &pace);
    assert_int_equal(pace.expected, 8);
    assert_int_equal(pace.done, 8);
    assert_false(pace.late);
    list[7].state = WAVE_WAITING; /* one fewer: late since Wednesday's end, whatever comes */
    wave_plan(arena, &wave, &slots);
    wave_pace(&wave, slots, 0, began, &pace);
    assert_true(pace.late);
    assert_int_equal(pace.late_at, at("2026-11-26T00:00:00+08:00"));
}

static void what_makes_it_late(void **state)
{
    static const size_t first[] = {0};
    ARENA_AUTO struct arena *arena = arena_new();
    struct wave_system two[] = {{.name = "one"}, {.name = "two", .after = first, .after_count = 1}};
    struct wave_host list[] = {{.name = "a", .system = 0, .copy_us = 10 * MOMENT_DAY, .cut_us = MOMENT_HOUR},
                               {.name = "b", .system = 1, .copy_us = MOMENT_HOUR, .cut_us = MOMENT_HOUR}};
    struct wave_span open = {at("2026-12-20T00:00:00+08:00"), at("2026-12-20T00:30:00+08:00")};
    struct wave wave = {.systems = two,
                        .system_count = 2,
                        .hosts = list,
                        .host_count = 2,
                        .now = at("2026-11-23T09:00:00+08:00")};
    struct wave_slot *slots;
    struct wave_pace pace;
    (void)state;
    wave_plan(arena, &wave, &slots);
    wave_pace(&wave, slots, 1, wave.now, &pace);
    assert_true(pace.late && pace.placed);
    assert_int_equal(pace.reason, WAVE_DEPENDENCY);
    wave.windows = &open; /* half an hour is never enough */
    wave.window_count = 1;
    wave_plan(arena, &wave, &slots);
    wave_pace(&wave, slots, 1, wave.now, &pace);
    assert_true(pace.late && !pace.placed);
    wave_pace(&wave, slots, 0, wave.now, &pace);
    assert_int_equal(pace.reason, WAVE_WINDOW);
    open.to = at("2026-12-21T00:00:00+08:00");
    list[0].copy_us = MOMENT_HOUR;
    wave_plan(arena, &wave, &slots);
    wave_pace(&wave, slots, 0, wave.now, &pace);
    assert_true(pace.late && pace.placed);
    assert_int_equal(pace.reason, WAVE_WINDOW);
    assert_int_equal(slots[0].cut, open.from);
}

static void what_was_measured(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct wave_host list[] = {{.name = "a", .bytes = 1000, .state = WAVE_DONE},
                               {.name = "b", .bytes = 4000, .state = WAVE_RUNNING},
                               {.name = "c", .bytes = 6000, .copy_us = 1, .cut_us = MOMENT_SECOND}};
    const uint64_t copied[] = {1000, 2000, 0}, nothing[] = {0, 0, 0};
    struct wave wave = {.hosts = list, .host_count = 3, .asked = zero + 20 * MOMENT_SECOND};
    (void)state;
    list[0].started = zero;
    list[0].ended = zero + 11 * MOMENT_SECOND;
    list[0].cut_us = MOMENT_SECOND;
    list[1].started = zero + 15 * MOMENT_SECOND;
    /* 3000 bytes in 10 + 5 s of work */
    assert_int_equal(wave_rate(&wave, copied), 200);
    assert_int_equal(wave_rate(&wave, nothing), 0);
    assert_int_equal(wave_measured(arena, &wave, 200)[2].copy_us, 30 * MOMENT_SECOND);
    assert_int_equal(wave_measured(arena, &wave, 0)[2].copy_us, 1);
    assert_int_equal(wave_measured(arena, &wave, 200)[1].copy_us, 0);
}

/* As large as a wave may be; the figure is for people to read. */
static void a_large_wave_is_planned(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct wave_resource few[] = {{.kind = WAVE_TOTAL, .name = "all", .most = 40},
                                  {.kind = WAVE_LINK, .name = "line", .most = 20},
                                  {.kind = WAVE_HOST, .name = "host", .most = 4}};
    struct wave_system *many = arena_array(arena, WAVE_SYSTEMS_MAX, sizeof *many);
    struct wave_host *list = arena_array(arena, WAVE_HOSTS_MAX, sizeof *list);
    struct wave wave = {.resources = few,
                        .resource_count = 3,
                        .systems = many,
                        .system_count = WAVE_SYSTEMS_MAX,
                        .hosts = list,
                        .host_count = WAVE_HOSTS_MAX,
                        .now = zero};
    struct wave_slot *slots;
    (void)state;
    for (size_t i = 0; i < WAVE_SYSTEMS_MAX; i++)
        many[i].name = "s";
    for (size_t i = 0; i < WAVE_HOSTS_MAX; i++)
        list[i] = (struct wave_host){.name = "h",
                                     .system = i % WAVE_SYSTEMS_MAX,
                                     .uses = {0, 1, 2},
                                     .use_count = i % 3 + 1,
                                     .copy_us = (1 + roll(20)) * MOMENT_HOUR,
                                     .cut_us = MOMENT_HOUR};
    ok(wave_check(&wave));
    int64_t began = moment_monotonic();
    wave_plan(arena, &wave, &slots);
    print_message("%d hosts planned in %lld ms\n", WAVE_HOSTS_MAX,
                  (long long)((moment_monotonic() - began) / 1000));
    for (size_t i = 0; i < WAVE_HOSTS_MAX; i++)
        assert_true(slots[i].placed);
}

/* Three systems, each after the one before, and one by itself; one move at a time. */
static void what_waits_for_people_and_what_has_failed(void **state)
{
    static const size_t first[] = {0}, second[] = {1};
    const struct wave_resource line = {WAVE_LINK, "line", 1};
    const struct wave_system chain[] = {{"a", NULL, 0}, {"b", first, 1}, {"c", second, 1}, {"d", NULL, 0}};
    struct wave_host list[4];
    for (size_t i = 0; i < 4; i++)
        list[i] = (struct wave_host){
            .name = "h", .system = i, .use_count = 1, .copy_us = 2 * MOMENT_HOUR, .cut_us = MOMENT_HOUR};
    const moment now = at("2026-11-23T00:00:00+08:00");
    const struct wave wave = {.resources = &line,
                              .resource_count = 1,
                              .systems = chain,
                              .system_count = 4,
                              .hosts = list,
                              .host_count = 4,
                              .asked = now,
                              .now = now};
    ARENA_AUTO struct arena *arena = arena_new();
    struct wave_slot *slots;
    struct wave_pace pace;
    (void)state;
    /* The first waits for a paper: the last, which depends on nobody, goes before it. */
    list[0].held = true;
    wave_plan(arena, &wave, &slots);
    assert_int_equal(slots[3].start, now);
    assert_int_equal(slots[0].start, now + 3 * MOMENT_HOUR);
    assert_int_equal(slots[1].start, now + 6 * MOMENT_HOUR);
    assert_int_equal(slots[2].start, now + 9 * MOMENT_HOUR);
    wave_pace(&wave, slots, 0, now - 30 * MOMENT_DAY, &pace);
    assert_true(pace.late);
    assert_int_equal(pace.reason, WAVE_PAPERS);
    /* It has failed: what depends on it is never placed, at either remove, and the line is not its own. */
    list[0].held = false;
    list[0].state = WAVE_LOST;
    list[0].started = now - MOMENT_DAY;
    wave_plan(arena, &wave, &slots);
    for (size_t i = 0; i < 3; i++) {
        assert_false(slots[i].placed);
        assert_int_equal(slots[i].never, WAVE_MOVE);
    }
    assert_int_equal(slots[3].start, now);
    wave_pace(&wave, slots, 2, now, &pace);
    assert_true(pace.late && !pace.placed);
    assert_int_equal(pace.reason, WAVE_MOVE);
    /* It is being cut over, with an hour to go, whatever was foreseen for its copy. */
    list[0].state = WAVE_RUNNING;
    list[0].cutting = true;
    wave_plan(arena, &wave, &slots);
    assert_int_equal(slots[0].end, now + MOMENT_HOUR);
    assert_int_equal(slots[1].start, now + MOMENT_HOUR);
    assert_int_equal(slots[3].start, now + 7 * MOMENT_HOUR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_an_oracle_plans),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(working_days),
        cmocka_unit_test(what_the_contract_asks),
        cmocka_unit_test(what_makes_it_late),
        cmocka_unit_test(what_must_be_done_by_now),
        cmocka_unit_test(what_was_measured),
        cmocka_unit_test(what_waits_for_people_and_what_has_failed),
        cmocka_unit_test(a_large_wave_is_planned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
