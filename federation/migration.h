/* The life of a move: its states, what may happen in each, and what has to hold for that. Pure: the job
 * (migration_job.c), the API and the explorer in the tests ask the same functions; only migration_store.c
 * writes a state down.
 *
 *     assessed → consented → approved → copying ⇄ synced ⇄ testing
 *     synced → cutting-over → verifying → holding → committing → committed
 *     verifying, holding → rolling-back → rolled-back
 *     copying … cutting-over → cancelling → cancelled     assessed … approved → cancelled
 *     rolling-back, cancelling, committing → failed (a person is needed) → back to what failed
 *
 * cutting-over ends where the target is whole and verified and still fenced, so all before it can be
 * cancelled; from verifying on the target may run, so the way back is a rollback. */
#ifndef FEDERATION_MIGRATION_H
#define FEDERATION_MIGRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/base/error.h"
#include "broker/base/moment.h"

#define MIGRATION_STATES(X)                         \
    X(MIGRATION_ASSESSED, "assessed")               \
    X(MIGRATION_CONSENTED, "consented")             \
    X(MIGRATION_APPROVED, "approved")               \
    X(MIGRATION_COPYING, "copying")                 \
    X(MIGRATION_SYNCED, "synced")                   \
    X(MIGRATION_TESTING, "testing")                 \
    X(MIGRATION_CUTTING_OVER, "cutting-over")       \
    X(MIGRATION_VERIFYING, "verifying")             \
    X(MIGRATION_HOLDING, "holding")                 \
    X(MIGRATION_COMMITTING, "committing")           \
    X(MIGRATION_ROLLING_BACK, "rolling-back")       \
    X(MIGRATION_CANCELLING, "cancelling")           \
    X(MIGRATION_FAILED, "failed")                   \
    X(MIGRATION_COMMITTED, "committed") /* ended */ \
    X(MIGRATION_ROLLED_BACK, "rolled-back")         \
    X(MIGRATION_CANCELLED, "cancelled")

enum migration_state {
#define X(symbol, name) symbol,
    MIGRATION_STATES(X)
#undef X
        MIGRATION_STATE_COUNT
};
const char *migration_state_name(enum migration_state state);
/* MIGRATION_STATE_COUNT when there is none of that name. */
enum migration_state migration_state_find(const char *name);
bool migration_ended(enum migration_state state);

/* What happens. The first ones are people's words, the others what the job finds. */
#define MIGRATION_EVENTS(X)                                                                       \
    X(MIGRATION_EVENT_CONSENT, "consent")   /* the unit's consent is on file */                   \
    X(MIGRATION_EVENT_APPROVAL, "approval") /* all approvals that the policy asks are given */    \
    X(MIGRATION_EVENT_START, "start")                                                             \
    X(MIGRATION_EVENT_TEST, "test")                                                               \
    X(MIGRATION_EVENT_CUTOVER, "cutover")                                                         \
    X(MIGRATION_EVENT_ROLLBACK, "rollback")                                                       \
    X(MIGRATION_EVENT_COMMIT, "commit")                                                           \
    X(MIGRATION_EVENT_CANCEL, "cancel")                                                           \
    X(MIGRATION_EVENT_WITHDRAWN, "consent-withdrawn")                                             \
    X(MIGRATION_EVENT_SYNCED, "in-sync") /* the predicted downtime fits */                        \
    X(MIGRATION_EVENT_GREW, "behind")    /* it fits no longer */                                  \
    X(MIGRATION_EVENT_TESTED, "tested")                                                           \
    X(MIGRATION_EVENT_COPIED, "copied") /* the target is whole and verified, the source fenced */ \
    X(MIGRATION_EVENT_HEALTHY, "healthy")                                                         \
    X(MIGRATION_EVENT_UNHEALTHY, "unhealthy")                                                     \
    X(MIGRATION_EVENT_TOO_LATE, "too-late") /* cancelled, and it lives on the target by then */   \
    X(MIGRATION_EVENT_DONE, "done")                                                               \
    X(MIGRATION_EVENT_BROKEN, "broken") /* what had to be done failed for good */

