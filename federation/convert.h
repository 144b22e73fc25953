/* Conversion of guests: a program that makes a guest fit to run on another kind of hypervisor (drivers,
 * initial RAM disk, boot configuration), run over its disks while they are exported for writing. The one that
 * is meant is virt-v2v-in-place, whose command line and input (libvirt's XML) this speaks; it converts to KVM
 * alone. Nothing here knows of a move: migration_convert.c does. */
#ifndef FEDERATION_CONVERT_H
#define FEDERATION_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

#define CONVERT_LOG_MAX 16384 /* bytes that are kept of what the program says: the last ones */

/* Whether the converter knows the guest's system, by words of providers (vSphere's guest ids, libosinfo's
 * ids); NULL is not known. */
bool convert_knows(const char *guest_os);
/* Whether there is such a program; an absolute path. */
bool convert_installed(const char *program);

/* What becomes of a guest that moves between these two kinds of hypervisor (names of drivers). */
struct convert_plan {
    bool asked;      /* it belongs to the move */
    bool runs;       /* as things are now */
    const char *why; /* it does not run, for a person; NULL: it does, or is of no use */
};
/* `mode` as the setting "conversion"; NULL is "off". */
struct convert_plan convert_plan(struct arena *arena, const char *mode, const char *program, const char *from,
                                 const char *to, const char *guest_os);

struct convert_guest {
    const char *name;
    unsigned vcpu;
    uint64_t memory_mb;
    bool uefi;
    const char *mac;            /* of the first card; NULL: none */
    const char *const *sockets; /* of each disk's NBD export, in the guest's order, the boot disk first */
    const char *const *exports; /* names of the exports */
    size_t disk_count;
};
/* As libvirt's XML. */
const char *convert_describe(struct arena *arena, const struct convert_guest *guest);

struct convert_run {
    const char *program; /* absolute path */
    const char *folder;  /* its own, empty, for its files; TMPDIR */
    const char *xml;     /* convert_describe */
    int64_t timeout_us;
    bool (*goes_on)(void *context); /* asked a few times a second; false: it is killed */
    void *context;
};
/* Runs it to its end; *ret_log is the last of what it said, printable, also when it fails. ERR_CANCELLED when
 * it was to stop, ERR_INTERNAL with the last line when it failed, was killed or took longer: then the disks
 * may hold anything. It and whatever it started in its process group is gone in the end, and with the broker.
 */
struct error *convert_guest_run(struct arena *arena, const struct convert_run *run,
                                const char **ret_log) ERROR_MUST_USE;

#endif
