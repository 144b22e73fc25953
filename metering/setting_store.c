/* SQL of billing's settings; see setting.h. */
#include "metering/setting.h"

static const struct db_statement get_settings = {
    "setting_get",
    "SELECT close_grace_seconds, usage_retention_months, bill_retention_months FROM billing_setting"};
static const struct db_statement set_settings = {
    "setting_set",
    "UPDATE billing_setting SET close_grace_seconds = $4, usage_retention_months = $5, bill_retention_months "
    "= $6"
    " WHERE close_grace_seconds = $1 AND usage_retention_months = $2 AND bill_retention_months = $3"};

struct error *setting_read(struct db *db, struct billing_settings *ret_settings)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &get_settings, DB_NO_VALUES, "billing setting", &rows));
    *ret_settings = (struct billing_settings){.close_grace_seconds = db_get_int(rows, 0, 0),
                                              .usage_retention_months = db_get_int(rows, 0, 1),
                                              .bill_retention_months = db_get_int(rows, 0, 2)};
    return NULL;
}

struct error *setting_write(struct db *db, const struct billing_settings *old,
                            const struct billing_settings *settings)
{
    int64_t changed;
    TRY(db_run(db, &set_settings,
               DB_VALUES(db_int(old->close_grace_seconds), db_int(old->usage_retention_months),
                         db_int(old->bill_retention_months), db_int(settings->close_grace_seconds),
                         db_int(settings->usage_retention_months), db_int(settings->bill_retention_months)),
               &changed));
    return changed ? NULL : error_new(ERR_STALE, "the billing settings were changed meanwhile");
}

struct error *setting_close_grace(struct db *db, int64_t *ret_us)
{
    struct billing_settings settings;
    TRY(setting_read(db, &settings));
    *ret_us = settings.close_grace_seconds * MOMENT_SECOND;
    return NULL;
}
