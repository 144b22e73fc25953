/* Registry of drivers; see registry.h. */
#include "drivers/registry.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/id.h"

struct registry {
    const struct driver *drivers[REGISTRY_MAX];
    size_t count;
};

struct registry *registry_new(void)
{
    return xcalloc(1, sizeof(struct registry));
}

void registry_free(struct registry *registry)
{
    free(registry);
}

/* One operation of a table: there or not, and what asks for it; capability 0: mandatory. */
struct slot {
    const char *name;
    bool present;
    unsigned capability;
    const char *capability_name;
};

static struct error *check_slots(const struct driver *driver)
{
#define MANDATORY(field)                       \
    {                                          \
#field, driver->field != NULL, 0, NULL \
    }
#define WITH(field, bit, what)                   \
    {                                            \
#field, driver->field != NULL, bit, what \
    }
    const struct slot slots[] = {
        MANDATORY(open),
        MANDATORY(close),
        MANDATORY(ping),
        MANDATORY(about),
        MANDATORY(inventory),
        MANDATORY(capacity),
        MANDATORY(instance_find),
        MANDATORY(instance_create),
        MANDATORY(instance_start),
        MANDATORY(instance_stop),
        MANDATORY(instance_reboot),
        MANDATORY(instance_resize),
        MANDATORY(instance_delete),
        WITH(instance_console, DRIVER_CAN_CONSOLE, "console"),
        WITH(volume_find, DRIVER_CAN_VOLUMES, "volumes"),
        WITH(volume_create, DRIVER_CAN_VOLUMES, "volumes"),
        WITH(volume_attach, DRIVER_CAN_VOLUMES, "volumes"),
        WITH(volume_detach, DRIVER_CAN_VOLUMES, "volumes"),
        WITH(volume_resize, DRIVER_CAN_VOLUMES, "volumes"),
        WITH(volume_delete, DRIVER_CAN_VOLUMES, "volumes"),
        WITH(watch, DRIVER_CAN_WATCH, "watch"),
        WITH(instance_detail, DRIVER_CAN_DETAIL, "detail"),
        WITH(snapshot_create, DRIVER_CAN_SNAPSHOT, "snapshots"),
        WITH(snapshot_revert, DRIVER_CAN_SNAPSHOT, "snapshots"),
        WITH(snapshot_delete, DRIVER_CAN_SNAPSHOT, "snapshots"),
        WITH(export_open, DRIVER_CAN_READ_DISKS, "read-disks"),
        WITH(export_close, DRIVER_CAN_READ_DISKS, "read-disks"),
        WITH(checkpoint_delete, DRIVER_CAN_TRACK_CHANGES, "track-changes"),
        WITH(instance_prepare, DRIVER_CAN_WRITE_DISKS, "write-disks"),
        WITH(instance_fence, DRIVER_CAN_FENCE, "fence"),
        WITH(instance_release, DRIVER_CAN_FENCE, "fence"),
        WITH(test_create, DRIVER_CAN_TEST, "test-boots"),
        WITH(move_validate, DRIVER_CAN_MOVE, "move"),
        WITH(move_run, DRIVER_CAN_MOVE, "move"),
        WITH(move_settle, DRIVER_CAN_MOVE, "move"),
    };
#undef MANDATORY
#undef WITH
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        const struct slot *slot = &slots[i];
        if (!slot->capability && !slot->present)
            return error_new(ERR_INVALID, "driver \"%s\" lacks the mandatory operation %s", driver->name,
                             slot->name);
        if (slot->capability && (driver->capabilities & slot->capability) && !slot->present)
            return error_new(ERR_INVALID, "driver \"%s\" claims %s but lacks the operation %s", driver->name,
                             slot->capability_name, slot->name);
        if (slot->capability && !(driver->capabilities & slot->capability) && slot->present)
            return error_new(ERR_INVALID, "driver \"%s\" has the operation %s but does not claim %s",
                             driver->name, slot->name, slot->capability_name);
    }
    return NULL;
}

