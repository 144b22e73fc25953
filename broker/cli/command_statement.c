/* Commands about the consolidated statement. See cli.h. */
#include <stdio.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text ? text : "-";
}

/* Whether a comma-joined list has the name. */
static bool lists(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strcspn(at, ",") == length && !memcmp(at, name, length))
            return true;
    return false;
}

#define DIMENSION_COLUMNS 12
/* The columns of the dimensions that rows are grouped by. Returns how many. */
static size_t key_columns(const char *group_by, struct cli_column *ret_columns)
{
    static const struct cli_column all[] = {
        {"MONTH", "month", false, 0},       {"UNIT", "unit", false, 0},
        {"SYSTEM", "system", false, 0},     {"CLOUD", "cloud", false, 0},
        {"PROVIDER", "provider", false, 0}, {"ITEM", "item", false, 0},
        {"SERVICE", "item_name", false, 0}, {"INDUSTRY", "industry", false, 0},
        {"ZONE", "zone", false, 0},         {"ARCH", "architecture", false, 0},
        {"TARIFF", "tariff", false, 0},     {"USED IN", "charge_month", false, 0}};
    size_t count = 0;
    for (size_t i = 0; i < DIMENSION_COLUMNS; i++)
        if (lists(group_by, strcmp(all[i].member, "item_name") ? all[i].member : "item"))
            ret_columns[count++] = all[i];
    return count;
}

/* Dimensions first, as the statement was grouped, then what there is to recompute a row with, then the
 * amount. */
static void print_statement(struct cli *cli, const json_t *statement, const char *title, const char *group_by)
{
    static const struct cli_column item_figures[] = {{"PRICE", "price_yuan", true, 0},
                                                     {"AVERAGE", "average_quantity", true, 0},
                                                     {"UNIT HOURS", "usage_unit_hours", true, 0}};
    struct cli_column columns[DIMENSION_COLUMNS + 5] = {{0}};
    size_t count = key_columns(group_by, columns);
    for (size_t i = 0; lists(group_by, "item") && i < 3; i++)
        columns[count++] = item_figures[i];
    columns[count++] = (struct cli_column){"YUAN", "amount_yuan", true, 0};
    const json_t *total = json_object_get(statement, "total");
    const char *state = json_string_value(json_object_get(statement, "state"));
    (void)printf("Consolidated statement %s (%s, %lld hours)\n\n", title,
                 state                                 ? state
                 : json_object_get(statement, "until") ? "open"
                                                       : "closed",
                 (long long)json_integer_value(json_object_get(statement, "hours")));
    cli_print_table(cli, json_object_get(statement, "rows"), columns);
    (void)printf("\nTotal %s yuan, %lld lines\n", text_of(total, "amount_yuan"),
                 (long long)json_integer_value(json_object_get(total, "lines")));
    const json_t *included = json_object_get(statement, "included_services");
    (void)printf("Included free of charge: %zu base security services\n",
                 json_array_size(json_object_get(included, "services")));
}

/* "&unit=…" for each filter that was given. */
static const char *filters_of(struct cli *cli)
{
    static const char *const members[] = {"unit",     "system", "cloud",        "provider", "item",
                                          "industry", "zone",   "architecture", "tariff",   "charge_month"};
    const char *query = "";
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const char *value = cli_flag(cli, cli_flag_of(cli, members[i]));
        if (value)
            query = arena_printf(cli->arena, "%s&%s=%s", query, members[i], client_escape(cli->arena, value));
    }
    return query;
}

/* A month, or --from and --to. */
static struct error *statement_path(struct cli *cli, const char *from, const char *to, const char **ret_path,
                                    const char **ret_title)
{
    const char *month;
    if (from || to) {
        *ret_path = arena_printf(cli->arena, "/v1/statements?%s%s%s%s", from ? "from=" : "",
                                 from ? client_escape(cli->arena, from) : "",
                                 to ? (from ? "&to=" : "to=") : "", to ? client_escape(cli->arena, to) : "");
        *ret_title = arena_printf(cli->arena, "%s to %s", from ? from : "January", to ? to : "this month");
        return NULL;
    }
    TRY(cli_argument(cli, "MONTH", &month));
    *ret_path = arena_printf(cli->arena, "/v1/statements/%s?", client_escape(cli->arena, month));
    *ret_title = month;
    return NULL;
}

