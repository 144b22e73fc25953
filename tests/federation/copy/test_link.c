/* The bandwidth of a link in a time of its own: the limit is kept, each flow that wants gets the same, what
 * one leaves the others get, and a change counts at once. */
#include "federation/copy_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define FLOWS 5

/* A pass that sends pieces as soon as it may. `pause` is how long it takes for one by itself. */
struct sender {
    struct copy_flow *flow;
    uint64_t piece, sent;
    int64_t next, pause;
};

/* Lets the senders do until `until`; who may go first goes. */
static void simulate(struct sender *senders, size_t count, int64_t from, int64_t until)
{
    for (size_t i = 0; i < count; i++)
        if (senders[i].next < from)
            senders[i].next = from;
    for (;;) {
        struct sender *first = &senders[0];
        for (size_t i = 1; i < count; i++)
            if (senders[i].next < first->next)
                first = &senders[i];
        if (first->next >= until)
            return;
        int64_t wait = copy_flow_take(first->flow, first->piece, first->next);
        assert_true(wait >= 0 && wait <= COPY_LINK_WAIT_MAX);
        if (!wait)
            first->sent += first->piece;
        first->next += wait ? wait : first->pause;
    }
}

static void assert_near(uint64_t value, uint64_t wanted, unsigned percent)
{
    uint64_t off = value > wanted ? value - wanted : wanted - value;
    if (off * 100 > wanted * percent)
        fail_msg("%llu is not within %u %% of %llu", (unsigned long long)value, percent,
                 (unsigned long long)wanted);
}

static void no_limit(void **state)
{
    struct copy_link *link = copy_link_new(0);
    struct copy_flow *flow = copy_link_join(link);
    for (int64_t i = 0; i < 1000; i++)
        assert_int_equal(copy_flow_take(flow, 1 << 25, i), 0);
    copy_flow_leave(flow);
    copy_link_free(link);
    assert_null(copy_link_join(NULL));
    assert_int_equal(copy_flow_take(NULL, 1, 0), 0);
    copy_flow_leave(NULL);
}

static void limit_is_kept(void **state)
{
    static const uint64_t rates[] = {1 << 20, 100 << 20, UINT64_C(10) << 30};
    static const uint64_t pieces[] = {4096, 1 << 20, 32 << 20};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++) {
            struct copy_link *link = copy_link_new(rates[i]);
            struct sender sender = {.flow = copy_link_join(link), .piece = pieces[j], .pause = 1};
            int64_t time = 100 * SECOND;
            if (pieces[j] < rates[i] / 100000)
                sender.pause = 0; /* many in the same microsecond */
            if (rates[i] / pieces[j] > 1000000)
                time = SECOND;
            simulate(&sender, 1, SECOND, SECOND + time);
            assert_near(sender.sent, rates[i] * (uint64_t)(time / SECOND), 35);
            assert_true(sender.sent <= rates[i] * (uint64_t)(time / SECOND) + rates[i] / 5 + pieces[j]);
            copy_flow_leave(sender.flow);
            copy_link_free(link);
        }
}

static void shares_are_equal(void **state)
{
    struct copy_link *link = copy_link_new(50 << 20);
    struct sender senders[FLOWS];
    for (size_t i = 0; i < FLOWS; i++) /* pieces of different sizes, and a different hurry */
        senders[i] =
            (struct sender){.flow = copy_link_join(link), .piece = UINT64_C(65536) << i, .pause = (int64_t)i};
    simulate(senders, FLOWS, SECOND, 101 * SECOND);
    for (size_t i = 0; i < FLOWS; i++)
        assert_near(senders[i].sent, UINT64_C(1000) << 20, 5);
    for (size_t i = 0; i < FLOWS; i++)
        copy_flow_leave(senders[i].flow);
    copy_link_free(link);
}

static void what_is_left_is_used(void **state)
{
    struct copy_link *link = copy_link_new(10 << 20);
    struct sender senders[] = {
        {.flow = copy_link_join(link), .piece = 1 << 20, .pause = SECOND}, /* 1 MiB/s of its own */
        {.flow = copy_link_join(link), .piece = 1 << 20, .pause = 1},
        {.flow = copy_link_join(link), .piece = 1 << 20, .pause = 1}};
    simulate(senders, 3, SECOND, 101 * SECOND);
    assert_near(senders[0].sent, UINT64_C(100) << 20, 15);
    assert_near(senders[1].sent, UINT64_C(450) << 20, 5);
    assert_near(senders[2].sent, UINT64_C(450) << 20, 5);
    copy_flow_leave(senders[2].flow);
    senders[0].sent = senders[1].sent = 0;
    simulate(senders, 2, 101 * SECOND, 201 * SECOND);
    assert_near(senders[1].sent, UINT64_C(900) << 20, 5);
    copy_flow_leave(senders[0].flow);
    copy_flow_leave(senders[1].flow);
    copy_link_free(link);
}

