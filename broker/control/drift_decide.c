/* A person's word on a case, and the correction that it makes; see drift.h. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/control/alert.h"
#include "broker/control/drift.h"
#include "broker/control/operate.h"
#include "broker/control/quota.h"
#include "catalog/provider.h"
#include "metering/usage.h"

static const struct db_statement load = {
    "drift_load",
    "SELECT id::text, kind, subject, unit_id, resource_id::text, endpoint_id, cloud_id, provider_id,"
    " fingerprint, no_correction, resolution, decision::text, expected, seen, reported, correct_at, version,"
    " dismissed FROM drift WHERE id = $1::uuid FOR UPDATE"};
static const struct db_statement decide = {
    "drift_decide",
    "WITH decided AS (UPDATE drift SET dismissed = NOT $2, resolved_at = CASE WHEN $2 THEN $5::timestamptz "
    "END, resolution = CASE WHEN $2 THEN 'accepted' END, version = version + 1,"
    " decision = jsonb_build_object('action', CASE WHEN $2 THEN 'accepted' ELSE 'refused' END, 'by', "
    "$3::text,"
    " 'reason', $4::text, 'at', rfc3339($5)) WHERE id = $1::uuid RETURNING *)"
    " INSERT INTO drift_history (unit_id, drift_id, cloud_id, provider_id, at, event, body)"
    " SELECT coalesce(unit_id, ''), id, cloud_id, provider_id, $5, decision ->> 'action', jsonb_build_object("
    "'by', $3::text, 'reason', $4::text, 'correction', CASE WHEN $2 THEN correction END) FROM decided"};

static json_t *json_at(struct arena *arena, const struct db_rows *rows, int column)
{
    return db_is_null(rows, 0, column) ? NULL : json_hold(arena, db_get_json(rows, 0, column));
}

struct error *drift_load(struct db *db, struct arena *arena, const char *id, struct drift_row *ret_row)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &load, DB_VALUES(db_text(id)), "such drift", &rows));
    (void)db_hold(arena, rows);
    *ret_row = (struct drift_row){
        .id = db_get_text(rows, 0, 0),
        .kind = db_get_text(rows, 0, 1),
        .subject = db_get_text(rows, 0, 2),
        .unit = db_get_text(rows, 0, 3),
        .resource = db_get_text(rows, 0, 4),
        .endpoint = db_get_text(rows, 0, 5),
        .cloud = db_get_text(rows, 0, 6),
        .provider = db_get_text(rows, 0, 7),
        .fingerprint = db_get_text(rows, 0, 8),
        .none = db_get_text(rows, 0, 9),
        .resolution = db_get_text(rows, 0, 10),
        .decision = db_get_text(rows, 0, 11),
        .expected = json_at(arena, rows, 12),
        .seen = json_at(arena, rows, 13),
        .reported = json_at(arena, rows, 14),
        .correct_at = db_is_null(rows, 0, 15) ? 0 : db_get_moment(rows, 0, 15),
        .version = db_get_int(rows, 0, 16),
        .refused = db_get_bool(rows, 0, 17),
    };
    return NULL;
}

/* The case as it would be found now, were the provider asked and said the same. */
static struct error *judge_again(struct db *db, struct arena *arena, const struct drift_row *row,
                                 const struct resource *resource, moment now, struct drift *ret_drift)
{
    struct agreement agreement;
    struct billed *billed = arena_array(arena, 1, sizeof *billed);
    bool gone = !strcmp(row->kind, DRIFT_BILLED_GONE);
    TRY(billed_of_resource(db, arena, row->unit, row->resource, billed));
    TRY(provider_agreement(db, resource->provider, now, &agreement));
    *ret_drift = (struct drift){.kind = row->kind,
                                .subject = row->subject,
                                .unit = row->unit,
                                .resource = row->resource,
                                .expected = gone ? row->expected : drift_expected(arena, row->kind, resource),
                                .seen = row->seen,
                                .billed = billed->count ? billed : NULL};
    return drift_judge(arena, ret_drift, gone ? NULL : resource, &agreement);
}

static struct error *check_same(struct arena *arena, const struct drift_row *row, const struct drift *again)
{
    if (!strcmp(row->fingerprint, again->fingerprint))
        return NULL;
    return error_new(ERR_STALE, "the difference is not any more what the case says; it is now: %s",
                     again->fingerprint);
}

/* Whatever the limits: it is there already. */
static struct error *take_size(struct db *db, const struct resource *resource, const json_t *spec)
{
    struct demand more = {0};
    demand_add(&more, resource->kind, spec, 1);
    demand_add(&more, resource->kind, resource->spec, -1);
    return quota_count(db, resource->unit, resource->cloud, resource->endpoint, &more);
}

static struct error *become(struct db *db, struct resource *resource, const struct drift *drift, moment now)
{
    json_t *spec = json_object_get(drift->becomes, "spec");
    const char *power = json_string_value(json_object_get(drift->becomes, "power"));
    if (spec) {
        TRY(take_size(db, resource, spec));
        TRY(resource_set_spec(db, resource, spec, now));
        resource->spec = spec;
    }
    if (power) {
        TRY(resource_set_power(db, resource, power, now));
        resource->power = power;
    }
    return NULL;
}

/* What is missing is deleted by an ordinary operation, which gives back quota and room; its usage has ended
 * before. */
static struct error *let_go(struct db *db, struct arena *arena, const struct drift_row *row,
                            const struct resource *resource, const char *principal, moment now)
{
    const char *operation;
    TRY(usage_end(db, row->unit, row->resource, row->correct_at));
    return operate_begin(db, arena, resource, VERB_DELETE, NULL, principal, now, &operation);
}

struct error *drift_apply(struct db *db, struct arena *arena, const struct drift_row *row,
                          const char *principal, moment now)
{
    struct resource resource;
    struct drift drift;
    if (row->none)
        return error_new(ERR_CONFLICT, "there is no correction to accept: %s", row->none);
    if (!row->correct_at || !row->resource)
        return error_new(ERR_CONFLICT, "there is no correction to accept before the next inventory");
    TRY(resource_load(db, arena, row->unit, row->resource, NULL, &resource));
    if (resource.operation)
        return error_new(ERR_CONFLICT, "an operation is at work on %s \"%s\"", resource.kind, resource.name);
    bool ended = resource.state == RESOURCE_DELETED || resource.state == RESOURCE_FAILED;
    bool gone = !strcmp(row->kind, DRIFT_BILLED_GONE);
    if (gone ? !ended : resource.state != RESOURCE_ACTIVE)
        return error_new(ERR_STALE, "%s \"%s\" is %s", resource.kind, resource.name,
                         resource_state_name(resource.state));
    TRY(judge_again(db, arena, row, &resource, now, &drift));
    TRY(check_same(arena, row, &drift));
    if (gone)
        return usage_end(db, row->unit, row->resource, row->correct_at);
    if (!strcmp(row->kind, DRIFT_MISSING))
        return let_go(db, arena, row, &resource, principal, now);
    TRY(become(db, &resource, &drift, now));
    return resource_meter(db, &resource, row->correct_at);
}

struct error *drift_decided(struct db *db, const struct drift_row *row, bool accepted, const char *principal,
                            const char *reason, moment now)
{
    TRY(db_run(
        db, &decide,
        DB_VALUES(db_text(row->id), db_bool(accepted), db_text(principal), db_text(reason), db_moment(now)),
        NULL));
    return alert_clear(db, row->cloud, ALERT_DRIFT, row->id, now);
}
