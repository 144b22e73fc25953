/* Shares of intervals in a line; see line_usage.h. */
#include "metering/line_usage.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/agreement.h"

/* A part of an interval's quantity over a part of its time. Of the pieces of one slot all count or none:
 * together they are the quantity that `day` and `month` look for the largest of. */
struct piece {
    size_t share; /* index */
    int64_t micro;
    moment from, to;
    size_t slot;
};

struct work {
    struct arena *arena;
    const struct bill_line *line;
    moment start, end; /* of the charge month */
    struct line_share *shares;
    size_t share_count;
    struct piece *pieces;
    size_t count, capacity;
};

static moment latest(moment a, moment b)
{
    return a > b ? a : b;
}

static moment earliest(moment a, moment b)
{
    return a < b ? a : b;
}

static bool of_key(const struct bill_line *line, const struct rate_interval *interval)
{
    enum tariff tariff = line->tariff == TARIFF_ALLOWANCE ? TARIFF_STANDARD : line->tariff;
    return interval->tariff == tariff && !strcmp(interval->item, line->item) &&
           !strcmp(interval->unit, line->unit) && !strcmp(interval->provider, line->provider) &&
           !strcmp(interval->cloud, line->cloud) && !strcmp(interval->system, line->system) &&
           !strcmp(interval->zone, line->zone) && !strcmp(interval->architecture, line->architecture) &&
           !strcmp(interval->industry, line->industry);
}

static struct error *add_piece(struct work *work, struct piece piece)
{
    if (piece.from >= piece.to || piece.micro <= 0)
        return NULL;
    if (work->count == LINE_PIECES_MAX)
        return error_new(ERR_TOO_LARGE, "too many intervals make this line");
    if (work->count == work->capacity) {
        size_t capacity = work->capacity ? work->capacity * 2 : 64;
        struct piece *pieces = arena_array(work->arena, capacity, sizeof *pieces);
        if (work->count)
            memcpy(pieces, work->pieces, work->count * sizeof *pieces);
        work->pieces = pieces;
        work->capacity = capacity;
    }
    work->pieces[work->count++] = piece;
    return NULL;
}

static int compare_moment(const void *left, const void *right)
{
    moment a = *(const moment *)left, b = *(const moment *)right;
    return (a > b) - (a < b);
}

/* The part of [low, low + micro) that lies below `free_micro`. */
static int64_t below(int64_t low, int64_t micro, int64_t free_micro)
{
    int64_t high = low + micro;
    return low >= free_micro ? 0 : (high < free_micro ? high : free_micro) - low;
}

/* Between every two ends the intervals lie on each other; each gives the part that is the line's. */
static struct error *cut_allowance(struct work *work, int64_t free_micro)
{
    moment *ends = arena_array(work->arena, 2 * work->share_count, sizeof *ends);
    for (size_t i = 0; i < work->share_count; i++) {
        ends[2 * i] = latest(work->shares[i].interval->from, work->start);
        ends[2 * i + 1] = earliest(work->shares[i].interval->to, work->end);
    }
    qsort(ends, 2 * work->share_count, sizeof *ends, compare_moment);
    for (size_t slot = 0; slot + 1 < 2 * work->share_count; slot++) {
        int64_t low = 0;
        for (size_t i = 0; ends[slot] < ends[slot + 1] && i < work->share_count; i++) {
            const struct rate_interval *interval = work->shares[i].interval;
            if (interval->from > ends[slot] || interval->to < ends[slot + 1])
                continue;
            int64_t free_part = below(low, interval->micro, free_micro);
            TRY(add_piece(work, (struct piece){.share = i,
                                               .micro = work->line->tariff == TARIFF_ALLOWANCE
                                                            ? free_part
                                                            : interval->micro - free_part,
                                               .from = ends[slot],
                                               .to = ends[slot + 1],
                                               .slot = slot}));
            if (__builtin_add_overflow(low, interval->micro, &low))
                return error_new(ERR_TOO_LARGE, "a system's use of item %s beyond 64 bits", work->line->item);
        }
    }
    return NULL;
}

