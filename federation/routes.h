/* The route tables of this floor, for the composition root. */
#ifndef FEDERATION_ROUTES_H
#define FEDERATION_ROUTES_H

#include "broker/http/http.h"

extern const struct http_table stored_wave_routes;
extern const struct http_table consent_routes, assessment_routes, wave_routes, migration_routes, link_routes;
extern const struct http_table transfer_export_routes, transfer_import_routes;

#endif
