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
/* `arguments` of a list or a single thing is what `{}` in its path stands for. */
#define SHOW(words, path, help)                             \
    {                                                       \
        words, "ID", help, cli_show, path, NULL, NULL, NULL \
    }

static const struct cli_column item_columns[] = {{"CODE", "code", false, 0},
                                                 {"NAME", "name", false, 24},
                                                 {"ITEM", "name_en", false, 30},
                                                 {"QUANTITY", "billing_quantity+unit", false, 14},
                                                 {"CAP/MONTH", "cap_yuan", true, 0},
                                                 {"WEIGHT %", "weight_percent", true, 0},
                                                 {0}};
static const struct cli_column security_columns[] = {
    {"CODE", "code", false, 0}, {"SERVICE", "name_en", false, 0}, {"NAME", "name", false, 0}, {0}};
static const struct cli_column extended_columns[] = {
    {"CATEGORY", "category", false, 0}, {"SERVICE", "name_en", false, 0}, {0}};
static const struct cli_column kind_columns[] = {
    {"KIND", "name", false, 0}, {"NAME", "name_zh", false, 0}, {"ITEMS", "items", false, 0}, {0}};
static const struct cli_column provider_columns[] = {
    {"PROVIDER", "id", false, 0}, {"NAME", "name", false, 0}, {0}};
static const struct cli_column bid_columns[] = {{"BID", "id", false, 0},
                                                {"PROVIDER", "provider", false, 0},
                                                {"STATE", "state", false, 0},
                                                {"WEIGHTED TOTAL", "weighted_total_yuan", true, 0},
                                                {"SUBMITTED", "submitted_at", false, 0},
                                                {0}};
static const struct cli_column price_columns[] = {{"ITEM", "item", false, 0},
                                                  {"PROVIDER", "provider", false, 0},
                                                  {"YUAN/MONTH", "price_yuan", true, 0},
                                                  {"CAP", "cap_yuan", true, 0},
                                                  {0}};
static const struct cli_column cloud_columns[] = {{"CLOUD", "id", false, 0},
                                                  {"NAME", "name", false, 0},
                                                  {"KIND", "kind", false, 0},
                                                  {"GROUP", "group", false, 0},
                                                  {"PROVIDER", "provider", false, 0},
                                                  {"STATE", "state", false, 0},
                                                  {0}};
static const struct cli_column endpoint_columns[] = {{"ENDPOINT", "id", false, 0},
                                                     {"CLOUD", "cloud", false, 0},
                                                     {"DRIVER", "driver", false, 0},
                                                     {"PRODUCT", "about.product", false, 0},
                                                     {"SYNCED", "synced_at", false, 0},
                                                     {"ERROR", "sync_error", false, 0},
                                                     {0}};
static const struct cli_column unit_columns[] = {{"UNIT", "id", false, 0},
                                                 {"NAME", "name", false, 0},
                                                 {"KIND", "kind", false, 0},
                                                 {"STATE", "state", false, 0},
                                                 {0}};
static const struct cli_column system_columns[] = {{"SYSTEM", "id", false, 0},
                                                   {"UNIT", "unit", false, 0},
                                                   {"NAME", "name", false, 0},
                                                   {"INSURANCE", "insurance", false, 0},
                                                   {0}};
static const struct cli_column quota_columns[] = {{"CLOUD", "cloud", false, 0},
                                                  {"METRIC", "metric", false, 0},
                                                  {"USED", "used", true, 0},
                                                  {"LIMIT", "limit", true, 0},
                                                  {0}};
static const struct cli_column order_columns[] = {
    {"ORDER", "id", false, 0},     {"SYSTEM", "system", false, 0},      {"STATE", "state", false, 0},
    {"BY", "principal", false, 0}, {"CREATED", "created_at", false, 0}, {0}};
static const struct cli_column operation_columns[] = {{"OPERATION", "id", false, 0},
                                                      {"KIND", "kind", false, 0},
                                                      {"STATE", "state", false, 0},
                                                      {"%", "percent", true, 0},
                                                      {"STEP", "step", false, 0},
                                                      {"CREATED", "created_at", false, 0},
                                                      {0}};
static const struct cli_column instance_columns[] = {
    {"INSTANCE", "id", false, 0},      {"NAME", "name", false, 0},
    {"CLOUD", "cloud", false, 0},      {"STATE", "state", false, 0},
    {"POWER", "power", false, 0},      {"VCPU", "spec.vcpu", true, 0},
    {"GB", "spec.memory_gb", true, 0}, {"ARCH", "spec.architecture", false, 0},
    {"ADDRESS", "address", false, 0},  {0}};
