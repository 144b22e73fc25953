/* drivers/gate against a driver that does what the test says: arguments, capabilities, promises, repeats,
 * breaker, refused logons, concurrency, rate, hanging drivers, cancellation, idle sessions. */
#include "drivers/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/base/moment.h"
#include "tests/drivers/script_driver.h"

#define ID "0192f0c1-2b3c-7d4e-8f50-a1b2c3d4e5f6"
#define MS INT64_C(1000)

static struct gate *gate;
static struct arena *arena;
static const struct driver_key key = {.id = ID};
static const struct driver_instance_spec good_spec = {.id = ID,
                                                      .name = "web-1",
                                                      .architecture = "x86",
                                                      .vcpu = 2,
                                                      .memory_mb = 2048,
                                                      .image = "debian",
                                                      .system_disk_gb = 20,
                                                      .network = "extranet"};

static struct gate_limits quick(void)
{
    return (struct gate_limits){.backoff_us = 2 * MS,
                                .grace_us = 50 * MS,
                                .breaker_open_us = 60 * MOMENT_SECOND,
                                .denied_us = 60 * MOMENT_SECOND,
                                .rate = 100000};
}

static void open_gate(struct gate_limits limits)
{
    json_t *options = json_pack("{s:s}", "x", "option");
    struct driver_endpoint endpoint = {.id = "e1",
                                       .url = "script://here",
                                       .username = "u",
                                       .password = "p",
                                       .options = options,
                                       .timeout_us = 20 * MS};
    assert_null(gate_new(&script_driver, &endpoint, &limits, &gate));
    json_decref(options); /* the gate has its own copy */
}

static int setup(void **state)
{
    script_reset();
    arena = arena_new();
    gate = NULL;
    return 0;
}

static int teardown(void **state)
{
    script_release();
    gate_free(gate);
    arena_free(arena);
    return script_now().sessions; /* every session that was opened was closed */
}

static struct driver_call call_for(int64_t us)
{
    return (struct driver_call){.arena = arena, .deadline_us = moment_monotonic() + us};
}

static struct driver_call call_long(void)
{
    return call_for(10 * MOMENT_SECOND);
}

static void assert_fails(struct error *error, enum error_code code, const char *words)
{
    assert_non_null(error);
    if (error_code(error) != code || !strstr(error_message(error), words))
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
    error_free(error);
}

static struct error *find(void)
{
    struct driver_call call = call_long();
    struct driver_instance instance;
    return gate_instance_find(gate, &call, &key, &instance);
}

static struct gate_status status(void)
{
    struct gate_status now;
    gate_status(gate, arena, &now);
    return now;
}

/* --- arguments and promises --- */

static struct error *create_with(struct driver_instance_spec spec)
{
    struct driver_call call = call_long();
    struct driver_instance instance;
    return gate_instance_create(gate, &call, &spec, &instance);
}

static void test_refuses_bad_arguments(void **state)
{
    open_gate(quick());
    struct driver_call call = call_long(), none = {.arena = arena};
    struct driver_instance_spec spec;
    struct driver_instance instance;
    const char *text;
    size_t length;
    char longest[GATE_REF_MAX + 2];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = '\0';
#define BAD(member, value, words)                            \
    do {                                                     \
        spec = good_spec;                                    \
        spec.member = (value);                               \
        assert_fails(create_with(spec), ERR_INVALID, words); \
    } while (0)
    BAD(id, NULL, "UUID");
    BAD(id, "0192F0C1-2B3C-7D4E-8F50-A1B2C3D4E5F6", "UUID");
    BAD(name, "", "name");
    BAD(name, "Web", "name");
    BAD(name, longest, "name");
    BAD(architecture, "sparc", "architecture");
    BAD(vcpu, 0, "vCPU");
    BAD(vcpu, 17, "vCPU");
    BAD(memory_mb, 1023, "memory");
    BAD(memory_mb, 65537, "memory");
    BAD(image, NULL, "image");
    BAD(image, "a\nb", "control character");
    BAD(network, longest, "network");
    BAD(system_disk_gb, 0, "system disk");
    BAD(system_disk_gb, GATE_DISK_GB_MAX + 1, "system disk");
#undef BAD
    assert_fails(gate_instance_create(gate, &call, NULL, &instance), ERR_INVALID, "no instance");
    assert_fails(gate_instance_start(gate, &call, NULL), ERR_INVALID, "no instance");
    assert_fails(gate_instance_start(gate, &call, &(struct driver_key){.id = ID, .ref = longest}),
                 ERR_INVALID, "reference");
    assert_fails(gate_instance_start(gate, &none, &key), ERR_INVALID, "deadline");
    assert_fails(gate_instance_stop(gate, &call, &key, -1), ERR_INVALID, "time to stop");
    assert_fails(gate_instance_resize(gate, &call, &key, 4, 1), ERR_INVALID, "memory");
    assert_fails(gate_instance_console(gate, &call, &key, 0, &text, &length), ERR_INVALID, "console");
    assert_int_equal(script_now().asked + script_now().opens, 0);
}

