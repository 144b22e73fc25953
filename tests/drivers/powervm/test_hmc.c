/* The session with an HMC: logon and its dangers, lost sessions, certificates, and answers that are late,
 * broken or hostile. */
#include "drivers/powervm/hmc.h"

#include <string.h>

#include "tests/drivers/powervm/fixture.h"

static int64_t count(struct fixture *fixture, const char *name)
{
    return json_integer_value(json_object_get(hmcsim_state(fixture->sim), name));
}

static struct error *open_as(struct fixture *fixture, const char *password, const char *fingerprint,
                             const char *options)
{
    struct driver_session *session = NULL;
    struct driver_endpoint endpoint = hmcsim_endpoint(fixture->sim);
    json_t *json = options ? json_loads(options, 0, NULL) : NULL;
    endpoint.password = password;
    endpoint.fingerprint = fingerprint;
    endpoint.options = json;
    struct error *error = driver->open(&endpoint, &fixture->call, &session);
    if (!error)
        driver->close(session);
    json_decref(json);
    return error;
}

static void inject(struct fixture *fixture, const char *path, const char *kind, int times)
{
    hmcsim_control(fixture->sim, "/__inject",
                   arena_printf(fixture->call.arena,
                                "{\"path\": \"%s\", \"kind\": \"%s\", \"times\": %d, \"seconds\": 30}", path,
                                kind, times));
}

static void test_about_and_ping(void **state)
{
    struct fixture *fixture = *state;
    struct driver_about about;
    assert_no_error(driver->ping(fixture->session, &fixture->call));
    assert_no_error(driver->about(fixture->session, &fixture->call, &about));
    assert_string_equal(about.product, "IBM HMC V9R1 M942");
    assert_int_equal(strlen(about.identity), 36);
}

static void test_refused_logon_is_tried_once(void **state)
{
    struct fixture *fixture = *state;
    const char *pin = hmcsim_fingerprint(fixture->sim);
    assert_error(open_as(fixture, "wrong", pin, NULL), ERR_DENIED, "could not log on");
    assert_int_equal(count(fixture, "logons"), 2); /* the fixture's and this one */
    assert_int_equal(count(fixture, "refused_logons"), 1);
    assert_no_error(open_as(fixture, HMCSIM_PASSWORD, pin, NULL));
    assert_int_equal(count(fixture, "sessions"), 1); /* logged off again */
}

static void test_refused_relogon_shuts_the_session(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 3; i++) /* somebody else locks the account */
        assert_error(open_as(fixture, "wrong", hmcsim_fingerprint(fixture->sim), NULL), ERR_DENIED, "");
    assert_no_error(driver->ping(fixture->session, &fixture->call));
    inject(fixture, "quick", "session-loss", 1);
    int64_t before = count(fixture, "logons");
    for (int i = 0; i < 3; i++)
        assert_error(driver->ping(fixture->session, &fixture->call), ERR_DENIED, "");
    assert_int_equal(count(fixture, "logons") - before, 1);
}

static void test_lost_session_logs_on_once_more(void **state)
{
    struct fixture *fixture = *state;
    inject(fixture, "quick", "session-loss", 1);
    assert_no_error(driver->ping(fixture->session, &fixture->call));
    assert_int_equal(count(fixture, "logons"), 2);
    inject(fixture, "quick", "session-loss", 2); /* lost again at once */
    assert_error(driver->ping(fixture->session, &fixture->call), ERR_DENIED, "401");
    assert_int_equal(count(fixture, "logons"), 3);
    assert_no_error(driver->ping(fixture->session, &fixture->call));
}

static void test_session_loss_in_the_middle_of_a_create(void **state)
{
    struct fixture *fixture = *state;
    struct driver_instance instance;
    inject(fixture, "CreateLogicalUnit", "session-loss", 1);
    inject(fixture, "jobs/", "session-loss", 1);
    fixture_create(fixture, ID_ONE, &instance);
    assert_int_equal(hmcsim_count(fixture->sim, "units", "name", "yqb-" ID_ONE), 1);
}

