/* `wave watch`: a bar for each host on a terminal, a line for each change elsewhere. See cli.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/cli/commands.h"

#define PATH "/v1/waves"
#define BAR_CELLS 24
#define NAME_CELLS 16
#define POLL_US MOMENT_SECOND
#define COLUMNS_DEFAULT 100
#define ROWS_DEFAULT 24
#define HOSTS_MAX 400

struct watching {
    bool terminal;
    int drawn;             /* lines on the terminal that are ours */
    char *last[HOSTS_MAX]; /* what was said of each host */
    char *last_wave;
};

static const char *text_of(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text ? text : "";
}

static int64_t number_of(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

static int percent(int64_t done, int64_t all)
{
    return all > 0 ? (int)((double)done * 100 / (double)all) : 0;
}

/* "running, 1 of 3 hosts done, 42 %, 5 min left, late: u001 (window)" */
static const char *wave_line(struct arena *arena, const json_t *wave)
{
    const json_t *sums = json_object_get(wave, "sums"), *forecast = json_object_get(wave, "forecast"), *pace;
    size_t i;
    const char *line = arena_printf(arena, "%s: %s, %lld of %lld hosts done, %d %%", text_of(wave, "name"),
                                    text_of(wave, "state"), (long long)number_of(sums, "done"),
                                    (long long)number_of(sums, "hosts"),
                                    percent(number_of(sums, "copied_bytes"), number_of(sums, "bytes")));
    if (number_of(sums, "failed"))
        line = arena_printf(arena, "%s, %lld failed", line, (long long)number_of(sums, "failed"));
    if (!strcmp(text_of(wave, "state"), "running") && json_object_get(forecast, "eta_seconds"))
        line = arena_printf(arena, "%s, %s left", line, cli_span(arena, number_of(forecast, "eta_seconds")));
    json_array_foreach (json_object_get(wave, "pace"), i, pace)
        if (json_is_true(json_object_get(pace, "late")))
            line = arena_printf(arena, "%s, late: %s (%s)", line, text_of(pace, "system"),
                                text_of(pace, "reason"));
    return *text_of(wave, "reason") ? arena_printf(arena, "%s (%s)", line, text_of(wave, "reason")) : line;
}

static const char *state_of(const json_t *host)
{
    const json_t *move = json_object_get(host, "move");
    const char *state = text_of(host, "state");
    return strcmp(state, "running") && strcmp(state, "done") ? state : text_of(move, "state");
}

/* What follows the bar: "copying  120.0 MiB/s  3 min left", or why it does not go on. */
static const char *host_rest(struct arena *arena, const json_t *host, bool goes_on)
{
    const json_t *move = json_object_get(host, "move"), *progress = json_object_get(move, "progress");
    const char *line = state_of(host);
    if (!strcmp(line, "copying") && number_of(progress, "bytes_per_second"))
        line =
            arena_printf(arena, "%s  %s/s", line, cli_size(arena, number_of(progress, "bytes_per_second")));
    if (*text_of(host, "reason"))
        return arena_printf(arena, "%s  (%s)", line, text_of(host, "reason"));
    if (goes_on && json_object_get(host, "eta_seconds"))
        line = arena_printf(arena, "%s  %s left", line, cli_span(arena, number_of(host, "eta_seconds")));
    if (json_object_get(json_object_get(move, "downtime"), "measured_ms"))
        line = arena_printf(arena, "%s  down %lld ms", line,
                            (long long)number_of(json_object_get(move, "downtime"), "measured_ms"));
    return line;
}

static void put_line(struct watching *w, struct arena *arena, const char *line, int columns)
{
    (void)fprintf(stderr, "\033[K%s\n", cli_cut(arena, cli_safe(arena, line, false), columns - 1));
    w->drawn++;
}

static const char *padded(struct arena *arena, const char *name)
{
    const char *cut = cli_cut(arena, cli_safe(arena, name, false), NAME_CELLS);
    return arena_printf(arena, "%s%*s", cut, NAME_CELLS - cli_width(cut), "");
}

/* Over what was drawn last. Of more hosts than there are rows, those that are at work are shown first. */
static void draw(struct watching *w, const json_t *wave)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const json_t *hosts = json_object_get(wave, "hosts"), *host;
    bool goes_on = !strcmp(text_of(wave, "state"), "running");
    struct winsize size = {0};
    bool known = !ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_row > 2 && size.ws_col > 20;
    int rows = known ? size.ws_row : ROWS_DEFAULT, columns = known ? size.ws_col : COLUMNS_DEFAULT, shown = 0;
    bool all = (int)json_array_size(hosts) <= rows - 3;
    size_t i;
    if (w->drawn)
        (void)fprintf(stderr, "\r\033[%dA", w->drawn);
    int before = w->drawn;
    w->drawn = 0;
    put_line(w, arena, wave_line(arena, wave), columns);
    json_array_foreach (hosts, i, host) {
        const char *state = text_of(host, "state");
        if (!all && (shown >= rows - 4 || (strcmp(state, "running") && strcmp(state, "failed"))))
            continue;
        int64_t done = number_of(host, "copied_bytes"), whole = number_of(host, "bytes");
        put_line(w, arena,
                 arena_printf(arena, "  %s %s %3d %%  %s", padded(arena, text_of(host, "name")),
                              cli_bar(arena, done, whole, BAR_CELLS), percent(done, whole),
                              host_rest(arena, host, goes_on)),
                 columns);
        shown++;
    }
    if (!all)
        put_line(w, arena,
                 arena_printf(arena, "  and %lld more hosts", (long long)json_array_size(hosts) - shown),
                 columns);
    for (int extra = before - w->drawn; extra > 0; extra--) /* it had more lines before */
        put_line(w, arena, "", columns);
}

