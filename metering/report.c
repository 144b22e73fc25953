/* Reading CloudEvents that report usage; see report.h. Pure. */
#include "metering/report.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/digest.h"
#include "broker/base/id.h"
#include "broker/base/json.h"
#include "broker/base/money.h"

#define SOURCE_BEGIN "/providers/"
#define EXTENSION_NAME_MAX 20 /* CloudEvents 1.0, 3.1: names should not be longer */
#define EXTENSION_TEXT_MAX 1024
#define SEQUENCE_MAX 64

struct line {
    const char *item, *tariff;
    int64_t quantity;
};

struct event_data {
    const char *unit, *system, *cloud, *zone, *architecture, *kind;
    struct json_list items; /* of struct line */
};

struct event {
    const char *specversion, *type, *source, *id, *subject, *sequence, *datacontenttype, *dataschema;
    moment time;
    struct event_data data;
};

static const char *const versions[] = {"1.0", NULL}, *const types[] = {REPORT_TYPE, NULL},
                         *const contents[] = {"application/json", NULL},
                         *const tariffs[] = {"standard", "expansion", NULL},
                         *const architectures[] = {"x86", "ARM", "C86", "POWER", NULL};

static const struct json_member line_members[] = {
    {JSON_MEMBER(struct line, item), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1, .max = 4},
    {JSON_MEMBER(struct line, quantity), .want = JSON_WANT_QUANTITY, .flags = JSON_REQUIRED, .min = 0,
     .max = QUANTITY_MAX},
    {JSON_MEMBER(struct line, tariff), .want = JSON_WANT_CHOICE, .choices = tariffs},
};
static const struct json_spec line_spec = JSON_SPEC(struct line, line_members);

static const struct json_member data_members[] = {
    {JSON_MEMBER(struct event_data, unit), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct event_data, system), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct event_data, cloud), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct event_data, zone), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct event_data, architecture), .want = JSON_WANT_CHOICE, .choices = architectures},
    {JSON_MEMBER(struct event_data, kind), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct event_data, items), .want = JSON_WANT_LIST, .flags = JSON_REQUIRED, .min = 0,
     .max = REPORT_ITEMS_MAX, .spec = &line_spec},
};
static const struct json_spec data_spec = JSON_SPEC(struct event_data, data_members);

static const struct json_member event_members[] = {
    {JSON_MEMBER(struct event, specversion), .want = JSON_WANT_CHOICE, .flags = JSON_REQUIRED,
     .choices = versions},
    {JSON_MEMBER(struct event, type), .want = JSON_WANT_CHOICE, .flags = JSON_REQUIRED, .choices = types},
    {JSON_MEMBER(struct event, source), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = REPORT_TEXT_MAX},
    {JSON_MEMBER(struct event, id), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = REPORT_TEXT_MAX},
    {JSON_MEMBER(struct event, time), .want = JSON_WANT_MOMENT, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct event, subject), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = REPORT_SUBJECT_MAX},
    {JSON_MEMBER(struct event, sequence), .want = JSON_WANT_TEXT, .min = 1, .max = SEQUENCE_MAX},
    {JSON_MEMBER(struct event, datacontenttype), .want = JSON_WANT_CHOICE, .choices = contents},
    {JSON_MEMBER(struct event, dataschema), .want = JSON_WANT_TEXT, .min = 1, .max = REPORT_TEXT_MAX},
    {JSON_MEMBER(struct event, data), .want = JSON_WANT_OBJECT, .flags = JSON_REQUIRED, .spec = &data_spec},
};
static const struct json_spec event_spec = JSON_SPEC(struct event, event_members);

static bool is_attribute(const char *name)
{
    for (size_t i = 0; i < event_spec.count; i++)
        if (strcmp(event_members[i].name, name) == 0)
            return true;
    return false;
}

static bool extension_named(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
    return length && length <= EXTENSION_NAME_MAX && !name[length];
}

static bool extension_valued(const json_t *value)
{
    return json_is_boolean(value) ||
           (json_is_string(value) && json_string_length(value) <= EXTENSION_TEXT_MAX) ||
           (json_is_integer(value) && json_integer_value(value) >= INT32_MIN &&
            json_integer_value(value) <= INT32_MAX);
}

/* Whether every member is an attribute with a value: so are most events, and then nothing has to be parted.
 */
static bool plain(const json_t *event)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)event, name, value) /* iteration changes nothing */
        if (json_is_null(value) || !is_attribute(name))
            return false;
    return true;
}

