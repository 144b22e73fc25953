/* Partitions that move between two consoles by the real broker and the real client: partition mobility takes
 * the definition along, so nothing is left at the source, and the way back is a move. hmcsim speaks IBM's
 * protocol; it says what became of a partition, and whether it was ever booted anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/moment.h"
#include "tests/e2e/move.h"
#include "tests/e2e/world_check.h"

#define POLL_US 50000
#define SYSTEM "Server-9009-42A-SN00001" /* of the first console */

static struct hmcsim *far_console;

static int begin(void **state)
{
    static const char *const hmcsim[] = {"--consoles", "2", "--systems", "1", "--migrate-seconds", "1", NULL};
    struct moves *moves = moves_start_in(&(struct world_options){.hmcsim = hmcsim}, false);
    struct world *w = moves->world;
    far_console = hmcsim_console(w->hmcsim, 1);
    struct driver_endpoint hmc = hmcsim_endpoint(far_console);
    char *secret = xasprintf("file:%s/hmcsim.secret", w->folder);
    moves_add_cloud(w, "power", "service", "provider-health", "extranet",
                    json_pack("{s:s, s:s, s:s, s:s, s:s}", "driver", "powervm", "url", hmc.url, "username",
                              HMCSIM_USER, "secret", secret, "fingerprint", hmc.fingerprint));
    free(secret);
    world_await(w, "SELECT count(*) FROM endpoint WHERE synced_at IS NULL", "0", MOVE_SECONDS);
    *state = moves;
    return 0;
}

static int end(void **state)
{
    hmcsim_stop(far_console);
    moves_stop(*state);
    return 0;
}

/* A running partition with a volume, on the first console. */
static struct machine partition_start(struct moves *moves, const char *name)
{
    struct world *w = moves->world;
    struct machine machine = {.name = name, .from = "education", .to = "power"};
    char *data = xasprintf("%s-data", name);
    json_t *items = json_array();
    json_array_append_new(items, world_instance("education", name, 2, 4));
    json_array_append_new(items, world_volume(data, 3, name));
    world_succeeds(w, w->operator_, world_order(w, w->operator_, WORLD_SYSTEM, "education", items));
    machine.id = world_id(w, "instance", name);
    machine.volume = world_id(w, "volume", data);
    free(data);
    return machine;
}

/* The console's name of it; the caller frees. */
static char *lpar(const struct moves *moves, const struct machine *machine)
{
    char *sql = xasprintf("SELECT ref FROM resource WHERE id = '%s'", machine->id);
    char *ref = world_value(moves->world, sql);
    struct hmcsim *const consoles[] = {moves->world->hmcsim, far_console};
    for (size_t i = 0; i < 2; i++) {
        const json_t *item = hmcsim_item(consoles[i], "partitions", "uuid", ref);
        if (item) {
            free(sql);
            free(ref);
            return xstrdup(json_string_value(json_object_get(item, "name")));
        }
    }
    fail_msg("no console has the partition %s", ref);
    return NULL;
}

/* It runs there, whole and never booted anew; the other console has nothing of it. */
static void expect_lives(struct moves *moves, const struct machine *machine, const char *cloud)
{
    bool far = !strcmp(cloud, "power");
    struct hmcsim *home = far ? far_console : moves->world->hmcsim;
    struct hmcsim *other = far ? moves->world->hmcsim : far_console;
    char *name = lpar(moves, machine);
    assert_int_equal(hmcsim_count(other, "partitions", "name", name), 0);
    assert_int_equal(hmcsim_count(other, "mappings", "partition", name), 0);
    assert_int_equal(hmcsim_count(home, "mappings", "partition", name), 2); /* system disk and volume */
    const json_t *item = hmcsim_item(home, "partitions", "name", name);
    assert_non_null(item);
    assert_string_equal(json_string_value(json_object_get(item, "state")), "running");
    assert_string_equal(json_string_value(json_object_get(item, "migration")), "Not_Migrating");
    assert_int_equal(json_integer_value(json_object_get(item, "boots")), 1);
    move_expect_rows(moves, machine, cloud);
    free(name);
}