static struct error *statement(struct cli *cli, const struct cli_command *command)
{
    const char *group_by = cli_flag(cli, "group-by"), *from = cli_flag(cli, "from"),
               *to = cli_flag(cli, "to");
    const char *filters = filters_of(cli), *path, *title;
    json_t *body;
    (void)command;
    if (!group_by)
        group_by = "unit,cloud,provider,item";
    TRY(statement_path(cli, from, to, &path, &title));
    TRY(cli_end(cli));
    TRY(cli_call_pages(cli,
                       arena_printf(cli->arena, "%s%sgroup_by=%s%s", path, from || to ? "&" : "",
                                    client_escape(cli->arena, group_by), filters),
                       &body));
    if (cli->json)
        cli_print(cli, body);
    else
        print_statement(cli, body, title, group_by);
    json_decref(body);
    return NULL;
}

static struct error *changes(struct cli *cli, const struct cli_command *command)
{
    static const struct cli_column figures[] = {{"YUAN", "amount_yuan", true, 0},
                                                {"MONTH BEFORE", "month_before_yuan", true, 0},
                                                {"CHANGE", "month_change_yuan", true, 0},
                                                {"PER MILLE", "month_change_per_mille", true, 0},
                                                {"YEAR BEFORE", "year_before_yuan", true, 0},
                                                {"CHANGE", "year_change_yuan", true, 0}};
    struct cli_column columns[DIMENSION_COLUMNS + 7] = {{0}};
    const char *group_by = cli_flag(cli, "group-by"), *limit = cli_flag(cli, "limit"), *month;
    const char *filters = filters_of(cli);
    struct client_answer answer;
    (void)command;
    if (!group_by)
        group_by = "unit";
    TRY(cli_argument(cli, "MONTH", &month));
    TRY(cli_end(cli));
    TRY(cli_call(cli, "GET",
                 arena_printf(cli->arena, "/v1/statements/%s/changes?group_by=%s%s%s%s",
                              client_escape(cli->arena, month), client_escape(cli->arena, group_by), filters,
                              limit ? "&limit=" : "", limit ? client_escape(cli->arena, limit) : ""),
                 NULL, &answer));
    size_t count = key_columns(group_by, columns);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        columns[count++] = figures[i];
    if (cli->json) {
        cli_print(cli, answer.body);
    } else {
        const json_t *movers = json_object_get(answer.body, "movers"),
                     *total = json_object_get(answer.body, "total");
        (void)printf("%s against %s and %s\n\nRose most\n", month, text_of(answer.body, "month_before"),
                     text_of(answer.body, "year_before"));
        cli_print_table(cli, json_object_get(movers, "rose"), columns);
        (void)printf("\nFell most\n");
        cli_print_table(cli, json_object_get(movers, "fell"), columns);
        (void)printf("\nTotal %s yuan, %s more than the month before, %s more than the year before\n",
                     text_of(total, "amount_yuan"), text_of(total, "month_change_yuan"),
                     text_of(total, "year_change_yuan"));
    }
    client_answer_done(&answer);
    return NULL;
}

