/* What handlers and jobs of this floor get from the composition root. */
#ifndef FEDERATION_SERVICES_H
#define FEDERATION_SERVICES_H

#include <stdint.h>

#include "broker/control/services.h"
#include "federation/transfer_child.h"

struct links;

struct federation_services {
    struct services control;        /* first: the floor below sees its own part alone */
    struct links *links;            /* that passes share */
    const char *copy_dir;           /* manifests of copies; made when missing */
    int64_t copy_stall_us;          /* without an answer, until a copy is begun again; 0: the engine's own */
    const char *conversion;         /* of guests that move to another kind of hypervisor: "off", "auto" or
                                       "required" */
    const char *conversion_program; /* absolute path */
    int64_t conversion_timeout_us;
    const char *migration_approvals; /* who approves a move: "none", "unit" or "unit+platform" */
    const char *transfer_dir;        /* a folder for each export and import; made when missing */
    int64_t transfer_space;          /* bytes that all of them may have */
    int64_t transfer_unit_space;     /* and those of one unit of it */
    int64_t transfer_keep_us;        /* files are removed after so long */
    struct transfer_user transfer_user;
};

#endif
