/* The explorer; see explorer.h. A node is one state of row and world in one number; from each node every
 * step of everybody is taken, until there is no new one. */
#include "tests/federation/explorer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"

/* The row, the worker and the world. `doing`: 0 nothing, 1 + effect: looked and decided, not yet done;
 * TRANSITION + state: decided, not yet written. `stale`: the row has moved since the worker read it. */
#define TRANSITION 32
struct node {
    uint64_t state : 4, done : 4, doing : 6, stale : 1, failed_in : 4;
    uint64_t source_there : 1, source_running : 1, source_fenced : 1;
    uint64_t target_there : 1, target_running : 1, target_fenced : 1;
    uint64_t copy : 2;       /* of the target: NOTHING … CONVERTED */
    uint64_t conversion : 2; /* what the row says: PLANNED … OVER */
    uint64_t moving : 1;
    uint64_t test : 1, test_running : 1, test_network : 1; /* a side of its own, and what it alone is on */
    uint64_t spoilt : 1;                                   /* something was written below it */
    uint64_t passed : 1;                                   /* the last test has; where the terms want one */
    uint64_t row_target : 1;                               /* where the resource's row says that it lives */
    uint64_t room_target : 1, room_source : 1;             /* held by the move */
    uint64_t entry_shell : 1, entry_copy : 1, entry_test : 1; /* of the ledger */
    uint64_t was_on : 1, consented : 1, accepted : 1;
    uint64_t unused : 20;
};
enum { NOTHING, BEHIND, WHOLE, CONVERTED };
enum { PLANNED, RUNNING, OVER };

union key {
    struct node node;
    uint64_t number;
};
_Static_assert(sizeof(struct node) == sizeof(uint64_t), "a node is one number");

struct explorer {
    const struct exploration *what;
    struct finding *finding;
    uint64_t *nodes;
    uint32_t *parents;
    const char **how; /* the step that led there first */
    size_t count, room;
    uint32_t *slots; /* hash: 1 + index */
    size_t slot_count;
    uint32_t (*edges)[2];
    size_t edge_count, edge_room;
    uint32_t at; /* the node whose steps are taken */
};

static void describe(const struct node *n, char *text, size_t size)
{
    char doing[48] = "";
    if (n->doing >= TRANSITION)
        (void)snprintf(doing, sizeof doing, " (to write: %s)",
                       migration_state_name((enum migration_state)(n->doing - TRANSITION)));
    else if (n->doing)
        (void)snprintf(doing, sizeof doing, " (to do: %s%s)",
                       migration_effect_name((enum migration_effect)(n->doing - 1)),
                       n->stale ? ", stale" : "");
    (void)snprintf(text, size, "%s/%u%s source%s%s%s target%s%s%s copy %u row at %s",
                   migration_state_name((enum migration_state)n->state), (unsigned)n->done, doing,
                   n->source_there ? "" : " gone", n->source_running ? " on" : "",
                   n->source_fenced ? " fenced" : "", n->target_there ? "" : " none",
                   n->target_running ? " on" : "", n->target_fenced ? " fenced" : "", (unsigned)n->copy,
                   n->row_target ? "target" : "source");
}

static void tell_way(struct explorer *e, uint32_t index)
{
    uint32_t way[512];
    size_t length = 0, used = 0;
    for (uint32_t at = index; length < 512; at = e->parents[at]) {
        way[length++] = at;
        if (!at)
            break;
    }
    char *trace = e->finding->trace;
    while (length-- && used + 256 < sizeof e->finding->trace) {
        union key key = {.number = e->nodes[way[length]]};
        char text[220];
        describe(&key.node, text, sizeof text);
        used += (size_t)snprintf(trace + used, sizeof e->finding->trace - used, "%-22s %s\n",
                                 e->how[way[length]], text);
    }
}

static void violated(struct explorer *e, uint32_t index, const char *what)
{
    if (e->finding->violation)
        return;
    e->finding->violation = what;
    tell_way(e, index);
}

static bool able_source(const struct node *n)
{
    return n->source_there && !n->source_fenced;
}

static bool able_target(const struct node *n)
{
    return n->target_there && !n->target_fenced;
}

