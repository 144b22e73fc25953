/* `image import`: files are declared, sent in pieces that go on where they stopped, and started. See cli.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "broker/cli/image.h"

#define PIECE ((size_t)4 << 20) /* what the broker takes at once */
#define TRIES 5                 /* in a row that bring nothing */
#define FILES_MAX 16
#define MANIFEST "manifest.json"

struct importing {
    struct cli *cli;
    const char *folder; /* with a manifest; NULL: files by themselves */
    const char *paths[FILES_MAX];
    size_t count;
    const char *id;
};

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static struct error *take_paths(struct importing *i)
{
    struct stat status;
    for (;;) {
        const char *path;
        struct error *error = cli_argument(i->cli, "DIR or FILE", &path);
        if (error && i->count) {
            error_free(error); /* that was all of them */
            break;
        }
        TRY(error);
        if (i->count == FILES_MAX)
            return error_new(ERR_INVALID, "at most %d files", FILES_MAX);
        i->paths[i->count++] = path;
    }
    if (stat(i->paths[0], &status))
        return error_new(ERR_INVALID, "could not open %s: %s", i->paths[0], strerror(errno));
    if (S_ISDIR(status.st_mode)) {
        if (i->count > 1)
            return error_new(ERR_INVALID, "one folder, or files");
        i->folder = i->paths[0];
    }
    return NULL;
}

static const char *format_of(const char *path)
{
    static const char *const ends[][2] = {
        {".ova", "ova"}, {".qcow2", "qcow2"}, {".vmdk", "vmdk"}, {".raw", "raw"}, {".img", "raw"}};
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t tail = strlen(ends[i][0]);
        if (length > tail && !strcasecmp(path + length - tail, ends[i][0]))
            return ends[i][1];
    }
    return NULL;
}

static struct error *put_files(struct importing *i, json_t *body)
{
    json_t *files = json_array();
    json_put(body, "files", files);
    for (size_t k = 0; k < i->count; k++) {
        struct image_digests digests;
        json_t *file = json_object();
        json_push(files, file);
        TRY(image_digest(i->paths[k], &digests));
        json_put_text(file, "name", base_of(i->paths[k]));
        json_put_int(file, "size", digests.size);
        json_put_text(file, "sha256", digests.sha256);
        json_put_text(file, "sm3", digests.sm3);
    }
    if (!json_object_get(body, "format"))
        json_put_text(body, "format", format_of(i->paths[0]));
    return NULL;
}

static struct error *put_number(struct cli *cli, json_t *body, const char *member)
{
    bool found;
    int64_t value;
    TRY(cli_number(cli, cli_flag_of(cli, member), &found, &value));
    if (found)
        json_put_int(body, member, value);
    return NULL;
}

