/* A wave of two machines between two libvirt daemons, by the real broker and the real client: the second
 * system goes when the first lives on the target, nobody says cut over, and the report tells of both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "tests/e2e/move.h"

#define SECOND_SYSTEM "110105002"
#define POLL_US 200000

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

#define CLIENT(moves, token, ...) moves_client(moves, token, 0, (const char *const[]){__VA_ARGS__, NULL})

static char *text_in(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    if (!text)
        fail_msg("the client's answer has no %s", member);
    return xstrdup(text);
}

static char *taken(json_t *answer, const char *member)
{
    char *text = text_in(answer, member);
    json_decref(answer);
    return text;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void add_system(struct moves *moves)
{
    struct world *w = moves->world;
    API_AUTO struct api_reply reply =
        api_send(w->client, w->admin, "POST", "/v1/units/" WORLD_UNIT "/systems",
                 json_pack("{s:s, s:s, s:b}", "id", SECOND_SYSTEM, "name", "门户", "classified", 0));
    api_expect(&reply, 201);
}

static void consent(struct moves *moves, const struct machine *first, const struct machine *second)
{
    char *document = xasprintf("%s/yunqiaod.conf", moves->world->folder), until[MOMENT_TEXT];
    char *both = xasprintf("%s,%s", first->id, second->id);
    moment_format((moment)time(NULL) * MOMENT_SECOND + 30 * MOMENT_DAY, until);
    json_decref(CLIENT(moves, moves->head, "consent", "give", "--unit", WORLD_UNIT, "--document", document,
                       "--reference", "京政数函〔2026〕8号", "--signer", "张三", "--post", "处长",
                       "--instances", both, "--from", "here", "--to", "there", "--valid-until", until));
    free(both);
    free(document);
}

static char *make_wave(struct moves *moves, const struct machine *first, const struct machine *second)
{
    struct world *w = moves->world;
    char *terms = xasprintf("%s/terms.json", w->folder);
    write_file(terms,
               "{\"dependencies\": [{\"system\": \"" SECOND_SYSTEM "\", \"after\": [\"" WORLD_SYSTEM
               "\"]}], \"moves\": {\"method\": \"warm\", \"downtime_seconds\": 600},"
               " \"links\": [{\"from\": {\"cloud\": \"here\", \"site\": \"site-1\"}, \"to\": {\"cloud\":"
               " \"there\", \"site\": \"site-1\"}, \"bytes_per_second\": 200000000}]}");
    char *assessment = taken(CLIENT(moves, w->admin, "migrate", "assess", first->id, second->id, "--to",
                                    "there", "--zone", "extranet"),
                             "id");
    json_t *made = CLIENT(moves, w->admin, "wave", "create", "第一批", assessment, "--programme", "政务云",
                          "--cutover", "automatic", "--terms", terms);
    assert_int_equal(json_array_size(json_object_get(made, "hosts")), 2);
    free(assessment);
    free(terms);
    return taken(made, "id");
}

/* The move of that machine, once the wave has planned it. */
static void find_move(struct moves *moves, const char *wave, struct machine *machine)
{
    int64_t until = moment_monotonic() + MOVE_SECONDS * MOMENT_SECOND;
    while (!machine->migration) {
        json_t *shown = CLIENT(moves, moves->head, "wave", "show", wave), *host;
        size_t i;
        json_array_foreach (json_object_get(shown, "hosts"), i, host) {
            const json_t *move = json_object_get(host, "move");
            if (move && !strcmp(json_string_value(json_object_get(host, "name")), machine->name))
                machine->migration = text_in(move, "id");
        }
        json_decref(shown);
        if (moment_monotonic() > until)
            fail_msg("the wave has planned no move of %s", machine->name);
        (void)usleep(POLL_US); /* between two looks */
    }
}