static const struct cli_column volume_columns[] = {{"VOLUME", "id", false, 0},
                                                   {"NAME", "name", false, 0},
                                                   {"CLOUD", "cloud", false, 0},
                                                   {"STATE", "state", false, 0},
                                                   {"GB", "spec.size_gb", true, 0},
                                                   {"CLASS", "spec.performance", false, 0},
                                                   {"ATTACHED TO", "attached_to", false, 0},
                                                   {0}};
static const struct cli_column fulfilment_columns[] = {
    {"FULFILMENT", "id", false, 0}, {"VERB", "verb", false, 0},       {"KIND", "kind", false, 0},
    {"NAME", "name", false, 0},     {"UNIT", "unit", false, 0},       {"CLOUD", "cloud", false, 0},
    {"DUE", "due_at", false, 0},    {"OVERDUE", "overdue", false, 0}, {0}};
static const struct cli_column link_columns[] = {{"CLOUD", "from.cloud", false, 0},
                                                 {"SITE", "from.site", false, 0},
                                                 {"TO CLOUD", "to.cloud", false, 0},
                                                 {"TO SITE", "to.site", false, 0},
                                                 {"BYTES/S", "bytes_per_second", true, 0},
                                                 {"MOVES", "moves", true, 0},
                                                 {"CHANGED", "changed_at", false, 0},
                                                 {"BY", "changed_by", false, 0},
                                                 {0}};
static const struct cli_column migration_columns[] = {
    {"MIGRATION", "id", false, 0},          {"INSTANCE", "name", false, 0},
    {"FROM", "source.cloud", false, 0},     {"TO", "target.cloud", false, 0},
    {"METHOD", "method", false, 0},         {"STATE", "state", false, 0},
    {"HOLD UNTIL", "hold_until", false, 0}, {0}};
static const struct cli_column resource_columns[] = {{"RESOURCE", "id", false, 0},
                                                     {"KIND", "kind", false, 0},
                                                     {"NAME", "name", false, 0},
                                                     {"CLOUD", "cloud", false, 0},
                                                     {"STATE", "state", false, 0},
                                                     {"ADDRESS", "address", false, 0},
                                                     {0}};
static const struct cli_column usage_columns[] = {{"RESOURCE", "resource", false, 0},
                                                  {"KIND", "kind", false, 0},
                                                  {"ITEM", "item", false, 0},
                                                  {"QUANTITY", "quantity", true, 0},
                                                  {"FROM", "from", false, 0},
                                                  {"TO", "to", false, 0},
                                                  {0}};
static const struct cli_column usage_event_columns[] = {{"SOURCE", "source", false, 0},
                                                        {"ID", "id", false, 0},
                                                        {"SUBJECT", "subject", false, 0},
                                                        {"UNIT", "unit", false, 0},
                                                        {"OCCURRED", "occurred_at", false, 0},
                                                        {"STATE", "state", false, 0},
                                                        {0}};
static const struct cli_column bill_columns[] = {{"BILL", "id", false, 0},
                                                 {"NUMBER", "number", false, 0},
                                                 {"MONTH", "month", false, 0},
                                                 {"UNIT", "unit", false, 0},
                                                 {"PROVIDER", "provider", false, 0},
                                                 {"YUAN", "total_yuan", true, 0},
                                                 {0}};
static const struct cli_column archive_columns[] = {{"MONTH", "month", false, 0},
                                                    {"VERIFIED", "verified_at", false, 0},
                                                    {"USAGE DROPPED", "usage_dropped_at", false, 0},
                                                    {"BILLS DROPPED", "bills_dropped_at", false, 0},
                                                    {"INTERVALS", "intervals", true, 0},
                                                    {"BILLS", "bills", true, 0},
                                                    {"YUAN", "total_yuan", true, 0},
                                                    {0}};
static const struct cli_column capacity_columns[] = {
    {"CLOUD", "cloud", false, 0},        {"ENDPOINT", "endpoint", false, 0},
    {"METRIC", "metric", false, 0},      {"TOTAL", "total", true, 0},
    {"ALLOCATED", "allocated", true, 0}, {"FREE", "free", true, 0},
    {"%", "percent", true, 0},           {0}};
static const struct cli_column alert_columns[] = {
    {"ALERT", "id", false, 0},           {"CLOUD", "cloud", false, 0},
    {"KIND", "kind", false, 0},          {"SUBJECT", "subject", false, 0},
    {"RAISED", "raised_at", false, 0},   {"DUE", "due_at", false, 0},
    {"CLEARED", "cleared_at", false, 0}, {0}};
