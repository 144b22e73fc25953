/* What the tests of moving share: exports read and written through libnbd. */
#ifndef TESTS_DRIVERS_VMWARE_DISKS_H
#define TESTS_DRIVERS_VMWARE_DISKS_H

#include "drivers/driver_move.h"
#include "tests/drivers/vmware/fixture.h"

#define EXPORT_A "018f3b5e-0000-7000-8000-0000000000e1"
#define EXPORT_B "018f3b5e-0000-7000-8000-0000000000e2"
#define EXPORT_C "018f3b5e-0000-7000-8000-0000000000e3"
#define POINT_A "018f3b5e-0000-7000-8000-0000000000c1"
#define POINT_B "018f3b5e-0000-7000-8000-0000000000c2"
#define BLOCK 65536u

/* A connection to the disk; closed by nbd_close. */
struct nbd_handle *disk_connect(const struct driver_exported_disk *disk);
/* Over a connection of its own. */
void disk_read(const struct driver_exported_disk *disk, uint64_t offset, void *data, size_t length);
void disk_write(const struct driver_exported_disk *disk, uint64_t offset, const void *data, size_t length);

/* Opens for reading, expecting success. `checkpoint` and `since` may be NULL. */
struct driver_export open_read(const char *stamp, const char *id, const char *checkpoint, const char *since);
void close_export(const char *stamp, const char *id, bool keep);
struct driver_detail detail_of(const char *stamp);
/* A text of this length that differs from others by its seed. */
void fill(char *data, size_t length, unsigned seed);

#endif
