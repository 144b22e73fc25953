/* The life of a move: what leads where, what has to hold, and every history of it explored: never two sides
 * able to run, never none with the data, every ending with an empty ledger. That the explorer finds what is
 * wrong is shown with lists of steps that are. */
#include "federation/migration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "federation/migration_step.h"
#include "tests/federation/explorer.h"

static struct migration_facts good_facts(void)
{
    return (struct migration_facts){.method = MIGRATION_WARM,
                                    .assessed = true,
                                    .planned = true,
                                    .way_back = true,
                                    .consented = true,
                                    .approved = true,
                                    .window = true,
                                    .accepted = true,
                                    .clean = true,
                                    .predicted_us = 1,
                                    .agreed_us = 2,
                                    .source = {true, true, false, true},
                                    .target = {true, true, true, false}};
}

static void leads(enum migration_state from, enum migration_event event, enum migration_state wanted)
{
    const struct migration_facts facts = good_facts();
    enum migration_state to;
    struct error *error = migration_next(from, event, &facts, &to);
    if (error)
        fail_msg("%s", error_message(error));
    assert_int_equal(to, wanted);
}

static void refused(enum migration_state from, enum migration_event event,
                    const struct migration_facts *facts, enum error_code code, const char *text)
{
    enum migration_state to = MIGRATION_STATE_COUNT;
    struct error *error = migration_next(from, event, facts, &to);
    assert_non_null(error);
    assert_int_equal(error_code(error), code);
    if (!strstr(error_message(error), text))
        fail_msg("\"%s\" does not say \"%s\"", error_message(error), text);
    assert_int_equal(to, MIGRATION_STATE_COUNT); /* untouched */
    error_free(error);
}

static void a_move_goes_its_way(void **state)
{
    leads(MIGRATION_ASSESSED, MIGRATION_EVENT_CONSENT, MIGRATION_CONSENTED);
    leads(MIGRATION_CONSENTED, MIGRATION_EVENT_APPROVAL, MIGRATION_APPROVED);
    leads(MIGRATION_APPROVED, MIGRATION_EVENT_START, MIGRATION_COPYING);
    leads(MIGRATION_COPYING, MIGRATION_EVENT_SYNCED, MIGRATION_SYNCED);
    leads(MIGRATION_SYNCED, MIGRATION_EVENT_TEST, MIGRATION_TESTING);
    leads(MIGRATION_TESTING, MIGRATION_EVENT_TESTED, MIGRATION_SYNCED);
    leads(MIGRATION_SYNCED, MIGRATION_EVENT_CUTOVER, MIGRATION_CUTTING_OVER);
    leads(MIGRATION_CUTTING_OVER, MIGRATION_EVENT_COPIED, MIGRATION_VERIFYING);
    leads(MIGRATION_VERIFYING, MIGRATION_EVENT_HEALTHY, MIGRATION_HOLDING);
    leads(MIGRATION_HOLDING, MIGRATION_EVENT_COMMIT, MIGRATION_COMMITTING);
    leads(MIGRATION_COMMITTING, MIGRATION_EVENT_DONE, MIGRATION_COMMITTED);
    leads(MIGRATION_HOLDING, MIGRATION_EVENT_ROLLBACK, MIGRATION_ROLLING_BACK);
    leads(MIGRATION_ROLLING_BACK, MIGRATION_EVENT_DONE, MIGRATION_ROLLED_BACK);
}

