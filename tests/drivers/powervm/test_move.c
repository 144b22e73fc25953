/* Live partition mobility of the driver powervm against contrib/hmcsim: between two consoles and between two
 * systems of one, refused, cancelled, failed, lost and settled. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/driver_move.h"
#include "drivers/powervm/session.h"
#include "tests/drivers/powervm/fixture.h"

#define VOLUME "018f3a5c-7b1d-7c3e-9a4f-00000000000a"
#define MOVE "018f3a5c-7b1d-7c3e-9a4f-00000000000b"

/* A cloud at each end. `sim` of the fixture is the source's console. */
static struct fixture *fixture;
static struct hmcsim *there;
static struct driver_endpoint target;
static struct driver_session *at_target;
static json_t *target_options, *source_options;
static const struct driver_key key = {.id = ID_ONE};
static const struct driver_key volume = {.id = VOLUME};

static struct driver_move_spec spec(void)
{
    return (struct driver_move_spec){.id = MOVE, .target = &target};
}

static void start_ends(const char *const *arguments, size_t console, const char *of_source,
                       const char *of_target)
{
    fixture = fixture_start(arguments);
    there = hmcsim_console(fixture->sim, console);
    source_options = of_source ? json_loads(of_source, 0, NULL) : NULL;
    target_options = of_target ? json_loads(of_target, 0, NULL) : NULL;
    target = hmcsim_endpoint(there);
    target.id = "hmc-2";
    target.options = target_options;
    assert_no_error(driver->open(&target, &fixture->call, &at_target));
    if (source_options) {
        struct driver_endpoint endpoint = hmcsim_endpoint(fixture->sim);
        endpoint.options = source_options;
        driver->close(fixture->session);
        assert_no_error(driver->open(&endpoint, &fixture->call, &fixture->session));
    }
}

static int two_consoles(void **state)
{
    static const char *const arguments[] = {"--consoles", "2", "--migrate-seconds", "0.2", "--systems",
                                            "1",          NULL};
    start_ends(arguments, 1, NULL, NULL);
    return 0;
}

static int one_console(void **state)
{
    static const char *const arguments[] = {"--migrate-seconds", "0.2", NULL};
    start_ends(arguments, 0, "{\"managed_systems\": [\"Server-9009-42A-SN00001\"]}",
               "{\"managed_systems\": [\"Server-9009-42A-SN00002\"]}");
    return 0;
}

static int end(void **state)
{
    void *kept = fixture;
    driver->close(at_target);
    int64_t left = json_integer_value(json_object_get(hmcsim_state(there), "sessions"));
    hmcsim_stop(there);
    json_decref(source_options);
    json_decref(target_options);
    int status = fixture_teardown(&kept);
    return status || left > 1 ? -1 : 0; /* of one console the source's is open until its teardown */
}

static void make(void)
{
    struct driver_instance instance;
    struct driver_volume made;
    struct driver_volume_spec wanted = {.id = VOLUME, .name = "data", .size_gb = 3};
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    assert_no_error(driver->volume_create(fixture->session, &fixture->call, &wanted, &made));
    assert_no_error(driver->volume_attach(fixture->session, &fixture->call, &volume, &key));
}

static struct error *validate(void)
{
    struct driver_move_spec wanted = spec();
    return driver->move_validate(fixture->session, &fixture->call, &key, &wanted);
}

static struct error *run(struct driver_move_report *ret_report)
{
    struct driver_move_spec wanted = spec();
    return driver->move_run(fixture->session, &fixture->call, &key, &wanted, ret_report);
}

static struct error *settle(bool abort, enum driver_side *ret_side)
{
    struct driver_move_spec wanted = spec();
    return driver->move_settle(fixture->session, &fixture->call, &key, &wanted, abort, ret_side);
}

static void plan(const char *how, int percent)
{
    hmcsim_control(fixture->sim, "/__migrate",
                   arena_printf(fixture->call.arena,
                                "{\"partition\": \"" NAME_ONE "\", \"at\": %d, \"how\": \"%s\"}", percent,
                                how));
}

static void link_up(void)
{
    hmcsim_control(fixture->sim, "/__set", "{\"system\": \"Server-9009-42A-SN00001\", \"link\": true}");
}

static const char *member(struct hmcsim *sim, const char *name)
{
    return json_string_value(json_object_get(hmcsim_item(sim, "partitions", "name", NAME_ONE), name));
}

