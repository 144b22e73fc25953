/* What handlers (http_call.context) and jobs (job.context) of this floor get from the composition root. */
#ifndef BROKER_CONTROL_SERVICES_H
#define BROKER_CONTROL_SERVICES_H

#include "metering/services.h"

struct services {
    struct metering_services metering; /* first: the floor below sees its own part alone */
    struct auth *auth;
    struct fleet *fleet;
    struct clock *clock;
    const char *key_dir;
};

#endif
