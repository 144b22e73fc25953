/* The descriptor of an OVA (DMTF DSP0243): what the machine is, for those that import it elsewhere, and what
 * is read of those that come from elsewhere. Nothing that it says is believed: it is shown, and its disks are
 * the members of the archive that it names. */
#ifndef FEDERATION_TRANSFER_OVF_H
#define FEDERATION_TRANSFER_OVF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/error.h"

#define OVF_BYTES_MAX ((size_t)1 << 20)
#define OVF_DISKS_MAX 16
#define OVF_CARDS_MAX 16

struct transfer_ovf_disk {
    const char *file; /* name of the member */
    uint64_t bytes;   /* of the disk; 0: it does not say */
    uint64_t size;    /* of the file; read: 0 when it does not say */
};

struct transfer_ovf_machine {
    const char *name;
    const char *guest_os; /* NULL: it does not say */
    unsigned vcpu;        /* likewise 0 */
    uint64_t memory_mb;   /* likewise 0 */
    bool uefi, secure;
    struct transfer_ovf_disk disks[OVF_DISKS_MAX]; /* in the guest's order: the first is the boot disk */
    size_t disk_count;
    const char *macs[OVF_CARDS_MAX];     /* NULL: it does not say */
    const char *networks[OVF_CARDS_MAX]; /* likewise */
    size_t card_count;
};

/* Appends the text. */
struct error *transfer_ovf_write(const struct transfer_ovf_machine *machine, struct buf *buf) ERROR_MUST_USE;

/* ERR_INVALID that says what is wrong: no XML, entities or a document type (never resolved), not one virtual
 * machine, more than the caps, a disk without its file. Text in the arena. */
struct error *transfer_ovf_read(const char *text, size_t length, struct arena *arena,
                                struct transfer_ovf_machine *ret_machine) ERROR_MUST_USE;

#endif
