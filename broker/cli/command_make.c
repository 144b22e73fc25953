/* Commands that register things: providers, bids, clouds, endpoints, units, systems, quotas, principals,
 * tokens. See cli.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

static struct error *post(struct cli *cli, const char *path, json_t *body)
{
    struct client_answer answer;
    struct error *error = cli_end(cli);
    if (error) {
        json_decref(body);
        return error;
    }
    TRY(cli_call(cli, "POST", path, body, &answer));
    if (answer.body)
        cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

/* ID and the text flags named by the command's `filters`, posted to its path. */
static struct error *make_simple(struct cli *cli, const struct cli_command *command)
{
    const char *id;
    TRY(cli_argument(cli, "ID", &id));
    json_t *body = json_object();
    json_put_text(body, "id", id);
    char *rest = arena_strdup(cli->arena, command->filters), *member;
    while ((member = strsep(&rest, ",")))
        cli_put_flag(cli, body, member);
    return post(cli, command->path, body);
}

/* FILE: {"1001": "14.02", …}, or a whole body with "prices". */
static struct error *submit_bid(struct cli *cli, const struct cli_command *command)
{
    const char *provider, *path;
    json_t *prices;
    (void)command;
    TRY(cli_argument(cli, "PROVIDER", &provider));
    TRY(cli_argument(cli, "FILE", &path));
    TRY(cli_read_file(cli, path, &prices));
    json_t *body = prices;
    if (!json_object_get(prices, "prices")) {
        body = json_object();
        json_put(body, "prices", prices);
    }
    return post(cli, arena_printf(cli->arena, "/v1/providers/%s/bids", client_escape(cli->arena, provider)),
                body);
}

static struct error *approve_bid(struct cli *cli, const struct cli_command *command)
{
    const char *bid;
    (void)command;
    TRY(cli_argument(cli, "BID", &bid));
    json_t *body = json_object();
    json_put_text(body, "valid_from", cli_flag(cli, "from"));
    return post(cli, arena_printf(cli->arena, "/v1/bids/%s:approve", client_escape(cli->arena, bid)), body);
}

/* CLOUD, then ID and flags, posted below the cloud. */
static struct error *make_in_cloud(struct cli *cli, const struct cli_command *command)
{
    const char *cloud;
    TRY(cli_argument(cli, "CLOUD", &cloud));
    struct cli_command inner = *command;
    inner.path =
        arena_printf(cli->arena, "/v1/clouds/%s/%s", client_escape(cli->arena, cloud), command->path);
    return make_simple(cli, &inner);
}

static struct error *make_endpoint(struct cli *cli, const struct cli_command *command)
{
    const char *id, *options = cli_flag(cli, "options");
    int64_t timeout;
    bool timed;
    TRY(cli_number(cli, "timeout-ms", &timed, &timeout));
    TRY(cli_argument(cli, "ID", &id));
    json_t *body = json_object();
    json_put_text(body, "id", id);
    char *rest = arena_strdup(cli->arena, command->filters), *member;
    while ((member = strsep(&rest, ",")))
        cli_put_flag(cli, body, member);
    /* --url, --username and --ca-file of the endpoint would be the client's own, so they have names of their
     * own here */
    json_put_text(body, "url", cli_flag(cli, "manager-url"));
    json_put_text(body, "ca_file", cli_flag(cli, "manager-ca-file"));
    if (timed)
        json_put_int(body, "timeout_ms", timeout);
    if (cli_switch(cli, "enclave"))
        json_put_bool(body, "enclave", true);
    if (options) {
        json_t *parsed;
        struct error *error = json_parse(options, strlen(options), &parsed);
        if (error) {
            json_decref(body);
            return error_wrap(error, "--options");
        }
        json_put(body, "options", parsed);
    }
    return post(cli, command->path, body);
}

