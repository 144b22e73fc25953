/* Hosts of stored waves as rows; see wave_store.h. */
#include "federation/wave_store.h"

#include <string.h>

static const char *const class_names[] = {
#define X(symbol, name) [symbol] = name,
    WAVE_CLASSES(X)
#undef X
};

const char *wave_class_name(enum wave_class class)
{
    return class_names[class];
}

static const struct db_statement select_members = {
    "wave_members",
    "SELECT resource_id, system_id, name, assessment_id, facts, number, bytes, copied, class, note,"
    " migration_id, move_state, approvals, source_cloud_id, move_version, predicted_us, measured_us,"
    " downtime_us, passes, first_pass_us, progress, CASE class WHEN 'failed' THEN coalesce(move_error, "
    "move_why) ELSE move_error END, started_at, down_at,"
    " live_at, earlier <> '{}' FROM wave_host_view WHERE unit_id = $1 AND wave_id = $2::uuid"
    " ORDER BY number, resource_id"};

static enum wave_class class_of(const char *name)
{
    enum wave_class class = WAVE_CLASS_WAITING; /* the view has no others */
    while (strcmp(class_names[class], name) != 0)
        class ++;
    return class;
}

static moment moment_or_0(const struct db_rows *rows, size_t i, int column)
{
    return db_is_null(rows, i, column) ? 0 : db_get_moment(rows, i, column);
}

static struct wave_member read_member(struct arena *arena, const struct db_rows *rows, size_t i)
{
    return (struct wave_member){
        .resource = db_get_text(rows, i, 0),
        .system = db_get_text(rows, i, 1),
        .name = db_get_text(rows, i, 2),
        .assessment = db_get_text(rows, i, 3),
        .facts = json_hold(arena, db_get_json(rows, i, 4)),
        .number = db_get_int(rows, i, 5),
        .bytes = db_get_int(rows, i, 6),
        .copied = db_get_int(rows, i, 7),
        .class = class_of(db_get_text(rows, i, 8)),
        .note = db_get_text(rows, i, 9),
        .migration = db_get_text(rows, i, 10),
        .state = db_get_text(rows, i, 11),
        .approvals = db_get_text(rows, i, 12),
        .source_cloud = db_get_text(rows, i, 13),
        .version = db_get_int(rows, i, 14),
        .predicted_us = db_is_null(rows, i, 15) ? -1 : db_get_int(rows, i, 15),
        .measured_us = db_get_int(rows, i, 16),
        .agreed_us = db_get_int(rows, i, 17),
        .passes = db_get_int(rows, i, 18),
        .first_pass_us = db_get_int(rows, i, 19),
        .progress = db_is_null(rows, i, 20) ? NULL : json_hold(arena, db_get_json(rows, i, 20)),
        .trouble = db_get_text(rows, i, 21),
        .started = moment_or_0(rows, i, 22),
        .down = moment_or_0(rows, i, 23),
        .live = moment_or_0(rows, i, 24),
        .earlier = db_get_bool(rows, i, 25),
    };
}

struct error *wave_members(struct db *db, struct arena *arena, const struct wave_row *wave,
                           struct wave_member **ret_list, size_t *ret_count)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_members, DB_VALUES(db_text(wave->unit), db_text(wave->id)), &rows));
    (void)db_hold(arena, rows);
    size_t count = db_count(rows);
    struct wave_member *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = read_member(arena, rows, i);
    *ret_list = list;
    *ret_count = count;
    return NULL;
}
