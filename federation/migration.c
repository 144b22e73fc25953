/* The states of a move and the table of what leads from one to another; see migration.h. */
#include "federation/migration.h"

#include <string.h>

#define NAMES(list, X_NAME) \
    {                       \
        list(X_NAME)        \
    }
#define X_NAME(symbol, name) [symbol] = name,
static const char *const state_names[] = NAMES(MIGRATION_STATES, X_NAME);
static const char *const event_names[] = NAMES(MIGRATION_EVENTS, X_NAME);
static const char *const method_names[] = NAMES(MIGRATION_METHODS, X_NAME);
#undef X_NAME

/* `count` when no name is it. */
static int find_name(const char *const *names, int count, const char *name)
{
    int i = 0;
    while (i < count && strcmp(names[i], name) != 0)
        i++;
    return i;
}

const char *migration_state_name(enum migration_state state)
{
    return state_names[state];
}

enum migration_state migration_state_find(const char *name)
{
    return (enum migration_state)find_name(state_names, MIGRATION_STATE_COUNT, name);
}

bool migration_ended(enum migration_state state)
{
    return state >= MIGRATION_COMMITTED;
}

const char *migration_event_name(enum migration_event event)
{
    return event_names[event];
}

const char *migration_method_name(enum migration_method method)
{
    return method_names[method];
}

enum migration_method migration_method_find(const char *name)
{
    return (enum migration_method)find_name(method_names, MIGRATION_METHOD_COUNT, name);
}

bool migration_moves(enum migration_method method)
{
    return method == MIGRATION_LIVE || method == MIGRATION_MOBILITY;
}

bool migration_leaves_nothing(enum migration_method method)
{
    return method == MIGRATION_MOBILITY;
}

bool migration_fits(const struct migration_facts *facts)
{
    return !facts->agreed_us || (facts->predicted_us >= 0 && facts->predicted_us <= facts->agreed_us);
}

bool migration_able(const struct migration_side *side)
{
    return !side->known || (side->there && !side->fenced);
}

bool migration_safe(const struct migration_side *side)
{
    return side->known && (!side->there || (side->fenced && !side->running));
}

/* Nothing is left at the source because all of it is at the target. */
static bool went_along(const struct migration_facts *facts)
{
    return migration_leaves_nothing(facts->method) && facts->target.known && facts->target.there;
}

/* What has to hold, and what a person is told when it does not. */
#define NEEDS(X)                                                                                             \
    X(NEED_ASSESSMENT, ERR_CONFLICT, "nothing is moved without an assessment that finds no obstacle",        \
      facts->assessed)                                                                                       \
    X(NEED_PLAN, ERR_CONFLICT, "the plan has to be written first (procurement 4.1.3.3)", facts->planned)     \
    X(NEED_WAY_BACK, ERR_CONFLICT, "the rollback plan has to be written first (procurement 4.1.3.3)",        \
      facts->way_back)                                                                                       \
    X(NEED_CONSENT, ERR_DENIED, "the unit has not consented to its data leaving the site (procurement 2.5)", \
      facts->consented)                                                                                      \
    X(NEED_APPROVALS, ERR_CONFLICT, "approvals are missing", facts->approved)                                \
    X(NEED_WINDOW, ERR_CONFLICT, "the agreed window is not open", facts->window)                             \
    X(NEED_FIT, ERR_CONFLICT, "the predicted downtime is longer than what is agreed", migration_fits(facts)) \
    X(NEED_COPY, ERR_CONFLICT,                                                                               \
      "by the methods live and mobility the hypervisors copy and switch in one: before that there is "       \
      "nothing to boot",                                                                                     \
      !migration_moves(facts->method))                                                                       \
    X(NEED_COPY_BEFORE, ERR_CONFLICT,                                                                        \
      "by the method cold the disks are copied at the cut-over: before that there is nothing to boot",       \
      facts->method != MIGRATION_COLD)                                                                       \
    X(NEED_TEST, ERR_CONFLICT,                                                                               \
      "the terms want a test boot, and the last one has not passed or there is none",                        \
      !facts->test_required || facts->test_passed)                                                           \
    X(NEED_SOURCE, ERR_CONFLICT, "the source is not there any more",                                         \
      source->known && (source->there || went_along(facts)))                                                 \
    X(NEED_SOURCE_SAFE, ERR_CONFLICT, "the source is not known to be off and fenced",                        \
      (source->there || went_along(facts)) && migration_safe(source))                                        \
    X(NEED_TARGET_LIVE, ERR_CONFLICT, "the target does not live: it is missing or fenced",                   \
      target->known && target->there && !target->fenced)                                                     \
    X(NEED_ACCEPTANCE, ERR_CONFLICT, "the using unit has not accepted the outcome (procurement 4.1.3.1)",    \
      facts->accepted)                                                                                       \
    X(NEED_CLEAN, ERR_CONFLICT, "something that was made for the move is not removed yet", facts->clean)     \
    X(NEED_FAILED_ROLLBACK, ERR_CONFLICT, "it was not a rollback that failed",                               \
      facts->failed_in == MIGRATION_ROLLING_BACK)                                                            \
    X(NEED_FAILED_CANCEL, ERR_CONFLICT, "it was not a cancellation that failed",                             \
      facts->failed_in == MIGRATION_CANCELLING)                                                              \
    X(NEED_FAILED_COMMIT, ERR_CONFLICT, "it was not a commit that failed",                                   \
      facts->failed_in == MIGRATION_COMMITTING)

