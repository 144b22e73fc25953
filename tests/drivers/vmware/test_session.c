/* Sessions against vcsim at its worst: wrong certificates and passwords, sessions that end in the middle,
 * answers that are cut, garbage, endless or late, tasks that take their time. Each is a clear error or goes
 * unnoticed. */
#include "tests/drivers/vmware/fixture.h"

#include <signal.h>

static int setup(void **state)
{
    fixture_start((const char *const[]){"-vm", "3", "-page-max", "7", "-task-latency", "150ms", NULL});
    return 0;
}

static struct error *try_open(const struct driver_endpoint *endpoint)
{
    struct driver_session *other = NULL;
    struct error *error = vmware->open(endpoint, &call, &other);
    if (!error)
        vmware->close(other);
    return error;
}

static void wrong_endpoints_are_refused(void **state)
{
    struct driver_endpoint endpoint = vcsim_endpoint(sim);
    OK(try_open(&endpoint));
    long logins = vcsim_calls(sim, "Login");
    endpoint.fingerprint = "0000000000000000000000000000000000000000000000000000000000000000";
    FAILS(try_open(&endpoint), ERR_DENIED, "fingerprint");
    endpoint.fingerprint = NULL; /* by the system's authorities, who do not know it */
    FAILS(try_open(&endpoint), ERR_DENIED, "certificate");
    assert_int_equal(vcsim_calls(sim, "Login"), logins); /* the password went nowhere */
    endpoint = vcsim_endpoint(sim);
    endpoint.password = "wrong";
    FAILS(try_open(&endpoint), ERR_DENIED, "InvalidLogin");
    endpoint.password = NULL;
    FAILS(try_open(&endpoint), ERR_INVALID, "password");
    endpoint = vcsim_endpoint(sim);
    endpoint.url = "http://127.0.0.1/sdk";
    FAILS(try_open(&endpoint), ERR_INVALID, "https://");
}

