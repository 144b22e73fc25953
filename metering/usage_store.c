/* SQL of usage intervals, and the steps of usage_set; see usage.h. */
#include <string.h>

#include "broker/base/money.h"
#include "metering/usage.h"

static const struct db_statement open_intervals = {
    "usage_open",
    "SELECT item, micro, system_id, cloud_id, provider_id, start_at, tariff, industry, zone_id, architecture,"
    " (SELECT nullif(until, '-infinity') FROM usage_archived)"
    " FROM usage_interval WHERE unit_id = $1 AND resource_id = $2 AND end_at = 'infinity'"
    " ORDER BY item, tariff FOR UPDATE"};
static const struct db_statement latest_change = {
    "usage_latest", "SELECT max(CASE end_at WHEN 'infinity' THEN start_at ELSE end_at END),"
                    " (SELECT nullif(until, '-infinity') FROM usage_archived) FROM usage_interval"
                    " WHERE unit_id = $1 AND resource_id = $2"};
static const struct db_statement drop_empty = {
    "usage_drop_empty",
    "WITH gone AS (DELETE FROM usage_interval WHERE unit_id = $1 AND resource_id = $2"
    " AND item = $3 AND tariff = $4 AND start_at = $5 AND end_at = 'infinity' RETURNING 1)"
    " SELECT EXISTS (SELECT FROM gone)"};
static const struct db_statement end_interval = {"usage_end_one",
                                                 "SELECT usage_interval_end($1, $2, $3, $4, $5, $6)"};
static const struct db_statement add_interval = {
    "usage_add",
    "INSERT INTO usage_interval (unit_id, system_id, cloud_id, provider_id, resource_id, kind, item, tariff,"
    " micro, start_at, industry, zone_id, architecture)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"};

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Ends the open interval of a row, or drops it when it would have no length. */
static struct error *end_row(struct db *db, const char *unit, const char *resource,
                             const struct db_rows *rows, size_t row, moment at)
{
    const char *item = db_get_text(rows, row, 0), *tariff = db_get_text(rows, row, 6);
    moment start = db_get_moment(rows, row, 5);
    DB_ROWS_AUTO struct db_rows *done = NULL;
    if (start == at)
        TRY(db_query(
            db, &drop_empty,
            DB_VALUES(db_text(unit), db_text(resource), db_text(item), db_text(tariff), db_moment(start)),
            &done));
    else
        TRY(db_query(db, &end_interval,
                     DB_VALUES(db_text(unit), db_text(resource), db_text(item), db_text(tariff),
                               db_moment(start), db_moment(at)),
                     &done));
    return db_get_bool(done, 0, 0) ? NULL
                                   : error_new(ERR_CONFLICT, "the usage of %s changed meanwhile", resource);
}

static struct error *too_early(const char *resource, moment at, moment last)
{
    char asked[MOMENT_TEXT], known[MOMENT_TEXT];
    moment_format(at, asked);
    moment_format(last, known);
    return error_new(ERR_CONFLICT, "usage of %s cannot change at %s: it is known up to %s", resource, asked,
                     known);
}

static struct error *check_items(const struct item_quantity *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].micro < 0 || items[i].micro > QUANTITY_MAX || !item_find(items[i].item))
            return error_new(ERR_INTERNAL, "usage of item %s out of range", items[i].item);
        if (items[i].tariff == TARIFF_ALLOWANCE)
            return error_new(ERR_INTERNAL, "usage of item %s under a tariff of rating's", items[i].item);
        for (size_t j = 0; j < i; j++)
            if (!strcmp(items[i].item, items[j].item) && items[i].tariff == items[j].tariff)
                return error_new(ERR_INTERNAL, "item %s twice in one usage", items[i].item);
    }
    return NULL;
}

/* Where an item of the subject is used. */
struct place {
    const char *industry, *zone, *architecture;
};

static struct place place_of(const struct usage_subject *subject, const char *item)
{
    bool whole_system = item_find(item)->free_micro > 0; /* check_items found it */
    return (struct place){.industry = or_empty(subject->industry),
                          .zone = whole_system ? "" : or_empty(subject->zone),
                          .architecture = whole_system ? "" : or_empty(subject->architecture)};
}

