/* See vcsim.h. */
#include "tests/support/vcsim.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/moment.h"
#include "drivers/https.h"
#include "tests/support/process.h"

#define START_US (60 * MOMENT_SECOND)
#define ARGUMENTS_MAX 32
#define ANSWER_MAX (1u << 20)

struct vcsim {
    struct process *process;
    struct https *https;
    char folder[64];
    char *url, *root, *fingerprint, *answer;
};

static void stop_test(const char *what, const char *detail)
{
    fprintf(stderr, "vcsim: %s: %s\n", what, detail);
    abort();
}

static void read_ready_line(struct vcsim *vcsim, const char *line)
{
    json_t *ready = line ? json_loads(line, 0, NULL) : NULL;
    const char *url = json_string_value(json_object_get(ready, "url"));
    const char *fingerprint = json_string_value(json_object_get(ready, "fingerprint"));
    if (!url || !fingerprint)
        stop_test("no ready line", line ? line : "(nothing)");
    vcsim->url = xstrdup(url);
    vcsim->fingerprint = xstrdup(fingerprint);
    vcsim->root = xstrdup(url);
    *strrchr(vcsim->root, '/') = '\0';
    json_decref(ready);
}

/* Those of this process that nobody stopped are, when it exits. */
#define ALIVE_MAX 8
static struct vcsim *alive[ALIVE_MAX];
static pid_t owner;

static void stop_alive(void)
{
    for (size_t i = 0; owner == getpid() && i < ALIVE_MAX; i++)
        vcsim_stop(alive[i]);
}

static void remember(struct vcsim *vcsim)
{
    if (owner != getpid()) {
        owner = getpid();
        memset(alive, 0, sizeof alive);
        if (atexit(stop_alive) != 0)
            stop_test("atexit", "fails");
    }
    for (size_t i = 0; i < ALIVE_MAX; i++)
        if (!alive[i]) {
            alive[i] = vcsim;
            return;
        }
    stop_test("too many at once", vcsim->folder);
}

struct vcsim *vcsim_start(const char *const *arguments)
{
    struct vcsim *vcsim = xcalloc(1, sizeof *vcsim);
    snprintf(vcsim->folder, sizeof vcsim->folder, "/tmp/yunqiao-vcsim-XXXXXX");
    if (!mkdtemp(vcsim->folder))
        stop_test("mkdtemp", vcsim->folder);
    char *folder = xasprintf("TMPDIR=%s", vcsim->folder);
    const char *environment[] = {folder, "VCSIM_PASSWORD=" VCSIM_PASSWORD, NULL};
    const char *argv[ARGUMENTS_MAX] = {BINARY_DIR "/vcsim", "-die-with-stdin", "-username",
                                       VCSIM_USER,          "-template",       VCSIM_TEMPLATE ":2"};
    for (size_t i = 0; arguments && arguments[i]; i++)
        if (i + 7 < ARGUMENTS_MAX)
            argv[i + 6] = arguments[i];
    vcsim->process = process_start(argv, environment);
    remember(vcsim);
    free(folder);
    read_ready_line(vcsim, process_line(vcsim->process, START_US));
    struct https_options options = {.fingerprint = vcsim->fingerprint, .timeout_us = 10 * MOMENT_SECOND};
    struct error *error = https_open(&options, &vcsim->https);
    if (error)
        stop_test("https_open", error_message(error));
    return vcsim;
}

void vcsim_stop(struct vcsim *vcsim)
{
    if (!vcsim)
        return;
    for (size_t i = 0; i < ALIVE_MAX; i++)
        if (alive[i] == vcsim)
            alive[i] = NULL;
    https_close(vcsim->https);
    int status = process_stop(vcsim->process);
    if (status != 0)
        stop_test("ended badly", vcsim->folder);
    if (rmdir(vcsim->folder) != 0)
        stop_test("left files in", vcsim->folder);
    free(vcsim->url);
    free(vcsim->root);
    free(vcsim->fingerprint);
    free(vcsim->answer);
    free(vcsim);
}

const char *vcsim_url(const struct vcsim *vcsim)
{
    return vcsim->url;
}

const char *vcsim_fingerprint(const struct vcsim *vcsim)
{
    return vcsim->fingerprint;
}

struct driver_endpoint vcsim_endpoint(const struct vcsim *vcsim)
{
    return (struct driver_endpoint){
        .id = "vmware-test",
        .url = vcsim->url,
        .username = VCSIM_USER,
        .password = VCSIM_PASSWORD,
        .fingerprint = vcsim->fingerprint,
        .timeout_us = 10 * MOMENT_SECOND,
    };
}

/* Aborts unless it is answered 200; the answer lives until the next request. */
static struct https_answer guest_io(struct vcsim *vcsim, const char *method, char *path, const void *body,
                                    size_t length)
{
    char *url = xasprintf("%s%s", vcsim->root, path);
    struct https_request request = {.method = method,
                                    .url = url,
                                    .body = body,
                                    .body_length = length,
                                    .limit = ANSWER_MAX,
                                    .deadline_us = moment_monotonic() + 10 * MOMENT_SECOND};
    struct https_answer answer;
    struct error *error = https_send(vcsim->https, &request, &answer);
    if (error || answer.status != 200)
        stop_test(path, error ? error_message(error) : answer.body);
    free(url);
    free(path);
    return answer;
}

void vcsim_guest_write(struct vcsim *vcsim, const char *machine, int disk, uint64_t offset, const void *data,
                       size_t length)
{
    (void)guest_io(vcsim, "POST", xasprintf("/__write?vm=%s&disk=%d&offset=%" PRIu64, machine, disk, offset),
                   data, length);
}

void vcsim_guest_read(struct vcsim *vcsim, const char *machine, int disk, uint64_t offset, void *data,
                      size_t length)
{
    struct https_answer answer = guest_io(
        vcsim, "GET",
        xasprintf("/__read?vm=%s&disk=%d&offset=%" PRIu64 "&length=%zu", machine, disk, offset, length), NULL,
        0);
    if (answer.length != length)
        stop_test("short read", machine);
    memcpy(data, answer.body, length);
}

const char *vcsim_control(struct vcsim *vcsim, const char *path)
{
    char *url = xasprintf("%s%s", vcsim->root, path);
    struct https_request request = {.method = "GET",
                                    .url = url,
                                    .limit = ANSWER_MAX,
                                    .deadline_us = moment_monotonic() + 10 * MOMENT_SECOND};
    struct https_answer answer;
    struct error *error = https_send(vcsim->https, &request, &answer);
    if (error || answer.status != 200)
        stop_test(path, error ? error_message(error) : "not 200");
    free(url);
    free(vcsim->answer);
    vcsim->answer = xstrdup(answer.body);
    return vcsim->answer;
}

char *vcsim_disk_file(struct vcsim *vcsim, const char *machine, int disk)
{
    char *path = xasprintf("/__file?vm=%s&disk=%d", machine, disk);
    char *file = xstrdup(vcsim_control(vcsim, path));
    free(path);
    return file;
}

long vcsim_calls(struct vcsim *vcsim, const char *method)
{
    json_t *counts = json_loads(vcsim_control(vcsim, "/__calls"), 0, NULL);
    long count = (long)json_integer_value(json_object_get(counts, method));
    json_decref(counts);
    return count;
}