static void test_refuses_what_the_driver_lacks(void **state)
{
    open_gate(quick());
    struct driver_call call = call_long();
    struct driver_volume volume;
    const struct driver_volume_spec spec = {.id = ID, .name = "v", .size_gb = 1};
    assert_fails(gate_volume_create(gate, &call, &spec, &volume), ERR_UNSUPPORTED, "\"volumes\"");
    assert_fails(gate_volume_attach(gate, &call, &key, &key), ERR_UNSUPPORTED, "volume_attach");
    assert_true(gate_can(gate, DRIVER_CAN_CONSOLE));
    assert_false(gate_can(gate, DRIVER_CAN_VOLUMES));
    assert_int_equal(script_now().opens, 0);
}

static void test_passes_arguments_and_results(void **state)
{
    open_gate(quick());
    struct driver_call call = call_long();
    struct driver_instance instance;
    struct driver_about about;
    struct driver_inventory inventory;
    struct driver_capacity capacity;
    const char *text;
    size_t length;
    assert_null(gate_ping(gate, &call));
    assert_null(gate_instance_create(gate, &call, &good_spec, &instance));
    assert_string_equal(instance.id, ID);
    assert_string_equal(instance.ref, "ref-" ID);
    assert_string_equal(script_now().name, "web-1");
    assert_string_equal(script_now().options, "script://here option");
    assert_null(gate_about(gate, &call, &about));
    assert_string_equal(about.identity, "script-1");
    assert_null(gate_inventory(gate, &call, &inventory));
    assert_int_equal(inventory.instance_count, 2);
    assert_string_equal(inventory.instances[1].ref, "vm-1");
    assert_null(gate_capacity(gate, &call, &capacity));
    assert_int_equal(capacity.cores_total, 8);
    assert_null(gate_instance_console(gate, &call, &key, 100, &text, &length));
    assert_memory_equal(text, "hello", length);
    assert_null(gate_instance_start(gate, &call, &key));
    assert_null(gate_instance_stop(gate, &call, &key, 0));
    assert_null(gate_instance_reboot(gate, &call, &key));
    assert_null(gate_instance_resize(gate, &call, &key, 1, 1024));
    assert_null(gate_instance_delete(gate, &call, &key));
    assert_int_equal(script_now().opens, 1); /* one session served them all */
    assert_int_equal(status().calls, 11);
    assert_int_equal(status().errors, 0);
}

static enum script_broken breaking;

static void set_broken(struct script *script)
{
    script->broken = breaking;
}

static struct error *call_any(enum script_broken kind)
{
    struct driver_call call = call_long();
    struct driver_about about;
    struct driver_inventory inventory;
    struct driver_capacity capacity;
    const char *text;
    size_t length;
    switch (kind) {
    case BROKEN_PRODUCT:
        return gate_about(gate, &call, &about);
    case BROKEN_LIST:
    case BROKEN_TWICE:
        return gate_inventory(gate, &call, &inventory);
    case BROKEN_ARCHITECTURES:
        return gate_capacity(gate, &call, &capacity);
    case BROKEN_LENGTH:
        return gate_instance_console(gate, &call, &key, 100, &text, &length);
    default:
        return find();
    }
}

