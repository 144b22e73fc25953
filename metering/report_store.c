/* SQL of reported usage, and the steps that make intervals of reports; see report.h. A batch costs a handful
 * of statements whatever its size: look up what is known of its ids and of the states before and after each,
 * insert, and, only where a report changes anything, read the intervals there, fold (fold.h), write back.
 *
 * Reports of one provider take turns by a lock of the transaction, taken before anything is read: so what is
 * looked up cannot change until the commit, and an id that is not there cannot come. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/buf.h"
#include "broker/base/digest.h"
#include "broker/base/json.h"
#include "broker/db/column.h"
#include "metering/archive.h"
#include "metering/report_derive.h"

/* Also has the transaction's statements planned anew, and by index: a plan made while the journal was small
 * would read all of it for every event once it is large, until somebody analyzes the table. */
static const struct db_statement take_turn = {
    "report_lock",
    "SELECT pg_advisory_xact_lock(hashtextextended('usage_event ' || $1, 0))::text,"
    " set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true),"
    " set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),"
    " set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"};

/* `l` is the resource's last report, the one before most that come; only a late report is looked for
 * among the others. */
static const struct db_statement look_up = {
    "report_look_up",
    "SELECT encode(e.digest, 'hex'), encode(CASE WHEN l.later THEN b.state_digest ELSE l.state_digest END,"
    " 'hex'), CASE WHEN l.later THEN b.unit_id ELSE l.unit_id END, a.occurred_at"
    " FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[]) WITH ORDINALITY"
    " AS g (source, id, subject, at, sequence, n)"
    " LEFT JOIN LATERAL (SELECT digest FROM usage_event k WHERE k.provider_id = $1 AND k.source = g.source"
    " AND k.event_id = g.id LIMIT 1) e ON true"
    " LEFT JOIN LATERAL (SELECT state_digest, unit_id, (t.occurred_at, t.sequence, t.event_id, t.source)"
    " >= (g.at, g.sequence, g.id, g.source) AS later FROM usage_event t WHERE t.provider_id = $1"
    " AND t.subject = g.subject AND t.state = 'counted' ORDER BY t.occurred_at DESC, t.sequence DESC,"
    " t.event_id DESC, t.source DESC LIMIT 1) l ON true"
    " LEFT JOIN LATERAL (SELECT state_digest, unit_id FROM usage_event p WHERE l.later AND p.provider_id = $1"
    " AND p.subject = g.subject AND p.state = 'counted' AND p.occurred_at <= g.at"
    " AND (p.occurred_at, p.sequence, p.event_id, p.source) < (g.at, g.sequence, g.id, g.source)"
    " ORDER BY p.occurred_at DESC, p.sequence DESC, p.event_id DESC, p.source DESC LIMIT 1) b ON true"
    " LEFT JOIN LATERAL (SELECT occurred_at FROM usage_event f WHERE l.later AND f.provider_id = $1"
    " AND f.subject = g.subject AND f.state = 'counted' AND f.occurred_at >= g.at"
    " AND (f.occurred_at, f.sequence, f.event_id, f.source) > (g.at, g.sequence, g.id, g.source)"
    " ORDER BY f.occurred_at, f.sequence, f.event_id, f.source LIMIT 1) a ON true ORDER BY g.n"};

static const struct db_statement recall = {
    "report_recall", "SELECT g.slot::bigint FROM unnest($2::text[], $3::text[], $4::text[]) AS g (slot,"
                     " source, id) JOIN usage_event e ON e.provider_id = $1 AND e.source = g.source"
                     " AND e.event_id = g.id"};

static const struct db_statement insert_events = {
    "report_insert",
    "INSERT INTO usage_event (provider_id, source, event_id, unit_id, system_id, cloud_id, industry, subject,"
    " occurred_at, sequence, received_at, digest, state_digest, state, body)"
    " SELECT $1, source, id, unit, system, cloud, industry, subject, at, sequence, $2, decode(digest, 'hex'),"
    " decode(said, 'hex'), state, body FROM unnest($3::text[], $4::text[], $5::text[], $6::text[],"
    " $7::text[], $8::text[], $9::text[], $10::timestamptz[], $11::text[], $12::text[], $13::text[],"
    " $14::text[], $15::text[]) AS u (source, id, unit, system, cloud, industry, subject, at, sequence, "
    "digest, said,"
    " state, body)"};