static struct error *compare(struct cli *cli, const struct cli_command *command)
{
    static const struct cli_column columns[] = {
        {"PROVIDER", "provider", false, 0},      {"PRORATION", "proration", false, 0},
        {"YUAN", "amount_yuan", true, 0},        {"DIFFERENCE", "difference_yuan", true, 0},
        {"UNPRICED", "unpriced_lines", true, 0}, {0}};
    const char *month, *unit = cli_flag(cli, "unit");
    struct client_answer answer;
    (void)command;
    TRY(cli_argument(cli, "MONTH", &month));
    TRY(cli_end(cli));
    if (!unit)
        return error_new(ERR_INVALID, "--unit UNIT is missing");
    TRY(cli_call(cli, "GET",
                 arena_printf(cli->arena, "/v1/units/%s/comparison?month=%s", client_escape(cli->arena, unit),
                              client_escape(cli->arena, month)),
                 NULL, &answer));
    if (cli->json) {
        cli_print(cli, answer.body);
    } else {
        (void)printf("Unit %s in %s: %s yuan as it is\n\n", unit, month,
                     text_of(json_object_get(answer.body, "actual"), "amount_yuan"));
        cli_print_table(cli, json_object_get(answer.body, "providers"), columns);
    }
    client_answer_done(&answer);
    return NULL;
}

static struct error *line_usage(struct cli *cli, const struct cli_command *command)
{
    static const struct cli_column columns[] = {{"RESOURCE", "resource", false, 0},
                                                {"QUANTITY", "quantity", true, 0},
                                                {"FROM", "from", false, 0},
                                                {"TO", "to", false, 0},
                                                {"SHARE", "usage_exact", true, 0},
                                                {"SPANS", "spans", true, 0},
                                                {0}};
    const char *bill, *line;
    json_t *body;
    (void)command;
    TRY(cli_argument(cli, "BILL", &bill));
    TRY(cli_argument(cli, "LINE", &line));
    TRY(cli_end(cli));
    TRY(cli_call_pages(cli,
                       arena_printf(cli->arena, "/v1/bills/%s/lines/%s/usage",
                                    client_escape(cli->arena, bill), client_escape(cli->arena, line)),
                       &body));
    if (cli->json) {
        cli_print(cli, body);
    } else {
        const json_t *of = json_object_get(body, "line");
        (void)printf("Line %s of %s: item %s, %s yuan, proration %s\n\n", line,
                     text_of(json_object_get(of, "bill"), "number"), text_of(of, "item"),
                     text_of(of, "amount_yuan"), text_of(body, "proration"));
        cli_print_table(cli, json_object_get(body, "intervals"), columns);
        (void)printf("\nUsage %s, billed so far %s\n", text_of(body, "usage_exact"),
                     text_of(body, "billed_exact"));
    }
    json_decref(body);
    return NULL;
}

static const struct cli_column line_columns[] = {{"BILL", "bill.id", false, 0},
                                                 {"LINE", "line", true, 0},
                                                 {"TYPE", "type", false, 0},
                                                 {"USED IN", "charge_month", false, 0},
                                                 {"UNIT", "unit", false, 0},
                                                 {"CLOUD", "cloud", false, 0},
                                                 {"SYSTEM", "system", false, 0},
                                                 {"ITEM", "item", false, 0},
                                                 {"AVERAGE", "average_quantity", true, 0},
                                                 {"YUAN", "amount_yuan", true, 0},
                                                 {0}};

const struct cli_command statement_commands[] = {
    {"statement", "MONTH | --from MONTH --to MONTH [--group-by month,unit,system,cloud,provider,item,…]",
     "the consolidated statement of a month or of a range (filters: --unit, --cloud, --item, …)", statement,
     NULL, NULL, NULL, NULL},
    {"statement changes", "MONTH [--group-by unit] [--limit 10]",
     "what rose and fell most since the month before, and since a year before", changes, NULL, NULL, NULL,
     NULL},
    {"compare", "MONTH --unit UNIT", "what a unit's month costs at each provider's prices", compare, NULL,
     NULL, NULL, NULL},
    {"bill lines", NULL, "lines of bills across units (--month, --unit, --cloud, --item, …)", cli_list,
     "/v1/lines", line_columns,
     "month,type,charge_month,unit,system,cloud,provider,item,industry,zone,architecture,tariff", NULL},
    {"bill usage", "BILL LINE", "the usage intervals that made a line of a bill", line_usage, NULL, NULL,
     NULL, NULL},
    {0},
};
