/* What the vmware driver's tests share: a simulator, a session, a call, and expectations that show the error.
 */
#ifndef TESTS_DRIVERS_VMWARE_FIXTURE_H
#define TESTS_DRIVERS_VMWARE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/moment.h"
#include "drivers/driver.h"
#include "drivers/vmware/vmware.h"
#include "tests/support/vcsim.h"

#define ID_A "018f3b5e-0000-7000-8000-00000000000a"
#define ID_B "018f3b5e-0000-7000-8000-00000000000b"
#define VOLUME_A "018f3b5e-0000-7000-8000-0000000000a1"
#define VOLUME_B "018f3b5e-0000-7000-8000-0000000000b1"

extern struct vcsim *sim;
extern struct driver_session *session;
extern struct driver_call call; /* 30 seconds from renew_call */
extern const struct driver *const vmware;

/* For a test group's setup: a simulator with these further arguments, and a session. */
void fixture_start(const char *const *arguments);
int fixture_stop(void **state);
/* Before each test: injections forgotten, a fresh deadline, an empty arena. */
int renew_call(void **state);

void expect_success(struct error *error, const char *file, int line);
void expect_error(struct error *error, enum error_code code, const char *fragment, const char *file,
                  int line);
#define OK(expression) expect_success((expression), __FILE__, __LINE__)
/* The code, and a part of the message. */
#define FAILS(expression, code, fragment) expect_error((expression), (code), (fragment), __FILE__, __LINE__)

struct driver_instance_spec spec_of(const char *id, const char *name);
struct driver_key key_of(const char *id);

#endif
