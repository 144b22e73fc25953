/* What both forms of an invoice share; see invoice.h. */
#include "metering/invoice.h"

#include <stdio.h>
#include <string.h>

static const char *const digits[] = {"零", "壹", "贰", "叁", "肆", "伍", "陆", "柒", "捌", "玖"};

/* Four digits with their places: 1024 → 壹仟零贰拾肆. A run of zeros within is one 零, at the end none. */
static void put_group(struct buf *buf, int group)
{
    static const char *const places[] = {"仟", "佰", "拾", ""};
    static const int powers[] = {1000, 100, 10, 1};
    bool begun = false, zero = false;
    for (int i = 0; i < 4; i++) {
        int digit = group / powers[i] % 10;
        if (digit == 0) {
            zero = begun;
            continue;
        }
        if (zero)
            buf_puts(buf, digits[0]);
        buf_puts(buf, digits[digit]);
        buf_puts(buf, places[i]);
        begun = true;
        zero = false;
    }
}

/* Groups of four under 万, 亿, 万亿, 亿亿; between groups a 零 where the lower one does not fill its place.
 */
static void put_yuan(struct buf *buf, uint64_t yuan)
{
    static const char *const names[] = {"", "万", "亿", "万亿", "亿亿"};
    int groups[5];
    for (int i = 0; i < 5; i++, yuan /= 10000)
        groups[i] = (int)(yuan % 10000);
    bool begun = false, gap = false;
    for (int i = 4; i >= 0; i--) {
        if (!groups[i]) {
            gap = begun;
            continue;
        }
        if (begun && (gap || groups[i] < 1000))
            buf_puts(buf, digits[0]);
        put_group(buf, groups[i]);
        /* 万亿 is said once when 亿 follows with a group of its own: 壹万贰仟亿, not 壹万亿贰仟亿. */
        buf_puts(buf, i == 3 && groups[2] ? "万" : names[i]);
        begun = true;
        gap = false;
    }
}

const char *invoice_capitals(int64_t fen, char text[INVOICE_CAPITALS])
{
    BUF_AUTO struct buf buf = BUF_INIT(INVOICE_CAPITALS - 1);
    uint64_t size = fen < 0 ? (uint64_t)0 - (uint64_t)fen : (uint64_t)fen;
    int jiao = (int)(size / 10 % 10), cents = (int)(size % 10);
    uint64_t yuan = size / 100;
    if (fen < 0)
        buf_puts(&buf, "负");
    if (yuan) {
        put_yuan(&buf, yuan);
        buf_puts(&buf, "元");
    }
    if (jiao)
        buf_printf(&buf, "%s角", digits[jiao]);
    else if (cents && yuan)
        buf_puts(&buf, digits[0]);
    if (cents)
        buf_printf(&buf, "%s分", digits[cents]);
    else if (!size)
        buf_puts(&buf, "零元整");
    else
        buf_puts(&buf, "整");
    (void)snprintf(text, INVOICE_CAPITALS, "%s", buf_text(&buf)); /* the buffer's cap is the text's */
    return text;
}

void invoice_note(const struct bill_line *line, char note[INVOICE_NOTE])
{
    static const char *const free_of[TARIFF_COUNT] = {"", "免费短期扩容", "免费额度", "迁移期间免费"};
    char list[MONEY_TEXT];
    BUF_AUTO struct buf buf = BUF_INIT(INVOICE_NOTE - 1);
    if (line->tariff != TARIFF_STANDARD)
        buf_printf(&buf, "%s，按价目 %s 元", free_of[line->tariff], money_format(line->list_fen, list));
    if (line->adjustment) {
        buf_printf(&buf, "%s更正 %s", buf.length ? "；" : "", line->charge_month);
        if (line->corrects_number)
            buf_printf(&buf, "，原账单 %s 第 %lld 行", line->corrects_number, (long long)line->corrects_line);
        else
            buf_puts(&buf, "，原未计入");
    }
    (void)snprintf(note, INVOICE_NOTE, "%s", buf_text(&buf)); /* ids are short enough */
}

const char *invoice_name(const struct item *item, char name[INVOICE_NAME])
{
    const char *bracket = strstr(item->name, "（");
    size_t length = bracket && bracket > item->name ? (size_t)(bracket - item->name) : strlen(item->name);
    (void)snprintf(name, INVOICE_NAME, "%.*s", (int)length, item->name); /* the catalog's names are shorter */
    return name;
}

const char *invoice_unit(const struct item *item, char text[64])
{
    if (item->billing_quantity == 1)
        (void)snprintf(text, 64, "%s", item->unit); /* the catalog's units are short */
    else
        (void)snprintf(text, 64, "%lld %s", (long long)item->billing_quantity, item->unit);
    return text;
}
