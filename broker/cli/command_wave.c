/* `wave`: moves that go together; planning, people's words, reports. Following one is command_wave_watch.c's.
 * See cli.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

#define PATH "/v1/waves"

static const struct cli_column pace_columns[] = {
    {"SYSTEM", "system", false, 0}, {"HOSTS", "hosts", true, 0},        {"DONE", "done", true, 0},
    {"RULE", "rule", false, 0},     {"DUE", "due_at", false, 0},        {"FORECAST", "forecast_at", false, 0},
    {"LATE", "late", false, 0},     {"BECAUSE OF", "reason", false, 0}, {0}};
static const struct cli_column slot_columns[] = {
    {"MACHINE", "instance", false, 0},    {"STATE", "state", false, 0},  {"STARTS", "starts_at", false, 0},
    {"CUT-OVER", "cutover_at", false, 0}, {"ENDS", "ends_at", false, 0}, {0}};
static const struct cli_column host_columns[] = {
    {"HOST", "name", false, 24},      {"SYSTEM", "system", false, 0},    {"STATE", "state", false, 0},
    {"MOVE", "move.state", false, 0}, {"STARTS", "starts_at", false, 0}, {"CUT-OVER", "cutover_at", false, 0},
    {"ENDS", "ends_at", false, 0},    {"WHY NOT", "reason", false, 60},  {0}};
static const struct cli_column wave_columns[] = {{"ID", "id", false, 0},
                                                 {"NAME", "name", false, 30},
                                                 {"STATE", "state", false, 0},
                                                 {"HOSTS", "sums.hosts", true, 0},
                                                 {"DONE", "sums.done", true, 0},
                                                 {"FAILED", "sums.failed", true, 0},
                                                 {"FORECAST", "forecast_at", false, 0},
                                                 {"LATE", "late", false, 0},
                                                 {0}};

static const char *text_of(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text ? text : "";
}

static int64_t number_of(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

static struct error *plan(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    const char *id, *file = NULL;
    json_t *body = NULL;
    (void)command;
    TRY(cli_argument(cli, "ASSESSMENT", &id));
    if (cli->argc)
        TRY(cli_argument(cli, "FILE", &file));
    TRY(cli_end(cli));
    if (file)
        TRY(cli_read_file(cli, file, &body));
    TRY(cli_call(cli, "POST",
                 arena_printf(cli->arena, "/v1/assessments/%s:plan", client_escape(cli->arena, id)),
                 body ? body : json_object(), &answer));
    if (cli->json) {
        cli_print(cli, answer.body);
    } else {
        cli_print_table(cli, json_object_get(answer.body, "systems"), pace_columns);
        cli_print_table(cli, json_object_get(answer.body, "hosts"), slot_columns);
    }
    client_answer_done(&answer);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ showing */

static void print_line(const struct cli *cli, const char *name, const char *text)
{
    if (text && *text)
        (void)printf("%-10s %s\n", name, cli_safe(cli->arena, text, false));
}

static void print_sums(const struct cli *cli, const json_t *sums)
{
    (void)printf("%-10s %lld of %lld done, %s of %s copied\n", "hosts", (long long)number_of(sums, "done"),
                 (long long)number_of(sums, "hosts"), cli_size(cli->arena, number_of(sums, "copied_bytes")),
                 cli_size(cli->arena, number_of(sums, "bytes")));
}

static void print_wave(const struct cli *cli, const json_t *wave)
{
    const json_t *forecast = json_object_get(wave, "forecast"), *left = json_object_get(wave, "left_out"),
                 *host;
    size_t i;
    if (cli->json) {
        cli_print(cli, wave);
        return;
    }
    print_line(cli, "wave", text_of(wave, "id"));
    print_line(cli, "name", text_of(wave, "name"));
    print_line(cli, "programme", text_of(wave, "programme"));
    print_line(cli, "state", text_of(wave, "state"));
    print_line(cli, "reason", text_of(wave, "reason"));
    print_line(cli, "cut-over", text_of(wave, "cutover"));
    print_line(cli, "acts for", text_of(wave, "acts_for"));
    print_sums(cli, json_object_get(wave, "sums"));
    print_line(cli, "ends", cli_short_moment(cli->arena, text_of(forecast, "ends_at")));
    json_array_foreach (left, i, host)
        print_line(cli, i ? "" : "left out", text_of(host, "name"));
    cli_print_table(cli, json_object_get(wave, "pace"), pace_columns);
    cli_print_table(cli, json_object_get(wave, "hosts"), host_columns);
}