/* It runs at one end, whole, was never booted anew, and the other end has nothing of it. */
static void assert_lives(bool at_the_target)
{
    struct hmcsim *home = at_the_target ? there : fixture->sim;
    struct driver_session *with = at_the_target ? at_target : fixture->session;
    struct driver_session *without = at_the_target ? fixture->session : at_target;
    struct driver_instance instance;
    struct driver_volume found;
    assert_no_error(driver->instance_find(with, &fixture->call, &key, &instance));
    assert_int_equal(instance.power, DRIVER_POWER_ON);
    assert_string_equal(instance.detail, "running");
    assert_error(driver->instance_find(without, &fixture->call, &key, &instance), ERR_NOT_FOUND,
                 "no partition");
    assert_no_error(driver->volume_find(with, &fixture->call, &volume, &found));
    assert_string_equal(found.instance_ref, instance.ref);
    assert_error(driver->volume_find(without, &fixture->call, &volume, &found), ERR_NOT_FOUND, "no volume");
    assert_int_equal(hmcsim_count(home, "partitions", "name", NAME_ONE), 1);
    assert_int_equal(hmcsim_count(home, "mappings", "partition", NAME_ONE), 2);
    assert_string_equal(member(home, "migration"), "Not_Migrating");
    assert_int_equal(
        json_integer_value(json_object_get(hmcsim_item(home, "partitions", "name", NAME_ONE), "boots")), 1);
}

static size_t started(void)
{
    size_t all = hmcsim_requests(fixture->sim, "/do/Migrate");
    return all - hmcsim_requests(fixture->sim, "/do/MigrateValidate") -
           hmcsim_requests(fixture->sim, "/do/MigrateAbort") -
           hmcsim_requests(fixture->sim, "/do/MigrateRecover");
}

static void test_moves_and_moves_back(void **state)
{
    struct driver_move_report report;
    struct driver_endpoint home = hmcsim_endpoint(fixture->sim);
    home.options = source_options;
    make();
    assert_no_error(validate());
    assert_lives(false);
    assert_no_error(run(&report));
    assert_lives(true);
    assert_true(report.elapsed_us > 0);
    assert_int_equal(report.downtime_us, -1);
    assert_true(report.memory_bytes == UINT64_C(4096) << 20);
    assert_memory_equal(report.host, "Server-9009-42A-", 16);
    assert_non_null(report.ref);
    /* what a broker cleans up at the source is nothing of the partition's */
    assert_no_error(driver->instance_delete(fixture->session, &fixture->call, &key));
    assert_no_error(driver->volume_delete(fixture->session, &fixture->call, &volume));
    assert_lives(true);
    struct driver_move_spec back = {.id = MOVE, .target = &home};
    assert_no_error(driver->move_run(at_target, &fixture->call, &key, &back, &report));
    assert_lives(false);
}

/* A disk that nobody has mapped is still the moved partition's. */
static void test_deleting_at_the_source_spares_a_fenced_target(void **state)
{
    struct driver_move_report report;
    make();
    assert_no_error(run(&report));
    assert_no_error(driver->instance_stop(at_target, &fixture->call, &key, 0));
    assert_no_error(driver->instance_fence(at_target, &fixture->call, &key));
    assert_no_error(driver->instance_delete(fixture->session, &fixture->call, &key));
    assert_no_error(driver->instance_release(at_target, &fixture->call, &key));
    assert_no_error(driver->instance_start(at_target, &fixture->call, &key));
    assert_string_equal(member(there, "state"), "running");
}

static void test_the_source_sees_it_go(void **state)
{
    struct driver_move_report report;
    struct driver_change *changes = NULL;
    size_t count = 0;
    struct driver_session *watcher = NULL;
    struct driver_endpoint home = hmcsim_endpoint(fixture->sim);
    home.options = source_options;
    assert_no_error(driver->open(&home, &fixture->call, &watcher));
    make();
    assert_no_error(driver->watch(watcher, &fixture->call, &changes, &count));
    assert_int_equal(count, 1);
    assert_no_error(run(&report));
    for (bool gone = false; !gone;) {
        assert_no_error(driver->watch(watcher, &fixture->call, &changes, &count));
        for (size_t i = 0; i < count; i++)
            gone = gone || (changes[i].gone && strcmp(changes[i].id, ID_ONE) == 0);
    }
    driver->close(watcher);
}