static struct error *make_system(struct cli *cli, const struct cli_command *command)
{
    const char *unit, *id;
    (void)command;
    TRY(cli_argument(cli, "UNIT", &unit));
    TRY(cli_argument(cli, "ID", &id));
    json_t *body = json_object();
    json_put_text(body, "id", id);
    cli_put_flag(cli, body, "name");
    json_put_bool(body, "classified", !cli_switch(cli, "non-classified"));
    if (cli_switch(cli, "insurance"))
        json_put_bool(body, "insurance", true);
    return post(cli, arena_printf(cli->arena, "/v1/units/%s/systems", client_escape(cli->arena, unit)), body);
}

static struct error *set_quota(struct cli *cli, const struct cli_command *command)
{
    static const char *const metrics[] = {"vcpu",           "memory_gb", "standard_gb", "high_gb",
                                          "bandwidth_mbps", "instances", "addresses",   "servers",
                                          "gpu_gb",         "static_gb", "backup_gb"};
    const char *unit, *cloud;
    struct client_answer answer;
    (void)command;
    TRY(cli_argument(cli, "UNIT", &unit));
    TRY(cli_argument(cli, "CLOUD", &cloud));
    json_t *body = json_hold(cli->arena, json_object());
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        int64_t most;
        bool found;
        TRY(cli_number(cli, cli_flag_of(cli, metrics[i]), &found, &most));
        if (found)
            json_put_int(body, metrics[i], most);
    }
    TRY(cli_end(cli));
    if (!json_object_size(body))
        return error_new(ERR_INVALID, "no limit is given: --vcpu N, --memory-gb N …");
    TRY(cli_call(cli, "PATCH",
                 arena_printf(cli->arena, "/v1/units/%s/quotas/%s", client_escape(cli->arena, unit),
                              client_escape(cli->arena, cloud)),
                 json_incref(body), &answer));
    client_answer_done(&answer);
    return NULL;
}

static struct error *set_capacity(struct cli *cli, const struct cli_command *command)
{
    const char *cloud;
    struct client_answer answer;
    int64_t mbps;
    bool found;
    (void)command;
    TRY(cli_number(cli, "bandwidth-mbps", &found, &mbps));
    TRY(cli_argument(cli, "CLOUD", &cloud));
    TRY(cli_end(cli));
    if (!found)
        return error_new(ERR_INVALID, "--bandwidth-mbps is missing");
    json_t *body = json_object();
    json_put_int(body, "bandwidth_mbps", mbps);
    TRY(cli_call(cli, "PUT",
                 arena_printf(cli->arena, "/v1/clouds/%s/capacity", client_escape(cli->arena, cloud)), body,
                 &answer));
    client_answer_done(&answer);
    return NULL;
}

static struct error *make_principal(struct cli *cli, const struct cli_command *command)
{
    const char *id;
    TRY(cli_argument(cli, "ID", &id));
    json_t *body = json_object();
    json_put_text(body, "id", id);
    char *rest = arena_strdup(cli->arena, command->filters), *member;
    while ((member = strsep(&rest, ",")))
        cli_put_flag(cli, body, member);
    cli_put_list(cli, body, "systems");
    cli_put_list(cli, body, "clouds");
    return post(cli, command->path, body);
}

/* Prints the token alone, so that it can go straight into a file: `yunqiao token issue alice >alice.token`.
 */
static struct error *issue_token(struct cli *cli, const struct cli_command *command)
{
    const char *principal;
    struct client_answer answer;
    int64_t life;
    bool limited;
    TRY(cli_number(cli, "expires-in", &limited, &life));
    TRY(cli_argument(cli, "PRINCIPAL", &principal));
    TRY(cli_end(cli));
    json_t *body = json_object();
    json_put_text(body, "principal", principal);
    if (limited)
        json_put_int(body, "expires_in", life);
    TRY(cli_call(cli, "POST", command->path, body, &answer));
    if (cli->json)
        cli_print(cli, answer.body);
    else
        (void)puts(json_string_value(json_object_get(answer.body, "token")));
    client_answer_done(&answer);
    return NULL;
}

