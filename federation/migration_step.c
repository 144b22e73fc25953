/* The lists of steps and what is decided over them; see migration_step.h. */
#include "federation/migration_step.h"

const char *migration_effect_name(enum migration_effect effect)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        MIGRATION_EFFECTS(X)
#undef X
    };
    return names[effect];
}

static const enum migration_effect copy_copying[] = {MIGRATION_ROOM_TAKE, MIGRATION_SHELL_MAKE,
                                                     MIGRATION_PASS};
static const enum migration_effect move_copying[] = {MIGRATION_ROOM_TAKE, MIGRATION_VALIDATE};
/* A pass first: what is tested is whole, whatever a pass that was cut short left, and as new as it can be. */
static const enum migration_effect testing[] = {MIGRATION_TEST_REMOVE, MIGRATION_PASS, MIGRATION_TEST_MAKE,
                                                MIGRATION_TEST_RUN, MIGRATION_TEST_REMOVE};
/* Converted after the proof, for it compares with the source. A conversion that was cut short is not repeated
 * on what it left: all is copied again first (migration_forbids). */
/* Fenced before the last pass: a source that came back by itself after the stop would write what no pass
 * brings over. */
static const enum migration_effect copy_cutting_over[] = {
    MIGRATION_SOURCE_STOP, MIGRATION_SOURCE_FENCE, MIGRATION_LAST_PASS, MIGRATION_PROVE, MIGRATION_CONVERT};
static const enum migration_effect move_cutting_over[] = {MIGRATION_MOVE};
static const enum migration_effect verifying[] = {MIGRATION_TARGET_RELEASE, MIGRATION_TARGET_START,
                                                  MIGRATION_HEALTH};
static const enum migration_effect committing[] = {MIGRATION_COPY_END, MIGRATION_SOURCE_DELETE,
                                                   MIGRATION_ROOM_GIVE};
static const enum migration_effect rolling_back[] = {
    MIGRATION_TARGET_STOP, MIGRATION_TARGET_FENCE,  MIGRATION_SOURCE_RELEASE, MIGRATION_SOURCE_START,
    MIGRATION_ROW_BACK,    MIGRATION_TARGET_DELETE, MIGRATION_COPY_END,       MIGRATION_ROOM_GIVE};
/* Nothing is fenced or stopped: the hypervisors switch sides, as on the way there. */
static const enum migration_effect moving_back[] = {MIGRATION_MOVE_BACK, MIGRATION_SOURCE_START,
                                                    MIGRATION_ROW_BACK,  MIGRATION_TARGET_DELETE,
                                                    MIGRATION_COPY_END,  MIGRATION_ROOM_GIVE};
/* The target was never released, so the source may run again first, once nothing of ours holds its disks. */
static const enum migration_effect copy_cancelling[] = {
    MIGRATION_SOURCE_CLOSE, MIGRATION_SOURCE_RELEASE, MIGRATION_SOURCE_START, MIGRATION_TEST_REMOVE,
    MIGRATION_COPY_END,     MIGRATION_TARGET_DELETE,  MIGRATION_ROOM_GIVE};
static const enum migration_effect move_cancelling[] = {
    MIGRATION_MOVE_SETTLE, MIGRATION_SOURCE_RELEASE, MIGRATION_SOURCE_START, MIGRATION_TEST_REMOVE,
    MIGRATION_COPY_END,    MIGRATION_TARGET_DELETE,  MIGRATION_ROOM_GIVE};

#define STEPS(list, event)                                           \
    {                                                                \
        list, sizeof(list) / sizeof *(list), MIGRATION_EVENT_##event \
    }
