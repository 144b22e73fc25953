/* What is cut off and goes on: a broker killed between and within the steps of an order, a daemon that dies
 * or hangs, calls out of time or cancelled. A killed broker is a child of this very program. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/moment.h"
#include "drivers/driver_move.h"
#include "tests/drivers/kvm/fixture.h"

#define STEPS_LEAST 9 /* of an order; fewer would mean that the loop below ended early */
#define STEPS_MOST 40

struct countdown {
    int left;
    bool kill; /* else: cancel */
};

static bool count_down(void *context, int percent, const char *step)
{
    struct countdown *countdown = context;
    if (--countdown->left > 0)
        return true;
    if (countdown->kill)
        (void)kill(getpid(), SIGKILL);
    return false;
}

/* argv: --create URL ACCEL ID STEPS. The child's whole life. */
static int be_the_broker(char **argv)
{
    struct arena *arena = arena_new();
    json_t *options = json_pack("{s:s}", "accel", argv[3]);
    const struct driver_endpoint endpoint = {
        .id = "child", .url = argv[2], .options = options, .timeout_us = 10 * MOMENT_SECOND};
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + 60 * MOMENT_SECOND};
    struct fixture fixture = {.arena = arena};
    struct driver_instance_spec spec = fixture_spec(&fixture, "crash");
    spec.id = argv[4];
    struct driver_session *session;
    struct error *error = kvm_driver.open(&endpoint, &call, &session);
    if (error)
        return 2;
    struct countdown countdown = {.left = (int)strtol(argv[5], NULL, 10), .kill = true};
    call.progress = count_down;
    call.context = &countdown;
    struct driver_instance made;
    error = kvm_driver.instance_create(session, &call, &spec, &made);
    int result = error ? 3 : 0;
    error_free(error);
    kvm_driver.close(session);
    json_decref(options);
    arena_free(arena);
    return result;
}

static pid_t start_broker(struct fixture *f, const char *id, int steps)
{
    struct driver_endpoint endpoint = kvmcloud_endpoint(f->cloud);
    const char *accel = json_string_value(json_object_get(endpoint.options, "accel"));
    char *url = arena_strdup(f->arena, endpoint.url), *given = arena_strdup(f->arena, accel);
    char *count = arena_printf(f->arena, "%d", steps), *stamp = arena_strdup(f->arena, id);
    char program[] = "/proc/self/exe", create[] = "--create";
    char *argv[] = {program, create, url, given, stamp, count, NULL};
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execv(program, argv);
        _exit(127);
    }
    return pid;
}

static int end_of(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return status;
}

static void expect_one_whole(struct fixture *f, const struct driver_instance_spec *spec)
{
    struct driver_instance made = fixture_create(f, spec);
    assert_int_equal(made.power, DRIVER_POWER_ON);
    struct driver_call call = fixture_call(f, 60);
    struct driver_inventory inventory;
    fixture_ok(kvm_driver.inventory(f->session, &call, &inventory));
    assert_int_equal(inventory.instance_count, 1);
    assert_string_equal(inventory.instances[0].id, spec->id);
    /* No file of another attempt: all there are belong to the instance. */
    assert_int_equal(inventory.volume_count, 0);
}

static void test_killed_between_steps(void **state)
{
    struct fixture *f = *state;
    int steps = 1;
    for (; steps <= STEPS_MOST; steps++) {
        struct driver_instance_spec spec = fixture_spec(f, "crash");
        int status = end_of(start_broker(f, spec.id, steps));
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0); /* it was done before so many steps */
            expect_one_whole(f, &spec);
        } else {
            assert_int_equal(WTERMSIG(status), SIGKILL);
            expect_one_whole(f, &spec);
        }
        if (steps == STEPS_LEAST)
            fixture_hears(f, spec.id, "yunqiao guest crash ready", 1);
        struct driver_call call = fixture_call(f, 60);
        fixture_ok(kvm_driver.instance_delete(f->session, &call, &(struct driver_key){.id = spec.id}));
        if (WIFEXITED(status))
            break;
    }
    assert_in_range(steps, STEPS_LEAST, STEPS_MOST - 1);
}

static void test_killed_at_any_moment(void **state)
{
    struct fixture *f = *state;
    static const long milliseconds[] = {40, 80, 120, 160, 200, 260, 320, 400};
    for (size_t i = 0; i < sizeof milliseconds / sizeof *milliseconds; i++) {
        struct driver_instance_spec spec = fixture_spec(f, "crash");
        pid_t pid = start_broker(f, spec.id, STEPS_MOST);
        nanosleep(&(struct timespec){.tv_nsec = milliseconds[i] * 1000 * 1000}, NULL); /* the moment */
        (void)kill(pid, SIGKILL);
        (void)end_of(pid);
        expect_one_whole(f, &spec);
        struct driver_call call = fixture_call(f, 60);
        fixture_ok(kvm_driver.instance_delete(f->session, &call, &(struct driver_key){.id = spec.id}));
    }
}