/* Cancelled at any point but where the target may run; broken there it turns back by itself. */
static void where_it_can_be_cancelled(void **state)
{
    for (int s = 0; s < MIGRATION_STATE_COUNT; s++)
        assert_int_equal(migration_allows((enum migration_state)s, MIGRATION_EVENT_CANCEL),
                         s <= MIGRATION_CUTTING_OVER || s == MIGRATION_FAILED);
    leads(MIGRATION_CUTTING_OVER, MIGRATION_EVENT_BROKEN, MIGRATION_CANCELLING);
    leads(MIGRATION_VERIFYING, MIGRATION_EVENT_BROKEN, MIGRATION_ROLLING_BACK);
    leads(MIGRATION_VERIFYING, MIGRATION_EVENT_UNHEALTHY, MIGRATION_ROLLING_BACK);
    for (int s = MIGRATION_COMMITTED; s < MIGRATION_STATE_COUNT; s++)
        for (int event = 0; event < MIGRATION_EVENT_COUNT; event++)
            assert_false(migration_allows((enum migration_state)s, (enum migration_event)event));
}

/* A person is needed only where neither side can be brought to its end by itself. */
static void what_fails_goes_on_where_it_failed(void **state)
{
    struct migration_facts facts = good_facts();
    enum migration_state to;
    facts.failed_in = MIGRATION_ROLLING_BACK;
    assert_null(migration_next(MIGRATION_FAILED, MIGRATION_EVENT_ROLLBACK, &facts, &to));
    assert_int_equal(to, MIGRATION_ROLLING_BACK);
    refused(MIGRATION_FAILED, MIGRATION_EVENT_COMMIT, &facts, ERR_CONFLICT, "not a commit that failed");
    refused(MIGRATION_FAILED, MIGRATION_EVENT_CANCEL, &facts, ERR_CONFLICT, "not a cancellation that failed");
    for (int s = 0; s < MIGRATION_STATE_COUNT; s++) {
        facts = good_facts();
        struct error *error = migration_next((enum migration_state)s, MIGRATION_EVENT_BROKEN, &facts, &to);
        bool fails = !error && to == MIGRATION_FAILED;
        assert_int_equal(fails, s == MIGRATION_ROLLING_BACK || s == MIGRATION_CANCELLING ||
                                    s == MIGRATION_COMMITTING);
        error_free(error);
    }
}

static void what_has_to_hold(void **state)
{
    struct migration_facts facts = good_facts();
    facts.assessed = false;
    refused(MIGRATION_APPROVED, MIGRATION_EVENT_START, &facts, ERR_CONFLICT, "assessment");
    facts = good_facts();
    facts.planned = false;
    refused(MIGRATION_APPROVED, MIGRATION_EVENT_START, &facts, ERR_CONFLICT, "the plan");
    facts = good_facts();
    facts.way_back = false;
    refused(MIGRATION_APPROVED, MIGRATION_EVENT_START, &facts, ERR_CONFLICT, "the rollback plan");
    facts = good_facts();
    facts.consented = false;
    refused(MIGRATION_ASSESSED, MIGRATION_EVENT_CONSENT, &facts, ERR_DENIED, "consented");
    refused(MIGRATION_APPROVED, MIGRATION_EVENT_START, &facts, ERR_DENIED, "consented");
    refused(MIGRATION_SYNCED, MIGRATION_EVENT_TEST, &facts, ERR_DENIED, "consented");
    refused(MIGRATION_SYNCED, MIGRATION_EVENT_CUTOVER, &facts, ERR_DENIED, "consented");
    facts = good_facts();
    facts.approved = false;
    refused(MIGRATION_CONSENTED, MIGRATION_EVENT_APPROVAL, &facts, ERR_CONFLICT, "approvals");
    refused(MIGRATION_APPROVED, MIGRATION_EVENT_START, &facts, ERR_CONFLICT, "approvals");
    facts = good_facts();
    facts.window = false;
    refused(MIGRATION_SYNCED, MIGRATION_EVENT_CUTOVER, &facts, ERR_CONFLICT, "window is not open");
    facts.window_until = INT64_C(1795730400000000); /* open, but not long enough */
    refused(
        MIGRATION_SYNCED, MIGRATION_EVENT_CUTOVER, &facts, ERR_CONFLICT,
        "has to end within the agreed window, which is open until 2026-11-26T22:00:00.000000Z: from now on "
        "1 s are predicted");
    facts = good_facts();
    facts.predicted_us = 3;
    refused(MIGRATION_SYNCED, MIGRATION_EVENT_CUTOVER, &facts, ERR_CONFLICT, "downtime");
    facts.predicted_us = -1;
    refused(MIGRATION_COPYING, MIGRATION_EVENT_SYNCED, &facts, ERR_CONFLICT, "downtime");
    facts.agreed_us = 0;
    leads(MIGRATION_COPYING, MIGRATION_EVENT_SYNCED, MIGRATION_SYNCED);
    facts = good_facts();
    facts.accepted = false;
    refused(MIGRATION_HOLDING, MIGRATION_EVENT_COMMIT, &facts, ERR_CONFLICT, "accepted");
    facts = good_facts();
    facts.source.running = true;
    refused(MIGRATION_HOLDING, MIGRATION_EVENT_COMMIT, &facts, ERR_CONFLICT, "off and fenced");
    refused(MIGRATION_CUTTING_OVER, MIGRATION_EVENT_COPIED, &facts, ERR_CONFLICT, "off and fenced");
    facts = good_facts();
    facts.target.fenced = true;
    refused(MIGRATION_HOLDING, MIGRATION_EVENT_COMMIT, &facts, ERR_CONFLICT, "does not live");
    facts = good_facts();
    facts.clean = false;
    refused(MIGRATION_COMMITTING, MIGRATION_EVENT_DONE, &facts, ERR_CONFLICT, "not removed");
    refused(MIGRATION_CANCELLING, MIGRATION_EVENT_DONE, &facts, ERR_CONFLICT, "not removed");
    refused(MIGRATION_ROLLING_BACK, MIGRATION_EVENT_DONE, &facts, ERR_CONFLICT, "not removed");
    refused(MIGRATION_HOLDING, MIGRATION_EVENT_CUTOVER, &facts, ERR_CONFLICT,
            "a migration that is holding takes no \"cutover\"");
}