enum need {
#define X(symbol, code, text, holds) symbol,
    NEEDS(X)
#undef X
        NEED_COUNT
};

static bool need_holds(enum need need, const struct migration_facts *facts)
{
    const struct migration_side *source = &facts->source, *target = &facts->target;
    switch (need) {
#define X(symbol, code, text, holds) \
    case symbol:                     \
        return holds;
        NEEDS(X)
#undef X
    case NEED_COUNT:
        break;
    }
    return false;
}

static const struct {
    enum error_code code;
    const char *text;
} need_told[] = {
#define X(symbol, code, text, holds) [symbol] = {code, text},
    NEEDS(X)
#undef X
};

#define BIT(need) (1u << (need))
#define PAPERS \
    (BIT(NEED_ASSESSMENT) | BIT(NEED_PLAN) | BIT(NEED_WAY_BACK) | BIT(NEED_CONSENT) | BIT(NEED_APPROVALS))

struct transition {
    enum migration_state from;
    enum migration_event event;
    enum migration_state to;
    unsigned needs; /* bits of enum need */
};

#define T(from, event, to, needs)                                        \
    {                                                                    \
        MIGRATION_##from, MIGRATION_EVENT_##event, MIGRATION_##to, needs \
    }
static const struct transition transitions[] = {
    T(ASSESSED, CONSENT, CONSENTED, BIT(NEED_ASSESSMENT) | BIT(NEED_CONSENT)),
    T(ASSESSED, CANCEL, CANCELLED, BIT(NEED_CLEAN)),
    T(CONSENTED, APPROVAL, APPROVED, BIT(NEED_CONSENT) | BIT(NEED_APPROVALS)),
    T(CONSENTED, WITHDRAWN, ASSESSED, 0),
    T(CONSENTED, CANCEL, CANCELLED, BIT(NEED_CLEAN)),
    T(APPROVED, START, COPYING, PAPERS | BIT(NEED_SOURCE)),
    T(APPROVED, WITHDRAWN, ASSESSED, 0),
    T(APPROVED, CANCEL, CANCELLED, BIT(NEED_CLEAN)),
    T(COPYING, SYNCED, SYNCED, BIT(NEED_CONSENT) | BIT(NEED_FIT)),
    T(COPYING, WITHDRAWN, CANCELLING, 0),
    T(COPYING, CANCEL, CANCELLING, 0),
    T(COPYING, BROKEN, CANCELLING, 0),
    T(SYNCED, GREW, COPYING, 0),
    T(SYNCED, TEST, TESTING, BIT(NEED_CONSENT) | BIT(NEED_COPY) | BIT(NEED_COPY_BEFORE)),
    T(SYNCED, CUTOVER, CUTTING_OVER, PAPERS | BIT(NEED_WINDOW) | BIT(NEED_FIT) | BIT(NEED_TEST)),
    T(SYNCED, WITHDRAWN, CANCELLING, 0),
    T(SYNCED, CANCEL, CANCELLING, 0),
    T(SYNCED, BROKEN, CANCELLING, 0),
    T(TESTING, TESTED, SYNCED, 0),
    T(TESTING, WITHDRAWN, CANCELLING, 0),
    T(TESTING, CANCEL, CANCELLING, 0),
    T(TESTING, BROKEN, CANCELLING, 0),
    T(CUTTING_OVER, COPIED, VERIFYING, BIT(NEED_SOURCE_SAFE)),
    T(CUTTING_OVER, WITHDRAWN, CANCELLING, 0),
    T(CUTTING_OVER, CANCEL, CANCELLING, 0),
    T(CUTTING_OVER, BROKEN, CANCELLING, 0),
    T(VERIFYING, HEALTHY, HOLDING, BIT(NEED_SOURCE_SAFE) | BIT(NEED_TARGET_LIVE)),
    T(VERIFYING, UNHEALTHY, ROLLING_BACK, 0),
    T(VERIFYING, ROLLBACK, ROLLING_BACK, 0),
    T(VERIFYING, BROKEN, ROLLING_BACK, 0),
    T(HOLDING, ROLLBACK, ROLLING_BACK, BIT(NEED_SOURCE)),
    T(HOLDING, COMMIT, COMMITTING, BIT(NEED_ACCEPTANCE) | BIT(NEED_SOURCE_SAFE) | BIT(NEED_TARGET_LIVE)),
    T(COMMITTING, DONE, COMMITTED, BIT(NEED_CLEAN)),
    T(COMMITTING, BROKEN, FAILED, 0),
    T(ROLLING_BACK, DONE, ROLLED_BACK, BIT(NEED_CLEAN)),
    T(ROLLING_BACK, BROKEN, FAILED, 0),
    T(CANCELLING, DONE, CANCELLED, BIT(NEED_CLEAN)),
    T(CANCELLING, TOO_LATE, VERIFYING, BIT(NEED_SOURCE_SAFE)),
    T(CANCELLING, BROKEN, FAILED, 0),
    T(FAILED, ROLLBACK, ROLLING_BACK, BIT(NEED_FAILED_ROLLBACK)),
    T(FAILED, CANCEL, CANCELLING, BIT(NEED_FAILED_CANCEL)),
    T(FAILED, COMMIT, COMMITTING, BIT(NEED_FAILED_COMMIT)),
};
#undef T