const struct migration_table migration_table = {
    .copying = {STEPS(copy_copying, SYNCED), STEPS(move_copying, SYNCED)},
    .cutting_over = {STEPS(copy_cutting_over, COPIED), STEPS(move_cutting_over, COPIED)},
    .cancelling = {STEPS(copy_cancelling, DONE), STEPS(move_cancelling, DONE)},
    .testing = STEPS(testing, TESTED),
    .verifying = STEPS(verifying, HEALTHY),
    .committing = STEPS(committing, DONE),
    .rolling_back = STEPS(rolling_back, DONE),
    .moving_back = STEPS(moving_back, DONE),
};

const struct migration_steps *migration_steps(const struct migration_table *table, enum migration_state state,
                                              enum migration_method method)
{
    static const struct migration_steps none = {.end = MIGRATION_EVENT_COUNT};
    bool moves = migration_moves(method);
    switch (state) {
    case MIGRATION_COPYING:
        return &table->copying[moves];
    case MIGRATION_CUTTING_OVER:
        return &table->cutting_over[moves];
    case MIGRATION_CANCELLING:
        return &table->cancelling[moves];
    case MIGRATION_TESTING:
        return &table->testing;
    case MIGRATION_VERIFYING:
        return &table->verifying;
    case MIGRATION_COMMITTING:
        return &table->committing;
    case MIGRATION_ROLLING_BACK:
        return migration_leaves_nothing(method) ? &table->moving_back : &table->rolling_back;
    default:
        return &none;
    }
}

/* An end that is made to run while the other one might. */
static const char *other_may_run(const struct migration_side *other, const char *text)
{
    return migration_safe(other) ? NULL : text;
}

#define SOURCE_MAY_RUN "the source is not known to be off and fenced"
#define TARGET_MAY_RUN "the target is not known to be off and fenced"

static bool lives(const struct migration_side *side)
{
    return side->known && side->there && !side->fenced;
}

static const char *forbids_copy(enum migration_effect effect, const struct migration_facts *facts)
{
    const struct migration_side *source = &facts->source, *target = &facts->target;
    bool stays = effect == MIGRATION_PROVE || effect == MIGRATION_CONVERT; /* nothing leaves the site by it */
    if (!stays && !facts->consented)
        return "the unit has withdrawn its consent";
    if (effect == MIGRATION_SHELL_MAKE)
        return other_may_run(target, TARGET_MAY_RUN);
    if (!target->there || !migration_safe(target))
        return TARGET_MAY_RUN;
    if (effect == MIGRATION_PASS)
        return source->known && source->there ? NULL : "the source cannot be seen";
    if (effect == MIGRATION_CONVERT && facts->torn)
        return "an earlier conversion was cut short: all is copied again";
    return source->there ? other_may_run(source, SOURCE_MAY_RUN) : "the source is gone";
}

const char *migration_forbids(enum migration_effect effect, const struct migration_facts *facts)
{
    const struct migration_side *source = &facts->source, *target = &facts->target;
    switch (effect) {
    case MIGRATION_SHELL_MAKE:
    case MIGRATION_PASS:
    case MIGRATION_LAST_PASS:
    case MIGRATION_PROVE:
    case MIGRATION_CONVERT:
        return forbids_copy(effect, facts);
    case MIGRATION_TARGET_RELEASE:
    case MIGRATION_TARGET_START:
        return source->there || migration_leaves_nothing(facts->method)
                   ? other_may_run(source, SOURCE_MAY_RUN)
                   : "the source is gone";
    case MIGRATION_MOVE_BACK:
        return source->known && target->known ? NULL : "one side cannot be seen";
    case MIGRATION_SOURCE_RELEASE:
    case MIGRATION_SOURCE_START:
        return other_may_run(target, TARGET_MAY_RUN);
    case MIGRATION_TEST_MAKE:
        return target->there ? other_may_run(target, TARGET_MAY_RUN) : "the target is gone";
    case MIGRATION_SOURCE_FENCE:
        return source->known && source->there && !source->running ? NULL : "the source runs";
    case MIGRATION_TARGET_FENCE:
        return target->known && !target->running ? NULL : "the target runs";
    case MIGRATION_SOURCE_DELETE:
        if (!lives(target))
            return "the target does not live: it is missing or fenced";
        return other_may_run(source, SOURCE_MAY_RUN);
    case MIGRATION_TARGET_DELETE:
        if (!lives(source))
            return "the source does not live: it is missing or fenced";
        return other_may_run(target, TARGET_MAY_RUN);
    default:
        return NULL;
    }
}

