/* POST /v1/usage: usage that a provider reports, as CloudEvents (metering/report.h). Who may report what is
 * decided here, where clouds, units and resources are known: the source is the caller's provider's, the cloud
 * is run by it, the system is known, the items have a price then, and what uses any is no resource
 * of the broker's own. Idempotent by (source, id), so it takes no Idempotency-Key. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/routes.h"
#include "broker/http/accept.h"
#include "broker/http/problem.h"
#include "catalog/price.h"
#include "metering/report.h"

static const struct db_statement find_places = {
    "report_places", "SELECT provider, industry, has_system, has_zone FROM report_places($1, $2, $3, $4)"};
static const struct db_statement find_own = {"report_own", "SELECT report_own FROM report_own($1, $2)"};

struct place {
    const char *unit, *system, *cloud, *zone;
    const char *provider, *industry; /* provider NULL: no such cloud */
    bool has_system, has_zone;
};

struct work {
    struct http_call *call;
    struct report_slot *slots;
    size_t count;
    const char *provider; /* of the good ones, the first one's */
    struct place *places;
    size_t place_count;
};

/* The caller's provider alone, or any for those who see all; one in each call. */
static void check_sources(struct work *work)
{
    struct arena *arena = work->call->arena;
    for (size_t i = 0; i < work->count; i++) {
        struct report_slot *slot = &work->slots[i];
        if (slot->error)
            continue;
        if (!principal_sees_provider(work->call->principal, slot->report.provider))
            report_refuse(arena, slot, error_member("/source", "must be of your provider"));
        else if (!work->provider)
            work->provider = slot->report.provider;
        else if (strcmp(work->provider, slot->report.provider) != 0)
            report_refuse(arena, slot,
                          error_member("/source", "must be of the provider of the call's first event"));
    }
}

static struct place *find_place(const struct work *work, const struct report *report)
{
    for (size_t i = work->place_count; i > 0; i--) { /* batches tend to repeat the last */
        struct place *place = &work->places[i - 1];
        if (!strcmp(place->system, report->system) && !strcmp(place->cloud, report->cloud) &&
            !strcmp(place->zone, report->zone) && !strcmp(place->unit, report->unit))
            return place;
    }
    return NULL;
}

static struct error *look_up_places(struct work *work)
{
    struct arena *arena = work->call->arena;
    struct db_rows *rows = NULL;
    const char **texts[4];
    work->places = arena_array(arena, work->count, sizeof *work->places);
    for (size_t i = 0; i < work->count; i++) {
        const struct report *report = &work->slots[i].report;
        if (!work->slots[i].error && !find_place(work, report))
            work->places[work->place_count++] = (struct place){
                .unit = report->unit, .system = report->system, .cloud = report->cloud, .zone = report->zone};
    }
    for (size_t k = 0; k < 4; k++)
        texts[k] = arena_array(arena, work->place_count, sizeof *texts[k]);
    for (size_t i = 0; i < work->place_count; i++) {
        texts[0][i] = work->places[i].unit;
        texts[1][i] = work->places[i].system;
        texts[2][i] = work->places[i].cloud;
        texts[3][i] = work->places[i].zone;
    }
    size_t count = work->place_count;
    TRY(db_query(work->call->db, &find_places,
                 DB_VALUES(db_texts(texts[0], count), db_texts(texts[1], count), db_texts(texts[2], count),
                           db_texts(texts[3], count)),
                 &rows));
    db_hold(arena, rows);
    for (size_t i = 0; i < count && i < db_count(rows); i++) {
        work->places[i].provider = db_get_text(rows, i, 0);
        work->places[i].industry = db_get_text(rows, i, 1);
        work->places[i].has_system = db_get_bool(rows, i, 2);
        work->places[i].has_zone = db_get_bool(rows, i, 3);
    }
    return NULL;
}

static struct error *judge_place(const struct work *work, struct report *report)
{
    struct error *errors = NULL;
    const struct place *place = find_place(work, report);
    if (!place->provider || strcmp(place->provider, report->provider) != 0)
        error_collect(&errors, "/data/cloud", "must be a cloud of the provider that reports");
    else if (!place->has_zone)
        error_collect(&errors, "/data/zone", "is not a zone of the cloud");
    if (!place->has_system)
        error_collect(&errors, "/data/system", "is not a system of this unit");
    report->industry = place->industry;
    return errors;
}

