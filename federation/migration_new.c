/* Planning a move; see migration_new.h. */
#include "federation/migration_new.h"

#include <string.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "broker/control/endpoint.h"
#include "broker/control/placement.h"
#include "broker/control/resource.h"
#include "federation/convert.h"
#include "federation/migration_plan.h"
#include "federation/migration_test.h"
#include "federation/migration_word.h"

#define ASSESSMENT_DAYS 30 /* older ones say little about what is there now */

static const struct db_statement select_report = {
    "migration_report",
    "SELECT a.to_cloud, a.to_zone, h.report, h.assessed_at FROM assessment a JOIN assessment_host h"
    " ON h.unit_id = a.unit_id AND h.assessment_id = a.id WHERE a.unit_id = $1 AND a.id = $2::uuid"
    " AND h.resource_id = $3::uuid AND a.kind = 'cloud-host' AND a.state = 'done' ORDER BY h.number LIMIT 1"};
static const struct db_statement select_zone = {
    "migration_zone",
    "SELECT c.provider_id, z.site_id, z.endpoint_id, z.network FROM zone z JOIN cloud c ON c.id = z.cloud_id"
    " WHERE z.cloud_id = $1 AND z.id = $2 AND z.endpoint_id IS NOT NULL"};

/* What stands in the way, in one line. */
static const char *blockers(struct arena *arena, const json_t *report)
{
    const char *text = "";
    size_t i;
    json_t *finding;
    json_array_foreach (json_object_get(report, "findings"), i, finding) {
        const char *severity = json_string_value(json_object_get(finding, "severity"));
        if (severity && !strcmp(severity, "blocker"))
            text = arena_printf(arena, "%s%s%s", text, *text ? "; " : "",
                                json_string_value(json_object_get(finding, "title")));
    }
    return text;
}

static struct error *read_report(struct db *db, struct arena *arena, const struct migration_wish *wish,
                                 moment now, struct migration_row *m, json_t **ret_report)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_report,
                 DB_VALUES(db_text(m->unit), db_text(wish->assessment), db_text(m->resource)), &rows));
    (void)db_hold(arena, rows);
    if (!db_count(rows))
        return error_member("/assessment", "names no finished assessment of this instance");
    if (db_get_moment(rows, 0, 3) < now - ASSESSMENT_DAYS * MOMENT_DAY)
        return error_member("/assessment", "is older than %d days: assess it again", ASSESSMENT_DAYS);
    json_t *report = json_hold(arena, db_get_json(rows, 0, 2));
    if (!json_is_true(json_object_get(report, "movable")))
        return error_new(ERR_CONFLICT, "instance \"%s\" cannot be moved there: %s", m->name,
                         blockers(arena, report));
    m->assessment = wish->assessment;
    m->target.cloud = db_get_text(rows, 0, 0);
    m->target.zone = db_get_text(rows, 0, 1);
    *ret_report = report;
    return NULL;
}

/* Whether the guest is converted on the way; by the kinds of both ends. */
static struct error *plan_conversion(struct arena *arena, const struct migration_wish *wish, const char *from,
                                     const char *to, struct migration_row *m)
{
    struct convert_plan plan =
        convert_plan(arena, wish->conversion, wish->conversion_program, from, to, NULL);
    if (!plan.asked)
        return NULL;
    if (!strcmp(wish->conversion, "required") && !convert_installed(wish->conversion_program))
        return error_new(ERR_CONFLICT, "guests that move from %s to %s have to be converted here: %s", from,
                         to, plan.why);
    m->conversion = json_hold(arena, json_object());
    json_put_text(m->conversion, "mode", wish->conversion);
    json_put_text(m->conversion, "state", "planned");
    return NULL;
}

static struct error *find_ends(struct db *db, struct arena *arena, const struct resource *instance,
                               const struct migration_wish *wish, struct migration_row *m)
{
    struct endpoint_row endpoint, target;
    struct db_rows *rows;
    TRY(endpoint_load(db, arena, instance->endpoint, &endpoint));
    m->source = (struct migration_end){.cloud = instance->cloud,
                                       .provider = instance->provider,
                                       .zone = instance->zone,
                                       .site = endpoint.site,
                                       .endpoint = instance->endpoint,
                                       .ref = instance->ref};
    TRY(db_query(db, &select_zone, DB_VALUES(db_text(m->target.cloud), db_text(m->target.zone)), &rows));
    (void)db_hold(arena, rows);
    if (!db_count(rows))
        return error_member("/assessment", "speaks of a zone without an endpoint");
    m->target.provider = db_get_text(rows, 0, 0);
    m->target.site = db_get_text(rows, 0, 1);
    m->target.endpoint = db_get_text(rows, 0, 2);
    m->target.network = db_get_text(rows, 0, 3);
    if (!strcmp(m->source.endpoint, m->target.endpoint))
        return error_new(ERR_CONFLICT, "source and target are the same endpoint");
    TRY(endpoint_load(db, arena, m->target.endpoint, &target));
    return plan_conversion(arena, wish, endpoint.driver, target.driver, m);
}

