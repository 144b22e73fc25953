/* Managed systems and what they offer to partitions: room, Virtual I/O Servers, virtual networks. */
#ifndef DRIVERS_POWERVM_SYSTEM_H
#define DRIVERS_POWERVM_SYSTEM_H

#include "drivers/powervm/session.h"

struct system {
    const char *id, *name;
    bool operating;
    /* filled by system_measure */
    int64_t memory_mb;      /* that partitions may have in sum: without the hypervisor's and the Virtual I/O
                               Servers' */
    int64_t memory_free_mb; /* available at present */
    int64_t units;          /* same for processors, in millionths */
    int64_t units_free;
    int64_t region_mb;  /* memory comes in multiples of it */
    const char **modes; /* processor compatibility modes */
    size_t mode_count;
    bool mover; /* a Virtual I/O Server of it can move running partitions */
    /* migrations that it supports at once and those under way, of running and of inactive partitions */
    int64_t active_max, active_now, inactive_max, inactive_now;
};

struct systems {
    struct system *items;
    size_t count;
};

struct network {
    const char *id, *name;
    const char *switch_href;
    unsigned vlan;
};

struct networks {
    struct network *items;
    size_t count;
};

/* The systems that the options name (all without), by the cheap quick list. ERR_NOT_FOUND when a named one is
 * missing. */
struct error *system_list(struct driver_session *session, const struct driver_call *call,
                          struct systems *ret_systems) ERROR_MUST_USE;
struct error *system_measure(struct driver_session *session, const struct driver_call *call,
                             struct system *system) ERROR_MUST_USE;
struct error *system_networks(struct driver_session *session, const struct driver_call *call,
                              const struct system *system, struct networks *ret_networks) ERROR_MUST_USE;
/* NULL when it is not among them. */
const struct system *system_find(const struct systems *systems, const char *id);

#endif