static void check_places(struct work *work)
{
    for (size_t i = 0; i < work->count; i++) {
        struct report_slot *slot = &work->slots[i];
        struct error *error = slot->error ? NULL : judge_place(work, &slot->report);
        if (error)
            report_refuse(work->call->arena, slot, error);
    }
}

static bool priced(const struct price_period *periods, size_t count, const char *item, moment at)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(periods[i].item, item) && periods[i].from <= at && at < periods[i].to)
            return true;
    return false;
}

/* A price must be in force when the use begins: use without one would keep the month from closing. */
static struct error *check_prices(struct work *work)
{
    struct arena *arena = work->call->arena;
    struct price_period *periods;
    size_t count;
    moment from = MOMENT_MAX, to = MOMENT_MIN;
    for (size_t i = 0; i < work->count; i++) {
        if (work->slots[i].error)
            continue;
        from = work->slots[i].report.at < from ? work->slots[i].report.at : from;
        to = work->slots[i].report.at > to ? work->slots[i].report.at : to;
    }
    if (from > to)
        return NULL;
    TRY(price_periods(work->call->db, arena, work->provider, from, to + 1, &periods, &count));
    for (size_t i = 0; i < work->count; i++) {
        struct report_slot *slot = &work->slots[i];
        struct error *errors = NULL;
        for (size_t k = 0; !slot->error && k < slot->report.count; k++)
            if (!priced(periods, count, slot->report.items[k].item, slot->report.at))
                error_collect(&errors, "/time", "item %s of provider %s has no price then",
                              slot->report.items[k].item, slot->report.provider);
        if (errors)
            report_refuse(arena, slot, errors);
    }
    return NULL;
}

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Whether it says that something is used. That nothing is any more may be said of the broker's own too: else
 * what was reported before the broker took a resource over would be charged twice for ever. */
static bool says_used(const struct report_slot *slot)
{
    return !slot->error && slot->report.count;
}

static struct error *check_subjects(struct work *work)
{
    struct arena *arena = work->call->arena;
    struct db_rows *rows = NULL;
    const char **subjects = arena_array(arena, work->count, sizeof *subjects);
    size_t count = 0, distinct = 0;
    for (size_t i = 0; i < work->count; i++)
        if (says_used(&work->slots[i]))
            subjects[count++] = work->slots[i].report.subject;
    if (!count)
        return NULL;
    qsort(subjects, count, sizeof *subjects, by_text);
    for (size_t i = 0; i < count; i++)
        if (!distinct || strcmp(subjects[distinct - 1], subjects[i]) != 0)
            subjects[distinct++] = subjects[i];
    TRY(db_query(work->call->db, &find_own, DB_VALUES(db_text(work->provider), db_texts(subjects, distinct)),
                 &rows));
    db_hold(arena, rows);
    for (size_t row = 0; row < db_count(rows); row++)
        for (size_t i = 0; i < work->count; i++)
            if (says_used(&work->slots[i]) &&
                !strcmp(work->slots[i].report.subject, db_get_text(rows, row, 0)))
                report_refuse(arena, &work->slots[i],
                              error_member("/subject", "is a resource that the broker itself meters"));
    return NULL;
}

/* All or nothing: every violation with a pointer that begins with the event's index. */
static struct error *refuse_all(const struct work *work)
{
    struct arena *arena = work->call->arena;
    struct error *errors = NULL;
    bool conflict = true;
    for (size_t i = 0; i < work->count; i++) {
        const struct error *error = work->slots[i].error;
        size_t count;
        if (!error)
            continue;
        const struct error_detail *details = error_details(error, &count);
        conflict = conflict && error_code(error) == ERR_CONFLICT;
        if (!count)
            error_collect(&errors, arena_printf(arena, "/%zu", i), "%s", error_message(error));
        for (size_t k = 0; k < count; k++)
            error_collect(&errors, arena_printf(arena, "/%zu%s", i, details[k].pointer), "%s",
                          details[k].message);
    }
    return conflict ? error_recode(errors, ERR_CONFLICT, "nothing was taken") : errors;
}

