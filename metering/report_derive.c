/* Intervals from reports: which spans of time say something else now, what is there, what stands in its
 * place; see report_derive.h. A report speaks for the time from its moment to the next report's. Where the
 * state before it was the same, there is nothing to do: most reports of a meter that reports on schedule. */
#include "metering/report_derive.h"

#include <stdlib.h>
#include <string.h>

#include "broker/db/column.h"
#include "metering/fold.h"

/* The intervals of one resource under one unit. */
struct group {
    const char *unit, *resource;
    struct fold_region *regions;
    size_t region_count;
    struct span *old, *now;
    size_t old_count, now_count;
};

struct derivation {
    struct arena *arena;
    struct group *groups;
    size_t count;
};

static int by_time(const void *left, const void *right)
{
    const struct report *a = ((const struct known_report *)left)->report;
    const struct report *b = ((const struct known_report *)right)->report;
    int order = strcmp(a->subject, b->subject);
    if (!order)
        order = (a->at > b->at) - (a->at < b->at);
    if (!order)
        order = strcmp(a->sequence, b->sequence);
    if (!order)
        order = strcmp(a->id, b->id);
    return order ? order : strcmp(a->source, b->source);
}

static struct span *spans_of(struct arena *arena, const struct report *report)
{
    struct span *spans = arena_array(arena, report->count, sizeof *spans);
    for (size_t i = 0; i < report->count; i++) {
        bool whole_system = item_find(report->items[i].item)->free_micro > 0; /* report_read found it */
        spans[i] = (struct span){
            .tariff = report->items[i].tariff,
            .micro = report->items[i].micro,
            .system = report->system,
            .cloud = report->cloud,
            .provider = report->provider,
            .kind = report->kind,
            .industry = report->industry,
            .zone = whole_system ? "" : report->zone,
            .architecture = whole_system ? "" : report->architecture,
        };
        memcpy(spans[i].item, report->items[i].item, ITEM_CODE);
    }
    return spans;
}

/* The group of this unit among those of the resource that are being gathered, from `first` on. */
static struct group *group_of(struct derivation *work, size_t first, const char *unit, const char *resource,
                              size_t room)
{
    for (size_t i = first; i < work->count; i++)
        if (!strcmp(work->groups[i].unit, unit))
            return &work->groups[i];
    struct group *group = &work->groups[work->count++];
    *group = (struct group){.unit = unit, .resource = resource};
    group->regions = arena_array(work->arena, room, sizeof *group->regions);
    return group;
}

static void add_region(struct group *group, moment from, moment to, const struct span *spans, size_t count)
{
    group->regions[group->region_count++] = (struct fold_region){from, to, spans, count};
}

/* Reports of one resource, in order. */
static void gather(struct derivation *work, const struct known_report *list, size_t count)
{
    size_t first = work->count;
    const char *resource = report_resource(work->arena, list->report);
    for (size_t i = 0; i < count; i++) {
        const struct report *report = list[i].report;
        moment to = list[i].next;
        if (i + 1 < count && list[i + 1].report->at < to)
            to = list[i + 1].report->at;
        bool unchanged = list[i].before ? !strcmp(list[i].before, list[i].state_digest) : !report->count;
        if (to <= report->at || unchanged)
            continue;
        add_region(group_of(work, first, report->unit, resource, count), report->at, to,
                   spans_of(work->arena, report), report->count);
        if (list[i].before && strcmp(list[i].before_unit, report->unit) != 0)
            add_region(group_of(work, first, list[i].before_unit, resource, count), report->at, to, NULL, 0);
    }
}

/* From here on every statement has but one way to go, by its keys or its ORDER BY where nothing is sorted, so
 * it is planned once a connection. */
static const struct db_statement plan_once = {
    "report_plan_once", "SELECT set_config('plan_cache_mode', 'force_generic_plan', true),"
                        " set_config('enable_sort', 'off', true)"};
/* An interval that touches two regions comes twice. ORDER BY: by the index of ends. */
static const struct db_statement read_intervals = {
    "report_intervals",
    "SELECT g.g, i.item, i.tariff, i.micro, i.system_id, i.cloud_id, i.provider_id, i.kind, i.industry,"
    " i.zone_id, i.architecture, i.start_at, nullif(i.end_at, 'infinity')"
    " FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])"
    " AS g (g, unit, resource, since, until),"
    " LATERAL (SELECT * FROM usage_interval k WHERE k.unit_id = g.unit AND k.resource_id = g.resource"
    " AND k.end_at >= g.since AND k.start_at <= g.until ORDER BY k.end_at OFFSET 0) i ORDER BY g.g"};