/* No drift: each inventory has what the rows say that it has. */
static void expect_no_drift(struct moves *moves)
{
    world_sync(moves->world);
    char *wrong =
        world_value(moves->world, "SELECT string_agg(concat_ws(' ', endpoint_id, kind), '; ') FROM drift"
                                  " WHERE resolved_at IS NULL");
    assert_string_equal(wrong, "");
    free(wrong);
}

static void hmc_will(const struct moves *moves, const struct machine *machine, int percent, const char *how)
{
    char *name = lpar(moves, machine);
    char *json = xasprintf("{\"partition\": \"%s\", \"at\": %d, \"how\": \"%s\"}", name, percent, how);
    hmcsim_control(moves->world->hmcsim, "/__migrate", json);
    free(json);
    free(name);
}

static void plan(struct moves *moves, struct machine *machine)
{
    move_plan(moves, machine, NULL);
    move_expect(moves, machine, "SELECT method FROM migration WHERE id = '%s'", "mobility");
    free(move_consent(moves, machine));
}

static void move_over(struct moves *moves, struct machine *machine)
{
    plan(moves, machine);
    move_say(moves, machine, "start");
    move_await(moves, machine, "synced");
    expect_lives(moves, machine, machine->from);
    move_say(moves, machine, "cutover");
    move_await(moves, machine, "holding");
    expect_lives(moves, machine, machine->to);
    /* Of what there is once nothing is metered twice; room is kept for the way back. */
    move_expect(
        moves, machine,
        "SELECT string_agg(side || ' ' || kind, ',') FROM migration_ledger WHERE migration_id = '%s' AND"
        " removed_at IS NULL",
        "source room");
    expect_no_drift(moves);
}

static void there_for_good(void **state)
{
    struct moves *moves = *state;
    struct machine machine = partition_start(moves, "stays");
    move_over(moves, &machine);
    move_say(moves, &machine, "accept");
    move_say(moves, &machine, "commit");
    move_await(moves, &machine, "committed");
    expect_lives(moves, &machine, "power"); /* also its volume, which both consoles could delete */
    move_expect_closed(moves, &machine);
    move_expect_usage(moves, &machine);
    expect_no_drift(moves);
    moves_machine_end(moves, &machine);
}

static void there_and_back(void **state)
{
    struct moves *moves = *state;
    struct machine machine = partition_start(moves, "returns");
    move_over(moves, &machine);
    /* What grows meanwhile comes back so: there is no other one of it. */
    struct world *w = moves->world;
    char *resize = xasprintf("/v1/instances/%s:resize", machine.id);
    world_succeeds(w, w->operator_, world_begin(w, w->operator_, resize, json_pack("{s:i}", "vcpu", 3)));
    free(resize);
    move_say(moves, &machine, "rollback");
    move_await(moves, &machine, "rolled-back");
    expect_lives(moves, &machine, "education");
    move_expect(moves, &machine,
                "SELECT r.spec ->> 'vcpu' FROM resource r JOIN migration m ON m.resource_id = r.id"
                " WHERE m.id = '%s'",
                "3");
    move_expect_closed(moves, &machine);
    expect_no_drift(moves);
    moves_machine_end(moves, &machine);
}

/* The hypervisors refuse it: a person reads why, and nothing was begun. */
static void refused_when_it_is_validated(void **state)
{
    struct moves *moves = *state;
    struct machine machine = partition_start(moves, "refused");
    plan(moves, &machine);
    char *name = lpar(moves, &machine),
         *json = xasprintf("{\"partition\": \"%s\", \"physical\": true}", name);
    hmcsim_control(moves->world->hmcsim, "/__set", json);
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "cancelled");
    move_expect(
        moves, &machine,
        "SELECT string_agg(event, ' ' ORDER BY number) || ': ' || bool_or(why LIKE '%%physical%%') FROM"
        " migration_history WHERE to_state = 'cancelling' AND migration_id = '%s'",
        "broken: true");
    expect_lives(moves, &machine, "education");
    move_expect_closed(moves, &machine);
    moves_machine_end(moves, &machine);
    free(json);
    free(name);
}

