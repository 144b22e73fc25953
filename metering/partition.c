/* Making partitions; see partition.h. */
#include "metering/partition.h"

#include "broker/base/log.h"

static const struct db_statement make = {"partition_make", "SELECT billing_partition_make($1)"};

struct error *partition_make(struct db *db, struct month month, bool *ret_made)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    char text[8];
    month_format(month, text);
    TRY(db_query(db, &make, DB_VALUES(db_text(text)), &rows));
    *ret_made = db_get_bool(rows, 0, 0);
    return NULL;
}

struct making {
    struct month month;
    bool made;
};

static struct error *make_body(struct db *db, void *context)
{
    struct making *making = context;
    return partition_make(db, making->month, &making->made);
}

struct error *partition_ahead(struct db *db, struct month month)
{
    struct making making = {month, false};
    for (int i = 0; i <= PARTITION_AHEAD; i++, making.month = month_next(making.month)) {
        char buffer[8];
        const char *text = buffer;
        month_format(making.month, buffer);
        TRY_DOING(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, make_body, &making),
                  "could not make the partitions of %s", text);
        if (making.made)
            log_info("partition.made", LOG_TEXT("month", text));
    }
    return NULL;
}
