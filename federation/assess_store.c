/* SQL of assessments; see assess_store.h. */
#include "federation/assess_store.h"

#include <string.h>

#include "broker/base/digest.h"
#include "broker/base/id.h"
#include "broker/control/operation.h"

const struct db_statement assessment_select_one = {
    "assessment_select_one", "SELECT id::text, 1, body FROM assessment_view WHERE id = $1::uuid"};
/* Newest first. $3 unit, $4 system, $5 cloud of the target. */
const struct db_statement assessment_select_list = {
    "assessment_select_list",
    "SELECT id::text, 1, body FROM assessment_view WHERE ($1 = '' OR id < nullif($1, '')::uuid)"
    " AND ($3::text IS NULL OR unit_id = $3) AND ($4::text IS NULL OR touched @> ARRAY[$4])"
    " AND ($5::text IS NULL OR to_cloud = $5) ORDER BY id DESC LIMIT $2"};

static const struct db_statement find_machines = {
    "assessment_machines", "SELECT id::text, system_id, cloud_id FROM resource WHERE unit_id = $1"
                           " AND id = ANY ($2::text[]::uuid[]) AND kind IN ('instance', 'server')"
                           " AND state NOT IN ('deleted', 'failed')"};
static const struct db_statement insert = {
    "assessment_insert",
    "INSERT INTO assessment (unit_id, id, kind, touched, clouds, to_cloud, to_zone, request, machines, "
    "principal,"
    " operation_id, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text[]::uuid[], $10, $11, $12)"};
#define COLUMNS                                                                                             \
    "SELECT id, unit_id, kind, operation_id, state, to_cloud, to_zone, machines::text[], touched, clouds, " \
    "request,"                                                                                              \
    " principal, created_at FROM assessment WHERE "
static const struct db_statement get = {"assessment_get", COLUMNS "id = $1::uuid"};
static const struct db_statement get_of_operation = {"assessment_of_operation",
                                                     COLUMNS "unit_id = $1 AND operation_id = $2::uuid"};
static const struct db_statement select_hosts = {
    "assessment_hosts",
    "SELECT number, resource_id, system_id, cloud_id, report, answers, digest, assessed_at"
    " FROM assessment_host WHERE unit_id = $1 AND assessment_id = $2::uuid ORDER BY number"};
static const struct db_statement insert_host = {
    "assessment_host_insert",
    "INSERT INTO assessment_host (unit_id, assessment_id, number, resource_id, system_id, cloud_id, report, "
    "answers,"
    " digest, assessed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING"};
static const struct db_statement end = {"assessment_end",
                                        "UPDATE assessment SET state = $3, ended_at = $4 WHERE unit_id = $1"
                                        " AND id = $2::uuid AND state = 'running'"};

static void add_once(struct json_texts *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->items[i], text))
            return;
    list->items[list->count++] = text;
}

static bool row_of(const struct db_rows *rows, const char *id)
{
    for (size_t i = 0; i < db_count(rows); i++)
        if (!strcmp(db_get_text(rows, i, 0), id))
            return true;
    return false;
}

static struct error *find(struct db *db, struct arena *arena, struct assessment *a)
{
    struct db_rows *rows;
    struct error *errors = NULL;
    TRY(db_query(db, &find_machines,
                 DB_VALUES(db_text(a->unit), db_texts(a->machines.items, a->machines.count)), &rows));
    (void)db_hold(arena, rows);
    for (size_t i = 0; i < a->machines.count; i++) {
        if (!row_of(rows, a->machines.items[i]))
            error_collect(&errors, arena_printf(arena, "/instances/%zu", i),
                          "the unit has no such instance or server");
        for (size_t k = 0; k < i; k++)
            if (!strcmp(a->machines.items[i], a->machines.items[k])) {
                error_collect(&errors, arena_printf(arena, "/instances/%zu", i), "is named twice");
                break;
            }
    }
    size_t count = db_count(rows);
    a->touched = (struct json_texts){.items = arena_array(arena, count, sizeof *a->touched.items)};
    a->clouds = (struct json_texts){.items = arena_array(arena, count + 1, sizeof *a->clouds.items)};
    for (size_t i = 0; i < count; i++) {
        add_once(&a->touched, db_get_text(rows, i, 1));
        add_once(&a->clouds, db_get_text(rows, i, 2));
    }
    add_once(&a->clouds, a->to_cloud);
    return errors;
}