static struct migration_decision say(enum migration_event event, const char *why)
{
    return (struct migration_decision){.act = MIGRATION_ACT_EVENT, .event = event, .why = why};
}

/* Data has left, or is about to leave, the site: only while the unit consents. */
static bool needs_consent(enum migration_state state)
{
    return state >= MIGRATION_CONSENTED && state <= MIGRATION_CUTTING_OVER;
}

/* The step cannot be done with the sides as they are. */
static struct migration_decision forbidden(enum migration_state state, size_t done, const char *why)
{
    bool establishes = state == MIGRATION_COPYING || state == MIGRATION_CUTTING_OVER ||
                       state == MIGRATION_ROLLING_BACK; /* its own first steps make it so */
    if (state == MIGRATION_VERIFYING)
        return say(MIGRATION_EVENT_UNHEALTHY, why);
    if (establishes && done)
        return (struct migration_decision){.act = MIGRATION_ACT_AGAIN, .why = why};
    return say(MIGRATION_EVENT_BROKEN, why);
}

static struct migration_decision effect_or_not(const struct migration_table *table,
                                               enum migration_state state, size_t done,
                                               enum migration_effect effect,
                                               const struct migration_facts *facts)
{
    const char *why = table->unguarded ? NULL : migration_forbids(effect, facts);
    if (why)
        return forbidden(state, done, why);
    return (struct migration_decision){.act = MIGRATION_ACT_EFFECT, .effect = effect};
}

/* All steps are done, or there are none. */
static struct migration_decision at_end(const struct migration_table *table, enum migration_state state,
                                        size_t done, const struct migration_steps *steps,
                                        const struct migration_facts *facts)
{
    bool warm = facts->method == MIGRATION_WARM;
    if (migration_ended(state))
        return (struct migration_decision){.act = MIGRATION_ACT_END};
    if (state == MIGRATION_COPYING && !migration_fits(facts))
        return warm && !facts->stuck ? effect_or_not(table, state, done, MIGRATION_PASS, facts)
                                     : (struct migration_decision){
                                           .act = MIGRATION_ACT_WAIT,
                                           .why = "the predicted downtime is longer than what is agreed"};
    if (state == MIGRATION_SYNCED && !migration_fits(facts))
        return say(MIGRATION_EVENT_GREW, "the predicted downtime is longer than what is agreed");
    if (state == MIGRATION_SYNCED && warm && facts->behind)
        return effect_or_not(table, state, done, MIGRATION_PASS, facts);
    if (steps->end == MIGRATION_EVENT_COUNT)
        return (struct migration_decision){.act = MIGRATION_ACT_WAIT};
    return say(steps->end, NULL);
}

struct migration_decision migration_decide(const struct migration_table *table, enum migration_state state,
                                           size_t done, const struct migration_facts *facts)
{
    const struct migration_steps *steps = migration_steps(table, state, facts->method);
    if (needs_consent(state) && !facts->consented)
        return say(MIGRATION_EVENT_WITHDRAWN, "the unit has withdrawn its consent");
    if (done >= steps->count)
        return at_end(table, state, done, steps, facts);
    /* A cold one is copied while it is off, all of it in the last pass. */
    enum migration_effect effect = steps->effects[done];
    bool skipped = (effect == MIGRATION_PASS && facts->method == MIGRATION_COLD) ||
                   (effect == MIGRATION_CONVERT && !facts->convert); /* each is the last of its list */
    if (skipped)
        return at_end(table, state, done, steps, facts);
    return effect_or_not(table, state, done, effect, facts);
}
