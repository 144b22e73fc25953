/* What the statement's routes share: the query members that they take, and rows as JSON. */
#ifndef METERING_STATEMENT_VIEW_H
#define METERING_STATEMENT_VIEW_H

#include "broker/base/buf.h"
#include "broker/http/http.h"
#include "metering/statement_sum.h"

/* Grouping and filters. */
#define STATEMENT_QUERY \
    "group_by,unit,system,cloud,provider,item,industry,zone,architecture,tariff,charge_month"

/* Grouping, filters and the caller's kind of scope; the range is left to the caller. */
struct error *statement_ask_read(struct http_call *call, struct statement_ask *ret_ask) ERROR_MUST_USE;
/* ?from and ?to: months; without them the month that runs, and January of the last one's year. */
struct error *statement_range_read(struct http_call *call, struct month *ret_from,
                                   struct month *ret_to) ERROR_MUST_USE;

/* A month of the query; *month stays when there is none. */
struct error *statement_month_read(struct http_call *call, const char *name,
                                   struct month *month) ERROR_MUST_USE;

void statement_keys_put(json_t *json, const struct statement_row *row);
/* A row, as an item of the array that is open; its total, as the member "total" (json_write.h). */
void statement_row_write(struct buf *buf, struct arena *arena, const struct statement_row *row,
                         const struct statement_ask *ask);
void statement_total_write(struct buf *buf, const struct statement_row *total);
/* The keyset cursor that goes on after the row. */
const char *statement_cursor(struct arena *arena, const struct statement_row *row);

#endif