static struct error *put_wish(struct cli *cli, json_t *body)
{
    static const char *const texts[] = {"unit",   "system",   "cloud",       "zone", "name",
                                        "format", "firmware", "performance", "mac"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cli_put_flag(cli, body, texts[i]);
    cli_put_flag(cli, body, "architecture");
    TRY(put_number(cli, body, "vcpu"));
    TRY(put_number(cli, body, "memory_gb"));
    if (cli_switch(cli, "start"))
        json_put_bool(body, "start", true);
    return NULL;
}

static struct error *declare(struct importing *i, json_t *body)
{
    struct client_answer answer;
    struct cli *cli = i->cli;
    if (i->folder) {
        json_t *manifest;
        TRY(cli_read_file(cli, arena_printf(cli->arena, "%s/" MANIFEST, i->folder), &manifest));
        json_put(body, "manifest", manifest);
    } else {
        TRY(put_files(i, body));
    }
    TRY(cli_call(cli, "POST", "/v1/imports", json_incref(body), &answer));
    i->id = arena_strdup(cli->arena, image_text(answer.body, "id"));
    client_answer_done(&answer);
    (void)fprintf(stderr, "import %s (--resume %s goes on with it)\n", i->id, i->id);
    return NULL;
}

/* --------------------------------------------------------------------------------------------------- sending
 */

struct sending {
    struct cli *cli;
    const char *url, *name;
    int fd;
    char *piece;
    int64_t size;
};

static struct error *received(const struct sending *s, int64_t *ret_received)
{
    struct client_answer answer;
    TRY(cli_call(s->cli, "GET", s->url, NULL, &answer));
    *ret_received = json_integer_value(json_object_get(answer.body, "received"));
    client_answer_done(&answer);
    return NULL;
}

static struct error *send_piece(const struct sending *s, int64_t at, int64_t *ret_received)
{
    struct client_answer answer = {0};
    ssize_t count = pread(s->fd, s->piece, PIECE, (off_t)at);
    if (count <= 0)
        return error_new(ERR_IO, "could not read %s: %s", s->name,
                         count ? strerror(errno) : "it is too short");
    const struct client_request request = {.method = "PATCH",
                                           .path = s->url,
                                           .bytes = s->piece,
                                           .length = (size_t)count,
                                           .offset = arena_printf(s->cli->arena, "%lld", (long long)at)};
    TRY(cli_request(s->cli, &request, &answer));
    *ret_received = json_integer_value(json_object_get(answer.body, "received"));
    client_answer_done(&answer);
    return NULL;
}

static struct error *send_all(const struct sending *s)
{
    int tries = 0;
    int64_t done;
    TRY(received(s, &done));
    while (done < s->size) {
        int64_t now = done;
        image_bar("sending", s->name, done, s->size);
        struct error *error = send_piece(s, done, &now);
        enum error_code code = error ? error_code(error) : ERR_INVALID;
        bool heals = code == ERR_UNAVAILABLE || code == ERR_TIMEOUT;
        tries = now > done ? 0 : tries + 1;
        if (error && (!heals || tries >= TRIES))
            return error;
        if (error) {
            error_free(error);
            (void)sleep((unsigned)tries); /* a signal only makes the next try earlier */
            TRY(received(s, &now));       /* it may have come, unanswered */
        }
        done = now;
    }
    image_bar("sending", s->name, s->size, s->size);
    return NULL;
}

static const char *path_of(const struct importing *i, const char *name)
{
    if (i->folder)
        return arena_printf(i->cli->arena, "%s/%s", i->folder, name);
    for (size_t k = 0; k < i->count; k++)
        if (!strcmp(base_of(i->paths[k]), name))
            return i->paths[k];
    return NULL;
}

static struct error *send_file(const struct importing *i, const json_t *file)
{
    struct cli *cli = i->cli;
    const char *name = image_text(file, "name"), *path = strchr(name, '/') ? NULL : path_of(i, name);
    if (!path)
        return error_new(ERR_INVALID, "%s is not among the files given", name);
    struct sending s = {.cli = cli,
                        .url =
                            arena_printf(cli->arena, "/v1/imports/%s/files/%s",
                                         client_escape(cli->arena, i->id), client_escape(cli->arena, name)),
                        .name = name,
                        .fd = open(path, O_RDONLY | O_CLOEXEC),
                        .size = json_integer_value(json_object_get(file, "size"))};
    if (s.fd < 0)
        return error_new(ERR_INVALID, "could not open %s: %s", path, strerror(errno));
    s.piece = xmalloc(PIECE);
    struct error *error = send_all(&s);
    free(s.piece);
    (void)close(s.fd); /* it was only read */
    return error;
}

static struct error *send_files(const struct importing *i)
{
    struct client_answer answer;
    json_t *file;
    size_t k;
    const char *path = arena_printf(i->cli->arena, "/v1/imports/%s", client_escape(i->cli->arena, i->id));
    TRY(cli_call(i->cli, "GET", path, NULL, &answer));
    json_t *import = json_hold(i->cli->arena, json_incref(answer.body));
    client_answer_done(&answer);
    json_array_foreach (json_object_get(import, "files"), k, file)
        TRY(send_file(i, file));
    TRY(cli_call(i->cli, "POST", arena_printf(i->cli->arena, "%s:start", path), NULL, &answer));
    return cli_accepted(i->cli, &answer);
}

struct error *image_import(struct cli *cli, const struct cli_command *command)
{
    struct importing i = {.cli = cli, .id = cli_flag(cli, "resume")};
    json_t *body = json_hold(cli->arena, json_object());
    (void)command;
    TRY(put_wish(cli, body));
    TRY(take_paths(&i));
    TRY(cli_end(cli));
    if (i.id && json_object_size(body))
        return error_new(ERR_INVALID, "--resume goes on with what was declared: no other flags");
    if (!i.id)
        TRY(declare(&i, body));
    return send_files(&i);
}