/* Of the target: what it may start from. */
static bool is_good(const struct explorer *e, const struct node *n)
{
    return n->copy == (e->what->convert ? CONVERTED : WHOLE);
}

static bool ledger_open(const struct node *n)
{
    return n->entry_shell || n->entry_copy || n->entry_test || n->room_target || n->room_source;
}

/* What must hold in every ending, of row, world and ledger. */
static const char *ending_violates(const struct explorer *e, const struct node *n)
{
    bool committed = n->state == MIGRATION_COMMITTED;
    if (ledger_open(n) || n->test || n->test_network || n->moving)
        return "an ending leaves something behind";
    if (n->row_target != committed)
        return "the resource's row is not where it lives";
    if (committed ? n->source_there || !able_target(n) : n->target_there || !able_source(n))
        return "an ending leaves the wrong sides";
    if (e->what->quiet && (committed ? n->target_running : n->source_running) != n->was_on)
        return "an ending leaves it in another power state";
    return NULL;
}

/* A test boot touches nothing: neither data nor network, and nobody forgets it. */
static const char *test_violates(const struct explorer *e, const struct node *n)
{
    if ((n->test || n->test_network) && !n->entry_test)
        return "a test that the ledger does not have";
    if (n->test_running && !n->test_network)
        return "a test runs on a network that is not its own";
    if (n->spoilt)
        return "the disks below a test are written";
    if (n->test && able_target(n))
        return "the target is able to run below a test";
    if (e->what->test_required && n->state == MIGRATION_CUTTING_OVER && !n->passed)
        return "it is cut over without the test that the terms want";
    return NULL;
}

static const char *violates(const struct explorer *e, const struct node *n)
{
    const char *wrong = test_violates(e, n);
    if (wrong)
        return wrong;
    if (able_source(n) && able_target(n))
        return "both sides are able to run";
    if (able_target(n) && !is_good(e, n))
        return "the target is able to run on data that is not whole";
    if (!n->source_there && !(n->target_there && is_good(e, n)))
        return "the data is lost";
    if ((n->source_running && n->source_fenced) || (n->target_running && n->target_fenced))
        return "a fenced side runs";
    if (n->state == MIGRATION_HOLDING && (!n->row_target || able_source(n) || n->source_running))
        return "holding without a safe source";
    return migration_ended((enum migration_state)n->state) ? ending_violates(e, n) : NULL;
}

static void grow(struct explorer *e)
{
    e->room = e->room ? e->room * 2 : 1u << 14;
    e->nodes = xrealloc(e->nodes, e->room, sizeof *e->nodes);
    e->parents = xrealloc(e->parents, e->room, sizeof *e->parents);
    e->how = xrealloc(e->how, e->room, sizeof *e->how);
    free(e->slots);
    e->slot_count = e->room * 4;
    e->slots = xcalloc(e->slot_count, sizeof *e->slots);
    for (size_t i = 0; i < e->count; i++) {
        size_t slot = e->nodes[i] * UINT64_C(0x9e3779b97f4a7c15) % e->slot_count;
        while (e->slots[slot])
            slot = (slot + 1) % e->slot_count;
        e->slots[slot] = (uint32_t)i + 1;
    }
}

static void edge(struct explorer *e, uint32_t to)
{
    if (e->edge_count == e->edge_room) {
        e->edge_room = e->edge_room ? e->edge_room * 2 : 1u << 16;
        e->edges = xrealloc(e->edges, e->edge_room, sizeof *e->edges);
    }
    e->edges[e->edge_count][0] = e->at;
    e->edges[e->edge_count++][1] = to;
}

/* Somebody's step leads there. */
static void reach(struct explorer *e, struct node node, const char *how)
{
    union key key = {.node = node};
    if (e->count == e->room)
        grow(e);
    size_t slot = key.number * UINT64_C(0x9e3779b97f4a7c15) % e->slot_count;
    for (; e->slots[slot]; slot = (slot + 1) % e->slot_count) {
        if (e->nodes[e->slots[slot] - 1] == key.number) {
            edge(e, e->slots[slot] - 1);
            return;
        }
    }
    uint32_t index = (uint32_t)e->count++;
    e->slots[slot] = index + 1;
    e->nodes[index] = key.number;
    e->parents[index] = e->at;
    e->how[index] = how;
    e->finding->states |= 1u << node.state;
    if (index)
        edge(e, index);
    const char *wrong = violates(e, &node);
    if (wrong)
        violated(e, index, wrong);
}

