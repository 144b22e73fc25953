/* Following an operation to its end; see cli.h. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/moment.h"
#include "broker/cli/cli.h"

#define BAR_CELLS 30
#define STEP_MOST 40 /* columns: a bar and its step fit a narrow terminal */
#define FOLLOW_MOST_US (2 * MOMENT_HOUR)
#define POLL_US (MOMENT_SECOND / 2)

static const char *text_of(const json_t *operation, const char *member)
{
    const char *text = json_string_value(json_object_get(operation, member));
    return text ? text : "";
}

static void draw_bar(const json_t *operation, int64_t began)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *step = *text_of(operation, "step") ? text_of(operation, "step") : text_of(operation, "state");
    int percent = (int)json_integer_value(json_object_get(operation, "percent"));
    int full = percent * BAR_CELLS / 100;
    (void)fprintf(stderr, "\r\033[K[");
    for (int i = 0; i < BAR_CELLS; i++)
        (void)fputc(i < full ? '#' : '.', stderr);
    (void)fprintf(stderr, "] %3d %%  %llds  %s", percent,
                  (long long)((moment_monotonic() - began) / MOMENT_SECOND),
                  cli_cut(arena, cli_safe(arena, step, false), STEP_MOST));
}

/* A line when anything but the time changed. */
static void print_change(const json_t *operation, char last[256])
{
    ARENA_AUTO struct arena *arena = arena_new();
    char line[256];
    (void)snprintf(line, sizeof line, "%s %3d %%  %s", text_of(operation, "kind"),
                   (int)json_integer_value(json_object_get(operation, "percent")),
                   *text_of(operation, "step") ? text_of(operation, "step") : text_of(operation, "state"));
    if (!strcmp(line, last))
        return;
    (void)fprintf(stderr, "  %s\n", cli_safe(arena, line, false));
    memcpy(last, line, sizeof line);
}

static struct error *verdict(const json_t *operation)
{
    const char *state = text_of(operation, "state");
    if (!strcmp(state, "succeeded"))
        return NULL;
    const char *message = json_string_value(json_object_get(json_object_get(operation, "error"), "message"));
    return error_new(ERR_CONFLICT, "the operation %s%s%s",
                     strcmp(state, "cancelled") ? "failed" : "was cancelled", message ? ": " : "",
                     message ? message : "");
}

static void pause_us(int64_t us)
{
    struct timespec span = {us / MOMENT_SECOND, us % MOMENT_SECOND * 1000};
    (void)nanosleep(&span, NULL); /* a signal only makes the next look earlier */
}

struct error *cli_follow(struct cli *cli, const char *operation, json_t **ret_operation)
{
    const char *path = arena_printf(cli->arena, "/v1/operations/%s", client_escape(cli->arena, operation));
    int64_t began = moment_monotonic();
    bool terminal = isatty(STDERR_FILENO);
    char last[256] = "";
    while (moment_monotonic() - began < FOLLOW_MOST_US) {
        struct client_answer answer;
        TRY(cli_call(cli, "GET", path, NULL, &answer));
        const char *state = text_of(answer.body, "state");
        bool going = !strcmp(state, "queued") || !strcmp(state, "running");
        if (terminal)
            draw_bar(answer.body, began);
        else
            print_change(answer.body, last);
        if (going) {
            client_answer_done(&answer);
            pause_us(POLL_US);
            continue;
        }
        if (terminal)
            (void)fputc('\n', stderr);
        struct error *error = verdict(answer.body);
        if (!error && ret_operation)
            *ret_operation = json_incref(answer.body);
        client_answer_done(&answer);
        return error;
    }
    return error_new(ERR_TIMEOUT, "operation %s has not ended within two hours", operation);
}

/* An order is shown as it ended, with its resources; of the others the operation says what there is. */
static struct error *print_ended(struct cli *cli, const json_t *operation)
{
    if (strcmp(text_of(operation, "kind"), "order") != 0) {
        cli_print(cli, operation);
        return NULL;
    }
    struct client_answer answer;
    const char *order = client_escape(cli->arena, text_of(operation, "order"));
    TRY(cli_call(cli, "GET", arena_printf(cli->arena, "/v1/orders/%s", order), NULL, &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

struct error *cli_accepted(struct cli *cli, struct client_answer *answer)
{
    static const char prefix[] = "/v1/operations/";
    struct error *error = NULL;
    bool tracked = answer->location && !strncmp(answer->location, prefix, strlen(prefix));
    if (tracked && cli->wait) {
        json_t *ended = NULL;
        error = cli_follow(cli, answer->location + strlen(prefix), &ended);
        if (!error)
            error = print_ended(cli, ended);
        json_decref(ended);
    } else {
        cli_print(cli, answer->body);
    }
    client_answer_done(answer);
    return error;
}