static void options_are_checked(void **state)
{
    struct driver_endpoint endpoint = vcsim_endpoint(sim);
    static const struct {
        const char *json, *fragment;
    } wrong[] = {
        {"{\"colour\": \"red\"}", "colour"},
        {"{\"datacenter\": 7}", "datacenter"},
        {"{\"disk_format\": \"floppy\"}", "disk_format"},
        {"{\"datacenter\": \"DC9\"}", "no datacenter DC9"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        json_t *options = json_loads(wrong[i].json, 0, NULL);
        endpoint.options = options;
        struct error *error = try_open(&endpoint);
        if (error && error_code(error) == ERR_INVALID) {
            size_t count = 0;
            const struct error_detail *details = error_details(error, &count);
            if (count)
                assert_non_null(strstr(details[0].pointer, wrong[i].fragment));
            else
                assert_non_null(strstr(error_message(error), wrong[i].fragment));
            error_free(error);
        } else {
            FAILS(error, ERR_INVALID, wrong[i].fragment);
        }
        json_decref(options);
    }
}

static size_t count_instances(void)
{
    struct driver_inventory inventory;
    OK(vmware->inventory(session, &call, &inventory));
    return inventory.instance_count;
}

static void an_ended_session_goes_unnoticed(void **state)
{
    size_t count = count_instances();
    assert_int_equal(count, 3);
    long logins = vcsim_calls(sim, "Login");
    vcsim_control(sim, "/__expire"); /* missingSet, then a view that is gone */
    assert_int_equal(count_instances(), count);
    assert_int_equal(vcsim_calls(sim, "Login"), logins + 1);
    vcsim_control(sim, "/__expire"); /* a fault */
    OK(vmware->ping(session, &call));
    assert_int_equal(vcsim_calls(sim, "Login"), logins + 2);
    assert_int_equal(count_instances(), count);
    vcsim_control(sim, "/__expire");
    struct driver_instance_spec spec = spec_of(ID_A, "s");
    struct driver_instance instance;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    vcsim_control(sim, "/__expire");
    struct driver_key key = {ID_A, instance.ref};
    OK(vmware->instance_delete(session, &call, &key));
    struct driver_inventory inventory;
    OK(vmware->inventory(session, &call, &inventory));
    vcsim_control(sim, "/__expire"); /* an answer of 200 whose properties are all missing */
    key = (struct driver_key){NULL, inventory.instances[0].ref};
    OK(vmware->instance_find(session, &call, &key, &instance));
    assert_string_equal(instance.name, inventory.instances[0].name);
    vcsim_control(sim, "/__inject?method=RetrievePropertiesEx&kind=fault:ManagedObjectNotFound");
    assert_int_equal(count_instances(), count);
}

static void a_page_lost_with_its_session_is_told(void **state)
{
    vcsim_control(sim, "/__inject?method=ContinueRetrievePropertiesEx&kind=fault:NotAuthenticated");
    struct driver_inventory inventory;
    FAILS(vmware->inventory(session, &call, &inventory), ERR_UNAVAILABLE, "between two pages");
    assert_int_equal(count_instances(), 3);
}

static void bad_answers_are_errors(void **state)
{
    static const struct {
        const char *kind;
        enum error_code code;
        const char *fragment;
    } bad[] = {
        {"refuse", ERR_UNAVAILABLE, "503"},
        {"drop", ERR_UNAVAILABLE, "RetrievePropertiesEx"},
        {"truncate", ERR_UNAVAILABLE, "RetrievePropertiesEx"},
        {"garbage", ERR_UNAVAILABLE, "not well-formed"},
        {"huge:80000000", ERR_UNAVAILABLE, "RetrievePropertiesEx"},
        {"fault:SystemError", ERR_UNAVAILABLE, "SystemError"},
        {"fault:NoPermission", ERR_DENIED, "NoPermission"},
        {"fault:Unheard", ERR_INTERNAL, "Unheard"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char path[128];
        snprintf(path, sizeof path, "/__inject?method=RetrievePropertiesEx&kind=%s", bad[i].kind);
        vcsim_control(sim, path);
        struct driver_inventory inventory = {.host_count = 77};
        FAILS(vmware->inventory(session, &call, &inventory), bad[i].code, bad[i].fragment);
        assert_int_equal(inventory.host_count, 77); /* untouched */
        vcsim_control(sim, "/__reset");
        assert_int_equal(count_instances(), 3); /* and the session goes on */
    }
}

static void time_is_bounded(void **state)
{
    vcsim_control(sim, "/__inject?method=RetrievePropertiesEx&kind=delay:20000");
    int64_t start = moment_monotonic();
    call.deadline_us = start + MOMENT_SECOND / 2;
    struct driver_inventory inventory;
    FAILS(vmware->inventory(session, &call, &inventory), ERR_TIMEOUT, "RetrievePropertiesEx");
    assert_true(moment_monotonic() - start < 3 * MOMENT_SECOND);
    call.deadline_us = moment_monotonic() + 30 * MOMENT_SECOND;
    assert_int_equal(count_instances(), 3);
}

struct progress {
    int calls, last, stop_after;
    bool backwards;
};

static bool on_progress(void *context, int percent, const char *step)
{
    struct progress *progress = context;
    progress->backwards = progress->backwards || percent < progress->last;
    progress->last = percent;
    return ++progress->calls != progress->stop_after;
}

static void long_tasks_tell_progress(void **state)
{
    struct progress progress = {0};
    call.progress = on_progress;
    call.context = &progress;
    struct driver_instance_spec spec = spec_of(ID_A, "slow");
    struct driver_instance instance;
    int64_t start = moment_monotonic();
    OK(vmware->instance_create(session, &call, &spec, &instance));
    assert_int_equal(instance.power, DRIVER_POWER_ON);
    assert_true(moment_monotonic() - start >= 3 * 15 * MOMENT_SECOND / 100); /* clone, fit, power on */
    assert_true(progress.calls >= 3 && progress.last >= 85 && progress.last <= 100);
    assert_false(progress.backwards);
    struct driver_key key = key_of(ID_A);
    OK(vmware->instance_delete(session, &call, &key));
}

static void a_cancelled_creation_can_be_repeated(void **state)
{
    struct progress progress = {.stop_after = 1};
    call.progress = on_progress;
    call.context = &progress;
    struct driver_instance_spec spec = spec_of(ID_B, "stop");
    struct driver_instance instance;
    FAILS(vmware->instance_create(session, &call, &spec, &instance), ERR_CANCELLED, "asked to stop");
    call.progress = NULL;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    assert_int_equal(count_instances(), 4);
    struct driver_key key = key_of(ID_B);
    OK(vmware->instance_delete(session, &call, &key));
    assert_int_equal(count_instances(), 3);
}

static void a_session_may_end_during_a_task(void **state)
{
    vcsim_control(sim, "/__inject?method=WaitForUpdatesEx&kind=fault:NotAuthenticated");
    struct driver_instance_spec spec = spec_of(ID_A, "s");
    struct driver_instance instance;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    struct driver_key key = key_of(ID_A);
    OK(vmware->instance_delete(session, &call, &key));
}

static void a_dead_peer_is_unavailable(void **state)
{
    struct vcsim *gone = vcsim_start(NULL);
    struct driver_endpoint endpoint = vcsim_endpoint(gone);
    char url[256], fingerprint[65];
    snprintf(url, sizeof url, "%s", endpoint.url);
    snprintf(fingerprint, sizeof fingerprint, "%s", endpoint.fingerprint);
    endpoint.url = url;
    endpoint.fingerprint = fingerprint;
    struct driver_session *orphan;
    OK(vmware->open(&endpoint, &call, &orphan));
    vcsim_stop(gone);
    FAILS(vmware->ping(orphan, &call), ERR_UNAVAILABLE, "CurrentTime");
    vmware->close(orphan);
    FAILS(try_open(&endpoint), ERR_UNAVAILABLE, "could not open");
}

#define TEST(function) cmocka_unit_test_setup(function, renew_call)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_endpoints_are_refused),     TEST(options_are_checked),
        TEST(an_ended_session_goes_unnoticed), TEST(a_page_lost_with_its_session_is_told),
        TEST(bad_answers_are_errors),          TEST(time_is_bounded),
        TEST(long_tasks_tell_progress),        TEST(a_cancelled_creation_can_be_repeated),
        TEST(a_session_may_end_during_a_task), TEST(a_dead_peer_is_unavailable),
    };
    return cmocka_run_group_tests(tests, setup, fixture_stop);
}
