/* Exports of closed bills through the server, in every text format: what is in them adds up to the bills,
 * each caller gets what it may see, and no cell is a formula. */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metering/export.h"
#include "metering/routes.h"
#include "tests/broker/http/fixture.h"
#include "tests/metering/focus.h"
#include "tests/metering/ledger.h"
#include "tests/metering/table.h"
#include "tests/support/child.h"

static struct ledger ledger;
static struct arena *arena;
static struct h2_client *client;
static const struct month january = {2027, 1}, february = {2027, 2};

static const struct http_table *const tables[] = {&export_routes, &bill_routes, &server_routes};

static void set(const char *unit, const char *provider, const char *resource, const char *quantities,
                const char *when)
{
    char system[64];
    snprintf(system, sizeof system, "%s001", unit);
    ledger_ok(ledger_set(&ledger, unit, system, provider[1] == '1' ? "c1" : "c2", provider, resource,
                         quantities, at(when)));
}

/* Two units at two providers; every item, free ones too, a change at a price's change, and in February what
 * came late for January: more, less, and of something that was not billed at all. */
static void make_bills(void)
{
    struct bill_month closed;
    pg_exec(ledger.pg, "UPDATE billing_setting SET close_grace_seconds = 0");
    ledger_provider(&ledger, "p1", &agreement_default, january, 0);
    ledger_provider(&ledger, "p2", &agreement_default, january, 100);
    ledger_reprice(&ledger, "p1", february, 7);
    pg_exec(ledger.pg, "UPDATE provider SET name = '=HYPERLINK(\"x\"), 云' WHERE id = 'p2'");
    set("u1", "p1", "r1", "1001=4,1002=8,1001+=1", "2027-01-01T00:00:00+08:00");
    set("u1", "p2", "m1", "1001~=4", "2027-01-01T00:00:00+08:00");
    set("u1", "p1", "r1", "1001=2,1002=8.5", "2027-01-11T12:34:56.789+08:00");
    set("u1", "p2", "r2", "1019=3", "2027-01-05T00:00:00+08:00");
    set("u1", "p2", "r5", "1016=0.000001", "2027-01-31T23:59:59.999999+08:00");
    set("u2", "p2", "r3", "1003=1,1004=1,1005=1,1006=1,1007=1,1008=1,1009=16,1010=200",
        "2027-01-03T00:00:00+08:00");
    set("u2", "p1", "r4", "1011=5,1012=2,1013=1,1014=1,1015=1,1016=10,1017=1,1018=2",
        "2027-01-20T00:00:00+08:00");
    set("u2", "p1", "r6", "1020=2,1021=30,1022=1,1023=1", "2027-01-20T00:00:00+08:00");
    ledger_ok(ledger_close_month(&ledger, january, month_end(january), &closed));
    set("u1", "p1", "r1", "1001=8", "2027-01-25T00:00:00+08:00");
    set("u1", "p2", "r7", "1022=1", "2027-01-25T00:00:00+08:00");
    ledger_ok(ledger_close_month(&ledger, february, month_end(february), &closed));
}

static int start(void **state)
{
    (void)state;
    fixture_start();
    ledger = (struct ledger){.pg = fixture.pg, .db = fixture.db};
    arena = arena_new();
    make_bills();
    fixture_serve((struct server_settings){
        .tables = tables, .table_count = 3, .workers = 2, .limits.exports_principal = 4});
    client = h2_open(fixture.https.port, NULL);
    return client ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    h2_close(client);
    arena_free(arena);
    fixture_stop();
    return 0;
}

static const struct h2_reply *get(const char *path, const char *token)
{
    return h2_get(client, path, token);
}

static struct table take(const char *path, const char *token)
{
    const struct h2_reply *reply = get(path, token);
    assert_int_equal(reply->status, 200);
    assert_true(reply->done && !reply->reset);
    return table_read(arena, reply->body);
}

static int64_t fen(const char *yuan)
{
    return (int64_t)(focus_decimal(yuan) / 1000000);
}

