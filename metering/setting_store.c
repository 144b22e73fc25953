/* SQL of billing's settings; see setting.h. */
#include "metering/setting.h"

static const struct db_statement get_grace = {"setting_grace",
                                              "SELECT close_grace_seconds FROM billing_setting"};
static const struct db_statement set_grace = {
    "setting_set_grace",
    "UPDATE billing_setting SET close_grace_seconds = $2 WHERE close_grace_seconds = $1"};

struct error *setting_close_grace(struct db *db, int64_t *ret_us)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &get_grace, DB_NO_VALUES, "billing setting", &rows));
    *ret_us = db_get_int(rows, 0, 0) * MOMENT_SECOND;
    return NULL;
}

struct error *setting_set_close_grace(struct db *db, int64_t old_us, int64_t new_us)
{
    int64_t changed;
    TRY(db_run(db, &set_grace, DB_VALUES(db_int(old_us / MOMENT_SECOND), db_int(new_us / MOMENT_SECOND)),
               &changed));
    return changed ? NULL : error_new(ERR_STALE, "the billing settings were changed meanwhile");
}
