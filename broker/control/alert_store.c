/* SQL of alerts; see alert.h. */
#include "broker/control/alert.h"

#include "broker/base/id.h"
#include "broker/http/event.h"

static const struct db_statement raise_alert = {
    "alert_raise", "INSERT INTO alert (id, cloud_id, provider_id, kind, subject, details, raised_at, due_at)"
                   " SELECT $1, $2, provider_id, $3, $4, $5, $6, $7 FROM cloud WHERE id = $2"
                   " ON CONFLICT (cloud_id, kind, subject) WHERE cleared_at IS NULL DO NOTHING"
                   " RETURNING provider_id"};
static const struct db_statement clear_alert = {
    "alert_clear", "UPDATE alert SET cleared_at = $4 WHERE cloud_id = $1 AND kind = $2 AND subject = $3"
                   " AND cleared_at IS NULL"};

struct error *alert_raise(struct db *db, const struct alert *alert, moment now)
{
    ARENA_AUTO struct arena *arena = arena_new();
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &raise_alert,
                 DB_VALUES(db_text(id_new_in(arena)), db_text(alert->cloud), db_text(alert->kind),
                           db_text(alert->subject), db_json(alert->details), db_moment(now),
                           alert->due ? db_moment(alert->due) : db_null()),
                 &rows));
    if (!db_count(rows))
        return NULL;
    return event_add(db, &(struct event){.at = now,
                                         .type = "alert.raised",
                                         .cloud = alert->cloud,
                                         .provider = db_get_text(rows, 0, 0),
                                         .subject = alert->subject,
                                         .data = alert->details});
}

struct error *alert_clear(struct db *db, const char *cloud, const char *kind, const char *subject, moment now)
{
    return db_run(db, &clear_alert,
                  DB_VALUES(db_text(cloud), db_text(kind), db_text(subject), db_moment(now)), NULL);
}
