/* From bid to bill through the HTTP API, with the real server, identity and database: what providers offer,
 * what is approved, compared and quoted, what is used, and what the statement and the bills say of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "broker/auth/auth.h"
#include "broker/auth/principal_store.h"
#include "broker/base/json.h"
#include "broker/control/routes.h"
#include "catalog/item.h"
#include "catalog/routes.h"
#include "metering/routes.h"
#include "metering/usage.h"
#include "tests/support/h2.h"
#include "tests/support/https.h"
#include "tests/support/pg.h"

struct house {
    struct pg *pg;
    struct db *db;
    struct auth *auth;
    struct clock *clock;
    struct https https;
    struct h2_client *client;
    char token[4096];
    struct month month;
    int keys;
};
static struct house house;

static void ok(struct error *error)
{
    if (error)
        fail_msg("%s: %s", error_code_name(error_code(error)), error_message(error));
}

static void read_token(void)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/admin.token", pg_folder(house.pg)); /* a short folder */
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(house.token, 1, sizeof house.token - 1, file);
    (void)fclose(file); /* read only */
    house.token[length] = '\0';
    house.token[strcspn(house.token, "\n")] = '\0';
}

static int open_house(void **state)
{
    static const struct http_table *const tables[] = {
        &item_routes, &provider_routes,   &bid_routes,   &price_routes,   &usage_routes,
        &bill_routes, &statement_routes,  &quote_routes, &setting_routes, &change_routes,
        &line_routes, &comparison_routes, &budget_routes};
    char keys[512];
    house.pg = pg_start();
    house.clock = clock_new(0);
    ok(db_connect(pg_conninfo(house.pg), &house.db));
    (void)snprintf(keys, sizeof keys, "%s/keys", pg_folder(house.pg)); /* a short folder */
    ok(auth_new(keys, house.db, clock_now(house.clock), &house.auth));
    ok(auth_bootstrap(house.auth, house.db, pg_folder(house.pg), clock_now(house.clock), NULL));
    read_token();
    https_start(&house.https, (struct server_settings){.tables = tables,
                                                       .table_count = sizeof tables / sizeof *tables,
                                                       .conninfo = pg_conninfo(house.pg),
                                                       .auth = house.auth,
                                                       .clock = house.clock,
                                                       .workers = 2});
    house.client = h2_open(house.https.port, NULL);
    assert_non_null(house.client);
    house.month = month_of(clock_now(house.clock));
    return 0;
}

static int close_house(void **state)
{
    h2_close(house.client);
    https_stop(&house.https);
    auth_free(house.auth);
    db_close(house.db);
    clock_free(house.clock);
    pg_stop(house.pg);
    return 0;
}

/* The JSON of the answer, in the arena; fails unless it has the status. */
static json_t *call(struct arena *arena, const char *method, const char *path, const char *body, int status)
{
    const char *key = arena_printf(arena, "key-%d", ++house.keys);
    const char *const with[] = {"content-type", "application/json", "idempotency-key", key, NULL};
    struct h2_request request = {.method = method, .path = path, .token = house.token};
    if (!strcmp(method, "POST"))
        request.headers = body ? with : NULL;
    if (body) {
        request.body = body;
        request.length = strlen(body);
    }
    const struct h2_reply *reply = h2_call(house.client, &request);
    if (reply->status != status)
        fail_msg("%s %s: %d %s", method, path, reply->status, reply->body ? reply->body : "");
    json_t *json = json_loads(reply->body, 0, NULL);
    assert_non_null(json);
    return json_hold(arena, json);
}

static json_t *get(struct arena *arena, const char *path)
{
    return call(arena, "GET", path, NULL, 200);
}

static const char *text(const json_t *json, const char *name)
{
    const char *value = json_string_value(json_object_get(json, name));
    return value ? value : "(none)";
}