static void what_a_test_needs(void **state)
{
    struct migration_facts facts = good_facts();
    facts.method = MIGRATION_LIVE;
    refused(MIGRATION_SYNCED, MIGRATION_EVENT_TEST, &facts, ERR_CONFLICT, "by the methods live and mobility");
    facts.method = MIGRATION_MOBILITY;
    refused(MIGRATION_SYNCED, MIGRATION_EVENT_TEST, &facts, ERR_CONFLICT, "by the methods live and mobility");
    facts.method = MIGRATION_COLD;
    refused(MIGRATION_SYNCED, MIGRATION_EVENT_TEST, &facts, ERR_CONFLICT, "by the method cold");
    refused(MIGRATION_HOLDING, MIGRATION_EVENT_TEST, &facts, ERR_CONFLICT, "takes no \"test\"");
    facts = good_facts();
    facts.test_required = true;
    refused(MIGRATION_SYNCED, MIGRATION_EVENT_CUTOVER, &facts, ERR_CONFLICT, "want a test boot");
    leads(MIGRATION_SYNCED, MIGRATION_EVENT_TEST, MIGRATION_TESTING);
    facts.test_passed = true;
    enum migration_state to;
    assert_null(migration_next(MIGRATION_SYNCED, MIGRATION_EVENT_CUTOVER, &facts, &to));
    assert_int_equal(to, MIGRATION_CUTTING_OVER);
}

static struct migration_decision decide(enum migration_state state, size_t done, struct migration_facts facts)
{
    return migration_decide(&migration_table, state, done, &facts);
}

