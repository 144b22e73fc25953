/* What a move does in each state, in which order, and what must hold before each of it. Pure, like
 * migration.h: the job (migration_job.c) does what migration_decide says, and the explorer in the tests asks
 * the same function over the same lists.
 *
 * A row holds its state and how many steps of that state's list are done. Every effect may be done again: it
 * looks first, so a crash between an effect and its record costs nothing. Before an effect that makes a side
 * able to run, the other side must have been seen unable to. */
#ifndef FEDERATION_MIGRATION_STEP_H
#define FEDERATION_MIGRATION_STEP_H

#include <stddef.h>

#include "federation/migration.h"

#define MIGRATION_EFFECTS(X)                                                                        \
    X(MIGRATION_ROOM_TAKE, "room")      /* quota and capacity on the target */                      \
    X(MIGRATION_SHELL_MAKE, "shell")    /* the target: defined, fenced, empty */                    \
    X(MIGRATION_VALIDATE, "validate")   /* the hypervisors would accept the move */                 \
    X(MIGRATION_PASS, "pass")           /* of all, or of what changed, while it runs */             \
    X(MIGRATION_TEST_MAKE, "test-make") /* a copy under another id, without a network */            \
    X(MIGRATION_TEST_RUN, "test-run")   /* boots it and looks */                                    \
    X(MIGRATION_TEST_REMOVE, "test-remove")                                                         \
    X(MIGRATION_SOURCE_STOP, "source-stop")                                                         \
    X(MIGRATION_SOURCE_FENCE, "source-fence")                                                       \
    X(MIGRATION_LAST_PASS, "last-pass")     /* while the source cannot run; then closed, lasting */ \
    X(MIGRATION_PROVE, "prove")             /* the target is read back and compared */              \
    X(MIGRATION_CONVERT, "convert")         /* the target's guest is made fit for its hypervisor */ \
    X(MIGRATION_MOVE, "move")               /* the hypervisors' own: switches sides by itself */    \
    X(MIGRATION_MOVE_SETTLE, "move-settle") /* stops one that runs; finds out where it lives */     \
    X(MIGRATION_TARGET_RELEASE, "target-release")                                                   \
    X(MIGRATION_TARGET_START, "target-start")                                                       \
    X(MIGRATION_HEALTH, "health")                                                                   \
    X(MIGRATION_TARGET_STOP, "target-stop")                                                         \
    X(MIGRATION_TARGET_FENCE, "target-fence")                                                       \
    X(MIGRATION_SOURCE_RELEASE, "source-release")                                                   \
    X(MIGRATION_SOURCE_START, "source-start")                                                       \
    X(MIGRATION_MOVE_BACK, "move-back") /* the hypervisors' own, from the target to the source */   \
    X(MIGRATION_ROW_BACK, "row-back")   /* the resource's row and usage are the source's again */   \
    X(MIGRATION_TARGET_DELETE, "target-delete")                                                     \
    X(MIGRATION_SOURCE_DELETE, "source-delete")                                                     \
    X(MIGRATION_SOURCE_CLOSE, "source-close") /* its export: it holds the disks */                  \
    X(MIGRATION_COPY_END, "copy-end")         /* exports, checkpoints, snapshots, manifests */      \
    X(MIGRATION_ROOM_GIVE, "room-give")       /* of the side that has nothing any more */

enum migration_effect {
#define X(symbol, name) symbol,
    MIGRATION_EFFECTS(X)
#undef X
        MIGRATION_EFFECT_COUNT
};
const char *migration_effect_name(enum migration_effect effect);

struct migration_steps {
    const enum migration_effect *effects;
    size_t count;
    enum migration_event end; /* what it means that all are done; MIGRATION_EVENT_COUNT: nothing, it waits */
};
/* Of a state. The lists of a table: the program's own is migration_table; tests break copies of it. */
struct migration_table {
    struct migration_steps copying[2], cutting_over[2], cancelling[2]; /* [1]: migration_moves() */
    struct migration_steps testing, verifying, committing, rolling_back;
    struct migration_steps moving_back; /* instead of rolling_back where nothing is left at the source */
    bool unguarded; /* effects are done whatever the sides look like; only to show what guards are for */
};
extern const struct migration_table migration_table;

/* An empty list with no end for states that wait or have ended. */
const struct migration_steps *migration_steps(const struct migration_table *table, enum migration_state state,
                                              enum migration_method method);

/* Why the effect must not be done with the sides as they are; NULL: it may. */
const char *migration_forbids(enum migration_effect effect, const struct migration_facts *facts);

enum migration_act {
    MIGRATION_ACT_EFFECT, /* do it, then record that step + 1 are done */
    MIGRATION_ACT_EVENT,  /* tell migration_next */
    MIGRATION_ACT_AGAIN,  /* what earlier steps made is not so any more: record that none is done */
    MIGRATION_ACT_WAIT,   /* for somebody's word, or for time */
    MIGRATION_ACT_END
};
struct migration_decision {
    enum migration_act act;
    enum migration_effect effect;
    enum migration_event event;
    const char *why; /* of an event or of AGAIN; NULL: it goes as planned */
};
/* What to do next in `state` with `done` steps of its list done and the facts as they are now. */
struct migration_decision migration_decide(const struct migration_table *table, enum migration_state state,
                                           size_t done, const struct migration_facts *facts);

#endif
