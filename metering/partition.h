/* The months' partitions of usage and bills (schema/2007_partitions.sql): made ahead, so that what is written
 * finds its own. What was written before its partition was made waits in a default one and moves. */
#ifndef METERING_PARTITION_H
#define METERING_PARTITION_H

#include "broker/base/moment.h"
#include "broker/db/db.h"

/* Months kept ready beyond the current one. */
#define PARTITION_AHEAD 3

/* Makes what is missing of one month; *ret_made: something was. It locks the tables for a moment: a
 * transaction of its own. */
struct error *partition_make(struct db *db, struct month month, bool *ret_made) ERROR_MUST_USE;

/* The month itself and PARTITION_AHEAD more, each in a transaction; logs what it makes. */
struct error *partition_ahead(struct db *db, struct month month) ERROR_MUST_USE;

#endif
