/* What a move's job does, on the audit chain; people's own words are there as the calls that they made. See
 * migration_work.h. */
#include "broker/auth/audit.h"
#include "broker/base/json.h"
#include "federation/migration_work.h"

static const struct db_statement select_digests = {
    "migration_digests",
    "SELECT DISTINCT ON (disk) disk, digest FROM migration_pass WHERE unit_id = $1 AND migration_id = $2"
    " ORDER BY disk, pass DESC"};

static struct error *add_digests(struct db *db, const struct migration_row *row, json_t *details)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &select_digests, DB_VALUES(db_text(row->unit), db_text(row->id)), &rows));
    json_t *disks = json_object();
    for (size_t i = 0; i < db_count(rows); i++)
        json_put_text(disks, db_get_text(rows, i, 0), db_get_text(rows, i, 1));
    json_put(details, "disks", disks);
    return NULL;
}

struct error *migration_audit(struct db *db, const struct migration_work *work, enum migration_state from,
                              const struct migration_word *word, moment now)
{
    const struct migration_row *row = &work->row;
    json_t *details = json_object();
    json_put_text(details, "event", migration_event_name(word->event));
    json_put_text(details, "from", migration_state_name(from));
    json_put_text(details, "to", migration_state_name(row->state));
    json_put_text(details, "instance", row->resource);
    json_put_text(details, "why", word->why);
    bool settles = word->event == MIGRATION_EVENT_COPIED || word->event == MIGRATION_EVENT_HEALTHY ||
                   row->state == MIGRATION_COMMITTING;
    struct error *error = settles ? add_digests(db, row, details) : NULL;
    if (!error)
        error = audit_add(db, &(struct audit_entry){.at = now,
                                                    .principal = "system",
                                                    .action = "migrate",
                                                    .unit = row->unit,
                                                    .cloud = work->instance.cloud,
                                                    .subject = row->id,
                                                    .details = details});
    json_decref(details);
    return error;
}