/* A withdrawn consent stops it wherever the target is not live yet, whatever was about to be done. */
static void a_withdrawn_consent_stops_it(void **state)
{
    struct migration_facts facts = good_facts();
    facts.consented = false;
    for (int s = MIGRATION_CONSENTED; s <= MIGRATION_CUTTING_OVER; s++) {
        const struct migration_decision decision = decide((enum migration_state)s, 0, facts);
        assert_int_equal(decision.act, MIGRATION_ACT_EVENT);
        assert_int_equal(decision.event, MIGRATION_EVENT_WITHDRAWN);
        leads((enum migration_state)s, MIGRATION_EVENT_WITHDRAWN,
              s <= MIGRATION_APPROVED ? MIGRATION_ASSESSED : MIGRATION_CANCELLING);
    }
    assert_int_equal(decide(MIGRATION_VERIFYING, 0, facts).effect, MIGRATION_TARGET_RELEASE);
    assert_int_equal(decide(MIGRATION_HOLDING, 0, facts).act, MIGRATION_ACT_WAIT);
}

/* A source that came back by itself between its stop and its fence is stopped again, and what it wrote goes
 * over. */
static void a_source_that_comes_back_is_stopped_again(void **state)
{
    struct migration_facts facts = good_facts();
    facts.target.fenced = true;
    facts.target.running = false;
    facts.source = (struct migration_side){true, true, true, false};
    assert_int_equal(decide(MIGRATION_CUTTING_OVER, 0, facts).effect, MIGRATION_SOURCE_STOP);
    struct migration_decision decision = decide(MIGRATION_CUTTING_OVER, 1, facts);
    assert_int_equal(decision.act, MIGRATION_ACT_AGAIN);
    assert_string_equal(decision.why, "the source runs");
    facts.source.running = false;
    assert_int_equal(decide(MIGRATION_CUTTING_OVER, 1, facts).effect, MIGRATION_SOURCE_FENCE);
    facts.source.fenced = true;
    assert_int_equal(decide(MIGRATION_CUTTING_OVER, 2, facts).effect, MIGRATION_LAST_PASS);
    assert_int_equal(decide(MIGRATION_CUTTING_OVER, 4, facts).event, MIGRATION_EVENT_COPIED);
    facts.convert = true;
    assert_int_equal(decide(MIGRATION_CUTTING_OVER, 4, facts).effect, MIGRATION_CONVERT);
    facts.torn = true;
    decision = decide(MIGRATION_CUTTING_OVER, 4, facts);
    assert_int_equal(decision.act, MIGRATION_ACT_AGAIN);
}

/* What cannot be seen counts as able to run. */
static void an_unseen_side_is_not_safe(void **state)
{
    struct migration_facts facts = good_facts();
    facts.source.known = false;
    const struct migration_decision decision = decide(MIGRATION_VERIFYING, 0, facts);
    assert_int_equal(decision.act, MIGRATION_ACT_EVENT);
    assert_int_equal(decision.event, MIGRATION_EVENT_UNHEALTHY);
    facts = good_facts();
    facts.target = (struct migration_side){.known = false};
    assert_int_equal(decide(MIGRATION_ROLLING_BACK, 2, facts).act, MIGRATION_ACT_AGAIN);
    assert_int_equal(decide(MIGRATION_CANCELLING, 1, facts).event, MIGRATION_EVENT_BROKEN);
    assert_true(migration_able(&facts.target));
    assert_false(migration_safe(&facts.target));
}

/* Passes go on until the downtime fits; when they never do a person is asked, not the move cut over. */
static void passes_go_on_until_it_fits(void **state)
{
    struct migration_facts facts = good_facts();
    facts.target = (struct migration_side){true, true, false, true};
    facts.source = (struct migration_side){true, true, true, false};
    facts.predicted_us = 3;
    assert_int_equal(decide(MIGRATION_COPYING, 3, facts).effect, MIGRATION_PASS);
    assert_int_equal(decide(MIGRATION_SYNCED, 0, facts).event, MIGRATION_EVENT_GREW);
    facts.predicted_us = 2;
    assert_int_equal(decide(MIGRATION_COPYING, 3, facts).event, MIGRATION_EVENT_SYNCED);
    assert_int_equal(decide(MIGRATION_SYNCED, 0, facts).act, MIGRATION_ACT_WAIT);
    facts.behind = true;
    assert_int_equal(decide(MIGRATION_SYNCED, 0, facts).effect, MIGRATION_PASS);
    facts.method = MIGRATION_COLD;
    assert_int_equal(decide(MIGRATION_SYNCED, 0, facts).act, MIGRATION_ACT_WAIT);
    assert_int_equal(decide(MIGRATION_COPYING, 2, facts).event, MIGRATION_EVENT_SYNCED);
    facts.predicted_us = 3;
    assert_int_equal(decide(MIGRATION_COPYING, 2, facts).act, MIGRATION_ACT_WAIT);
}