static void test_cancelled_goes_on(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "cancel");
    struct driver_instance made;
    for (int left = 1; left <= 8; left += 3) {
        struct countdown countdown = {.left = left};
        struct driver_call call = fixture_call(f, 60);
        call.progress = count_down;
        call.context = &countdown;
        fixture_fails(kvm_driver.instance_create(f->session, &call, &spec, &made), ERR_CANCELLED);
    }
    expect_one_whole(f, &spec);
}

static void test_out_of_time(void **state)
{
    struct fixture *f = *state;
    struct driver_call call = fixture_call(f, 0);
    struct driver_instance_spec spec = fixture_spec(f, "late");
    struct driver_instance made;
    fixture_fails(kvm_driver.instance_create(f->session, &call, &spec, &made), ERR_TIMEOUT);
    struct driver_inventory inventory;
    fixture_fails(kvm_driver.inventory(f->session, &call, &inventory), ERR_TIMEOUT);
    fixture_create(f, &spec);
    /* A guest in its firmware does not hear the button; the call ends at its deadline, not at the grace's
     * end. */
    call = fixture_call(f, 1);
    int64_t began = moment_monotonic();
    fixture_fails(
        kvm_driver.instance_stop(f->session, &call, &(struct driver_key){.id = spec.id}, 60 * MOMENT_SECOND),
        ERR_TIMEOUT);
    assert_true(moment_monotonic() - began < 10 * MOMENT_SECOND);
}

static void test_daemon_dies(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "survivor");
    fixture_create(f, &spec);
    fixture_hears(f, spec.id, "yunqiao guest survivor ready", 1);
    kvmcloud_command(f->cloud, "crash");
    struct driver_call call = fixture_call(f, 20);
    fixture_fails(kvm_driver.ping(f->session, &call), ERR_UNAVAILABLE);
    struct driver_instance made;
    fixture_fails(kvm_driver.instance_find(f->session, &call, &(struct driver_key){.id = spec.id}, &made),
                  ERR_UNAVAILABLE);
    fixture_reopen(f);
    assert_int_equal(fixture_find(f, spec.id).power, DRIVER_POWER_ON);
    /* The guest went on meanwhile, and still listens to its button. */
    call = fixture_call(f, 60);
    fixture_ok(
        kvm_driver.instance_stop(f->session, &call, &(struct driver_key){.id = spec.id}, 40 * MOMENT_SECOND));
    fixture_hears(f, spec.id, "yunqiao guest survivor stopping", 1);
    fixture_hears(f, spec.id, "yunqiao guest survivor ready", 1);
}

static void in_cloud(struct fixture *f, const char *script)
{
    assert_int_equal(kvmcloud_run(f->cloud, NULL, 0, script), 0);
}

static void expect_locked(struct error *error)
{
    assert_non_null(error);
    assert_non_null(strstr(error_message(error), "remove /run/libvirt/qemu/torn-"));
    fixture_fails(error, ERR_BUSY);
}

/* A daemon that died while it was starting a domain, before there was a process, leaves this record. No
 * libvirt ever lets go of such a domain; the broker says what does, at once, and nothing else on the host is
 * touched by it. */
static void test_daemon_died_starting(void **state)
{
    struct fixture *f = *state;
    struct driver_instance_spec spec = fixture_spec(f, "torn"), other = fixture_spec(f, "whole");
    const struct driver_key key = {.id = spec.id};
    fixture_create(f, &spec);
    fixture_create(f, &other);
    in_cloud(f, "sed -e \"s/<domstatus [^>]*>/<domstatus state='paused' reason='starting up' pid='0'>/\""
                " -e \"s/<job [^>]*>/<job type='none' async='start' flags='0x1'\\/>/\""
                " /run/libvirt/qemu/torn-*.xml >/run/libvirt/record");
    struct driver_call call = fixture_call(f, 60);
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &key, 0));
    in_cloud(f, "touch /etc/libvirt/keep-unstarted; mv /run/libvirt/record"
                " /run/libvirt/qemu/$(basename /etc/libvirt/qemu/torn-*.xml)");
    kvmcloud_command(f->cloud, "crash");
    fixture_reopen(f);
    call = fixture_call(f, 60);
    struct driver_detail detail;
    int64_t began = moment_monotonic();
    expect_locked(kvm_driver.instance_start(f->session, &call, &key));
    expect_locked(kvm_driver.instance_detail(f->session, &call, &key, &detail));
    expect_locked(kvm_driver.instance_delete(f->session, &call, &key));
    assert_true(moment_monotonic() - began < 25 * MOMENT_SECOND); /* libvirt would take 30 for each */
    struct driver_inventory inventory;
    fixture_ok(kvm_driver.inventory(f->session, &call, &inventory));
    assert_int_equal(inventory.instance_count, 2);
    fixture_ok(kvm_driver.instance_detail(f->session, &call, &(struct driver_key){.id = other.id}, &detail));
    in_cloud(f, "rm /etc/libvirt/keep-unstarted");
    kvmcloud_command(f->cloud, "crash"); /* and as the host's people would */
    fixture_reopen(f);
    assert_int_equal(fixture_find(f, spec.id).power, DRIVER_POWER_OFF);
    call = fixture_call(f, 60);
    fixture_ok(kvm_driver.instance_start(f->session, &call, &key));
    assert_int_equal(fixture_find(f, spec.id).power, DRIVER_POWER_ON);
}