static struct error *print_answer(struct cli *cli, struct client_answer *answer)
{
    print_wave(cli, answer->body);
    client_answer_done(answer);
    return NULL;
}

static struct error *path_of(struct cli *cli, const char *verb, const char **ret_path)
{
    const char *id;
    TRY(cli_argument(cli, "WAVE", &id));
    *ret_path = arena_printf(cli->arena, PATH "/%s%s%s", client_escape(cli->arena, id), verb ? ":" : "",
                             verb ? verb : "");
    return NULL;
}

static struct error *show(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    const char *path;
    (void)command;
    TRY(path_of(cli, NULL, &path));
    TRY(cli_end(cli));
    TRY(cli_call(cli, "GET", path, NULL, &answer));
    return print_answer(cli, &answer);
}

static struct error *programme(struct cli *cli, const struct cli_command *command)
{
    const char *name;
    json_t *all;
    (void)command;
    TRY(cli_argument(cli, "PROGRAMME", &name));
    TRY(cli_end(cli));
    TRY(cli_call_pages(cli, arena_printf(cli->arena, PATH "?programme=%s", client_escape(cli->arena, name)),
                       &all));
    (void)json_hold(cli->arena, all);
    if (cli->json) {
        cli_print(cli, all);
        return NULL;
    }
    const json_t *sums = json_object_get(all, "sums");
    print_line(cli, "programme", text_of(sums, "programme"));
    (void)printf("%-10s %lld of %lld finished\n", "waves", (long long)number_of(sums, "finished"),
                 (long long)number_of(sums, "waves"));
    print_sums(cli, sums);
    print_line(cli, "ends", cli_short_moment(cli->arena, text_of(sums, "forecast_at")));
    if (json_is_true(json_object_get(sums, "late")))
        print_line(cli, "late", "yes");
    cli_print_table(cli, json_object_get(all, "waves"), wave_columns);
    return NULL;
}

/* ----------------------------------------------------------------------------------------- making, changing
 */

static struct error *read_terms(struct cli *cli, json_t **ret_body)
{
    const char *file = cli_flag(cli, "terms");
    json_t *body = NULL;
    if (file)
        TRY(cli_read_file(cli, file, &body));
    *ret_body = json_hold(cli->arena, body ? body : json_object());
    if (json_is_object(*ret_body))
        return NULL;
    return error_new(ERR_INVALID, "%s holds no JSON object", file);
}

static struct error *create(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    json_t *body, *list = json_array();
    const char *name, *id;
    (void)command;
    TRY(read_terms(cli, &body));
    cli_put_flag(cli, body, "programme");
    cli_put_flag(cli, body, "cutover");
    cli_put_list(cli, body, "order");
    struct error *error = cli_argument(cli, "NAME", &name);
    while (!error && cli->argc && !(error = cli_argument(cli, "ASSESSMENT", &id)))
        json_push(list, json_string(id));
    if (!error)
        json_put_text(body, "name", name);
    if (!error && json_array_size(list))
        json_put(body, "assessments", json_incref(list));
    json_decref(list);
    TRY(error);
    TRY(cli_end(cli));
    TRY(cli_call(cli, "POST", PATH, json_incref(body), &answer));
    return print_answer(cli, &answer);
}

