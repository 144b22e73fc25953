/* The route tables of this floor, for the composition root. */
#ifndef METERING_ROUTES_H
#define METERING_ROUTES_H

#include "broker/http/http.h"

extern const struct http_table usage_routes, bill_routes, statement_routes, setting_routes, export_routes,
    archive_routes, invoice_routes, usage_event_routes, budget_routes, change_routes, line_routes,
    comparison_routes;

#endif