static void names_are_found_again(void **state)
{
    for (int s = 0; s < MIGRATION_STATE_COUNT; s++)
        assert_int_equal(migration_state_find(migration_state_name((enum migration_state)s)), s);
    assert_int_equal(migration_state_find("done"), MIGRATION_STATE_COUNT);
    for (int m = 0; m < MIGRATION_METHOD_COUNT; m++)
        assert_int_equal(migration_method_find(migration_method_name((enum migration_method)m)), m);
    assert_int_equal(migration_method_find(""), MIGRATION_METHOD_COUNT);
}

static struct finding finding; /* of some size */

static void holds(enum migration_method method, bool off, bool quiet)
{
    explore(&(struct exploration){&migration_table, method, off, quiet, false, false}, &finding);
    if (finding.violation)
        fail_msg("%s: %s\n%s", migration_method_name(method), finding.violation, finding.trace);
    print_message("%s%s%s: %zu nodes, %zu steps, %zu endings\n", migration_method_name(method),
                  off ? ", off" : "", quiet ? ", without power cuts" : "", finding.nodes, finding.edges,
                  finding.endings);
    unsigned untested = method == MIGRATION_WARM ? 0 : 1u << MIGRATION_TESTING; /* nothing to boot there */
    assert_int_equal(finding.states, ((1u << MIGRATION_STATE_COUNT) - 1) & ~untested);
    assert_true(finding.endings >= 3);
}

static void every_history_of_a_warm_move(void **state)
{
    holds(MIGRATION_WARM, false, false);
    holds(MIGRATION_WARM, false, true);
}

static void every_history_with_a_test_that_the_terms_want(void **state)
{
    explore(&(struct exploration){&migration_table, MIGRATION_WARM, false, false, true, false}, &finding);
    if (finding.violation)
        fail_msg("%s\n%s", finding.violation, finding.trace);
    assert_int_equal(finding.states, (1u << MIGRATION_STATE_COUNT) - 1);
}

static void every_history_of_a_cold_move(void **state)
{
    holds(MIGRATION_COLD, false, false);
    holds(MIGRATION_COLD, true, true);
}

static void every_history_of_a_live_move(void **state)
{
    holds(MIGRATION_LIVE, false, false);
    holds(MIGRATION_LIVE, false, true);
}

/* Nothing stays at the source, and the way back is a move. */
static void every_history_of_partition_mobility(void **state)
{
    holds(MIGRATION_MOBILITY, false, false);
    holds(MIGRATION_MOBILITY, false, true);
}

/* Never released unconverted, or on what a conversion that was cut short left. */
static void every_history_of_a_move_with_a_conversion(void **state)
{
    static const enum migration_method methods[] = {MIGRATION_WARM, MIGRATION_COLD};
    for (size_t i = 0; i < 4; i++) {
        const struct exploration what = {.table = &migration_table,
                                         .method = methods[i / 2],
                                         .off = methods[i / 2] == MIGRATION_COLD,
                                         .quiet = i % 2 != 0,
                                         .convert = true};
        explore(&what, &finding);
        if (finding.violation)
            fail_msg("%s: %s\n%s", migration_method_name(what.method), finding.violation, finding.trace);
        print_message("%s, converted: %zu nodes, %zu steps, %zu endings\n",
                      migration_method_name(what.method), finding.nodes, finding.edges, finding.endings);
        assert_true(finding.endings >= 3);
    }
    struct migration_table table = migration_table;
    table.unguarded = true; /* it is repeated on what it left */
    const struct exploration blind = {&table, MIGRATION_WARM, .quiet = true, .convert = true};
    explore(&blind, &finding);
    assert_string_equal(finding.violation, "the target is able to run on data that is not whole");
    table = migration_table;
    table.cutting_over[0].count--; /* it is left out */
    explore(&(struct exploration){&table, MIGRATION_WARM, .quiet = true, .convert = true}, &finding);
    assert_string_equal(finding.violation, "the target is able to run on data that is not whole");
}