static void test_wrong_certificate_gets_no_credentials(void **state)
{
    struct fixture *fixture = *state;
    static const char wrong[] = "0000000000000000000000000000000000000000000000000000000000000000";
    hmcsim_control(fixture->sim, "/__clear", "{}");
    assert_error(open_as(fixture, HMCSIM_PASSWORD, wrong, NULL), ERR_DENIED, "not the pinned");
    assert_error(open_as(fixture, HMCSIM_PASSWORD, NULL, NULL), ERR_DENIED, "not trusted");
    assert_int_equal(hmcsim_requests(fixture->sim, "Logon"), 0);
}

static void test_starting_service(void **state)
{
    struct fixture *fixture = *state;
    inject(fixture, "Logon", "503", 1);
    assert_error(open_as(fixture, HMCSIM_PASSWORD, hmcsim_fingerprint(fixture->sim), NULL), ERR_BUSY, "503");
    inject(fixture, "Logon", "garbage", 1);
    assert_error(open_as(fixture, HMCSIM_PASSWORD, hmcsim_fingerprint(fixture->sim), NULL), ERR_UNAVAILABLE,
                 "XML");
}

static void test_broken_answers(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *kind, *words;
        enum error_code code;
    } cases[] = {
        {"garbage", "cannot be read", ERR_UNAVAILABLE},
        {"truncate", "outcome is unknown", ERR_UNAVAILABLE},
        {"huge", "over 67108864 bytes", ERR_UNAVAILABLE},
        {"503", "HTTP 503", ERR_BUSY},
        {"500", "HSCL3205", ERR_BUSY},
    };
    struct driver_inventory inventory;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        inject(fixture, "ManagedSystem/quick", cases[i].kind, 1);
        assert_error(driver->inventory(fixture->session, &fixture->call, &inventory), cases[i].code,
                     cases[i].words);
        assert_no_error(driver->inventory(fixture->session, &fixture->call, &inventory));
    }
    inject(fixture, "SharedStoragePool", "garbage", 1);
    assert_error(driver->inventory(fixture->session, &fixture->call, &inventory), ERR_UNAVAILABLE,
                 "not well-formed");
}

static void test_hanging_peer_and_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct driver_inventory inventory;
    inject(fixture, "Cluster", "hang", 1);
    struct driver_call call = fixture_within(fixture, MOMENT_SECOND);
    int64_t start = moment_monotonic();
    assert_error(driver->inventory(fixture->session, &call, &inventory), ERR_TIMEOUT, "Cluster");
    assert_true(moment_monotonic() - start < 5 * MOMENT_SECOND);
    assert_no_error(driver->ping(fixture->session, &fixture->call));
}

static bool stop_at_once(void *context, int percent, const char *step)
{
    return moment_monotonic() < *(int64_t *)context;
}

static void test_cancelling_a_hanging_request(void **state)
{
    struct fixture *fixture = *state;
    struct driver_inventory inventory;
    int64_t until = moment_monotonic() + MOMENT_SECOND / 2;
    struct driver_call call = fixture->call;
    call.progress = stop_at_once;
    call.context = &until;
    inject(fixture, "Cluster", "hang", 1);
    assert_error(driver->inventory(fixture->session, &call, &inventory), ERR_CANCELLED, "cancelled");
    assert_true(moment_monotonic() - until < 5 * MOMENT_SECOND);
}

