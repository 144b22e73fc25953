/* See watch.h. The collector, its filter and the version of the last update live in the session; what each
 * reference is (its stamp, its last power state) is kept here, for the provider tells of a deleted machine
 * its reference alone. */
#include "drivers/vmware/watch.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/moment.h"
#include "drivers/vmware/machine.h"
#include "drivers/vmware/property.h"

#define WAIT_MAX_SECONDS 60 /* of one WaitForUpdatesEx */
#define MARGIN_US \
    MOMENT_SECOND /* the peer's wait ends this much before the call's deadline, so that no answer is lost */
#define ANSWER_US (5 * MOMENT_SECOND) /* and this much after it an answer is still read */

static const char *const machine_paths[] = {"runtime.powerState", "config.extraConfig", NULL};
static const struct property_set machine_set = {"VirtualMachine", machine_paths};

void watch_forget(struct driver_session *session)
{
    if (session->watch_version)
        session->watch_lost = true;
    arena_free(session->watch_arena);
    free(session->watch_version);
    free(session->watched);
    session->watch_arena = NULL;
    session->watch_version = NULL;
    session->watched = NULL;
    session->watched_count = session->watched_room = 0;
    session->watch_collector = (struct moref){0};
}

static struct error *begin(struct driver_session *session, const struct driver_call *call)
{
    struct moref view;
    TRY(session_view(session, call, &view));
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CreatePropertyCollector", session->property_collector);
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    unsigned logins = session->logins;
    TRY(session_call(session, call, &request, 0, &answer));
    ARENA_AUTO struct arena *arena = arena_new();
    struct moref collector = moref_read(arena, xml_child(answer.result, "returnval"));
    if (!collector.value)
        return error_new(ERR_UNAVAILABLE, "the peer made a property collector without a name");
    if (session->logins != logins)
        TRY(session_view(session, call, &view)); /* the old one went with the old session */
    XML_REQUEST_AUTO struct xml_request filter;
    xml_request_begin(&filter, "CreateFilter", collector);
    xml_open(&filter, "spec");
    property_put_view(&filter, &machine_set, 1, view);
    xml_close(&filter);
    xml_put_bool(&filter, "partialUpdates", false);
    struct error *error = session_do(session, call, &filter);
    if (error && session->fault == FAULT_OBJECT_NOT_FOUND) {
        session_forget_view(session); /* a repeat makes a new one */
        return error_recode(error, ERR_UNAVAILABLE, "the provider forgot the view");
    }
    TRY(error);
    session->watch_arena = arena;
    arena = NULL;
    session->watch_collector = collector;
    session->watch_version = xstrdup("");
    return NULL;
}

static struct watched *find(struct driver_session *session, const char *ref)
{
    for (size_t i = 0; i < session->watched_count; i++)
        if (strcmp(session->watched[i].ref, ref) == 0)
            return &session->watched[i];
    return NULL;
}

static struct watched *add(struct driver_session *session, const char *ref)
{
    if (session->watched_count == session->watched_room) {
        session->watched_room = session->watched_room ? session->watched_room * 2 : 64;
        session->watched = xrealloc(session->watched, session->watched_room, sizeof *session->watched);
    }
    struct watched *watched = &session->watched[session->watched_count++];
    *watched = (struct watched){.ref = arena_strdup(session->watch_arena, ref)};
    return watched;
}

struct changes {
    struct driver_change *items;
    size_t count;
};

static void emit(const struct driver_call *call, struct changes *changes, const struct watched *watched,
                 bool gone)
{
    if (changes->count == 0 || (changes->count >= 16 && (changes->count & (changes->count - 1)) == 0)) {
        struct driver_change *wider =
            arena_array(call->arena, changes->count ? changes->count * 2 : 16, sizeof *wider);
        if (changes->count)
            memcpy(wider, changes->items, changes->count * sizeof *wider);
        changes->items = wider;
    }
    changes->items[changes->count++] = (struct driver_change){.id = arena_strdup(call->arena, watched->id),
                                                              .ref = arena_strdup(call->arena, watched->ref),
                                                              .power = watched->power,
                                                              .gone = gone};
}