/* What usage_interval_end does for one interval, for many. */
static const struct db_statement end_intervals = {
    "report_end_intervals",
    "WITH gone AS (DELETE FROM usage_interval i USING unnest($1::text[], $2::text[], $3::text[], $4::text[],"
    " $5::timestamptz[], $6::timestamptz[]) AS g (unit, resource, item, tariff, since, until)"
    " WHERE i.unit_id = g.unit AND i.resource_id = g.resource AND i.item = g.item AND i.tariff = g.tariff"
    " AND i.start_at = g.since AND i.end_at = 'infinity' AND i.origin = 'reported' RETURNING i.*, g.until)"
    " INSERT INTO usage_interval (unit_id, resource_id, item, tariff, start_at, end_at, micro, system_id,"
    " cloud_id, provider_id, kind, industry, zone_id, architecture, origin, known_from)"
    " SELECT unit_id, resource_id, item, tariff, start_at, until, micro, system_id, cloud_id, provider_id,"
    " kind, industry, zone_id, architecture, origin, known_from FROM gone"};
static const struct db_statement ending = {"report_ending",
                                           "SELECT set_config('yunqiao.usage_ending', $1, true)"};
static const struct db_statement delete_intervals = {
    "report_delete_intervals",
    "DELETE FROM usage_interval i USING unnest($1::text[], $2::text[], $3::text[], $4::text[],"
    " $5::timestamptz[], $6::timestamptz[]) AS g (unit, resource, item, tariff, since, until)"
    " WHERE i.unit_id = g.unit AND i.resource_id = g.resource AND i.item = g.item AND i.tariff = g.tariff"
    " AND i.start_at = g.since AND i.end_at = g.until AND i.origin = 'reported'"};
static const struct db_statement insert_intervals = {
    "report_insert_intervals",
    "INSERT INTO usage_interval (unit_id, resource_id, item, tariff, start_at, end_at, micro, system_id,"
    " cloud_id, provider_id, kind, industry, zone_id, architecture, origin)"
    " SELECT unit, resource, item, tariff, since, until, micro, system, cloud, provider, kind, industry,"
    " zone, architecture, 'reported' FROM unnest($1::text[], $2::text[], $3::text[], $4::text[],"
    " $5::timestamptz[], $6::timestamptz[], $7::bigint[], $8::text[], $9::text[], $10::text[], $11::text[],"
    " $12::text[], $13::text[], $14::text[]) AS u (unit, resource, item, tariff, since, until, micro, system,"
    " cloud, provider, kind, industry, zone, architecture)"};
static const struct db_statement note_changes = {
    "report_changes",
    "INSERT INTO usage_change (unit_id, system_id, cloud_id, provider_id, from_at)"
    " SELECT unit, system, cloud, provider, min(since) FROM unnest($1::text[], $2::text[], $3::text[],"
    " $4::text[], $5::timestamptz[]) AS u (unit, system, cloud, provider, since)"
    " GROUP BY unit, system, cloud, provider"};

enum { UNIT, RESOURCE, ITEM, TARIFF, SYSTEM, CLOUD, PROVIDER, KIND, INDUSTRY, ZONE, ARCHITECTURE, TEXTS };

/* Rows of a statement, by column. */
struct batch {
    struct db_column *texts[TEXTS];
    struct db_column *from, *to, *number; /* number: micro-units, or the group */
    size_t count;
};

static struct batch batch_new(struct arena *arena)
{
    struct batch batch = {.from = db_column_in(arena, DB_COLUMN_MOMENT),
                          .to = db_column_in(arena, DB_COLUMN_MOMENT),
                          .number = db_column_in(arena, DB_COLUMN_INT)};
    for (size_t i = 0; i < TEXTS; i++)
        batch.texts[i] = db_column_in(arena, DB_COLUMN_TEXT);
    return batch;
}

static struct db_value texts(const struct batch *batch, int column)
{
    return db_column_value(batch->texts[column]);
}

static struct db_value from_of(const struct batch *batch)
{
    return db_column_value(batch->from);
}

static struct db_value to_of(const struct batch *batch)
{
    return db_column_value(batch->to);
}

