/* The driver contract: what a provider's hypervisor manager can be asked, in the broker's words. The one
 * public contract of the house: a driver file reads top-down and ends in its `const struct driver` table.
 *
 * A driver is called only through drivers/gate.h, which checks arguments, limits concurrency and rate,
 * retries what is safe and opens a breaker. A session is used by one thread at a time; several sessions of
 * one endpoint may live at once.
 *
 * Identity. Every object that the broker makes is stamped with the broker's own id (a UUID, lower case, 36
 * characters) in a place that survives on the provider's side (domain UUID, extraConfig, partition name…),
 * and every create looks that stamp up first: creating what exists already returns the existing object,
 * finishing it when it is half made. Deleting what is gone is success. So every operation may be repeated
 * after a crash with an unknown outcome.
 *
 * Errors use broker/base/error.h codes only from this set, with the provider's own code kept in the message:
 * ERR_NOT_FOUND, ERR_EXISTS, ERR_BUSY, ERR_DENIED, ERR_UNAVAILABLE, ERR_TIMEOUT, ERR_INVALID,
 * ERR_NO_CAPACITY, ERR_UNSUPPORTED, ERR_CONFLICT (state forbids it), ERR_CANCELLED, ERR_INTERNAL.
 *
 * Memory. Everything returned lives in call->arena. Inputs are borrowed for the call. */
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

#define DRIVER_ABI 4

/* What a driver can do beyond the mandatory operations; inventory and life cycle of instances are mandatory.
 */
enum driver_capability {
    DRIVER_CAN_VOLUMES = 1u << 0,        /* volume_* operations */
    DRIVER_CAN_CONSOLE = 1u << 1,        /* instance_console */
    DRIVER_CAN_WATCH = 1u << 2,          /* watch: state is event-driven; without it the broker polls */
    DRIVER_CAN_RESIZE_RUNNING = 1u << 3, /* CPU and memory change without a stop */
    DRIVER_CAN_ATTACH_RUNNING = 1u << 4, /* volumes attach and detach without a stop */
    DRIVER_CAN_GROW_ATTACHED = 1u << 5,  /* a volume grows while attached */
    DRIVER_CAN_DETAIL = 1u << 6,         /* instance_detail */
    DRIVER_CAN_SNAPSHOT = 1u << 7,       /* snapshot_* */
    DRIVER_CAN_READ_DISKS = 1u << 8,     /* export_* for reading, running or stopped */
    DRIVER_CAN_TRACK_CHANGES = 1u << 9,  /* checkpoints: an export tells what changed since an earlier one */
    DRIVER_CAN_WRITE_DISKS = 1u << 10,   /* instance_prepare, export_* for writing */
    DRIVER_CAN_FENCE = 1u << 11,         /* instance_fence, instance_release */
    DRIVER_CAN_MOVE = 1u << 12,          /* move_*: live, between two endpoints of this driver */
    DRIVER_CAN_TEST = 1u << 13,          /* test_create: test boots of instances that wait for a cut-over */
    /* What is written lies on the broker's host until the export is closed with `keep`, which then takes as
     * long as writing all of every disk: who writes several times leaves the export open meanwhile. */
    DRIVER_STAGES_WRITES = 1u << 14,
};

/* Where the driver connects. Strings are borrowed from the gate and outlive the session. */
struct driver_endpoint {
    const char *id; /* the broker's endpoint id, for messages */
    const char
        *url; /* "qemu+unix:///system?socket=…", "https://vc.example:443/sdk", "https://hmc.example:12443" */
    const char *username;    /* NULL when the scheme needs none */
    const char *password;    /* resolved from the secret reference; NULL when none. Never logged. */
    const char *ca_file;     /* PEM bundle to verify the peer with; NULL: the system's */
    const char *fingerprint; /* SHA-256 of the peer's certificate, 64 lower-case hex digits: pins a
                                self-signed one; NULL: verify by CA */
    const json_t *options;   /* object, the driver's own settings (documented in its README); unknown members
                                are ERR_INVALID at open */
    int64_t timeout_us;      /* for one round trip; an operation may take several */
};