static void who_comes_later_gets_its_share_and_no_more(void **state)
{
    struct copy_link *link = copy_link_new(10 << 20);
    struct sender senders[] = {{.flow = copy_link_join(link), .piece = 1 << 18, .pause = 1},
                               {.flow = copy_link_join(link), .piece = 1 << 18, .pause = 1}};
    simulate(senders, 1, SECOND, 101 * SECOND);
    senders[0].sent = 0;
    simulate(senders, 2, 101 * SECOND, 201 * SECOND);
    assert_near(senders[0].sent, UINT64_C(500) << 20, 5);
    assert_near(senders[1].sent, UINT64_C(500) << 20, 5);
    copy_flow_leave(senders[0].flow);
    copy_flow_leave(senders[1].flow);
    copy_link_free(link);
}

/* Two of one link under another that carries twice as much, and one on the other by itself: each goes by the
 * tighter of its two limits, and what it leaves goes to the rest. */
static void a_link_within_a_link(void **state)
{
    struct copy_link *wide = copy_link_new(12 << 20), *narrow = copy_link_under(wide, 4 << 20);
    struct sender senders[] = {{.flow = copy_link_join(narrow), .piece = 1 << 18, .pause = 1},
                               {.flow = copy_link_join(narrow), .piece = 1 << 20, .pause = 1},
                               {.flow = copy_link_join(wide), .piece = 1 << 18, .pause = 1}};
    simulate(senders, 3, SECOND, 101 * SECOND);
    assert_near(senders[0].sent, UINT64_C(200) << 20, 5);
    assert_near(senders[1].sent, UINT64_C(200) << 20, 5);
    assert_near(senders[2].sent, UINT64_C(800) << 20, 5);
    copy_link_set_rate(narrow, 0, 101 * SECOND); /* the wide one alone: thirds */
    for (size_t i = 0; i < 3; i++)
        senders[i].sent = 0;
    simulate(senders, 3, 101 * SECOND, 201 * SECOND);
    for (size_t i = 0; i < 3; i++)
        assert_near(senders[i].sent, UINT64_C(400) << 20, 5);
    for (size_t i = 0; i < 3; i++)
        copy_flow_leave(senders[i].flow);
    copy_link_free(narrow);
    copy_link_free(wide);
}

/* One that was told to come back and never does must not hold up the others. */
static void the_dead_do_not_block(void **state)
{
    struct copy_link *link = copy_link_new(10 << 20);
    struct copy_flow *dead = copy_link_join(link);
    struct sender sender = {.flow = copy_link_join(link), .piece = 1 << 20, .pause = 1};
    simulate(&sender, 1, SECOND, 2 * SECOND);
    while (!copy_flow_take(sender.flow, 1 << 20, 2 * SECOND))
        ;
    assert_true(copy_flow_take(dead, 1 << 20, 2 * SECOND) > 0);
    sender.sent = 0;
    simulate(&sender, 1, 2 * SECOND, 102 * SECOND);
    assert_near(sender.sent, UINT64_C(1000) << 20, 5);
    copy_flow_leave(dead);
    copy_flow_leave(sender.flow);
    copy_link_free(link);
}

static void changes_count_at_once(void **state)
{
    struct copy_link *link = copy_link_new(1); /* a byte a second: a piece owes days */
    struct sender sender = {.flow = copy_link_join(link), .piece = 1 << 20, .pause = 1};
    simulate(&sender, 1, SECOND, 11 * SECOND);
    assert_int_equal(sender.sent, 1 << 20);
    copy_link_set_rate(link, 10 << 20, 11 * SECOND);
    assert_int_equal(copy_link_rate(link), 10 << 20);
    sender.sent = 0;
    simulate(&sender, 1, 11 * SECOND, 21 * SECOND);
    assert_near(sender.sent, 100 << 20, 5);
    copy_link_set_rate(link, 1 << 20, 21 * SECOND);
    sender.sent = 0;
    simulate(&sender, 1, 21 * SECOND, 121 * SECOND);
    assert_near(sender.sent, 100 << 20, 5);
    copy_link_set_rate(link, 0, 121 * SECOND);
    assert_int_equal(copy_flow_take(sender.flow, 1 << 30, 121 * SECOND), 0);
    copy_flow_leave(sender.flow);
    copy_link_free(link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit),
        cmocka_unit_test(limit_is_kept),
        cmocka_unit_test(shares_are_equal),
        cmocka_unit_test(what_is_left_is_used),
        cmocka_unit_test(who_comes_later_gets_its_share_and_no_more),
        cmocka_unit_test(a_link_within_a_link),
        cmocka_unit_test(the_dead_do_not_block),
        cmocka_unit_test(changes_count_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
