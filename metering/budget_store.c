/* SQL of budgets; see budget.h. */
#include "metering/budget.h"

#define COLUMNS                                                                           \
    "SELECT unit_id, id, system_id, period, amount_fen, thresholds, version, created_at," \
    " updated_at FROM budget WHERE "
static const struct db_statement get_budget = {"budget_get", COLUMNS "id = $1"};
static const struct db_statement list_budgets = {
    "budget_list", COLUMNS "($1::text IS NULL OR unit_id = $1) AND ($2::text IS NULL OR system_id = $2)"
                           " AND ($3::text IS NULL OR (unit_id, id) > ($3, $4::text))"
                           " ORDER BY unit_id, id LIMIT $5"};
static const struct db_statement add_budget = {
    "budget_add",
    "INSERT INTO budget (unit_id, id, system_id, period, amount_fen, thresholds, created_by, created_at,"
    " updated_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $8"
    " WHERE (SELECT count(*) FROM budget WHERE unit_id = $1) < $9"};
static const struct db_statement change_budget = {
    "budget_change", "UPDATE budget SET amount_fen = $4, thresholds = $5, version = version + 1,"
                     " updated_at = $6 WHERE unit_id = $1 AND id = $2 AND version = $3"};
static const struct db_statement drop_budget = {
    "budget_drop", "DELETE FROM budget WHERE unit_id = $1 AND id = $2 AND version = $3"};
static const struct db_statement add_alert = {
    "budget_alert_add",
    "INSERT INTO budget_alert (unit_id, budget_id, system_id, period, threshold, spent_fen, amount_fen,"
    " raised_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING"};
static const struct db_statement list_alerts = {
    "budget_alerts", "SELECT period, threshold, spent_fen, amount_fen, raised_at FROM budget_alert"
                     " WHERE unit_id = $1 AND budget_id = $2 ORDER BY period DESC, threshold LIMIT $3"};

static json_t *thresholds_json(struct arena *arena, const struct json_ints *thresholds)
{
    json_t *json = json_hold(arena, json_array());
    for (size_t i = 0; i < thresholds->count; i++)
        json_push(json, json_integer(thresholds->items[i]));
    return json;
}

static struct json_ints read_thresholds(struct arena *arena, const struct db_rows *rows, size_t row)
{
    json_t *json = json_hold(arena, db_get_json(rows, row, 5));
    size_t count = json_array_size(json);
    int64_t *items = arena_array(arena, count, sizeof *items);
    for (size_t i = 0; i < count; i++)
        items[i] = json_integer_value(json_array_get(json, i));
    return (struct json_ints){.items = items, .count = count};
}

static struct budget read_budget(struct arena *arena, const struct db_rows *rows, size_t row)
{
    return (struct budget){.unit = arena_strdup(arena, db_get_text(rows, row, 0)),
                           .id = arena_strdup(arena, db_get_text(rows, row, 1)),
                           .system = arena_strdup(arena, db_get_text(rows, row, 2)),
                           .period = arena_strdup(arena, db_get_text(rows, row, 3)),
                           .amount_fen = db_get_int(rows, row, 4),
                           .thresholds = read_thresholds(arena, rows, row),
                           .version = db_get_int(rows, row, 6),
                           .created_at = db_get_moment(rows, row, 7),
                           .updated_at = db_get_moment(rows, row, 8)};
}

struct error *budget_add(struct db *db, const struct budget *budget, const char *by)
{
    ARENA_AUTO struct arena *arena = arena_new();
    int64_t changed;
    TRY(db_run(db, &add_budget,
               DB_VALUES(db_text(budget->unit), db_text(budget->id), db_text(budget->system),
                         db_text(budget->period), db_int(budget->amount_fen),
                         db_json(thresholds_json(arena, &budget->thresholds)), db_text(by),
                         db_moment(budget->created_at), db_int(BUDGETS_MAX)),
               &changed));
    return changed ? NULL
                   : error_new(ERR_CONFLICT, "unit \"%s\" has %d budgets already", budget->unit, BUDGETS_MAX);
}

struct error *budget_get(struct db *db, struct arena *arena, const char *id, struct budget *ret_budget)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &get_budget, DB_VALUES(db_text(id)), "such budget", &rows));
    *ret_budget = read_budget(arena, rows, 0);
    return NULL;
}

struct error *budget_list(struct db *db, struct arena *arena, const char *unit, const char *system,
                          const char *after_unit, const char *after_id, int64_t most,
                          struct budget **ret_list, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(
        db, &list_budgets,
        DB_VALUES(db_text(unit), db_text(system), db_text(after_unit), db_text(after_id), db_int(most)),
        &rows));
    size_t count = db_count(rows);
    struct budget *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = read_budget(arena, rows, i);
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

static struct error *was_there(const struct budget *budget, int64_t changed)
{
    return changed ? NULL : error_new(ERR_STALE, "budget %s was changed meanwhile", budget->id);
}

struct error *budget_change(struct db *db, const struct budget *budget, moment now)
{
    ARENA_AUTO struct arena *arena = arena_new();
    int64_t changed;
    TRY(db_run(db, &change_budget,
               DB_VALUES(db_text(budget->unit), db_text(budget->id), db_int(budget->version),
                         db_int(budget->amount_fen), db_json(thresholds_json(arena, &budget->thresholds)),
                         db_moment(now)),
               &changed));
    return was_there(budget, changed);
}

struct error *budget_drop(struct db *db, const struct budget *budget)
{
    int64_t changed;
    TRY(db_run(db, &drop_budget,
               DB_VALUES(db_text(budget->unit), db_text(budget->id), db_int(budget->version)), &changed));
    return was_there(budget, changed);
}

struct error *budget_alert_add(struct db *db, const struct budget *budget, const struct budget_alert *alert,
                               bool *ret_new)
{
    int64_t changed;
    TRY(db_run(db, &add_alert,
               DB_VALUES(db_text(budget->unit), db_text(budget->id), db_text(budget->system),
                         db_text(alert->period), db_int(alert->threshold), db_int(alert->spent_fen),
                         db_int(alert->amount_fen), db_moment(alert->raised_at)),
               &changed));
    *ret_new = changed > 0;
    return NULL;
}

struct error *budget_alerts(struct db *db, struct arena *arena, const struct budget *budget,
                            struct budget_alert **ret_list, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &list_alerts,
                 DB_VALUES(db_text(budget->unit), db_text(budget->id), db_int(BUDGET_ALERTS_SHOWN)), &rows));
    size_t count = db_count(rows);
    struct budget_alert *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = (struct budget_alert){.period = arena_strdup(arena, db_get_text(rows, i, 0)),
                                        .threshold = db_get_int(rows, i, 1),
                                        .spent_fen = db_get_int(rows, i, 2),
                                        .amount_fen = db_get_int(rows, i, 3),
                                        .raised_at = db_get_moment(rows, i, 4)};
    *ret_list = list;
    *ret_count = count;
    return NULL;
}
