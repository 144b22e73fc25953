/* See fixture.h. */
#include "tests/drivers/powervm/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct driver *const driver = &powervm_driver;

void assert_no_error(struct error *error)
{
    if (error)
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
}

void assert_error(struct error *error, enum error_code code, const char *words)
{
    if (!error)
        fail_msg("no error, but %s was expected", error_code_name(code));
    if (error_code(error) != code || !strstr(error_message(error), words))
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
    error_free(error);
}

struct driver_call fixture_within(struct fixture *fixture, int64_t microseconds)
{
    struct driver_call call = fixture->call;
    call.deadline_us = moment_monotonic() + microseconds;
    return call;
}

struct driver_session *fixture_open(struct fixture *fixture)
{
    struct driver_session *session = NULL;
    struct driver_endpoint endpoint = hmcsim_endpoint(fixture->sim);
    assert_no_error(driver->open(&endpoint, &fixture->call, &session));
    return session;
}

struct fixture *fixture_start(const char *const *arguments)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    fixture->sim = hmcsim_start(arguments);
    fixture->call =
        (struct driver_call){.arena = arena_new(), .deadline_us = moment_monotonic() + 120 * MOMENT_SECOND};
    fixture->session = fixture_open(fixture);
    return fixture;
}

int fixture_setup(void **state)
{
    *state = fixture_start(NULL);
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    driver->close(fixture->session);
    if (json_integer_value(json_object_get(hmcsim_state(fixture->sim), "sessions")) != 0) {
        fprintf(stderr, "a session was not logged off\n");
        return -1;
    }
    hmcsim_stop(fixture->sim);
    arena_free(fixture->call.arena);
    free(fixture);
    return 0;
}

struct driver_instance_spec fixture_spec(const char *id)
{
    return (struct driver_instance_spec){.id = id,
                                         .name = "web-1",
                                         .architecture = "POWER",
                                         .vcpu = 2,
                                         .memory_mb = 4096,
                                         .image = "rhel-9.4",
                                         .system_disk_gb = 20,
                                         .network = "extranet"};
}

void fixture_create(struct fixture *fixture, const char *id, struct driver_instance *ret_instance)
{
    struct driver_instance_spec spec = fixture_spec(id);
    assert_no_error(driver->instance_create(fixture->session, &fixture->call, &spec, ret_instance));
}

void fixture_await_rmc(struct fixture *fixture, const char *id)
{
    struct driver_key key = {.id = id};
    int64_t end = moment_monotonic() + 10 * MOMENT_SECOND;
    while (moment_monotonic() < end) {
        struct driver_instance instance;
        assert_no_error(driver->instance_find(fixture->session, &fixture->call, &key, &instance));
        if (instance.address)
            return;
    }
    fail_msg("the instance %s got no RMC connection", id);
}