static const struct cli_column drift_columns[] = {{"DRIFT", "id", false, 0},
                                                  {"CLOUD", "cloud", false, 0},
                                                  {"KIND", "kind", false, 0},
                                                  {"SUBJECT", "subject", false, 0},
                                                  {"EXPECTED", "expected", false, 28},
                                                  {"SEEN", "seen", false, 28},
                                                  {"YUAN/MONTH", "stake.difference_yuan", true, 0},
                                                  {"SINCE", "since", false, 0},
                                                  {0}};
static const struct cli_column principal_columns[] = {{"PRINCIPAL", "id", false, 0},
                                                      {"ROLE", "role", false, 0},
                                                      {"UNIT", "unit", false, 0},
                                                      {"PROVIDER", "provider", false, 0},
                                                      {"CLOUDS", "clouds", false, 0},
                                                      {"DISABLED", "disabled", false, 0},
                                                      {0}};
static const struct cli_column token_columns[] = {{"TOKEN", "jti", false, 0},
                                                  {"PRINCIPAL", "principal", false, 0},
                                                  {"EXPIRES", "expires_at", false, 0},
                                                  {"REVOKED", "revoked_at", false, 0},
                                                  {0}};
static const struct cli_column key_columns[] = {{"KEY", "kid", false, 0},
                                                {"ALGORITHM", "alg", false, 0},
                                                {"SIGNS FROM", "signs_from", false, 0},
                                                {"RETIRES", "retires_at", false, 0},
                                                {"REVOKED", "revoked_at", false, 0},
                                                {0}};
static const struct cli_column run_columns[] = {{"RUN", "id", false, 0},
                                                {"STARTED", "started_at", false, 0},
                                                {"PURPOSE", "purpose", false, 0},
                                                {"INTERVALS", "intervals", true, 0},
                                                {"BILLS", "bills", true, 0},
                                                {"LINES", "lines", true, 0},
                                                {"YUAN", "total_yuan", true, 0},
                                                {"SM3", "digest_sm3", false, 16},
                                                {0}};
static const struct cli_column setting_columns[] = {
    {"SETTING", "name", false, 0}, {"DEFAULT", "default", false, 0}, {"CHOICES", "choices", false, 0}, {0}};
static const struct cli_column address_columns[] = {{"ID", "id", false, 0},
                                                    {"NAME", "name", false, 0},
                                                    {"CLOUD", "cloud", false, 0},
                                                    {"STATE", "state", false, 0},
                                                    {"ADDRESS", "address", false, 0},
                                                    {"ATTACHED TO", "attached_to", false, 0},
                                                    {0}};
static const struct cli_column bandwidth_columns[] = {
    {"ID", "id", false, 0},       {"NAME", "name", false, 0},     {"CLOUD", "cloud", false, 0},
    {"STATE", "state", false, 0}, {"MBPS", "spec.mbps", true, 0}, {0}};
static const struct cli_column audit_columns[] = {
    {"AT", "at", false, 0},           {"PRINCIPAL", "principal", false, 0},
    {"ACTION", "action", false, 0},   {"METHOD", "method", false, 0},
    {"PATH", "path", false, 0},       {"STATUS", "status", true, 0},
    {"SUBJECT", "subject", false, 0}, {0}};

