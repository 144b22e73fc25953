/* Commands that order and operate: quote, order, instances, volumes, operations, drift; and `api`. See cli.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

/* Members that are numbers; all others are text, even when they are digits alone. */
static bool is_number_member(const char *name)
{
    static const char *const names[] = {"vcpu",     "memory_gb",        "system_disk_gb", "size_gb",
                                        "mbps",     "family",           "grace_seconds",  "count",
                                        "tflops",   "configuration",    "ssd_480gb",      "sas_600gb",
                                        "sata_4tb", "memory_32gb",      "protected_gb",   "space_gb",
                                        "accounts", "concurrent_users", "expansion_days"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

/* Members that are lists: their entries are joined by +. */
static bool is_list_member(const char *name)
{
    return !strcmp(name, "backends") || !strcmp(name, "domains");
}

static void put_entries(json_t *object, const char *name, const char *text)
{
    json_t *list = json_array();
    for (const char *end; *text; text = end + (*end == '+')) {
        end = text + strcspn(text, "+");
        json_push(list, json_stringn(text, (size_t)(end - text)));
    }
    json_put(object, name, list);
}

static struct error *put_member(json_t *object, const char *name, const char *text)
{
    char *end;
    if (is_list_member(name)) {
        put_entries(object, name, text);
        return NULL;
    }
    if (!is_number_member(name)) {
        json_put_text(object, name, text);
        return NULL;
    }
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end || end == text)
        return error_new(ERR_INVALID, "%s must be a whole number, not \"%s\"", name, text);
    json_put_int(object, name, value);
    return NULL;
}

/* "name=web-1,vcpu=2,image=debian": name, cloud and count are the resource's own, the rest its spec. */
static struct error *parse_resource(struct cli *cli, const char *kind, const char *text, json_t *resources)
{
    json_t *resource = json_object(), *spec = json_object();
    json_push(resources, resource);
    json_put_text(resource, "kind", kind);
    json_put(resource, "spec", spec);
    char *rest = arena_strdup(cli->arena, text), *part;
    while ((part = strsep(&rest, ","))) {
        char *value = strchr(part, '=');
        if (!value)
            return error_new(ERR_INVALID, "--%s %s: \"%s\" is not of the form member=value", kind, text,
                             part);
        *value++ = '\0';
        bool own = !strcmp(part, "name") || !strcmp(part, "cloud") || !strcmp(part, "count") ||
                   !strcmp(part, "expansion_days");
        TRY_DOING(put_member(own ? resource : spec, part, value), "--%s %s", kind, text);
    }
    return NULL;
}

static struct error *collect_resources(struct cli *cli, json_t *resources)
{
    static const char *const kinds[] = {
        "instance",    "server",  "gpu",           "volume",         "object-store", "backup-policy",
        "bandwidth",   "address", "load-balancer", "remote-account", "ssl-vpn",      "ipsec-vpn",
        "certificate", "waf"};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const char **texts;
        size_t count = cli_flags(cli, kinds[k], &texts);
        for (size_t i = 0; i < count; i++)
            TRY(parse_resource(cli, kinds[k], texts[i], resources));
    }
    return json_array_size(resources)
               ? NULL
               : error_new(ERR_INVALID,
                           "nothing is ordered: give --instance, --server, --volume or another kind of "
                           "`yunqiao catalog kinds`");
}

static struct error *order(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    json_t *body = json_hold(cli->arena, json_object()), *resources = json_array();
    (void)command;
    json_put(body, "resources", resources);
    json_put_text(body, "system", cli_flag(cli, "system"));
    json_put_text(body, "unit", cli_flag(cli, "unit"));
    json_put_text(body, "cloud", cli_flag(cli, "cloud"));
    json_put_text(body, "note", cli_flag(cli, "note"));
    TRY(collect_resources(cli, resources));
    TRY(cli_end(cli));
    TRY(cli_call(cli, "POST", "/v1/orders", json_incref(body), &answer));
    return cli_accepted(cli, &answer);
}

