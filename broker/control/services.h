/* What handlers (http_call.context) and jobs (job.context) of this floor get from the composition root. */
#ifndef BROKER_CONTROL_SERVICES_H
#define BROKER_CONTROL_SERVICES_H

struct services {
    struct auth *auth;
    struct fleet *fleet;
    struct clock *clock;
    const char *key_dir;
};

#endif