struct error *assessment_add(struct db *db, struct arena *arena, struct assessment *a)
{
    TRY(find(db, arena, a));
    a->operation = id_new_in(arena);
    const struct operation_new operation = {.id = a->operation,
                                            .kind = "assess",
                                            .unit = a->unit,
                                            .system = a->touched.items[0],
                                            .resource = a->machines.count == 1 ? a->machines.items[0] : NULL,
                                            .principal = a->principal,
                                            .args = a->request};
    TRY(operation_start(db, &operation, assess_job.name, a->created_at));
    return db_run(db, &insert,
                  DB_VALUES(db_text(a->unit), db_text(a->id), db_text(a->kind),
                            db_texts(a->touched.items, a->touched.count),
                            db_texts(a->clouds.items, a->clouds.count), db_text(a->to_cloud),
                            db_text(a->to_zone), db_json(a->request),
                            db_texts(a->machines.items, a->machines.count), db_text(a->principal),
                            db_text(a->operation), db_moment(a->created_at)),
                  NULL);
}

static struct json_texts texts_of(struct arena *arena, const struct db_rows *rows, int column)
{
    struct json_texts texts;
    texts.items = db_get_texts(rows, 0, column, arena, &texts.count);
    return texts;
}

static struct assessment read(struct arena *arena, struct db_rows *rows)
{
    (void)db_hold(arena, rows);
    return (struct assessment){.id = db_get_text(rows, 0, 0),
                               .unit = db_get_text(rows, 0, 1),
                               .kind = db_get_text(rows, 0, 2),
                               .operation = db_get_text(rows, 0, 3),
                               .state = db_get_text(rows, 0, 4),
                               .to_cloud = db_get_text(rows, 0, 5),
                               .to_zone = db_get_text(rows, 0, 6),
                               .machines = texts_of(arena, rows, 7),
                               .touched = texts_of(arena, rows, 8),
                               .clouds = texts_of(arena, rows, 9),
                               .request = json_hold(arena, db_get_json(rows, 0, 10)),
                               .principal = db_get_text(rows, 0, 11),
                               .created_at = db_get_moment(rows, 0, 12)};
}

struct error *assessment_get(struct db *db, struct arena *arena, const char *id,
                             struct assessment *ret_assessment)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &get, DB_VALUES(db_text(id)), "such assessment", &rows));
    *ret_assessment = read(arena, rows);
    return NULL;
}

struct error *assessment_of_operation(struct db *db, struct arena *arena, const char *unit,
                                      const char *operation, struct assessment *ret_assessment)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &get_of_operation, DB_VALUES(db_text(unit), db_text(operation)), "such assessment",
                     &rows));
    *ret_assessment = read(arena, rows);
    return NULL;
}

struct error *assessment_hosts(struct db *db, struct arena *arena, const struct assessment *assessment,
                               struct assessment_host **ret_list, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_hosts, DB_VALUES(db_text(assessment->unit), db_text(assessment->id)), &rows));
    (void)db_hold(arena, rows);
    size_t count = db_count(rows);
    struct assessment_host *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct assessment_host){.number = db_get_int(rows, i, 0),
                                           .resource = db_get_text(rows, i, 1),
                                           .system = db_get_text(rows, i, 2),
                                           .cloud = db_get_text(rows, i, 3),
                                           .report = json_hold(arena, db_get_json(rows, i, 4)),
                                           .answers = json_hold(arena, db_get_json(rows, i, 5)),
                                           .digest = db_get_text(rows, i, 6),
                                           .assessed_at = db_get_moment(rows, i, 7)};
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

const char *assessment_digest(struct arena *arena, const json_t *report, const json_t *answers)
{
    json_t *both = json_hold(arena, json_object());
    json_put(both, "report", json_deep_copy(report));
    json_put(both, "answers", json_deep_copy(answers));
    const char *text = json_canonical(arena, both);
    char *hex = arena_alloc(arena, DIGEST_HEX);
    digest_sm3(text, strlen(text), hex);
    return hex;
}

struct error *assessment_add_host(struct db *db, struct arena *arena, const struct assessment *assessment,
                                  const struct assessment_host *host)
{
    return db_run(db, &insert_host,
                  DB_VALUES(db_text(assessment->unit), db_text(assessment->id), db_int(host->number),
                            db_text(host->resource), db_text(host->system), db_text(host->cloud),
                            db_json(host->report), db_json(host->answers),
                            db_text(assessment_digest(arena, host->report, host->answers)),
                            db_moment(host->assessed_at)),
                  NULL);
}

struct error *assessment_end(struct db *db, const struct assessment *assessment, const char *state,
                             moment now)
{
    return db_run(
        db, &end,
        DB_VALUES(db_text(assessment->unit), db_text(assessment->id), db_text(state), db_moment(now)), NULL);
}
