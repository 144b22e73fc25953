/* See paper.h. */
#include "metering/paper.h"

static const char shared[] =
    "@page{size:A4;margin:16mm 14mm 18mm;@bottom-right{content:counter(page) ' / ' counter(pages);font:8pt "
    "sans-serif;color:#5b6b7b}}"
    "*{box-sizing:border-box}"
    "html{font:10pt/1.5 \"Noto Sans CJK SC\",\"Source Han Sans SC\",\"PingFang SC\",\"Microsoft "
    "YaHei\",sans-serif;color:#1c2733;background:#eef1f4}"
    "body{max-width:210mm;margin:10mm auto;padding:14mm;background:#fff;box-shadow:0 1px 6px #0002}"
    "header{display:flex;justify-content:space-between;align-items:flex-end;border-bottom:2.5pt solid "
    "#1f4e79;padding-bottom:4mm}"
    "h1{margin:0;font-size:19pt;letter-spacing:.12em;color:#1f4e79}"
    ".brand{font-size:9pt;color:#5b6b7b;text-align:right}"
    ".brand b{font-size:12pt;color:#1c2733}"
    "dl{display:grid;grid-template-columns:auto 1fr auto 1fr;gap:1mm 5mm;margin:5mm 0}"
    "dt{color:#5b6b7b}"
    "dd{margin:0;font-weight:600;overflow-wrap:anywhere}"
    "table{width:100%;border-collapse:collapse;font-size:9pt}"
    "thead{display:table-header-group}"
    "th{padding:1.6mm 1.5mm;background:#1f4e79;color:#fff;font-weight:600;text-align:left;white-space:nowrap}"
    "td{padding:1.5mm;border-bottom:.5pt solid #d5dce3;vertical-align:top}"
    "tr{break-inside:avoid}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "small{display:block;color:#5b6b7b;font-size:8pt}"
    ".code{color:#5b6b7b;font-variant-numeric:tabular-nums}"
    "footer{margin-top:7mm;padding-top:2mm;border-top:.5pt solid #d5dce3;font-size:8pt;color:#5b6b7b}"
    "@media "
    "print{html{background:#fff}body{max-width:none;margin:0;padding:0;box-shadow:none}th{-webkit-print-"
    "color-adjust:exact;print-color-adjust:exact}}";

void paper_text(struct buf *buf, const char *from)
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

void paper_element(struct buf *buf, const char *open, const char *inside, const char *close)
{
    buf_puts(buf, open);
    paper_text(buf, inside);
    buf_puts(buf, close);
}

void paper_fact(struct buf *buf, const char *name, const char *value)
{
    paper_element(buf, "<dt>", name, "</dt>");
    paper_element(buf, "<dd>", value, "</dd>\n");
}

void paper_begin(struct buf *buf, const struct paper *paper)
{
    paper_element(buf,
                  "<!DOCTYPE html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\">"
                  "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>",
                  paper->title, "</title>\n<style>");
    buf_puts(buf, shared);
    buf_puts(buf, paper->style);
    paper_element(buf, "</style></head>\n<body>\n<header><h1>", paper->heading, "</h1>");
    paper_element(buf, "<div class=\"brand\"><b>云桥 Yunqiao</b><br>", paper->tagline, "</div></header>\n");
}

void paper_end(struct buf *buf, const char *note)
{
    paper_element(buf, "<footer>", note, "</footer>\n</body></html>\n");
}