struct error *driver_check(const struct driver *driver)
{
    const unsigned known = DRIVER_CAN_VOLUMES | DRIVER_CAN_CONSOLE | DRIVER_CAN_WATCH |
                           DRIVER_CAN_RESIZE_RUNNING | DRIVER_CAN_ATTACH_RUNNING | DRIVER_CAN_GROW_ATTACHED |
                           DRIVER_CAN_DETAIL | DRIVER_CAN_SNAPSHOT | DRIVER_CAN_READ_DISKS |
                           DRIVER_CAN_TRACK_CHANGES | DRIVER_CAN_WRITE_DISKS | DRIVER_CAN_FENCE |
                           DRIVER_CAN_MOVE | DRIVER_CAN_TEST | DRIVER_STAGES_WRITES;
    const unsigned of_volumes = DRIVER_CAN_ATTACH_RUNNING | DRIVER_CAN_GROW_ATTACHED;
    if (!driver)
        return error_new(ERR_INVALID, "no driver");
    if (driver->abi != DRIVER_ABI) /* before anything else of the table is read */
        return error_new(ERR_UNSUPPORTED, "a driver of ABI %u where %u is wanted", driver->abi,
                         (unsigned)DRIVER_ABI);
    if (!driver->name || !name_valid(driver->name, 63))
        return error_new(ERR_INVALID, "a driver's name is not of [a-z0-9-]{1,63}: \"%s\"",
                         driver->name ? driver->name : "");
    if (!driver->summary || !*driver->summary)
        return error_new(ERR_INVALID, "driver \"%s\" has no summary", driver->name);
    if (driver->capabilities & ~known)
        return error_new(ERR_INVALID, "driver \"%s\" claims unknown capabilities 0x%x", driver->name,
                         driver->capabilities & ~known);
    if ((driver->capabilities & of_volumes) && !(driver->capabilities & DRIVER_CAN_VOLUMES))
        return error_new(ERR_INVALID, "driver \"%s\" claims what only volumes can do, but not volumes",
                         driver->name);
    if ((driver->capabilities & DRIVER_CAN_TRACK_CHANGES) && !(driver->capabilities & DRIVER_CAN_READ_DISKS))
        return error_new(ERR_INVALID, "driver \"%s\" claims to track changes that nobody can read",
                         driver->name);
    if ((driver->capabilities & (DRIVER_CAN_WRITE_DISKS | DRIVER_CAN_MOVE)) &&
        (~driver->capabilities & (DRIVER_CAN_FENCE | DRIVER_CAN_DETAIL)))
        return error_new(ERR_INVALID, "driver \"%s\" claims to move without detail and fence", driver->name);
    if ((driver->capabilities & DRIVER_CAN_WRITE_DISKS) && !(driver->capabilities & DRIVER_CAN_READ_DISKS))
        return error_new(ERR_INVALID, "driver \"%s\" claims to write disks that it cannot read",
                         driver->name);
    if ((driver->capabilities & DRIVER_CAN_TEST) && !(driver->capabilities & DRIVER_CAN_WRITE_DISKS))
        return error_new(ERR_INVALID, "driver \"%s\" claims to boot tests of what it cannot prepare",
                         driver->name);
    if ((driver->capabilities & DRIVER_STAGES_WRITES) && !(driver->capabilities & DRIVER_CAN_WRITE_DISKS))
        return error_new(ERR_INVALID, "driver \"%s\" claims to stage what it cannot write", driver->name);
    return check_slots(driver);
}

struct error *driver_register(struct registry *registry, const struct driver *driver)
{
    TRY(driver_check(driver));
    if (driver_find(registry, driver->name))
        return error_new(ERR_EXISTS, "there is a driver \"%s\" already", driver->name);
    if (registry->count == REGISTRY_MAX)
        return error_new(ERR_TOO_LARGE, "more than %d drivers", REGISTRY_MAX);
    registry->drivers[registry->count++] = driver;
    return NULL;
}

const struct driver *driver_find(const struct registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->count; i++)
        if (strcmp(registry->drivers[i]->name, name) == 0)
            return registry->drivers[i];
    return NULL;
}

size_t driver_count(const struct registry *registry)
{
    return registry->count;
}

const struct driver *driver_at(const struct registry *registry, size_t index)
{
    return registry->drivers[index];
}
