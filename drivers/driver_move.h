/* The second half of the driver contract: what moving an instance between clouds needs (federation/). Types
 * and rules; the operations are members of `struct driver` (drivers/driver.h), all optional by capability.
 *
 * The stamp moves along. An instance keeps the broker's id on every cloud; while a move is under way both
 * endpoints may have an object of that stamp, at most one of them able to run. So source and target of a
 * move are always different endpoints, and a driver never looks beyond its own, but for move_*, which are
 * told of the target.
 *
 * Fence. A fenced instance cannot be started: not by instance_start (ERR_CONFLICT), not by its host's
 * autostart after a power cut, not by an operator's ordinary start at the provider, until
 * instance_release. Where a provider cannot refuse a start, the fence leaves it nothing to start from:
 * powered on by hand it has no disks, and nobody reads or writes them. The fence lives on the provider's side
 * and survives the broker. instance_find, _delete and the inventory work on fenced ones as on others.
 *
 * Exports. An export gives access to the disks of one instance as NBD exports until it is closed, beyond the
 * call and the session that opened it; it is named by a UUID of the broker's. Opening one that is open
 * already returns it; one that was lost (the broker, the daemon or the hypervisor's process died) is made
 * anew, with the same meaning or with `full_reason`, and of a later moment: `moment` is another one then, and
 * nothing that was read before counts. Whoever writes flushes (NBD_CMD_FLUSH) before it closes.
 * A driver that serves an export by a process or thread of the broker's host ends it with the broker.
 *
 * What a move leaves behind. As a rule the source keeps its definition and disks, off and fenced, and a
 * rollback starts it again. A provider whose own mobility takes the definition along (PowerVM's LPM) leaves
 * nothing: instance_find on the source is ERR_NOT_FOUND from then on, which is a fence that nobody can
 * release, and the rollback is a move back (move_run from the target, to the source). Where both ends share
 * the storage the disks are the same ones before and after: they are the target's then, the source shows none
 * of them, and deleting the instance or its volumes on the source is success that leaves them alone.
 *
 * Test boots. A test instance has a stamp of its own and is made from another instance that is off and
 * fenced, the original: the same processors, memory, firmware, order of starting and disks, but these are
 * overlays. What the test writes goes there, and not a byte of the original's disks changes by it, so that
 * passes go on after it. Its cards have the original's hardware addresses and hang on a network that is made
 * for it alone and leads nowhere: no guest, no host, no business network can be reached from it. Made it is
 * off; then it is an instance as any other: instance_start, _stop, _find, _detail, _console and the inventory
 * work on it, releasing and fencing are ERR_CONFLICT. instance_delete takes it away with overlays and
 * network, also what a test_create that was cut off left under that stamp. While it is there the original's
 * disks are not written and its fence is not released: both are ERR_CONFLICT.
 *
 * Everything returned lives in call->arena. */
#ifndef DRIVERS_DRIVER_MOVE_H
#define DRIVERS_DRIVER_MOVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/driver.h"

enum driver_firmware {
    DRIVER_FIRMWARE_UNKNOWN,
    DRIVER_FIRMWARE_BIOS,
    DRIVER_FIRMWARE_UEFI,
    DRIVER_FIRMWARE_UEFI_SECURE, /* with secure boot on: keys and variables would have to move too */
    DRIVER_FIRMWARE_OPEN         /* IEEE 1275, Power */
};

struct driver_disk {
    const char *name;      /* stable while it is attached, unique in the instance: "sda", "2000" */
    const char *volume_id; /* stamp of the volume that it is; NULL: the instance's own */
    const char *ref;       /* the provider's: a path, "[datastore] folder/file.vmdk" */
    const char *format;    /* "qcow2", "raw", "vmdk", "logical-unit" */
    uint64_t size_bytes;   /* what the guest sees */
    bool boot;             /* the guest starts from it */
    bool high_performance;
    bool removable; /* CD, floppy, the driver's own seed: never copied */
    const char
        *unreadable; /* why it cannot be exported (passed through, independent, remote…); NULL: it can */
    const char *untracked; /* why its changes cannot be tracked; NULL: they can, or are already */
};

struct driver_adapter {
    const char *network; /* provider's name */
    const char *mac;     /* "52:54:00:…", lower case */
    const char *model;   /* "virtio", "vmxnet3", "e1000"; NULL: not known */
};

