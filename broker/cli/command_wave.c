/* `wave plan`: when the machines of an assessment would go. See cli.h. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

static const struct cli_column system_columns[] = {
    {"SYSTEM", "system", false, 0}, {"HOSTS", "hosts", true, 0},        {"DONE", "done", true, 0},
    {"RULE", "rule", false, 0},     {"DUE", "due_at", false, 0},        {"FORECAST", "forecast_at", false, 0},
    {"LATE", "late", false, 0},     {"BECAUSE OF", "reason", false, 0}, {0}};
static const struct cli_column host_columns[] = {
    {"MACHINE", "instance", false, 0},    {"STATE", "state", false, 0},  {"STARTS", "starts_at", false, 0},
    {"CUT-OVER", "cutover_at", false, 0}, {"ENDS", "ends_at", false, 0}, {0}};

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
        cli_print_table(cli, json_object_get(answer.body, "systems"), system_columns);
        cli_print_table(cli, json_object_get(answer.body, "hosts"), host_columns);
    }
    client_answer_done(&answer);
    return NULL;
}

const struct cli_command wave_commands[] = {
    {"wave plan", "ASSESSMENT [FILE]",
     "when the machines of an assessment would go; FILE: limits, windows, dependencies as JSON", plan, NULL,
     NULL, NULL, NULL},
    {0},
};