/* A line when anything but numbers changed. */
static void say(char **last, const char *what, const char *line)
{
    if (*last && !strcmp(*last, what))
        return;
    free(*last);
    *last = xstrdup(what);
    (void)fprintf(stderr, "  %s\n", line);
}

static void tell(struct watching *w, const json_t *wave)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const json_t *host;
    bool goes_on = !strcmp(text_of(wave, "state"), "running");
    size_t i;
    json_array_foreach (json_object_get(wave, "hosts"), i, host) {
        const char *what = arena_printf(arena, "%s %s", state_of(host), text_of(host, "reason"));
        if (i < HOSTS_MAX)
            say(&w->last[i], what,
                cli_safe(
                    arena,
                    arena_printf(arena, "%s: %s", text_of(host, "name"), host_rest(arena, host, goes_on)),
                    false));
    }
    say(&w->last_wave, text_of(wave, "state"), cli_safe(arena, wave_line(arena, wave), false));
}

static const char *const states[] = {"draft", "running", "paused", "done", "cancelled", NULL};

static struct error *check_state(const char *name)
{
    for (size_t i = 0; states[i]; i++)
        if (!strcmp(states[i], name))
            return NULL;
    return error_new(
        ERR_INVALID,
        "there is no state \"%s\" of a wave; the states are draft, running, paused, done, cancelled", name);
}

/* It runs, and nothing of it goes on: what has failed needs a person. */
static bool is_stuck(const json_t *wave)
{
    const json_t *sums = json_object_get(wave, "sums");
    return !strcmp(text_of(wave, "state"), "running") && number_of(sums, "failed") &&
           !number_of(sums, "waiting") && !number_of(sums, "running");
}

/* As of a move (commands.h): what lies behind on the way draft, running, done is reached. A paused wave runs
 * again by a person's word. */
static enum cli_awaited awaited_of(const json_t *wave, const char *until)
{
    const char *state = text_of(wave, "state");
    bool done = !strcmp(state, "done"), cancelled = !strcmp(state, "cancelled");
    bool runs = !strcmp(state, "running"), paused = !strcmp(state, "paused");
    if (!until && !cancelled && !runs)
        return CLI_AWAITED_REACHED;
    if (!until)
        return cancelled || is_stuck(wave) ? CLI_AWAITED_LOST : CLI_AWAITED_COMES;
    if (!strcmp(state, until))
        return CLI_AWAITED_REACHED;
    if (!strcmp(until, "draft") ? runs || paused || done : !strcmp(until, "running") && done)
        return CLI_AWAITED_REACHED;
    return done || cancelled || is_stuck(wave) ? CLI_AWAITED_LOST : CLI_AWAITED_COMES;
}

static struct error *lost(struct arena *arena, const json_t *wave, const char *until)
{
    const char *state = text_of(wave, "state"), *why = text_of(wave, "reason");
    bool stuck = is_stuck(wave);
    if (stuck)
        why = arena_printf(arena, "%lld of its hosts failed, and nothing else is left to move",
                           (long long)number_of(json_object_get(wave, "sums"), "failed"));
    const char *separator = *why ? ": " : "";
    if (!until)
        return error_new(ERR_CONFLICT, "the wave is %s%s%s", state, separator, why);
    return error_new(ERR_CONFLICT, "the wave is %s, and %s does not come %s%s%s", state, until,
                     stuck ? "without another word" : "any more", separator, why);
}

static struct error *follow(struct cli *cli, struct watching *w, const char *path, const char *until)
{
    for (;;) {
        struct client_answer answer;
        struct timespec span = {POLL_US / MOMENT_SECOND, POLL_US % MOMENT_SECOND * 1000};
        TRY(cli_call(cli, "GET", path, NULL, &answer));
        if (w->terminal)
            draw(w, answer.body);
        else
            tell(w, answer.body);
        enum cli_awaited awaited = awaited_of(answer.body, until);
        if (awaited != CLI_AWAITED_COMES) {
            struct error *error = awaited == CLI_AWAITED_LOST ? lost(cli->arena, answer.body, until) : NULL;
            if (cli->json)
                cli_print(cli, answer.body);
            client_answer_done(&answer);
            return error;
        }
        client_answer_done(&answer);
        (void)nanosleep(&span, NULL); /* a signal only makes the next look earlier */
    }
}

struct error *cli_wave_watch(struct cli *cli, const struct cli_command *command)
{
    struct watching w = {.terminal = isatty(STDERR_FILENO)};
    const char *id, *until = cli_flag(cli, "until");
    (void)command;
    TRY(cli_argument(cli, "WAVE", &id));
    TRY(cli_end(cli));
    if (until)
        TRY(check_state(until));
    struct error *error =
        follow(cli, &w, arena_printf(cli->arena, PATH "/%s", client_escape(cli->arena, id)), until);
    for (size_t i = 0; i < HOSTS_MAX; i++)
        free(w.last[i]);
    free(w.last_wave);
    return error;
}
