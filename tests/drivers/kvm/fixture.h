/* What the tests of the driver share: a session on a private cloud, calls with a deadline, specs, and waiting
 * for a guest to say something. */
#ifndef TESTS_DRIVERS_KVM_FIXTURE_H
#define TESTS_DRIVERS_KVM_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above before it. */
#include <cmocka.h>

#include "drivers/kvm/kvm.h"
#include "tests/support/kvmcloud.h"

struct fixture {
    struct kvmcloud *cloud;
    struct arena *arena; /* of the present test */
    struct driver_session *session;
};

/* Group set-up and tear-down, *state is the fixture; per test a fresh arena and session. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
int fixture_begin(void **state);
/* Deletes every instance and volume of the broker's, and fails when something of theirs is left in the pools.
 */
int fixture_end(void **state);

/* A call that may take so many seconds. */
struct driver_call fixture_call(struct fixture *fixture, int seconds);
/* 1 vCPU, 1024 MB, 1 GB of system disk, the tiny guest; id made new. */
struct driver_instance_spec fixture_spec(struct fixture *fixture, const char *name);
struct driver_instance fixture_create(struct fixture *fixture, const struct driver_instance_spec *spec);
struct driver_session *fixture_open(struct fixture *fixture);
/* The fixture's session anew, once the daemon answers again. */
void fixture_reopen(struct fixture *fixture);

/* Fails the test with the error's message. */
void fixture_ok(struct error *error);
/* Fails unless the error has this code; frees it. */
void fixture_fails(struct error *error, enum error_code code);

/* Waits until the guest has said `text` at least `times` times, at most 90 seconds; else fails with the
 * console. */
void fixture_hears(struct fixture *fixture, const char *id, const char *text, unsigned times);
struct driver_instance fixture_find(struct fixture *fixture, const char *id);

#endif