/* --- refusals --- */

static void set_target(const char *members)
{
    hmcsim_control(
        there, "/__set",
        arena_printf(fixture->call.arena, "{\"system\": \"Server-9009-42A-SN00002\", %s}", members));
}

static void set_mover(struct hmcsim *sim, bool mover)
{
    const json_t *mappings = json_object_get(hmcsim_state(sim), "servers");
    json_t *kept = json_deep_copy(mappings), *item;
    size_t index;
    json_array_foreach (kept, index, item) {
        hmcsim_control(sim, "/__set",
                       arena_printf(fixture->call.arena, "{\"server\": \"%s\", \"mover\": %s}",
                                    json_string_value(item), mover ? "true" : "false"));
    }
    json_decref(kept);
}

static void test_refuses_what_the_target_lacks(void **state)
{
    static const struct {
        const char *wrong, *right;
        enum error_code code;
        const char *words;
    } cases[] = {
        {"\"memory\": 8192", "\"memory\": 262144", ERR_NO_CAPACITY, "4096 MB"},
        {"\"processors\": 1", "\"processors\": 32", ERR_NO_CAPACITY, "processing units"},
        {"\"modes\": [\"POWER8\"]", "\"modes\": [\"POWER9_Base\"]", ERR_UNSUPPORTED, "POWER9_Base"},
        {"\"region\": 128", "\"region\": 256", ERR_UNSUPPORTED, "steps of 256 MB"},
        {"\"state\": \"standby\"", "\"state\": \"operating\"", ERR_CONFLICT, "not operating"},
        {"\"migrations\": 0", "\"migrations\": 16", ERR_UNSUPPORTED, "supports no migrations"},
        {"\"link\": false", "\"link\": true", ERR_CONFLICT, "HSCLA212"}, /* the HMC alone knows this one */
    };
    struct driver_move_report report;
    make();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        set_target(cases[i].wrong);
        assert_error(validate(), cases[i].code, cases[i].words);
        set_target(cases[i].right);
        assert_no_error(validate());
    }
    set_mover(there, false);
    assert_error(validate(), ERR_UNSUPPORTED, "mover service partition");
    assert_error(run(&report), ERR_UNSUPPORTED, "mover service partition");
    set_mover(there, true);
    set_mover(fixture->sim, false);
    assert_error(validate(), ERR_UNSUPPORTED, "mover service partition");
    set_mover(fixture->sim, true);
    assert_int_equal(started(), 0);
    assert_no_error(run(&report));
}

static void test_refuses_by_the_partition(void **state)
{
    static const struct {
        const char *wrong, *right;
        enum error_code code;
        const char *words;
    } cases[] = {
        {"\"rmc\": \"inactive\"", "\"rmc\": \"active\"", ERR_CONFLICT, "RMC"},
        {"\"physical\": true", "\"physical\": false", ERR_UNSUPPORTED, "physical"},
        {"\"state\": \"open firmware\"", "\"state\": \"running\"", ERR_CONFLICT, "RMC"},
    };
    struct driver_key unknown = {.id = ID_TWO};
    struct driver_move_spec wanted = spec();
    struct driver_instance twin;
    make();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hmcsim_control(
            fixture->sim, "/__set",
            arena_printf(fixture->call.arena, "{\"partition\": \"" NAME_ONE "\", %s}", cases[i].wrong));
        assert_error(validate(), cases[i].code, cases[i].words);
        hmcsim_control(
            fixture->sim, "/__set",
            arena_printf(fixture->call.arena, "{\"partition\": \"" NAME_ONE "\", %s}", cases[i].right));
    }
    assert_error(driver->move_validate(fixture->session, &fixture->call, &unknown, &wanted), ERR_NOT_FOUND,
                 "no partition");
    hmcsim_control(fixture->sim, "/__set", "{\"partition\": \"" NAME_ONE "\", \"rmc\": \"active\"}");
    struct driver_instance_spec same = fixture_spec(ID_ONE);
    assert_no_error(driver->instance_create(at_target, &fixture->call, &same, &twin));
    assert_error(validate(), ERR_CONFLICT, "already");
    assert_no_error(driver->instance_stop(fixture->session, &fixture->call, &key, 0));
    assert_no_error(driver->instance_fence(fixture->session, &fixture->call, &key));
    assert_error(validate(), ERR_CONFLICT, "fenced");
}

