/* `image`: machines as files. Exports are ordered, followed, fetched in parts that go on where they stopped,
 * and held against their seal; `image verify` does the last without a broker. Importing is command_import.c.
 * See cli.h. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/digest.h"
#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/cli/commands.h"
#include "broker/cli/image.h"

#define PART ((int64_t)64 << 20) /* of a file, one request */
#define TRIES 5                  /* in a row that bring nothing */
#define PIECE ((size_t)1 << 20)
#define MANIFEST "manifest.json"

/* ---------------------------------------------------------------------------------------------------- files
 */

const char *image_text(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text ? text : "";
}

void image_bar(const char *what, const char *name, int64_t done, int64_t size)
{
    if (!isatty(STDERR_FILENO))
        return;
    (void)fprintf(stderr, "\r\033[K%s %s  %lld of %lld MB  %lld %%", what, name, (long long)(done / 1000000),
                  (long long)(size / 1000000), (long long)(size ? done * 100 / size : 100));
    if (done == size)
        (void)fputc('\n', stderr);
}

static void hex_of(EVP_MD_CTX *context, char hex[DIGEST_HEX])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(context, bytes, &length) != 1)
        abort(); /* only without memory */
    for (unsigned i = 0; i < length; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

struct error *image_digest(const char *path, struct image_digests *ret_digests)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_new(ERR_INVALID, "could not open %s: %s", path, strerror(errno));
    EVP_MD_CTX *sha256 = EVP_MD_CTX_new(), *sm3 = EVP_MD_CTX_new();
    char *piece = xmalloc(PIECE);
    bool good = sha256 && sm3 && EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) == 1 &&
                EVP_DigestInit_ex(sm3, EVP_sm3(), NULL) == 1;
    struct image_digests digests = {.size = 0};
    for (size_t count; good && (count = fread(piece, 1, PIECE, file)) > 0; digests.size += (int64_t)count)
        good = EVP_DigestUpdate(sha256, piece, count) == 1 && EVP_DigestUpdate(sm3, piece, count) == 1;
    good = good && !ferror(file);
    if (good) {
        hex_of(sha256, digests.sha256);
        hex_of(sm3, digests.sm3);
        *ret_digests = digests;
    }
    EVP_MD_CTX_free(sha256);
    EVP_MD_CTX_free(sm3);
    free(piece);
    (void)fclose(file); /* it was only read */
    return good ? NULL : error_new(ERR_IO, "could not read %s", path);
}

/* -------------------------------------------------------------------------------------------------- fetching
 */

struct fetching {
    struct cli *cli;
    const char *url, *name, *part;
    int64_t size;
    const char *sha256;
};

static int64_t size_of(const char *path)
{
    struct stat status;
    return stat(path, &status) ? 0 : (int64_t)status.st_size;
}

/* One part, appended. *ret_whole: the broker has another file by now. */
static struct error *fetch_part(const struct fetching *f, int64_t from)
{
    struct cli *cli = f->cli;
    int64_t to = from + PART < f->size ? from + PART : f->size;
    FILE *out = fopen(f->part, "ae");
    if (!out)
        return error_new(ERR_IO, "could not write %s: %s", f->part, strerror(errno));
    const struct client_request request = {
        .method = "GET",
        .path = f->url,
        .out = out,
        .range = arena_printf(cli->arena, "bytes=%lld-%lld", (long long)from, (long long)to - 1),
        .if_range = arena_printf(cli->arena, "\"%s\"", f->sha256)};
    struct client_answer answer = {0};
    struct error *error = cli_request(cli, &request, &answer);
    bool other = !error && answer.status != 206;
    client_answer_done(&answer);
    if (fclose(out) && !error)
        error = error_new(ERR_IO, "could not write %s: %s", f->part, strerror(errno));
    if (other && !error) {
        (void)unlink(f->part); /* it is of two files */
        error = error_new(ERR_CONFLICT, "%s is another file by now", f->name);
    }
    return error;
}

static bool may_heal(const struct error *error)
{
    enum error_code code = error_code(error);
    return code == ERR_UNAVAILABLE || code == ERR_TIMEOUT;
}

static struct error *fetch_all(const struct fetching *f)
{
    int tries = 0;
    for (int64_t done = size_of(f->part); done < f->size;) {
        image_bar("fetching", f->name, done, f->size);
        struct error *error = fetch_part(f, done);
        int64_t now = size_of(f->part);
        tries = now > done ? 0 : tries + 1;
        if (error && (!may_heal(error) || tries >= TRIES))
            return error;
        if (error)
            (void)sleep((unsigned)tries + 1); /* a signal only makes the next try earlier */
        error_free(error);
        done = now;
    }
    image_bar("fetching", f->name, f->size, f->size);
    return NULL;
}