/* Of the machine's host in the report: it moved, in so long, proved, with its papers. */
static void check_host(const json_t *report, const struct machine *machine)
{
    const json_t *system, *host, *found = NULL;
    size_t i, k;
    json_array_foreach (json_object_get(report, "systems"), i, system)
        json_array_foreach (json_object_get(system, "hosts"), k, host)
            if (!strcmp(json_string_value(json_object_get(host, "name")), machine->name))
                found = host;
    assert_non_null(found);
    const json_t *move = json_object_get(found, "move"), *proof = json_object_get(move, "verification");
    int64_t down = json_integer_value(json_object_get(json_object_get(move, "downtime"), "measured_ms"));
    assert_string_equal(json_string_value(json_object_get(found, "state")), "done");
    assert_true(down > 0 && down < 600000);
    assert_non_null(json_object_get(proof, "proved_at"));
    assert_int_equal(json_array_size(json_object_get(proof, "disks")), 2);
    assert_int_equal(json_array_size(json_object_get(move, "approvals")), 1);
    assert_string_equal(json_string_value(json_object_get(json_object_get(move, "consent"), "reference")),
                        "京政数函〔2026〕8号");
    assert_true(json_array_size(json_object_get(move, "overlap")) > 0);
    print_message("%s: down for %lld ms\n", machine->name, (long long)down);
}

static void check_report(struct moves *moves, const char *wave, const struct machine *first,
                         const struct machine *second)
{
    char *html = xasprintf("%s/report.html", moves->world->folder);
    json_t *report = CLIENT(moves, moves->head, "wave", "report", wave);
    assert_true(json_is_true(json_object_get(report, "finished")));
    assert_int_equal(json_array_size(json_object_get(report, "systems")), 2);
    check_host(report, first);
    check_host(report, second);
    json_decref(report);
    json_decref(CLIENT(moves, moves->head, "wave", "report", wave, "--html", html));
    assert_int_equal(access(html, R_OK), 0);
    free(html);
    json_t *programme = CLIENT(moves, moves->world->admin, "wave", "programme", "政务云");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(programme, "sums"), "done")), 2);
    json_decref(programme);
}

static void a_wave_of_two_machines(void **state)
{
    struct moves *moves = *state;
    struct world *w = moves->world;
    add_system(moves);
    struct machine first = moves_machine_start(moves, "base"),
                   second = moves_machine_start_of(moves, SECOND_SYSTEM, "portal");
    consent(moves, &first, &second);
    char *wave = make_wave(moves, &first, &second);
    json_decref(CLIENT(moves, w->admin, "wave", "start", wave));
    find_move(moves, wave, &first);
    find_move(moves, wave, &second);
    move_say(moves, &first, "approve");
    move_say(moves, &second, "approve");
    json_decref(CLIENT(moves, w->admin, "wave", "watch", wave, "--until", "done"));
    char *said = moves_said(moves);
    print_message("%s", said);
    assert_null(strpbrk(said, "\r\033")); /* plain lines */
    assert_non_null(strstr(said, "portal: holding"));
    free(said);
    struct machine *both[] = {&first, &second};
    for (size_t i = 0; i < 2; i++) {
        unsigned left_at = moves_journal_said(moves, moves->here, both[i]);
        move_expect_rows(moves, both[i], "there");
        move_expect_fenced(moves->here, both[i]);
        assert_string_equal(moves_power(moves->there, both[i]), "running");
        (void)moves_journal_writes(moves, moves->there, both[i], left_at);
    }
    /* One after the other, each by the wave's word in the name of who started it. */
    move_expect(
        moves, &second,
        "SELECT (SELECT min(at) FROM migration_history WHERE migration_id = b.id AND event = 'start') >="
        " (SELECT live_at FROM migration a WHERE a.name = 'base') FROM migration b WHERE b.id = '%s'",
        "t");
    move_expect(
        moves, &first,
        "SELECT string_agg(event || ' ' || principal, ',' ORDER BY number) FROM migration_history WHERE"
        " migration_id = '%s' AND event IN ('start', 'cutover')",
        "start admin,cutover admin");
    check_report(moves, wave, &first, &second);
    free(wave);
    for (size_t i = 0; i < 2; i++) {
        free(both[i]->id);
        free(both[i]->volume);
        free(both[i]->migration);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_wave_of_two_machines)};
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, begin, end);
}
