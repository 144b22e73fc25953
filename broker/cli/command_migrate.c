/* `migrate`: planning moves between clouds, people's words on them, and following one with a bar. See cli.h.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/cli/commands.h"

#define PATH "/v1/migrations"
#define BAR_CELLS 30
#define POLL_US (MOMENT_SECOND / 2)
#define REASON_MOST 60 /* columns */

static const char *text_of(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text ? text : "";
}

static int64_t number_of(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

static struct error *put_number(struct cli *cli, json_t *body, const char *member)
{
    bool found;
    int64_t value;
    TRY(cli_number(cli, cli_flag_of(cli, member), &found, &value));
    if (found)
        json_put_int(body, member, value);
    return NULL;
}

/* --window FROM/UNTIL */
static struct error *put_window(struct cli *cli, json_t *body)
{
    const char *text = cli_flag(cli, "window");
    const char *slash = text ? strchr(text, '/') : NULL;
    if (!text)
        return NULL;
    if (!slash)
        return error_new(ERR_INVALID, "--window is FROM/UNTIL, such as "
                                      "2026-12-05T20:00:00Z/2026-12-06T02:00:00Z");
    json_t *window = json_object();
    json_put_text(window, "from", arena_strndup(cli->arena, text, (size_t)(slash - text)));
    json_put_text(window, "until", slash + 1);
    json_put(body, "window", window);
    return NULL;
}

static struct error *put_terms(struct cli *cli, json_t *body)
{
    TRY(put_window(cli, body));
    TRY(put_number(cli, body, "downtime_seconds"));
    TRY(put_number(cli, body, "hold_days"));
    return put_number(cli, body, "bandwidth");
}

static struct error *print_answer(struct cli *cli, struct client_answer *answer)
{
    cli_print_migration(cli, answer->body);
    client_answer_done(answer);
    return NULL;
}

static struct error *plan(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    json_t *body = json_hold(cli->arena, json_object());
    (void)command;
    cli_put_flag(cli, body, "instance");
    cli_put_flag(cli, body, "assessment");
    cli_put_flag(cli, body, "method");
    cli_put_flag(cli, body, "proof");
    TRY(put_terms(cli, body));
    if (cli_switch(cli, "commits-itself"))
        json_put_bool(body, "commits_itself", true);
    if (cli_switch(cli, "test-required"))
        json_put_bool(body, "test_required", true);
    TRY(cli_end(cli));
    TRY(cli_call(cli, "POST", PATH, json_incref(body), &answer));
    return print_answer(cli, &answer);
}

static struct error *path_of(struct cli *cli, const char *verb, const char **ret_path)
{
    const char *id;
    TRY(cli_argument(cli, "MIGRATION", &id));
    *ret_path = arena_printf(cli->arena, PATH "/%s%s%s", client_escape(cli->arena, id), verb ? ":" : "",
                             verb ? verb : "");
    return NULL;
}

static struct error *terms(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    const char *path;
    json_t *body = json_hold(cli->arena, json_object());
    (void)command;
    TRY(path_of(cli, NULL, &path));
    TRY(put_terms(cli, body));
    const char *required = cli_flag(cli, "test-required");
    if (required && strcmp(required, "yes") && strcmp(required, "no"))
        return error_new(ERR_INVALID, "--test-required is yes or no");
    if (required)
        json_put_bool(body, "test_required", !strcmp(required, "yes"));
    TRY(cli_end(cli));
    TRY(cli_call_matching(cli, "PATCH", path, json_incref(body), &answer));
    return print_answer(cli, &answer);
}

/* With --at-version of the migration that was read: another one since, and the word is not taken. Takes
 * `body`. *ret_thing is the migration's path. */
static struct error *say(struct cli *cli, const char *verb, json_t *body, const char **ret_thing,
                         struct client_answer *ret_answer)
{
    struct client_answer read;
    const char *path, *thing;
    int64_t version;
    bool found;
    json_hold(cli->arena, body);
    TRY(cli_number(cli, "at-version", &found, &version));
    cli_put_flag(cli, body, "reason");
    TRY(path_of(cli, verb, &path));
    TRY(cli_end(cli));
    thing = arena_strndup(cli->arena, path, strcspn(path, ":"));
    TRY(cli_call(cli, "GET", thing, NULL, &read));
    const char *etag = found ? arena_printf(cli->arena, "\"v%lld\"", (long long)version)
                             : arena_strdup(cli->arena, read.etag);
    client_answer_done(&read);
    TRY(cli_call_if(cli, "POST", path, json_object_size(body) ? json_incref(body) : NULL, etag, ret_answer));
    *ret_thing = thing;
    return NULL;
}

static struct error *word(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    const char *thing;
    TRY(say(cli, command->verb, json_object(), &thing, &answer));
    return print_answer(cli, &answer);
}

/* ------------------------------------------------------------------------------------------------- testing
 */

static const json_t *last_test(const json_t *migration)
{
    const json_t *tests = json_object_get(migration, "tests");
    return json_array_get(tests, json_array_size(tests) - 1);
}

/* On standard error: what came out, what was looked at, what the guest printed last. */
static void tell_test(struct cli *cli, const json_t *test)
{
    size_t i;
    json_t *check;
    (void)fprintf(stderr, "test %lld %s\n", (long long)number_of(test, "number"),
                  cli_safe(cli->arena, text_of(test, "outcome"), false));
    json_array_foreach (json_object_get(test, "checks"), i, check)
        (void)fprintf(stderr, "  %s %s: %s\n",
                      json_is_true(json_object_get(check, "passed")) ? "ok    " : "failed",
                      cli_safe(cli->arena, text_of(check, "check"), false),
                      cli_safe(cli->arena, text_of(check, "detail"), false));
    if (!json_object_get(test, "checks") && *text_of(test, "reason"))
        (void)fprintf(stderr, "  %s\n", cli_safe(cli->arena, text_of(test, "reason"), false));
    if (*text_of(test, "console"))
        (void)fprintf(stderr, "%s\n", cli_safe(cli->arena, text_of(test, "console"), true));
}

/* Until the test is over and its instance gone; one that has not passed is an error. */
static struct error *await_test(struct cli *cli, const char *thing)
{
    for (;;) {
        struct client_answer answer;
        struct timespec span = {POLL_US / MOMENT_SECOND, POLL_US % MOMENT_SECOND * 1000};
        TRY(cli_call(cli, "GET", thing, NULL, &answer));
        const json_t *test = last_test(answer.body);
        if (!strcmp(text_of(answer.body, "state"), "testing") || !*text_of(test, "outcome")) {
            client_answer_done(&answer);
            (void)nanosleep(&span, NULL); /* a signal only makes the next look earlier */
            continue;
        }
        struct error *error = strcmp(text_of(test, "outcome"), "passed")
                                  ? error_new(ERR_CONFLICT, "the test has %s",
                                              cli_safe(cli->arena, text_of(test, "outcome"), false))
                                  : NULL;
        tell_test(cli, test);
        cli_print_migration(cli, answer.body);
        client_answer_done(&answer);
        return error;
    }
}

static struct error *test(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    const char *thing;
    bool waits = cli_switch(cli, "wait");
    json_t *body = json_hold(cli->arena, json_object());
    TRY(put_number(cli, body, "seconds"));
    TRY(put_number(cli, body, "stays_seconds"));
    cli_put_flag(cli, body, "expect_console");
    if (cli_switch(cli, "agent"))
        json_put_bool(body, "agent", true);
    TRY(say(cli, command->verb, json_incref(body), &thing, &answer));
    if (!waits)
        return print_answer(cli, &answer);
    client_answer_done(&answer);
    return await_test(cli, thing);
}

/* ------------------------------------------------------------------------------------------------ watching
 */

/* "copying  pass 2  1.5 GiB of 4.0 GiB  120.0 MiB/s  20 s left"; what is not known is left out. */
static const char *line_of(struct arena *arena, const json_t *migration)
{
    const json_t *progress = json_object_get(migration, "progress");
    const json_t *downtime = json_object_get(migration, "downtime");
    const char *line = text_of(migration, "state");
    bool copies = progress && cli_migration_copies(migration);
    if (progress)
        line = arena_printf(arena, "%s  pass %lld  %s of %s", line, (long long)number_of(progress, "pass"),
                            cli_size(arena, number_of(progress, "done_bytes")),
                            cli_size(arena, number_of(progress, "bytes")));
    if (copies)
        line =
            arena_printf(arena, "%s  %s/s", line, cli_size(arena, number_of(progress, "bytes_per_second")));
    if (copies && json_object_get(progress, "eta_seconds"))
        line = arena_printf(arena, "%s  %lld s left", line, (long long)number_of(progress, "eta_seconds"));
    if (json_object_get(downtime, "measured_ms"))
        line =
            arena_printf(arena, "%s  downtime %lld ms", line, (long long)number_of(downtime, "measured_ms"));
    else if (json_object_get(downtime, "predicted_ms"))
        line = arena_printf(arena, "%s  downtime about %lld ms", line,
                            (long long)number_of(downtime, "predicted_ms"));
    const char *error = text_of(migration, "error");
    return *error ? arena_printf(arena, "%s  (%s)", line,
                                 cli_cut(arena, cli_safe(arena, error, false), REASON_MOST))
                  : line;
}

static void draw_bar(struct arena *arena, const json_t *migration)
{
    const json_t *progress = json_object_get(migration, "progress");
    int64_t all = number_of(progress, "bytes"), done = number_of(progress, "done_bytes");
    int full = all > 0 ? (int)(done * BAR_CELLS / all) : 0;
    (void)fprintf(stderr, "\r\033[K[");
    for (int i = 0; i < BAR_CELLS; i++)
        (void)fputc(i < full ? '#' : '.', stderr);
    (void)fprintf(stderr, "] %s", cli_safe(arena, line_of(arena, migration), false));
}

static void show(const json_t *migration, bool terminal, char last[512])
{
    ARENA_AUTO struct arena *arena = arena_new();
    if (terminal) {
        draw_bar(arena, migration);
        return;
    }
    const char *line = cli_safe(arena, line_of(arena, migration), false);
    if (strncmp(line, last, 511))
        (void)fprintf(stderr, "  %s\n", line);
    (void)snprintf(last, 512, "%s", line);
}

/* Looks until there is nothing to wait for. */
static struct error *look(struct cli *cli, const char *path, const char *until)
{
    bool terminal = isatty(STDERR_FILENO), first = true;
    char last[512] = "";
    size_t seen = 0;
    for (;;) {
        struct client_answer answer;
        struct timespec span = {POLL_US / MOMENT_SECOND, POLL_US % MOMENT_SECOND * 1000};
        TRY(cli_call(cli, "GET", path, NULL, &answer));
        if (first)
            seen = json_array_size(json_object_get(answer.body, "history"));
        first = false;
        show(answer.body, terminal, last);
        enum cli_awaited awaited = cli_migration_awaited(answer.body, until, seen);
        if (awaited != CLI_AWAITED_COMES) {
            if (terminal)
                (void)fputc('\n', stderr);
            struct error *error = awaited == CLI_AWAITED_LOST ? cli_migration_lost(answer.body, until) : NULL;
            cli_print_migration(cli, answer.body);
            client_answer_done(&answer);
            return error;
        }
        client_answer_done(&answer);
        (void)nanosleep(&span, NULL); /* a signal only makes the next look earlier */
    }
}

static struct error *watch(struct cli *cli, const struct cli_command *command)
{
    const char *path, *until = cli_flag(cli, "until");
    (void)command;
    TRY(path_of(cli, NULL, &path));
    TRY(cli_end(cli));
    if (until)
        TRY(cli_migration_check_state(cli->arena, until));
    return look(cli, path, until);
}

#define WORD(verb, help)                                                                                  \
    {                                                                                                     \
        "migrate " verb, "MIGRATION [--reason TEXT] [--at-version N]", help, word, NULL, NULL, NULL, verb \
    }

const struct cli_command migrate_commands[] = {
    {"migrate plan",
     "--instance ID --assessment ID [--method live|mobility|warm|cold] [--window FROM/UNTIL] "
     "[--downtime-seconds N] "
     "[--hold-days N] [--bandwidth BYTES] [--proof full|sampled] [--commits-itself] [--test-required]",
     "plan a move: an instance, an assessment of it, and the terms", plan, NULL, NULL, NULL, NULL},
    {"migrate terms",
     "MIGRATION [--window FROM/UNTIL] [--downtime-seconds N] [--hold-days N] [--bandwidth BYTES] "
     "[--test-required yes|no]",
     "change the terms of a move, also while it runs", terms, NULL, NULL, NULL, NULL},
    WORD("approve", "approve a move, for the unit or for the platform"),
    WORD("start", "start a move: copying begins"),
    {"migrate test",
     "MIGRATION [--seconds N] [--stays-seconds N] [--expect-console TEXT] [--agent] [--wait] [--reason TEXT] "
     "[--at-version N]",
     "boot a test of the copy, apart from everything, and look at it", test, NULL, NULL, NULL, "test"},
    WORD("cutover", "cut over to the target"),
    WORD("rollback", "go back to the source"),
    {"migrate accept", "MIGRATION [--at-version N]", "accept the outcome, for the using unit", word, NULL,
     NULL, NULL, "accept"},
    WORD("commit", "delete what is left on the source: there is no way back after that"),
    WORD("cancel", "stop a move and take back what was made"),
    {"migrate watch", "MIGRATION [--until STATE]",
     "follow a move until it waits for a word or has ended, or until a state is reached\n"
     "    Without --until it exits with 0 when the move waits for a word or is committed, with 6 when it\n"
     "    is failed, cancelled or rolled-back.\n"
     "    With --until it exits with 0 when the move is in that state or further on the way assessed,\n"
     "    consented, approved, copying, synced, cutting-over, verifying, holding, committing, committed;\n"
     "    with 6 as soon as the state cannot come any more, or the move has failed and needs a person.\n"
     "    A state that may come by another word is waited for, as long as that takes. While a test runs\n"
     "    synced is yet to come; testing is passed when it was tested; rolled-back is further than\n"
     "    rolling-back, cancelled than cancelling.",
     watch, NULL, NULL, NULL, NULL},
    {0},
};