static void test_refuses_by_the_wishes(void **state)
{
    struct driver_shell_disk disks[] = {{.size_bytes = 512, .boot = true},
                                        {.size_bytes = 512, .volume_id = VOLUME},
                                        {.size_bytes = 512, .volume_id = MOVE}};
    make();
    struct driver_move_spec wanted = spec();
#define REFUSED(code, words) \
    assert_error(driver->move_validate(fixture->session, &fixture->call, &key, &wanted), code, words)
    wanted.network = "internet";
    REFUSED(ERR_CONFLICT, "VLAN 100");
    wanted.network = "extranet";
    wanted.high_performance = true;
    REFUSED(ERR_UNSUPPORTED, "not of the class");
    wanted.high_performance = false;
    wanted.bandwidth = 1000000;
    REFUSED(ERR_UNSUPPORTED, "bandwidth");
    wanted.bandwidth = 0;
    wanted.disks = disks;
    wanted.disk_count = 3;
    REFUSED(ERR_CONFLICT, MOVE);
#undef REFUSED
    wanted.disk_count = 2;
    assert_no_error(driver->move_validate(fixture->session, &fixture->call, &key, &wanted));
    struct driver_endpoint bad = target;
    wanted.target = &bad;
    bad.password = "wrong";
    assert_error(driver->move_validate(fixture->session, &fixture->call, &key, &wanted), ERR_DENIED, "hmc-2");
    bad = target;
    bad.url = "https://127.0.0.1:1";
    assert_error(driver->move_validate(fixture->session, &fixture->call, &key, &wanted), ERR_UNAVAILABLE,
                 "hmc-2");
}

static void test_needs_the_pools_on_both_sides(void **state)
{
    static const char *const arguments[] = {"--consoles", "2", "--private-pools", "standard", NULL};
    struct driver_instance instance;
    start_ends(arguments, 1, NULL, NULL);
    fixture_create(fixture, ID_ONE, &instance);
    fixture_await_rmc(fixture, ID_ONE);
    assert_error(validate(), ERR_UNSUPPORTED, "does not share the storage pool standard");
    assert_int_equal(end(NULL), 0);
}

static void test_endpoints_of_one_console_are_kept_apart(void **state)
{
    struct driver_endpoint same = hmcsim_endpoint(fixture->sim);
    struct driver_move_spec wanted = {.id = MOVE, .target = &same};
    make();
    assert_error(driver->move_validate(fixture->session, &fixture->call, &key, &wanted), ERR_INVALID,
                 "managed_systems");
}

/* --- in the middle --- */

struct passenger {
    struct hmcsim *sim; /* its own handle */
    int cancel_at;      /* percent told; 0: never */
    int last;
};

static bool ride(void *context, int percent, const char *step)
{
    struct passenger *passenger = context;
    passenger->last = percent;
    return !passenger->cancel_at || percent < passenger->cancel_at;
}

static struct error *run_with(struct passenger *passenger, struct driver_move_report *ret_report)
{
    struct driver_call call = fixture->call;
    struct driver_move_spec wanted = spec();
    call.progress = ride;
    call.context = passenger;
    return driver->move_run(fixture->session, &call, &key, &wanted, ret_report);
}

static void test_cancelled_in_the_middle(void **state)
{
    struct driver_move_report report;
    struct passenger passenger = {.cancel_at = 10 + 50 * 85 / 100};
    make();
    plan("hold", 50);
    assert_error(run_with(&passenger, &report), ERR_CANCELLED, "was stopped");
    assert_int_equal(passenger.last, passenger.cancel_at);
    assert_int_equal(hmcsim_requests(fixture->sim, "do/MigrateAbort"), 1);
    assert_int_equal(started(), 1);
    assert_lives(false);
    passenger = (struct passenger){.cancel_at = 2}; /* before anything was started */
    assert_error(run_with(&passenger, &report), ERR_CANCELLED, "cancelled");
    assert_int_equal(started(), 1);
    passenger.cancel_at = 0;
    assert_no_error(run_with(&passenger, &report));
    assert_true(passenger.last > 10);
    assert_lives(true);
}