static struct error *check_file(const char *path, const json_t *file)
{
    struct image_digests found;
    TRY(image_digest(path, &found));
    bool same = found.size == json_integer_value(json_object_get(file, "size")) &&
                !strcmp(found.sha256, image_text(file, "sha256")) &&
                (!*image_text(file, "sm3") || !strcmp(found.sm3, image_text(file, "sm3")));
    return same ? NULL : error_new(ERR_CONFLICT, "%s is not what its manifest says", path);
}

static struct error *fetch_file(struct cli *cli, const char *export, const json_t *file, const char *folder)
{
    const char *name = image_text(file, "name");
    const char *path = arena_printf(cli->arena, "%s/%s", folder, name);
    struct fetching f = {.cli = cli,
                         .url =
                             arena_printf(cli->arena, "/v1/exports/%s/files/%s",
                                          client_escape(cli->arena, export), client_escape(cli->arena, name)),
                         .name = name,
                         .part = arena_printf(cli->arena, "%s.part", path),
                         .size = json_integer_value(json_object_get(file, "size")),
                         .sha256 = image_text(file, "sha256")};
    if (!*name || strchr(name, '/') || *name == '.')
        return error_new(ERR_INVALID, "the broker names a file that is no name");
    if (!access(path, F_OK))
        return check_file(path, file); /* an earlier call fetched it */
    TRY(fetch_all(&f));
    struct error *error = check_file(f.part, file);
    if (error)
        (void)unlink(f.part); /* the next call begins anew */
    TRY(error);
    return rename(f.part, path) ? error_new(ERR_IO, "could not name %s: %s", path, strerror(errno)) : NULL;
}

/* ------------------------------------------------------------------------------------------------- the seal
 */

static struct error *check_seal(struct cli *cli, const json_t *sealed, const json_t *keys)
{
    const json_t *manifest = json_object_get(sealed, "manifest"),
                 *signature = json_object_get(sealed, "signature");
    char digest[DIGEST_HEX];
    if (!json_is_object(manifest))
        return error_new(ERR_INVALID, "this is no manifest of an export");
    const char *text = json_canonical(cli->arena, manifest);
    digest_sm3(text, strlen(text), digest);
    if (strcmp(digest, image_text(sealed, "digest_sm3")) != 0)
        return error_new(ERR_CONFLICT, "the manifest was changed: its digest comes to %s", digest);
    if (!keys)
        return NULL;
    return error_wrap(cli_check_signature(cli, keys, image_text(signature, "kid"),
                                          image_text(signature, "value"),
                                          arena_printf(cli->arena, "yunqiao export|%s|%s",
                                                       image_text(manifest, "export"), digest)),
                      "the manifest");
}

static struct error *check_folder(struct cli *cli, const char *folder, const json_t *keys)
{
    json_t *sealed, *file;
    size_t i;
    TRY(cli_read_file(cli, arena_printf(cli->arena, "%s/" MANIFEST, folder), &sealed));
    (void)json_hold(cli->arena, sealed);
    TRY(check_seal(cli, sealed, keys));
    const json_t *manifest = json_object_get(sealed, "manifest"), *files = json_object_get(manifest, "files");
    json_array_foreach (files, i, file) {
        const char *name = image_text(file, "name");
        if (!*name || strchr(name, '/'))
            return error_new(ERR_INVALID, "the manifest names a file that is no name");
        TRY(check_file(arena_printf(cli->arena, "%s/%s", folder, name), file));
    }
    if (cli->json)
        cli_print(cli, manifest);
    else
        (void)printf("%s: instance \"%s\" as %s, %zu file%s: digests are right%s\n", folder,
                     image_text(json_object_get(manifest, "machine"), "name"), image_text(manifest, "format"),
                     json_array_size(files), json_array_size(files) == 1 ? "" : "s",
                     keys ? ", and the signature is the broker's"
                          : "; the signature was not checked (--keys FILE)");
    return NULL;
}

static struct error *verify(struct cli *cli, const struct cli_command *command)
{
    const char *folder, *key_path = cli_flag(cli, "keys");
    json_t *keys = NULL;
    (void)command;
    TRY(cli_argument(cli, "DIR", &folder));
    TRY(cli_end(cli));
    if (key_path)
        TRY(cli_read_file(cli, key_path, &keys));
    struct error *error = check_folder(cli, folder, keys);
    json_decref(keys);
    return error;
}

/* ------------------------------------------------------------------------------------------------- commands
 */

static struct error *fetch_export(struct cli *cli, const char *id, const char *folder)
{
    struct client_answer answer;
    json_t *keys, *file;
    size_t i;
    TRY(cli_call(cli, "GET", arena_printf(cli->arena, "/v1/exports/%s", client_escape(cli->arena, id)), NULL,
                 &answer));
    json_t *export = json_hold(cli->arena, json_incref(answer.body));
    client_answer_done(&answer);
    if (strcmp(image_text(export, "state"), "ready") != 0)
        return error_new(ERR_CONFLICT, "the export is %s, not ready", image_text(export, "state"));
    if (mkdir(folder, 0700) && errno != EEXIST)
        return error_new(ERR_IO, "could not make %s: %s", folder, strerror(errno));
    json_array_foreach (json_object_get(export, "files"), i, file)
        TRY(fetch_file(cli, id, file, folder));
    TRY(cli_call_pages(cli, "/v1/keys", &keys));
    struct error *error = check_folder(cli, folder, keys);
    json_decref(keys);
    return error;
}

