/* What becomes of waiting for a state of a move: it has come, it may still come, or it does not come any
 * more. The states and what leads from one to another are those of /v1/openapi.yaml and of the life of a
 * move. */
#include <string.h>

#include "broker/cli/commands.h"

#define BIT(state) (1u << (state))

/* The way that leads to the end first, in its order; then what leads away from it. */
enum state {
    ASSESSED,
    CONSENTED,
    APPROVED,
    COPYING,
    SYNCED,
    TESTING,
    CUTTING_OVER,
    VERIFYING,
    HOLDING,
    COMMITTING,
    COMMITTED,
    ROLLING_BACK,
    ROLLED_BACK,
    CANCELLING,
    CANCELLED,
    FAILED,
    STATE_COUNT
};

static const struct {
    const char *name;
    unsigned next; /* by a word or by itself; of failed none, for all that follows is a person's word */
    enum cli_awaited rest;
} states[] = {
    [ASSESSED] = {"assessed", BIT(CONSENTED) | BIT(CANCELLED), CLI_AWAITED_REACHED},
    [CONSENTED] = {"consented", BIT(APPROVED) | BIT(ASSESSED) | BIT(CANCELLED), CLI_AWAITED_REACHED},
    [APPROVED] = {"approved", BIT(COPYING) | BIT(ASSESSED) | BIT(CANCELLED), CLI_AWAITED_REACHED},
    [COPYING] = {"copying", BIT(SYNCED) | BIT(CANCELLING), CLI_AWAITED_COMES},
    [SYNCED] = {"synced", BIT(COPYING) | BIT(TESTING) | BIT(CUTTING_OVER) | BIT(CANCELLING),
                CLI_AWAITED_REACHED},
    [TESTING] = {"testing", BIT(SYNCED) | BIT(CANCELLING), CLI_AWAITED_COMES},
    [CUTTING_OVER] = {"cutting-over", BIT(VERIFYING) | BIT(CANCELLING), CLI_AWAITED_COMES},
    [VERIFYING] = {"verifying", BIT(HOLDING) | BIT(ROLLING_BACK), CLI_AWAITED_COMES},
    [HOLDING] = {"holding", BIT(COMMITTING) | BIT(ROLLING_BACK), CLI_AWAITED_REACHED},
    [COMMITTING] = {"committing", BIT(COMMITTED) | BIT(FAILED), CLI_AWAITED_COMES},
    [COMMITTED] = {"committed", 0, CLI_AWAITED_REACHED},
    [ROLLING_BACK] = {"rolling-back", BIT(ROLLED_BACK) | BIT(FAILED), CLI_AWAITED_COMES},
    [ROLLED_BACK] = {"rolled-back", 0, CLI_AWAITED_LOST},
    [CANCELLING] = {"cancelling", BIT(CANCELLED) | BIT(VERIFYING) | BIT(FAILED), CLI_AWAITED_COMES},
    [CANCELLED] = {"cancelled", 0, CLI_AWAITED_LOST},
    [FAILED] = {"failed", 0, CLI_AWAITED_LOST},
};

static const char *text_of(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text ? text : "";
}

static enum state find(const char *name)
{
    enum state state = ASSESSED;
    while (state < STATE_COUNT && strcmp(states[state].name, name) != 0)
        state++;
    return state;
}

struct error *cli_migration_check_state(struct arena *arena, const char *name)
{
    const char *list = states[0].name;
    if (find(name) < STATE_COUNT)
        return NULL;
    for (int i = 1; i < STATE_COUNT; i++)
        list = arena_printf(arena, "%s, %s", list, states[i].name);
    return error_new(ERR_INVALID, "there is no state \"%s\" of a move; the states are %s", name, list);
}

/* Whether one leads to the other, over any others. */
static bool leads_to(enum state from, enum state to)
{
    unsigned reached = states[from].next;
    for (unsigned before = 0; before != reached;) {
        before = reached;
        for (int i = 0; i < STATE_COUNT; i++)
            if (before & BIT(i))
                reached |= states[i].next;
    }
    return reached & BIT(to);
}

/* Among the transitions from number `first` on. */
static bool has_become(const json_t *migration, enum state state, size_t first)
{
    const json_t *history = json_object_get(migration, "history");
    for (size_t i = first; i < json_array_size(history); i++)
        if (!strcmp(text_of(json_array_get(history, i), "to"), states[state].name))
            return true;
    return false;
}

/* Whether a move that is in `state` has left `wanted` behind on its way, and that is no bad sign. */
static bool has_passed(const json_t *migration, enum state state, enum state wanted, size_t seen)
{
    if (wanted == SYNCED && state == TESTING)
        return false;      /* it comes back to it by itself */
    if (wanted == TESTING) /* not every move is tested, and one may be many times */
        return state <= COMMITTED && has_become(migration, TESTING, state > TESTING ? 0 : seen);
    if (wanted == ROLLING_BACK || wanted == CANCELLING)
        return state == wanted + 1; /* the end of it */
    return wanted < state && state <= COMMITTED;
}

enum cli_awaited cli_migration_awaited(const json_t *migration, const char *until, size_t seen)
{
    enum state state = find(text_of(migration, "state")), wanted = until ? find(until) : STATE_COUNT;
    if (state == STATE_COUNT) /* a broker that knows more states */
        return json_object_get(migration, "ended_at") ? CLI_AWAITED_LOST : CLI_AWAITED_COMES;
    if (!until)
        return states[state].rest;
    if (state == wanted)
        return CLI_AWAITED_REACHED;
    if (state != FAILED && has_passed(migration, state, wanted, seen))
        return CLI_AWAITED_REACHED;
    return leads_to(state, wanted) ? CLI_AWAITED_COMES : CLI_AWAITED_LOST;
}

/* Of its state; else what stands in the way; else why it left the way, which its end does not repeat. */
static const char *why_of(const json_t *migration)
{
    const json_t *history = json_object_get(migration, "history");
    const char *why = text_of(migration, "reason");
    if (!*why)
        why = text_of(migration, "error");
    for (size_t i = json_array_size(history); !*why && i-- > 0;) {
        const json_t *one = json_array_get(history, i);
        enum state to = find(text_of(one, "to"));
        if (to <= COMMITTED)
            break;
        why = text_of(one, "reason");
    }
    return why;
}

struct error *cli_migration_lost(const json_t *migration, const char *until)
{
    const char *state = text_of(migration, "state"), *why = why_of(migration), *separator = *why ? ": " : "";
    if (!until)
        return error_new(ERR_CONFLICT, "the move is %s%s%s", state, separator, why);
    return error_new(ERR_CONFLICT, "the move is %s, and %s does not come %s%s%s", state, until,
                     strcmp(state, "failed") ? "any more" : "without another word", separator, why);
}