/* Lets the held migration go on once its abort was refused. */
static void *resume_after_abort(void *context)
{
    struct hmcsim *sim = context;
    int64_t until = moment_monotonic() + 60 * MOMENT_SECOND;
    while (hmcsim_requests(sim, "do/MigrateAbort") == 0 && moment_monotonic() < until)
        continue;
    hmcsim_control(sim, "/__migrate", "{\"partition\": \"" NAME_ONE "\", \"resume\": true}");
    return NULL;
}

static void test_cancelled_too_late_has_moved(void **state)
{
    struct driver_move_report report;
    struct passenger passenger = {.sim = hmcsim_console(fixture->sim, 0), .cancel_at = 10 + 90 * 85 / 100};
    pthread_t thread;
    make();
    plan("hold", 90);
    assert_int_equal(pthread_create(&thread, NULL, resume_after_abort, passenger.sim), 0);
    assert_no_error(run_with(&passenger, &report));
    assert_int_equal(pthread_join(thread, NULL), 0);
    hmcsim_stop(passenger.sim);
    assert_lives(true);
}

static void test_failed_in_the_middle_stays(void **state)
{
    struct driver_move_report report;
    enum driver_side side = DRIVER_SIDE_TARGET;
    make();
    plan("fail", 40);
    assert_error(run(&report), ERR_INTERNAL, "stays where it is");
    assert_lives(false);
    hmcsim_control(fixture->sim, "/__inject", "{\"path\": \"do/Migrate$\", \"kind\": \"job-fail\"}");
    assert_error(run(&report), ERR_INTERNAL, "HSCL9999");
    assert_lives(false);
    assert_no_error(settle(false, &side));
    assert_int_equal(side, DRIVER_SIDE_SOURCE);
    assert_no_error(run(&report));
    assert_lives(true);
    assert_no_error(settle(false, &side));
    assert_int_equal(side, DRIVER_SIDE_TARGET);
}

/* --- lost, and settled --- */

static void test_lost_connections_are_recovered(void **state)
{
    static const struct {
        int percent;
        enum driver_side side;
    } cases[] = {{50, DRIVER_SIDE_SOURCE}, {90, DRIVER_SIDE_TARGET}};
    struct driver_move_report report;
    make();
    for (size_t i = 0; i < 2; i++) {
        enum driver_side side = (enum driver_side)7;
        plan("lost", cases[i].percent);
        assert_error(run(&report), ERR_UNAVAILABLE, "has to be settled");
        assert_error(validate(), ERR_CONFLICT, "migrating");
        assert_error(settle(false, &side), ERR_UNAVAILABLE, "cannot be recovered yet");
        assert_int_equal(side, 7);
        link_up();
        assert_no_error(settle(i == 1, &side));
        assert_int_equal(side, cases[i].side);
        assert_lives(side == DRIVER_SIDE_TARGET);
    }
    assert_int_equal(started(), 2);
}

/* An operator recovered the source by force while the target was away: its half is settled later. */
static void test_halves_are_settled_at_the_target(void **state)
{
    const struct hmc_parameter force[] = {{"Force", "true"}};
    struct driver_move_report report;
    enum driver_side side;
    make();
    for (int percent = 50; percent <= 90; percent += 40) {
        plan("lost", percent);
        assert_error(run(&report), ERR_UNAVAILABLE, "has to be settled");
        assert_no_error(hmc_job(fixture->session->hmc, &fixture->call, "LogicalPartition",
                                member(fixture->sim, "uuid"), "MigrateRecover", force, 1));
        link_up();
        assert_no_error(settle(false, &side));
        assert_int_equal(side, percent < 90 ? DRIVER_SIDE_SOURCE : DRIVER_SIDE_TARGET);
        assert_lives(percent >= 90);
    }
}

static void lose_the_answer(const char *kind)
{
    struct driver_move_report report;
    hmcsim_control(fixture->sim, "/__inject",
                   arena_printf(fixture->call.arena,
                                "{\"method\": \"PUT\", \"path\": \"do/Migrate$\", \"kind\": \"%s\"}", kind));
    assert_error(run(&report), ERR_UNAVAILABLE, "could not start");
}