static struct migration_facts facts_of(const struct explorer *e, const struct node *n, bool fits, bool behind,
                                       bool window)
{
    return (struct migration_facts){
        .method = e->what->method,
        .assessed = true,
        .planned = true,
        .way_back = true,
        .consented = n->consented,
        .approved = true,
        .window = window,
        .accepted = n->accepted,
        .clean = !ledger_open(n),
        .copied = n->copy != NOTHING,
        .behind = behind,
        .test_required = e->what->test_required,
        .test_passed = n->passed,
        .convert = e->what->convert && n->conversion != OVER,
        .torn = n->conversion == RUNNING,
        .predicted_us = fits ? 1 : 3,
        .agreed_us = 2,
        .failed_in = (enum migration_state)n->failed_in,
        .source = {true, n->source_there, n->source_running, n->source_fenced},
        .target = {true, n->target_there, n->target_running, n->target_fenced},
    };
}

/* What is written together with a change of state. */
static struct node moved_to(struct node n, enum migration_state to)
{
    if (to == MIGRATION_FAILED)
        n.failed_in = n.state;
    if (to == MIGRATION_HOLDING) {
        n.row_target = 1;
        n.room_target = 0; /* the resource's own from now on */
        n.room_source = 1;
    }
    n.state = to;
    n.done = 0;
    return n;
}

/* The worker tells the state machine; a refusal is tried again later. */
static bool tell(const struct explorer *e, struct node *n, enum migration_event event,
                 const struct migration_facts *facts)
{
    enum migration_state to;
    struct error *error = migration_next((enum migration_state)n->state, event, facts, &to);
    if (error) {
        error_free(error);
        return false;
    }
    *n = moved_to(*n, to);
    return true;
}

/* The ledger's entry is written before what it stands for is made. */
static void enter(struct node *n, enum migration_effect effect)
{
    if (effect == MIGRATION_SHELL_MAKE || effect == MIGRATION_MOVE)
        n->entry_shell = 1;
    if (effect == MIGRATION_PASS || effect == MIGRATION_LAST_PASS || effect == MIGRATION_PROVE)
        n->entry_copy = 1;
    if (effect == MIGRATION_TEST_MAKE)
        n->entry_test = 1;
    if (effect == MIGRATION_CONVERT)
        n->conversion = RUNNING;
}

static void look(struct explorer *e, struct node n, bool fits, bool behind)
{
    struct migration_facts facts = facts_of(e, &n, fits, behind, true);
    struct migration_decision decision =
        migration_decide(e->what->table, (enum migration_state)n.state, n.done, &facts);
    struct node next = n;
    switch (decision.act) {
    case MIGRATION_ACT_EFFECT:
        enter(&next, decision.effect);
        next.doing = 1 + (unsigned)decision.effect;
        next.stale = 0;
        reach(e, next, "looks");
        break;
    case MIGRATION_ACT_EVENT:
        if (tell(e, &next, decision.event, &facts)) {
            n.doing = TRANSITION + next.state;
            reach(e, n, migration_event_name(decision.event));
        }
        break;
    case MIGRATION_ACT_AGAIN:
        next.done = 0;
        reach(e, next, "from the first step");
        break;
    case MIGRATION_ACT_WAIT:
    case MIGRATION_ACT_END:
        break;
    }
}

/* What an effect does to the world. */
enum outcome { DONE, NOT_DONE, FOR_GOOD, TARGET_LIVES, SICK };

