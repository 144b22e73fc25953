/* See watch.h. An HMC keeps a queue of events for each session, from the first request for them on. The first
 * watch opens the queue and then tells of every partition; later ones block in the request for events. */
#include "drivers/powervm/watch.h"

#include <string.h>

#include "broker/base/moment.h"
#include "drivers/powervm/atom.h"
#include "drivers/powervm/partition.h"

struct changes {
    struct driver_change *items;
    size_t count, size;
};

static struct driver_change *add(struct arena *arena, struct changes *changes)
{
    if (changes->count == changes->size) {
        size_t size = changes->size ? changes->size * 2 : 16;
        struct driver_change *items = arena_array(arena, size, sizeof *items);
        if (changes->count)
            memcpy(items, changes->items, changes->count * sizeof *items);
        changes->items = items;
        changes->size = size;
    }
    return &changes->items[changes->count++];
}

static void tell(struct driver_session *session, struct arena *arena, struct changes *changes,
                 const struct partition *partition)
{
    *add(arena, changes) = (struct driver_change){
        .id = partition->stamp, .ref = partition->id, .power = partition_power(partition)};
    if (partition->stamp)
        json_put_text(session->seen, partition->id, partition->stamp);
}

static void tell_gone(struct driver_session *session, struct arena *arena, struct changes *changes,
                      const char *ref)
{
    const char *id = json_string_value(json_object_get(session->seen, ref));
    *add(arena, changes) = (struct driver_change){
        .id = arena_strdup(arena, id), .ref = ref, .power = DRIVER_POWER_UNKNOWN, .gone = true};
    (void)json_object_del(session->seen, ref); /* it may never have been there */
}

static struct error *tell_all(struct driver_session *session, const struct driver_call *call,
                              struct changes *changes)
{
    struct systems systems;
    TRY(system_list(session, call, &systems));
    json_object_clear(session->seen);
    for (size_t i = 0; i < systems.count; i++) {
        struct partitions partitions;
        TRY(partition_list(session, call, &systems.items[i], &partitions));
        for (size_t j = 0; j < partitions.count; j++)
            tell(session, call->arena, changes, &partitions.items[j]);
    }
    return NULL;
}

static bool told(const struct changes *changes, const char *ref)
{
    for (size_t i = 0; i < changes->count; i++) {
        if (strcmp(changes->items[i].ref, ref) == 0)
            return true;
    }
    return false;
}

/* The id when the address is that of a partition itself; NULL. */
static const char *partition_of(struct arena *arena, const char *address)
{
    const char *at = address ? strstr(address, "/LogicalPartition/") : NULL;
    if (!at)
        return NULL;
    at += strlen("/LogicalPartition/");
    size_t length = strcspn(at, "/?");
    return length && at[length] != '/' ? arena_strndup(arena, at, length) : NULL;
}

/* One event. What it names is read anew, once for all events of an answer: its present state is what counts.
 */
static struct error *follow(struct driver_session *session, const struct driver_call *call,
                            const xmlNode *event, struct changes *changes)
{
    const char *type = atom_text(call->arena, event, "EventType");
    const char *ref = partition_of(call->arena, atom_text(call->arena, event, "EventData"));
    /* NEW_CLIENT: the queue is a new one, for the session had to be logged on anew */
    if (type && (strcmp(type, "CACHE_CLEARED") == 0 || strcmp(type, "MISSING_EVENTS") == 0 ||
                 strcmp(type, "NEW_CLIENT") == 0)) {
        session->listed = false;
        return error_new(ERR_UNAVAILABLE, "the HMC lost events (%s)", type);
    }
    if (!type || !ref || told(changes, ref))
        return NULL;
    struct partition partition;
    bool here = true;
    struct error *error = partition_get(session, call, ref, &partition);
    if (!error)
        error = partition_is_here(session, call, &partition, &here);
    if (!error && !here) { /* moved to a system that is another endpoint's, or never was here */
        if (json_object_get(session->seen, ref))
            tell_gone(session, call->arena, changes, ref);
        return NULL;
    }
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* that it is gone is the news */
        tell_gone(session, call->arena, changes, ref);
        return NULL;
    }
    if (error) {
        session->listed = false; /* the event is taken from the queue: only a full list is sure now */
        return error;
    }
    tell(session, call->arena, changes, &partition);
    return NULL;
}

struct error *watch_changes(struct driver_session *session, const struct driver_call *call,
                            struct driver_change **ret_changes, size_t *ret_count)
{
    struct changes changes = {0};
    while (changes.count == 0 && moment_monotonic() < call->deadline_us) {
        bool first = !session->listed;
        xmlNode *root = NULL;
        struct error *error = hmc_events(session->hmc, call, &root);
        if (error && error_code(error) == ERR_TIMEOUT && moment_monotonic() >= call->deadline_us) {
            error_ignore(
                error); /* the deadline of a watch is no failure, but events may have been on their way */
            session->listed = false;
            break;
        }
        if (error) {
            session->listed = false;
            return error;
        }
        if (first) {
            TRY(tell_all(session, call, &changes));
            session->listed = true;
            if (changes.count == 0)
                continue;
            break;
        }
        for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry))
            TRY(follow(session, call, atom_payload(entry), &changes));
    }
    *ret_changes = changes.items;
    *ret_count = changes.count;
    return NULL;
}