/* It breaks off at half the way: the hypervisors roll it back, and so does the move. */
static void fails_in_the_middle(void **state)
{
    struct moves *moves = *state;
    struct machine machine = partition_start(moves, "breaks");
    hmc_will(moves, &machine, 50, "fail");
    plan(moves, &machine);
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "synced");
    move_say(moves, &machine, "cutover");
    move_await(moves, &machine, "cancelled");
    move_expect(
        moves, &machine,
        "SELECT string_agg(event || ' ' || (why LIKE '%%migration of%%'), '') FROM migration_history WHERE"
        " to_state = 'cancelling' AND migration_id = '%s'",
        "broken true");
    expect_lives(moves, &machine, "education");
    move_expect_closed(moves, &machine);
    expect_no_drift(moves);
    moves_machine_end(moves, &machine);
}

/* The source's console loses its system before or after the switch: both sides hang in the middle until the
 * connection is there again, then the driver recovers it, and it lives at exactly one end. */
static void lost_in_the_middle(void **state)
{
    static const int percents[] = {50, 90};
    struct moves *moves = *state;
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        struct machine machine = partition_start(moves, "lost");
        hmc_will(moves, &machine, percents[i], "lost");
        plan(moves, &machine);
        move_say(moves, &machine, "start");
        move_await(moves, &machine, "synced");
        move_say(moves, &machine, "cutover");
        char *stuck = xasprintf("SELECT count(*) FROM migration WHERE id = '%s' AND error IS NOT NULL",
                                machine.migration);
        world_await(moves->world, stuck, "1", MOVE_SECONDS);
        free(stuck);
        hmcsim_control(moves->world->hmcsim, "/__set", "{\"system\": \"" SYSTEM "\", \"link\": true}");
        move_await(moves, &machine, "holding");
        expect_lives(moves, &machine, "power");
        move_say(moves, &machine, "rollback");
        move_await(moves, &machine, "rolled-back");
        expect_lives(moves, &machine, "education");
        move_expect_closed(moves, &machine);
        moves_machine_end(moves, &machine);
    }
}

/* A word while it runs stops it: MigrateAbort, before the switch. */
static void cancelled_while_it_runs(void **state)
{
    struct moves *moves = *state;
    struct machine machine = partition_start(moves, "cancelled");
    hmc_will(moves, &machine, 60, "hold");
    plan(moves, &machine);
    move_say(moves, &machine, "start");
    move_await(moves, &machine, "synced");
    move_say(moves, &machine, "cutover");
    char *name = lpar(moves, &machine);
    for (int64_t until = moment_monotonic() + MOVE_SECONDS * MOMENT_SECOND;;) {
        const json_t *item = hmcsim_item(moves->world->hmcsim, "partitions", "name", name);
        if (json_integer_value(json_object_get(item, "percent")) == 60)
            break;
        assert_true(moment_monotonic() < until);
        (void)usleep(POLL_US); /* a console tells nobody */
    }
    move_say(moves, &machine, "cancel");
    move_await(moves, &machine, "cancelled");
    assert_true(hmcsim_requests(moves->world->hmcsim, "/do/MigrateAbort") > 0);
    expect_lives(moves, &machine, "education");
    move_expect_closed(moves, &machine);
    expect_no_drift(moves);
    moves_machine_end(moves, &machine);
    free(name);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_for_good),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(refused_when_it_is_validated),
        cmocka_unit_test(fails_in_the_middle),
        cmocka_unit_test(lost_in_the_middle),
        cmocka_unit_test(cancelled_while_it_runs),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin, end);
}
