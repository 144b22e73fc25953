/* An invoice as one HTML page: no script, nothing from elsewhere, A4 when it is printed. See invoice.h. */
#include <string.h>

#include "metering/export.h"
#include "metering/invoice.h"

static const char style[] =
    "@page{size:A4;margin:16mm 14mm 18mm;@bottom-right{content:counter(page) ' / ' counter(pages);"
    "font:8pt sans-serif;color:#5b6b7b}}"
    "*{box-sizing:border-box}"
    "html{font:10pt/1.5 \"Noto Sans CJK SC\",\"Source Han Sans SC\",\"PingFang SC\",\"Microsoft "
    "YaHei\",sans-serif;"
    "color:#1c2733;background:#eef1f4}"
    "body{max-width:210mm;margin:10mm auto;padding:14mm;background:#fff;box-shadow:0 1px 6px #0002}"
    "header{display:flex;justify-content:space-between;align-items:flex-end;border-bottom:2.5pt solid "
    "#1f4e79;"
    "padding-bottom:4mm}"
    "h1{margin:0;font-size:19pt;letter-spacing:.12em;color:#1f4e79}"
    ".brand{font-size:9pt;color:#5b6b7b;text-align:right}.brand b{font-size:12pt;color:#1c2733}"
    "dl{display:grid;grid-template-columns:auto 1fr auto 1fr;gap:1mm 5mm;margin:5mm 0}"
    "dt{color:#5b6b7b}dd{margin:0;font-weight:600;overflow-wrap:anywhere}"
    "dd.digest{grid-column:2/-1;font:8pt/1.6 ui-monospace,\"DejaVu Sans Mono\",monospace}"
    ".partial{padding:2mm 3mm;background:#fff6e0;border-left:3pt solid #d29b00}"
    "table{width:100%;border-collapse:collapse;font-size:9pt}"
    "thead{display:table-header-group}"
    "th{padding:1.6mm 1.5mm;background:#1f4e79;color:#fff;font-weight:600;text-align:left;white-space:nowrap}"
    "td{padding:1.5mm;border-bottom:.5pt solid #d5dce3;vertical-align:top}"
    "tr{break-inside:avoid}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "tr.free td{color:#2e6b3f;background:#f3faf4}tr.adjustment td{background:#fdf6ec}"
    "small{display:block;color:#5b6b7b;font-size:8pt}"
    ".code{color:#5b6b7b;font-variant-numeric:tabular-nums}"
    ".totals{break-inside:avoid;margin-top:4mm;margin-left:auto;width:82mm}"
    ".totals td{border:0;padding:1mm 1.5mm}.totals .sum td{border-top:1.5pt solid #1f4e79;font-size:13pt;"
    "font-weight:700;color:#1f4e79}"
    ".capitals{break-inside:avoid;margin-top:4mm;padding:3mm 4mm;border:1pt solid #1f4e79}"
    ".capitals b{margin-left:4mm;letter-spacing:.08em;font-size:11pt}"
    "footer{margin-top:7mm;padding-top:2mm;border-top:.5pt solid #d5dce3;font-size:8pt;color:#5b6b7b}"
    "@media print{html{background:#fff}body{max-width:none;margin:0;padding:0;box-shadow:none}"
    "th,tr.free td,tr.adjustment td,.partial{-webkit-print-color-adjust:exact;print-color-adjust:exact}}";

static void text(struct buf *buf, const char *from)
{
    for (; *from; from++) {
        switch (*from) {
        case '<':
            buf_puts(buf, "&lt;");
            break;
        case '>':
            buf_puts(buf, "&gt;");
            break;
        case '&':
            buf_puts(buf, "&amp;");
            break;
        case '"':
            buf_puts(buf, "&quot;");
            break;
        case '\'':
            buf_puts(buf, "&#39;");
            break;
        default:
            buf_putc(buf, (unsigned char)*from < 0x20 || *from == 0x7f ? ' ' : *from);
        }
    }
}

static void element(struct buf *buf, const char *open, const char *inside, const char *close)
{
    buf_puts(buf, open);
    text(buf, inside);
    buf_puts(buf, close);
}

static void fact(struct buf *buf, const char *name, const char *value)
{
    element(buf, "<dt>", name, "</dt>");
    element(buf, "<dd>", value, "</dd>\n");
}

static void put_head(struct buf *buf, const struct invoice *invoice)
{
    const struct bill *bill = invoice->bill;
    char closed[20];
    moment_format_shanghai(bill->closed_at, closed);
    element(buf,
            "<!DOCTYPE html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>",
            bill->number, "</title>\n<style>");
    buf_puts(buf, style);
    buf_puts(buf, "</style></head>\n<body>\n<header><h1>云服务账单</h1>"
                  "<div class=\"brand\"><b>云桥 Yunqiao</b><br>多云统一计量与结算</div></header>\n<dl>");
    fact(buf, "账单编号", bill->number);
    fact(buf, "账期", bill->month);
    fact(buf, "使用单位", bill->unit);
    fact(buf, "服务商", invoice->provider_name);
    fact(buf, "出账时间", closed);
    fact(buf, "币种", "人民币（元）");
    if (bill->digest)
        element(buf, "<dt>SM3 摘要</dt><dd class=\"digest\">", bill->digest, "</dd>");
    buf_puts(buf, "</dl>\n");
    if (bill->partial)
        buf_puts(buf, "<p class=\"partial\">本件仅列您有权查看的明细，合计亦仅为其和。</p>\n");
}

static struct error *put_line(struct buf *buf, const struct bill_line *line, int64_t number)
{
    char figure[WIDE_TEXT], note[INVOICE_NOTE], unit[64], name[INVOICE_NAME];
    struct month month;
    int64_t average;
    TRY(month_parse(line->charge_month, &month));
    TRY(export_micro(line->usage, month_end(month) - month_start(month), &average));
    const struct item *item = item_find(line->item);
    const char *kind = line->adjustment ? "adjustment" : line->tariff != TARIFF_STANDARD ? "free" : "";
    buf_printf(buf, "<tr class=\"%s\"><td class=\"n\">%lld</td><td><span class=\"code\">%s</span> ", kind,
               (long long)number, line->item);
    text(buf, invoice_name(item, name));
    invoice_note(line, note);
    if (*note)
        element(buf, "<small>", note, "</small>");
    element(buf, "</td><td>", line->system, "");
    element(buf, "<small>", line->cloud, "");
    if (*line->zone)
        element(buf, " · ", line->zone, "");
    if (*line->architecture)
        element(buf, " · ", line->architecture, "");
    element(buf, "</small></td><td>", invoice_unit(item, unit), "</td>");
    element(buf, "<td class=\"n\">", money_format(line->price_fen, figure), "</td>");
    element(buf, "<td class=\"n\">", export_six(average, figure), "</td>");
    element(buf, "<td class=\"n\">", money_format(line->amount_fen, figure), "</td></tr>\n");
    return NULL;
}

static void put_total(struct buf *buf, const char *open, const char *name, int64_t fen)
{
    char figure[MONEY_TEXT];
    element(buf, open, name, "</td>");
    element(buf, "<td class=\"n\">", money_format(fen, figure), "</td></tr>\n");
}

static void put_totals(struct buf *buf, const struct bill *bill, int64_t free_fen)
{
    char capitals[INVOICE_CAPITALS];
    buf_puts(buf, "<table class=\"totals\">\n");
    put_total(buf, "<tr><td>", "本期费用", bill->charges_fen);
    put_total(buf, "<tr><td>", "往期更正", bill->adjustments_fen);
    if (free_fen)
        put_total(buf, "<tr><td>", "免费服务按价目（不计入合计）", free_fen);
    put_total(buf, "<tr class=\"sum\"><td>", "合计（元）", bill->total_fen);
    buf_puts(buf, "</table>\n<div class=\"capitals\">合计人民币（大写）");
    element(buf, "<b>", invoice_capitals(bill->total_fen, capitals), "</b></div>\n");
}

struct error *invoice_html(const struct invoice *invoice, struct buf *buf)
{
    int64_t free_fen = 0;
    put_head(buf, invoice);
    buf_puts(buf,
             "<table><thead><tr><th class=\"n\">行</th><th>服务项</th><th>系统 / 云</th><th>计价单位</th>"
             "<th class=\"n\">单价（元/月）</th><th class=\"n\">平均数量</th><th class=\"n\">金额（元）"
             "</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < invoice->count; i++) {
        const struct bill_line *line = &invoice->lines[i];
        TRY(put_line(buf, line, invoice->numbers[i]));
        if (line->tariff != TARIFF_STANDARD)
            TRY(money_add(free_fen, line->list_fen, &free_fen));
    }
    buf_puts(buf, "</tbody></table>\n");
    put_totals(buf, invoice->bill, free_fen);
    buf_puts(buf, "<footer>金额 = 单价 × 平均数量，四舍五入到分；平均数量为账期内用量除以当月时长。"
                  "摘要可据账单明细自行复算。</footer>\n</body></html>\n");
    return NULL;
}