static enum outcome change_source(struct node *n, enum migration_effect effect)
{
    if (!n->source_there)
        return effect == MIGRATION_SOURCE_DELETE ? DONE : FOR_GOOD;
    switch (effect) {
    case MIGRATION_SOURCE_STOP:
        n->source_running = 0;
        return DONE;
    case MIGRATION_SOURCE_FENCE:
        if (n->source_running)
            return NOT_DONE;
        n->source_fenced = 1;
        return DONE;
    case MIGRATION_SOURCE_RELEASE:
        n->source_fenced = 0;
        return DONE;
    case MIGRATION_SOURCE_START:
        if (n->was_on && n->source_fenced)
            return NOT_DONE;
        n->source_running |= n->was_on;
        return DONE;
    default: /* MIGRATION_SOURCE_DELETE */
        n->source_there = n->source_running = n->source_fenced = 0;
        return DONE;
    }
}

static enum outcome change_target(struct node *n, enum migration_effect effect)
{
    switch (effect) {
    case MIGRATION_SHELL_MAKE:
        if (n->target_there)
            return n->target_fenced ? DONE : FOR_GOOD;
        n->target_there = n->target_fenced = 1;
        n->copy = NOTHING;
        return DONE;
    case MIGRATION_TARGET_STOP:
        n->target_running = 0;
        return DONE;
    case MIGRATION_TARGET_FENCE:
        if (n->target_running)
            return NOT_DONE;
        n->target_fenced = n->target_there;
        return DONE;
    case MIGRATION_TARGET_DELETE:
        n->target_there = n->target_running = n->target_fenced = 0;
        n->copy = NOTHING;
        return DONE;
    case MIGRATION_TARGET_RELEASE:
        if (!n->target_there)
            return FOR_GOOD;
        n->target_fenced = 0;
        return DONE;
    case MIGRATION_TARGET_START:
        if (!n->target_there || n->target_fenced)
            return NOT_DONE;
        n->target_running |= n->was_on;
        return DONE;
    default: /* MIGRATION_HEALTH */
        return n->target_running || !n->was_on ? DONE : SICK;
    }
}

static enum outcome change_copy(struct node *n, enum migration_effect effect)
{
    if (effect == MIGRATION_PROVE)
        return n->copy == NOTHING ? FOR_GOOD : DONE; /* it compares with what was read, not with the source */
    if (!n->target_there || !n->target_fenced)
        return NOT_DONE;
    if (effect == MIGRATION_CONVERT) { /* the program does not notice what was half converted */
        n->copy = n->copy == WHOLE ? CONVERTED : NOTHING;
        return DONE;
    }
    if (!n->source_there)
        return NOT_DONE;
    n->spoilt |= n->test;
    n->copy = WHOLE; /* as of now */
    return DONE;
}

/* It is started where its network is; what does not work is what came out of it, and the move goes on. */
static enum outcome change_test(struct node *n, enum migration_effect effect)
{
    if (effect == MIGRATION_TEST_REMOVE) {
        n->test = n->test_running = n->test_network = 0;
        return DONE;
    }
    if (effect == MIGRATION_TEST_RUN) {
        n->test_running |= n->test && n->test_network;
        return DONE;
    }
    if (!n->target_there || !n->target_fenced || n->target_running)
        return NOT_DONE;
    n->test = n->test_network = 1;
    return DONE;
}

static void complete_move(const struct explorer *e, struct node *n)
{
    bool along = migration_leaves_nothing(e->what->method);
    n->target_running = n->source_running;
    n->source_running = n->moving = 0;
    n->source_there = n->source_fenced = !along;
    n->target_there = 1;
    n->target_fenced = 0;
    n->copy = WHOLE;
}

/* Of a method that leaves nothing behind. */
static void complete_return(struct node *n)
{
    n->source_running = n->target_running;
    n->source_there = 1;
    n->target_there = n->target_running = n->moving = 0;
    n->copy = NOTHING;
}

static bool is_over(const struct explorer *e, const struct node *n)
{
    return n->target_there &&
           (migration_leaves_nothing(e->what->method) ? !n->source_there : n->source_fenced);
}

