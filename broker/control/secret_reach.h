/* Which secrets an endpoint may name. Whoever writes endpoints says where a secret is sent, so the reach of a
 * reference is kept by the one who runs the broker: never the broker's own keys and settings, and, when a
 * folder is set, files in it alone. */
#ifndef BROKER_CONTROL_SECRET_REACH_H
#define BROKER_CONTROL_SECRET_REACH_H

#include "broker/base/error.h"

struct secret_reach {
    const char *own;    /* the broker's data: nothing in it; NULL: no such folder */
    const char *within; /* files in it alone; NULL: anywhere else */
};

/* The form of the reference (secret_check) and its reach, links followed when the file is there. The reach is
 * asked when an endpoint is written and again when the secret is read. ERR_INVALID; it does not tell whether
 * there is such a file. */
struct error *secret_reach_check(const struct secret_reach *reach, const char *reference) ERROR_MUST_USE;

#endif
