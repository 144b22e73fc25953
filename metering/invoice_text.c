/* An invoice for a terminal: columns that line up although Chinese characters are two wide. See invoice.h. */
#include <string.h>

#include "metering/export.h"
#include "metering/invoice.h"

#define WIDTH 100
#define NAME_WIDTH 30

/* The next code point; text in the database is UTF-8. */
static const char *next(const char *at, uint32_t *ret_point)
{
    unsigned char first = (unsigned char)*at;
    int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    uint32_t point = more == 3 ? first & 0x07 : more == 2 ? first & 0x0f : more == 1 ? first & 0x1f : first;
    at++;
    for (; more && (*at & 0xc0) == 0x80; more--)
        point = point << 6 | ((unsigned char)*at++ & 0x3f);
    *ret_point = point;
    return at;
}

/* Columns that a character takes in a terminal: East Asian wide and full-width ones are two. */
static int columns(uint32_t point)
{
    bool two = (point >= 0x1100 && point <= 0x115f) || (point >= 0x2e80 && point <= 0xa4cf) ||
               (point >= 0xac00 && point <= 0xd7a3) || (point >= 0xf900 && point <= 0xfaff) ||
               (point >= 0xfe30 && point <= 0xfe4f) || (point >= 0xff00 && point <= 0xff60) ||
               (point >= 0xffe0 && point <= 0xffe6) || (point >= 0x20000 && point <= 0x3fffd);
    return two ? 2 : 1;
}

static int width_of(const char *text)
{
    int width = 0;
    for (uint32_t point; *text;) {
        text = next(text, &point);
        width += columns(point);
    }
    return width;
}

static void spaces(struct buf *buf, int count)
{
    for (int i = 0; i < count; i++)
        buf_putc(buf, ' ');
}

/* Controls and marks that turn the direction of what follows become spaces: what others wrote must not drive
 * a terminal. */
static bool hostile(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x200e || point == 0x200f ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

/* At most `most` columns of the text. Returns its width. */
static int put_cut(struct buf *buf, const char *text, int most)
{
    int width = 0;
    bool whole = width_of(text) <= most;
    while (*text) {
        uint32_t point;
        const char *after = next(text, &point);
        int size = columns(point);
        if (width + size > (whole ? most : most - 1))
            break;
        if (hostile(point))
            buf_putc(buf, ' ');
        else
            buf_append(buf, text, (size_t)(after - text));
        width += size;
        text = after;
    }
    if (!whole) {
        buf_puts(buf, "…");
        width++;
    }
    return width;
}

static void left(struct buf *buf, const char *text, int width)
{
    spaces(buf, width - put_cut(buf, text, width));
}

static void right(struct buf *buf, const char *text, int width)
{
    spaces(buf, width - width_of(text));
    buf_puts(buf, text);
}

static void rule(struct buf *buf, const char *mark)
{
    for (int i = 0; i < WIDTH; i++)
        buf_puts(buf, mark);
    buf_putc(buf, '\n');
}

static void pair(struct buf *buf, const char *name, const char *value, const char *name2, const char *value2)
{
    left(buf, name, 10);
    left(buf, value, 40);
    if (name2) {
        left(buf, name2, 10);
        (void)put_cut(buf, value2, 40);
    }
    buf_putc(buf, '\n');
}

static void put_head(struct buf *buf, const struct invoice *invoice)
{
    const struct bill *bill = invoice->bill;
    char closed[20];
    moment_format_shanghai(bill->closed_at, closed);
    rule(buf, "═");
    spaces(buf, (WIDTH - width_of("云桥 云服务账单")) / 2);
    buf_puts(buf, "云桥 云服务账单\n");
    rule(buf, "═");
    pair(buf, "账单编号", bill->number, "账期", bill->month);
    pair(buf, "使用单位", bill->unit, "服务商", invoice->provider_name);
    pair(buf, "出账时间", closed, NULL, NULL);
    if (bill->digest)
        buf_printf(buf, "SM3 摘要  %s\n", bill->digest);
    if (bill->partial)
        buf_puts(buf, "本件仅列您有权查看的明细，合计亦仅为其和。\n");
    rule(buf, "─");
    right(buf, "行", 4);
    buf_puts(buf, "  ");
    left(buf, "服务项", NAME_WIDTH + 5);
    left(buf, "系统 / 云", 22);
    right(buf, "单价(元/月)", 12);
    right(buf, "平均数量", 13);
    right(buf, "金额(元)", 12);
    buf_putc(buf, '\n');
    rule(buf, "─");
}

static struct error *put_line(struct buf *buf, const struct bill_line *line, int64_t number)
{
    char text[WIDE_TEXT], note[INVOICE_NOTE], unit[64], name[INVOICE_NAME];
    struct month month;
    int64_t average;
    TRY(month_parse(line->charge_month, &month));
    TRY(export_micro(line->usage, month_end(month) - month_start(month), &average));
    const struct item *item = item_find(line->item);
    BUF_AUTO struct buf place = BUF_INIT(256);
    buf_printf(&place, "%s / %s", line->system, line->cloud);
    BUF_AUTO struct buf count = BUF_INIT(16);
    buf_printf(&count, "%lld", (long long)number);
    right(buf, buf_text(&count), 4);
    buf_printf(buf, "  %s ", line->item);
    left(buf, invoice_name(item, name), NAME_WIDTH - 1);
    buf_putc(buf, ' ');
    left(buf, buf_text(&place), 22);
    right(buf, money_format(line->price_fen, text), 12);
    right(buf, export_six(average, text), 13);
    right(buf, money_format(line->amount_fen, text), 12);
    buf_putc(buf, '\n');
    invoice_note(line, note);
    spaces(buf, 11);
    buf_printf(buf, "计价单位 %s%s%s\n", invoice_unit(item, unit), *note ? "；" : "", note);
    return NULL;
}

static void put_total(struct buf *buf, const char *name, int64_t fen)
{
    char text[MONEY_TEXT];
    spaces(buf, WIDTH - 18 - width_of(name));
    buf_puts(buf, name);
    right(buf, money_format(fen, text), 18);
    buf_putc(buf, '\n');
}

struct error *invoice_text(const struct invoice *invoice, struct buf *buf)
{
    char capitals[INVOICE_CAPITALS];
    int64_t free_fen = 0;
    put_head(buf, invoice);
    for (size_t i = 0; i < invoice->count; i++) {
        const struct bill_line *line = &invoice->lines[i];
        TRY(put_line(buf, line, invoice->numbers[i]));
        if (line->tariff != TARIFF_STANDARD)
            TRY(money_add(free_fen, line->list_fen, &free_fen));
    }
    rule(buf, "─");
    put_total(buf, "本期费用", invoice->bill->charges_fen);
    put_total(buf, "往期更正", invoice->bill->adjustments_fen);
    if (free_fen)
        put_total(buf, "免费服务按价目（不计入合计）", free_fen);
    put_total(buf, "合计（元）", invoice->bill->total_fen);
    buf_printf(buf, "人民币大写  %s\n", invoice_capitals(invoice->bill->total_fen, capitals));
    rule(buf, "═");
    buf_puts(buf, "金额 = 单价 × 平均数量，四舍五入到分；平均数量为账期内用量除以当月时长。\n");
    return NULL;
}
