/* `link set`: what a link between two sites may carry for moves. See cli.h. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

#define BYTES_OF_MBPS 125000

/* CLOUD/SITE */
static struct error *put_place(struct cli *cli, json_t *body, const char *member, const char *name)
{
    const char *text;
    TRY(cli_argument(cli, name, &text));
    const char *slash = strchr(text, '/');
    if (!slash)
        return error_new(ERR_INVALID, "%s is CLOUD/SITE, not \"%s\"", name, text);
    json_t *place = json_object();
    json_put_text(place, "cloud", arena_strndup(cli->arena, text, (size_t)(slash - text)));
    json_put_text(place, "site", slash + 1);
    json_put(body, member, place);
    return NULL;
}

static struct error *set(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    json_t *body = json_hold(cli->arena, json_object());
    int64_t bytes, mbps;
    bool found, in_mbps;
    TRY(cli_number(cli, "bytes-per-second", &found, &bytes));
    TRY(cli_number(cli, "mbps", &in_mbps, &mbps));
    if (found == in_mbps)
        return error_new(ERR_INVALID, "either --bytes-per-second or --mbps is needed");
    if (in_mbps && (mbps < 0 || mbps > INT64_MAX / BYTES_OF_MBPS))
        return error_new(ERR_INVALID, "--mbps is out of range");
    TRY(put_place(cli, body, "from", "FROM"));
    TRY(put_place(cli, body, "to", "TO"));
    TRY(cli_end(cli));
    json_put_int(body, "bytes_per_second", in_mbps ? mbps * BYTES_OF_MBPS : bytes);
    TRY(cli_call(cli, "PUT", command->path, json_incref(body), &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

const struct cli_command link_commands[] = {
    {"link set", "FROM TO (--mbps N | --bytes-per-second N)",
     "limit what moves send from CLOUD/SITE to CLOUD/SITE, all together; 0: no limit", set, "/v1/links", NULL,
     NULL, NULL},
    {0},
};