static void test_daemon_hangs(void **state)
{
    struct fixture *f = *state;
    struct driver_endpoint endpoint = kvmcloud_endpoint(f->cloud);
    endpoint.timeout_us = 3 * MOMENT_SECOND;
    struct driver_call call = fixture_call(f, 60);
    struct driver_session *session;
    fixture_ok(kvm_driver.open(&endpoint, &call, &session));
    kvmcloud_command(f->cloud, "freeze");
    int64_t began = moment_monotonic();
    struct error *error = kvm_driver.ping(session, &call);
    int64_t took = moment_monotonic() - began;
    kvm_driver.close(session);
    kvmcloud_command(f->cloud, "thaw");
    fixture_fails(error, ERR_UNAVAILABLE);
    assert_true(took < 15 * MOMENT_SECOND);
    fixture_reopen(f);
}

static void test_bad_endpoints(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *url;
        enum error_code code;
    } cases[] = {
        {"qemu+unix:///system?socket=/nonexistent/libvirt-sock", ERR_UNAVAILABLE},
        {"qemu+tls://127.0.0.1:9/system?no_verify=1", ERR_DENIED},
        {"qemu+tcp://127.0.0.1:9/system", ERR_DENIED},
        {"qemu+tls://127.0.0.1:9/system?pkipath=/nonexistent", ERR_DENIED},
        {"qemu+ssh://127.0.0.1/system?command=/bin/true", ERR_DENIED},
        /* libvirt takes names and transports in any case, and unescapes names */
        {"qemu+ssh://127.0.0.1/system?COMMAND=/bin/true", ERR_DENIED},
        {"qemu+ssh://127.0.0.1/system?comm%61nd=/bin/true", ERR_DENIED},
        {"qemu+ssh://127.0.0.1/system?mode=direct;command=/bin/true", ERR_DENIED},
        {"qemu+ssh://127.0.0.1/system?known_hosts_verify=ignore", ERR_DENIED},
        {"qemu+TCP://127.0.0.1:9/system", ERR_DENIED},
        {"qemu+ext:///system", ERR_DENIED},
        {"qemu+unix:///system?name=test:///default&socket=/nonexistent", ERR_DENIED},
        {"https://127.0.0.1/sdk", ERR_INVALID},
        {"test:///default", ERR_INVALID},
    };
    struct driver_session *session;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct driver_endpoint endpoint = {.id = "bad", .url = cases[i].url, .timeout_us = MOMENT_SECOND};
        struct driver_call call = fixture_call(f, 20);
        fixture_fails(kvm_driver.open(&endpoint, &call, &session), cases[i].code);
    }
    struct driver_endpoint endpoint = kvmcloud_endpoint(f->cloud);
    json_t *options = json_pack("{s:s, s:i, s:s}", "accel", "hvf", "disk_overcommit", 50, "colour", "blue");
    endpoint.options = options;
    struct driver_call call = fixture_call(f, 20);
    struct error *error = kvm_driver.open(&endpoint, &call, &session);
    json_decref(options);
    assert_non_null(error);
    size_t count;
    (void)error_details(error, &count);
    assert_int_equal(count, 3);
    fixture_fails(error, ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "--create") == 0)
        return be_the_broker(argv);
    const struct CMUnitTest tests[] = {
        TEST(test_killed_between_steps), TEST(test_killed_at_any_moment), TEST(test_cancelled_goes_on),
        TEST(test_out_of_time),          TEST(test_daemon_dies),          TEST(test_daemon_died_starting),
        TEST(test_daemon_hangs),         TEST(test_bad_endpoints),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
