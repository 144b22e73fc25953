/* What the job of a stored wave does with one of its hosts: each a transaction of its own, so that a broker
 * that dies has either done it, with its record, or not at all. In the name of who let the wave run, and only
 * while that one's role and scope allow it. */
#ifndef FEDERATION_WAVE_ACT_H
#define FEDERATION_WAVE_ACT_H

#include "broker/jobs/job.h"
#include "federation/wave_sight.h"

#define WAVE_ACTS(X)                                                       \
    X(WAVE_ACT_PLAN, "plan")     /* a migration for it */                  \
    X(WAVE_ACT_SETTLE, "settle") /* whether its papers are there by now */ \
    X(WAVE_ACT_START, "start")                                             \
    X(WAVE_ACT_CUTOVER, "cutover")                                         \
    X(WAVE_ACT_CANCEL, "cancel") /* its move, as far as that can be cancelled */

enum wave_act {
#define X(symbol, name) symbol,
    WAVE_ACTS(X)
#undef X
        WAVE_ACT_COUNT
};

struct wave_acting {
    struct job *job;
    struct arena *arena;
    const struct wave_sight *sight;
    size_t member;
    enum wave_act act;
    const char *denied; /* out: why nothing may be done in that name any more; NULL: it may */
};

/* ERR_STALE when wave or move is not what the sight shows. What forbids it for now, and what may yet come, is
 * noted with the host and is no error; *ret_done: it was done. */
struct error *wave_do(struct wave_acting *acting, bool *ret_done) ERROR_MUST_USE;

#endif