/* {"prices": …} at the caps, less `less` fen, with one more member for bad ones. */
static const char *bid_text(struct arena *arena, int64_t less, const char *changes)
{
    json_t *body = json_hold(arena, json_object()), *prices = json_object(),
           *change = json_loads(changes, 0, NULL);
    for (size_t i = 0; i < item_count(); i++)
        json_put_yuan(prices, item_at(i)->code, item_at(i)->cap_fen - less);
    assert_int_equal(json_object_update(prices, change), 0);
    json_decref(change);
    json_put(body, "prices", prices);
    return json_canonical(arena, body);
}

static void the_catalog_is_read(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *items = get(arena, "/v1/catalog/items");
    assert_int_equal(json_array_size(json_object_get(items, "items")), 23);
    assert_string_equal(text(items, "weighted_cap_yuan"), "79.0430");
    assert_int_equal(json_array_size(json_object_get(get(arena, "/v1/catalog/security"), "items")), 17);
    assert_int_equal(json_array_size(json_object_get(get(arena, "/v1/catalog/extended"), "items")), 32);
    assert_int_equal(json_array_size(json_object_get(get(arena, "/v1/catalog/kinds"), "kinds")), 14);
    assert_int_equal(json_array_size(json_object_get(get(arena, "/v1/catalog/agreement"), "settings")), 7);
    assert_int_equal(h2_get(house.client, "/v1/catalog/items", NULL)->status, 401);
}

static void bids_become_prices(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char month[8];
    month_format(house.month, month);
    call(arena, "POST", "/v1/providers", "{\"id\":\"dear\",\"name\":\"Dear\"}", 201);
    call(arena, "POST", "/v1/providers",
         "{\"id\":\"cheap\",\"name\":\"Cheap\",\"agreement\":{\"system_disk\":\"included\"}}", 201);
    call(arena, "POST", "/v1/providers", "{\"id\":\"dear\",\"name\":\"Again\"}", 409);
    call(arena, "POST", "/v1/providers",
         "{\"id\":\"x\",\"name\":\"X\",\"agreement\":{\"proration\":\"week\"}}", 422);
    json_t *problem =
        call(arena, "POST", "/v1/providers/dear/bids",
             bid_text(arena, 0, "{\"1001\":\"14.021\",\"1002\":\"41.16\",\"9999\":\"1.00\"}"), 422);
    json_t *errors = json_object_get(problem, "errors");
    assert_int_equal(json_array_size(errors), 3);
    assert_string_equal(text(json_array_get(errors, 0), "pointer"), "/prices/9999");
    assert_string_equal(text(json_array_get(errors, 1), "pointer"), "/prices/1001");
    assert_int_equal(pg_number(house.pg, "SELECT count(*) FROM bid"), 0);
    call(arena, "POST", "/v1/providers/nobody/bids", bid_text(arena, 0, "{}"), 404);

    const char *approve = arena_printf(arena, "{\"valid_from\":\"%s\"}", month);
    json_t *dear = call(arena, "POST", "/v1/providers/dear/bids", bid_text(arena, 0, "{}"), 201);
    assert_string_equal(text(dear, "weighted_total_yuan"), "79.0430");
    json_t *cheap = call(arena, "POST", "/v1/providers/cheap/bids", bid_text(arena, 100, "{}"), 201);
    assert_string_equal(text(cheap, "weighted_total_yuan"),
                        "78.0430"); /* one yuan less each, weights are 100 % */
    const char *path = arena_printf(arena, "/v1/bids/%s:approve", text(dear, "id"));
    call(arena, "POST", path, "{\"valid_from\":\"2020-01\"}", 422);
    assert_string_equal(text(call(arena, "POST", path, approve, 200), "state"), "approved");
    call(arena, "POST", path, approve, 409);
    call(arena, "POST", arena_printf(arena, "/v1/bids/%s:approve", text(cheap, "id")), approve, 200);
    assert_int_equal(pg_number(house.pg, "SELECT count(*) FROM price"), 46);
    assert_int_equal(pg_number(house.pg, "SELECT count(*) FROM price_book WHERE valid_to ="
                                         " (valid_from AT TIME ZONE 'Asia/Shanghai' + interval '24 months')"
                                         " AT TIME ZONE 'Asia/Shanghai'"),
                     2);
    json_t *prices = json_object_get(get(arena, "/v1/prices?item=1001"), "prices");
    assert_int_equal(json_array_size(prices), 2);
    assert_string_equal(text(json_array_get(prices, 0), "provider"), "cheap");
    assert_string_equal(text(json_array_get(prices, 0), "price_yuan"), "13.02");
    assert_string_equal(text(json_array_get(prices, 1), "price_yuan"), "14.02");
    assert_int_equal(json_array_size(json_object_get(get(arena, "/v1/providers/dear/prices"), "prices")), 23);
    call(arena, "GET", "/v1/prices?item=2001", NULL, 422);
    /* A second bid supersedes the first from next month to the same end; in the same month it is refused. */
    json_t *next = call(arena, "POST", "/v1/providers/dear/bids", bid_text(arena, 50, "{}"), 201);
    path = arena_printf(arena, "/v1/bids/%s:approve", text(next, "id"));
    call(arena, "POST", path, approve, 409);
    month_format(month_next(house.month), month);
    call(arena, "POST", path, arena_printf(arena, "{\"valid_from\":\"%s\"}", month), 200);
    assert_int_equal(pg_number(house.pg, "SELECT count(DISTINCT valid_to) FROM price_book"), 2);
    assert_int_equal(pg_number(house.pg, "SELECT count(*) FROM price WHERE provider_id = 'dear'"), 46);
}