static struct error *quote(struct cli *cli, const struct cli_command *command)
{
    static const struct cli_column columns[] = {{"CLOUD", "cloud", false, 0},
                                                {"PROVIDER", "provider", false, 0},
                                                {"YUAN/MONTH", "monthly_yuan", true, 0},
                                                {"TOTAL YUAN", "total_yuan", true, 0},
                                                {"NO QUOTE BECAUSE", "unavailable", false, 0},
                                                {0}};
    struct client_answer answer;
    int64_t months;
    bool termed;
    json_t *body = json_hold(cli->arena, json_object()), *resources = json_array();
    (void)command;
    json_put(body, "resources", resources);
    TRY(cli_number(cli, "months", &termed, &months));
    cli_put_list(cli, body, "clouds");
    TRY(collect_resources(cli, resources));
    TRY(cli_end(cli));
    size_t i;
    json_t *resource;
    json_array_foreach (resources, i, resource)
        (void)json_object_del(resource, "name"); /* a quote needs none */
    if (termed)
        json_put_int(body, "months", months);
    TRY(cli_call(cli, "POST", "/v1/quotes", json_incref(body), &answer));
    if (cli->json)
        cli_print(cli, answer.body);
    else
        cli_print_table(cli, json_object_get(answer.body, "quotes"), columns);
    client_answer_done(&answer);
    return NULL;
}