/* Extension attributes are kept in the text and have no meaning here. What stays goes into *ret_known, the
 * event without members that are null, which count as absent (JSON format 2.2), into *ret_whole. */
static struct error *part(struct arena *arena, const json_t *event, const json_t **ret_known,
                          const json_t **ret_whole)
{
    struct error *errors = NULL;
    const char *name;
    json_t *value;
    *ret_known = *ret_whole = event;
    if (plain(event))
        return NULL;
    json_t *known = json_hold(arena, json_object()), *whole = json_hold(arena, json_object());
    size_t extensions = 0;
    json_object_foreach ((json_t *)(uintptr_t)event, name, value) { /* iteration changes nothing */
        bool attribute = is_attribute(name);
        if (json_is_null(value))
            continue;
        if (!attribute && strcmp(name, "data_base64") == 0)
            error_collect(&errors, "/data_base64", "is not taken: data is JSON");
        else if (!attribute && !extension_named(name))
            error_collect(&errors, "", "an extension attribute is named by 1 to %d of a-z and 0-9",
                          EXTENSION_NAME_MAX);
        else if (!attribute && !extension_valued(value))
            error_collect(&errors, arena_printf(arena, "/%s", name),
                          "must be a string of at most %d bytes, a boolean or a 32-bit integer",
                          EXTENSION_TEXT_MAX);
        else if (!attribute && ++extensions > REPORT_EXTENSIONS_MAX)
            error_collect(&errors, "", "at most %d extension attributes are taken", REPORT_EXTENSIONS_MAX);
        if (attribute)
            json_put(known, name, json_incref(value));
        json_put(whole, name, json_incref(value));
    }
    *ret_known = known;
    *ret_whole = whole;
    return errors;
}

/* Visible ASCII without what cursors and quoting use. */
static void want_plain(struct error **errors, const char *pointer, const char *text, size_t most)
{
    size_t length = 0;
    while (text[length] > 0x20 && text[length] < 0x7f && !strchr("|\"\\", text[length]))
        length++;
    if (text[length] || length > most)
        error_collect(errors, pointer, "must be 1 to %zu visible ASCII characters other than | \" \\", most);
}

/* "/providers/{provider}/…": the one rule that binds a source to who may use it. */
static const char *provider_of(struct arena *arena, struct error **errors, const char *source)
{
    size_t begin = sizeof SOURCE_BEGIN - 1;
    bool begun = strncmp(source, SOURCE_BEGIN, begin) == 0;
    size_t length = begun ? strcspn(source + begin, "/") : 0;
    const char *provider = begun ? arena_strndup(arena, source + begin, length) : "";
    if (begun && name_valid(provider, 63) && source[begin + length] == '/' && source[begin + length + 1])
        return provider;
    error_collect(errors, "/source", "must be /providers/, the provider's id, / and a name of its own");
    return "";
}

static int by_item(const void *left, const void *right)
{
    const struct item_quantity *a = left, *b = right;
    int order = strcmp(a->item, b->item);
    return order ? order : (a->tariff > b->tariff) - (a->tariff < b->tariff);
}

static void read_items(struct arena *arena, struct error **errors, const struct json_list *list,
                       struct report *report)
{
    const struct line *lines = list->items;
    report->items = arena_array(arena, list->count, sizeof *report->items);
    for (size_t i = 0; i < list->count; i++) {
        const struct item *item = item_find(lines[i].item);
        struct item_quantity one = {.micro = lines[i].quantity,
                                    .tariff =
                                        lines[i].tariff ? tariff_find(lines[i].tariff) : TARIFF_STANDARD};
        if (!item) {
            error_collect(errors, arena_printf(arena, "/data/items/%zu/item", i),
                          "must be a priced item, 1001 to 1023");
            continue;
        }
        memcpy(one.item, item->code, ITEM_CODE);
        for (size_t j = 0; j < i; j++)
            if (strcmp(lines[j].item, lines[i].item) == 0 &&
                (lines[j].tariff ? tariff_find(lines[j].tariff) : TARIFF_STANDARD) == one.tariff)
                error_collect(errors, arena_printf(arena, "/data/items/%zu", i),
                              "names an item and tariff a second time");
        if (one.micro)
            report->items[report->count++] = one;
    }
    if (report->count)
        qsort(report->items, report->count, sizeof *report->items, by_item);
}