static enum outcome change_move(const struct explorer *e, struct node *n, enum migration_effect effect)
{
    bool over = is_over(e, n);
    if (effect == MIGRATION_VALIDATE)
        return n->source_running ? DONE : FOR_GOOD;
    if (effect == MIGRATION_MOVE_SETTLE) {
        n->moving = 0;
        return over ? TARGET_LIVES : DONE;
    }
    if (n->moving)
        return NOT_DONE;
    if (effect == MIGRATION_MOVE_BACK) {
        if (over)
            complete_return(n);
        return DONE;
    }
    if (!over && !n->source_running && !migration_leaves_nothing(e->what->method))
        return FOR_GOOD;
    if (!over)
        complete_move(e, n);
    return DONE;
}

/* Rows alone: within the transaction that writes the step down, so not when the row has moved. */
static enum outcome change_rows(struct node *n, enum migration_effect effect)
{
    if (n->stale)
        return NOT_DONE;
    if (effect == MIGRATION_ROOM_TAKE)
        n->room_target = 1;
    if (effect == MIGRATION_ROW_BACK && n->row_target) {
        n->row_target = 0;
        n->room_target = 1;
        n->room_source = 0;
    }
    if (effect == MIGRATION_ROOM_GIVE) {
        if (n->row_target)
            n->room_source = 0;
        else
            n->room_target = 0;
    }
    return DONE;
}

static enum outcome change(const struct explorer *e, struct node *n, enum migration_effect effect)
{
    switch (effect) {
    case MIGRATION_ROOM_TAKE:
    case MIGRATION_ROW_BACK:
    case MIGRATION_ROOM_GIVE:
        return change_rows(n, effect);
    case MIGRATION_SOURCE_STOP:
    case MIGRATION_SOURCE_FENCE:
    case MIGRATION_SOURCE_RELEASE:
    case MIGRATION_SOURCE_START:
    case MIGRATION_SOURCE_DELETE:
        return change_source(n, effect);
    case MIGRATION_PASS:
    case MIGRATION_LAST_PASS:
    case MIGRATION_PROVE:
    case MIGRATION_CONVERT:
        return change_copy(n, effect);
    case MIGRATION_VALIDATE:
    case MIGRATION_MOVE:
    case MIGRATION_MOVE_BACK:
    case MIGRATION_MOVE_SETTLE:
        return change_move(e, n, effect);
    case MIGRATION_TEST_MAKE:
    case MIGRATION_TEST_RUN:
    case MIGRATION_TEST_REMOVE:
        return change_test(n, effect);
    case MIGRATION_SOURCE_CLOSE:
    case MIGRATION_COPY_END:
    case MIGRATION_EFFECT_COUNT:
        return DONE;
    default:
        return change_target(n, effect);
    }
}

/* The entry is crossed out with the record that what it stood for is gone. */
static void leave(struct node *n, enum migration_effect effect)
{
    if (effect == MIGRATION_TARGET_DELETE)
        n->entry_shell = 0;
    if (effect == MIGRATION_SOURCE_DELETE && n->row_target)
        n->entry_shell = 0; /* what was the shell is the resource now */
    if (effect == MIGRATION_COPY_END)
        n->entry_copy = 0;
    if (effect == MIGRATION_TEST_REMOVE)
        n->entry_test = 0;
    if (effect == MIGRATION_LAST_PASS)
        n->conversion = PLANNED;
    if (effect == MIGRATION_CONVERT)
        n->conversion = OVER;
}

/* A test that cannot be made or run has failed, and the job goes on to its removal. */
static void gives_up(struct explorer *e, struct node n, enum migration_effect effect)
{
    if (effect == MIGRATION_TEST_MAKE && !n.test_network) {
        struct node half = n;
        half.test_network = 1; /* the network comes first */
        reach(e, half, "makes a part of the test");
    }
    n.passed = 0;
    n.done++;
    reach(e, n, "gives the test up");
}

