/* The links of a process: who shares with whom, which of the limits counts, and what two passes between real
 * servers make of one link. */
#include "federation/link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "broker/base/moment.h"
#include "tests/federation/copy/exports.h"

#define SECOND MOMENT_SECOND
#define PIECE (UINT64_C(1) << 16)

static int64_t now = SECOND;

/* Bytes that each of the flows may send in the next 20 s when all want all the time. */
static void send_all(struct link_way *const *ways, size_t count, uint64_t *ret_sent)
{
    struct copy_flow *flows[4];
    int64_t next[4];
    for (size_t i = 0; i < count; i++) {
        flows[i] = copy_link_join(link_way_link(ways[i]));
        next[i] = now;
        ret_sent[i] = 0;
    }
    for (;;) {
        size_t first = 0;
        for (size_t i = 1; i < count; i++)
            first = next[i] < next[first] ? i : first;
        if (next[first] >= now + 20 * SECOND)
            break;
        int64_t wait = copy_flow_take(flows[first], PIECE, next[first]);
        ret_sent[first] += wait ? 0 : PIECE;
        next[first] += wait ? wait : 100;
    }
    for (size_t i = 0; i < count; i++)
        copy_flow_leave(flows[i]);
    now += 21 * SECOND;
}

static void assert_near(uint64_t value, uint64_t wanted)
{
    uint64_t off = value > wanted ? value - wanted : wanted - value;
    if (off * 20 > wanted)
        fail_msg("%llu is not within 5 %% of %llu", (unsigned long long)value, (unsigned long long)wanted);
}

static void who_shares_with_whom(void **state)
{
    struct links *links = links_new();
    const struct link_rates rates = {.link = 8 * MIB, .wave = 0, .move = 0};
    uint64_t sent[4];
    struct link_way *ways[] = {link_way_open(links, "a b", NULL, &rates, now),
                               link_way_open(links, "a b", "w1 a b", &rates, now),
                               link_way_open(links, "a c", NULL, &rates, now)};
    (void)state;
    send_all(ways, 3, sent);
    assert_near(sent[0], 20 * 4 * MIB);
    assert_near(sent[1], 20 * 4 * MIB);
    assert_near(sent[2], 20 * 8 * MIB); /* another link */
    link_way_close(ways[0]);
    send_all(ways + 1, 2, sent);
    assert_near(sent[0], 20 * 8 * MIB);
    link_way_close(ways[1]);
    link_way_close(ways[2]);
    links_free(links);
}

static void the_tightest_limit_counts(void **state)
{
    struct links *links = links_new();
    uint64_t sent[4];
    struct link_way *ways[] = {
        link_way_open(links, "a b", "w1 a b", &(struct link_rates){10 * MIB, 4 * MIB, 0}, now),
        link_way_open(links, "a b", "w1 a b", &(struct link_rates){10 * MIB, 4 * MIB, MIB}, now),
        link_way_open(links, "a b", "w2 a b", &(struct link_rates){10 * MIB, 0, 0}, now)};
    (void)state;
    send_all(ways, 3, sent);
    assert_near(sent[0], 20 * 3 * MIB); /* what its wave leaves beside the next */
    assert_near(sent[1], 20 * MIB);     /* its own */
    assert_near(sent[2], 20 * 6 * MIB); /* the rest of the link */
    /* Another limit of the link and the wave, told by one of them, is in force for all. */
    link_way_set(ways[1], &(struct link_rates){4 * MIB, 1 * MIB, 0}, now);
    send_all(ways, 3, sent);
    assert_near(sent[0], 20 * MIB / 2);
    assert_near(sent[1], 20 * MIB / 2);
    assert_near(sent[2], 20 * 3 * MIB);
    for (size_t i = 0; i < 3; i++)
        link_way_close(ways[i]);
    links_free(links);
}

static void without_links_there_is_the_moves_own(void **state)
{
    uint64_t sent[4];
    struct link_way *way = link_way_open(NULL, "a b", "w", &(struct link_rates){1, 1, 2 * MIB}, now);
    (void)state;
    send_all(&way, 1, sent);
    assert_near(sent[0], 20 * 2 * MIB);
    link_way_set(way, &(struct link_rates){1, 1, MIB}, now);
    send_all(&way, 1, sent);
    assert_near(sent[0], 20 * MIB);
    link_way_close(way);
    link_way_close(NULL);
    assert_null(link_way_link(NULL));
}

