/* CSV by RFC 4180: a header, a line of a bill a row. See export.h. */
#include "metering/export.h"
#include "metering/statement.h"

static const char header[] =
    "bill,line,month,type,charge_month,unit,provider,cloud,industry,system,zone,architecture,item,item_name,"
    "tariff,price_yuan,price_from,price_to,billing_quantity,billing_unit,average_quantity,usage_unit_hours,"
    "usage_exact,list_yuan,amount_yuan,corrects_bill,corrects_line\r\n";

static void begin(struct buf *piece, bool bom)
{
    if (bom)
        buf_puts(piece, "\xef\xbb\xbf");
    buf_puts(piece, header);
}

static void put_text(struct buf *piece, const char *text)
{
    export_text(piece, text);
    buf_putc(piece, ',');
}

static void put(struct buf *piece, const char *plain)
{
    buf_puts(piece, plain);
    buf_putc(piece, ',');
}

static void put_place(struct buf *piece, const struct export_line *export)
{
    const struct bill_line *line = &export->line;
    buf_printf(piece, "%s,%lld,%s,%s,%s,", export->bill, (long long)export->number, export->month,
               line->adjustment ? "adjustment" : "charge", line->charge_month);
    put_text(piece, line->unit);
    put_text(piece, line->provider);
    put_text(piece, line->cloud);
    put_text(piece, line->industry);
    put_text(piece, line->system);
    put_text(piece, line->zone);
    put_text(piece, line->architecture);
}

static struct error *put_figures(struct buf *piece, const struct bill_line *line)
{
    char text[WIDE_TEXT], at[MOMENT_TEXT];
    struct month month;
    int64_t average, hours;
    TRY(month_parse(line->charge_month, &month));
    TRY(export_micro(line->usage, month_end(month) - month_start(month), &average));
    TRY(export_micro(line->usage, MOMENT_HOUR, &hours));
    put(piece, money_format(line->price_fen, text));
    moment_format(line->price_from, at);
    put(piece, at);
    moment_format(line->price_to, at);
    put(piece, at);
    const struct item *item = item_find(line->item);
    buf_printf(piece, "%lld,", (long long)item->billing_quantity);
    put_text(piece, item->unit);
    put(piece, export_six(average, text));
    put(piece, export_six(hours, text));
    put(piece, wide_format(line->usage, text));
    put(piece, money_format(line->list_fen, text));
    put(piece, money_format(line->amount_fen, text));
    return NULL;
}

static struct error *line(struct buf *piece, const struct export_line *export)
{
    const struct bill_line *line = &export->line;
    put_place(piece, export);
    put(piece, line->item);
    put_text(piece, item_find(line->item)->name);
    put(piece, tariff_name(line->tariff));
    TRY(put_figures(piece, line));
    if (line->corrects_number)
        buf_printf(piece, "%s,%lld\r\n", line->corrects_number, (long long)line->corrects_line);
    else
        buf_puts(piece, ",\r\n");
    return NULL;
}

const struct export_format export_csv = {"csv", "csv", "text/csv; charset=utf-8", begin, line};