static struct db_value number_of(const struct batch *batch)
{
    return db_column_value(batch->number);
}

static void put(struct batch *batch, const struct group *group, const struct span *span, moment to)
{
    const char *const row[TEXTS] = {
        [UNIT] = group->unit,
        [RESOURCE] = group->resource,
        [ITEM] = span->item,
        [TARIFF] = tariff_name(span->tariff),
        [SYSTEM] = span->system,
        [CLOUD] = span->cloud,
        [PROVIDER] = span->provider,
        [KIND] = span->kind,
        [INDUSTRY] = span->industry,
        [ZONE] = span->zone,
        [ARCHITECTURE] = span->architecture,
    };
    for (size_t i = 0; i < TEXTS; i++)
        db_column_text(batch->texts[i], row[i]);
    db_column_moment(batch->from, span->from);
    db_column_end(batch->to, to);
    db_column_int(batch->number, span->micro);
    batch->count++;
}

static struct span read_span(const struct db_rows *rows, size_t row)
{
    struct span span = {
        .tariff = tariff_find(db_get_text(rows, row, 2)),
        .micro = db_get_int(rows, row, 3),
        .system = db_get_text(rows, row, 4),
        .cloud = db_get_text(rows, row, 5),
        .provider = db_get_text(rows, row, 6),
        .kind = db_get_text(rows, row, 7),
        .industry = db_get_text(rows, row, 8),
        .zone = db_get_text(rows, row, 9),
        .architecture = db_get_text(rows, row, 10),
        .from = db_get_moment(rows, row, 11),
        .to = db_is_null(rows, row, 12) ? MOMENT_MAX : db_get_moment(rows, row, 12),
    };
    memcpy(span.item, db_get_text(rows, row, 1), ITEM_CODE); /* four digits by the table's check */
    return span;
}

/* In order, and each once. */
static void settle(struct group *group)
{
    size_t count = 0;
    qsort(group->old, group->old_count, sizeof *group->old, span_compare);
    for (size_t i = 0; i < group->old_count; i++)
        if (!count || span_compare(&group->old[count - 1], &group->old[i]) != 0)
            group->old[count++] = group->old[i];
    group->old_count = count;
}

/* The intervals at every region into the groups. */
static struct error *read_old(struct db *db, struct derivation *work)
{
    struct arena *arena = work->arena;
    struct batch batch = batch_new(arena);
    DB_ROWS_AUTO struct db_rows *planned = NULL;
    struct db_rows *rows = NULL;
    for (size_t i = 0; i < work->count; i++)
        for (size_t k = 0; k < work->groups[i].region_count; k++) {
            const struct fold_region *region = &work->groups[i].regions[k];
            db_column_int(batch.number, (int64_t)i);
            db_column_text(batch.texts[UNIT], work->groups[i].unit);
            db_column_text(batch.texts[RESOURCE], work->groups[i].resource);
            db_column_moment(batch.from, region->from);
            db_column_end(batch.to, region->to);
        }
    TRY(db_query(db, &plan_once, DB_NO_VALUES, &planned));
    TRY(db_query_binary(db, &read_intervals,
                        DB_VALUES(number_of(&batch), texts(&batch, UNIT), texts(&batch, RESOURCE),
                                  from_of(&batch), to_of(&batch)),
                        &rows));
    db_hold(arena, rows);
    struct span *spans = arena_array(arena, db_count(rows), sizeof *spans);
    for (size_t row = 0; row < db_count(rows); row++) {
        struct group *group = &work->groups[db_get_int(rows, row, 0)];
        spans[row] = read_span(rows, row);
        if (!group->old_count++)
            group->old = &spans[row];
    }
    for (size_t i = 0; i < work->count; i++)
        if (work->groups[i].old_count)
            settle(&work->groups[i]);
    return NULL;
}

struct edits {
    struct batch ended, deleted, inserted, changes;
};

/* Walks both lists, which are in the same order, side by side. */
static void compare(const struct group *group, struct edits *edits)
{
    size_t o = 0, n = 0;
    while (o < group->old_count || n < group->now_count) {
        const struct span *old = o < group->old_count ? &group->old[o] : NULL;
        const struct span *now = n < group->now_count ? &group->now[n] : NULL;
        int order = !old ? 1 : !now ? -1 : span_compare(old, now);
        bool same = order == 0 && span_same(old, now);
        if (same && old->to != now->to && old->to == MOMENT_MAX)
            put(&edits->ended, group, old, now->to);
        else if (!same || old->to != now->to) {
            if (order <= 0)
                put(&edits->deleted, group, old, old->to);
            if (order >= 0)
                put(&edits->inserted, group, now, now->to);
        }
        o += order <= 0;
        n += order >= 0;
    }
}