static void finds_when(bool quiet, const struct migration_table *table, enum migration_method method,
                       const char *wanted)
{
    explore(&(struct exploration){table, method, false, quiet, false, false}, &finding);
    if (!finding.violation)
        fail_msg("the explorer does not find that %s", wanted);
    if (strcmp(finding.violation, wanted))
        fail_msg("found \"%s\", not \"%s\":\n%s", finding.violation, wanted, finding.trace);
}

static void finds(const struct migration_table *table, enum migration_method method, const char *wanted)
{
    finds_when(true, table, method, wanted);
}

#define LIST(...)                                 \
    (const enum migration_effect[]){__VA_ARGS__}, \
        sizeof((const enum migration_effect[]){__VA_ARGS__}) / sizeof(enum migration_effect)

/* The order of each list is needed: exchanged or dropped steps are found when no guard stands before them. */
static void the_explorer_finds_a_wrong_order(void **state)
{
    struct migration_table table = migration_table;
    table.unguarded = true;
    table.cutting_over[0] = (struct migration_steps){
        LIST(MIGRATION_SOURCE_STOP, MIGRATION_LAST_PASS, MIGRATION_SOURCE_FENCE, MIGRATION_PROVE),
        MIGRATION_EVENT_COPIED};
    finds_when(false, &table, MIGRATION_WARM, "the target is able to run on data that is not whole");

    table = migration_table;
    table.unguarded = true;
    table.cutting_over[0] =
        (struct migration_steps){LIST(MIGRATION_SOURCE_STOP, MIGRATION_LAST_PASS, MIGRATION_PROVE,
                                      MIGRATION_TARGET_RELEASE, MIGRATION_SOURCE_FENCE),
                                 MIGRATION_EVENT_COPIED};
    finds(&table, MIGRATION_COLD, "both sides are able to run");

    table = migration_table;
    table.unguarded = true;
    table.rolling_back = (struct migration_steps){
        LIST(MIGRATION_TARGET_STOP, MIGRATION_SOURCE_RELEASE, MIGRATION_TARGET_FENCE, MIGRATION_SOURCE_START,
             MIGRATION_ROW_BACK, MIGRATION_TARGET_DELETE, MIGRATION_COPY_END, MIGRATION_ROOM_GIVE),
        MIGRATION_EVENT_DONE};
    finds(&table, MIGRATION_WARM, "both sides are able to run");
    table.unguarded = false; /* the guard refuses it, and so it never ends */
    finds(&table, MIGRATION_WARM, "no ending can be reached any more");
}