/* ------------------------------------------------------------------------------------------- real passes */

#define SIZE (8 * MIB)
#define RATE (4 * MIB)

struct copying {
    struct copy_pass pass;
    struct copy_result result;
    struct link_way *way;
    struct error *error;
    uint64_t change_at; /* bytes: then the link gets another limit */
    struct link_rates change;
};

static bool progress(void *data, const struct copy_progress *p)
{
    struct copying *copying = data;
    if (copying->change_at && p->read >= copying->change_at)
        link_way_set(copying->way, &copying->change, moment_monotonic());
    return true;
}

static void *copy(void *data)
{
    struct copying *copying = data;
    copying->error = copy_pass_run(&copying->pass, &copying->result);
    return NULL;
}

/* Two moves' passes at once, each between servers of its own, over one link. */
static void two_moves_share_a_link(void **state)
{
    struct links *links = links_new();
    struct copying both[2] = {{.change_at = 0}, {.change_at = 0}};
    struct export *ends[4];
    pthread_t threads[2];
    const char *const names[][3] = {{"source0", "target0", "manifest0"}, {"source1", "target1", "manifest1"}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        disk_make(in_folder(names[i][0]), SIZE, 100, i + 1);
        disk_fill(in_folder(names[i][1]), SIZE, 0xee);
        ends[2 * i] = EXPORT("nbdkit", "file", in_folder(names[i][0]));
        ends[2 * i + 1] = EXPORT("nbdkit", "file", in_folder(names[i][1]));
        both[i].way = link_way_open(links, "a b", NULL, &(struct link_rates){RATE, 0, 0}, moment_monotonic());
        both[i].pass = pass_between(ends[2 * i], ends[2 * i + 1]);
        both[i].pass.manifest_path = in_folder(names[i][2]);
        both[i].pass.source.link = link_way_link(both[i].way);
        both[i].pass.progress = progress;
        both[i].pass.data = &both[i];
    }
    int64_t began = moment_monotonic();
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, copy, &both[i]), 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        if (both[i].error)
            fail_msg("%s", error_message(both[i].error));
        assert_int_equal(both[i].result.progress.read, SIZE);
    }
    int64_t took = moment_monotonic() - began;
    /* Each by itself would be over after half of it; and neither waited for the other's end. */
    print_message("16 MiB over a link of 4 MiB/s: %lld ms\n", (long long)(took / 1000));
    assert_true(took > (int64_t)(2 * SIZE * SECOND / RATE) * 85 / 100);
    for (size_t i = 0; i < 2; i++)
        assert_true(both[i].result.progress.elapsed_us > took * 3 / 4);
    for (size_t i = 0; i < 4; i++)
        export_stop(ends[i]);
    for (size_t i = 0; i < 2; i++) {
        assert_same(in_folder(names[i][0]), in_folder(names[i][1]));
        link_way_close(both[i].way);
    }
    links_free(links);
}

/* A limit that would take minutes is lifted while the pass runs. */
static void a_limit_changes_while_it_runs(void **state)
{
    struct links *links = links_new();
    struct copying one = {.change_at = 1, .change = {0, 0, 0}};
    (void)state;
    disk_make(in_folder("source0"), SIZE, 100, 7);
    disk_fill(in_folder("target0"), SIZE, 0xee);
    struct export *source = EXPORT("nbdkit", "file", in_folder("source0")),
                  *target = EXPORT("nbdkit", "file", in_folder("target0"));
    one.way = link_way_open(links, "a b", NULL, &(struct link_rates){64 * 1024, 0, 0}, moment_monotonic());
    one.pass = pass_between(source, target);
    one.pass.source.link = link_way_link(one.way);
    one.pass.progress = progress;
    one.pass.data = &one;
    copy(&one);
    assert_null(one.error);
    assert_true(one.result.progress.elapsed_us < 60 * SECOND); /* 128 s at the first limit */
    export_stop(source);
    export_stop(target);
    link_way_close(one.way);
    links_free(links);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_shares_with_whom),
        cmocka_unit_test(the_tightest_limit_counts),
        cmocka_unit_test(without_links_there_is_the_moves_own),
        cmocka_unit_test(two_moves_share_a_link),
        cmocka_unit_test(a_limit_changes_while_it_runs),
    };
    return cmocka_run_group_tests(tests, exports_begin, exports_end);
}
