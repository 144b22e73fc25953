/* SQL of free short-term expansion; see expansion.h. What a system uses is read from its open usage, which is
 * what it is billed by. */
#include "broker/control/expansion.h"

#include <string.h>

#include "broker/base/json.h"
#include "broker/base/money.h"
#include "broker/http/event.h"

static const struct db_statement lock_system = {
    "expansion_lock", "SELECT 1 FROM system WHERE unit_id = $1 AND id = $2 FOR UPDATE"};
static const struct db_statement select_hindrance = {
    "expansion_hindrance",
    "SELECT EXISTS (SELECT FROM resource WHERE unit_id = $1 AND system_id = $2 AND cloud_id = $3"
    " AND expansion_days IS NOT NULL AND state NOT IN ('deleted', 'failed')),"
    " (SELECT rfc3339(max(end_at)) FROM usage_interval WHERE unit_id = $1 AND system_id = $2 AND cloud_id = "
    "$3"
    " AND tariff = 'expansion' AND end_at > $4 AND end_at < 'infinity')"};
/* What the system uses of an item now: charged, and expanded for free. */
static const struct db_statement select_use = {
    "expansion_use",
    "SELECT coalesce(sum(micro) FILTER (WHERE tariff = 'standard'), 0)::bigint,"
    " coalesce(sum(micro) FILTER (WHERE tariff = 'expansion'), 0)::bigint FROM usage_interval"
    " WHERE unit_id = $1 AND system_id = $2 AND cloud_id = $3 AND item = $4 AND end_at = 'infinity'"
    " AND kind <> 'migration'"}; /* what a move has twice is no more than there is */
static const struct db_statement ask = {
    "expansion_ask", "UPDATE resource SET expansion_days = $3 WHERE unit_id = $1 AND id = $2"};
static const struct db_statement begin = {
    "expansion_begin",
    "UPDATE resource SET expansion_base = $3, expansion_until = $4::timestamptz + expansion_days * interval "
    "'1 day', expansion_days = NULL, expansion_told = false, version = version + 1"
    " WHERE unit_id = $1 AND id = $2 AND expansion_days IS NOT NULL RETURNING expansion_until"};
static const struct db_statement stop = {
    "expansion_stop",
    "UPDATE resource SET expansion_base = NULL, expansion_until = NULL, version = version + 1"
    " WHERE unit_id = $1 AND id = $2 AND expansion_until IS NOT NULL"};
static const struct db_statement select_page = {
    "expansion_page",
    "SELECT unit_id, id::text FROM resource WHERE expansion_until IS NOT NULL AND (expansion_until <= $1"
    " OR NOT expansion_told AND expansion_until <= $1::timestamptz + $2::int * interval '1 day')"
    " ORDER BY expansion_until, id LIMIT $3"};
static const struct db_statement mark_told = {
    "expansion_told", "UPDATE resource SET expansion_told = true WHERE unit_id = $1 AND id = $2"
                      " AND NOT expansion_told"};

static struct error *tell(struct db *db, const char *type, const struct resource *r, moment now)
{
    json_t *data = json_object();
    json_put_text(data, "resource", r->id);
    json_put_text(data, "kind", r->kind);
    json_put_text(data, "name", r->name);
    json_put_moment(data, "until", r->expansion_until);
    struct error *error = event_add(db, &(struct event){.at = now,
                                                        .type = type,
                                                        .unit = r->unit,
                                                        .system = r->system,
                                                        .cloud = r->cloud,
                                                        .provider = r->provider,
                                                        .subject = r->id,
                                                        .data = data});
    json_decref(data);
    return error;
}

static struct error *check_share(struct db *db, const struct expansion_wish *wish,
                                 const struct item_quantity *added)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(
        db, &select_use,
        DB_VALUES(db_text(wish->unit), db_text(wish->system), db_text(wish->cloud), db_text(added->item)),
        "use", &rows));
    wide standard = db_get_int(rows, 0, 0), expanded = (wide)db_get_int(rows, 0, 1) + added->micro;
    if (expanded * 100 <= standard * EXPANSION_PERCENT)
        return NULL;
    char most[QUANTITY_TEXT], wanted[QUANTITY_TEXT];
    quantity_format((int64_t)(standard * EXPANSION_PERCENT / 100), most);
    quantity_format((int64_t)expanded, wanted);
    return error_new(
        ERR_QUOTA,
        "a free expansion is at most %d %% of what system \"%s\" has on cloud \"%s\" (procurement "
        "4.1.2.2): %s of item %s, and it would be %s",
        EXPANSION_PERCENT, wish->system, wish->cloud, most, added->item, wanted);
}

