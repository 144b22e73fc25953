/* Reports folded into intervals: by hand, and thousands of random histories put in in any order against the
 * rule itself, "what the last report at or before t says", looked up moment by moment. */
#include "metering/fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define STATE_MAX 3
#define HISTORY_MAX 12
#define HORIZON 16

struct state {
    moment at;
    struct span spans[STATE_MAX];
    size_t count;
};

static uint64_t seed;

static unsigned draw(unsigned below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 11) % below);
}

static struct span span(const char *item, int64_t micro)
{
    struct span span = {.micro = micro,
                        .system = "s",
                        .cloud = "c",
                        .provider = "p",
                        .kind = "instance",
                        .industry = "",
                        .zone = "",
                        .architecture = ""};
    memcpy(span.item, item, ITEM_CODE);
    return span;
}

static struct state random_state(moment at)
{
    static const char *const items[] = {"1001", "1002", "1016"};
    struct state state = {.at = at};
    for (size_t i = 0; i < STATE_MAX; i++) {
        if (draw(3) == 0)
            continue;
        state.spans[state.count] = span(items[i], 1 + draw(2));
        state.spans[state.count++].system = draw(4) ? "s" : "t";
    }
    return state;
}

/* Until when the state `i` holds among those that are in already. */
static moment next_of(const struct state *states, const bool *in, size_t count, size_t i)
{
    moment next = MOMENT_MAX;
    for (size_t k = 0; k < count; k++)
        if (in[k] && states[k].at > states[i].at && states[k].at < next)
            next = states[k].at;
    return next;
}

/* Puts the states in, in batches of random sizes in the order given. */
static size_t put_in(struct arena *arena, const struct state *states, const size_t *order, size_t count,
                     struct span **ret_list)
{
    bool in[HISTORY_MAX] = {false};
    struct span *list = NULL;
    size_t have = 0;
    for (size_t done = 0; done < count;) {
        struct fold_region regions[HISTORY_MAX];
        size_t batch = 1 + draw((unsigned)(count - done));
        for (size_t i = 0; i < batch; i++)
            in[order[done + i]] = true;
        for (size_t i = 0; i < batch; i++) {
            const struct state *state = &states[order[done + i]];
            regions[i] = (struct fold_region){state->at, next_of(states, in, count, order[done + i]),
                                              state->spans, state->count};
        }
        fold_apply(arena, list, have, regions, batch, &list, &have);
        done += batch;
    }
    *ret_list = list;
    return have;
}

static const struct state *state_at(const struct state *states, size_t count, moment at)
{
    const struct state *last = NULL;
    for (size_t i = 0; i < count; i++)
        if (states[i].at <= at && (!last || states[i].at > last->at))
            last = &states[i];
    return last;
}

static void check_rule(const struct state *states, size_t count, const struct span *list, size_t have)
{
    for (moment at = 0; at <= HORIZON; at++) {
        const struct state *state = state_at(states, count, at);
        size_t covered = 0;
        for (size_t i = 0; i < have; i++) {
            if (list[i].from > at || list[i].to <= at)
                continue;
            covered++;
            bool said = false;
            for (size_t k = 0; state && k < state->count; k++)
                said = said || span_same(&state->spans[k], &list[i]);
            assert_true(said);
        }
        assert_int_equal(covered, state ? state->count : 0);
    }
    for (size_t i = 1; i < have; i++) /* the longest possible: equal neighbours do not touch */
        assert_false(span_same(&list[i - 1], &list[i]) && list[i - 1].to == list[i].from);
}

static void any_order_gives_the_same(void **unused)
{
    for (unsigned round = 1; round <= 4000; round++) {
        ARENA_AUTO struct arena *arena = arena_new();
        struct state states[HISTORY_MAX];
        size_t order[HISTORY_MAX], count = 0;
        struct span *first, *second;
        seed = round * UINT64_C(2654435761);
        for (moment at = 0; at < HORIZON && count < HISTORY_MAX; at++)
            if (draw(2))
                states[count++] = random_state(at);
        for (size_t i = 0; i < count; i++)
            order[i] = i;
        size_t have = put_in(arena, states, order, count, &first);
        check_rule(states, count, first, have);
        for (size_t i = count; i > 1; i--) {
            size_t k = draw((unsigned)i), kept = order[i - 1];
            order[i - 1] = order[k];
            order[k] = kept;
        }
        assert_int_equal(put_in(arena, states, order, count, &second), have);
        for (size_t i = 0; i < have; i++) {
            assert_true(span_same(&first[i], &second[i]));
            assert_true(first[i].from == second[i].from && first[i].to == second[i].to);
        }
    }
}

static void a_late_state_cuts_and_joins(void **unused)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct span *list, four = span("1001", 4), eight = span("1001", 8);
    size_t count;
    four.from = 10;
    four.to = MOMENT_MAX;
    struct fold_region middle = {20, 30, &eight, 1}, back = {20, 30, &four, 1}, gone = {10, 30, NULL, 0};
    fold_apply(arena, &four, 1, &middle, 1, &list, &count);
    assert_int_equal(count, 3);
    assert_true(list[0].to == 20 && list[1].micro == 8 && list[1].to == 30 && list[2].to == MOMENT_MAX);
    fold_apply(arena, list, count, &back, 1, &list, &count);
    assert_int_equal(count, 1);
    assert_true(list[0].from == 10 && list[0].to == MOMENT_MAX);
    fold_apply(arena, list, count, &gone, 1, &list, &count);
    assert_int_equal(count, 1);
    assert_true(list[0].from == 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_state_cuts_and_joins),
        cmocka_unit_test(any_order_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
