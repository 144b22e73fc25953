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

static void put_line(struct buf *buf, int version, int64_t number, const struct bill_line *line)
{
    char from[MOMENT_TEXT], to[MOMENT_TEXT], price[MONEY_TEXT], amount[MONEY_TEXT], usage[WIDE_TEXT];
    moment_format(line->price_from, from);
    moment_format(line->price_to, to);
    buf_printf(buf, "%lld|%s|%s|%s|%s|%s|", (long long)number, line->adjustment ? "adjustment" : "charge",
               line->charge_month, line->cloud, line->system, line->item);
    if (version > 1)
        buf_printf(buf, "%s|%s|%s|%s|%s|", tariff_name(line->tariff), line->industry, line->zone,
                   line->architecture, money_format(line->list_fen, amount));
    buf_printf(buf, "%s|%s|%s|%s|%s|", money_format(line->price_fen, price), from, to,
               wide_format(line->usage, usage), money_format(line->amount_fen, amount));
    if (line->corrects_number)
        buf_printf(buf, "%s|%lld", line->corrects_number, (long long)line->corrects_line);
    else
        buf_putc(buf, '|');
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
