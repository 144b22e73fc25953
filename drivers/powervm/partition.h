/* Logical partitions: finding, making, changing and powering them. */
#ifndef DRIVERS_POWERVM_PARTITION_H
#define DRIVERS_POWERVM_PARTITION_H

#include "drivers/powervm/system.h"

struct partition {
    const char *id, *name;
    const char *stamp; /* the broker's id; NULL: not the broker's */
    const char *system;
    const char *state, *address;
    bool active;    /* anything but "not activated" */
    bool rmc;       /* dynamic changes are possible */
    bool autostart; /* with its system */
    unsigned vcpu;
    uint64_t memory_mb;
    int64_t units; /* processing units, or processors of its own, in millionths */
    const char *description;
    const char *mode; /* processor compatibility mode in use; NULL: not told */
    const char *os;   /* version that the guest told; NULL */
    bool physical;    /* holds adapters of its system */
    bool migrating;   /* on its way to another system, or stuck there */
    bool stuck;       /* the migration failed and waits to be recovered */
    int percent;      /* of the migration */
};

struct partitions {
    struct partition *items;
    size_t count;
};

struct error *partition_list(struct driver_session *session, const struct driver_call *call,
                             const struct system *system, struct partitions *ret_partitions) ERROR_MUST_USE;
/* By the hint if it holds, else by the stamp's name on the systems of the options. ERR_NOT_FOUND. */
struct error *partition_find(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key, struct partition *ret_partition) ERROR_MUST_USE;
struct error *partition_get(struct driver_session *session, const struct driver_call *call, const char *id,
                            struct partition *ret_partition) ERROR_MUST_USE;
/* Whether its system is one that the options name. */
struct error *partition_is_here(struct driver_session *session, const struct driver_call *call,
                                const struct partition *partition, bool *ret_here) ERROR_MUST_USE;
/* Its own description and whether it starts with its system. */
struct error *partition_describe(struct driver_session *session, const struct driver_call *call,
                                 const struct partition *partition, const char *description,
                                 bool autostart) ERROR_MUST_USE;
/* Made, not activated. ERR_EXISTS when the name is taken on the system. */
struct error *partition_create(struct driver_session *session, const struct driver_call *call,
                               const struct system *system, const struct driver_instance_spec *spec,
                               struct partition *ret_partition) ERROR_MUST_USE;
/* Gives it a network adapter in the VLAN of the network unless it has one already. */
struct error *partition_connect(struct driver_session *session, const struct driver_call *call,
                                const struct partition *partition,
                                const struct network *network) ERROR_MUST_USE;
/* Processors and memory; ERR_CONFLICT when it is active without RMC connection. */
struct error *partition_resize(struct driver_session *session, const struct driver_call *call,
                               const struct partition *partition, unsigned vcpu,
                               uint64_t memory_mb) ERROR_MUST_USE;
/* On already is success. */
struct error *partition_power_on(struct driver_session *session, const struct driver_call *call,
                                 const struct partition *partition) ERROR_MUST_USE;
/* Off already is success. `orderly` asks the guest, which needs RMC. */
struct error *partition_power_off(struct driver_session *session, const struct driver_call *call,
                                  const struct partition *partition, bool orderly,
                                  bool restart) ERROR_MUST_USE;
struct error *partition_delete(struct driver_session *session, const struct driver_call *call,
                               const struct partition *partition) ERROR_MUST_USE;

enum driver_power partition_power(const struct partition *partition);

#endif