static const struct db_statement due_provider = {
    "report_due_provider",
    "SELECT provider_id FROM usage_event WHERE state = 'quarantined' AND occurred_at <= $1"
    " ORDER BY occurred_at LIMIT 1"};
static const struct db_statement due_events = {
    "report_due", "SELECT body, industry FROM usage_event WHERE state = 'quarantined' AND occurred_at <= $2"
                  " AND provider_id = $1 ORDER BY occurred_at, source, event_id LIMIT $3"};
static const struct db_statement one_event = {
    "report_one",
    "SELECT body, industry, state, provider_id, cloud_id FROM usage_event WHERE source = $1 AND event_id = $2"
    " AND provider_id = split_part($1, '/', 3)"};
static const struct db_statement mark_counted = {
    "report_count",
    "UPDATE usage_event e SET state = 'counted', decided_at = $2 FROM unnest($3::text[], $4::text[]) AS u"
    " (source, id) WHERE e.provider_id = $1 AND e.source = u.source AND e.event_id = u.id"
    " AND e.state = 'quarantined'"};
static const struct db_statement mark_discarded = {
    "report_discard", "UPDATE usage_event SET state = 'discarded', decided_at = $4 WHERE provider_id = $1"
                      " AND source = $2 AND event_id = $3 AND state = 'quarantined'"};

static struct error *lock_provider(struct db *db, const char *provider)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    return db_query(db, &take_turn, DB_VALUES(db_text(provider)), &rows);
}

/* What a report says of usage, whenever and under whatever id. */
static const char *state_digest(struct arena *arena, const struct report *report)
{
    BUF_AUTO struct buf text = BUF_INIT(REPORT_ITEMS_MAX * 64 + 1024);
    char *digest = arena_alloc(arena, DIGEST_HEX);
    buf_printf(&text, "%s|%s|%s|%s|%s|%s|%s", report->unit, report->system, report->cloud, report->industry,
               report->zone, report->architecture, report->kind);
    for (size_t i = 0; i < report->count; i++)
        buf_printf(&text, "|%s %d %lld", report->items[i].item, (int)report->items[i].tariff,
                   (long long)report->items[i].micro);
    digest_sm3(text.data, text.length, digest);
    return digest;
}

static struct db_value column(struct arena *arena, const struct known_report *list, size_t count,
                              const char *(*of)(const struct known_report *known))
{
    struct db_column *texts = db_column_in(arena, DB_COLUMN_TEXT);
    for (size_t i = 0; i < count; i++)
        db_column_text(texts, of(&list[i]));
    return db_column_value(texts);
}

static struct db_value moments(struct arena *arena, const struct known_report *list, size_t count)
{
    struct db_column *at = db_column_in(arena, DB_COLUMN_MOMENT);
    for (size_t i = 0; i < count; i++)
        db_column_moment(at, list[i].report->at);
    return db_column_value(at);
}

#define COLUMN(name, value)                                   \
    static const char *name(const struct known_report *known) \
    {                                                         \
        return value;                                         \
    }
COLUMN(of_source, known->report->source)
COLUMN(of_id, known->report->id)
COLUMN(of_unit, known->report->unit)
COLUMN(of_system, known->report->system)
COLUMN(of_cloud, known->report->cloud)
COLUMN(of_industry, known->report->industry)
COLUMN(of_subject, known->report->subject)
COLUMN(of_sequence, known->report->sequence)
COLUMN(of_digest, known->report->digest)
COLUMN(of_state_digest, known->state_digest)
COLUMN(of_state, known->quarantined ? "quarantined" : "counted")
COLUMN(of_text, known->report->text)

/* Fills in what the database knows of each. */
static struct error *find_known(struct db *db, struct arena *arena, const char *provider,
                                struct known_report *list, size_t count)
{
    struct db_rows *rows = NULL;
    TRY(db_query(db, &look_up,
                 DB_VALUES(db_text(provider), column(arena, list, count, of_source),
                           column(arena, list, count, of_id), column(arena, list, count, of_subject),
                           moments(arena, list, count), column(arena, list, count, of_sequence)),
                 &rows));
    db_hold(arena, rows);
    if (db_count(rows) != count)
        return error_new(ERR_INTERNAL, "%zu reports were looked up and %zu found", count, db_count(rows));
    for (size_t i = 0; i < count; i++) {
        list[i].known_digest = db_get_text(rows, i, 0);
        list[i].before = db_get_text(rows, i, 1);
        list[i].before_unit = db_get_text(rows, i, 2);
        list[i].next = db_is_null(rows, i, 3) ? MOMENT_MAX : db_get_moment(rows, i, 3);
        list[i].state_digest = state_digest(arena, list[i].report);
    }
    return NULL;
}

