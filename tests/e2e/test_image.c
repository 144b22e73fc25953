/* A machine leaves one cloud as files and comes to another that cannot reach it, by the real broker and the
 * real client: its journal is whole there. Without the unit's consent nothing leaves; what was changed on the
 * way does not come in; a broker that is killed goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "tests/e2e/move.h"
#include "tests/e2e/world_check.h"
#include "tests/support/child.h"

#define REFUSED 1
#define DENIED 4
#define CONFLICT 6
#define CLIENT(moves, wanted, ...) \
    moves_client(moves, (moves)->head, wanted, (const char *const[]){__VA_ARGS__, NULL})

static int begin(void **state)
{
    *state = moves_start();
    return 0;
}

static int end(void **state)
{
    moves_stop(*state);
    return 0;
}

static void shell(const char *script)
{
    assert_int_equal(
        child_run((const char *const[]){"sh", "-ec", script, NULL}, MOVE_SECONDS * MOMENT_SECOND), 0);
}

static void stop(struct moves *moves, const struct machine *machine)
{
    json_decref(CLIENT(moves, 0, "instance", "stop", machine->id));
}

static void consent(struct moves *moves)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char until[MOMENT_TEXT];
    moment_format((moment)time(NULL) * MOMENT_SECOND + 30 * MOMENT_DAY, until);
    json_decref(CLIENT(moves, 0, "consent", "give", "--unit", WORLD_UNIT, "--document",
                       arena_printf(arena, "%s/yunqiaod.conf", moves->world->folder), "--reference",
                       "京政数函〔2026〕9号", "--signer", "张三", "--post", "处长", "--systems", WORLD_SYSTEM,
                       "--from", "here", "--to", "@export", "--valid-until", until));
}

/* Comes in under its old name, runs, and goes on with its journal. */
static struct machine arrives(struct moves *moves, const char *name, unsigned said)
{
    struct world *w = moves->world;
    struct machine machine = {.name = name, .id = world_id(w, "instance", name)};
    char *volume = xasprintf("%s-disk2", name);
    machine.volume = world_id(w, "volume", volume);
    free(volume);
    assert_string_equal(moves_power(moves->there, &machine), "running");
    (void)moves_journal_writes(moves, moves->there, &machine, said);
    return machine;
}

#define IMPORT(dir) \
    "image", "import", dir, "--system", WORLD_SYSTEM, "--cloud", "there", "--zone", "extranet", "--start"

static void as_an_archive(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct moves *moves = *state;
    struct world *w = moves->world;
    struct machine machine = moves_machine_start(moves, "left");
    const char *dir = arena_printf(arena, "%s/left", w->folder),
               *keys = arena_printf(arena, "%s/keys", w->folder);
    stop(moves, &machine);
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    json_decref(CLIENT(moves, DENIED, "image", "export", machine.id, "--format", "ova", "--output", dir));
    json_decref(moves_client(moves, w->admin, DENIED,
                             (const char *const[]){"image", "export", machine.id, "--format", "ova", NULL}));
    consent(moves);
    json_decref(CLIENT(moves, 0, "image", "export", machine.id, "--format", "ova", "--output", dir));
    json_t *list = CLIENT(moves, 0, "key", "list");
    assert_int_equal(json_dump_file(list, keys, 0), 0);
    json_decref(list);
    json_decref(CLIENT(moves, 0, "image", "verify", dir, "--keys", keys));

    /* A byte of the archive, and a word of the manifest, in copies. */
    const char *bad = arena_printf(arena, "%s/bad", w->folder),
               *forged = arena_printf(arena, "%s/forged", w->folder);
    shell(arena_printf(arena,
                       "cp -r '%s' '%s'; printf X | dd of='%s/left.ova' bs=1 seek=100000 conv=notrunc"
                       " status=none; cp -r '%s' '%s'; sed -i 's/\"vcpu\":1/\"vcpu\":2/' '%s/manifest.json'",
                       dir, bad, bad, dir, forged, forged));
    json_decref(CLIENT(moves, CONFLICT, "image", "verify", bad, "--keys", keys));
    json_decref(CLIENT(moves, CONFLICT, "image", "verify", forged, "--keys", keys));
    moves_machine_end(moves, &machine);
    moves_expect_empty(moves->here);
    json_decref(CLIENT(moves, CONFLICT, IMPORT(bad)));
    json_decref(CLIENT(moves, REFUSED, IMPORT(forged)));
    moves_expect_empty(moves->there);

    json_decref(CLIENT(moves, 0, IMPORT(dir)));
    struct machine arrived = arrives(moves, "left", said);
    check_settled(w, MOVE_SECONDS);
    check_counters(w);
    check_usage(w);
    moves_journal_check(moves, moves->there, &arrived, said);
    moves_machine_end(moves, &arrived);
    moves_expect_empty(moves->there);
}

static void kill_when(struct moves *moves, const char *kind)
{
    char *sql = xasprintf("SELECT count(*) > 0 FROM operation WHERE kind = '%s' AND state = 'running'", kind);
    world_await(moves->world, sql, "t", MOVE_SECONDS);
    world_kill(moves->world);
    world_restart(moves->world);
    free(sql);
}

static char *text_of(json_t *answer, const char *member)
{
    char *text = xstrdup(json_string_value(json_object_get(answer, member)));
    json_decref(answer);
    return text;
}

/* While it is copied out, and while it comes in. */
static void killed_on_the_way(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct moves *moves = *state;
    struct world *w = moves->world;
    struct machine machine = moves_machine_start(moves, "qcow");
    const char *dir = arena_printf(arena, "%s/qcow", w->folder);
    consent(moves);
    stop(moves, &machine);
    unsigned said = moves_journal_said(moves, moves->here, &machine);
    json_t *ordered = CLIENT(moves, 0, "--no-wait", "image", "export", machine.id, "--format", "qcow2");
    char *operation = xstrdup(json_string_value(json_object_get(ordered, "operation")));
    char *export = text_of(ordered, "id");
    kill_when(moves, "export");
    json_decref(CLIENT(moves, 0, "operation", "wait", operation));
    json_decref(CLIENT(moves, 0, "image", "fetch", export, "--output", dir));
    moves_machine_end(moves, &machine);
    moves_expect_empty(moves->here);
    free(operation);
    json_t *started = CLIENT(moves, 0, "--no-wait", IMPORT(dir));
    operation = text_of(started, "operation");
    kill_when(moves, "import");
    json_decref(CLIENT(moves, 0, "operation", "wait", operation));
    struct machine arrived = arrives(moves, "qcow", said);
    moves_journal_check(moves, moves->there, &arrived, said);
    moves_machine_end(moves, &arrived);
    moves_expect_empty(moves->there);
    json_decref(CLIENT(moves, 0, "image", "delete-export", export));
    char *sql = xasprintf("SELECT state FROM transfer WHERE id = '%s'", export);
    world_await(w, sql, "deleted", MOVE_SECONDS);
    free(sql);
    free(export);
    free(operation);
    /* Folders are those of what is ready, and of what failed to come in and may be started again. */
    int64_t kept = world_number(w, "SELECT count(*) FROM transfer WHERE state = 'ready' OR"
                                   " (direction = 'import' AND state = 'failed')");
    shell(
        arena_printf(arena, "test \"$(ls '%s/data/exports' | wc -l)\" -eq %lld", w->folder, (long long)kept));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_an_archive),
        cmocka_unit_test(killed_on_the_way),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin, end);
}
