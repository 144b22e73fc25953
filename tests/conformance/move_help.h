/* What the cases about moving share: capabilities, instances in a state, exports of their disks. */
#ifndef TESTS_CONFORMANCE_MOVE_HELP_H
#define TESTS_CONFORMANCE_MOVE_HELP_H

#include "tests/conformance/bench.h"
#include "tests/conformance/disk.h"

#define MIB (UINT64_C(1) << 20)
#define AREA (2 * MIB)  /* that is written in one go */
#define FAR (MIB * 512) /* where no guest of these tests has anything; below every disk's end */
#define FAR_TOO (MIB * 700)

/* Whether the driver can do all of these; checks that it says so when it cannot do the first. */
bool can(enum driver_capability first, unsigned all);
struct driver_detail detail_of(const char *id);
const struct driver_disk *boot_disk(const struct driver_detail *detail);
struct driver_instance_spec running(const char *name);
struct driver_instance_spec stopped(const char *name);
struct driver_export opened(const char *id, const struct driver_export_spec *spec);
void closed(const char *id, const char *export_id, bool keep);
struct driver_export_spec reading(void);
struct driver_export_spec writing(void);
void touch(const struct driver_instance_spec *spec, uint64_t offset, size_t length, unsigned char byte);
/* The boot disk of an open export. */
const struct driver_exported_disk *boot_of(const char *id, const struct driver_export *open);
/* As call->progress: cancels when the number that is its context has been counted down. */
bool count_down(void *context, int percent, const char *step);

#endif
