/* A bill's line as the API shows it. */
#ifndef METERING_LINE_JSON_H
#define METERING_LINE_JSON_H

#include <jansson.h>

#include "metering/bill.h"

/* Its members, into an object of the caller's. */
struct error *line_json_put(struct arena *arena, json_t *json, const struct bill_line *line,
                            int64_t number) ERROR_MUST_USE;

#endif