/* 4 vCPU, 8 GB, 40 GB of disk: 56.08 + 329.20 + 11.44 at the caps; a yuan less each without the disk 52.08 +
 * 321.20. */
static void quotes_compare_clouds(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    static const char machine[] =
        "{\"resources\":[{\"kind\":\"instance\",\"spec\":{\"vcpu\":4,\"memory_gb\":8,"
        "\"architecture\":\"x86\",\"image\":\"debian\",\"zone\":\"internet\"}}],\"months\":12%s}";
    pg_exec(house.pg,
            "INSERT INTO provider (id, name, created_at, updated_at) VALUES ('silent', 'S', now(), now());"
            "INSERT INTO agreement VALUES ('silent', '1991-09-23', '{}', now());"
            "INSERT INTO cloud (id, name, kind, provider_id, created_at, updated_at) VALUES"
            " ('c-dear', 'D', 'service', 'dear', now(), now()), ('c-cheap', 'C', 'health', 'cheap', now(), "
            "now()),"
            " ('c-silent', 'S', 'education', 'silent', now(), now())");
    json_t *quotes =
        json_object_get(call(arena, "POST", "/v1/quotes", arena_printf(arena, machine, ""), 200), "quotes");
    assert_int_equal(json_array_size(quotes), 3);
    const json_t *cheap = json_array_get(quotes, 0), *dear = json_array_get(quotes, 1),
                 *silent = json_array_get(quotes, 2);
    assert_string_equal(text(cheap, "cloud"), "c-cheap");
    assert_string_equal(text(cheap, "monthly_yuan"), "373.28");
    assert_string_equal(text(dear, "monthly_yuan"), "396.72");
    assert_string_equal(text(dear, "total_yuan"), "4760.64");
    assert_non_null(strstr(text(silent, "unavailable"), "no price for item 1001"));
    json_t *one =
        call(arena, "POST", "/v1/quotes", arena_printf(arena, machine, ",\"clouds\":[\"c-dear\"]"), 200);
    assert_int_equal(json_array_size(json_object_get(one, "quotes")), 1);
    json_t *problem = call(arena, "POST", "/v1/quotes",
                           arena_printf(arena, machine, ",\"clouds\":[\"c-dear\",\"no\"]"), 422);
    assert_string_equal(text(json_array_get(json_object_get(problem, "errors"), 0), "pointer"), "/clouds/1");
    problem = call(arena, "POST", "/v1/quotes",
                   "{\"resources\":[{\"kind\":\"volume\",\"spec\":{\"size_gb\":0}}]}", 422);
    assert_string_equal(text(json_array_get(json_object_get(problem, "errors"), 0), "pointer"),
                        "/resources/0/spec/size_gb");
}

