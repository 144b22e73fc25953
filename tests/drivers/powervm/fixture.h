/* What the tests of the driver powervm share: a simulator, a session with it, and calls with a deadline. */
#ifndef TESTS_DRIVERS_POWERVM_FIXTURE_H
#define TESTS_DRIVERS_POWERVM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/base/moment.h"
#include "drivers/powervm/powervm.h"
#include "tests/support/hmcsim.h"

extern const struct driver *const driver;

#define ID_ONE "018f3a5c-7b1d-7c3e-9a4f-0123456789ab"
#define ID_TWO "018f3a5c-7b1d-7c3e-9a4f-ba9876543210"
#define NAME_ONE "yq-aghtuxd3dv6d5gspaerukz4jvm" /* the partition of ID_ONE */

struct fixture {
    struct hmcsim *sim;
    struct driver_session *session;
    struct driver_call call; /* far deadline; its arena lives as long as the test */
};

/* cmocka's: *state becomes a struct fixture. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
struct fixture *fixture_start(const char *const *arguments);
/* Another session, as another process would have it. */
struct driver_session *fixture_open(struct fixture *fixture);

struct driver_instance_spec fixture_spec(const char *id);
void fixture_create(struct fixture *fixture, const char *id, struct driver_instance *ret_instance);
/* The call with a deadline so far from now. */
struct driver_call fixture_within(struct fixture *fixture, int64_t microseconds);
/* Waits until the instance shows an address: its RMC connection is up. */
void fixture_await_rmc(struct fixture *fixture, const char *id);

/* Consumes the error. */
void assert_no_error(struct error *error);
void assert_error(struct error *error, enum error_code code, const char *words);

#endif