static struct error *revoke_token(struct cli *cli, const struct cli_command *command)
{
    const char *jti;
    struct client_answer answer;
    (void)command;
    TRY(cli_argument(cli, "TOKEN", &jti));
    TRY(cli_end(cli));
    TRY(cli_call(cli, "DELETE", arena_printf(cli->arena, "/v1/tokens/%s", client_escape(cli->arena, jti)),
                 NULL, &answer));
    client_answer_done(&answer);
    return NULL;
}

static struct error *post_verb(struct cli *cli, const struct cli_command *command)
{
    const char *id;
    struct client_answer answer;
    TRY(cli_argument(cli, "ID", &id));
    TRY(cli_end(cli));
    const char *path =
        arena_printf(cli->arena, "%s/%s:%s", command->path, client_escape(cli->arena, id), command->verb);
    TRY(cli_call(cli, "POST", path, NULL, &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

static struct error *rotate_keys(struct cli *cli, const struct cli_command *command)
{
    return post(cli, command->path, NULL);
}

const struct cli_command make_commands[] = {
    {"provider add", "ID --name NAME", "register a provider", make_simple, "/v1/providers", NULL,
     "name,contact", NULL},
    {"bid submit", "PROVIDER FILE", "submit a price for each of the 23 items: {\"1001\": \"14.02\", …}",
     submit_bid, NULL, NULL, NULL, NULL},
    {"bid approve", "BID --from MONTH", "make a bid the provider's price book from a month on", approve_bid,
     NULL, NULL, NULL, NULL},
    {"cloud add", "ID --name NAME --kind KIND --provider PROVIDER", "register a cloud", make_simple,
     "/v1/clouds", NULL, "name,kind,provider", NULL},
    {"site add", "CLOUD ID --name NAME", "add a site to a cloud", make_in_cloud, "sites", NULL, "name", NULL},
    {"zone add",
     "CLOUD ID --kind KIND --site SITE [--endpoint ENDPOINT --network NETWORK] [--pool-v4 CIDR] [--pool-v6 "
     "CIDR]",
     "add a zone to a cloud", make_in_cloud, "zones", NULL, "kind,site,endpoint,network,pool_v4,pool_v6",
     NULL},
    {"endpoint add",
     "ID --cloud CLOUD --site SITE --driver DRIVER --manager-url URL [--username NAME --secret REFERENCE] "
     "[--fingerprint HEX] "
     "[--options JSON]",
     "register a hypervisor manager", make_endpoint, "/v1/endpoints", NULL,
     "cloud,site,driver,username,secret,fingerprint", NULL},
    {"unit add", "ID --name NAME --kind KIND", "register a using unit", make_simple, "/v1/units", NULL,
     "name,kind", NULL},
    {"system add", "UNIT ID --name NAME --non-classified [--insurance]", "register an information system",
     make_system, NULL, NULL, NULL, NULL},
    {"quota set", "UNIT CLOUD [--vcpu N] [--memory-gb N] …", "limit what a unit may hold (-1: no limit)",
     set_quota, NULL, NULL, NULL, NULL},
    {"capacity set", "CLOUD --bandwidth-mbps N", "tell a cloud's Internet bandwidth", set_capacity, NULL,
     NULL, NULL, NULL},
    {"principal add", "ID --role ROLE [--unit UNIT] [--provider PROVIDER] [--clouds A,B] [--systems A,B]",
     "register who may call", make_principal, "/v1/principals", NULL, "role,name,unit,provider,certificate",
     NULL},
    {"token issue", "PRINCIPAL [--expires-in SECONDS]", "issue a token and print it", issue_token,
     "/v1/tokens", NULL, NULL, NULL},
    {"token revoke", "TOKEN", "revoke a token by its jti", revoke_token, NULL, NULL, NULL, NULL},
    {"key rotate", NULL, "sign with fresh keys from now on", rotate_keys, "/v1/keys:rotate", NULL, NULL,
     NULL},
    {"endpoint sync", "ID", "take an inventory now", post_verb, "/v1/endpoints", NULL, NULL, "sync"},
    {0},
};
