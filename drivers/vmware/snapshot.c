/* See snapshot.h. */
#include "drivers/vmware/snapshot.h"

#include <string.h>

#include "drivers/vmware/property.h"
#include "drivers/vmware/task.h"

#define DEPTH_MAX 64 /* of the tree */

static const char *const snapshot_paths[] = {"snapshot", "runtime.consolidationNeeded", NULL};
static const struct property_set snapshot_set = {"VirtualMachine", snapshot_paths};

static void read_tree(struct arena *arena, struct snapshots *snapshots, const xmlNode *node, int depth)
{
    for (; node && depth < DEPTH_MAX; node = xml_next(node)) {
        if (snapshots->count == SNAPSHOTS_MAX)
            return;
        const char *name = xml_child_text(node, "name"), *text = xml_child_text(node, "description");
        snapshots->items[snapshots->count++] = (struct snapshot){
            moref_read(arena, xml_child(node, "snapshot")),
            arena_strdup(arena, name && *name ? name : "(no name)"), arena_strdup(arena, text ? text : "")};
        read_tree(arena, snapshots, xml_child(node, "childSnapshotList"), depth + 1);
    }
}

struct reading {
    struct arena *arena;
    struct snapshots *snapshots;
};

static void visit(void *context, struct moref ref, const xmlNode *object)
{
    struct reading *reading = context;
    const xmlNode *at = NULL, *value;
    const char *name;
    while (property_next(object, &at, &name, &value))
        if (strcmp(name, "snapshot") == 0)
            read_tree(reading->arena, reading->snapshots, xml_child(value, "rootSnapshotList"), 0);
        else
            reading->snapshots->pending = xml_true(value);
}

struct error *snapshots_read(struct driver_session *session, const struct driver_call *call,
                             struct moref machine, struct snapshots **ret_snapshots)
{
    struct snapshots *snapshots = arena_alloc(call->arena, sizeof *snapshots);
    struct reading reading = {call->arena, snapshots};
    TRY_DOING(property_read(session, call, machine, NULL, &snapshot_set, 1, visit, &reading),
              "could not read the snapshots");
    *ret_snapshots = snapshots;
    return NULL;
}

const struct snapshot *snapshots_named(const struct snapshots *snapshots, const char *name)
{
    for (size_t i = 0; i < snapshots->count; i++)
        if (strcmp(snapshots->items[i].name, name) == 0)
            return &snapshots->items[i];
    return NULL;
}

static struct error *create(struct driver_session *session, const struct driver_call *call,
                            struct moref machine, const struct snapshot_spec *spec, bool quiesce)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CreateSnapshot_Task", machine);
    xml_put(&request, "name", spec->name);
    xml_put(&request, "description", quiesce ? spec->quiet_description : spec->description);
    xml_put_bool(&request, "memory", false);
    xml_put_bool(&request, "quiesce", quiesce);
    return task_do(session, call, &request, "make the snapshot");
}

/* Whether the guest was the reason: then the snapshot may be had without it. */
static bool guest_failed(const struct driver_session *session, const struct error *error)
{
    return session->fault == FAULT_TOOLS || session->fault == FAULT_QUIESCE ||
           error_code(error) == ERR_UNSUPPORTED;
}

struct error *snapshot_make(struct driver_session *session, const struct driver_call *call,
                            struct moref machine, const struct snapshot_spec *spec)
{
    bool quiesce = spec->quiesce;
    for (int attempt = 1;;) {
        struct error *error = create(session, call, machine, spec, quiesce);
        if (error && quiesce && guest_failed(session, error)) {
            error_free(error); /* crash-consistent, then */
            quiesce = false;
            continue;
        }
        if (!session_again(session, &error, &attempt))
            return error;
        struct snapshots *snapshots; /* perhaps it was made */
        TRY(snapshots_read(session, call, machine, &snapshots));
        if (snapshots_named(snapshots, spec->name))
            return NULL;
    }
}

struct error *snapshot_drop(struct driver_session *session, const struct driver_call *call, struct moref ref)
{
    for (int attempt = 1;;) {
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "RemoveSnapshot_Task", ref);
        xml_put_bool(&request, "removeChildren", false);
        xml_put_bool(&request, "consolidate", true);
        struct error *error = task_do(session, call, &request, "remove the snapshot");
        if (error && session->fault == FAULT_OBJECT_NOT_FOUND) {
            error_free(error); /* gone already */
            return NULL;
        }
        if (!session_again(session, &error, &attempt))
            return error;
    }
}

struct error *snapshot_consolidate(struct driver_session *session, const struct driver_call *call,
                                   struct moref machine)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "ConsolidateVMDisks_Task", machine);
    return task_do(session, call, &request, "merge what removed snapshots left");
}

struct error *vmware_snapshot_create(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, const char *name, bool quiesce)
{
    struct machine machine;
    struct snapshots *snapshots;
    TRY(machine_find(session, call, key, &machine));
    TRY(snapshots_read(session, call, machine.ref, &snapshots));
    if (snapshots_named(snapshots, name))
        return NULL;
    struct snapshot_spec spec = {name, "by yunqiao", quiesce && machine.instance.power == DRIVER_POWER_ON,
                                 "by yunqiao, file systems held still"};
    return snapshot_make(session, call, machine.ref, &spec);
}

struct error *vmware_snapshot_revert(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, const char *name)
{
    for (int attempt = 1;;) {
        struct machine machine;
        struct snapshots *snapshots;
        TRY(machine_find(session, call, key, &machine));
        TRY(snapshots_read(session, call, machine.ref, &snapshots));
        const struct snapshot *snapshot = snapshots_named(snapshots, name);
        if (!snapshot)
            return error_new(ERR_NOT_FOUND, "the machine %s has no snapshot %s", machine.instance.name, name);
        if (machine.instance.power != DRIVER_POWER_OFF)
            return error_new(ERR_CONFLICT, "the machine %s is not off (%s)", machine.instance.name,
                             machine.instance.detail);
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "RevertToSnapshot_Task", snapshot->ref);
        xml_put_bool(&request, "suppressPowerOn", true);
        struct error *error = task_do(session, call, &request, "go back to the snapshot");
        if (!session_again(session, &error, &attempt))
            return error;
    }
}

struct error *vmware_snapshot_delete(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, const char *name)
{
    struct machine machine;
    struct snapshots *snapshots;
    struct error *error = machine_find(session, call, key, &machine);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error); /* it went with its machine */
        return NULL;
    }
    TRY(error);
    TRY(snapshots_read(session, call, machine.ref, &snapshots));
    const struct snapshot *snapshot = snapshots_named(snapshots, name);
    return snapshot ? snapshot_drop(session, call, snapshot->ref) : NULL;
}