static struct error *insert_new(struct db *db, struct arena *arena, const char *provider,
                                const struct known_report *list, size_t count, moment now)
{
    if (!count)
        return NULL;
    return db_run(db, &insert_events,
                  DB_VALUES(db_text(provider), db_moment(now), column(arena, list, count, of_source),
                            column(arena, list, count, of_id), column(arena, list, count, of_unit),
                            column(arena, list, count, of_system), column(arena, list, count, of_cloud),
                            column(arena, list, count, of_industry), column(arena, list, count, of_subject),
                            moments(arena, list, count), column(arena, list, count, of_sequence),
                            column(arena, list, count, of_digest),
                            column(arena, list, count, of_state_digest), column(arena, list, count, of_state),
                            column(arena, list, count, of_text)),
                  NULL);
}

static int by_id(const void *left, const void *right)
{
    const struct known_report *a = left, *b = right;
    int order = strcmp(a->report->source, b->report->source);
    if (!order)
        order = strcmp(a->report->id, b->report->id);
    return order ? order : (a->slot > b->slot) - (a->slot < b->slot);
}

static bool same_id(const struct known_report *a, const struct known_report *b)
{
    return !strcmp(a->report->source, b->report->source) && !strcmp(a->report->id, b->report->id);
}

/* Duplicates and conflicts get their outcome; the rest moves to the front and is counted. Within one batch
 * the first of an id is the one that stands. */
static size_t sort_out(struct arena *arena, struct known_report *list, size_t count)
{
    size_t fresh = 0;
    qsort(list, count, sizeof *list, by_id);
    for (size_t i = 0; i < count; i++) {
        const char *known = list[i].known_digest;
        if (!known && fresh && same_id(&list[fresh - 1], &list[i]))
            known = list[fresh - 1].report->digest;
        if (known && !strcmp(known, list[i].report->digest))
            list[i].slot->outcome = REPORT_DUPLICATE;
        else if (known)
            report_refuse(
                arena, list[i].slot,
                error_new(ERR_CONFLICT, "an event with this source and id and another payload is known"));
        else
            list[fresh++] = list[i];
    }
    return fresh;
}

static const char *one_provider(struct arena *arena, struct report_slot *slots, size_t count)
{
    const char *provider = NULL;
    for (size_t i = 0; i < count; i++) {
        if (slots[i].error)
            continue;
        if (!provider)
            provider = slots[i].report.provider;
        else if (strcmp(provider, slots[i].report.provider) != 0)
            report_refuse(arena, &slots[i],
                          error_member("/source", "must be of the provider of the first event of this call"));
    }
    return provider;
}

static void refuse_far(struct arena *arena, struct report_slot *slots, size_t count, moment now)
{
    for (size_t i = 0; i < count; i++)
        if (!slots[i].error && slots[i].report.at > now + REPORT_AHEAD_MAX)
            report_refuse(arena, &slots[i], error_member("/time", "is more than 366 days ahead"));
}

/* What is archived cannot be rated again (archive.h): new reports of it are refused, and leave the list. */
static struct error *refuse_archived(struct db *db, struct arena *arena, struct known_report *list,
                                     moment now, size_t *count)
{
    struct archive_bounds bounds = {0};
    size_t kept = 0;
    bool old = false;
    for (size_t i = 0; i < *count; i++)
        old = old || list[i].report->at < now - ARCHIVE_AGE_LEAST;
    if (old)
        TRY(archive_bounds(db, &bounds));
    for (size_t i = 0; i < *count; i++) {
        if (bounds.usage && list[i].report->at <= bounds.usage && !list[i].known_digest)
            report_refuse(arena, list[i].slot,
                          error_member("/time", "is archived: usage up to %s cannot change any more",
                                       moment_text(arena, bounds.usage)));
        else
            list[kept++] = list[i];
    }
    *count = kept;
    return NULL;
}