struct error *expansion_check(struct db *db, const struct expansion_wish *wish,
                              const struct agreement *agreement, moment now)
{
    DB_ROWS_AUTO struct db_rows *locked = NULL, *rows = NULL;
    int64_t most = agreement_expansion_days(agreement);
    if (wish->days < 1 || wish->days > most)
        return error_member("/expansion_days",
                            "must be 1 to %lld, as the agreement with provider \"%s\" says", (long long)most,
                            wish->provider);
    TRY(db_query_one(db, &lock_system, DB_VALUES(db_text(wish->unit), db_text(wish->system)), "such system",
                     &locked));
    TRY(db_query_one(db, &select_hindrance,
                     DB_VALUES(db_text(wish->unit), db_text(wish->system), db_text(wish->cloud),
                               db_moment(now - most * MOMENT_DAY)),
                     "row", &rows));
    if (db_get_bool(rows, 0, 0))
        return error_new(ERR_CONFLICT, "another expansion of system \"%s\" on cloud \"%s\" is under way",
                         wish->system, wish->cloud);
    if (!db_is_null(rows, 0, 1))
        return error_new(
            ERR_CONFLICT,
            "system \"%s\" had an expansion on cloud \"%s\" until %s; the next may begin %lld days "
            "later",
            wish->system, wish->cloud, db_get_text(rows, 0, 1), (long long)most);
    for (size_t i = 0; i < wish->count; i++)
        TRY(check_share(db, wish, &wish->added[i]));
    return NULL;
}

struct error *expansion_ask(struct db *db, const struct resource *resource, int64_t days)
{
    return db_run(db, &ask,
                  DB_VALUES(db_text(resource->unit), db_text(resource->id), days ? db_int(days) : db_null()),
                  NULL);
}

struct error *expansion_begin(struct db *db, struct resource *resource, json_t *base, moment now)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &begin,
                     DB_VALUES(db_text(resource->unit), db_text(resource->id), db_json(base), db_moment(now)),
                     "such expansion", &rows));
    resource->expansion_base = base;
    resource->expansion_until = db_get_moment(rows, 0, 0);
    resource->expansion_days = 0;
    return tell(db, "expansion.began", resource, now);
}

struct error *expansion_stop(struct db *db, struct resource *resource)
{
    if (!resource->expansion_base)
        return NULL;
    resource->expansion_base = NULL;
    resource->expansion_until = 0;
    return db_run(db, &stop, DB_VALUES(db_text(resource->unit), db_text(resource->id)), NULL);
}

struct error *expansion_settle(struct db *db, struct resource *resource, moment now)
{
    struct resource was = *resource;
    if (!resource->expansion_base || resource->expansion_until > now)
        return NULL;
    TRY(expansion_stop(db, resource));
    TRY(resource_meter(db, resource, was.expansion_until));
    return tell(db, "expansion.ended", &was, now);
}

static struct error *mind(struct db *db, struct arena *arena, const char *unit, const char *id, moment now)
{
    struct resource resource;
    int64_t changed;
    TRY(resource_load(db, arena, unit, id, NULL, &resource));
    if (!resource.expansion_base)
        return NULL; /* ended before its row was ours */
    if (resource.state != RESOURCE_ACTIVE && resource.state != RESOURCE_DELETING)
        return expansion_stop(db, &resource); /* it is gone, and so is its usage */
    if (resource.expansion_until <= now)
        return expansion_settle(db, &resource, now);
    TRY(db_run(db, &mark_told, DB_VALUES(db_text(unit), db_text(id)), &changed));
    return changed ? tell(db, "expansion.ending", &resource, now) : NULL;
}

struct error *expansion_page(struct db *db, struct arena *arena, moment now, bool *ret_more)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &select_page,
                 DB_VALUES(db_moment(now), db_int(EXPANSION_NOTICE_DAYS), db_int(EXPANSION_PAGE)), &rows));
    size_t count = db_count(rows);
    for (size_t i = 0; i < count; i++)
        TRY_DOING(mind(db, arena, db_get_text(rows, i, 0), db_get_text(rows, i, 1), now),
                  "could not end the expansion of resource %s", db_get_text(rows, i, 1));
    *ret_more = count == EXPANSION_PAGE;
    return NULL;
}