/* Passed to every operation. */
struct driver_call {
    struct arena *arena; /* results live here */
    int64_t deadline_us; /* monotonic microseconds (moment_monotonic); the operation returns ERR_TIMEOUT soon
                            after */
    /* Told of progress, 0–100 within this operation; may be NULL. Returns false to ask for cancellation: the
     * driver stops at the next point where nothing is left half-made that a repeat would not finish, and
     * returns ERR_CANCELLED. */
    bool (*progress)(void *context, int percent, const char *step);
    void *context;
};

enum driver_power {
    DRIVER_POWER_UNKNOWN,
    DRIVER_POWER_ON,
    DRIVER_POWER_OFF,
    DRIVER_POWER_SUSPENDED,
    DRIVER_POWER_ERROR
};

/* How an object is named in a call: the stamp, and the provider's reference as returned earlier (a hint that
 * is verified; NULL when not known). */
struct driver_key {
    const char *id;
    const char *ref;
};

struct driver_instance_spec {
    const char *id; /* stamp */
    const char
        *name; /* wanted display name, [a-z0-9-]{1,63}; a driver may derive a unique one from it and the id */
    const char *architecture; /* "x86", "ARM", "C86", "POWER" */
    unsigned vcpu;            /* 1–16 (procurement 3.2.1.1) */
    uint64_t memory_mb;       /* 1024–65536 */
    const char *image;        /* the provider's name of the image, template or boot volume */
    unsigned system_disk_gb;  /* ≥ the image's own size */
    bool high_performance;    /* storage class of the system disk: items 1011 (false) or 1012 (true) */
    const char *network;      /* the provider's name of the network of the zone */
    const char *user_data;    /* NULL or text handed to the guest where the provider can */
};

struct driver_instance {
    const char *id;   /* the stamp, or NULL: not made by the broker */
    const char *ref;  /* provider's reference, stable while the object lives */
    const char *name; /* provider's name */
    enum driver_power power;
    unsigned vcpu;
    uint64_t memory_mb;
    const char *architecture; /* NULL when not known */
    const char *host;         /* provider's host name; NULL when not placed */
    const char *address;      /* first IP address known; NULL */
    const char *detail;       /* provider's own state word */
};

struct driver_volume_spec {
    const char *id;
    const char *name;
    unsigned size_gb; /* steps of 1 GB (procurement 3.2.1.4) */
    bool high_performance;
};

struct driver_volume {
    const char *id;
    const char *ref;
    const char *name;
    unsigned size_gb;
    const char *instance_ref; /* where it is attached; NULL: nowhere */
    const char *pool;
};

struct driver_host {
    const char *ref;
    const char *name;
    const char *architecture;
    unsigned cores; /* physical cores that guests may use */
    unsigned mhz;   /* 0: not known */
    uint64_t memory_mb;
    bool usable; /* connected, not in maintenance */
};

struct driver_pool {
    const char *ref;
    const char *name;
    bool high_performance; /* by the endpoint's options */
    uint64_t total_gb, free_gb;
};

struct driver_network {
    const char *ref;
    const char *name;
};

struct driver_image {
    const char *ref;
    const char *name;
    const char *architecture; /* NULL: not known */
    unsigned size_gb;         /* rounded up; 0: not known */
};

struct driver_inventory {
    struct driver_host *hosts;
    size_t host_count;
    struct driver_pool *pools;
    size_t pool_count;
    struct driver_network *networks;
    size_t network_count;
    struct driver_image *images;
    size_t image_count;
    struct driver_instance *instances;
    size_t instance_count;
    struct driver_volume *volumes;
    size_t volume_count;
};

/* Totals of what the endpoint offers and what is allocated to guests, the broker's or not, running or not. */
struct driver_capacity {
    unsigned cores_total; /* physical; vCPU sold may be 4 × this on average (procurement 3.1.3, item 1001) */
    unsigned vcpu_allocated;
    uint64_t memory_mb_total; /* memory is never over-committed (procurement 3.2.1.1) */
    uint64_t memory_mb_allocated;
    uint64_t standard_gb_total, standard_gb_allocated;
    uint64_t high_gb_total, high_gb_allocated;
    unsigned architectures; /* bits of enum driver_architecture */
};