static void test_a_lost_answer_is_settled(void **state)
{
    enum driver_side side = (enum driver_side)7;
    make();
    lose_the_answer("drop");
    assert_no_error(settle(false, &side));
    assert_int_equal(side, DRIVER_SIDE_SOURCE);
    assert_lives(false);
    plan("hold", 50);
    lose_the_answer("drop-after");
    side = (enum driver_side)7;
    assert_error(settle(false, &side), ERR_BUSY, "being migrated");
    assert_int_equal(side, 7);
    assert_no_error(settle(true, &side));
    assert_int_equal(side, DRIVER_SIDE_SOURCE);
    assert_lives(false);
    assert_int_equal(started(), 2);
    lose_the_answer("drop-after");
    struct error *error = settle(false, &side);
    while (error && error_code(error) == ERR_BUSY) {
        error_free(error);
        error = settle(false, &side);
    }
    assert_no_error(error);
    assert_int_equal(side, DRIVER_SIDE_TARGET);
    assert_lives(true);
    assert_int_equal(started(), 3);
}

static void test_a_deadline_leaves_it_to_settle(void **state)
{
    struct driver_move_report report;
    struct driver_move_spec wanted = spec();
    struct driver_call call = fixture_within(fixture, 5 * MOMENT_SECOND);
    enum driver_side side;
    make();
    plan("hold", 50);
    call.deadline_us = moment_monotonic() + 5 * MOMENT_SECOND;
    assert_error(driver->move_run(fixture->session, &call, &key, &wanted, &report), ERR_TIMEOUT, "");
    assert_no_error(settle(true, &side));
    assert_int_equal(side, DRIVER_SIDE_SOURCE);
    assert_lives(false);
}

static void test_counts_the_limit_of_the_systems(void **state)
{
    struct driver_key second = {.id = ID_TWO};
    struct driver_move_spec wanted = spec();
    struct driver_move_report report;
    struct driver_instance instance;
    enum driver_side side;
    make();
    fixture_create(fixture, ID_TWO, &instance);
    fixture_await_rmc(fixture, ID_TWO);
    set_target("\"migrations\": 1");
    plan("hold", 50);
    lose_the_answer("drop-after");
    for (bool begun = false; !begun;)
        begun = strcmp(member(fixture->sim, "migration"), "Not_Migrating") != 0;
    assert_error(driver->move_validate(fixture->session, &fixture->call, &second, &wanted), ERR_BUSY,
                 "1 migrations under way");
    assert_error(driver->move_run(fixture->session, &fixture->call, &second, &wanted, &report), ERR_BUSY,
                 "under way");
    assert_no_error(settle(true, &side));
    assert_no_error(driver->move_run(fixture->session, &fixture->call, &second, &wanted, &report));
}

static void test_moves_one_that_is_off(void **state)
{
    struct driver_move_report report;
    struct driver_instance instance;
    make();
    assert_no_error(driver->instance_stop(fixture->session, &fixture->call, &key, 0));
    assert_no_error(run(&report));
    assert_int_equal(report.memory_bytes, 0);
    assert_no_error(driver->instance_find(at_target, &fixture->call, &key, &instance));
    assert_int_equal(instance.power, DRIVER_POWER_OFF);
    assert_no_error(driver->instance_start(at_target, &fixture->call, &key));
    assert_string_equal(member(there, "state"), "running");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, two_consoles, end)
#define CASE_ONE(name) {#name " (one console)", name, one_console, end, NULL}
        CASE(test_deleting_at_the_source_spares_a_fenced_target),
        CASE_ONE(test_deleting_at_the_source_spares_a_fenced_target),
        CASE(test_moves_and_moves_back),
        CASE_ONE(test_moves_and_moves_back),
        CASE(test_the_source_sees_it_go),
        CASE_ONE(test_the_source_sees_it_go),
        CASE(test_refuses_what_the_target_lacks),
        CASE(test_refuses_by_the_partition),
        CASE(test_refuses_by_the_wishes),
        cmocka_unit_test(test_needs_the_pools_on_both_sides),
        CASE_ONE(test_endpoints_of_one_console_are_kept_apart),
        CASE(test_cancelled_in_the_middle),
        CASE_ONE(test_cancelled_in_the_middle),
        CASE(test_cancelled_too_late_has_moved),
        CASE(test_failed_in_the_middle_stays),
        CASE(test_lost_connections_are_recovered),
        CASE_ONE(test_lost_connections_are_recovered),
        CASE(test_halves_are_settled_at_the_target),
        CASE(test_a_lost_answer_is_settled),
        CASE(test_a_deadline_leaves_it_to_settle),
        CASE(test_counts_the_limit_of_the_systems),
        CASE(test_moves_one_that_is_off),
#undef CASE
#undef CASE_ONE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
