/* The catalog's data: all rows, their figures, and the exact weighted total of the caps. */
#include "catalog/item.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/error.h"
#include "catalog/csv.h"

static void caps_make_the_weighted_limit(void **state)
{
    int64_t fen[ITEM_COUNT], percent = 0;
    char text[WEIGHTED_TEXT];
    for (size_t i = 0; i < item_count(); i++) {
        fen[i] = item_at(i)->cap_fen;
        percent += item_at(i)->weight_percent;
    }
    assert_int_equal(item_weighted_total(fen), 790430);
    assert_string_equal(item_weighted_format(item_weighted_total(fen), text), "79.0430");
    assert_int_equal(percent, 100);
    fen[7]--; /* one fen less of an item of 1 % is 0.0001 less */
    assert_string_equal(item_weighted_format(item_weighted_total(fen), text), "79.0429");
}

static void items_have_their_figures(void **state)
{
    const struct item *storage = item_find("1011"), *vcpu = item_find("1001");
    assert_non_null(storage);
    assert_int_equal(storage->billing_quantity, 100);
    assert_string_equal(storage->unit, "GB");
    assert_int_equal(storage->cap_fen, 2860);
    assert_int_equal(storage->weight_percent, 8);
    assert_int_equal(item_index(storage), 10);
    assert_int_equal(vcpu->cap_fen, 1402);
    assert_string_equal(vcpu->unit, "CPU");
    assert_string_equal(item_find("1023")->name_en, "Web application firewall (one set = 200 Mbps)");
    /* A quoted cell with a comma in it. */
    assert_string_equal(item_find("1012")->note, "提供高性能存储服务,IOPS 随磁盘容量增加而增加。");
    assert_null(item_find("1024"));
    assert_null(item_find("2001"));
    assert_null(item_find(""));
    for (size_t i = 0; i < item_count(); i++) {
        char code[ITEM_CODE] = {'1', '0', (char)('0' + (i + 1) / 10), (char)('0' + (i + 1) % 10)};
        assert_string_equal(item_at(i)->code, code);
        assert_true(item_at(i)->billing_quantity == 1 || item_at(i)->billing_quantity == 100);
    }
}

static void free_and_extended_services_are_all_there(void **state)
{
    assert_int_equal(security_item_count(), 17);
    assert_string_equal(security_item_at(0)->code, "2001");
    assert_string_equal(security_item_at(16)->code, "2017");
    assert_non_null(strstr(security_item_at(7)->content, "20Gb"));
    assert_int_equal(extended_item_count(), 32);
    assert_int_equal(extended_item_at(31)->number, 32);
    assert_string_equal(extended_item_at(31)->name_en, "SMS service");
    assert_string_equal(
        extended_item_at(18)->name_en,
        "Single-instance database migration (one set = one database instance, same architecture only)");
}

static struct error *parse(struct arena *arena, const char *text, struct csv *csv)
{
    return csv_parse(arena, text, strlen(text), csv);
}

static void csv_reads_quotes_and_line_ends(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct csv csv;
    assert_null(parse(arena, "a,b\r\n\"x, \"\"y\"\"\n2\",\r\n,z", &csv));
    assert_int_equal(csv.columns, 2);
    assert_int_equal(csv.rows, 2);
    assert_string_equal(csv_cell(&csv, 0, "a"), "x, \"y\"\n2");
    assert_string_equal(csv_cell(&csv, 0, "b"), "");
    assert_string_equal(csv_cell(&csv, 1, "a"), "");
    assert_string_equal(csv_cell(&csv, 1, "b"), "z");
    assert_null(csv_cell(&csv, 0, "c"));
}

static void csv_refuses_broken_tables(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "without a header"},
        {"a,b\n1\n", "line 2: 1 cells"},
        {"a,b\n1,2,3\n", "line 2: 3 cells"},
        {"a,a\n1,2\n", "two columns"},
        {"a,b\n1,\"2\n", "line 2: a quote"},
        {"a,b\n\"1\"x,2\n", "after a closing quote"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        struct csv csv;
        struct error *error = parse(arena, cases[i].text, &csv);
        assert_non_null(error);
        assert_int_equal(error_code(error), ERR_INVALID);
        assert_non_null(strstr(error_message(error), cases[i].says));
        error_free(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caps_make_the_weighted_limit),
        cmocka_unit_test(items_have_their_figures),
        cmocka_unit_test(free_and_extended_services_are_all_there),
        cmocka_unit_test(csv_reads_quotes_and_line_ends),
        cmocka_unit_test(csv_refuses_broken_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