static void worker_does(struct explorer *e, const struct node *from)
{
    enum migration_effect effect = (enum migration_effect)(from->doing - 1);
    const char *name = migration_effect_name(effect);
    struct node n = *from, failed = *from;
    bool rows =
        effect == MIGRATION_ROOM_TAKE || effect == MIGRATION_ROW_BACK || effect == MIGRATION_ROOM_GIVE;
    enum outcome outcome = change(e, &n, effect);
    struct migration_facts facts = facts_of(e, &n, true, false, true);
    n.doing = failed.doing = 0;
    if (!rows)
        reach(e, n, "does, dies unwritten");
    reach(e, failed, "fails");
    if (effect == MIGRATION_PASS || effect == MIGRATION_LAST_PASS) {
        struct node partial = failed;
        if (partial.target_there && partial.target_fenced)
            partial.copy = NOTHING;
        reach(e, partial, "copies a part");
    }
    if (effect == MIGRATION_CONVERT) {
        struct node partial = failed;
        if (partial.target_there && partial.target_fenced)
            partial.copy = NOTHING;
        reach(e, partial, "converts a part");
    }
    if (!from->stale && (effect == MIGRATION_TEST_MAKE || effect == MIGRATION_TEST_RUN))
        gives_up(e, failed, effect);
    else if (!from->stale && tell(e, &failed, MIGRATION_EVENT_BROKEN, &facts))
        reach(e, failed, "broken");
    if (from->stale || outcome == NOT_DONE || outcome == FOR_GOOD)
        return;
    struct node sick = n;
    if (effect == MIGRATION_HEALTH && tell(e, &sick, MIGRATION_EVENT_UNHEALTHY, &facts))
        reach(e, sick, "unhealthy");
    if (outcome == TARGET_LIVES && tell(e, &sick, MIGRATION_EVENT_TOO_LATE, &facts))
        reach(e, sick, "too late");
    if (outcome != DONE)
        return;
    if (effect == MIGRATION_TEST_MAKE && n.copy == NOTHING)
        violated(e, e->at, "a test is made of data that is not whole");
    leave(&n, effect);
    if (effect == MIGRATION_TEST_RUN && e->what->test_required && n.test_running)
        n.passed = 1;
    if (n.done < migration_steps(e->what->table, (enum migration_state)n.state, e->what->method)->count)
        n.done++;
    reach(e, n, name);
}

static void worker(struct explorer *e, const struct node *n)
{
    if (n->doing >= TRANSITION) {
        struct node next = moved_to(*n, (enum migration_state)(n->doing - TRANSITION));
        next.doing = 0;
        reach(e, next, "writes");
    } else if (n->doing) {
        worker_does(e, n);
    } else {
        for (int i = 0; i < 4; i++)
            look(e, *n, i & 1, i & 2);
    }
    if (n->doing) {
        struct node crashed = *n;
        crashed.doing = crashed.stale = 0;
        reach(e, crashed, "the broker dies");
    }
}

/* The API's facts are as last seen, so the worst of them: whatever lets a word through. */
static void people(struct explorer *e, const struct node *n)
{
    static const enum migration_event words[] = {
        MIGRATION_EVENT_CONSENT, MIGRATION_EVENT_APPROVAL, MIGRATION_EVENT_START,  MIGRATION_EVENT_TEST,
        MIGRATION_EVENT_CUTOVER, MIGRATION_EVENT_ROLLBACK, MIGRATION_EVENT_COMMIT, MIGRATION_EVENT_CANCEL};
    struct migration_facts facts = facts_of(e, n, true, false, true);
    struct node next;
    facts.source = (struct migration_side){true, true, false, true};
    facts.target = (struct migration_side){true, true, true, false};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        next = *n;
        if (!tell(e, &next, words[i], &facts))
            continue;
        next.stale = n->doing && n->doing < TRANSITION;
        if (n->doing >= TRANSITION)
            next.doing = 0; /* its write will find another version */
        reach(e, next, migration_event_name(words[i]));
    }
    next = *n;
    next.consented = 0;
    reach(e, next, "withdraws consent");
    next = *n;
    next.accepted = 1;
    if (n->state == MIGRATION_HOLDING)
        reach(e, next, "accepts");
}