static struct error *change(struct cli *cli, const char *path, json_t *body)
{
    struct client_answer answer;
    if (cli_flag(cli, "reason"))
        return error_new(ERR_INVALID, "--reason is given twice");
    TRY(cli_end(cli));
    TRY(cli_call_matching(cli, "PATCH", path, json_incref(body), &answer));
    return print_answer(cli, &answer);
}

static struct error *set(struct cli *cli, const struct cli_command *command)
{
    const char *path;
    json_t *body;
    (void)command;
    TRY(read_terms(cli, &body));
    cli_put_flag(cli, body, "name");
    cli_put_flag(cli, body, "programme");
    cli_put_flag(cli, body, "cutover");
    cli_put_flag(cli, body, "reason");
    TRY(path_of(cli, NULL, &path));
    return change(cli, path, body);
}

/* Hosts by their ids, into the member that the command's verb names. */
static struct error *hosts(struct cli *cli, const struct cli_command *command)
{
    const char *path, *id;
    json_t *body = json_hold(cli->arena, json_object()), *list = json_array();
    json_put(body, command->verb, list);
    cli_put_flag(cli, body, "reason");
    TRY(path_of(cli, NULL, &path));
    do {
        TRY(cli_argument(cli, "INSTANCE", &id));
        json_push(list, json_string(id));
    } while (cli->argc && cli->argv[0][0] != '-');
    return change(cli, path, body);
}

/* With --at-version of the wave that was read: another one since, and the word is not taken. */
static struct error *word(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer, read;
    const char *path;
    int64_t version;
    bool found;
    json_t *body = json_hold(cli->arena, json_object());
    TRY(cli_number(cli, "at-version", &found, &version));
    cli_put_flag(cli, body, "reason");
    if (!strcmp(command->verb, "cancel"))
        cli_put_flag(cli, body, "running");
    TRY(path_of(cli, command->verb, &path));
    TRY(cli_end(cli));
    TRY(cli_call(cli, "GET", arena_strndup(cli->arena, path, strcspn(path, ":")), NULL, &read));
    const char *etag = found ? arena_printf(cli->arena, "\"v%lld\"", (long long)version)
                             : arena_strdup(cli->arena, read.etag);
    client_answer_done(&read);
    TRY(cli_call_if(cli, "POST", path, json_object_size(body) ? json_incref(body) : NULL, etag, &answer));
    return print_answer(cli, &answer);
}

/* ------------------------------------------------------------------------------------------------- reports
 */

static struct error *save(struct cli *cli, const char *path, const char *format, const char *file_name)
{
    FILE *file = fopen(file_name, "we");
    if (!file)
        return error_new(ERR_INVALID, "could not write %s: %s", file_name, strerror(errno));
    struct error *error = cli_download(cli, arena_printf(cli->arena, "%s?format=%s", path, format), file);
    if (fclose(file) && !error)
        error = error_new(ERR_IO, "could not write %s: %s", file_name, strerror(errno));
    if (error)
        (void)remove(file_name); /* a part of a report is none */
    return error;
}

static const struct cli_column report_columns[] = {{"HOST", "name", false, 24},
                                                   {"STATE", "state", false, 0},
                                                   {"METHOD", "move.method", false, 0},
                                                   {"STARTED", "move.started_at", false, 0},
                                                   {"LIVE", "move.live_at", false, 0},
                                                   {"BYTES", "bytes", true, 0},
                                                   {"DOWN MS", "move.downtime.measured_ms", true, 0},
                                                   {"PROVED", "move.verification.proved_at", false, 0},
                                                   {"REASON", "reason", false, 50},
                                                   {0}};

static void print_report(const struct cli *cli, const json_t *body)
{
    const json_t *system;
    size_t i;
    if (cli->json) {
        cli_print(cli, body);
        return;
    }
    (void)printf("%s: %s%s\n", cli_safe(cli->arena, text_of(body, "name"), false), text_of(body, "state"),
                 json_is_true(json_object_get(body, "finished")) ? "" : ", not finished");
    json_array_foreach (json_object_get(body, "systems"), i, system) {
        const json_t *pace = json_object_get(system, "pace");
        (void)printf("\n%s %s: due %s%s\n", cli_safe(cli->arena, text_of(system, "system"), false),
                     cli_safe(cli->arena, text_of(system, "name"), false),
                     cli_short_moment(cli->arena, text_of(pace, "due_at")),
                     json_is_true(json_object_get(pace, "late")) ? ", late" : "");
        cli_print_table(cli, json_object_get(system, "hosts"), report_columns);
    }
}