/* All that an assessment asks of one instance. */
struct driver_detail {
    struct driver_instance instance;
    enum driver_firmware firmware;
    const char *machine;  /* "pc-q35-7.2", "vmx-19", "POWER9"; NULL: not known */
    const char *guest_os; /* provider's word; NULL: not known */
    struct driver_disk *disks;
    size_t disk_count;
    struct driver_adapter *adapters;
    size_t adapter_count;
    const char **snapshots; /* names of those in the way, the broker's own included */
    size_t snapshot_count;
    const char **checkpoints; /* ids of checkpoints of the broker's that are still good */
    size_t checkpoint_count;
    const char **passthrough; /* devices of the host that the guest holds: they stay behind */
    size_t passthrough_count;
    bool fenced;
    bool agent; /* a guest agent or tools answer: file systems can be quiesced */
};

/* A new instance that waits for its disks: defined, fenced, never started. */
struct driver_shell_disk {
    const char *volume_id; /* stamp of the volume that it becomes; NULL: the instance's own */
    uint64_t size_bytes;   /* a multiple of 512; a driver may round up */
    bool high_performance;
    bool boot;
};

struct driver_shell_spec {
    const char *id; /* stamp: the moved instance's */
    const char *name;
    const char *architecture;
    unsigned vcpu;
    uint64_t memory_mb;
    enum driver_firmware firmware;
    const char *network; /* provider's name; NULL: no network card (a test boot's isolation) */
    const char *mac;     /* of the first card, kept from the source; NULL: the provider's choice */
    const struct driver_shell_disk *disks; /* in the guest's order; exactly one is the boot disk */
    size_t disk_count;                     /* 1–16 */
};

struct driver_test_spec {
    const char *id; /* stamp of the test instance */
    const char *name;
};

enum driver_access { DRIVER_READ, DRIVER_WRITE };

struct driver_export_spec {
    const char *id; /* UUID of this export */
    enum driver_access access;
    /* DRIVER_READ alone: a checkpoint (UUID) to make at the export's point in time, so that a later export
     * can tell what changed since; NULL: none. And one that an earlier export made, changes since which are
     * asked; NULL: everything. */
    const char *checkpoint, *since;
    bool quiesce; /* file systems frozen for the moment of the point in time, where a guest agent answers;
                     else crash-consistent, which is no error */
};

struct driver_extent {
    uint64_t offset, length;
};

/* One disk as an NBD export. Either `socket` (a unix socket on the broker's host) or `host` and `port`, over
 * which TLS is always required. */
struct driver_exported_disk {
    const char *disk; /* driver_disk.name */
    uint64_t size_bytes;
    const char *socket;
    const char *host;
    unsigned port;
    const char *tls_dir;     /* client certificates in QEMU's layout (ca-cert.pem, client-cert.pem,
                                client-key.pem); NULL with a socket */
    const char *export_name; /* "" is the default one */
    /* What changed since `since`: by an NBD meta context, or as a list, sorted, without overlap, complete.
     * Neither: full_reason says why. */
    const char *dirty_context;
    const struct driver_extent *changed;
    size_t changed_count;
    bool changed_known;
    const char *full_reason; /* why all must be read although `since` was given: "bitmap lost", "resized"… */
};

struct driver_export {
    struct driver_exported_disk *disks; /* all that are neither removable nor unreadable */
    size_t disk_count;
    bool quiesced;
    bool running; /* the instance runs meanwhile */
    /* DRIVER_READ: names the point in time, at most 63 bytes; under the same one the disks have the same
     * content. NULL: each opening is another one. */
    const char *moment;
};

/* The other side of a move that the hypervisors do among themselves. */
struct driver_move_spec {
    const char *id;                        /* UUID of the move */
    const struct driver_endpoint *target;  /* of the same driver; its secrets are resolved */
    const char *network;                   /* on the target; NULL: of the same name */
    bool high_performance;                 /* class of the system disk there */
    const struct driver_shell_disk *disks; /* the volumes among them are made on the target under their ids */
    size_t disk_count;
    uint64_t bandwidth;  /* bytes a second for the whole move; 0: no limit. ERR_UNSUPPORTED where none can be
                            kept */
    int64_t downtime_us; /* that the agreed window allows; 0: the hypervisor's default. A wish where the
                            hypervisor decides */
};

struct driver_move_report {
    int64_t elapsed_us;
    int64_t downtime_us; /* as the hypervisors measured it; −1: not told */
    uint64_t memory_bytes, disk_bytes;
    const char *ref;  /* of the instance on the target */
    const char *host; /* NULL: not told */
};

#endif