enum migration_event {
#define X(symbol, name) symbol,
    MIGRATION_EVENTS(X)
#undef X
        MIGRATION_EVENT_COUNT
};
const char *migration_event_name(enum migration_event event);

/* How the data gets over, best first. */
#define MIGRATION_METHODS(X)                                                                       \
    X(MIGRATION_LIVE, "live")         /* the hypervisors move it running */                        \
    X(MIGRATION_MOBILITY, "mobility") /* partition mobility: the same between two HMCs */          \
    X(MIGRATION_WARM, "warm")         /* copied while it runs, the last changes while it is off */ \
    X(MIGRATION_COLD, "cold")         /* copied while it is off */

enum migration_method {
#define X(symbol, name) symbol,
    MIGRATION_METHODS(X)
#undef X
        MIGRATION_METHOD_COUNT
};
const char *migration_method_name(enum migration_method method);
/* MIGRATION_METHOD_COUNT when there is none of that name. */
enum migration_method migration_method_find(const char *name);
/* Whether the hypervisors do the copying and the switch themselves (move_run). */
bool migration_moves(enum migration_method method);
/* Whether it takes the definition along, so that nothing is left at the source to be fenced or started again:
 * the way back is another such move. */
bool migration_leaves_nothing(enum migration_method method);

/* One end as it was last seen. What is not known counts as the worse. */
struct migration_side {
    bool known;
    bool there; /* an object of the stamp exists */
    bool running;
    bool fenced;
};

/* What decisions rest on. */
struct migration_facts {
    enum migration_method method;
    bool assessed;                  /* an assessment is on file and nothing in it stands in the way */
    bool planned;                   /* the plan is written */
    bool way_back;                  /* so is the rollback plan */
    bool consented;                 /* a good consent covers this move now */
    bool approved;                  /* all approvals that the policy asks are given */
    bool window;                    /* the agreed window is open now and, where words are taken, the
                                       predicted downtime ends within it, if it is known; or none is agreed */
    moment window_until;            /* of an open one within which it does not; else 0 */
    bool accepted;                  /* the using unit has accepted the outcome */
    bool clean;                     /* no entry of the ledger is open */
    bool copied;                    /* the target has had a whole pass */
    bool stuck;                     /* passes do not get shorter any more */
    bool behind;                    /* synced: it is time for another pass */
    bool test_required;             /* by the terms: no cut-over unless the last test boot has passed */
    bool test_passed;               /* it has */
    bool convert;                   /* the guest is to be converted, and was not yet */
    bool torn;                      /* a conversion was begun, and nobody knows how far it came */
    int64_t predicted_us;           /* downtime if it were cut over now; −1: not known */
    int64_t agreed_us;              /* that is agreed; 0: any */
    enum migration_state failed_in; /* of a failed one: where */
    struct migration_side source, target;
};

/* The state that `event` leads to. ERR_CONFLICT when the state does not allow it or something that has to
 * hold does not, ERR_DENIED without a good consent; the message says what, for a person. */
struct error *migration_next(enum migration_state state, enum migration_event event,
                             const struct migration_facts *facts,
                             enum migration_state *ret_state) ERROR_MUST_USE;
/* Whether the table has that transition at all. */
bool migration_allows(enum migration_state state, enum migration_event event);

/* Whether the predicted downtime is known and within what is agreed. */
bool migration_fits(const struct migration_facts *facts);
/* Whether that end could run by itself or by an operator's ordinary start: it is there and not fenced, or
 * nobody knows. */
bool migration_able(const struct migration_side *side);
/* Off, and cannot be started. One that is not there cannot either. */
bool migration_safe(const struct migration_side *side);

#endif
