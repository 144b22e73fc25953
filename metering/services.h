/* What billing gets from the composition root: http_call.context of the whole house begins with it. */
#ifndef METERING_SERVICES_H
#define METERING_SERVICES_H

struct auth;

struct metering_services {
    struct auth *auth;       /* signs bills; NULL: they stay unsigned (tests) */
    unsigned rate_workers;   /* connections that rate a month side by side; 0 or 1: the caller's own alone */
    const char *archive_dir; /* of archives; NULL: none are made here */
};

#endif
