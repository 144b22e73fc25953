/* Invoices: the numerals of Chinese bookkeeping by hand, columns that line up, and nothing of others' text
 * that is markup or drives a terminal. */
#include "metering/invoice.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <cmocka.h>

#include "tests/metering/ledger.h"

static void test_capitals(void **state)
{
    (void)state;
    static const struct {
        int64_t fen;
        const char *text;
    } amounts[] = {
        {0, "零元整"},
        {1, "壹分"},
        {10, "壹角整"},
        {11, "壹角壹分"},
        {100, "壹元整"},
        {101, "壹元零壹分"},
        {110, "壹元壹角整"},
        {1000, "壹拾元整"},
        {10050, "壹佰元伍角整"},
        {100005, "壹仟元零伍分"},
        {100100, "壹仟零壹元整"},
        {101000, "壹仟零壹拾元整"},
        {1000000, "壹万元整"},
        {1000100, "壹万零壹元整"},
        {1010000, "壹万零壹佰元整"},
        {1100000, "壹万壹仟元整"},
        {1002345, "壹万零贰拾叁元肆角伍分"},
        {10000000, "壹拾万元整"},
        {100000000, "壹佰万元整"},
        {10000000000, "壹亿元整"},
        {10000000100, "壹亿零壹元整"},
        {10100000000, "壹亿零壹佰万元整"},
        {11000000000, "壹亿壹仟万元整"},
        {123456789012, "壹拾贰亿叁仟肆佰伍拾陆万柒仟捌佰玖拾元壹角贰分"},
        {100000000000000, "壹万亿元整"},
        {120000000000000, "壹万贰仟亿元整"},
        {1000000000000000000, "壹亿亿元整"},
        {-1002345, "负壹万零贰拾叁元肆角伍分"},
    };
    for (size_t i = 0; i < sizeof amounts / sizeof *amounts; i++) {
        char text[INVOICE_CAPITALS];
        assert_string_equal(invoice_capitals(amounts[i].fen, text), amounts[i].text);
    }
}

static const struct bill bill = {.id = "01a2",
                                 .number = "YQ202701.p1.u1",
                                 .unit = "u1",
                                 .provider = "p1",
                                 .month = "2027-01",
                                 .digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                                 .charges_fen = 56080,
                                 .adjustments_fen = -1234,
                                 .total_fen = 54846,
                                 .line_count = 4,
                                 .closed_at = INT64_C(1801411200000000)};

/* 4 vCPU for a month; a free account; a correction of an earlier line; one of something not billed before. */
static struct invoice example(struct bill_line lines[4], int64_t numbers[4])
{
    const struct bill_line plain = {.unit = "u1",
                                    .provider = "p1",
                                    .cloud = "c1",
                                    .system = "u1001",
                                    .industry = "service",
                                    .zone = "z1",
                                    .architecture = "x86",
                                    .item = "1001",
                                    .charge_month = "2027-01",
                                    .price_fen = 1402,
                                    .usage = (wide)4000000 * 31 * MOMENT_DAY,
                                    .list_fen = 5608,
                                    .amount_fen = 5608};
    for (int i = 0; i < 4; i++) {
        lines[i] = plain;
        numbers[i] = i + 1;
    }
    memcpy(lines[1].item, "1019", ITEM_CODE);
    lines[1].tariff = TARIFF_ALLOWANCE;
    lines[1].list_fen = 35637;
    lines[1].amount_fen = 0;
    lines[1].zone = lines[1].architecture = "";
    lines[2].adjustment = lines[3].adjustment = true;
    memcpy(lines[2].charge_month, "2026-12", 8);
    memcpy(lines[3].charge_month, "2026-12", 8);
    lines[2].corrects_number = "YQ202612.p1.u1";
    lines[2].corrects_line = 7;
    lines[2].usage = -lines[2].usage;
    lines[2].amount_fen = -1234;
    return (struct invoice){.bill = &bill,
                            .lines = lines,
                            .numbers = numbers,
                            .count = 4,
                            .provider_name = "<b>城市\"云\"&'公司'</b>\x1b[31m\xe2\x80\xae"};
}