static int64_t sum(const struct table *table, const char *column)
{
    int64_t total = 0;
    for (size_t i = 0; i < table->rows; i++)
        total += fen(table_cell(table, i, column));
    return total;
}

static void test_csv(void **state)
{
    (void)state;
    struct table table = take("/v1/months/2027-01/lines?format=csv", fixture.root);
    assert_int_equal(table.rows,
                     pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE month = '2027-01'"));
    assert_int_equal(sum(&table, "amount_yuan"),
                     pg_number(ledger.pg, "SELECT total_fen FROM billing_month WHERE month = '2027-01'"));
    assert_int_equal(sum(&table, "list_yuan"),
                     pg_number(ledger.pg, "SELECT sum(list_fen)::bigint FROM bill_line"
                                          " WHERE month = '2027-01'"));
    /* One address at 76.05 for 12 of 31 days: 0.387097 on average, 29.44. */
    struct table one = take("/v1/months/2027-01/lines?item=1017", fixture.root);
    assert_int_equal(one.rows, 1);
    assert_string_equal(table_cell(&one, 0, "price_yuan"), "76.05");
    assert_string_equal(table_cell(&one, 0, "average_quantity"), "0.387097");
    assert_string_equal(table_cell(&one, 0, "usage_unit_hours"), "288.000000");
    assert_string_equal(table_cell(&one, 0, "amount_yuan"), "29.44");
    const struct h2_reply *reply = get("/v1/months/2027-01/lines?bom=true", fixture.root);
    assert_memory_equal(reply->body,
                        "\xef\xbb\xbf"
                        "bill,line,",
                        13);
    assert_string_equal(h2_header(reply, "content-disposition"),
                        "attachment; filename=\"yunqiao-lines-2027-01.csv\"");
}

static void test_filters_and_scope(void **state)
{
    (void)state;
    struct table all = take("/v1/months/2027-01/lines", fixture.root);
    struct table mine = take("/v1/months/2027-01/lines", fixture.alice);
    struct table filtered = take("/v1/months/2027-01/lines?unit=u1", fixture.root);
    assert_true(mine.rows > 0 && mine.rows < all.rows);
    assert_int_equal(filtered.rows, mine.rows);
    for (size_t i = 0; i < mine.rows; i++)
        assert_string_equal(table_cell(&mine, i, "unit"), "u1");
    assert_int_equal(take("/v1/months/2027-01/lines?unit=u2", fixture.alice).rows, 0);
    assert_int_equal(take("/v1/months/2027-01/lines?item=1003", fixture.root).rows, 1);
    assert_int_equal(take("/v1/months/2027-01/lines?system=u2001&cloud=c2&provider=p2", fixture.root).rows,
                     8);
    static const char *const bad[] = {"/v1/months/2027-01/lines?format=xml", "/v1/months/2027-01/lines?bom=1",
                                      "/v1/months/2027-01/lines?item=9999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(get(bad[i], fixture.root)->status, 400);
    assert_int_equal(get("/v1/months/2027-1/lines", fixture.root)->status, 404);
    const struct h2_reply *open = get("/v1/months/2027-03/lines", fixture.root);
    assert_int_equal(open->status, 409);
}

static void test_bill(void **state)
{
    (void)state;
    char *id = pg_value(ledger.pg, "SELECT id FROM bill WHERE number = 'YQ202702.p1.u1'");
    const char *path = arena_printf(arena, "/v1/bills/%s/lines", id);
    struct table table = take(path, fixture.alice);
    assert_int_equal(sum(&table, "amount_yuan"),
                     pg_number(ledger.pg, "SELECT total_fen FROM bill WHERE number = 'YQ202702.p1.u1'"));
    size_t corrections = 0;
    for (size_t i = 0; i < table.rows; i++)
        if (!strcmp(table_cell(&table, i, "type"), "adjustment")) {
            assert_string_equal(table_cell(&table, i, "charge_month"), "2027-01");
            assert_string_equal(table_cell(&table, i, "corrects_bill"), "YQ202701.p1.u1");
            corrections++;
        }
    assert_true(corrections > 0);
    assert_int_equal(get(path, fixture.bob)->status, 404);
    assert_int_equal(get("/v1/bills/none/lines", fixture.alice)->status, 404);
    free(id);
}

static void test_jsonl(void **state)
{
    (void)state;
    const struct h2_reply *reply = get("/v1/months/2027-02/lines?format=jsonl", fixture.root);
    assert_int_equal(reply->status, 200);
    assert_string_equal(h2_header(reply, "content-type"), "application/jsonl");
    int64_t total = 0, rows = 0;
    for (const char *at = reply->body; *at; rows++) {
        size_t length = strcspn(at, "\n");
        json_t *json;
        ledger_ok(json_parse_in(arena, at, length, &json));
        total += fen(json_string_value(json_object_get(json, "amount_yuan")));
        assert_non_null(json_object_get(json, "bill"));
        assert_int_equal(at[length], '\n');
        at += length + 1;
    }
    assert_int_equal(rows, pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE month = '2027-02'"));
    assert_int_equal(total,
                     pg_number(ledger.pg, "SELECT total_fen FROM billing_month WHERE month = '2027-02'"));
}

/* The bills' totals, exactly, bill by bill. */
static void focus_adds_up(const struct table *table, const char *month)
{
    int64_t bills = 0, number = 0;
    for (size_t i = 0; i < table->rows; i++) {
        const char *invoice = table_cell(table, i, "InvoiceId");
        if (i && !strcmp(invoice, table_cell(table, i - 1, "InvoiceId")))
            continue;
        int64_t total = 0;
        for (size_t j = 0; j < table->rows; j++)
            if (!strcmp(invoice, table_cell(table, j, "InvoiceId")))
                total += fen(table_cell(table, j, "BilledCost"));
        const char *query = arena_printf(arena, "SELECT total_fen FROM bill WHERE number = '%s'", invoice);
        assert_int_equal(total, pg_number(ledger.pg, query));
        bills++;
    }
    number = pg_number(ledger.pg, arena_printf(arena, "SELECT count(*) FROM bill WHERE month = '%s'", month));
    assert_int_equal(bills, number);
}

static void test_focus(void **state)
{
    (void)state;
    struct table table = take("/v1/months/2027-01/lines?format=focus", fixture.root);
    focus_check(&table);
    focus_adds_up(&table, "2027-01");
    size_t free_rows = 0, items = 0;
    for (size_t i = 0; i < table.rows; i++) {
        assert_string_equal(table_cell(&table, i, "BillingPeriodStart"), "2026-12-31T16:00:00Z");
        assert_string_equal(table_cell(&table, i, "BillingPeriodEnd"), "2027-01-31T16:00:00Z");
        assert_string_equal(table_cell(&table, i, "ChargeClass"), "");
        if (strcmp(table_cell(&table, i, "x_Tariff"), "standard") != 0) {
            assert_string_equal(table_cell(&table, i, "BilledCost"), "0.00");
            assert_true(fen(table_cell(&table, i, "ListCost")) > 0);
            if (!strcmp(table_cell(&table, i, "x_Tariff"), "migration"))
                assert_non_null(strstr(table_cell(&table, i, "ChargeDescription"),
                                       "free while a migration has it twice"));
            free_rows++;
        }
        if (!strcmp(table_cell(&table, i, "x_ProviderId"), "p2"))
            assert_string_equal(table_cell(&table, i, "ProviderName"), "'=HYPERLINK(\"x\"), 云");
    }
    for (size_t item = 0; item < item_count(); item++)
        for (size_t i = 0; i < table.rows; i++)
            if (!strcmp(table_cell(&table, i, "SkuId"), item_at(item)->code)) {
                items++;
                break;
            }
    assert_int_equal(items, ITEM_COUNT);
    assert_int_equal(free_rows, 3); /* the expansion and the migration of u1, and the free account of 1019 */

    table = take("/v1/months/2027-02/lines?format=focus", fixture.root);
    focus_check(&table);
    focus_adds_up(&table, "2027-02");
    size_t corrections = 0;
    for (size_t i = 0; i < table.rows; i++)
        if (*table_cell(&table, i, "ChargeClass")) {
            corrections++;
            assert_string_equal(table_cell(&table, i, "ChargePeriodStart"), "2026-12-31T16:00:00Z");
        }
    assert_int_equal(corrections,
                     pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE type = 'adjustment'"));
    assert_true(corrections >= 3);
}

/* Written to a file, and judged by a reader that knows nothing of the writer. */
static void judge_xlsx(const char *path, const char *token, int64_t total, int64_t rows)
{
    const struct h2_reply *reply = get(path, token);
    assert_int_equal(reply->status, 200);
    assert_true(reply->done && !reply->reset);
    assert_string_equal(h2_header(reply, "content-type"), EXPORT_XLSX_TYPE);
    const char *file = arena_printf(arena, "%s/book.xlsx", pg_folder(ledger.pg));
    FILE *out = fopen(file, "we");
    assert_non_null(out);
    assert_int_equal(fwrite(reply->body, 1, reply->length, out), reply->length);
    assert_int_equal(fclose(out), 0);
    char yuan[MONEY_TEXT];
    const char *const argv[] = {"python3",
                                SOURCE_DIR "/tests/metering/check_xlsx.py",
                                file,
                                money_format(total, yuan),
                                arena_printf(arena, "%lld", (long long)rows),
                                NULL};
    assert_int_equal(child_run(argv, 60 * MOMENT_SECOND), 0);
}

static int64_t files_left(void)
{
    glob_t found = {0};
    const char *folder = getenv("TMPDIR");
    int status = glob(arena_printf(arena, "%s/yunqiao-export-*", folder ? folder : "/tmp"), 0, NULL, &found);
    size_t count = status == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return (int64_t)count;
}

static void test_xlsx(void **state)
{
    (void)state;
    judge_xlsx("/v1/months/2027-01/lines?format=xlsx", fixture.root,
               pg_number(ledger.pg, "SELECT total_fen FROM billing_month WHERE month = '2027-01'"),
               pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE month = '2027-01'"));
    judge_xlsx(
        "/v1/months/2027-02/lines?format=xlsx", fixture.alice,
        pg_number(ledger.pg, "SELECT sum(total_fen)::bigint FROM bill WHERE month = '2027-02'"
                             " AND unit_id = 'u1'"),
        pg_number(ledger.pg, "SELECT count(*) FROM bill_line WHERE month = '2027-02' AND unit_id = 'u1'"));
    judge_xlsx("/v1/months/2027-02/lines?format=xlsx&unit=u2&item=1003&provider=p1", fixture.root, 0, 0);
    assert_int_equal(files_left(), 0);
}

static void test_cells(void **state)
{
    (void)state;
    static const char *const cells[][2] = {
        {"", ""},           {"plain", "plain"},     {"=1+1", "'=1+1"},         {"+1", "'+1"},
        {"-1", "'-1"},      {"@x", "'@x"},          {"\tx", "'\tx"},           {"a=b", "a=b"},
        {"a,b", "\"a,b\""}, {"a\"b", "\"a\"\"b\""}, {"=a,\"", "\"'=a,\"\"\""}, {"云\r\n", "\"云\r\n\""},
    };
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        BUF_AUTO struct buf buf = BUF_INIT(100);
        export_text(&buf, cells[i][0]);
        assert_string_equal(buf_text(&buf), cells[i][1]);
    }
    static const struct {
        int64_t micro;
        const char *text;
    } numbers[] = {{0, "0.000000"},
                   {1, "0.000001"},
                   {-1, "-0.000001"},
                   {12500000, "12.500000"},
                   {-123456789, "-123.456789"},
                   {INT64_MAX, "9223372036854.775807"}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[EXPORT_SIX];
        assert_string_equal(export_six(numbers[i].micro, text), numbers[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells), cmocka_unit_test(test_csv),   cmocka_unit_test(test_filters_and_scope),
        cmocka_unit_test(test_bill),  cmocka_unit_test(test_jsonl), cmocka_unit_test(test_focus),
        cmocka_unit_test(test_xlsx),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
