/* The commands that are lists or single things: data. Those with a body of their own are in command_*.c. */
#include "broker/cli/commands.h"

#define LIST(words, path, columns, filters, help)                 \
    {                                                             \
        words, NULL, help, cli_list, path, columns, filters, NULL \
    }
#define LIST_OF(words, arguments, path, columns, filters, help)        \
    {                                                                  \
        words, arguments, help, cli_list, path, columns, filters, NULL \
    }
#define SHOW(words, path, help)                             \
    {                                                       \
        words, "ID", help, cli_show, path, NULL, NULL, NULL \
    }

static const struct cli_column item_columns[] = {{"CODE", "code", false},
                                                 {"ITEM", "name_en", false},
                                                 {"NAME", "name", false},
                                                 {"QUANTITY", "billing_quantity+unit", false},
                                                 {"CAP YUAN/MONTH", "cap_yuan", true},
                                                 {"WEIGHT %", "weight_percent", true},
                                                 {0}};
static const struct cli_column security_columns[] = {
    {"CODE", "code", false}, {"SERVICE", "name_en", false}, {"NAME", "name", false}, {0}};
static const struct cli_column extended_columns[] = {
    {"CATEGORY", "category", false}, {"SERVICE", "name_en", false}, {0}};
static const struct cli_column kind_columns[] = {
    {"KIND", "name", false}, {"NAME", "name_zh", false}, {"ITEMS", "items", false}, {0}};
static const struct cli_column provider_columns[] = {{"PROVIDER", "id", false}, {"NAME", "name", false}, {0}};
static const struct cli_column bid_columns[] = {{"BID", "id", false},
                                                {"PROVIDER", "provider", false},
                                                {"STATE", "state", false},
                                                {"WEIGHTED TOTAL", "weighted_total_yuan", true},
                                                {"SUBMITTED", "submitted_at", false},
                                                {0}};
static const struct cli_column price_columns[] = {{"ITEM", "item", false},
                                                  {"PROVIDER", "provider", false},
                                                  {"YUAN/MONTH", "price_yuan", true},
                                                  {"CAP", "cap_yuan", true},
                                                  {0}};
static const struct cli_column cloud_columns[] = {{"CLOUD", "id", false},
                                                  {"NAME", "name", false},
                                                  {"KIND", "kind", false},
                                                  {"GROUP", "group", false},
                                                  {"PROVIDER", "provider", false},
                                                  {"STATE", "state", false},
                                                  {0}};
static const struct cli_column endpoint_columns[] = {{"ENDPOINT", "id", false},
                                                     {"CLOUD", "cloud", false},
                                                     {"DRIVER", "driver", false},
                                                     {"PRODUCT", "about.product", false},
                                                     {"SYNCED", "synced_at", false},
                                                     {"ERROR", "sync_error", false},
                                                     {0}};
static const struct cli_column unit_columns[] = {
    {"UNIT", "id", false}, {"NAME", "name", false}, {"KIND", "kind", false}, {"STATE", "state", false}, {0}};
static const struct cli_column system_columns[] = {{"SYSTEM", "id", false},
                                                   {"UNIT", "unit", false},
                                                   {"NAME", "name", false},
                                                   {"INSURANCE", "insurance", false},
                                                   {0}};
static const struct cli_column quota_columns[] = {{"CLOUD", "cloud", false},
                                                  {"METRIC", "metric", false},
                                                  {"USED", "used", true},
                                                  {"LIMIT", "limit", true},
                                                  {0}};
static const struct cli_column order_columns[] = {
    {"ORDER", "id", false},     {"SYSTEM", "system", false},      {"STATE", "state", false},
    {"BY", "principal", false}, {"CREATED", "created_at", false}, {0}};
static const struct cli_column operation_columns[] = {{"OPERATION", "id", false},
                                                      {"KIND", "kind", false},
                                                      {"STATE", "state", false},
                                                      {"%", "percent", true},
                                                      {"STEP", "step", false},
                                                      {"CREATED", "created_at", false},
                                                      {0}};
