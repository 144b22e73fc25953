/* Arguments of driver calls; see argument.h. */
#include "drivers/argument.h"

#include <string.h>

#include "broker/base/id.h"
#include "drivers/gate.h"

struct error *argument_call(const struct driver_call *call)
{
    if (!call || !call->arena)
        return error_new(ERR_INVALID, "a driver call without an arena");
    if (call->deadline_us <= 0)
        return error_new(ERR_INVALID, "a driver call without a deadline");
    return NULL;
}

/* 1..most bytes, no control characters. */
struct error *argument_text(const char *text, size_t most, const char *what)
{
    if (!text || !*text)
        return error_new(ERR_INVALID, "no %s", what);
    size_t length = strnlen(text, most + 1);
    if (length > most)
        return error_new(ERR_INVALID, "a %s of more than %zu bytes", what, most);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return error_new(ERR_INVALID, "a control character in the %s", what);
    return NULL;
}

struct error *argument_id(const char *id, const char *what)
{
    if (!id || !id_valid(id))
        return error_new(ERR_INVALID, "%s id is not a lower-case UUID", what);
    return NULL;
}

struct error *argument_name(const char *name, const char *what)
{
    size_t length = name ? strnlen(name, 64) : 0;
    if (!length || length > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != length)
        return error_new(ERR_INVALID, "%s name is not of [a-z0-9-]{1,63}", what);
    return NULL;
}

struct error *argument_key(struct task *task, const struct driver_key *key, const char *what,
                           struct driver_key *ret_key)
{
    if (!key)
        return error_new(ERR_INVALID, "no %s is named", what);
    TRY(argument_id(key->id, what));
    if (key->ref)
        TRY_DOING(argument_text(key->ref, GATE_REF_MAX, "reference"), "%s", what);
    *ret_key = (struct driver_key){.id = arena_strdup(task->arena, key->id),
                                   .ref = arena_strdup(task->arena, key->ref)};
    return NULL;
}

struct error *argument_size(unsigned vcpu, uint64_t memory_mb)
{
    if (vcpu < 1 || vcpu > 16)
        return error_new(ERR_INVALID, "%u vCPU are not within 1 to 16", vcpu);
    if (memory_mb < 1024 || memory_mb > 65536)
        return error_new(ERR_INVALID, "%llu MB of memory are not within 1024 to 65536",
                         (unsigned long long)memory_mb);
    return NULL;
}

struct error *argument_disk(unsigned size_gb)
{
    if (size_gb < 1 || size_gb > GATE_DISK_GB_MAX)
        return error_new(ERR_INVALID, "%u GB are not within 1 to %d", size_gb, GATE_DISK_GB_MAX);
    return NULL;
}

struct error *argument_architecture(const char *architecture)
{
    static const char *const known[] = {"x86", "ARM", "C86", "POWER"};
    for (size_t i = 0; architecture && i < sizeof known / sizeof *known; i++)
        if (strcmp(architecture, known[i]) == 0)
            return NULL;
    return error_new(ERR_INVALID, "architecture is none of x86, ARM, C86, POWER");
}

struct error *argument_instance(struct task *task, const struct driver_instance_spec *spec)
{
    if (!spec)
        return error_new(ERR_INVALID, "no instance is described");
    TRY(argument_id(spec->id, "instance"));
    TRY(argument_name(spec->name, "instance"));
    TRY(argument_architecture(spec->architecture));
    TRY(argument_size(spec->vcpu, spec->memory_mb));
    TRY(argument_text(spec->image, GATE_REF_MAX, "image"));
    TRY_DOING(argument_disk(spec->system_disk_gb), "system disk");
    TRY(argument_text(spec->network, GATE_REF_MAX, "network"));
    if (spec->user_data && strnlen(spec->user_data, GATE_USER_DATA_MAX + 1) > GATE_USER_DATA_MAX)
        return error_new(ERR_INVALID, "user data of more than %d bytes", GATE_USER_DATA_MAX);
    struct driver_instance_spec copy = *spec;
    copy.id = arena_strdup(task->arena, spec->id);
    copy.name = arena_strdup(task->arena, spec->name);
    copy.architecture = arena_strdup(task->arena, spec->architecture);
    copy.image = arena_strdup(task->arena, spec->image);
    copy.network = arena_strdup(task->arena, spec->network);
    copy.user_data = arena_strdup(task->arena, spec->user_data);
    task->instance_spec = copy;
    return NULL;
}

struct error *argument_volume(struct task *task, const struct driver_volume_spec *spec)
{
    if (!spec)
        return error_new(ERR_INVALID, "no volume is described");
    TRY(argument_id(spec->id, "volume"));
    TRY(argument_name(spec->name, "volume"));
    TRY(argument_disk(spec->size_gb));
    struct driver_volume_spec copy = *spec;
    copy.id = arena_strdup(task->arena, spec->id);
    copy.name = arena_strdup(task->arena, spec->name);
    task->volume_spec = copy;
    return NULL;
}