static struct error *fetch(struct cli *cli, const struct cli_command *command)
{
    const char *id, *folder = cli_flag(cli, "output");
    (void)command;
    TRY(cli_argument(cli, "EXPORT", &id));
    TRY(cli_end(cli));
    if (!folder)
        return error_new(ERR_INVALID, "--output DIR says where to");
    return fetch_export(cli, id, folder);
}

static struct error *export(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    const char *instance, *folder = cli_flag(cli, "output");
    json_t *body = json_hold(cli->arena, json_object());
    (void)command;
    cli_put_flag(cli, body, "format");
    cli_put_flag(cli, body, "digest");
    if (cli_switch(cli, "running"))
        json_put_bool(body, "running", true);
    TRY(cli_argument(cli, "INSTANCE", &instance));
    json_put_text(body, "instance", instance);
    TRY(cli_end(cli));
    if (!json_object_get(body, "format"))
        json_put_text(body, "format", "ova");
    TRY(cli_call(cli, "POST", "/v1/exports", json_incref(body), &answer));
    const char *id = arena_strdup(cli->arena, image_text(answer.body, "id"));
    const char *operation = arena_strdup(cli->arena, image_text(answer.body, "operation"));
    if (!cli->wait) {
        cli_print(cli, answer.body);
        client_answer_done(&answer);
        return NULL;
    }
    client_answer_done(&answer);
    (void)fprintf(stderr, "export %s\n", id);
    TRY(cli_follow(cli, operation, NULL));
    if (folder)
        return fetch_export(cli, id, folder);
    TRY(cli_call(cli, "GET", arena_printf(cli->arena, "/v1/exports/%s", id), NULL, &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

/* An export or an import, whichever it is. */
static struct error *drop(struct cli *cli, const struct cli_command *command)
{
    struct client_answer answer;
    const char *id;
    TRY(cli_argument(cli, command->arguments, &id));
    TRY(cli_end(cli));
    TRY(cli_call_matching(cli, "DELETE",
                          arena_printf(cli->arena, "%s%s", command->path, client_escape(cli->arena, id)),
                          NULL, &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}

static const struct cli_column columns[] = {{"ID", "id", false, 0},       {"INSTANCE", "name", false, 24},
                                            {"CLOUD", "cloud", false, 0}, {"FORMAT", "format", false, 0},
                                            {"STATE", "state", false, 0}, {"EXPIRES", "expires_at", false, 0},
                                            {"ERROR", "error", false, 0}, {0}};

const struct cli_command image_commands[] = {
    {"image export",
     "INSTANCE [--format raw|qcow2|vmdk|ova] [--digest sha256|sm3] [--running] [--output DIR]",
     "an instance as files, sealed; with --output fetched and verified", export, NULL, NULL, NULL, NULL},
    {"image fetch", "EXPORT --output DIR",
     "fetch the files of an export, going on where an earlier call stopped, and verify them", fetch, NULL,
     NULL, NULL, NULL},
    {"image verify", "DIR [--keys FILE]",
     "check fetched files against their sealed manifest, and its signature; needs no broker", verify, NULL,
     NULL, NULL, NULL},
    {"image import",
     "DIR|FILE… --system S --cloud C --zone Z [--unit U] [--name N] [--format F] [--vcpu N] [--memory-gb N] "
     "[--architecture A] [--firmware F] [--performance P] [--mac M] [--start] | DIR|FILE… --resume IMPORT",
     "a machine from files; a folder with a manifest says all itself", image_import, NULL, NULL, NULL, NULL},
    {"image exports", NULL, "exports (--state, --system, --cloud, --instance)", cli_list, "/v1/exports",
     columns, "state,system,cloud,instance", NULL},
    {"image imports", NULL, "imports (--state, --system, --cloud)", cli_list, "/v1/imports", columns,
     "state,system,cloud", NULL},
    {"image exported", "EXPORT", "one export with its files", cli_show, "/v1/exports/{}", NULL, NULL, NULL},
    {"image imported", "IMPORT", "one import with what was found in its files", cli_show, "/v1/imports/{}",
     NULL, NULL, NULL},
    {"image delete-export", "EXPORT", "remove the files of an export", drop, "/v1/exports/", NULL, NULL,
     NULL},
    {"image delete-import", "IMPORT", "remove the files of an import", drop, "/v1/imports/", NULL, NULL,
     NULL},
    {0},
};
