/* A whole control floor for tests: a real database with one provider, cloud "c" (site s; zones "ext" and
 * "net" with endpoints "e-ext" and "e-net" of the memory driver, "medical" with none), unit "u" with systems
 * u001 and u002 and medical system u003; jobs run by a real runner while it is started. */
#ifndef TESTS_BROKER_CONTROL_HOUSE_H
#define TESTS_BROKER_CONTROL_HOUSE_H

#include "broker/control/fleet.h"
#include "broker/control/operate.h"
#include "broker/control/order.h"
#include "broker/control/resource.h"
#include "broker/control/services.h"
#include "tests/broker/control/memory_cloud.h"
#include "tests/support/jobs.h"
#include "tests/support/pg.h"

struct house {
    struct pg *pg;
    struct db *db;
    struct clock *clock;
    struct registry *registry;
    struct fleet *fleet;
    struct services services;
    struct job_runner *runner;
};
extern struct house house;

/* For cmocka's group set-up and tear-down. */
int house_open(void **state);
int house_close(void **state);
/* For a test's set-up: no resource, order, drift or job is left, the counters are 0, the memory cloud is
 * empty, 64 vCPU, 128 GB, 2000 GB standard and 1000 GB high on each endpoint, 100 Mbps. And its tear-down:
 * the runner is stopped. */
int house_reset(void **state);
int house_rest(void **state);

void house_run(void); /* starts the jobs' runner */
void house_halt(void);

void ok(struct error *error);
/* Fails unless it is an error with that code; frees it. */
void refused(struct error *error, enum error_code code);

/* Places an order of unit u, system u001, on cloud c, as the broker itself; `resources` is the JSON of the
 * list. ret_operation gets 37 bytes. */
struct error *house_order(const char *resources, char ret_operation[37]) ERROR_MUST_USE;
/* The same as a system's; and on a connection of its own. */
struct error *house_order_of(struct db *db, const char *system, const char *resources,
                             char ret_operation[37]) ERROR_MUST_USE;
/* Begins a verb on the resource with that name. `args` is JSON or NULL. */
struct error *house_operate(const char *name, enum verb verb, const char *args,
                            char ret_operation[37]) ERROR_MUST_USE;
struct error *house_cancel(const char *operation) ERROR_MUST_USE;

/* Until the operation is in the state. */
void house_await(const char *operation, const char *state);
/* Text of the first column; the caller frees. */
char *house_text(const char *sql);
/* The id of the newest resource with the name, 37 bytes. */
void house_id(const char *name, char ret_id[37]);

/* What must hold when nothing is at work: the counters are exactly what live resources take, open intervals
 * are those of active resources alone, no resource is held, and the provider has what is active. */
void house_check(void);

#define ONE_INSTANCE(name)                                                                \
    "[{\"kind\":\"instance\",\"name\":\"" name "\",\"spec\":{\"vcpu\":2,\"memory_gb\":4," \
    "\"architecture\":\"x86\",\"image\":\"debian\",\"zone\":\"ext\"}}]"
#define INSTANCE_AND_VOLUME                                                                               \
    "[{\"kind\":\"instance\",\"name\":\"web\",\"spec\":{\"vcpu\":2,\"memory_gb\":4,"                      \
    "\"architecture\":\"x86\",\"image\":\"debian\",\"zone\":\"ext\"}},"                                   \
    "{\"kind\":\"volume\",\"name\":\"data\",\"spec\":{\"size_gb\":100,\"performance\":\"high\",\"attach_" \
    "to\":\"web\"}}]"

#endif