static const struct cli_column instance_columns[] = {
    {"INSTANCE", "id", false},      {"NAME", "name", false},
    {"CLOUD", "cloud", false},      {"STATE", "state", false},
    {"POWER", "power", false},      {"VCPU", "spec.vcpu", true},
    {"GB", "spec.memory_gb", true}, {"ARCH", "spec.architecture", false},
    {"ADDRESS", "address", false},  {0}};
static const struct cli_column volume_columns[] = {{"VOLUME", "id", false},
                                                   {"NAME", "name", false},
                                                   {"CLOUD", "cloud", false},
                                                   {"STATE", "state", false},
                                                   {"GB", "spec.size_gb", true},
                                                   {"CLASS", "spec.performance", false},
                                                   {"ATTACHED TO", "attached_to", false},
                                                   {0}};
static const struct cli_column resource_columns[] = {{"RESOURCE", "id", false},
                                                     {"KIND", "kind", false},
                                                     {"NAME", "name", false},
                                                     {"CLOUD", "cloud", false},
                                                     {"STATE", "state", false},
                                                     {"ADDRESS", "address", false},
                                                     {0}};
static const struct cli_column usage_columns[] = {{"RESOURCE", "resource", false},
                                                  {"KIND", "kind", false},
                                                  {"ITEM", "item", false},
                                                  {"QUANTITY", "quantity", true},
                                                  {"FROM", "from", false},
                                                  {"TO", "to", false},
                                                  {0}};
static const struct cli_column bill_columns[] = {{"BILL", "id", false},
                                                 {"NUMBER", "number", false},
                                                 {"MONTH", "month", false},
                                                 {"UNIT", "unit", false},
                                                 {"PROVIDER", "provider", false},
                                                 {"YUAN", "total_yuan", true},
                                                 {0}};
static const struct cli_column capacity_columns[] = {
    {"CLOUD", "cloud", false},        {"ENDPOINT", "endpoint", false},
    {"METRIC", "metric", false},      {"TOTAL", "total", true},
    {"ALLOCATED", "allocated", true}, {"FREE", "free", true},
    {"%", "percent", true},           {0}};
static const struct cli_column alert_columns[] = {
    {"ALERT", "id", false},           {"CLOUD", "cloud", false},
    {"KIND", "kind", false},          {"SUBJECT", "subject", false},
    {"RAISED", "raised_at", false},   {"DUE", "due_at", false},
    {"CLEARED", "cleared_at", false}, {0}};
static const struct cli_column drift_columns[] = {
    {"DRIFT", "id", false},          {"CLOUD", "cloud", false},
    {"KIND", "kind", false},         {"SUBJECT", "subject", false},
    {"EXPECTED", "expected", false}, {"SEEN", "seen", false},
    {"SINCE", "first_seen", false},  {0}};
static const struct cli_column principal_columns[] = {{"PRINCIPAL", "id", false},
                                                      {"ROLE", "role", false},
                                                      {"UNIT", "unit", false},
                                                      {"PROVIDER", "provider", false},
                                                      {"CLOUDS", "clouds", false},
                                                      {"DISABLED", "disabled", false},
                                                      {0}};
static const struct cli_column token_columns[] = {{"TOKEN", "jti", false},
                                                  {"PRINCIPAL", "principal", false},
                                                  {"EXPIRES", "expires_at", false},
                                                  {"REVOKED", "revoked_at", false},
                                                  {0}};
static const struct cli_column audit_columns[] = {
    {"AT", "at", false},           {"PRINCIPAL", "principal", false},
    {"ACTION", "action", false},   {"METHOD", "method", false},
    {"PATH", "path", false},       {"STATUS", "status", true},
    {"SUBJECT", "subject", false}, {0}};

