/* Arguments of the operations that move instances; see argument.h. */
#include <string.h>

#include "broker/base/id.h"
#include "drivers/argument.h"
#include "drivers/gate.h"

#define DISK_BYTES_MAX (INT64_C(64) << 40)

struct error *argument_snapshot(struct task *task, const char *name)
{
    TRY(argument_name(name, "snapshot"));
    task->name = arena_strdup(task->arena, name);
    return NULL;
}

struct error *argument_export(struct task *task, const struct driver_export_spec *spec)
{
    if (!spec)
        return error_new(ERR_INVALID, "no export is described");
    TRY(argument_id(spec->id, "export"));
    if (spec->checkpoint)
        TRY(argument_id(spec->checkpoint, "checkpoint"));
    if (spec->since)
        TRY(argument_id(spec->since, "earlier checkpoint"));
    if (spec->access != DRIVER_READ && spec->access != DRIVER_WRITE)
        return error_new(ERR_INVALID, "no such access to an export");
    if (spec->access != DRIVER_READ && (spec->checkpoint || spec->since || spec->quiesce))
        return error_new(ERR_INVALID, "an export for writing has no checkpoints");
    struct driver_export_spec copy = *spec;
    copy.id = arena_strdup(task->arena, spec->id);
    copy.checkpoint = arena_strdup(task->arena, spec->checkpoint);
    copy.since = arena_strdup(task->arena, spec->since);
    task->export_spec = copy;
    return NULL;
}

static struct error *copy_disks(struct task *task, const struct driver_shell_disk *disks, size_t count,
                                const struct driver_shell_disk **ret_disks)
{
    size_t boot = 0;
    if (count > GATE_SHELL_DISKS_MAX)
        return error_new(ERR_INVALID, "more than %d disks", GATE_SHELL_DISKS_MAX);
    struct driver_shell_disk *copy = arena_array(task->arena, count, sizeof *copy);
    for (size_t i = 0; i < count; i++) {
        copy[i] = disks[i];
        if (disks[i].volume_id)
            TRY(argument_id(disks[i].volume_id, "volume"));
        if (disks[i].size_bytes < 512 || disks[i].size_bytes % 512 || disks[i].size_bytes > DISK_BYTES_MAX)
            return error_new(ERR_INVALID, "a disk of %llu bytes is not of 512 B to 64 TiB in sectors",
                             (unsigned long long)disks[i].size_bytes);
        copy[i].volume_id = arena_strdup(task->arena, disks[i].volume_id);
        boot += disks[i].boot;
    }
    if (count && boot != 1)
        return error_new(ERR_INVALID, "%zu boot disks where there has to be one", boot);
    *ret_disks = copy;
    return NULL;
}

static struct error *check_mac(const char *mac)
{
    static const char shape[] = "hh:hh:hh:hh:hh:hh";
    bool good = strlen(mac) == sizeof shape - 1;
    for (size_t i = 0; good && shape[i]; i++)
        good = shape[i] == ':' ? mac[i] == ':' : mac[i] && strchr("0123456789abcdef", mac[i]);
    return good ? NULL : error_new(ERR_INVALID, "the hardware address is not like 52:54:00:0a:0b:0c");
}

struct error *argument_shell(struct task *task, const struct driver_shell_spec *spec)
{
    if (!spec)
        return error_new(ERR_INVALID, "no instance is described");
    TRY(argument_id(spec->id, "instance"));
    TRY(argument_name(spec->name, "instance"));
    TRY(argument_architecture(spec->architecture));
    TRY(argument_size(spec->vcpu, spec->memory_mb));
    if ((unsigned)spec->firmware > DRIVER_FIRMWARE_OPEN)
        return error_new(ERR_INVALID, "no such firmware");
    if (spec->network)
        TRY(argument_text(spec->network, GATE_REF_MAX, "network"));
    if (spec->mac)
        TRY(check_mac(spec->mac));
    if (!spec->disk_count)
        return error_new(ERR_INVALID, "an instance without disks");
    struct driver_shell_spec copy = *spec;
    TRY(copy_disks(task, spec->disks, spec->disk_count, &copy.disks));
    copy.id = arena_strdup(task->arena, spec->id);
    copy.name = arena_strdup(task->arena, spec->name);
    copy.architecture = arena_strdup(task->arena, spec->architecture);
    copy.network = arena_strdup(task->arena, spec->network);
    copy.mac = arena_strdup(task->arena, spec->mac);
    task->shell_spec = copy;
    return NULL;
}

struct error *argument_test(struct task *task, const struct driver_test_spec *spec)
{
    if (!spec)
        return error_new(ERR_INVALID, "no test is described");
    TRY(argument_id(spec->id, "test"));
    TRY(argument_name(spec->name, "test"));
    if (task->instance.id && !strcmp(task->instance.id, spec->id))
        return error_new(ERR_INVALID, "a test has a stamp of its own");
    task->test_spec = (struct driver_test_spec){.id = arena_strdup(task->arena, spec->id),
                                                .name = arena_strdup(task->arena, spec->name)};
    return NULL;
}

static void free_json(void *json)
{
    json_decref(json);
}

static struct error *copy_endpoint(struct task *task, const struct driver_endpoint *endpoint,
                                   const struct driver_endpoint **ret_endpoint)
{
    if (!endpoint)
        return error_new(ERR_INVALID, "no target of the move is named");
    if (!endpoint->id || !*endpoint->id || !endpoint->url || !*endpoint->url || endpoint->timeout_us <= 0)
        return error_new(ERR_INVALID, "the target of the move has no id, URL or timeout");
    struct driver_endpoint *copy = arena_array(task->arena, 1, sizeof *copy);
    *copy = *endpoint;
    copy->id = arena_strdup(task->arena, endpoint->id);
    copy->url = arena_strdup(task->arena, endpoint->url);
    copy->username = arena_strdup(task->arena, endpoint->username);
    copy->password = arena_strdup(task->arena, endpoint->password);
    copy->ca_file = arena_strdup(task->arena, endpoint->ca_file);
    copy->fingerprint = arena_strdup(task->arena, endpoint->fingerprint);
    if (endpoint->options) { /* a copy of its own: jansson's counters are one thread's affair */
        json_t *options = json_deep_copy(endpoint->options);
        arena_defer(task->arena, free_json, options);
        copy->options = options;
    }
    *ret_endpoint = copy;
    return NULL;
}

struct error *argument_move(struct task *task, const struct driver_move_spec *spec)
{
    if (!spec)
        return error_new(ERR_INVALID, "no move is described");
    TRY(argument_id(spec->id, "move"));
    if (spec->network)
        TRY(argument_text(spec->network, GATE_REF_MAX, "network"));
    if (spec->downtime_us < 0)
        return error_new(ERR_INVALID, "a downtime below 0");
    struct driver_move_spec copy = *spec;
    TRY(copy_endpoint(task, spec->target, &copy.target));
    TRY(copy_disks(task, spec->disks, spec->disk_count, &copy.disks));
    copy.id = arena_strdup(task->arena, spec->id);
    copy.network = arena_strdup(task->arena, spec->network);
    task->move_spec = copy;
    return NULL;
}