/* One ObjectUpdate. `first`: everything is new, and nobody is looked up. */
static void update(struct driver_session *session, const struct driver_call *call, const xmlNode *object,
                   bool first, struct changes *changes)
{
    const char *ref = xml_child_text(object, "obj"), *kind = xml_child_text(object, "kind");
    if (!ref || !kind)
        return;
    struct watched *watched = first ? NULL : find(session, ref);
    if (strcmp(kind, "leave") == 0) {
        if (watched) {
            emit(call, changes, watched, true);
            *watched = session->watched[--session->watched_count];
        }
        return;
    }
    bool known = watched;
    if (!watched)
        watched = add(session, ref);
    enum driver_power before = watched->power;
    for (const xmlNode *change = xml_child(object, "changeSet"); change; change = xml_next(change)) {
        const char *name = xml_child_text(change, "name");
        const xmlNode *value = xml_child(change, "val");
        if (!name || !value)
            continue;
        if (strcmp(name, "runtime.powerState") == 0) {
            watched->power = machine_power(xml_text(value));
        } else if (strcmp(name, "config.extraConfig") == 0) {
            const char *stamp = machine_stamp(session->watch_arena, value);
            if (stamp && (!watched->id || strcmp(stamp, watched->id) != 0))
                watched->id = arena_strdup(session->watch_arena, stamp);
        }
    }
    if (!known || watched->power != before)
        emit(call, changes, watched, false);
}

static struct error *wait_once(struct driver_session *session, const struct driver_call *call,
                               int64_t seconds, struct changes *changes)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "WaitForUpdatesEx", session->watch_collector);
    xml_put(&request, "version", session->watch_version);
    xml_open(&request, "options");
    xml_put_number(&request, "maxWaitSeconds", seconds);
    xml_close(&request);
    bool first = *session->watch_version == '\0';
    struct driver_call patient = *call;
    patient.deadline_us += ANSWER_US;
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    TRY(session_listen(session, &patient, &request, seconds * MOMENT_SECOND, &answer));
    const xmlNode *set = xml_child(answer.result, "returnval");
    if (!set)
        return NULL; /* nothing changed */
    for (const xmlNode *filter = xml_child(set, "filterSet"); filter; filter = xml_next(filter))
        for (const xmlNode *object = xml_child(filter, "objectSet"); object; object = xml_next(object))
            update(session, call, object, first, changes);
    const char *version = xml_child_text(set, "version");
    if (version && *version) {
        free(session->watch_version);
        session->watch_version = xstrdup(version);
    }
    return NULL;
}

static struct error *lost(struct driver_session *session)
{
    session->watch_lost = false;
    return error_new(ERR_UNAVAILABLE, "the watch was interrupted: changes may have been missed");
}

struct error *vmware_watch_changes(struct driver_session *session, const struct driver_call *call,
                                   struct driver_change **ret_changes, size_t *ret_count)
{
    if (session->watch_lost)
        return lost(session);
    if (!session->watch_version)
        TRY_DOING(begin(session, call), "could not start to watch");
    struct changes changes = {0};
    for (bool waited = false; changes.count == 0; waited = true) {
        int64_t seconds = (call->deadline_us - moment_monotonic() - MARGIN_US) / MOMENT_SECOND;
        if (seconds < 1 && waited)
            break;
        seconds = seconds < 0 ? 0 : seconds > WAIT_MAX_SECONDS ? WAIT_MAX_SECONDS : seconds;
        struct error *error = wait_once(session, call, seconds, &changes);
        if (error && error_code(error) == ERR_CANCELLED) {
            watch_forget(session); /* whoever watches next is told that changes may have been missed */
            return error;
        }
        if (error) {
            watch_forget(session);
            session->watch_lost = false; /* told now */
            return error_recode(error, ERR_UNAVAILABLE,
                                "the watch was interrupted: changes may have been missed");
        }
        if (call->progress && !call->progress(call->context, 0, "watch"))
            return error_new(ERR_CANCELLED, "asked to stop watching");
    }
    *ret_changes = changes.items;
    *ret_count = changes.count;
    return NULL;
}
