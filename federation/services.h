/* What handlers and jobs of this floor get from the composition root. */
#ifndef FEDERATION_SERVICES_H
#define FEDERATION_SERVICES_H

#include "broker/control/services.h"

struct links;

struct federation_services {
    struct services control;         /* first: the floor below sees its own part alone */
    struct links *links;             /* that passes share */
    const char *copy_dir;            /* manifests of copies; made when missing */
    const char *migration_approvals; /* who approves a move: "none", "unit" or "unit+platform" */
};

#endif
