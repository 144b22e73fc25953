/* SQL of orders that is not part of placing one; see order.h. */
#include "broker/control/order.h"

const struct db_statement order_select_one = {"order_select_one",
                                              "SELECT id::text, 1, body FROM order_view WHERE id = $1::uuid"};
/* Newest first. */
const struct db_statement order_select_list = {
    "order_select_list",
    "SELECT id::text, 1, body FROM order_view WHERE ($1 = '' OR id < nullif($1, '')::uuid)"
    " AND ($3::text IS NULL OR state = $3) AND ($4::text IS NULL OR system_id = $4)"
    " ORDER BY id DESC LIMIT $2"};

static const struct db_statement update_end = {"order_end",
                                               "UPDATE orders SET state = $3, ended_at = $4"
                                               " WHERE unit_id = $1 AND id = $2 AND state = 'accepted'"};

struct error *order_end(struct db *db, const char *unit, const char *order, const char *state, moment now)
{
    return db_run(db, &update_end, DB_VALUES(db_text(unit), db_text(order), db_text(state), db_moment(now)),
                  NULL);
}
