/* report_split over bodies of each media type, the first byte chooses: what is read keeps every promise of
 * report.h and reads the same again from its canonical text. */
#include <string.h>

#include "broker/base/json.h"
#include "metering/report.h"
#include "tests/fuzz/fuzz.h"

static void check(struct arena *arena, const struct report *report)
{
    struct report again;
    json_t *json;
    PROMISE(report->count <= REPORT_ITEMS_MAX && strlen(report->subject) <= REPORT_SUBJECT_MAX);
    PROMISE(!strncmp(report->source, "/providers/", 11));
    PROMISE(!strncmp(report->source + 11, report->provider, strlen(report->provider)));
    PROMISE(strlen(report_resource(arena, report)) < REPORT_RESOURCE_MAX);
    for (size_t i = 0; i < report->count; i++) {
        PROMISE(report->items[i].micro > 0 && report->items[i].micro <= QUANTITY_MAX);
        PROMISE(item_find(report->items[i].item));
        PROMISE(!i || strcmp(report->items[i - 1].item, report->items[i].item) < 0 ||
                report->items[i - 1].tariff < report->items[i].tariff);
    }
    PROMISE(!json_parse_in(arena, report->text, strlen(report->text), &json));
    PROMISE(!report_read(arena, json, &again));
    PROMISE(!strcmp(again.digest, report->digest) && again.count == report->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum media_events media[] = {MEDIA_EVENTS_ONE, MEDIA_EVENTS_BATCH, MEDIA_EVENTS_LINES};
    struct arena *arena = arena_new();
    struct report_slot *slots;
    size_t count;
    if (!size) {
        arena_free(arena);
        return 0;
    }
    struct error *error =
        report_split(arena, media[data[0] % 3], (const char *)data + 1, size - 1, &slots, &count);
    if (error)
        PROMISE(error_code(error) == ERR_INVALID || error_code(error) == ERR_TOO_LARGE);
    for (size_t i = 0; !error && i < count; i++) {
        PROMISE(count <= REPORT_BATCH_MAX);
        if (slots[i].error)
            PROMISE(error_code(slots[i].error) == ERR_INVALID && slots[i].outcome == REPORT_REFUSED);
        else
            check(arena, &slots[i].report);
    }
    error_free(error);
    arena_free(arena);
    return 0;
}
