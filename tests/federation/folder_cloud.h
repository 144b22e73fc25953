/* A provider in a folder, behind the driver contract, for tests of moves: machines are JSON files, disks raw
 * files that nbdkit serves, so that data really moves and everything outlives the broker's process. Every
 * operation is a boundary where the process may be made to die, before its effect or after it.
 *
 * An endpoint's URL is "folder:PATH". Driver "folder" tracks changes, does it warm and boots tests;
 * "folder-live" moves by itself; "folder-staged" keeps what is written beside the disks until it is closed.
 */
#ifndef TESTS_FEDERATION_FOLDER_CLOUD_H
#define TESTS_FEDERATION_FOLDER_CLOUD_H

#include "drivers/driver.h"

extern const struct driver folder_driver, folder_live_driver, folder_staged_driver;

/* The process kills itself at the so-and-so-manieth boundary from now; 0: never. */
void folder_cloud_die_at(int boundary);
/* From now on `operation` fails with `code`, `times` times, after its effect when `after`. */
void folder_cloud_fail(const char *operation, enum error_code code, int times, bool after);
/* Boundaries that were passed. */
int folder_cloud_boundaries(void);

/* From outside, each in one go under the folder's lock. */
void folder_cloud_make(const char *folder, const char *id, const char *volume, unsigned disk_mb);
struct folder_machine {
    bool there, running, fenced;
    int boots;
};
struct folder_machine folder_cloud_look(const char *folder, const char *id);
/* What an operator or a host with power again does: no effect on a fenced one. */
void folder_cloud_start(const char *folder, const char *id);
void folder_cloud_cut(const char *folder, const char *id);
/* A running machine writes, or reads; false when it does not run. */
bool folder_cloud_write(const char *folder, const char *id, long at, const void *bytes, size_t count);
bool folder_cloud_read(const char *folder, const char *id, long at, void *bytes, size_t count);
/* The fence taken off, or put on, by hand. */
void folder_cloud_fence(const char *folder, const char *id, bool fenced);
/* The disk gets so many MB. */
void folder_cloud_resize(const char *folder, const char *id, size_t disk, unsigned disk_mb);
/* All checkpoints are gone, as after a crash of the hypervisor. */
void folder_cloud_forget(const char *folder, const char *id);
/* Sessions that are open by now are refused from now on. */
void folder_cloud_expire(const char *folder);
/* The next export for writing that is closed leaves a byte that nobody wrote, at this offset of disk 0; with
 * `times` 0 none does. */
void folder_cloud_rot(const char *folder, long at, int times);
/* Exports of this access ("read", "write") that are opened from now on go through this filter of nbdkit with
 * these parameters, words separated by spaces. */
void folder_cloud_filter(const char *folder, const char *access, const char *filter, const char *parameters);
/* The test boot that is there; NULL: none. The caller frees. */
char *folder_cloud_test(const char *folder);
/* Files that belong to no machine or to a test boot, joined by spaces; the caller frees. */
char *folder_cloud_litter(const char *folder);

#endif