static struct error *cut_whole(struct work *work)
{
    for (size_t i = 0; i < work->share_count; i++)
        TRY(add_piece(work, (struct piece){.share = i,
                                           .micro = work->shares[i].interval->micro,
                                           .from = latest(work->shares[i].interval->from, work->start),
                                           .to = earliest(work->shares[i].interval->to, work->end),
                                           .slot = i}));
    return NULL;
}

/* What a piece gives over [from, to), as far as the line's price was in force. */
static struct error *give(struct work *work, const struct piece *piece, moment from, moment to)
{
    moment a = latest(from, work->line->price_from), b = earliest(to, work->line->price_to);
    return a < b ? usage_add(&work->shares[piece->share].usage, piece->micro, b - a) : NULL;
}

/* One day or month of the pieces [first, last): those of the slot with the largest quantity stand for it. */
static struct error *give_span(struct work *work, size_t first, size_t last, const int64_t *levels,
                               moment from, moment to)
{
    int64_t most = 0;
    size_t slot = SIZE_MAX;
    for (size_t i = first; i < last; i++) {
        const struct piece *piece = &work->pieces[i];
        if (piece->from < to && piece->to > from && levels[piece->slot] > most) {
            most = levels[piece->slot];
            slot = piece->slot;
        }
    }
    for (size_t i = first; i < last; i++)
        if (work->pieces[i].slot == slot) {
            TRY(give(work, &work->pieces[i], from, to));
            work->shares[work->pieces[i].share].spans++;
        }
    return NULL;
}

static struct error *give_spans(struct work *work, bool allowance, int64_t length)
{
    int64_t *levels = arena_array(work->arena, 2 * work->share_count + 1, sizeof *levels);
    for (size_t i = 0; i < work->count; i++)
        levels[work->pieces[i].slot] += work->pieces[i].micro;
    for (size_t i = 0, end; i < work->count; i = end) {
        const char *resource = work->shares[work->pieces[i].share].interval->resource;
        for (end = i + 1;
             end < work->count &&
             (allowance || !strcmp(work->shares[work->pieces[end].share].interval->resource, resource));)
            end++;
        for (moment from = work->start; from < work->end; from += length)
            TRY(give_span(work, i, end, levels, from, from + length));
    }
    return NULL;
}

struct error *line_usage(struct arena *arena, const struct bill_line *line, int proration,
                         const struct rate_interval *intervals, size_t count, struct line_share **ret_shares,
                         size_t *ret_count)
{
    struct work work = {.arena = arena, .line = line};
    struct month month;
    size_t kept = 0;
    const struct item *item = item_find(line->item);
    bool allowance =
        item && item->free_micro && (line->tariff == TARIFF_STANDARD || line->tariff == TARIFF_ALLOWANCE);
    TRY(month_parse(line->charge_month, &month));
    work.start = month_start(month);
    work.end = month_end(month);
    work.shares = arena_array(arena, count, sizeof *work.shares);
    for (size_t i = 0; i < count; i++)
        if (of_key(line, &intervals[i]) && intervals[i].from < work.end && intervals[i].to > work.start)
            work.shares[work.share_count++] = (struct line_share){.interval = &intervals[i]};
    TRY(allowance ? cut_allowance(&work, item->free_micro) : cut_whole(&work));
    if (proration == PRORATION_EXACT)
        for (size_t i = 0; i < work.count; i++)
            TRY(give(&work, &work.pieces[i], work.pieces[i].from, work.pieces[i].to));
    else
        TRY(give_spans(&work, allowance, proration == PRORATION_DAY ? MOMENT_DAY : work.end - work.start));
    for (size_t i = 0; i < work.share_count; i++)
        if (work.shares[i].usage)
            work.shares[kept++] = work.shares[i];
    *ret_shares = work.shares;
    *ret_count = kept;
    return NULL;
}
