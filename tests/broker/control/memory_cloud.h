/* A provider in memory behind the driver contract, for tests of what the broker does with one: machines and
 * volumes that are stamped, found and counted, and a script of faults: an operation that fails (before or
 * after its effect) or is held after its effect until released. One for each process; thread-safe. */
#ifndef TESTS_BROKER_CONTROL_MEMORY_CLOUD_H
#define TESTS_BROKER_CONTROL_MEMORY_CLOUD_H

#include "drivers/driver.h"

extern const struct driver memory_driver;

/* Empty, without faults; machines resize while they run. */
void memory_cloud_reset(void);

/* The next `times` calls of `operation` ("instance_create", "volume_attach", …) fail; `after`: having had
 * their effect. */
void memory_cloud_fail(const char *operation, enum error_code code, int times, bool after);
/* Calls of `operation` take effect and then do not return until memory_cloud_release, whatever is asked of
 * them. */
void memory_cloud_hold(const char *operation);
/* Until a call is held, at most 20 s; fails the test otherwise. */
void memory_cloud_await_held(void);
void memory_cloud_release(void);
/* Machines are resized only while they are off. */
void memory_cloud_resize_off_only(void);

/* Calls of the operation so far. */
int memory_cloud_calls(const char *operation);
size_t memory_cloud_machines(void);
size_t memory_cloud_volumes(void);
/* False: there is none with this stamp. */
bool memory_cloud_machine(const char *id, struct driver_instance *ret_machine);
/* instance_ref "" or that of the machine. */
bool memory_cloud_volume(const char *id, unsigned *ret_size_gb, bool *ret_attached);
/* Behind the broker's back. */
void memory_cloud_set_power(const char *id, enum driver_power power);
void memory_cloud_lose(const char *id);
void memory_cloud_set_size(const char *id, unsigned vcpu, unsigned memory_mb);
void memory_cloud_set_volume(const char *id, unsigned size_gb);
/* A machine that is on; `id` NULL: without a stamp. */
void memory_cloud_intrude(const char *id, const char *ref, unsigned vcpu, unsigned memory_mb);

#endif