static void the_explorer_finds_a_dropped_step(void **state)
{
    struct migration_table table = migration_table;
    table.rolling_back = (struct migration_steps){
        LIST(MIGRATION_TARGET_STOP, MIGRATION_TARGET_FENCE, MIGRATION_SOURCE_RELEASE, MIGRATION_SOURCE_START,
             MIGRATION_TARGET_DELETE, MIGRATION_COPY_END, MIGRATION_ROOM_GIVE),
        MIGRATION_EVENT_DONE};
    finds(&table, MIGRATION_WARM, "the resource's row is not where it lives");

    table = migration_table;
    table.cancelling[0] =
        (struct migration_steps){LIST(MIGRATION_SOURCE_CLOSE, MIGRATION_SOURCE_RELEASE, MIGRATION_TEST_REMOVE,
                                      MIGRATION_COPY_END, MIGRATION_TARGET_DELETE, MIGRATION_ROOM_GIVE),
                                 MIGRATION_EVENT_DONE};
    finds(&table, MIGRATION_WARM, "an ending leaves it in another power state");

    table = migration_table;
    table.cancelling[1] =
        (struct migration_steps){LIST(MIGRATION_SOURCE_RELEASE, MIGRATION_SOURCE_START, MIGRATION_TEST_REMOVE,
                                      MIGRATION_COPY_END, MIGRATION_TARGET_DELETE, MIGRATION_ROOM_GIVE),
                                 MIGRATION_EVENT_DONE};
    table.unguarded = true; /* nobody asks where it lives by then */
    finds(&table, MIGRATION_LIVE, "both sides are able to run");

    table = migration_table;
    table.testing = (struct migration_steps){LIST(MIGRATION_PASS, MIGRATION_TEST_MAKE, MIGRATION_TEST_RUN),
                                             MIGRATION_EVENT_TESTED};
    finds(&table, MIGRATION_WARM, "the disks below a test are written");

    table = migration_table;
    table.testing = (struct migration_steps){
        LIST(MIGRATION_TEST_REMOVE, MIGRATION_TEST_MAKE, MIGRATION_TEST_RUN, MIGRATION_TEST_REMOVE),
        MIGRATION_EVENT_TESTED};
    finds(&table, MIGRATION_WARM, "a test is made of data that is not whole");

    table = migration_table;
    table.testing = (struct migration_steps){LIST(MIGRATION_TEST_REMOVE, MIGRATION_PASS, MIGRATION_TEST_MAKE,
                                                  MIGRATION_TEST_RUN, MIGRATION_PASS, MIGRATION_TEST_REMOVE),
                                             MIGRATION_EVENT_TESTED};
    finds(&table, MIGRATION_WARM, "the disks below a test are written");

    table = migration_table;
    table.cancelling[0] = (struct migration_steps){LIST(MIGRATION_SOURCE_CLOSE, MIGRATION_SOURCE_RELEASE,
                                                        MIGRATION_SOURCE_START, MIGRATION_COPY_END,
                                                        MIGRATION_TARGET_DELETE, MIGRATION_ROOM_GIVE),
                                                   MIGRATION_EVENT_DONE};
    finds(&table, MIGRATION_WARM, "no ending can be reached any more");

    table = migration_table;
    table.committing =
        (struct migration_steps){LIST(MIGRATION_COPY_END, MIGRATION_ROOM_GIVE), MIGRATION_EVENT_DONE};
    finds(&table, MIGRATION_WARM, "no ending can be reached any more");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_move_goes_its_way),
        cmocka_unit_test(where_it_can_be_cancelled),
        cmocka_unit_test(what_fails_goes_on_where_it_failed),
        cmocka_unit_test(what_has_to_hold),
        cmocka_unit_test(what_a_test_needs),
        cmocka_unit_test(a_withdrawn_consent_stops_it),
        cmocka_unit_test(a_source_that_comes_back_is_stopped_again),
        cmocka_unit_test(an_unseen_side_is_not_safe),
        cmocka_unit_test(passes_go_on_until_it_fits),
        cmocka_unit_test(names_are_found_again),
        cmocka_unit_test(every_history_of_a_warm_move),
        cmocka_unit_test(every_history_with_a_test_that_the_terms_want),
        cmocka_unit_test(every_history_of_a_cold_move),
        cmocka_unit_test(every_history_of_a_live_move),
        cmocka_unit_test(every_history_of_partition_mobility),
        cmocka_unit_test(every_history_of_a_move_with_a_conversion),
        cmocka_unit_test(the_explorer_finds_a_wrong_order),
        cmocka_unit_test(the_explorer_finds_a_dropped_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
