/* `migrate assess`: whether machines can move to another cloud, and what stands in the way. See cli.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

#define MACHINES_MAX 200

/* The zone of the target when none is named: of the same name as the machine's, or the only one. */
static struct error *choose_zone(struct cli *cli, const char *cloud, const char *like, const char **ret_zone)
{
    struct client_answer answer;
    TRY(cli_call(cli, "GET", arena_printf(cli->arena, "/v1/clouds/%s", client_escape(cli->arena, cloud)),
                 NULL, &answer));
    json_t *body = json_hold(cli->arena, answer.body), *zones = json_object_get(body, "zones"), *zone;
    answer.body = NULL;
    client_answer_done(&answer);
    size_t i;
    json_array_foreach (zones, i, zone) {
        const char *id = json_string_value(json_object_get(zone, "id"));
        if (id && (json_array_size(zones) == 1 || (like && !strcmp(id, like)))) {
            *ret_zone = id;
            return NULL;
        }
    }
    return error_new(ERR_INVALID,
                     "--zone is missing: cloud \"%s\" has %zu zones, none named as the machine's", cloud,
                     json_array_size(zones));
}

/* Unit and zone are the first machine's; all are of one unit. */
static struct error *request_of(struct cli *cli, json_t *body)
{
    struct client_answer answer;
    json_t *instances = json_array(), *to = json_object();
    json_put(body, "instances", instances);
    json_put(body, "to", to);
    const char *cloud = cli_flag(cli, "to"), *zone = cli_flag(cli, "zone"), *first = NULL, *id;
    static const char *const numbers[] = {"bandwidth_mbps", "change_mb_per_hour", "window_seconds"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        bool given;
        int64_t value;
        TRY(cli_number(cli, cli_flag_of(cli, numbers[i]), &given, &value));
        if (given)
            json_put_int(body, numbers[i], value);
    }
    cli_put_flag(cli, body, "kind");
    do {
        TRY(cli_argument(cli, "INSTANCE", &id));
        first = first ? first : id;
        json_push(instances, json_string(id));
    } while (cli->argc && cli->argv[0][0] != '-' && json_array_size(instances) < MACHINES_MAX);
    TRY(cli_end(cli));
    if (!cloud)
        return error_new(ERR_INVALID, "--to is missing");
    TRY(cli_call(cli, "GET", arena_printf(cli->arena, "/v1/resources/%s", client_escape(cli->arena, first)),
                 NULL, &answer));
    json_t *machine = json_hold(cli->arena, answer.body);
    answer.body = NULL;
    client_answer_done(&answer);
    json_put_text(body, "unit", json_string_value(json_object_get(machine, "unit")));
    if (!zone)
        TRY(choose_zone(cli, cloud, json_string_value(json_object_get(machine, "zone")), &zone));
    json_put_text(to, "cloud", cloud);
    json_put_text(to, "zone", zone);
    return NULL;
}

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

static const struct cli_column method_columns[] = {
    {"METHOD", "method", false, 0},      {"POSSIBLE", "possible", false, 0},
    {"COPY S", "copy_seconds", true, 0}, {"DOWN MS", "downtime_ms", true, 0},
    {"WHY NOT", "reason", false, 60},    {0}};
static const struct cli_column finding_columns[] = {{"SEVERITY", "severity", false, 0},
                                                    {"FINDING", "id", false, 0},
                                                    {"SUBJECT", "subject", false, 20},
                                                    {"EVIDENCE", "evidence", false, 50},
                                                    {0}};

static void print(const struct cli *cli, const json_t *body)
{
    const json_t *report;
    size_t i;
    if (cli->json) {
        cli_print(cli, body);
        return;
    }
    json_array_foreach (json_object_get(body, "reports"), i, report) {
        const char *name = json_string_value(json_object_get(report, "name")),
                   *preferred = json_string_value(json_object_get(report, "preferred"));
        (void)printf("%s%s: %s%s\n", i ? "\n" : "", cli_safe(cli->arena, name ? name : "", false),
                     preferred ? "can move, " : "cannot move",
                     preferred ? cli_safe(cli->arena, preferred, false) : "");
        cli_print_table(cli, json_object_get(report, "methods"), method_columns);
        if (json_array_size(json_object_get(report, "findings")))
            cli_print_table(cli, json_object_get(report, "findings"), finding_columns);
    }
}

static struct error *assess(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    json_t *body = json_hold(cli->arena, json_object());
    const char *html = cli_flag(cli, "html"), *csv = cli_flag(cli, "csv");
    TRY(request_of(cli, body));
    TRY(cli_call(cli, "POST", command->path, json_incref(body), &answer));
    json_t *made = json_hold(cli->arena, answer.body);
    answer.body = NULL;
    client_answer_done(&answer);
    const char *id = json_string_value(json_object_get(made, "id")),
               *operation = json_string_value(json_object_get(made, "operation"));
    if (!id || !operation)
        return error_new(ERR_UNAVAILABLE, "the broker answers something else");
    TRY(cli_follow(cli, operation, NULL));
    const char *path = arena_printf(cli->arena, "%s/%s", command->path, client_escape(cli->arena, id));
    if (html)
        TRY(save(cli, path, "html", html));
    if (csv)
        TRY(save(cli, path, "csv", csv));
    TRY(cli_call(cli, "GET", path, NULL, &answer));
    print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

static const struct cli_column columns[] = {
    {"ASSESSMENT", "id", false, 0},    {"UNIT", "unit", false, 0},
    {"CLOUD", "to.cloud", false, 0},   {"ZONE", "to.zone", false, 0},
    {"MACHINES", "machines", true, 0}, {"MOVABLE", "movable", true, 0},
    {"STATE", "state", false, 0},      {0}};

const struct cli_command assess_commands[] = {
    {"migrate assess",
     "INSTANCE… --to CLOUD [--zone ZONE] [--kind cloud-host|physical-host|single-database|ha-database] "
     "[--bandwidth-mbps N] [--change-mb-per-hour N] [--window-seconds N] [--html FILE] [--csv FILE]",
     "whether machines can move, how, and what stands in the way", assess, "/v1/assessments", NULL, NULL,
     NULL},
    {"migrate assessments", NULL, "assessments, newest first (--unit, --system, --cloud)", cli_list,
     "/v1/assessments", columns, "unit,system,cloud", NULL},
    {"migrate assessment", "ID", "one assessment with its reports", cli_show, "/v1/assessments/{}", NULL,
     NULL, NULL},
    {0},
};
