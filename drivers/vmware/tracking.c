/* See tracking.h. */
#include "drivers/vmware/tracking.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/buf.h"

#define RECORD_MAX (64u << 10) /* bytes of a record */

const char *tracking_record(struct arena *arena, const struct hardware *hardware)
{
    BUF_AUTO struct buf buf = BUF_INIT(RECORD_MAX);
    for (size_t i = 0; i < hardware->disk_count; i++) {
        const struct hardware_disk *disk = &hardware->disks[i];
        if (disk->change_id && !strpbrk(disk->change_id, "|;"))
            buf_printf(&buf, "%s|%s|%" PRIu64 ";", disk->name, disk->change_id, disk->size_bytes);
    }
    return buf.length && !buf_overflowed(&buf) ? arena_strdup(arena, buf_text(&buf)) : NULL;
}

bool tracking_recorded(struct arena *arena, const char *record, const char *disk, const char **ret_change_id,
                       uint64_t *ret_size)
{
    size_t name = strlen(disk);
    for (const char *at = record; *at;) {
        const char *end = strchrnul(at, ';');
        if (strncmp(at, disk, name) == 0 && at[name] == '|') {
            const char *change = at + name + 1, *bar = memchr(change, '|', (size_t)(end - change));
            if (!bar)
                return false;
            *ret_change_id = arena_strndup(arena, change, (size_t)(bar - change));
            *ret_size = strtoull(bar + 1, NULL, 10);
            return true;
        }
        at = *end ? end + 1 : end;
    }
    return false;
}

struct gathering {
    struct arena *arena;
    struct tracking_answer *answer;
    size_t room;
    uint64_t covered; /* told up to here */
    uint64_t size;
};

static void grow(struct gathering *gathering)
{
    struct tracking_answer *answer = gathering->answer;
    if (answer->count < gathering->room)
        return;
    size_t room = gathering->room ? gathering->room * 2 : 64;
    struct driver_extent *wider = arena_array(gathering->arena, room, sizeof *wider);
    if (answer->count)
        memcpy(wider, answer->extents, answer->count * sizeof *wider);
    answer->extents = wider;
    gathering->room = room;
}

/* One area; they come in order, and what touches or overlaps the last one is joined to it. */
static struct error *add(struct gathering *gathering, int64_t start, int64_t length)
{
    struct tracking_answer *answer = gathering->answer;
    if (start < 0 || length <= 0 || (uint64_t)start >= gathering->size)
        return error_new(ERR_UNAVAILABLE, "the provider tells of a change at %lld of %lld bytes",
                         (long long)start, (long long)length);
    uint64_t from = (uint64_t)start, to = from + (uint64_t)length;
    if (to > gathering->size)
        to = gathering->size; /* areas are in multiples of the tracking's own blocks */
    struct driver_extent *last = answer->count ? &answer->extents[answer->count - 1] : NULL;
    if (last && from < last->offset)
        return error_new(ERR_UNAVAILABLE, "the provider tells of changes out of order");
    if (last && from <= last->offset + last->length) {
        if (to > last->offset + last->length)
            last->length = to - last->offset;
        return NULL;
    }
    grow(gathering);
    answer->extents[answer->count++] = (struct driver_extent){from, to - from};
    return NULL;
}

/* A page tells about [startOffset, startOffset + length), which has to go on where the last one ended. */
static struct error *take_page(struct gathering *gathering, const xmlNode *page)
{
    int64_t start = xml_number(xml_child(page, "startOffset"), -1);
    int64_t length = xml_number(xml_child(page, "length"), -1);
    if (start < 0 || length <= 0 || (uint64_t)start != gathering->covered)
        return error_new(ERR_UNAVAILABLE,
                         "the provider tells of %lld bytes at %lld where %" PRIu64 " was asked",
                         (long long)length, (long long)start, gathering->covered);
    for (const xmlNode *area = xml_child(page, "changedArea"); area; area = xml_next(area))
        TRY(add(gathering, xml_number(xml_child(area, "start"), -1),
                xml_number(xml_child(area, "length"), -1)));
    gathering->covered += (uint64_t)length;
    return NULL;
}

/* Faults that say that what is asked cannot be told any more. */
static const char *lost(const struct driver_session *session, const struct driver_call *call,
                        const struct error *error)
{
    switch (session->fault) {
    case FAULT_FILE:
    case FAULT_ARGUMENT:
    case FAULT_NOT_FOUND:
        return arena_printf(call->arena, "change tracking was reset: %s", error_message(error));
    case FAULT_METHOD_NOT_FOUND:
        return "the provider has no change tracking";
    default:
        return NULL;
    }
}

static struct error *ask_page(struct driver_session *session, const struct driver_call *call,
                              const struct tracking_question *question, struct gathering *gathering)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "QueryChangedDiskAreas", question->machine);
    xml_put_ref(&request, "snapshot", question->snapshot);
    xml_put_number(&request, "deviceKey", question->disk->key);
    xml_put_number(&request, "startOffset", (int64_t)gathering->covered);
    xml_put(&request, "changeId", question->change_id);
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    struct error *error = session_call(session, call, &request, 0, &answer);
    const char *reason = error ? lost(session, call, error) : NULL;
    if (reason) {
        error_free(error); /* it is told as the reason to read everything */
        *gathering->answer = (struct tracking_answer){.reason = reason};
        return NULL;
    }
    TRY(error);
    return take_page(gathering, xml_child(answer.result, "returnval"));
}

struct error *tracking_ask(struct driver_session *session, const struct driver_call *call,
                           const struct tracking_question *question, struct tracking_answer *ret_answer)
{
    struct tracking_answer answer = {0};
    struct gathering gathering = {
        .arena = call->arena, .answer = &answer, .size = question->disk->size_bytes};
    while (gathering.covered < gathering.size && !answer.reason) {
        TRY_DOING(ask_page(session, call, question, &gathering), "disk %s", question->disk->name);
        if (answer.count > TRACKING_EXTENTS_MAX)
            answer = (struct tracking_answer){.reason = "too many separate changes"};
    }
    *ret_answer = answer;
    return NULL;
}