/* Rules of placement may have changed since the assessment. They are asked as of a volume, for the image that
 * the instance was made of is of no importance any more. */
static struct error *check_place(struct db *db, struct arena *arena, const struct migration_row *m)
{
    struct placement_wish wish = {.kind = "volume", .cloud = m->target.cloud, .zone = m->target.zone};
    struct placement_facts facts;
    struct error *errors = NULL;
    bool found;
    TRY(placement_load(db, arena, m->unit, m->system, &wish, &found, &facts));
    if (!found)
        return error_member("/assessment", "speaks of a cloud that there is not");
    placement_check(&wish, &facts, "/assessment", &errors);
    return errors;
}

/* Volumes go along; what belongs to the source cloud alone stays behind and would be lost to the instance. */
static struct error *check_attached(struct db *db, struct arena *arena, const struct resource *instance)
{
    struct resource *attached;
    size_t count;
    TRY(resource_attached(db, arena, instance->unit, instance->id, &attached, &count));
    for (size_t i = 0; i < count; i++)
        if (strcmp(attached[i].kind, "volume"))
            return error_new(ERR_CONFLICT,
                             "%s \"%s\" is attached to instance \"%s\" and does not go along: release it "
                             "first",
                             attached[i].kind, attached[i].name, instance->name);
    return NULL;
}

static const json_t *way_of(const json_t *report, const char *method)
{
    size_t i;
    json_t *way;
    json_array_foreach (json_object_get(report, "methods"), i, way)
        if (!strcmp(json_string_value(json_object_get(way, "method")), method))
            return way;
    return NULL;
}

/* The assessment's best, or the one that was asked for when both sides can do it. */
static struct error *choose_method(struct arena *arena, const struct migration_wish *wish,
                                   const json_t *report, struct migration_row *m)
{
    const char *best = json_string_value(json_object_get(report, "preferred"));
    const char *method = wish->method ? wish->method : best;
    const json_t *way = method ? way_of(report, method) : NULL;
    if (!way || !json_is_true(json_object_get(way, "possible")))
        return error_member("/method", "is not possible: %s",
                            way ? json_string_value(json_object_get(way, "reason"))
                                : "the assessment names none");
    m->method = migration_method_find(method);
    m->method_why =
        arena_printf(arena, "%s; a downtime of %lld ms is predicted",
                     !best || !strcmp(best, method)
                         ? "the least downtime of what both sides can"
                         : arena_printf(arena, "asked for, where %s would have the least downtime", best),
                     (long long)json_integer_value(json_object_get(way, "downtime_ms")));
    return NULL;
}

/* There is no copy to boot before the cut-over but with a warm one. */
static struct error *check_test(const struct migration_wish *wish, enum migration_method method)
{
    return wish->test_required && method != MIGRATION_WARM
               ? error_member("/test_required",
                              "cannot be: by the method %s there is nothing to boot before "
                              "the cut-over",
                              migration_method_name(method))
               : NULL;
}

struct error *migration_new(struct db *db, struct arena *arena, const struct migration_wish *wish, moment now,
                            struct migration_row *ret_migration)
{
    struct resource instance;
    json_t *report;
    TRY(resource_load(db, arena, NULL, wish->instance, "instance", &instance));
    struct migration_row m = {.unit = instance.unit,
                              .id = id_new_in(arena),
                              .system = instance.system,
                              .resource = instance.id,
                              .name = instance.name,
                              .approvals = wish->approvals,
                              .window_from = wish->window.from,
                              .window_until = wish->window.until,
                              .downtime_us = wish->downtime_seconds * MOMENT_SECOND,
                              .hold_us = wish->hold_days * MOMENT_DAY,
                              .bandwidth = wish->bandwidth,
                              .commits_itself = wish->commits_itself,
                              .proof = wish->proof,
                              .principal = wish->principal};
    if (instance.state != RESOURCE_ACTIVE || !instance.endpoint)
        return error_new(ERR_CONFLICT, "instance \"%s\" is %s, not active", instance.name,
                         resource_state_name(instance.state));
    TRY(read_report(db, arena, wish, now, &m, &report));
    TRY(find_ends(db, arena, &instance, wish, &m));
    TRY(check_place(db, arena, &m));
    TRY(check_attached(db, arena, &instance));
    TRY(choose_method(arena, wish, report, &m));
    TRY(check_test(wish, m.method));
    m.plan = json_hold(arena, migration_plan(&m, report, now));
    m.rollback_plan = json_hold(arena, migration_rollback_plan(&m));
    TRY(migration_insert(db, &m, now));
    if (wish->test_required)
        TRY(migration_test_require(db, &m, true));
    TRY(migration_load(db, arena, m.unit, m.id, ret_migration));
    return migration_settle_papers(db, arena, ret_migration, wish->principal, now);
}