static struct error *refuse_one(const struct error *error)
{
    size_t count;
    const struct error_detail *details = error_details(error, &count);
    struct error *copy = error_new(error_code(error), "%s", error_message(error));
    for (size_t i = 0; i < count; i++)
        error_add_detail(copy, details[i].pointer, "%s", details[i].message);
    return copy;
}

static json_t *answer_json(const struct work *work)
{
    int64_t counts[REPORT_QUARANTINED + 1] = {0};
    json_t *json = json_object(), *rejected = json_array();
    for (size_t i = 0; i < work->count; i++) {
        const struct report_slot *slot = &work->slots[i];
        counts[slot->outcome]++;
        if (slot->outcome != REPORT_REFUSED)
            continue;
        json_t *entry = json_object(), *id = json_object_get(slot->event, "id");
        json_put_int(entry, "index", (int64_t)i);
        if (json_is_string(id))
            json_put(entry, "id", json_incref(id));
        json_put(entry, "problem", problem_json(work->call->arena, slot->error, 0));
        json_push(rejected, entry);
    }
    json_put_int(json, "accepted", counts[REPORT_COUNTED]);
    json_put_int(json, "duplicates", counts[REPORT_DUPLICATE]);
    json_put_int(json, "quarantined", counts[REPORT_QUARANTINED]);
    json_put(json, "rejected", rejected);
    return json;
}

static struct error *read_atomic(const struct http_call *call, bool *ret_atomic)
{
    const char *text = http_query(call, "atomic");
    if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return error_member("?atomic", "must be true or false");
    *ret_atomic = text && !strcmp(text, "true");
    return NULL;
}

static bool any_refused(const struct work *work)
{
    for (size_t i = 0; i < work->count; i++)
        if (work->slots[i].error)
            return true;
    return false;
}

/* Of all events that were not refused; NULL: they are of several, or there is none. */
static const char *only_cloud(const struct work *work)
{
    const char *cloud = NULL;
    for (size_t i = 0; i < work->count; i++) {
        if (work->slots[i].error)
            continue;
        if (cloud && strcmp(cloud, work->slots[i].report.cloud) != 0)
            return NULL;
        cloud = work->slots[i].report.cloud;
    }
    return cloud;
}

static struct error *take_usage(struct http_call *call, struct http_answer *ret_answer)
{
    struct work work = {.call = call};
    size_t length;
    bool atomic;
    const char *bytes = http_bytes(call, &length), *type = http_header(call, "content-type");
    enum media_events media = type ? media_events_of(type) : MEDIA_EVENTS_NONE;
    TRY(read_atomic(call, &atomic));
    if (media == MEDIA_EVENTS_NONE) /* no body, or front.c would have refused */
        return error_member("", "an event is needed as the body");
    TRY(report_split(call->arena, media, bytes, length, &work.slots, &work.count));
    check_sources(&work);
    if (work.provider) {
        TRY(look_up_places(&work));
        check_places(&work);
        TRY(check_prices(&work));
        TRY(check_subjects(&work));
        TRY(report_recall(call->db, call->arena, work.provider, work.slots, work.count));
    }
    if (!atomic || !any_refused(&work))
        TRY(report_take(call->db, call->arena, work.slots, work.count, call->now));
    if (media == MEDIA_EVENTS_ONE && work.slots[0].error)
        return refuse_one(work.slots[0].error);
    if (atomic && any_refused(&work))
        return refuse_all(&work);
    *ret_answer = (struct http_answer){.status = 200,
                                       .body = answer_json(&work),
                                       .audit_cloud = only_cloud(&work),
                                       .audit_subject = work.provider};
    return NULL;
}

static const struct http_route routes[] = {
    {"POST", "/v1/usage", take_usage, "usage:write", HTTP_EVENTS, "atomic"},
};

const struct http_table report_routes = HTTP_TABLE(routes);