static const struct transition *find(enum migration_state state, enum migration_event event)
{
    for (size_t i = 0; i < sizeof transitions / sizeof *transitions; i++)
        if (transitions[i].from == state && transitions[i].event == event)
            return &transitions[i];
    return NULL;
}

bool migration_allows(enum migration_state state, enum migration_event event)
{
    return find(state, event) != NULL;
}

static struct error *refuse(enum need need, const struct migration_facts *facts)
{
    char until[MOMENT_TEXT];
    if (need != NEED_WINDOW || !facts->window_until)
        return error_new(need_told[need].code, "%s", need_told[need].text);
    moment_format(facts->window_until, until);
    return error_new(
        need_told[need].code,
        "the downtime has to end within the agreed window, which is open until %s: from now on %lld "
        "s are predicted",
        until, (long long)((facts->predicted_us + MOMENT_SECOND - 1) / MOMENT_SECOND));
}

struct error *migration_next(enum migration_state state, enum migration_event event,
                             const struct migration_facts *facts, enum migration_state *ret_state)
{
    const struct transition *found = find(state, event);
    if (!found)
        return error_new(ERR_CONFLICT, "a migration that is %s takes no \"%s\"", migration_state_name(state),
                         migration_event_name(event));
    for (int need = 0; need < NEED_COUNT; need++)
        if (found->needs & BIT(need) && !need_holds((enum need)need, facts))
            return refuse((enum need)need, facts);
    *ret_state = found->to;
    return NULL;
}