static struct error *use(struct db *db, void *context)
{
    const struct usage_subject dear = {.unit = "u1",
                                       .system = "u1001",
                                       .cloud = "c-dear",
                                       .provider = "dear",
                                       .resource = "r1",
                                       .kind = "instance"},
                               cheap = {.unit = "u2",
                                        .system = "u2001",
                                        .cloud = "c-cheap",
                                        .provider = "cheap",
                                        .resource = "r2",
                                        .kind = "address"};
    const struct item_quantity machine[] = {{.item = "1001", .micro = 4000000},
                                            {.item = "1002", .micro = 8000000}},
                               address[] = {{.item = "1017", .micro = 1000000}};
    TRY(usage_set(db, &dear, machine, 2, month_start(house.month)));
    return usage_set(db, &cheap, address, 1, month_start(house.month));
}

static void use_becomes_bills(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char month[8];
    month_format(house.month, month);
    const char *close_path = arena_printf(arena, "/v1/months/%s:close", month);
    const char *by_item = arena_printf(arena, "/v1/statements/%s?group_by=item,unit&page_size=2", month);
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, use, NULL));
    json_t *usage = json_object_get(get(arena, "/v1/usage?unit=u1"), "usage");
    assert_int_equal(json_array_size(usage), 2);
    assert_string_equal(text(json_array_get(usage, 0), "quantity"), "4");
    json_t *open = get(arena, by_item);
    assert_string_equal(text(open, "state"), "open");
    assert_int_equal(json_array_size(json_object_get(open, "rows")), 2);
    call(arena, "POST", close_path, NULL, 409);

    ok(clock_set_offset(house.clock, 32 * MOMENT_DAY));
    ok(auth_reissue_admin(house.auth, house.db, pg_folder(house.pg), clock_now(house.clock)));
    read_token();
    json_t *closed = call(arena, "POST", close_path, NULL, 200);
    assert_string_equal(text(closed, "total_yuan"), "460.33"); /* 56.08 + 329.20 + 75.05 */
    assert_true(json_equal(closed, call(arena, "POST", close_path, NULL, 200)));

    /* Two pages of three rows, then the totals. */
    json_t *first = get(arena, by_item);
    json_t *rows = json_object_get(first, "rows");
    assert_string_equal(text(first, "state"), "closed");
    assert_string_equal(text(json_object_get(first, "total"), "amount_yuan"), "460.33");
    assert_string_equal(text(json_array_get(rows, 0), "item"), "1001");
    assert_string_equal(text(json_array_get(rows, 0), "price_yuan"), "14.02");
    assert_string_equal(text(json_array_get(rows, 0), "average_quantity"), "4.000000");
    assert_string_equal(text(json_array_get(rows, 0), "amount_yuan"), "56.08");
    json_t *second =
        get(arena, arena_printf(arena, "%s&page_token=%s", by_item, text(first, "next_page_token")));
    rows = json_object_get(second, "rows");
    assert_int_equal(json_array_size(rows), 1);
    assert_string_equal(text(json_array_get(rows, 0), "unit"), "u2");
    assert_string_equal(text(json_array_get(rows, 0), "amount_yuan"), "75.05");
    assert_null(json_object_get(second, "next_page_token"));
    json_t *filtered = get(arena, arena_printf(arena, "/v1/statements/%s?cloud=c-dear", month));
    assert_string_equal(text(json_object_get(filtered, "total"), "amount_yuan"), "385.28");
    call(arena, "GET", arena_printf(arena, "/v1/statements/%s?group_by=moon", month), NULL, 422);

    json_t *bills =
        json_object_get(get(arena, arena_printf(arena, "/v1/bills?month=%s&page_size=1", month)), "bills");
    assert_int_equal(json_array_size(bills), 1);
    assert_string_equal(text(json_array_get(bills, 0), "total_yuan"), "385.28");
    json_t *bill = get(arena, arena_printf(arena, "/v1/bills/%s", text(json_array_get(bills, 0), "id")));
    assert_string_equal(text(bill, "number"), arena_printf(arena, "YQ%.4s%s.dear.u1", month, month + 5));
    assert_int_equal(json_array_size(json_object_get(bill, "lines")), 2);
    assert_string_equal(text(json_array_get(json_object_get(bill, "lines"), 1), "amount_yuan"), "329.20");
    /* The free base security services (3.1.4, 3.2.2): all 17, for nothing. */
    json_t *included = json_object_get(bill, "included_services");
    assert_string_equal(text(included, "amount_yuan"), "0.00");
    assert_int_equal(json_array_size(json_object_get(included, "services")), 17);
    call(arena, "GET", "/v1/bills/none", NULL, 404);
}

