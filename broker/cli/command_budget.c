/* Commands about budgets. See cli.h. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

/* --thresholds 50,80,100 as a list of numbers. */
static struct error *put_thresholds(struct cli *cli, json_t *body)
{
    const char *text = cli_flag(cli, "thresholds");
    json_t *list = text ? json_array() : NULL;
    for (const char *at = text; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        char *end;
        long percent = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',')) {
            json_decref(list);
            return error_new(ERR_INVALID, "--thresholds takes percentages such as 50,80,100");
        }
        json_push(list, json_integer(percent));
    }
    if (list)
        json_put(body, "thresholds", list);
    return NULL;
}

/* Amount and thresholds, and the members in `command->filters`. */
static struct error *body_of(struct cli *cli, const struct cli_command *command, json_t **ret_body)
{
    json_t *body = json_object();
    char *rest = arena_strdup(cli->arena, command->filters), *member;
    while ((member = strsep(&rest, ",")))
        cli_put_flag(cli, body, member);
    json_put_text(body, "amount_yuan", cli_flag(cli, "amount"));
    struct error *error = put_thresholds(cli, body);
    if (!error)
        error = cli_end(cli);
    if (error) {
        json_decref(body);
        return error;
    }
    *ret_body = body;
    return NULL;
}

static struct error *add_budget(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    json_t *body;
    TRY(body_of(cli, command, &body));
    TRY(cli_call(cli, "POST", command->path, body, &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

static struct error *set_budget(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    const char *id;
    json_t *body;
    TRY(cli_argument(cli, "ID", &id));
    TRY(body_of(cli, command, &body));
    TRY(cli_call_matching(cli, "PATCH",
                          arena_printf(cli->arena, "/v1/budgets/%s", client_escape(cli->arena, id)), body,
                          &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

static struct error *delete_budget(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    const char *id;
    (void)command;
    TRY(cli_argument(cli, "ID", &id));
    TRY(cli_end(cli));
    TRY(cli_call_matching(cli, "DELETE",
                          arena_printf(cli->arena, "/v1/budgets/%s", client_escape(cli->arena, id)), NULL,
                          &answer));
    client_answer_done(&answer);
    return NULL;
}

static const struct cli_column columns[] = {{"BUDGET", "id", false, 0},
                                            {"UNIT", "unit", false, 0},
                                            {"SYSTEM", "system", false, 0},
                                            {"PERIOD", "period", false, 0},
                                            {"YUAN", "amount_yuan", true, 0},
                                            {"TOLD AT %", "thresholds", false, 0},
                                            {0}};

const struct cli_command budget_commands[] = {
    {"budget list", NULL, "budgets of units and systems (--unit, --system)", cli_list, "/v1/budgets", columns,
     "unit,system", NULL},
    {"budget show", "ID", "one budget", cli_show, "/v1/budgets/{}", NULL, NULL, NULL},
    {"budget status", "ID", "what is spent of a budget, what is to come, and who was told", cli_show,
     "/v1/budgets/{}/status", NULL, NULL, NULL},
    {"budget add", "--unit UNIT [--system SYSTEM] --period month|year --amount YUAN [--thresholds 50,80,100]",
     "mean to spend so much", add_budget, "/v1/budgets", NULL, "unit,system,period", NULL},
    {"budget set", "ID [--amount YUAN] [--thresholds 50,80,100]", "change a budget", set_budget, NULL, NULL,
     "", NULL},
    {"budget delete", "ID", "forget a budget and its alerts", delete_budget, NULL, NULL, NULL, NULL},
    {0},
};