static void test_names_the_driver_that_breaks_a_promise(void **state)
{
    open_gate(quick());
    for (breaking = BROKEN_NO_SESSION; breaking <= BROKEN_CODE; breaking++) {
        script_change(set_broken);
        struct error *error = call_any(breaking);
        if (!error)
            fail_msg("promise %d was broken unseen", (int)breaking);
        assert_fails(error, ERR_INTERNAL, "script");
    }
    breaking = BROKEN_NOTHING;
    script_change(set_broken);
    for (enum script_broken kind = BROKEN_NO_SESSION; kind <= BROKEN_CODE; kind++)
        assert_null(call_any(kind));
    assert_int_equal(status().state, GATE_CLOSED);
}

/* --- repeats, breaker, logons --- */

static int to_fail, opens_to_fail;
static enum error_code fail_code;

static void set_failures(struct script *script)
{
    script->fails = to_fail;
    script->open_fails = opens_to_fail;
    script->code = fail_code;
}

static void fail_next(int fails, int open_fails, enum error_code code)
{
    to_fail = fails;
    opens_to_fail = open_fails;
    fail_code = code;
    script_change(set_failures);
}

static void test_repeats_what_is_safe(void **state)
{
    struct gate_limits limits = quick();
    limits.breaker_failures = 100;
    open_gate(limits);
    struct driver_call call = call_long();
    fail_next(2, 0, ERR_UNAVAILABLE);
    assert_null(find());
    assert_int_equal(script_now().asked, 3);
    assert_int_equal(script_now().opens, 3); /* each failure cost the session */
    fail_next(3, 0, ERR_UNAVAILABLE);
    assert_fails(find(), ERR_UNAVAILABLE, "endpoint e1 (script): ");
    fail_next(1, 0, ERR_UNAVAILABLE);
    assert_fails(gate_instance_reboot(gate, &call, &key), ERR_UNAVAILABLE, "scripted operation");
    assert_int_equal(script_now().asked, 7);
    fail_next(0, 1, ERR_UNAVAILABLE); /* the logon failed: a reboot was not started and may be repeated */
    assert_null(gate_instance_reboot(gate, &call, &key));
    fail_next(1, 0, ERR_CONFLICT);
    assert_fails(find(), ERR_CONFLICT, "scripted operation");
    assert_int_equal(script_now().asked, 9);
    assert_int_equal(status().failures, 0);
}

static void test_opens_the_breaker_and_tries_again(void **state)
{
    struct gate_limits limits = quick();
    limits.attempts = 1;
    limits.breaker_failures = 3;
    limits.breaker_open_us = 30 * MS;
    open_gate(limits);
    fail_next(4, 0, ERR_UNAVAILABLE);
    for (int i = 0; i < 3; i++)
        assert_fails(find(), ERR_UNAVAILABLE, "scripted operation");
    assert_int_equal(status().state, GATE_OPEN);
    assert_int_equal(status().failures, 3);
    assert_non_null(strstr(status().last_error, "scripted operation fails"));
    struct error *refused = find();
    assert_true(error_retry_after(refused) >= 1);
    assert_fails(refused, ERR_UNAVAILABLE, "not asked for another");
    assert_int_equal(script_now().asked, 3);
    while (status().retry_in_us > 1)
        sched_yield();
    assert_fails(find(), ERR_UNAVAILABLE, "scripted operation"); /* the probe */
    assert_int_equal(script_now().asked, 4);
    assert_int_equal(status().state, GATE_OPEN);
    while (status().retry_in_us > 1)
        sched_yield();
    assert_null(find());
    assert_int_equal(status().state, GATE_CLOSED);
    assert_int_equal(status().failures, 0);
}

static atomic_int denied_seen;

static void *find_denied(void *argument)
{
    struct arena *own = arena_new();
    struct driver_call call = {.arena = own, .deadline_us = moment_monotonic() + 10 * MOMENT_SECOND};
    struct driver_instance instance;
    struct error *error = gate_instance_find(gate, &call, &key, &instance);
    if (error && error_code(error) == ERR_DENIED)
        atomic_fetch_add(&denied_seen, 1);
    error_free(error);
    arena_free(own);
    return NULL;
}