static bool same_owner(const struct usage_subject *subject, const struct db_rows *rows, size_t row)
{
    struct place place = place_of(subject, db_get_text(rows, row, 0));
    return !strcmp(subject->system, db_get_text(rows, row, 2)) &&
           !strcmp(subject->cloud, db_get_text(rows, row, 3)) &&
           !strcmp(subject->provider, db_get_text(rows, row, 4)) &&
           !strcmp(place.industry, db_get_text(rows, row, 7)) &&
           !strcmp(place.zone, db_get_text(rows, row, 8)) &&
           !strcmp(place.architecture, db_get_text(rows, row, 9));
}

/* Index of the wanted item that the open row already is, or `count`. */
static size_t matching(const struct usage_subject *subject, const struct item_quantity *items, size_t count,
                       const struct db_rows *rows, size_t row)
{
    size_t i = 0;
    while (i < count && (strcmp(items[i].item, db_get_text(rows, row, 0)) != 0 ||
                         items[i].tariff != tariff_find(db_get_text(rows, row, 6)) ||
                         items[i].micro != db_get_int(rows, row, 1) || !same_owner(subject, rows, row)))
        i++;
    return i;
}

/* What is archived cannot be rated again, so it cannot change. */
static struct error *refuse_archived(const char *resource, moment at, moment archived)
{
    char asked[MOMENT_TEXT], until[MOMENT_TEXT];
    if (!archived || at > archived)
        return NULL;
    moment_format(at, asked);
    moment_format(archived, until);
    return error_new(ERR_CONFLICT, "usage of %s cannot change at %s: usage up to %s is archived", resource,
                     asked, until);
}

/* Up to when the resource is known, and up to when all usage is archived; 0: neither. */
static struct error *known_until(struct db *db, const char *unit, const char *resource, moment *ret_latest,
                                 moment *ret_archived)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &latest_change, DB_VALUES(db_text(unit), db_text(resource)), &rows));
    *ret_latest = db_get_moment(rows, 0, 0);
    *ret_archived = db_get_moment(rows, 0, 1);
    return NULL;
}

struct error *usage_moment(struct db *db, const char *unit, const char *resource, moment now, moment *ret_at)
{
    moment latest, archived;
    TRY(known_until(db, unit, resource, &latest, &archived));
    moment first = archived && archived >= latest ? archived + 1 : latest;
    *ret_at = first > now ? first : now;
    return NULL;
}

static struct error *refuse_past(struct db *db, const char *unit, const char *resource, moment at)
{
    moment latest, archived;
    TRY(known_until(db, unit, resource, &latest, &archived));
    TRY(refuse_archived(resource, at, archived));
    return latest > at ? too_early(resource, at, latest) : NULL;
}

static struct error *add_item(struct db *db, const struct usage_subject *subject,
                              const struct item_quantity *item, moment at)
{
    struct place place = place_of(subject, item->item);
    return error_wrap(
        db_run(db, &add_interval,
               DB_VALUES(db_text(subject->unit), db_text(subject->system), db_text(subject->cloud),
                         db_text(subject->provider), db_text(subject->resource), db_text(subject->kind),
                         db_text(item->item), db_text(tariff_name(item->tariff)), db_int(item->micro),
                         db_moment(at), db_text(place.industry), db_text(place.zone),
                         db_text(place.architecture)),
               NULL),
        "could not open usage of item %s", item->item);
}

struct error *usage_set(struct db *db, const struct usage_subject *subject, const struct item_quantity *items,
                        size_t count, moment at)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    bool open[ITEM_COUNT * TARIFF_COUNT] = {false}; /* each item at most once a tariff */
    TRY(check_items(items, count));
    TRY(db_query(db, &open_intervals, DB_VALUES(db_text(subject->unit), db_text(subject->resource)), &rows));
    TRY(refuse_past(db, subject->unit, subject->resource, at));
    for (size_t row = 0; row < db_count(rows); row++) {
        size_t match = matching(subject, items, count, rows, row);
        if (match < count)
            open[match] = true;
        else
            TRY(end_row(db, subject->unit, subject->resource, rows, row, at));
    }
    for (size_t i = 0; i < count; i++)
        if (!open[i] && items[i].micro)
            TRY(add_item(db, subject, &items[i], at));
    return NULL;
}