/* POST PATH/ID:VERB with the text flags named in `filters`; the answer is the thing itself. */
static struct error *word(struct cli *cli, const struct cli_command *command)
{
    const char *id;
    struct client_answer answer;
    json_t *body = json_hold(cli->arena, json_object());
    char *rest = arena_strdup(cli->arena, command->filters), *member;
    while ((member = strsep(&rest, ",")))
        cli_put_flag(cli, body, member);
    TRY(cli_argument(cli, "ID", &id));
    TRY(cli_end(cli));
    const char *path =
        arena_printf(cli->arena, "%s/%s:%s", command->path, client_escape(cli->arena, id), command->verb);
    TRY(cli_call(cli, "POST", path, json_incref(body), &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

/* POST PATH/ID:VERB with the flags named in `filters` as members: digits are numbers, switches true. */
static struct error *verb(struct cli *cli, const struct cli_command *command)
{
    const char *id;
    struct client_answer answer;
    json_t *body = json_hold(cli->arena, json_object());
    char *rest = arena_strdup(cli->arena, command->filters ? command->filters : ""), *member;
    while ((member = strsep(&rest, ","))) {
        const char *flag = cli_flag_of(cli, member);
        bool is_switch = !strcmp(member, "allow_restart");
        const char *value = *member && !is_switch ? cli_flag(cli, flag) : NULL;
        if (is_switch && cli_switch(cli, flag))
            json_put_bool(body, member, true);
        if (value)
            TRY(put_member(body, member, value));
    }
    TRY(cli_argument(cli, "ID", &id));
    TRY(cli_end(cli));
    const char *path =
        arena_printf(cli->arena, "%s/%s:%s", command->path, client_escape(cli->arena, id), command->verb);
    TRY(cli_call(cli, "POST", path, json_object_size(body) ? json_incref(body) : NULL, &answer));
    return cli_accepted(cli, &answer);
}

static struct error *delete (struct cli *cli, const struct cli_command *command)
{
    const char *id;
    struct client_answer answer;
    TRY(cli_argument(cli, "ID", &id));
    TRY(cli_end(cli));
    const char *path = arena_printf(cli->arena, "%s/%s", command->path, client_escape(cli->arena, id));
    TRY(cli_call_matching(cli, "DELETE", path, NULL, &answer));
    return cli_accepted(cli, &answer);
}

/* The guest's text, line by line. */
static struct error *console(struct cli *cli, const struct cli_command *command)
{
    static const char prefix[] = "/v1/operations/";
    const char *id;
    struct client_answer answer;
    json_t *ended = NULL;
    TRY(cli_argument(cli, "ID", &id));
    TRY(cli_end(cli));
    TRY(cli_call(cli, "POST",
                 arena_printf(cli->arena, "%s/%s:console", command->path, client_escape(cli->arena, id)),
                 NULL, &answer));
    const char *operation = arena_strdup(cli->arena, answer.location);
    client_answer_done(&answer);
    if (!operation || strncmp(operation, prefix, strlen(prefix)))
        return error_new(ERR_UNAVAILABLE, "the broker named no operation");
    TRY(cli_follow(cli, operation + strlen(prefix), &ended));
    const char *text = json_string_value(json_object_get(json_object_get(ended, "result"), "console"));
    (void)fputs(cli_safe(cli->arena, text ? text : "", true), stdout);
    json_decref(ended);
    return NULL;
}

static struct error *wait_operation(struct cli *cli, const struct cli_command *command)
{
    const char *id;
    json_t *ended = NULL;
    (void)command;
    TRY(cli_argument(cli, "OPERATION", &id));
    TRY(cli_end(cli));
    TRY(cli_follow(cli, id, &ended));
    cli_print(cli, ended);
    json_decref(ended);
    return NULL;
}

static struct error *cancel_operation(struct cli *cli, const struct cli_command *command)
{
    const char *id;
    struct client_answer answer;
    TRY(cli_argument(cli, "OPERATION", &id));
    TRY(cli_end(cli));
    TRY(cli_call(cli, "DELETE",
                 arena_printf(cli->arena, "%s/%s", command->path, client_escape(cli->arena, id)), NULL,
                 &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

/* The word is about the case as it is shown: --case-version, or as it is now. */
static struct error *decide_drift(struct cli *cli, const struct cli_command *command)
{
    const char *id;
    int64_t version;
    bool given;
    struct client_answer answer;
    json_t *body = json_hold(cli->arena, json_object());
    json_put_text(body, "reason", cli_flag(cli, "reason"));
    TRY(cli_number(cli, "case-version", &given, &version));
    TRY(cli_argument(cli, "DRIFT", &id));
    TRY(cli_end(cli));
    const char *path = arena_printf(cli->arena, "/v1/drift/%s", client_escape(cli->arena, id)), *etag;
    if (given) {
        etag = arena_printf(cli->arena, "\"v%" PRId64 "\"", version);
    } else {
        TRY(cli_call(cli, "GET", path, NULL, &answer));
        etag = arena_strdup(cli->arena, answer.etag);
        client_answer_done(&answer);
    }
    TRY(cli_call_if(cli, "POST", arena_printf(cli->arena, "%s:%s", path, command->verb), json_incref(body),
                    etag, &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

/* METHOD PATH [BODY]: whatever the API has. BODY is JSON, or @FILE. */
static struct error *api(struct cli *cli, const struct cli_command *command)
{
    const char *method, *path, *text = NULL;
    struct client_answer answer;
    json_t *body = NULL;
    (void)command;
    TRY(cli_argument(cli, "METHOD", &method));
    TRY(cli_argument(cli, "PATH", &path));
    if (cli->argc)
        TRY(cli_argument(cli, "BODY", &text));
    TRY(cli_end(cli));
    if (text && *text == '@')
        TRY(cli_read_file(cli, text + 1, &body));
    else if (text)
        TRY_DOING(json_parse(text, strlen(text), &body), "BODY");
    TRY(cli_call_matching(cli, method, path, body, &answer));
    if (answer.body)
        cli_print(&(struct cli){.json = true}, answer.body);
    else if (answer.text)
        (void)fputs(answer.text, stdout);
    client_answer_done(&answer);
    return NULL;
}

const struct cli_command operate_commands[] = {
    {"quote", "[--clouds A,B] [--months N] --instance … --volume …",
     "what resources would cost, on one or all clouds", quote, NULL, NULL, NULL, NULL},
    {"order",
     "--system SYSTEM --cloud CLOUD --instance name=N,vcpu=2,memory_gb=4,architecture=x86,image=I,zone=Z "
     "--volume name=N,size_gb=10,performance=high,attach_to=N "
     "--server name=N,configuration=1,architecture=x86,zone=Z,reason=WHY --load-balancer "
     "name=N,zone=Z,backends=A+B …",
     "order resources, all or nothing, and follow until they run", order, NULL, NULL, NULL, NULL},
    {"instance start", "ID", "start an instance", verb, "/v1/instances", NULL, NULL, "start"},
    {"instance stop", "ID [--grace-seconds N]", "stop an instance; 0 cuts the power at once", verb,
     "/v1/instances", NULL, "grace_seconds", "stop"},
    {"instance reboot", "ID", "reboot an instance", verb, "/v1/instances", NULL, NULL, "reboot"},
    {"instance resize", "ID [--vcpu N] [--memory-gb N] [--allow-restart] [--expansion-days N]",
     "change an instance's size", verb, "/v1/instances", NULL, "vcpu,memory_gb,allow_restart,expansion_days",
     "resize"},
    {"instance delete", "ID", "delete an instance; its volumes stay", delete, "/v1/instances", NULL, NULL,
     NULL},
    {"instance console", "ID", "print what the guest wrote on its console", console, "/v1/instances", NULL,
     NULL, NULL},
    {"volume attach", "ID --instance INSTANCE", "attach a volume", verb, "/v1/volumes", NULL, "instance",
     "attach"},
    {"volume detach", "ID", "detach a volume", verb, "/v1/volumes", NULL, NULL, "detach"},
    {"volume resize", "ID --size-gb N", "make a volume larger", verb, "/v1/volumes", NULL,
     "size_gb,expansion_days", "resize"},
    {"volume delete", "ID", "delete a volume", delete, "/v1/volumes", NULL, NULL, NULL},
    {"address delete", "ID", "give an Internet address back", delete, "/v1/addresses", NULL, NULL, NULL},
    {"bandwidth resize", "ID --mbps N", "change rented bandwidth", verb, "/v1/bandwidths", NULL,
     "mbps,expansion_days", "resize"},
    {"bandwidth delete", "ID", "give rented bandwidth back", delete, "/v1/bandwidths", NULL, NULL, NULL},
    {"resource resize",
     "ID [--accounts N] [--concurrent-users N] [--mbps N] [--backends A+B] [--domains A+B] …",
     "ask the provider's operator to change what they fulfilled", verb, "/v1/resources", NULL,
     "memory_gb,tflops,size_gb,protected_gb,space_gb,accounts,concurrent_users,mbps,memory_32gb,ssd_480gb,"
     "sas_600gb,sata_4tb,backends,domains,expansion_days",
     "resize"},
    {"resource delete", "ID", "ask the provider's operator to take back what they fulfilled", delete,
     "/v1/resources", NULL, NULL, NULL},
    {"fulfilment complete", "ID --reference TEXT [--address TEXT]", "say that it is done", word,
     "/v1/fulfilments", NULL, "reference,address", "complete"},
    {"fulfilment refuse", "ID --reason TEXT", "say that it will not be done, and why", word,
     "/v1/fulfilments", NULL, "reason", "refuse"},
    {"operation wait", "OPERATION", "follow an operation to its end", wait_operation, NULL, NULL, NULL, NULL},
    {"operation cancel", "OPERATION", "ask an operation to stop and take back what it did", cancel_operation,
     "/v1/operations", NULL, NULL, NULL},
    {"operation retry", "OPERATION", "do a failed operation again", verb, "/v1/operations", NULL, NULL,
     "retry"},
    {"drift accept", "DRIFT --reason TEXT [--case-version N]", "make the correction that a case proposes",
     decide_drift, NULL, NULL, NULL, "accept"},
    {"drift refuse", "DRIFT --reason TEXT [--case-version N]", "leave a difference as it is, and say why",
     decide_drift, NULL, NULL, NULL, "refuse"},
    {"api", "METHOD PATH [BODY|@FILE]", "any call of the API; prints JSON", api, NULL, NULL, NULL, NULL},
    {0},
};
