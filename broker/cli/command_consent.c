/* Commands about consents: a unit lets its data leave a site. The document never leaves the unit's machine:
 * its digest is made here. See cli.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/buf.h"
#include "broker/base/digest.h"
#include "broker/base/json.h"
#include "broker/cli/commands.h"

#define DOCUMENT_MAX ((size_t)256 * 1024 * 1024)

static struct error *read_document(const char *path, struct buf *ret_bytes)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_new(ERR_INVALID, "could not open %s: %s", path, strerror(errno));
    char piece[1 << 16];
    for (size_t length; !buf_overflowed(ret_bytes) && (length = fread(piece, 1, sizeof piece, file));)
        buf_append(ret_bytes, piece, length);
    bool failed = ferror(file) != 0;
    (void)fclose(file); /* it was only read */
    if (failed)
        return error_new(ERR_INVALID, "could not read %s", path);
    if (buf_overflowed(ret_bytes))
        return error_new(ERR_TOO_LARGE, "%s is longer than %zu bytes", path, DOCUMENT_MAX);
    return ret_bytes->length ? NULL : error_new(ERR_INVALID, "%s is empty", path);
}

static struct error *put_document(struct cli *cli, json_t *body)
{
    const char *path = cli_flag(cli, "document"), *algorithm = cli_flag(cli, "algorithm"),
               *digest = cli_flag(cli, "digest");
    char made[DIGEST_HEX];
    if (!algorithm)
        algorithm = "sm3";
    if (!path == !digest)
        return error_new(ERR_INVALID, "--document FILE or --digest HEX, one of them");
    if (path) {
        BUF_AUTO struct buf bytes = BUF_INIT(DOCUMENT_MAX);
        TRY(read_document(path, &bytes));
        if (!strcmp(algorithm, "sm3"))
            digest_sm3(bytes.data, bytes.length, made);
        else if (!strcmp(algorithm, "sha256"))
            digest_sha256(bytes.data, bytes.length, made);
        else
            return error_new(ERR_INVALID, "--algorithm is sm3 or sha256");
        digest = made;
    }
    json_t *document = json_object();
    json_put_text(document, "algorithm", algorithm);
    json_put_text(document, "digest", digest);
    json_put_text(document, "reference", cli_flag(cli, "reference"));
    json_put(body, "document", document);
    return NULL;
}

/* "service/yizhuang,health" as a list of places; "@export": files that leave all clouds. */
static void put_places(struct cli *cli, json_t *body, const char *member)
{
    const char *text = cli_flag(cli, member);
    if (!text)
        return;
    json_t *list = json_array();
    char *rest = arena_strdup(cli->arena, text), *word;
    while ((word = strsep(&rest, ","))) {
        json_t *place = json_object();
        char *site = strchr(word, '/');
        bool files = !strcmp(word, "@export");
        if (site)
            *site++ = '\0';
        json_put_text(place, "kind", files ? "export" : NULL);
        json_put_text(place, "cloud", files ? NULL : word);
        json_put_text(place, "site", site);
        json_push(list, place);
    }
    json_put(body, member, list);
}

static struct error *give(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    json_t *body = json_hold(cli->arena, json_object()), *signer = json_object();
    cli_put_flag(cli, body, "unit");
    json_put(body, "signer", signer);
    json_put_text(signer, "name", cli_flag(cli, "signer"));
    json_put_text(signer, "post", cli_flag(cli, "post"));
    TRY(put_document(cli, body));
    cli_put_list(cli, body, "systems");
    cli_put_list(cli, body, "instances");
    put_places(cli, body, "from");
    put_places(cli, body, "to");
    cli_put_flag(cli, body, "valid_from");
    cli_put_flag(cli, body, "valid_until");
    TRY(cli_end(cli));
    TRY(cli_call(cli, "POST", command->path, json_incref(body), &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

/* The consent as it is now: only its withdrawal could have come in between, and then this is refused. */
static struct error *withdraw(struct cli *cli, const struct cli_command *command)
{
    const char *id;
    struct client_answer answer;
    json_t *body = json_hold(cli->arena, json_object());
    (void)command;
    json_put_text(body, "reason", cli_flag(cli, "reason"));
    TRY(cli_argument(cli, "CONSENT", &id));
    TRY(cli_end(cli));
    const char *path = arena_printf(cli->arena, "/v1/consents/%s", client_escape(cli->arena, id));
    TRY(cli_call(cli, "GET", path, NULL, &answer));
    const char *etag = arena_strdup(cli->arena, answer.etag);
    client_answer_done(&answer);
    TRY(cli_call_if(cli, "POST", arena_printf(cli->arena, "%s:withdraw", path), json_incref(body), etag,
                    &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

static const struct cli_column columns[] = {{"CONSENT", "id", false, 0},
                                            {"UNIT", "unit", false, 0},
                                            {"SYSTEMS", "systems", false, 24},
                                            {"REFERENCE", "document.reference", false, 24},
                                            {"UNTIL", "valid_until", false, 0},
                                            {"STATE", "state", false, 0},
                                            {0}};

const struct cli_command consent_commands[] = {
    {"consent list", NULL, "what data of units may leave which site (--unit, --system, --cloud, --state)",
     cli_list, "/v1/consents", columns, "unit,system,cloud,state", NULL},
    {"consent show", "ID", "one consent", cli_show, "/v1/consents/{}", NULL, NULL, NULL},
    {"consent give",
     "--unit UNIT --document FILE|--digest HEX [--algorithm sm3|sha256] --reference NUMBER --signer NAME "
     "--post "
     "POST [--systems A,B] [--instances I,J] --from CLOUD[/SITE],… --to CLOUD[/SITE]|@export,… [--valid-from "
     "TIME] "
     "--valid-until TIME",
     "let data leave a site", give, "/v1/consents", NULL, NULL, NULL},
    {"consent withdraw", "CONSENT --reason TEXT", "take a consent back", withdraw, NULL, NULL, NULL, NULL},
    {0},
};