struct error *usage_end(struct db *db, const char *unit, const char *resource, moment at)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &open_intervals, DB_VALUES(db_text(unit), db_text(resource)), &rows));
    for (size_t row = 0; row < db_count(rows); row++)
        if (db_get_moment(rows, row, 5) > at)
            return too_early(resource, at, db_get_moment(rows, row, 5));
    if (db_count(rows))
        TRY(refuse_archived(resource, at, db_get_moment(rows, 0, 10)));
    for (size_t row = 0; row < db_count(rows); row++)
        TRY(end_row(db, unit, resource, rows, row, at));
    return NULL;
}

#define COLUMNS                                                                      \
    "unit_id, system_id, cloud_id, provider_id, resource_id, item, micro, start_at," \
    " nullif(end_at, 'infinity'), kind, tariff, industry, zone_id, architecture"
#define ORDER " ORDER BY unit_id, resource_id, item, tariff, start_at"

static const struct db_statement list_usage = {
    "usage_list",
    "SELECT " COLUMNS " FROM usage_interval"
    " WHERE ($1::text IS NULL OR unit_id = $1) AND ($2::text IS NULL OR system_id = $2)"
    " AND ($3::text IS NULL OR cloud_id = $3) AND ($4::text IS NULL OR provider_id = $4)"
    " AND ($5::text IS NULL OR resource_id = $5) AND ($6::text IS NULL OR item = $6)"
    " AND end_at > $7 AND start_at < $8"
    " AND ($9::text IS NULL OR (unit_id, resource_id, item, tariff, start_at) > ($9, $10::text, $11::text,"
    " $12::text, $13))" ORDER " LIMIT $14"};
static const struct db_statement unit_intervals = {
    "usage_of_unit", "SELECT " COLUMNS " FROM usage_interval WHERE unit_id = $1 AND end_at > $2"
                     " AND start_at < $3" ORDER};
static const struct db_statement all_intervals = {
    "usage_of_all", "SELECT " COLUMNS " FROM usage_interval WHERE end_at > $1 AND start_at < $2" ORDER};

static const struct db_statement units_intervals = {
    "usage_of_units",
    "SELECT unit_id, system_id, cloud_id, provider_id, resource_id, item, micro, start_at, end_at, tariff,"
    " industry, zone_id, architecture FROM usage_interval"
    " WHERE unit_id = ANY ($1) AND end_at > $2 AND start_at < $3"};

static struct rate_interval read_interval(struct arena *arena, const struct db_rows *rows, size_t row)
{
    struct rate_interval interval = {
        .unit = arena_strdup(arena, db_get_text(rows, row, 0)),
        .system = arena_strdup(arena, db_get_text(rows, row, 1)),
        .cloud = arena_strdup(arena, db_get_text(rows, row, 2)),
        .provider = arena_strdup(arena, db_get_text(rows, row, 3)),
        .resource = arena_strdup(arena, db_get_text(rows, row, 4)),
        .micro = db_get_int(rows, row, 6),
        .from = db_get_moment(rows, row, 7),
        .to = db_is_null(rows, row, 8) ? MOMENT_MAX : db_get_moment(rows, row, 8),
        .tariff = tariff_find(db_get_text(rows, row, 10)),
        .industry = arena_strdup(arena, db_get_text(rows, row, 11)),
        .zone = arena_strdup(arena, db_get_text(rows, row, 12)),
        .architecture = arena_strdup(arena, db_get_text(rows, row, 13)),
    };
    memcpy(interval.item, db_get_text(rows, row, 5), ITEM_CODE); /* four digits by the table's check */
    return interval;
}

