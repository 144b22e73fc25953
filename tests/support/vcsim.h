/* contrib/vcsim as a child of a test, in a folder of its own, and an endpoint that points to it. */
#ifndef TESTS_SUPPORT_VCSIM_H
#define TESTS_SUPPORT_VCSIM_H

#include <stddef.h>
#include <stdint.h>

#include "drivers/driver.h"

struct vcsim;

#define VCSIM_USER "broker@vsphere.local"
#define VCSIM_PASSWORD "vcsim-Secret-1"
#define VCSIM_TEMPLATE "debian-12" /* 2 GB, always there */

/* `arguments` (may be NULL): further ones for vcsim, NULL-ended. Aborts when it does not come up. */
struct vcsim *vcsim_start(const char *const *arguments);
/* Stops it and removes its folder; fails by abort when vcsim left datastores behind. */
void vcsim_stop(struct vcsim *vcsim);

const char *vcsim_url(const struct vcsim *vcsim);
const char *vcsim_fingerprint(const struct vcsim *vcsim);
/* Pinned by its fingerprint, 10 seconds for a round trip. Borrowed. */
struct driver_endpoint vcsim_endpoint(const struct vcsim *vcsim);
/* One of its control paths, "/__inject?method=…&kind=…" (contrib/vcsim/front.go); aborts unless it answers
 * 200. The answer is valid until the next call. */
const char *vcsim_control(struct vcsim *vcsim, const char *path);
/* What the guest of the machine (its stamp, name or reference) writes to its disk 0, 1…, and would read. */
void vcsim_guest_write(struct vcsim *vcsim, const char *machine, int disk, uint64_t offset, const void *data,
                       size_t length);
/* At most a MB. */
void vcsim_guest_read(struct vcsim *vcsim, const char *machine, int disk, uint64_t offset, void *data,
                      size_t length);
/* The raw file on this machine that has the whole content of a disk to which no snapshot holds on; aborts
 * when there is none. The caller frees. */
char *vcsim_disk_file(struct vcsim *vcsim, const char *machine, int disk);
/* How often a method was called so far. */
long vcsim_calls(struct vcsim *vcsim, const char *method);

#endif