static void test_a_slow_job_and_its_deadline(void **state)
{
    static const char *const slow[] = {"--job-seconds", "3", NULL};
    struct fixture *fixture = fixture_start(slow);
    *state = fixture;
    struct driver_volume_spec spec = {.id = ID_ONE, .size_gb = 5};
    struct driver_volume volume;
    struct driver_call call = fixture_within(fixture, MOMENT_SECOND);
    assert_error(driver->volume_create(fixture->session, &call, &spec, &volume), ERR_TIMEOUT, "it goes on");
    int64_t until = moment_monotonic() + MOMENT_SECOND / 2;
    spec.id = ID_TWO;
    call = fixture->call;
    call.progress = stop_at_once;
    call.context = &until;
    assert_error(driver->volume_create(fixture->session, &call, &spec, &volume), ERR_CANCELLED, "cancelled");
    assert_int_equal(hmcsim_requests(fixture->sim, "/cancel"), 1);
    struct driver_key key = {.id = ID_ONE};
    struct error *error = NULL;
    for (int64_t end = moment_monotonic() + 20 * MOMENT_SECOND; moment_monotonic() < end;) {
        error_free(error);
        error = driver->volume_find(fixture->session, &fixture->call, &key, &volume);
        if (!error)
            break;
    }
    assert_no_error(error); /* the first job went on to its end */
    key.id = ID_TWO;
    assert_error(driver->volume_find(fixture->session, &fixture->call, &key, &volume), ERR_NOT_FOUND,
                 "no volume");
}

static void test_looks_at_a_job_may_fail(void **state)
{
    struct fixture *fixture = *state;
    struct driver_volume_spec spec = {.id = ID_ONE, .size_gb = 5};
    struct driver_volume volume;
    inject(fixture, "/jobs/", "503", 3);
    assert_no_error(driver->volume_create(fixture->session, &fixture->call, &spec, &volume));
    spec.id = ID_TWO;
    inject(fixture, "/jobs/", "503", 4);
    assert_error(driver->volume_create(fixture->session, &fixture->call, &spec, &volume), ERR_BUSY,
                 "could not follow");
}

static void test_bad_endpoints(void **state)
{
    struct fixture *fixture = *state;
    const char *pin = hmcsim_fingerprint(fixture->sim);
    static const char *const options[] = {"{\"unknown\": 1}",
                                          "{\"units_per_vcpu\": 0.25}",
                                          "{\"units_per_vcpu\": \"0.255\"}",
                                          "{\"units_per_vcpu\": \"2\"}",
                                          "{\"max_vcpu\": 0}",
                                          "{\"max_memory_mb\": 1}",
                                          "{\"managed_systems\": []}",
                                          "{\"pools\": {\"slow\": \"x\"}}",
                                          "{\"thin\": \"yes\"}"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        assert_error(open_as(fixture, HMCSIM_PASSWORD, pin, options[i]), ERR_INVALID, "");
    assert_error(open_as(fixture, NULL, pin, NULL), ERR_INVALID, "password");
    assert_error(open_as(fixture, HMCSIM_PASSWORD, "abc", NULL), ERR_INVALID, "fingerprint");
    static const char *const urls[] = {"http://127.0.0.1:1", "https://", "https://host/rest", "https://a@b",
                                       "hmc"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct driver_endpoint endpoint = hmcsim_endpoint(fixture->sim);
        struct driver_session *session = NULL;
        endpoint.url = urls[i];
        assert_error(driver->open(&endpoint, &fixture->call, &session), ERR_INVALID, "https://host:port");
    }
    assert_int_equal(count(fixture, "logons"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define TEST_OWN(name) cmocka_unit_test_teardown(name, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_about_and_ping),
        TEST(test_refused_logon_is_tried_once),
        TEST(test_refused_relogon_shuts_the_session),
        TEST(test_lost_session_logs_on_once_more),
        TEST(test_session_loss_in_the_middle_of_a_create),
        TEST(test_wrong_certificate_gets_no_credentials),
        TEST(test_starting_service),
        TEST(test_broken_answers),
        TEST(test_hanging_peer_and_deadline),
        TEST(test_cancelling_a_hanging_request),
        TEST_OWN(test_a_slow_job_and_its_deadline),
        TEST(test_looks_at_a_job_may_fail),
        TEST(test_bad_endpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
