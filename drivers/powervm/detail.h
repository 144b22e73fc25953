/* The contract's instance_detail; see drivers/driver.h. */
#ifndef DRIVERS_POWERVM_DETAIL_H
#define DRIVERS_POWERVM_DETAIL_H

#include "drivers/driver_move.h"
#include "drivers/powervm/partition.h"

/* A network adapter of a partition. */
struct adapter {
    unsigned vlan;
    const char *mac; /* "fa:16:…"; NULL: not told */
};

struct adapters {
    struct adapter *items;
    size_t count;
};

struct error *detail_adapters(struct driver_session *session, const struct driver_call *call,
                              const struct partition *partition,
                              struct adapters *ret_adapters) ERROR_MUST_USE;

struct error *detail_read(struct driver_session *session, const struct driver_call *call,
                          const struct driver_key *key, struct driver_detail *ret_detail) ERROR_MUST_USE;

#endif
