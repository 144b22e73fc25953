/* An invoice as one HTML page: no script, nothing from elsewhere, A4 when it is printed. See invoice.h. */
#include <string.h>

#include "metering/export.h"
#include "metering/invoice.h"
#include "metering/paper.h"

static const char style[] =
    "dd.digest{grid-column:2/-1;font:8pt/1.6 ui-monospace,\"DejaVu Sans Mono\",monospace}"
    ".partial{padding:2mm 3mm;background:#fff6e0;border-left:3pt solid #d29b00}"
    "tr.free td{color:#2e6b3f;background:#f3faf4}"
    "tr.adjustment td{background:#fdf6ec}"
    ".totals{break-inside:avoid;margin-top:4mm;margin-left:auto;width:82mm}"
    ".totals td{border:0;padding:1mm 1.5mm}"
    ".totals .sum td{border-top:1.5pt solid #1f4e79;font-size:13pt;font-weight:700;color:#1f4e79}"
    ".capitals{break-inside:avoid;margin-top:4mm;padding:3mm 4mm;border:1pt solid #1f4e79}"
    ".capitals b{margin-left:4mm;letter-spacing:.08em;font-size:11pt}"
    "@media print{tr.free td,tr.adjustment "
    "td,.partial{-webkit-print-color-adjust:exact;print-color-adjust:exact}}";

static void put_head(struct buf *buf, const struct invoice *invoice)
{
    const struct bill *bill = invoice->bill;
    char closed[20];
    moment_format_shanghai(bill->closed_at, closed);
    paper_begin(buf, &(struct paper){.title = bill->number,
                                     .heading = "云服务账单",
                                     .tagline = "多云统一计量与结算",
                                     .style = style});
    buf_puts(buf, "<dl>");
    paper_fact(buf, "账单编号", bill->number);
    paper_fact(buf, "账期", bill->month);
    paper_fact(buf, "使用单位", bill->unit);
    paper_fact(buf, "服务商", invoice->provider_name);
    paper_fact(buf, "出账时间", closed);
    paper_fact(buf, "币种", "人民币（元）");
    if (bill->digest)
        paper_element(buf, "<dt>SM3 摘要</dt><dd class=\"digest\">", bill->digest, "</dd>");
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
    paper_text(buf, invoice_name(item, name));
    invoice_note(line, note);
    if (*note)
        paper_element(buf, "<small>", note, "</small>");
    paper_element(buf, "</td><td>", line->system, "");
    paper_element(buf, "<small>", line->cloud, "");
    if (*line->zone)
        paper_element(buf, " · ", line->zone, "");
    if (*line->architecture)
        paper_element(buf, " · ", line->architecture, "");
    paper_element(buf, "</small></td><td>", invoice_unit(item, unit), "</td>");
    paper_element(buf, "<td class=\"n\">", money_format(line->price_fen, figure), "</td>");
    paper_element(buf, "<td class=\"n\">", export_six(average, figure), "</td>");
    paper_element(buf, "<td class=\"n\">", money_format(line->amount_fen, figure), "</td></tr>\n");
    return NULL;
}

static void put_total(struct buf *buf, const char *open, const char *name, int64_t fen)
{
    char figure[MONEY_TEXT];
    paper_element(buf, open, name, "</td>");
    paper_element(buf, "<td class=\"n\">", money_format(fen, figure), "</td></tr>\n");
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
    paper_element(buf, "<b>", invoice_capitals(bill->total_fen, capitals), "</b></div>\n");
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
    paper_end(buf, "金额 = 单价 × 平均数量，四舍五入到分；平均数量为账期内用量除以当月时长。"
                   "摘要可据账单明细自行复算。");
    return NULL;
}