static struct error *report(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    const char *path, *html = cli_flag(cli, "html"), *csv = cli_flag(cli, "csv");
    (void)command;
    TRY(path_of(cli, NULL, &path));
    TRY(cli_end(cli));
    path = arena_printf(cli->arena, "%s/report", path);
    if (html)
        TRY(save(cli, path, "html", html));
    if (csv)
        TRY(save(cli, path, "csv", csv));
    if (html || csv)
        return NULL;
    TRY(cli_call(cli, "GET", path, NULL, &answer));
    print_report(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

#define WORD(verb, more, help)                                                                            \
    {                                                                                                     \
        "wave " verb, "WAVE [--reason TEXT]" more " [--at-version N]", help, word, NULL, NULL, NULL, verb \
    }

const struct cli_command wave_commands[] = {
    {"wave plan", "ASSESSMENT [FILE]",
     "when the machines of an assessment would go; FILE: limits, windows, dependencies as JSON", plan, NULL,
     NULL, NULL, NULL},
    {"wave list", NULL, "stored waves, newest first (--state, --system, --cloud, --programme)", cli_list,
     PATH, wave_columns, "state,system,cloud,programme", NULL},
    {"wave show", "WAVE", "one wave: its hosts, when they go, and its pace against the contract", show, NULL,
     NULL, NULL, NULL},
    {"wave programme", "PROGRAMME", "how far the waves of a programme have come, together", programme, NULL,
     NULL, NULL, NULL},
    {"wave create",
     "NAME ASSESSMENT… [--programme TEXT] [--cutover automatic|manual] [--order INSTANCE,…] [--terms FILE]",
     "keep a wave of assessed machines; FILE: limits, windows, dependencies, links, hosts as JSON", create,
     NULL, NULL, NULL, NULL},
    {"wave set",
     "WAVE [--name TEXT] [--programme TEXT] [--cutover automatic|manual] [--terms FILE] [--reason TEXT]",
     "change limits, calendar, links or terms, also while it runs; null in FILE takes a member away", set,
     NULL, NULL, NULL, NULL},
    {"wave reorder", "WAVE INSTANCE… [--reason TEXT]", "these hosts go first, in this order", hosts, NULL,
     NULL, NULL, "order"},
    {"wave take-out", "WAVE INSTANCE… [--reason TEXT]", "hosts that the wave shall not move any more", hosts,
     NULL, NULL, NULL, "take_out"},
    {"wave again", "WAVE INSTANCE… [--reason TEXT]", "another move for hosts whose move came to nothing",
     hosts, NULL, NULL, NULL, "again"},
    WORD("start", "", "let the wave run, in your name: its moves are made, and start when they are due"),
    WORD("pause", "", "start and cut over nothing more; copies that run go on"),
    WORD("resume", "", "go on, in your name"),
    WORD("cancel", " [--running keep|cancel]", "end the wave; moves that have not begun are cancelled"),
    {"wave report", "WAVE [--html FILE] [--csv FILE]",
     "what moved, when, how it was proved, and what failed why; also before the end", report, NULL, NULL,
     NULL, NULL},
    {"wave watch", "WAVE [--until STATE]",
     "follow a wave until it has ended or was paused, or until a state is reached\n"
     "    It exits with 0 when the wave is done, waits for a person or, with --until, is in that state or\n"
     "    further on the way draft, running, done; with 6 when it was cancelled, the state cannot come, or\n"
     "    hosts have failed and nothing else is left to move.",
     cli_wave_watch, NULL, NULL, NULL, NULL},
    {0},
};
