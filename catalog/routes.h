/* The route tables of this floor, for the composition root. */
#ifndef CATALOG_ROUTES_H
#define CATALOG_ROUTES_H

#include "broker/http/http.h"

extern const struct http_table item_routes, provider_routes, bid_routes, price_routes;

#endif