enum driver_architecture {
    DRIVER_X86 = 1u << 0,
    DRIVER_ARM = 1u << 1,
    DRIVER_C86 = 1u << 2,
    DRIVER_POWER = 1u << 3
};

struct driver_about {
    const char *product;  /* "libvirt 9.0.0 / QEMU 7.2", "VMware vCenter Server 6.5.0" */
    const char *identity; /* what tells this peer from another one; may repeat across clouds in tests */
};

/* One instance whose state changed. `gone` when it was deleted. */
struct driver_change {
    const char *id;
    const char *ref;
    enum driver_power power;
    bool gone;
};

struct driver_session; /* the driver's own */

/* Of drivers/driver_move.h, which has the rules of moving. */
struct driver_detail;
struct driver_shell_spec;
struct driver_export_spec;
struct driver_export;
struct driver_move_spec;
struct driver_move_report;
struct driver_test_spec;

/* Where a moved instance lives. SOURCE: nothing of the move is left on the target; TARGET: the source is off
 * and fenced, or gone. */
enum driver_side { DRIVER_SIDE_SOURCE, DRIVER_SIDE_TARGET };

struct driver {
    unsigned abi;          /* DRIVER_ABI */
    const char *name;      /* "kvm", "vmware", "powervm" */
    const char *summary;   /* one line for people */
    unsigned capabilities; /* bits of enum driver_capability */
    unsigned max_sessions; /* of one endpoint at once; 0: 4 */

    /* Connects and logs in. Certificates are verified; a wrong one is ERR_DENIED that says so. */
    struct error *(*open)(const struct driver_endpoint *endpoint, const struct driver_call *call,
                          struct driver_session **ret_session);
    /* Logs out and frees; never fails, bounded in time. */
    void (*close)(struct driver_session *session);
    /* Cheap check that the session still works. */
    struct error *(*ping)(struct driver_session *session, const struct driver_call *call);
    struct error *(*about)(struct driver_session *session, const struct driver_call *call,
                           struct driver_about *ret_about);
    struct error *(*inventory)(struct driver_session *session, const struct driver_call *call,
                               struct driver_inventory *ret_inventory);
    struct error *(*capacity)(struct driver_session *session, const struct driver_call *call,
                              struct driver_capacity *ret_capacity);

    /* ERR_NOT_FOUND when there is none with this stamp. */
    struct error *(*instance_find)(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, struct driver_instance *ret_instance);
    /* Made and powered on. Idempotent by spec->id. On a failure that is not going to heal the driver removes
     * what it made. */
    struct error *(*instance_create)(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_instance_spec *spec,
                                     struct driver_instance *ret_instance);
    /* Already on (off) is success. stop: asks the guest first for `grace_us`, then cuts the power; 0 cuts at
     * once. */
    struct error *(*instance_start)(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key);
    struct error *(*instance_stop)(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, int64_t grace_us);
    struct error *(*instance_reboot)(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key);
    /* To exactly this vCPU and memory. When the provider can only do it stopped and the instance runs:
     * ERR_CONFLICT. */
    struct error *(*instance_resize)(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, unsigned vcpu, uint64_t memory_mb);
    /* With its system disk; attached volumes are detached and kept. Gone already is success. */
    struct error *(*instance_delete)(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key);
    /* The last at most `limit` bytes that the guest wrote on its first serial console. */
    struct error *(*instance_console)(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_key *key, size_t limit, const char **ret_text,
                                      size_t *ret_length);

    struct error *(*volume_find)(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, struct driver_volume *ret_volume);
    struct error *(*volume_create)(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_volume_spec *spec, struct driver_volume *ret_volume);
    /* Attached there already is success; attached elsewhere is ERR_CONFLICT. */
    struct error *(*volume_attach)(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume, const struct driver_key *instance);
    struct error *(*volume_detach)(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume, const struct driver_key *instance);
    /* Grows only; the same size is success, a smaller one ERR_INVALID. */
    struct error *(*volume_resize)(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume, unsigned size_gb);
    /* ERR_CONFLICT while attached. Gone already is success. */
    struct error *(*volume_delete)(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume);