/* From the total of a range down to the intervals; the closed month is 460.33, after it 31 days run on. */
static void the_total_leads_to_its_intervals(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char month[8];
    (void)state;
    month_format(house.month, month);
    json_t *range =
        get(arena, arena_printf(arena, "/v1/statements?from=%s&to=%s&group_by=month,provider", month, month));
    assert_string_equal(text(json_object_get(range, "total"), "amount_yuan"), "460.33");
    assert_string_equal(text(json_object_get(range, "months"), month), "closed");
    assert_int_equal(json_array_size(json_object_get(range, "rows")), 2);
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(range, "included_services"), "services")), 17);
    call(arena, "GET", "/v1/statements?from=2026-13", NULL, 400);
    call(arena, "GET", "/v1/statements?from=2020-01&to=2026-01", NULL, 400);
    call(arena, "GET", "/v1/statements?from=2026-02&to=2026-01", NULL, 400);
    json_t *changes =
        get(arena, arena_printf(arena, "/v1/statements/%s/changes?group_by=item&limit=1", month));
    const json_t *rose = json_object_get(json_object_get(changes, "movers"), "rose");
    assert_int_equal(json_array_size(rose), 1);
    assert_string_equal(text(json_array_get(rose, 0), "item"), "1002");
    assert_true(json_is_null(json_object_get(json_array_get(rose, 0), "month_change_per_mille")));
    call(arena, "GET", arena_printf(arena, "/v1/statements/%s/changes?limit=0", month), NULL, 400);
    json_t *first = get(arena, arena_printf(arena, "/v1/lines?month=%s&item=1001&page_size=1", month));
    const json_t *line = json_array_get(json_object_get(first, "lines"), 0);
    assert_string_equal(text(line, "amount_yuan"), "56.08");
    json_t *usage = get(arena, text(line, "usage"));
    assert_int_equal(json_array_size(json_object_get(usage, "intervals")), 1);
    assert_string_equal(text(usage, "usage_exact"), text(line, "usage_exact"));
    assert_string_equal(text(usage, "billed_exact"), text(line, "usage_exact"));
    assert_string_equal(text(usage, "unbilled_exact"), "0");
    call(arena, "GET", arena_printf(arena, "%s0", text(line, "usage")), NULL, 404);
    json_t *pages = get(arena, arena_printf(arena, "/v1/lines?month=%s&page_size=2", month));
    json_t *rest = get(arena, arena_printf(arena, "/v1/lines?month=%s&page_size=2&page_token=%s", month,
                                           text(pages, "next_page_token")));
    assert_int_equal(json_array_size(json_object_get(rest, "lines")), 1);
    json_t *comparison = get(arena, arena_printf(arena, "/v1/units/u1/comparison?month=%s", month));
    assert_string_equal(text(json_object_get(comparison, "actual"), "amount_yuan"), "385.28");
    assert_true(json_array_size(json_object_get(comparison, "providers")) >= 2);
}

