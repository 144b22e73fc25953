/* Commands about money: bills and months; and the audit chain. See cli.h. */
#include <stdio.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

static const char *text_of(const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text ? text : "-";
}

static struct error *show_bill(struct cli *cli, const struct cli_command *command)
{
    static const struct cli_column columns[] = {{"LINE", "line", true, 0},
                                                {"TYPE", "type", false, 0},
                                                {"CLOUD", "cloud", false, 0},
                                                {"SYSTEM", "system", false, 0},
                                                {"ITEM", "item", false, 0},
                                                {"PRICE", "price_yuan", true, 0},
                                                {"AVERAGE", "average_quantity", true, 0},
                                                {"UNIT HOURS", "usage_unit_hours", true, 0},
                                                {"YUAN", "amount_yuan", true, 0},
                                                {0}};
    const char *id;
    json_t *bill;
    (void)command;
    TRY(cli_argument(cli, "BILL", &id));
    TRY(cli_end(cli));
    TRY(cli_call_pages(cli, arena_printf(cli->arena, "/v1/bills/%s", client_escape(cli->arena, id)), &bill));
    if (cli->json) {
        cli_print(cli, bill);
    } else {
        (void)printf("Bill %s  unit %s  provider %s  month %s\n\n", text_of(bill, "number"),
                     text_of(bill, "unit"), text_of(bill, "provider"), text_of(bill, "month"));
        cli_print_table(cli, json_object_get(bill, "lines"), columns);
        if (json_is_true(json_object_get(bill, "partial")))
            (void)printf("\nTotal of the lines that you may see %s yuan\n", text_of(bill, "total_yuan"));
        else
            (void)printf("\nTotal %s yuan   SM3 %s\n", text_of(bill, "total_yuan"),
                         text_of(bill, "digest_sm3"));
    }
    json_decref(bill);
    return NULL;
}

static struct error *act_on_month(struct cli *cli, const struct cli_command *command)
{
    const char *month;
    struct client_answer answer;
    TRY(cli_argument(cli, "MONTH", &month));
    TRY(cli_end(cli));
    TRY(cli_call(
        cli, "POST",
        arena_printf(cli->arena, "/v1/months/%s:%s", client_escape(cli->arena, month), command->verb), NULL,
        &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

static struct error *set_billing(struct cli *cli, const struct cli_command *command)
{
    static const char *const flags[] = {"close-grace", "usage-retention", "bill-retention"};
    static const char *const members[] = {"close_grace_seconds", "usage_retention_months",
                                          "bill_retention_months"};
    struct client_answer answer;
    json_t *body = json_hold(cli->arena, json_object());
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        bool found;
        int64_t value;
        TRY(cli_number(cli, flags[i], &found, &value));
        if (found)
            json_put_int(body, members[i], value);
    }
    TRY(cli_end(cli));
    if (!json_object_size(body))
        return error_new(ERR_INVALID, "what to set: --close-grace, --usage-retention or --bill-retention");
    TRY(cli_call_matching(cli, "PATCH", command->path, json_incref(body), &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

static struct error *verify_audit(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    TRY(cli_end(cli));
    TRY(cli_call(cli, "GET", command->path, NULL, &answer));
    cli_print(cli, answer.body);
    bool whole = json_is_true(json_object_get(answer.body, "whole"));
    client_answer_done(&answer);
    return whole ? NULL : error_new(ERR_CONFLICT, "the audit trail is not whole");
}

const struct cli_command money_commands[] = {
    {"bill show", "BILL", "one bill with its lines", show_bill, NULL, NULL, NULL, NULL},
    {"month rate", "MONTH", "what closing a month that is over would come to", act_on_month, NULL, NULL, NULL,
     "rate"},
    {"month close", "MONTH", "close a month that is over: its bills are written", act_on_month, NULL, NULL,
     NULL, "close"},
    {"month archive", "MONTH", "write a closed month that is older than its retention to files, then drop it",
     act_on_month, NULL, NULL, NULL, "archive"},
    {"billing set", "[--close-grace SECONDS] [--usage-retention MONTHS] [--bill-retention MONTHS]",
     "how long a month stays open after its end; how many closed months are kept (0: for ever)", set_billing,
     "/v1/billing-settings", NULL, NULL, NULL},
    {"audit verify", NULL, "walk the audit chain; exit code 6 when it is broken", verify_audit,
     "/v1/audit:verify", NULL, NULL, NULL},
    {0},
};
