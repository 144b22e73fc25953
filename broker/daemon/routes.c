/* The list of route tables; see routes.h. */
#include "broker/daemon/routes.h"

#include "broker/control/identity.h"
#include "broker/control/routes.h"
#include "broker/http/server.h"
#include "catalog/routes.h"
#include "federation/routes.h"
#include "metering/routes.h"

static const struct http_table *const tables[] = {
    &server_routes, /* broker/http */
    &item_routes,
    &provider_routes,
    &bid_routes,
    &price_routes, /* catalog */
    &usage_routes,
    &bill_routes,
    &statement_routes,
    &change_routes,
    &line_routes,
    &comparison_routes,
    &budget_routes,
    &setting_routes, /* metering */
    &export_routes,
    &invoice_routes,
    &archive_routes,
    &cloud_routes,
    &endpoint_routes,
    &unit_routes,
    &quota_routes, /* broker/control */
    &capacity_routes,
    &quote_routes,
    &order_routes,
    &resource_routes,
    &operation_routes,
    &drift_routes,
    &job_routes,
    &identity_routes,
    &token_routes,
    &audit_routes,
    &fulfilment_routes,
    &usage_event_routes,
    &report_routes,
    &consent_routes,
    &assessment_routes,
    &wave_routes,
    &stored_wave_routes,
    &migration_routes,
    &link_routes, /* federation */
    &transfer_export_routes,
    &transfer_import_routes,
};

const struct http_table *const *routes_all(size_t *ret_count)
{
    *ret_count = sizeof tables / sizeof *tables;
    return tables;
}
