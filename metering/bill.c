/* What a bill is called, its canonical text and digest; see bill.h. */
#include "metering/bill.h"

#include <string.h>

#include "broker/base/buf.h"

#define CANONICAL_MAX ((size_t)512 << 20)

const char *bill_number(struct arena *arena, const char *month, const char *provider, const char *unit)
{
    return arena_printf(arena, "YQ%.4s%s.%s.%s", month, month + 5, provider, unit);
}

struct bill_line bill_line_of(const struct rate_line *rated, struct month charge_month, bool adjustment)
{
    struct bill_line line = {.unit = rated->unit,
                             .provider = rated->provider,
                             .cloud = rated->cloud,
                             .system = rated->system,
                             .industry = rated->industry,
                             .zone = rated->zone,
                             .architecture = rated->architecture,
                             .tariff = rated->tariff,
                             .adjustment = adjustment,
                             .price_fen = rated->price_fen,
                             .price_from = rated->price_from,
                             .price_to = rated->price_to,
                             .usage = rated->usage,
                             .list_fen = rated->list_fen,
                             .amount_fen = rated->amount_fen};
    memcpy(line.item, rated->item, ITEM_CODE);
    month_format(charge_month, line.charge_month);
    return line;
}

const char *bill_signed_text(struct arena *arena, const char *what, const char *name, const char *digest)
{
    return arena_printf(arena, "yunqiao %s|%s|%s", what, name, digest);
}

/* A text and the bar behind it. */
static void put(struct buf *buf, const char *text)
{
    buf_puts(buf, text);
    buf_putc(buf, '|');
}

static void put_number(struct buf *buf, wide number)
{
    char text[WIDE_TEXT];
    put(buf, wide_format(number, text));
}

static void put_fen(struct buf *buf, int64_t fen)
{
    char text[MONEY_TEXT];
    put(buf, money_format(fen, text));
}

static void put_moment(struct buf *buf, moment at)
{
    char text[MOMENT_TEXT];
    moment_format(at, text);
    put(buf, text);
}

/* Written without formats: a month has hundreds of thousands of lines. */
static void put_line(struct buf *buf, int version, int64_t number, const struct bill_line *line)
{
    char last[WIDE_TEXT];
    put_number(buf, number);
    put(buf, line->adjustment ? "adjustment" : "charge");
    put(buf, line->charge_month);
    put(buf, line->cloud);
    put(buf, line->system);
    put(buf, line->item);
    if (version > 1) {
        put(buf, tariff_name(line->tariff));
        put(buf, line->industry);
        put(buf, line->zone);
        put(buf, line->architecture);
        put_fen(buf, line->list_fen);
    }
    put_fen(buf, line->price_fen);
    put_moment(buf, line->price_from);
    put_moment(buf, line->price_to);
    put_number(buf, line->usage);
    put_fen(buf, line->amount_fen);
    put(buf, line->corrects_number ? line->corrects_number : "");
    if (line->corrects_number)
        buf_puts(buf, wide_format(line->corrects_line, last));
    buf_putc(buf, '\n');
}

void bill_rates_text(struct buf *buf, struct month month, const struct rate_provider *providers, size_t count)
{
    char text[8];
    month_format(month, text);
    for (size_t i = 0; i < count; i++) {
        buf_printf(buf, "%s|%s|%d\n", text, providers[i].id, providers[i].proration);
        for (size_t k = 0; k < providers[i].price_count; k++) {
            const struct price_period *price = &providers[i].prices[k];
            buf_printf(buf, "%s|%lld|%lld|%lld\n", price->item, (long long)price->fen, (long long)price->from,
                       (long long)price->to);
        }
    }
}

struct error *bill_digest(const struct bill *bill, const struct bill_line *lines, char hex[DIGEST_HEX])
{
    BUF_AUTO struct buf buf = BUF_INIT(CANONICAL_MAX);
    char total[MONEY_TEXT];
    buf_printf(&buf, "%s|%s|%s|%s|%s\n", bill->number, bill->unit, bill->provider, bill->month,
               money_format(bill->total_fen, total));
    for (int64_t i = 0; i < bill->line_count; i++)
        put_line(&buf, bill->digest_version, i + 1, &lines[i]);
    if (buf_overflowed(&buf))
        return error_new(ERR_TOO_LARGE, "bill %s is too long", bill->number);
    digest_sm3(buf_text(&buf), buf.length, hex);
    return NULL;
}