static int width_of(const char *line, size_t length)
{
    int width = 0;
    for (size_t at = 0; at < length;) {
        wchar_t c;
        int size = mbtowc(&c, line + at, length - at);
        assert_true(size > 0);
        width += wcwidth(c) < 0 ? 1 : wcwidth(c);
        at += (size_t)size;
    }
    return width;
}

static void test_text(void **state)
{
    (void)state;
    struct bill_line lines[4];
    int64_t numbers[4];
    struct invoice invoice = example(lines, numbers);
    BUF_AUTO struct buf buf = BUF_INIT(INVOICE_MAX);
    ledger_ok(invoice_text(&invoice, &buf));
    const char *text = buf_text(&buf);
    assert_null(strchr(text, '\x1b'));
    assert_null(strstr(text, "\xe2\x80\xae"));
    static const char *const parts[] = {"YQ202701.p1.u1",
                                        "9f86d081884c",
                                        "4.000000",
                                        "56.08",
                                        "-4.000000",
                                        "免费额度，按价目 356.37 元",
                                        "更正 2026-12，原账单 YQ202612.p1.u1 第 7 行",
                                        "更正 2026-12，原未计入",
                                        "548.46",
                                        "伍佰肆拾捌元肆角陆分"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(text, parts[i]))
            fail_msg("no \"%s\" in\n%s", parts[i], text);
    char note[INVOICE_NOTE];
    lines[1].tariff = TARIFF_MIGRATION;
    invoice_note(&lines[1], note);
    assert_string_equal(note, "迁移期间免费，按价目 356.37 元");
    /* Rows that end in a figure end in one column, whatever is in them. */
    size_t rows = 0;
    for (const char *at = text; *at; at += strcspn(at, "\n") + 1) {
        size_t length = strcspn(at, "\n");
        assert_true(width_of(at, length) <= 100);
        if (length > 3 && at[length - 3] == '.' && at[0] == ' ') {
            assert_int_equal(width_of(at, length), 100);
            rows++;
        }
    }
    assert_int_equal(rows, 4 + 4); /* lines and totals */
}

static void test_html(void **state)
{
    (void)state;
    struct bill_line lines[4];
    int64_t numbers[4];
    struct invoice invoice = example(lines, numbers);
    BUF_AUTO struct buf buf = BUF_INIT(INVOICE_MAX);
    ledger_ok(invoice_html(&invoice, &buf));
    const char *page = buf_text(&buf);
    assert_null(strstr(page, "<b>城市"));
    assert_null(strchr(page, '\x1b'));
    assert_non_null(strstr(page, "1001</span> vCPU<"));
    assert_non_null(strstr(page, "&lt;b&gt;城市&quot;云&quot;&amp;&#39;公司&#39;&lt;/b&gt;"));
    static const char *const never[] = {
        "<script", "http:", "https:", "src=", "href=", "url(", "@import", "onload"};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        assert_null(strstr(page, never[i]));
    assert_non_null(strstr(page, "size:A4"));
    assert_non_null(strstr(page, "伍佰肆拾捌元肆角陆分"));
    assert_non_null(strstr(page, "<tr class=\"free\">"));
    assert_non_null(strstr(page, "原账单 YQ202612.p1.u1 第 7 行"));
    const char *keep = getenv("YUNQIAO_KEEP_INVOICE"); /* to look at it in a browser */
    FILE *out = keep ? fopen(keep, "we") : NULL;
    if (out) {
        assert_int_equal(fwrite(page, 1, buf.length, out), buf.length);
        assert_int_equal(fclose(out), 0);
    }
}

int main(void)
{
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_capitals),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_html),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