/* Hosts lose power, and what may start starts: by itself, or by an operator at the provider. */
static void nature(struct explorer *e, const struct node *n)
{
    struct node next = *n;
    next.source_running = 0;
    if (!e->what->quiet)
        reach(e, next, "the source's host dies");
    next.source_running = able_source(n) && (!e->what->quiet || n->was_on);
    reach(e, next, "the source comes back");
    next = *n;
    next.target_running = next.test_running = next.test_network = 0;
    if (!e->what->quiet)
        reach(e, next, "the target's host dies");
    next = *n;
    next.test_running = n->test && n->test_network;
    reach(e, next, "an operator starts the test");
    next.test_running = 0;
    reach(e, next, "the test ends by itself");
    next = *n;
    next.target_running = able_target(n) && (!e->what->quiet || n->was_on);
    reach(e, next, "the target comes back");
    next = *n;
    if (n->source_running && n->copy >= WHOLE)
        next.copy = BEHIND;
    reach(e, next, "the source writes");
    next = *n;
    if (n->moving && is_over(e, n))
        complete_return(&next);
    else if (n->moving && (n->source_running || migration_leaves_nothing(e->what->method)))
        complete_move(e, &next);
    reach(e, next, "the move goes on");
    next.moving = 0;
    if (n->moving)
        reach(e, next, "the move breaks off");
}

/* A broker that dies while the hypervisors are at it leaves them at it. */
static void leave_moving(struct explorer *e, const struct node *n)
{
    struct node next = *n;
    bool there = n->doing == 1 + (unsigned)MIGRATION_MOVE && !n->source_fenced && n->source_running;
    bool back = n->doing == 1 + (unsigned)MIGRATION_MOVE_BACK && is_over(e, n);
    if (!there && !back)
        return;
    next.moving = 1;
    next.doing = next.stale = 0;
    reach(e, next, "dies while it moves");
}

/* From every node some ending can be reached. */
static void check_dead_ends(struct explorer *e)
{
    uint32_t *first = xcalloc(e->count + 1, sizeof *first), *from = xcalloc(e->edge_count + 1, sizeof *from);
    uint32_t *queue = xcalloc(e->count, sizeof *queue);
    bool *good = xcalloc(e->count, sizeof *good);
    size_t head = 0, tail = 0;
    for (size_t i = 0; i < e->edge_count; i++)
        first[e->edges[i][1] + 1]++;
    for (size_t i = 0; i < e->count; i++)
        first[i + 1] += first[i];
    uint32_t *fill = xcalloc(e->count, sizeof *fill);
    for (size_t i = 0; i < e->edge_count; i++) {
        uint32_t to = e->edges[i][1];
        from[first[to] + fill[to]++] = e->edges[i][0];
    }
    for (uint32_t i = 0; i < e->count; i++) {
        union key key = {.number = e->nodes[i]};
        if (migration_ended((enum migration_state)key.node.state)) {
            good[i] = true;
            queue[tail++] = i;
        }
    }
    e->finding->endings = tail;
    while (head < tail) {
        uint32_t at = queue[head++];
        for (uint32_t i = first[at]; i < first[at + 1]; i++) {
            if (!good[from[i]]) {
                good[from[i]] = true;
                queue[tail++] = from[i];
            }
        }
    }
    for (uint32_t i = 0; i < e->count; i++)
        if (!good[i])
            violated(e, i, "no ending can be reached any more");
    free(first);
    free(from);
    free(fill);
    free(queue);
    free(good);
}

void explore(const struct exploration *exploration, struct finding *ret_finding)
{
    struct explorer e = {.what = exploration, .finding = ret_finding};
    memset(ret_finding, 0, sizeof *ret_finding);
    reach(&e,
          (struct node){.state = MIGRATION_ASSESSED,
                        .source_there = 1,
                        .source_running = !exploration->off,
                        .was_on = !exploration->off,
                        .consented = 1},
          "begins");
    for (; e.at < e.count && !ret_finding->violation; e.at++) {
        union key key = {.number = e.nodes[e.at]};
        if (migration_ended((enum migration_state)key.node.state))
            continue;
        worker(&e, &key.node);
        leave_moving(&e, &key.node);
        people(&e, &key.node);
        nature(&e, &key.node);
    }
    if (!ret_finding->violation)
        check_dead_ends(&e);
    ret_finding->nodes = e.count;
    ret_finding->edges = e.edge_count;
    free(e.nodes);
    free(e.parents);
    free(e.how);
    free(e.slots);
    free(e.edges);
}