static void a_budget_is_made_changed_and_forgotten(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    call(arena, "POST", "/v1/budgets", "{\"unit\":\"u1\",\"period\":\"week\",\"amount_yuan\":\"1.00\"}", 422);
    call(arena, "POST", "/v1/budgets", "{\"unit\":\"u1\",\"period\":\"month\",\"amount_yuan\":\"0.00\"}",
         422);
    call(arena, "POST", "/v1/budgets",
         "{\"unit\":\"u1\",\"period\":\"month\",\"amount_yuan\":\"1.00\",\"thresholds\":[50,50]}", 422);
    json_t *budget = call(arena, "POST", "/v1/budgets",
                          "{\"unit\":\"u1\",\"period\":\"month\",\"amount_yuan\":\"1000.00\"}", 201);
    assert_int_equal(json_array_size(json_object_get(budget, "thresholds")), 3);
    json_t *status = get(arena, text(budget, "status"));
    assert_string_equal(text(status, "period_before_yuan"), "385.28");
    assert_string_equal(text(status, "forecast_yuan"), "379.28"); /* 12 × 0.50 less */
    assert_int_equal(json_array_size(json_object_get(get(arena, "/v1/budgets?unit=u1"), "budgets")), 1);
    assert_int_equal(json_array_size(json_object_get(get(arena, "/v1/budgets?unit=u2"), "budgets")), 0);
    const char *path = arena_printf(arena, "/v1/budgets/%s", text(budget, "id")),
               *body = "{\"amount_yuan\":\"5.00\"}";
    const char *const stale[] = {"content-type", "application/json", "if-match", "\"v7\"", NULL},
                      *const good[] = {"content-type", "application/json", "if-match", "\"v1\"", NULL};
    struct h2_request change = {.method = "PATCH",
                                .path = path,
                                .token = house.token,
                                .headers = stale,
                                .body = body,
                                .length = strlen(body)};
    assert_int_equal(h2_call(house.client, &change)->status, 412);
    change.headers = good;
    assert_int_equal(h2_call(house.client, &change)->status, 200);
    assert_string_equal(text(get(arena, path), "amount_yuan"), "5.00");
    const char *const later[] = {"if-match", "\"v2\"", NULL};
    struct h2_request forget = {.method = "DELETE", .path = path, .token = house.token, .headers = later};
    assert_int_equal(h2_call(house.client, &forget)->status, 204);
    call(arena, "GET", path, NULL, 404);
}

static void patch_grace(const char *etag, const char *body, int status)
{
    const char *const headers[] = {"content-type", "application/json", "if-match", etag, NULL};
    struct h2_request request = {.method = "PATCH",
                                 .path = "/v1/billing-settings",
                                 .token = house.token,
                                 .headers = headers,
                                 .body = body,
                                 .length = strlen(body)};
    const struct h2_reply *reply = h2_call(house.client, &request);
    if (reply->status != status)
        fail_msg("%s: %d %s", body, reply->status, reply->body ? reply->body : "");
}

/* An open month says from when on it closes; one hour after its end unless the operator sets it otherwise. */
/* One of each kind at the caps, by hand: server 354.23 + 2 × 200.60 = 755.43; gpu 24 × 45.00 + 125 × 8.00 =
 * 2080.00; object store 2.5 × 72.75 = 181.875, backup space 1.5 × 72.75 = 109.125, one line of 4 TB: 291.00;
 * backup 2.5 × 138.90 = 347.25; load balancing 2 × 66.47 = 132.94; 25 users in 3 sets, 773.16; tunnel 20 ×
 * 127.78 = 2555.60; 2 names 627.38; 250 Mbps in 2 sets, 197.72. Together 7760.48. */
static void every_kind_is_quoted(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *quotes = json_object_get(
        call(
            arena, "POST", "/v1/quotes",
            "{\"clouds\":[\"c-dear\"],\"resources\":["
            "{\"kind\":\"server\",\"spec\":{\"configuration\":1,\"architecture\":\"ARM\",\"zone\":\"z\","
            "\"reason\":\"r\",\"memory_32gb\":2}},"
            "{\"kind\":\"gpu\",\"spec\":{\"memory_gb\":24,\"tflops\":125,\"attach_to\":\"s\"}},"
            "{\"kind\":\"object-store\",\"spec\":{\"size_gb\":2500}},"
            "{\"kind\":\"backup-policy\",\"spec\":{\"place\":\"remote\",\"protected_gb\":250,"
            "\"space_gb\":1500,\"space_class\":\"static\"}},"
            "{\"kind\":\"load-balancer\",\"spec\":{\"zone\":\"z\",\"backends\":[\"10.0.0.1\",\"10.0.0.2\"]}},"
            "{\"kind\":\"ssl-vpn\",\"spec\":{\"concurrent_users\":25}},"
            "{\"kind\":\"ipsec-vpn\",\"spec\":{\"mbps\":20}},"
            "{\"kind\":\"certificate\",\"spec\":{\"domains\":[\"a.example.cn\",\"b.example.cn\"]}},"
            "{\"kind\":\"waf\",\"spec\":{\"mbps\":250}}]}",
            200),
        "quotes");
    assert_int_equal(json_array_size(quotes), 1);
    assert_string_equal(text(json_array_get(quotes, 0), "monthly_yuan"), "7760.48");
}

