/* The route tables of this floor; the composition root hands them to the server. */
#ifndef BROKER_CONTROL_ROUTES_H
#define BROKER_CONTROL_ROUTES_H

#include "broker/http/http.h"

extern const struct http_table cloud_routes, endpoint_routes, unit_routes, quota_routes, capacity_routes,
    order_routes, resource_routes, operation_routes, drift_routes, quote_routes, report_routes, job_routes,
    fulfilment_routes;

#endif