static void test_never_repeats_a_refused_logon(void **state)
{
    open_gate(quick());
    fail_next(0, 1000, ERR_DENIED);
    pthread_t threads[6];
    atomic_store(&denied_seen, 0);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, find_denied, NULL), 0);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&denied_seen), 6);
    assert_fails(find(), ERR_DENIED, "not asked for another");
    assert_int_equal(script_now().opens, 1); /* one wrong password, one attempt: accounts are locked else */
    assert_int_equal(status().state, GATE_DENIED);
    assert_true(status().retry_in_us > 30 * MOMENT_SECOND);
}

static void test_a_denied_operation_is_not_a_refused_logon(void **state)
{
    open_gate(quick());
    fail_next(1, 0, ERR_DENIED);
    assert_fails(find(), ERR_DENIED, "scripted operation");
    assert_null(find());
    assert_int_equal(script_now().opens, 1);
}

/* --- concurrency, hanging, cancelling --- */

static void set_hang(struct script *script)
{
    script->hang = true;
}

static void *find_long(void *argument)
{
    struct arena *own = arena_new();
    struct driver_call call = {.arena = own, .deadline_us = moment_monotonic() + 20 * MOMENT_SECOND};
    struct driver_instance instance;
    struct error *error = gate_instance_find(gate, &call, &key, &instance);
    bool good = !error && strcmp(instance.id, ID) == 0;
    error_free(error);
    arena_free(own);
    return good ? argument : NULL;
}

static bool three_running(const struct script *script)
{
    return script->running == 3;
}

static void test_bounds_the_sessions(void **state)
{
    open_gate(quick());
    assert_null(find());
    script_change(set_hang);
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, find_long, &gate), 0);
    assert_true(script_wait(three_running));
    struct driver_call call = call_for(20 * MS);
    struct driver_instance instance;
    assert_fails(gate_instance_find(gate, &call, &key, &instance), ERR_BUSY, "all 3 sessions");
    script_release();
    for (size_t i = 0; i < 8; i++) {
        void *good;
        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_ptr_equal(good, &gate);
    }
    assert_int_equal(script_now().most_running, 3);
    assert_true(script_now().most_sessions <= 3);
}

static struct error *create_briefly(int64_t us)
{
    struct arena *own = arena_new();
    char name[] = "gone-after-the-call"; /* the task's copy must be what the driver reads */
    struct driver_call call = {.arena = own, .deadline_us = moment_monotonic() + us};
    struct driver_instance_spec spec = good_spec;
    struct driver_instance instance;
    spec.name = name;
    struct error *error = gate_instance_create(gate, &call, &spec, &instance);
    memset(name, 'x', sizeof name - 1);
    arena_free(own);
    return error;
}

static bool nobody_there(const struct script *script)
{
    return script->sessions == 0;
}

static void test_leaves_hanging_drivers_behind(void **state)
{
    struct gate_limits limits = quick();
    limits.breaker_failures = 100;
    limits.hung_max = 2;
    open_gate(limits);
    script_change(set_hang);
    for (unsigned i = 1; i <= 2; i++) {
        int64_t before = moment_monotonic();
        assert_fails(create_briefly(30 * MS), ERR_TIMEOUT, "left behind");
        assert_true(moment_monotonic() - before >= 80 * MS); /* deadline and grace */
        assert_int_equal(status().hung, i);
        assert_int_equal(status().busy, 0);
    }
    assert_fails(find(), ERR_UNAVAILABLE, "2 sessions hang");
    assert_int_equal(script_now().asked, 2);
    script_release();
    assert_true(script_wait(nobody_there));
    assert_string_equal(script_now().name, "gone-after-the-call");
    while (status().hung)
        sched_yield();
    assert_null(find());
}

static void test_frees_itself_around_a_hanging_driver(void **state)
{
    struct gate_limits limits = quick();
    limits.grace_us = 10 * MS;
    open_gate(limits);
    script_change(set_hang);
    assert_fails(create_briefly(10 * MS), ERR_TIMEOUT, "left behind");
    gate_free(gate); /* returns although the driver does not */
    gate = NULL;
    assert_int_equal(script_now().sessions, 1);
    script_release();
    assert_true(script_wait(nobody_there));
}