const struct cli_command list_commands[] = {
    LIST("catalog items", "/v1/catalog/items", item_columns, NULL,
         "the 23 priced items with their caps and weights"),
    LIST("catalog security", "/v1/catalog/security", security_columns, NULL,
         "the 17 base security services, free of charge"),
    LIST("catalog extended", "/v1/catalog/extended", extended_columns, NULL,
         "the extended services, filed by providers"),
    LIST("catalog kinds", "/v1/catalog/kinds", kind_columns, NULL,
         "what can be ordered, and which items it uses"),
    LIST("catalog agreement", "/v1/catalog/agreement", setting_columns, NULL,
         "the settings of an agreement and their defaults"),
    LIST("provider list", "/v1/providers", provider_columns, NULL, "the providers"),
    SHOW("provider show", "/v1/providers/{}", "one provider and its agreement"),
    LIST_OF("bid list", "PROVIDER", "/v1/providers/{}/bids", bid_columns, NULL,
            "a provider's bids and their weighted totals"),
    SHOW("bid show", "/v1/bids/{}", "one bid with its prices"),
    LIST("price list", "/v1/prices", price_columns, "item,at",
         "prices in force, compared across providers (--item, --at)"),
    LIST("cloud list", "/v1/clouds", cloud_columns, "kind,provider", "the clouds (--kind, --provider)"),
    SHOW("cloud show", "/v1/clouds/{}", "one cloud with its sites, zones and images"),
    LIST("endpoint list", "/v1/endpoints", endpoint_columns, "cloud", "hypervisor managers (--cloud)"),
    SHOW("endpoint show", "/v1/endpoints/{}", "one endpoint and the state of its gate"),
    LIST("unit list", "/v1/units", unit_columns, NULL, "the using units"),
    SHOW("unit show", "/v1/units/{}", "one using unit"),
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
    LIST("address list", "/v1/addresses", address_columns, "cloud,system,state",
         "Internet addresses (--cloud, --system, --state)"),
    LIST("bandwidth list", "/v1/bandwidths", bandwidth_columns, "cloud,system,state",
         "rented bandwidth (--cloud, --system, --state)"),
    LIST("resource list", "/v1/resources", resource_columns, "kind,cloud,system,state",
         "resources of every kind (--kind, --cloud, --system, --state)"),
    SHOW("resource show", "/v1/resources/{}", "one resource"),
    LIST("fulfilment list", "/v1/fulfilments", fulfilment_columns, "cloud,kind,state",
         "what the provider's operator has to do (--cloud, --kind, --state)"),
    SHOW("fulfilment show", "/v1/fulfilments/{}", "one fulfilment with what is asked"),
    LIST("link list", "/v1/links", link_columns, NULL, "links between sites with a limit for moves"),
    LIST("migrate list", "/v1/migrations", migration_columns, "state,system,cloud,instance",
         "moves between clouds (--state, --system, --cloud, --instance)"),
    SHOW("migrate show", "/v1/migrations/{}", "one move with its plans, history, ledger and passes"),
    LIST("usage list", "/v1/usage", usage_columns, "unit,system,cloud,provider,resource,item,from,to",
         "usage intervals (--unit, --system, --cloud, --provider, --resource, --item, --from, --to)"),
    LIST("usage events", "/v1/usage-events", usage_event_columns, "state,provider,source,subject,unit,cloud",
         "events of reported usage (--state, --provider, --source, --subject, --unit, --cloud)"),
    LIST("bill list", "/v1/bills", bill_columns, "month,unit,provider",
         "bills (--month, --unit, --provider)"),
    {"month show", "MONTH", "whether a month is closed, with what total or from when on", cli_show,
     "/v1/months/{}", NULL, NULL, NULL},
    LIST_OF("month runs", "MONTH", "/v1/months/{}/runs", run_columns, NULL,
            "what a month was rated from and what it came to, newest first"),
    LIST("archive list", "/v1/archives", archive_columns, NULL, "the archived months"),
    {"billing show", NULL, "how long a month stays open after its end, usage and bills in the database",
     cli_show, "/v1/billing-settings", NULL, NULL, NULL},
    LIST("capacity list", "/v1/capacity", capacity_columns, "cloud",
         "what clouds have and what is allocated (--cloud)"),
    LIST("alert list", "/v1/alerts", alert_columns, "cloud,state",
         "what is running out (--cloud, --state open|cleared)"),
    LIST("drift list", "/v1/drift", drift_columns, "cloud,kind,state,unit",
         "where providers, broker and bills differ (--cloud, --kind, --state, --unit)"),
    SHOW("drift show", "/v1/drift/{}", "one case with its sides, correction and history"),
    LIST("principal list", "/v1/principals", principal_columns, "unit", "who may call (--unit)"),
    SHOW("principal show", "/v1/principals/{}", "one principal"),
    LIST("token list", "/v1/tokens", token_columns, "principal", "tokens that were issued (--principal)"),
    LIST("key list", "/v1/keys", key_columns, NULL, "the public keys that tokens are verified with"),
    LIST("audit list", "/v1/audit", audit_columns, "unit,principal,from,until",
         "the audit trail, newest first (--unit, --principal, --from, --until)"),
    {"whoami", NULL, "who the broker takes you for", cli_show, "/v1/whoami", NULL, NULL, NULL},
    {0},
};

const struct cli_command *const cli_command_tables[] = {list_commands,
                                                        make_commands,
                                                        operate_commands,
                                                        money_commands,
                                                        statement_commands,
                                                        budget_commands,
                                                        export_commands,
                                                        verify_commands,
                                                        archive_commands,
                                                        usage_commands,
                                                        consent_commands,
                                                        assess_commands,
                                                        wave_commands,
                                                        migrate_commands,
                                                        link_commands,
                                                        image_commands,
                                                        NULL};