struct error *usage_list(struct db *db, struct arena *arena, const struct usage_filter *filter,
                         const struct usage_cursor *after, int64_t most, struct usage_row **ret_list,
                         size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    const struct usage_cursor none = {.from = MOMENT_MIN}, *cursor = after ? after : &none;
    TRY(db_query(db, &list_usage,
                 DB_VALUES(db_text(filter->unit), db_text(filter->system), db_text(filter->cloud),
                           db_text(filter->provider), db_text(filter->resource), db_text(filter->item),
                           db_moment(filter->from ? filter->from : MOMENT_MIN),
                           db_moment(filter->to ? filter->to : MOMENT_MAX), db_text(cursor->unit),
                           db_text(cursor->resource), db_text(cursor->item), db_text(cursor->tariff),
                           db_moment(cursor->from), db_int(most)),
                 &rows));
    size_t count = db_count(rows);
    struct usage_row *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct usage_row){.interval = read_interval(arena, rows, i),
                                     .kind = arena_strdup(arena, db_get_text(rows, i, 9))};
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

struct error *usage_intervals(struct db *db, struct arena *arena, const char *unit, moment from, moment to,
                              struct rate_interval **ret_list, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    if (unit)
        TRY(db_query(db, &unit_intervals, DB_VALUES(db_text(unit), db_moment(from), db_moment(to)), &rows));
    else
        TRY(db_query(db, &all_intervals, DB_VALUES(db_moment(from), db_moment(to)), &rows));
    size_t count = db_count(rows);
    struct rate_interval *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = read_interval(arena, rows, i);
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

/* Equal texts of a column as one pointer, nearly always: whoever sorts intervals by them compares pointers
 * first. */
#define SAME_SLOTS 256
struct same {
    const char *last, *slots[SAME_SLOTS];
};

static const char *same_text(struct same *same, const char *text)
{
    uint32_t hash = 2166136261; /* FNV-1a */
    if (same->last && !strcmp(same->last, text))
        return same->last;
    for (const char *at = text; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619;
    const char **slot = &same->slots[hash % SAME_SLOTS];
    if (!*slot || strcmp(*slot, text) != 0)
        *slot = text;
    return same->last = *slot;
}

enum { UNIT, SYSTEM, CLOUD, PROVIDER, RESOURCE, INDUSTRY, ZONE, ARCHITECTURE, SAME_COLUMNS };

struct error *usage_of_units(struct db *db, struct arena *arena, const char *const *units, size_t unit_count,
                             moment from, moment to, struct rate_interval **ret_list, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query_binary(db, &units_intervals,
                        DB_VALUES(db_texts(units, unit_count), db_moment(from), db_moment(to)), &rows));
    (void)db_hold(arena, rows);
    size_t count = db_count(rows);
    struct rate_interval *list = arena_array(arena, count, sizeof *list);
    struct same *same = arena_array(arena, SAME_COLUMNS, sizeof *same);
    for (size_t i = 0; i < count; i++) {
        list[i] = (struct rate_interval){
            .unit = same_text(&same[UNIT], db_get_text(rows, i, 0)),
            .system = same_text(&same[SYSTEM], db_get_text(rows, i, 1)),
            .cloud = same_text(&same[CLOUD], db_get_text(rows, i, 2)),
            .provider = same_text(&same[PROVIDER], db_get_text(rows, i, 3)),
            .resource = same_text(&same[RESOURCE], db_get_text(rows, i, 4)),
            .micro = db_get_int(rows, i, 6),
            .from = db_get_moment(rows, i, 7),
            .to = db_get_end(rows, i, 8),
            .tariff = tariff_find(db_get_text(rows, i, 9)),
            .industry = same_text(&same[INDUSTRY], db_get_text(rows, i, 10)),
            .zone = same_text(&same[ZONE], db_get_text(rows, i, 11)),
            .architecture = same_text(&same[ARCHITECTURE], db_get_text(rows, i, 12)),
        };
        memcpy(list[i].item, db_get_text(rows, i, 5), ITEM_CODE); /* four digits by the table's check */
    }
    *ret_list = list;
    *ret_count = count;
    return NULL;
}