static void set_hang_close(struct script *script)
{
    script->hang_close = true;
    script->fails = 1;
    script->code = ERR_UNAVAILABLE;
}

static void test_a_hanging_close_does_not_hold_the_endpoint(void **state)
{
    struct gate_limits limits = quick();
    limits.sessions = 1;
    limits.grace_us = 10 * MS;
    open_gate(limits);
    script_change(set_hang_close);
    assert_null(find()); /* fails once, its session never closes, the repeat gets another */
    assert_int_equal(status().hung, 1);
    script_release();
}

static int told;

static bool stop_at_50(void *context, int percent, const char *step)
{
    assert_string_equal(step, "scripted");
    assert_true(pthread_equal(*(pthread_t *)context, pthread_self())); /* on the caller's own thread */
    told++;
    return percent < 50;
}

static void set_progress(struct script *script)
{
    script->progress = true;
}

static void test_carries_progress_and_cancels(void **state)
{
    open_gate(quick());
    script_change(set_progress);
    pthread_t self = pthread_self();
    struct driver_call call = call_long();
    struct driver_instance instance;
    call.progress = stop_at_50;
    call.context = &self;
    told = 0;
    assert_fails(gate_instance_create(gate, &call, &good_spec, &instance), ERR_CANCELLED, "stopped at 50");
    assert_int_equal(told, 2);
    assert_true(script_now().cancelled);
    assert_int_equal(script_now().asked, 1); /* never repeated */
    assert_null(find());                     /* no progress wanted: not cancelled */
    assert_int_equal(script_now().opens, 1);
}

static void test_limits_the_rate(void **state)
{
    struct gate_limits limits = quick();
    limits.rate = 100;
    limits.burst = 2;
    open_gate(limits);
    int64_t before = moment_monotonic();
    for (int i = 0; i < 7; i++)
        assert_null(find());
    assert_true(moment_monotonic() - before >= 49 * MS); /* five tokens at 10 ms each */
    gate_free(gate);
    limits.rate = limits.burst = 1; /* slow enough that no token comes while this is read */
    open_gate(limits);
    assert_null(find());
    struct driver_call call = call_for(2 * MS);
    struct driver_instance instance;
    assert_fails(gate_instance_find(gate, &call, &key, &instance), ERR_BUSY, "1 calls a second");
}

static void set_ping_fails(struct script *script)
{
    script->ping_fails = true;
}

static void test_pings_and_replaces_idle_sessions(void **state)
{
    struct gate_limits limits = quick();
    limits.ping_idle_us = 1;
    open_gate(limits);
    assert_null(find());
    assert_null(find());
    assert_int_equal(script_now().pings, 1);
    assert_int_equal(script_now().opens, 1);
    script_change(set_ping_fails);
    assert_null(find()); /* the dead session was replaced before anybody noticed */
    assert_int_equal(script_now().opens, 2);
    assert_int_equal(status().failures, 0);
}

static void test_closes_idle_sessions(void **state)
{
    struct gate_limits limits = quick();
    limits.close_idle_us = 5 * MS;
    open_gate(limits);
    assert_null(find());
    assert_true(script_wait(nobody_there));
    assert_null(find());
    assert_int_equal(script_now().opens, 2);
}

static void *watch_long(void *argument)
{
    struct arena *own = arena_new();
    struct driver_call call = {.arena = own, .deadline_us = moment_monotonic() + 20 * MOMENT_SECOND};
    struct driver_change *changes;
    size_t count;
    struct error *error = gate_watch(gate, &call, &changes, &count);
    void *good = error ? NULL : argument;
    error_free(error);
    arena_free(own);
    return good;
}

static bool one_running(const struct script *script)
{
    return script->running == 1;
}

static bool stop_waiting(void *context, int percent, const char *step)
{
    atomic_int *asked = context;
    (void)percent;
    return strcmp(step, "waiting") != 0 || ++*asked < 2;
}

