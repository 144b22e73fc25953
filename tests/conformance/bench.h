/* The workbench of the suite: clouds with their gates, calls, waiting, expectations. One cloud runs for all
 * cases; each case has an arena, and what it made is removed after it. */
#ifndef TESTS_CONFORMANCE_BENCH_H
#define TESTS_CONFORMANCE_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "drivers/gate.h"
#include "tests/conformance/peer.h"

extern struct arena *arena; /* of the case */
extern struct cloud cloud;  /* the one of all cases */
extern struct gate *gate;   /* to it */

int bench_start(void **state); /* group set-up and tear-down */
int bench_stop(void **state);
int case_start(void **state);
int case_end(void **state);

/* A second cloud, started at the first call and stopped with the bench. */
struct gate *second_gate(void);
struct driver_endpoint second_endpoint(void);

/* 120 s, no progress function. */
struct driver_call call_long(void);
/* The endpoint of `of`, for cases that spoil it. */
struct driver_endpoint endpoint_of(const struct cloud *of);

/* Specs under a new id; the object is deleted when the case ends. */
struct driver_instance_spec new_instance(const char *name);
struct driver_volume_spec new_volume(const char *name, unsigned size_gb);
struct driver_instance created(const struct driver_instance_spec *spec);

struct driver_inventory inventory_of(struct gate *of);
/* How many of them carry this id, and the last of those. */
size_t instances_with(const struct driver_inventory *all, const char *id, struct driver_instance *ret_last);
size_t volumes_with(const struct driver_inventory *all, const char *id, struct driver_volume *ret_last);

/* Waits at most 60 s until the instance is in that state. */
void wait_for_power(const char *id, enum driver_power power);

#define OK(expression) expect_ok((expression), #expression, __FILE__, __LINE__)
void expect_ok(struct error *error, const char *what, const char *file, int line);
/* The error's code is `code` or `other`. */
#define FAILS(expression, code) expect_error((expression), code, code, #expression, __FILE__, __LINE__)
#define FAILS_EITHER(expression, code, other) \
    expect_error((expression), code, other, #expression, __FILE__, __LINE__)
void expect_error(struct error *error, enum error_code code, enum error_code other, const char *what,
                  const char *file, int line);

#define KEY(text) ((const struct driver_key){.id = (text)})

#endif