struct error *report_recall(struct db *db, struct arena *arena, const char *provider,
                            struct report_slot *slots, size_t count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    const char **columns[3];
    size_t refused = 0;
    for (size_t k = 0; k < 3; k++)
        columns[k] = arena_array(arena, count, sizeof *columns[k]);
    for (size_t i = 0; i < count; i++) {
        const struct report *report = &slots[i].report;
        if (!slots[i].error || !report->digest || strcmp(report->provider, provider) != 0)
            continue;
        columns[0][refused] = arena_printf(arena, "%zu", i);
        columns[1][refused] = report->source;
        columns[2][refused++] = report->id;
    }
    if (!refused)
        return NULL;
    TRY(db_query(db, &recall,
                 DB_VALUES(db_text(provider), db_texts(columns[0], refused), db_texts(columns[1], refused),
                           db_texts(columns[2], refused)),
                 &rows));
    for (size_t row = 0; row < db_count(rows); row++)
        slots[db_get_int(rows, row, 0)].error = NULL; /* the arena frees it */
    return NULL;
}

struct error *report_take(struct db *db, struct arena *arena, struct report_slot *slots, size_t count,
                          moment now)
{
    refuse_far(arena, slots, count, now);
    const char *provider = one_provider(arena, slots, count);
    if (!provider)
        return NULL;
    struct known_report *list = arena_array(arena, count, sizeof *list);
    size_t good = 0, ready = 0;
    for (size_t i = 0; i < count; i++)
        if (!slots[i].error)
            list[good++] = (struct known_report){.slot = &slots[i], .report = &slots[i].report};
    TRY(lock_provider(db, provider));
    TRY(find_known(db, arena, provider, list, good));
    TRY(refuse_archived(db, arena, list, now, &good));
    good = sort_out(arena, list, good);
    for (size_t i = 0; i < good; i++) {
        list[i].quarantined = list[i].report->at > now + REPORT_AHEAD;
        list[i].slot->outcome = list[i].quarantined ? REPORT_QUARANTINED : REPORT_COUNTED;
    }
    TRY(insert_new(db, arena, provider, list, good, now));
    for (size_t i = 0; i < good; i++)
        if (!list[i].quarantined)
            list[ready++] = list[i];
    return report_derive(db, arena, list, ready);
}

/* Kept events of one provider as reports again. They were read once, so they read. */
static struct error *read_kept(struct arena *arena, const struct db_rows *rows, struct known_report *list)
{
    for (size_t i = 0; i < db_count(rows); i++) {
        const char *text = db_get_text(rows, i, 0);
        struct report *report = arena_alloc(arena, sizeof *report);
        json_t *json;
        TRY_DOING(json_parse_in(arena, text, strlen(text), &json), "a kept event");
        TRY_DOING(report_read(arena, json, report), "a kept event");
        report->industry = arena_strdup(arena, db_get_text(rows, i, 1));
        list[i] = (struct known_report){.report = report};
    }
    return NULL;
}

static struct error *count_kept(struct db *db, struct arena *arena, const char *provider,
                                const struct db_rows *rows, moment now)
{
    size_t count = db_count(rows);
    int64_t changed;
    if (!count)
        return NULL;
    struct known_report *list = arena_array(arena, count, sizeof *list);
    TRY(read_kept(arena, rows, list));
    TRY(find_known(db, arena, provider, list, count));
    TRY(db_run(db, &mark_counted,
               DB_VALUES(db_text(provider), db_moment(now), column(arena, list, count, of_source),
                         column(arena, list, count, of_id)),
               &changed));
    if (changed != (int64_t)count)
        return error_new(ERR_CONFLICT, "a quarantined event was decided meanwhile");
    return report_derive(db, arena, list, count);
}

struct error *report_take_due(struct db *db, struct arena *arena, moment now, bool *ret_more)
{
    DB_ROWS_AUTO struct db_rows *first = NULL, *rows = NULL;
    moment until = now + REPORT_AHEAD;
    *ret_more = false;
    TRY(db_query(db, &due_provider, DB_VALUES(db_moment(until)), &first));
    if (!db_count(first))
        return NULL;
    const char *provider = db_get_text(first, 0, 0);
    TRY(lock_provider(db, provider));
    TRY(db_query(db, &due_events, DB_VALUES(db_text(provider), db_moment(until), db_int(REPORT_BATCH_MAX)),
                 &rows));
    TRY(count_kept(db, arena, provider, rows, now));
    *ret_more = true;
    return NULL;
}