const struct cli_command list_commands[] = {
    LIST("catalog items", "/v1/catalog/items", item_columns, NULL,
         "the 23 priced items with their caps and weights"),
    LIST("catalog security", "/v1/catalog/security", security_columns, NULL,
         "the 17 base security services, free of charge"),
    LIST("catalog extended", "/v1/catalog/extended", extended_columns, NULL,
         "the extended services, filed by providers"),
    LIST("catalog kinds", "/v1/catalog/kinds", kind_columns, NULL,
         "what can be ordered, and which items it uses"),
    LIST("provider list", "/v1/providers", provider_columns, NULL, "the providers"),
    LIST("bid list", "/v1/bids", bid_columns, "provider,state",
         "bids and their weighted totals (--provider, --state)"),
    LIST("price list", "/v1/prices", price_columns, "item,at",
         "prices in force, compared across providers (--item, --at)"),
    LIST("cloud list", "/v1/clouds", cloud_columns, "kind,provider", "the clouds (--kind, --provider)"),
    SHOW("cloud show", "/v1/clouds/{}", "one cloud with its sites, zones and images"),
    LIST("endpoint list", "/v1/endpoints", endpoint_columns, "cloud", "hypervisor managers (--cloud)"),
    SHOW("endpoint show", "/v1/endpoints/{}", "one endpoint and the state of its gate"),
    LIST("unit list", "/v1/units", unit_columns, NULL, "the using units"),
    LIST_OF("system list", "UNIT", "/v1/units/{}/systems", system_columns, NULL,
            "a unit's information systems"),
    LIST_OF("quota list", "UNIT", "/v1/units/{}/quotas", quota_columns, NULL,
            "what a unit holds and may hold"),
    LIST("order list", "/v1/orders", order_columns, "state,system",
         "orders, newest first (--state, --system)"),
    SHOW("order show", "/v1/orders/{}", "one order with its resources"),
    LIST("operation list", "/v1/operations", operation_columns, "state,resource,order",
         "operations, newest first (--state, --resource, --order)"),
    SHOW("operation show", "/v1/operations/{}", "one operation"),
    LIST("instance list", "/v1/instances", instance_columns, "cloud,system,state",
         "instances (--cloud, --system, --state)"),
    SHOW("instance show", "/v1/instances/{}", "one instance"),
    LIST("volume list", "/v1/volumes", volume_columns, "cloud,system,state",
         "volumes (--cloud, --system, --state)"),
    SHOW("volume show", "/v1/volumes/{}", "one volume"),
    LIST("resource list", "/v1/resources", resource_columns, "kind,cloud,system,state",
         "resources of every kind (--kind, --cloud, --system, --state)"),
    SHOW("resource show", "/v1/resources/{}", "one resource"),
    LIST("usage list", "/v1/usage", usage_columns, "unit,system,cloud,provider,resource,item,from,to",
         "usage intervals (--unit, --system, --cloud, --provider, --resource, --item, --from, --to)"),
    LIST("bill list", "/v1/bills", bill_columns, "month,unit,provider",
         "bills (--month, --unit, --provider)"),
    LIST("capacity list", "/v1/capacity", capacity_columns, "cloud",
         "what clouds have and what is allocated (--cloud)"),
    LIST("alert list", "/v1/alerts", alert_columns, "cloud,state",
         "what is running out (--cloud, --state open|cleared)"),
    LIST("drift list", "/v1/drift", drift_columns, "cloud,kind,state",
         "where providers and broker differ (--cloud, --kind, --state)"),
    LIST("principal list", "/v1/principals", principal_columns, NULL, "who may call"),
    LIST("token list", "/v1/tokens", token_columns, NULL, "tokens that were issued"),
    LIST("audit list", "/v1/audit", audit_columns, "unit,principal,from,to",
         "the audit trail (--unit, --principal, --from, --to)"),
    {"whoami", NULL, "who the broker takes you for", cli_show, "/v1/whoami", NULL, NULL, NULL},
    {0},
};

const struct cli_command *const cli_command_tables[] = {list_commands, make_commands, operate_commands,
                                                        money_commands, NULL};
