/* Metering running resources anew under new settings; see remeter.h. */
#include "broker/control/remeter.h"

#include "broker/control/resource.h"
#include "catalog/provider.h"
#include "metering/usage.h"

static const struct db_statement select_page = {
    "remeter_page",
    "SELECT unit_id, id::text FROM resource WHERE provider_id = $1 AND state IN ('active', 'deleting')"
    " AND ($2 = '' OR id > nullif($2, '')::uuid) ORDER BY id LIMIT $3"};

static struct error *remeter(struct db *db, struct arena *arena, const char *unit, const char *id,
                             moment from)
{
    struct resource resource;
    moment at;
    TRY(resource_load(db, arena, unit, id, NULL, &resource));
    if (resource.state != RESOURCE_ACTIVE && resource.state != RESOURCE_DELETING)
        return NULL; /* ended before its row was ours */
    TRY(usage_moment(db, unit, id, from, &at));
    return resource_meter(db, &resource, at);
}

struct error *remeter_page(struct db *db, struct arena *arena, moment now, bool *ret_more)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    struct agreement_due due;
    bool found;
    *ret_more = false;
    TRY(provider_agreement_due(db, arena, now, &found, &due));
    if (!found)
        return NULL;
    TRY(db_query(db, &select_page, DB_VALUES(db_text(due.provider), db_text(due.after), db_int(REMETER_PAGE)),
                 &rows));
    size_t count = db_count(rows);
    for (size_t i = 0; i < count; i++)
        TRY_DOING(remeter(db, arena, db_get_text(rows, i, 0), db_get_text(rows, i, 1), due.from),
                  "could not meter resource %s under the new agreement", db_get_text(rows, i, 1));
    bool last = count < REMETER_PAGE;
    TRY(provider_agreement_metered(db, &due, last ? NULL : db_get_text(rows, count - 1, 1), now));
    *ret_more = true; /* of this agreement, or another one */
    return NULL;
}