/* From when on the unit's usage changed, for its next closing. */
static void note_change(const struct group *group, struct batch *changes)
{
    const struct span *first = group->now_count ? group->now : group->old;
    struct span any = {.system = first->system, .cloud = first->cloud, .provider = first->provider};
    any.from = MOMENT_MAX;
    for (size_t i = 0; i < group->region_count; i++)
        if (group->regions[i].from < any.from)
            any.from = group->regions[i].from;
    put(changes, group, &any, MOMENT_MAX);
}

static struct error *set_ending(struct db *db, const char *on)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    return db_query(db, &ending, DB_VALUES(db_text(on)), &rows);
}

/* Open intervals that end; to the triggers that is no rewriting. */
static struct error *end_open(struct db *db, const struct batch *ended)
{
    int64_t changed = 0;
    if (!ended->count)
        return NULL;
    TRY(set_ending(db, "on"));
    TRY(db_run(db, &end_intervals,
               DB_VALUES(texts(ended, UNIT), texts(ended, RESOURCE), texts(ended, ITEM), texts(ended, TARIFF),
                         from_of(ended), to_of(ended)),
               &changed));
    if (changed != (int64_t)ended->count)
        return error_new(ERR_INTERNAL, "%zu intervals should end and %lld did", ended->count,
                         (long long)changed);
    return set_ending(db, "off");
}

static struct error *write_edits(struct db *db, const struct edits *edits)
{
    const struct batch *ended = &edits->ended, *deleted = &edits->deleted, *in = &edits->inserted,
                       *changes = &edits->changes;
    int64_t changed = 0;
    if (deleted->count)
        TRY(db_run(db, &delete_intervals,
                   DB_VALUES(texts(deleted, UNIT), texts(deleted, RESOURCE), texts(deleted, ITEM),
                             texts(deleted, TARIFF), from_of(deleted), to_of(deleted)),
                   &changed));
    if (changed != (int64_t)deleted->count)
        return error_new(ERR_INTERNAL, "%zu intervals should go and %lld went", deleted->count,
                         (long long)changed);
    TRY(end_open(db, ended));
    if (in->count)
        TRY(db_run(db, &insert_intervals,
                   DB_VALUES(texts(in, UNIT), texts(in, RESOURCE), texts(in, ITEM), texts(in, TARIFF),
                             from_of(in), to_of(in), number_of(in), texts(in, SYSTEM), texts(in, CLOUD),
                             texts(in, PROVIDER), texts(in, KIND), texts(in, INDUSTRY), texts(in, ZONE),
                             texts(in, ARCHITECTURE)),
                   NULL));
    if (!changes->count)
        return NULL;
    return db_run(db, &note_changes,
                  DB_VALUES(texts(changes, UNIT), texts(changes, SYSTEM), texts(changes, CLOUD),
                            texts(changes, PROVIDER), from_of(changes)),
                  NULL);
}

struct error *report_derive(struct db *db, struct arena *arena, struct known_report *list, size_t count)
{
    struct derivation work = {.arena = arena, .groups = arena_array(arena, count * 2, sizeof(struct group))};
    if (!count)
        return NULL;
    qsort(list, count, sizeof *list, by_time);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && !strcmp(list[next].report->subject, list[i].report->subject);
             next++)
            ;
        gather(&work, &list[i], next - i);
    }
    if (!work.count)
        return NULL;
    TRY(read_old(db, &work));
    for (size_t i = 0; i < work.count; i++) {
        struct group *group = &work.groups[i];
        fold_apply(arena, group->old, group->old_count, group->regions, group->region_count, &group->now,
                   &group->now_count);
    }
    struct edits edits = {batch_new(arena), batch_new(arena), batch_new(arena), batch_new(arena)};
    for (size_t i = 0; i < work.count; i++) {
        size_t so_far = edits.ended.count + edits.deleted.count + edits.inserted.count;
        compare(&work.groups[i], &edits);
        if (edits.ended.count + edits.deleted.count + edits.inserted.count > so_far)
            note_change(&work.groups[i], &edits.changes);
    }
    return write_edits(db, &edits);
}