/* Neither the wait for a session nor the pause before another try outlasts a caller who gives up. */
static void test_waits_can_be_cancelled(void **state)
{
    struct gate_limits limits = quick();
    limits.sessions = 1;
    limits.attempts = 10;
    open_gate(limits);
    assert_null(find());
    atomic_int asked = 0;
    struct driver_call call = call_for(20 * MOMENT_SECOND);
    struct driver_instance instance;
    call.progress = stop_waiting;
    call.context = &asked;
    script_change(set_hang);
    pthread_t thread;
    void *good;
    assert_int_equal(pthread_create(&thread, NULL, find_long, &gate), 0);
    assert_true(script_wait(one_running));
    assert_fails(gate_instance_find(gate, &call, &key, &instance), ERR_CANCELLED, "waiting for a session");
    script_release();
    assert_int_equal(pthread_join(thread, &good), 0);
    assert_ptr_equal(good, &gate);
    asked = 0;
    fail_next(10, 0, ERR_UNAVAILABLE);
    int before = script_now().asked;
    assert_fails(gate_instance_find(gate, &call, &key, &instance), ERR_UNAVAILABLE, "scripted");
    assert_int_equal(script_now().asked, before + 2);
}

static void test_watches_on_a_session_of_its_own(void **state)
{
    struct gate_limits limits = quick();
    limits.sessions = 2;
    open_gate(limits);
    script_change(set_hang);
    pthread_t thread;
    void *good;
    assert_int_equal(pthread_create(&thread, NULL, watch_long, &gate), 0);
    assert_true(script_wait(one_running));
    struct driver_call call = call_long();
    struct driver_change *changes;
    size_t count;
    assert_fails(gate_watch(gate, &call, &changes, &count), ERR_BUSY, "watched already");
    script_release();
    assert_int_equal(pthread_join(thread, &good), 0);
    assert_ptr_equal(good, &gate);
    assert_null(find());
    assert_int_equal(script_now().opens, 2); /* the watcher's session was not lent */
    assert_null(gate_watch(gate, &call, &changes, &count));
    assert_int_equal(script_now().opens, 2);
    gate_free(gate);
    limits.sessions = 1;
    open_gate(limits);
    assert_fails(gate_watch(gate, &call, &changes, &count), ERR_UNSUPPORTED, "one session");
}

static void test_refuses_bad_endpoints(void **state)
{
    struct driver_endpoint endpoint = {.id = "e1", .url = "script://here", .timeout_us = MS};
    struct gate_limits limits = {.attempts = 11};
    assert_fails(gate_new(&script_driver, &endpoint, &limits, &gate), ERR_INVALID, "out of range");
    limits = (struct gate_limits){.grace_us = -1};
    assert_fails(gate_new(&script_driver, &endpoint, &limits, &gate), ERR_INVALID, "within a day");
    endpoint.timeout_us = 0;
    assert_fails(gate_new(&script_driver, &endpoint, NULL, &gate), ERR_INVALID, "timeout");
    endpoint.url = NULL;
    assert_fails(gate_new(&script_driver, &endpoint, NULL, &gate), ERR_INVALID, "URL");
    endpoint.id = "";
    assert_fails(gate_new(&script_driver, &endpoint, NULL, &gate), ERR_INVALID, "id");
    assert_null(gate);
}

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        CASE(test_refuses_bad_arguments),
        CASE(test_refuses_what_the_driver_lacks),
        CASE(test_passes_arguments_and_results),
        CASE(test_names_the_driver_that_breaks_a_promise),
        CASE(test_repeats_what_is_safe),
        CASE(test_opens_the_breaker_and_tries_again),
        CASE(test_never_repeats_a_refused_logon),
        CASE(test_a_denied_operation_is_not_a_refused_logon),
        CASE(test_bounds_the_sessions),
        CASE(test_leaves_hanging_drivers_behind),
        CASE(test_frees_itself_around_a_hanging_driver),
        CASE(test_a_hanging_close_does_not_hold_the_endpoint),
        CASE(test_carries_progress_and_cancels),
        CASE(test_waits_can_be_cancelled),
        CASE(test_limits_the_rate),
        CASE(test_pings_and_replaces_idle_sessions),
        CASE(test_closes_idle_sessions),
        CASE(test_watches_on_a_session_of_its_own),
        CASE(test_refuses_bad_endpoints),
#undef CASE
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