    /* Waits until instances changed or the call's deadline (then: success, none). The first call after open
     * may return everything. ERR_UNAVAILABLE: changes may have been missed, take a full inventory. */
    struct error *(*watch)(struct driver_session *session, const struct driver_call *call,
                           struct driver_change **ret_changes, size_t *ret_count);

    /* --- moving (drivers/driver_move.h) --- */

    struct error *(*instance_detail)(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, struct driver_detail *ret_detail);

    /* Of all disks at one moment; `name` is of [a-z0-9-]{1,63}. There already is success; so is deleting what
     * is gone. `quiesce`: file systems are frozen for it where a guest agent answers. Revert wants the
     * instance stopped (ERR_CONFLICT). */
    struct error *(*snapshot_create)(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, const char *name, bool quiesce);
    struct error *(*snapshot_revert)(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, const char *name);
    struct error *(*snapshot_delete)(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, const char *name);

    /* Reading works while it runs (a point in time) and while it is stopped. Writing wants it stopped and
     * fenced (ERR_CONFLICT). An export of another id that is open on the instance is ERR_BUSY. */
    struct error *(*export_open)(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_export_spec *spec,
                                 struct driver_export *ret_export);
    /* `keep`: of a read one, its checkpoint stays for the next delta; of a written one, what was written is
     * made lasting (uploaded, where it was staged) and otherwise thrown away where it can be. Not open (any
     * more) is success for a read one and for `keep` false; a staged write that was lost is ERR_NOT_FOUND. */
    struct error *(*export_close)(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *export_id, bool keep);
    /* Forgets a checkpoint; gone is success. */
    struct error *(*checkpoint_delete)(struct driver_session *session, const struct driver_call *call,
                                       const struct driver_key *key, const char *checkpoint);

    /* Makes the instance of that stamp, its disks empty (they read as zeros), fenced. Idempotent; one that is
     * there and not fenced is ERR_EXISTS. instance_delete removes it, with those of its volumes that are
     * still part of an unreleased shell. */
    struct error *(*instance_prepare)(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_shell_spec *spec,
                                      struct driver_instance *ret_instance);
    /* ERR_CONFLICT while it runs. Fenced (released) already is success. */
    struct error *(*instance_fence)(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key);
    struct error *(*instance_release)(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_key *key);

    /* Makes a test instance, off, from one that is off and fenced and of which no export is open
     * (ERR_CONFLICT): drivers/driver_move.h, "Test boots". There already is success, and what a network of
     * its own lacks is made again. ERR_NO_CAPACITY: the provider has no room for a second one. */
    struct error *(*test_create)(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_test_spec *spec,
                                 struct driver_instance *ret_instance);

    /* Whether move_run would be accepted, without changing anything: ERR_CONFLICT, ERR_UNSUPPORTED,
     * ERR_NO_CAPACITY with the reason. */
    struct error *(*move_validate)(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, const struct driver_move_spec *spec);
    /* Moves it running. Afterwards it lives on the target and is off and fenced on the source, whose
     * definition and disks are kept, or gone from there where the provider's mobility leaves nothing
     * (drivers/driver_move.h, "What a move leaves behind"). Cancelled too late is success. Cancelled
     * (call->progress) or failed: it lives on the source, and what was made on the target is removed.
     * ERR_UNAVAILABLE and ERR_TIMEOUT: nobody knows, ask move_settle. */
    struct error *(*move_run)(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, const struct driver_move_spec *spec,
                              struct driver_move_report *ret_report);
    /* After an unknown outcome or a crash: finishes or takes back what is half done, and says where the
     * instance lives. Never leaves two that run. With `abort` a move that still runs is stopped first.
     * ERR_BUSY while one runs and `abort` is false. */
    struct error *(*move_settle)(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_move_spec *spec,
                                 bool abort, enum driver_side *ret_side);
};

#endif
