/* One pass of the copy engine, or a reading back, as a program to be timed by `migrate`: arguments
 * NAME=VALUE. source=, target=: a socket or host:port; certificates= for the target; manifest=, last=;
 * digest=sha256|sm3|none; areas=FILE with lines "start length"; compare=1; verify=1; connections=, request=,
 * memory=, block=. Prints bytes read, written and zeroed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "federation/copy.h"
#include "federation/copy_check.h"

static char **arguments;

static const char *value(const char *name)
{
    for (char **at = arguments; *at; at++)
        if (!strncmp(*at, name, strlen(name)) && (*at)[strlen(name)] == '=')
            return *at + strlen(name) + 1;
    return NULL;
}

static uint64_t number(const char *name)
{
    const char *text = value(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

static void must(struct error *error)
{
    if (!error)
        return;
    fprintf(stderr, "bench.migrate: %s\n", error_message(error));
    exit(1);
}

static struct copy_end end_of(const char *name)
{
    const char *text = value(name);
    const char *colon = text ? strrchr(text, ':') : NULL;
    if (!colon)
        return (struct copy_end){.socket = text};
    char *host = xstrdup(text);
    host[colon - text] = '\0';
    return (struct copy_end){.host = host,
                             .port = colon + 1,
                             .certificates = value("certificates"),
                             .tls = value("certificates") != NULL};
}

static void read_areas(uint64_t size, struct copy_extents *areas)
{
    FILE *file = fopen(value("areas"), "re");
    uint64_t start, length;
    copy_extents_init(areas, size, 0);
    while (file && fscanf(file, "%" SCNu64 " %" SCNu64, &start, &length) == 2) {
        if (start > areas->covered)
            must(copy_extents_add(areas, areas->covered, start - areas->covered, 0));
        must(copy_extents_add(areas, start, length, COPY_EXTENT_CHANGED));
    }
    if (areas->covered < size)
        must(copy_extents_add(areas, areas->covered, size - areas->covered, 0));
    if (file)
        (void)fclose(file); /* was only read */
}

int main(int argc, char **argv)
{
    arguments = argv + 1;
    const char *digest = value("digest");
    struct copy_tuning tuning = {.connections = (unsigned)number("connections"),
                                 .request_size = (uint32_t)number("request"),
                                 .memory_max = number("memory")};
    struct copy_manifest *last = NULL;
    struct copy_extents areas = {.count = 0};
    if (value("last"))
        must(copy_manifest_read(value("last"), &last));
    struct copy_progress progress;
    if (number("verify")) {
        struct copy_check check = {.target = end_of("target"), .manifest = last, .tuning = tuning};
        struct copy_check_result result;
        must(copy_verify(&check, &result));
        progress = result.progress;
    } else {
        struct copy_pass pass = {.source = end_of("source"),
                                 .target = end_of("target"),
                                 .last = last,
                                 .pass = last ? copy_manifest_pass(last) + 1 : 1,
                                 .algorithm = COPY_SHA256,
                                 .block_size = (uint32_t)number("block"),
                                 .manifest_path = value("manifest"),
                                 .tuning = tuning};
        struct copy_result result;
        if (digest && !strcmp(digest, "sm3"))
            pass.algorithm = COPY_SM3;
        if (digest && !strcmp(digest, "none"))
            pass.algorithm = COPY_NONE;
        if (last && value("areas")) {
            read_areas(copy_manifest_shape(last)->size, &areas);
            pass.changes = COPY_AREAS;
            pass.areas = &areas;
        } else if (last) {
            pass.changes = COPY_COMPARE;
        }
        must(copy_pass_run(&pass, &result));
        progress = result.progress;
    }
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", progress.read, progress.written, progress.zeroed);
    copy_manifest_free(last);
    copy_extents_done(&areas);
    return 0;
}