/* The event, with its provider's turn taken; the rows live as long as the arena. */
static struct error *find_one(struct db *db, struct arena *arena, const char *source, const char *id,
                              struct db_rows **ret_rows)
{
    DB_ROWS_AUTO struct db_rows *seen = NULL;
    TRY(db_query_one(db, &one_event, DB_VALUES(db_text(source), db_text(id)), "such usage event", &seen));
    TRY(lock_provider(db, db_get_text(seen, 0, 3)));
    struct db_rows *rows;
    TRY(db_query_one(db, &one_event, DB_VALUES(db_text(source), db_text(id)), "such usage event", &rows));
    *ret_rows = db_hold(arena, rows);
    return NULL;
}

struct error *report_release(struct db *db, struct arena *arena, const char *source, const char *id,
                             moment now, const char **ret_cloud)
{
    struct db_rows *rows;
    TRY(find_one(db, arena, source, id, &rows));
    *ret_cloud = db_get_text(rows, 0, 4);
    const char *state = db_get_text(rows, 0, 2);
    if (!strcmp(state, "counted"))
        return NULL;
    if (strcmp(state, "quarantined") != 0)
        return error_new(ERR_CONFLICT, "the event is %s already", state);
    return count_kept(db, arena, db_get_text(rows, 0, 3), rows, now);
}

struct error *report_discard(struct db *db, struct arena *arena, const char *source, const char *id,
                             moment now, const char **ret_cloud)
{
    struct db_rows *rows;
    TRY(find_one(db, arena, source, id, &rows));
    *ret_cloud = db_get_text(rows, 0, 4);
    const char *state = db_get_text(rows, 0, 2);
    if (!strcmp(state, "discarded"))
        return NULL;
    if (strcmp(state, "quarantined") != 0)
        return error_new(ERR_CONFLICT, "the event is %s already", state);
    return db_run(db, &mark_discarded,
                  DB_VALUES(db_text(db_get_text(rows, 0, 3)), db_text(source), db_text(id), db_moment(now)),
                  NULL);
}

static const struct db_statement list_events = {
    "report_list", "SELECT provider_id, source, event_id, subject, unit_id, system_id, cloud_id, state,"
                   " encode(digest, 'hex'), occurred_at, received_at, body FROM usage_event"
                   " WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR provider_id = $2)"
                   " AND ($3::text IS NULL OR source = $3) AND ($4::text IS NULL OR subject = $4)"
                   " AND ($5::text IS NULL OR unit_id = $5) AND ($6::text IS NULL OR cloud_id = $6)"
                   " AND ($7::text IS NULL OR (provider_id, source, event_id) > ($7, $8::text, $9::text))"
                   " ORDER BY provider_id, source, event_id LIMIT $10"};

struct error *report_list(struct db *db, struct arena *arena, const struct report_filter *filter,
                          const char *after_provider, const char *after_source, const char *after_id,
                          int64_t most, struct report_row **ret_list, size_t *ret_count)
{
    struct db_rows *rows = NULL;
    TRY(db_query(db, &list_events,
                 DB_VALUES(db_text(filter->state), db_text(filter->provider), db_text(filter->source),
                           db_text(filter->subject), db_text(filter->unit), db_text(filter->cloud),
                           db_text(after_provider), db_text(after_source), db_text(after_id), db_int(most)),
                 &rows));
    db_hold(arena, rows);
    size_t count = db_count(rows);
    struct report_row *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct report_row){
            .provider = db_get_text(rows, i, 0),
            .source = db_get_text(rows, i, 1),
            .id = db_get_text(rows, i, 2),
            .subject = db_get_text(rows, i, 3),
            .unit = db_get_text(rows, i, 4),
            .system = db_get_text(rows, i, 5),
            .cloud = db_get_text(rows, i, 6),
            .state = db_get_text(rows, i, 7),
            .digest = db_get_text(rows, i, 8),
            .at = db_get_moment(rows, i, 9),
            .received_at = db_get_moment(rows, i, 10),
            .text = db_get_text(rows, i, 11),
        };
    *ret_list = list;
    *ret_count = count;
    return NULL;
}
