/* Exported disks as the copy engine sees them: read and written with libnbd. Whatever fails ends the case. */
#ifndef TESTS_CONFORMANCE_DISK_H
#define TESTS_CONFORMANCE_DISK_H

#include "drivers/driver_move.h"

/* Writes `length` bytes `byte` from `offset` on, and flushes. */
void disk_fill(const struct driver_exported_disk *disk, uint64_t offset, size_t length, unsigned char byte);
/* Fails unless there are just these bytes. */
void disk_expect(const struct driver_exported_disk *disk, uint64_t offset, size_t length, unsigned char byte);
/* How many of these bytes have changed, by the export's word: all with a full_reason. */
uint64_t disk_changed(const struct driver_exported_disk *disk, uint64_t offset, uint64_t length);

/* Whether a disk that a host serves lets somebody read who has the certificates of that folder; NULL: who
 * speaks without TLS. */
bool disk_admits(const struct driver_exported_disk *disk, const char *tls_dir);
/* Whether two exports show the same bytes, by their digests: SHA-256 of all of it in hex, in the arena. */
const char *disk_digest(const struct driver_exported_disk *disk);

/* The disk of that name; the case fails without it. */
const struct driver_exported_disk *disk_named(const struct driver_export *opened, const char *name);

#endif