static struct error *check(struct arena *arena, const struct event *event, struct report *report)
{
    struct error *errors = NULL;
    const struct event_data *data = &event->data;
    want_plain(&errors, "/source", event->source, REPORT_TEXT_MAX);
    want_plain(&errors, "/id", event->id, REPORT_TEXT_MAX);
    want_plain(&errors, "/subject", event->subject, REPORT_SUBJECT_MAX);
    if (event->sequence)
        want_plain(&errors, "/sequence", event->sequence, SEQUENCE_MAX);
    report->provider = provider_of(arena, &errors, event->source);
    if (data->kind && !kind_find(data->kind))
        error_collect(&errors, "/data/kind", "must be a kind of the catalog");
    read_items(arena, &errors, &data->items, report);
    return errors;
}

struct error *report_read(struct arena *arena, const json_t *json, struct report *ret_report)
{
    struct event event = {.specversion = NULL};
    const json_t *known, *whole;
    if (!json_is_object(json))
        return error_member("", "must be an object");
    TRY(part(arena, json, &known, &whole));
    TRY(json_read(arena, known, &event_spec, &event));
    const struct event_data *data = &event.data;
    struct report report = {
        .source = event.source,
        .id = event.id,
        .subject = event.subject,
        .sequence = event.sequence ? event.sequence : "",
        .at = event.time,
        .unit = data->unit,
        .system = data->system,
        .cloud = data->cloud,
        .kind = data->kind ? data->kind : "reported",
        .zone = data->zone ? data->zone : "",
        .architecture = data->architecture ? data->architecture : "",
        .industry = "",
    };
    TRY(check(arena, &event, &report));
    char *digest = arena_alloc(arena, DIGEST_HEX);
    report.text = json_canonical(arena, whole);
    digest_sm3(report.text, strlen(report.text), digest);
    report.digest = digest;
    *ret_report = report;
    return NULL;
}

const char *report_resource(struct arena *arena, const struct report *report)
{
    return arena_printf(arena, "%s/%s", report->provider, report->subject);
}

static void release_error(void *error)
{
    error_free(error);
}

void report_refuse(struct arena *arena, struct report_slot *slot, struct error *error)
{
    arena_defer(arena, release_error, error);
    slot->outcome = REPORT_REFUSED;
    if (!slot->error)
        slot->error = error;
}

static void read_slot(struct arena *arena, struct report_slot *slot)
{
    struct error *error = report_read(arena, slot->event, &slot->report);
    if (error)
        report_refuse(arena, slot, error);
}

static struct error *too_many(void)
{
    return error_new(ERR_TOO_LARGE, "at most %d events are taken at once", REPORT_BATCH_MAX);
}

static struct error *split_lines(struct arena *arena, const char *bytes, size_t length,
                                 struct report_slot **ret_slots, size_t *ret_count)
{
    struct report_slot *slots = arena_array(arena, REPORT_BATCH_MAX, sizeof *slots);
    size_t count = 0;
    for (const char *at = bytes, *end = bytes + length; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t size = stop ? (size_t)(stop - at) : (size_t)(end - at);
        const char *line = at;
        at += size + (stop != NULL);
        while (size && (line[size - 1] == '\r' || line[size - 1] == ' ' || line[size - 1] == '\t'))
            size--;
        if (!size)
            continue;
        if (count == REPORT_BATCH_MAX)
            return too_many();
        struct report_slot *slot = &slots[count++];
        struct error *error = json_parse_in(arena, line, size, &slot->event);
        if (error)
            report_refuse(arena, slot, error);
        else
            read_slot(arena, slot);
    }
    *ret_slots = slots;
    *ret_count = count;
    return NULL;
}

struct error *report_split(struct arena *arena, enum media_events media, const char *bytes, size_t length,
                           struct report_slot **ret_slots, size_t *ret_count)
{
    json_t *json, *event;
    size_t i;
    if (media == MEDIA_EVENTS_LINES)
        return split_lines(arena, bytes, length, ret_slots, ret_count);
    TRY_DOING(json_parse_in(arena, bytes, length, &json), "the body is not JSON");
    bool batch = media == MEDIA_EVENTS_BATCH;
    if (batch && !json_is_array(json))
        return error_member("", "a batch is an array of events");
    size_t count = batch ? json_array_size(json) : 1;
    if (count > REPORT_BATCH_MAX)
        return too_many();
    struct report_slot *slots = arena_array(arena, count, sizeof *slots);
    if (!batch)
        slots[0].event = json;
    else
        json_array_foreach (json, i, event)
            slots[i].event = event;
    for (i = 0; i < count; i++)
        read_slot(arena, &slots[i]);
    *ret_slots = slots;
    *ret_count = count;
    return NULL;
}
