/* What contrib/bench_/live asks of the driver for KVM, a word a run: makes an instance, moves it running as
 * the broker does, deletes it. Clouds are lines of JSON as contrib/kvmcloud prints them.
 *
 *     bench.live create CLOUD NAME IMAGE      prints its id
 *     bench.live move FROM TO ID              prints how long it took, in µs
 *     bench.live delete CLOUD ID */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "drivers/driver_move.h"
#include "drivers/kvm/kvm.h"

#define LONG_US (10 * MOMENT_MINUTE)

static void check(struct error *error)
{
    if (!error)
        return;
    fprintf(stderr, "live: %s\n", error_message(error));
    exit(1);
}

/* All lives in the arena. */
static struct driver_endpoint read_cloud(struct arena *arena, const char *line)
{
    json_t *told, *options;
    check(json_parse_in(arena, line, strlen(line), &told));
    const char *url, *accel, *folder;
    if (json_unpack(told, "{s:s, s:s, s:s}", "url", &url, "accel", &accel, "nbd_folder", &folder) != 0) {
        fprintf(stderr, "live: a cloud without URL, accel or nbd_folder\n");
        exit(1);
    }
    const char *text = arena_printf(arena, "{\"accel\":\"%s\",\"nbd_folder\":\"%s\"}", accel, folder);
    check(json_parse_in(arena, text, strlen(text), &options));
    return (struct driver_endpoint){.id = url, .url = url, .options = options, .timeout_us = LONG_US};
}

static void create(struct driver_session *session, const struct driver_call *call, const char *name,
                   const char *image)
{
    struct driver_instance made;
    struct driver_instance_spec spec = {.id = id_new_in(call->arena),
                                        .name = name,
                                        .architecture = "x86",
                                        .vcpu = 1,
                                        .memory_mb = 512,
                                        .image = image,
                                        .system_disk_gb = 2,
                                        .network = "extranet"};
    check(kvm_driver.instance_create(session, call, &spec, &made));
    printf("%s\n", spec.id);
}

static void move(struct driver_session *session, const struct driver_call *call, const struct driver_key *key,
                 const struct driver_endpoint *target)
{
    const struct driver_shell_disk disk = {.size_bytes = UINT64_C(2) << 30, .boot = true};
    const struct driver_move_spec spec = {
        .id = id_new_in(call->arena), .target = target, .disks = &disk, .disk_count = 1};
    struct driver_move_report report;
    check(kvm_driver.move_validate(session, call, key, &spec));
    int64_t start = moment_monotonic();
    check(kvm_driver.move_run(session, call, key, &spec, &report));
    printf("%lld\n", (long long)(moment_monotonic() - start));
}

int main(int argc, char **argv)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + LONG_US};
    struct driver_session *session;
    if (argc < 4 || (strcmp(argv[1], "delete") != 0 && argc != 5)) {
        fprintf(stderr, "live: create CLOUD NAME IMAGE, move FROM TO ID, delete CLOUD ID\n");
        return 2;
    }
    struct driver_endpoint endpoint = read_cloud(arena, argv[2]);
    check(kvm_driver.open(&endpoint, &call, &session));
    const struct driver_key key = {.id = argv[argc - 1]};
    if (!strcmp(argv[1], "create")) {
        create(session, &call, argv[3], argv[4]);
    } else if (!strcmp(argv[1], "move")) {
        struct driver_endpoint other = read_cloud(arena, argv[3]);
        move(session, &call, &key, &other);
    } else {
        check(kvm_driver.instance_delete(session, &call, &key));
    }
    kvm_driver.close(session);
    return 0;
}