static void the_grace_is_set_and_shown(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char month[8];
    month_format(house.month, month);
    const char *path = arena_printf(arena, "/v1/months/%s", month);
    assert_string_equal(text(get(arena, path), "closes_from"),
                        moment_text(arena, month_end(house.month) + MOMENT_HOUR));
    assert_int_equal(
        json_integer_value(json_object_get(get(arena, "/v1/billing-settings"), "close_grace_seconds")), 3600);
    patch_grace("\"g1\"", "{\"close_grace_seconds\":7200}", 412);
    patch_grace("\"g3600\"", "{\"close_grace_seconds\":2678401}", 422);
    patch_grace("\"g3600\"", "{\"close_grace_seconds\":-1}", 422);
    patch_grace("\"g3600\"", "{}", 422);
    patch_grace("\"g3600\"", "{\"close_grace_seconds\":7200}", 200);
    assert_string_equal(text(get(arena, path), "closes_from"),
                        moment_text(arena, month_end(house.month) + 2 * MOMENT_HOUR));
    patch_grace("\"g7200\"", "{\"close_grace_seconds\":0}", 200);
}

static struct error *add_reader(struct db *db, void *context)
{
    struct arena *arena = context;
    moment now = clock_now(house.clock);
    const struct principal_row row = {.grant = {.id = "reader", .role = ROLE_UNIT_ADMIN, .unit = "u1"}};
    const char *token, *jti;
    TRY(principal_store_insert(db, &row, now));
    TRY(auth_issue_token(house.auth, db, NULL, "reader", MOMENT_HOUR, now, arena, &token, &jti));
    (void)snprintf(house.token, sizeof house.token, "%s", token); /* a token is shorter */
    return NULL;
}

/* Unit u1's administrator reads its own bill, not u2's, and no total of all. */
static void what_others_owe_is_not_told(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char month[8];
    month_format(house.month, month);
    const char *month_path = arena_printf(arena, "/v1/months/%s", month);
    assert_string_equal(text(get(arena, month_path), "total_yuan"), "460.33");
    char *other = pg_value(house.pg, "SELECT id FROM bill WHERE unit_id = 'u2'");
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, add_reader, arena));
    ok(auth_refresh(house.auth, house.db, clock_now(house.clock)));
    json_t *closed = get(arena, month_path);
    assert_string_equal(text(closed, "state"), "closed");
    assert_null(json_object_get(closed, "total_yuan"));
    assert_null(json_object_get(closed, "bills"));
    assert_null(json_object_get(closed, "lines"));
    json_t *bills = json_object_get(get(arena, "/v1/bills"), "bills");
    assert_int_equal(json_array_size(bills), 1);
    assert_string_equal(text(json_array_get(bills, 0), "total_yuan"), "385.28");
    assert_null(json_object_get(json_array_get(bills, 0), "partial"));
    call(arena, "GET", arena_printf(arena, "/v1/bills/%s", other), NULL, 404);
    call(arena, "POST", arena_printf(arena, "%s:close", month_path), NULL, 403);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_catalog_is_read),
        cmocka_unit_test(bids_become_prices),
        cmocka_unit_test(quotes_compare_clouds),
        cmocka_unit_test(every_kind_is_quoted),
        cmocka_unit_test(the_grace_is_set_and_shown),
        cmocka_unit_test(use_becomes_bills),
        cmocka_unit_test(the_total_leads_to_its_intervals),
        cmocka_unit_test(a_budget_is_made_changed_and_forgotten),
        cmocka_unit_test(what_others_owe_is_not_told),
    };
    return cmocka_run_group_tests(tests, open_house, close_house);
}
