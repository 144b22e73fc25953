/* What a driver session of this driver holds, for the files of this folder. */
#ifndef DRIVERS_POWERVM_SESSION_H
#define DRIVERS_POWERVM_SESSION_H

#include <jansson.h>

#include "broker/base/json.h"
#include "drivers/driver.h"
#include "drivers/powervm/hmc.h"

#define POWERVM_SYSTEMS_MAX 64        /* names in the option managed_systems */
#define POWERVM_VCPU_MAX 64           /* of the option max_vcpu */
#define POWERVM_MEMORY_MAX_MB 1048576 /* of the option max_memory_mb */

/* The endpoint's options; README.md documents them. */
struct powervm_pools {
    const char *standard, *high;
};

struct powervm_options {
    struct json_texts managed_systems; /* empty: every one that the HMC manages */
    struct powervm_pools pools;
    int64_t units_per_vcpu; /* millionths of a processor */
    int64_t max_vcpu;
    int64_t max_memory_mb;
    bool thin;
};

struct driver_session {
    struct hmc *hmc;
    struct arena *arena; /* the options' */
    struct powervm_options options;
    json_t *seen; /* partition id → stamp, of instances that watch has told of */
    bool listed;  /* watch has told of everything once and missed nothing since */
};

/* Reads and checks the options (unknown members and bad values are ERR_INVALID) and logs on. */
struct error *powervm_open(const struct driver_endpoint *endpoint, const struct driver_call *call,
                           struct driver_session **ret_session) ERROR_MUST_USE;
/* Logs off and frees; accepts NULL. */
void powervm_close(struct driver_session *session);

#endif
