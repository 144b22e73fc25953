/* Following one property of one object until it is as wanted: a collector and a filter of its own, answered
 * by the peer when something changed, so that waiting costs no polling. */
#ifndef DRIVERS_VMWARE_FOLLOW_H
#define DRIVERS_VMWARE_FOLLOW_H

#include "drivers/vmware/property.h"

/* Judges a value of the property; sets *ret_ended when it is as wanted. An error ends the following. */
typedef struct error *follow_judge(void *context, const xmlNode *value, bool *ret_ended);

struct follow {
    struct driver_session *session;
    const struct driver_call *call;
    struct moref ref;
    struct property_set set; /* of one path */
    const char *step;        /* for messages */
    int64_t until_us;        /* monotonic; then ERR_TIMEOUT. At most the call's deadline. */
    follow_judge *judge;
    void *context;
};

/* ERR_UNAVAILABLE when the session ended meanwhile and took the collector along. */
struct error *follow_until(const struct follow *follow) ERROR_MUST_USE;

#endif
