/* Making bills; see bill_make.h. A group of units is rated month by month in one go; then, unit by unit, what
 * rating says of the earlier months is compared with what was billed of them, and charges and adjustments
 * become one bill for each provider. */
#include "metering/bill_make.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/auth.h"
#include "broker/base/id.h"
#include "metering/usage.h"

/* One unit's work: what rating says of every month so far (+) against what was billed of it (−). */
struct posting {
    struct bill_line line;
    size_t order; /* of equal keys: billed ones first, oldest first */
    const char *number;
    int64_t line_no;
};

/* A month's lines of all units of the group, by unit. */
struct rated_month {
    struct month month;
    struct rate_line *lines;
    size_t count, next; /* next: the first line of the unit that is made now */
};

struct making {
    struct db *db;
    const struct bill_plan *plan;
    struct arena *arena; /* of the bills */
    struct arena *work;  /* of the group */
    struct rated_month *months;
    size_t month_count;
    struct bill_entry *entries; /* what was billed of the group */
    size_t entry_count, next_entry;
    const char *unit; /* the one that is made now */
    struct posting *postings;
    size_t count, capacity;
    struct bill_made *made;
    size_t made_count, made_capacity;
};

static struct posting *add_posting(struct making *making)
{
    if (making->count == making->capacity) {
        size_t capacity = making->capacity ? making->capacity * 2 : 64;
        struct posting *postings = arena_array(making->work, capacity, sizeof *postings);
        if (making->count)
            memcpy(postings, making->postings, making->count * sizeof *postings);
        making->postings = postings;
        making->capacity = capacity;
    }
    making->postings[making->count].order = making->count;
    return &making->postings[making->count++];
}

/* Bills are in this order: by provider, charges first, then what they are for. */
static int compare_key(const struct bill_line *a, const struct bill_line *b)
{
    int order = strcmp(a->provider, b->provider);
    if (!order)
        order = (int)a->adjustment - (int)b->adjustment;
    if (!order)
        order = strcmp(a->charge_month, b->charge_month);
    if (!order)
        order = strcmp(a->cloud, b->cloud);
    if (!order)
        order = strcmp(a->system, b->system);
    if (!order)
        order = strcmp(a->item, b->item);
    if (!order)
        order = strcmp(a->zone, b->zone);
    if (!order)
        order = strcmp(a->architecture, b->architecture);
    if (!order)
        order = strcmp(a->industry, b->industry);
    if (!order)
        order = (int)a->tariff - (int)b->tariff;
    return order ? order : (a->price_from > b->price_from) - (a->price_from < b->price_from);
}

static int compare_posting(const void *left, const void *right)
{
    const struct posting *a = left, *b = right;
    int order = compare_key(&a->line, &b->line);
    return order ? order : (a->order > b->order) - (a->order < b->order);
}

/* What was billed of the unit from the group's first month on; that of the group is by unit, too. */
static void add_billed(struct making *making)
{
    const struct bill_entry *entry = making->entries + making->next_entry;
    for (; making->next_entry < making->entry_count && !strcmp(entry->line.unit, making->unit);
         making->next_entry++, entry++) {
        struct posting *posting = add_posting(making);
        posting->line = entry->line;
        posting->line.adjustment = true;
        posting->line.usage = -posting->line.usage;
        posting->line.amount_fen = -posting->line.amount_fen;
        posting->line.list_fen = -posting->line.list_fen;
        posting->number = entry->number;
        posting->line_no = entry->line_no;
    }
}

/* The unit's lines of one month; those of the group are by unit, and units are made in that order. */
static struct error *add_rated(struct making *making, struct rated_month *rated)
{
    bool adjustment = month_compare(rated->month, making->plan->month) < 0;
    for (; rated->next < rated->count && !strcmp(rated->lines[rated->next].unit, making->unit);
         rated->next++) {
        const struct rate_line *line = &rated->lines[rated->next];
        struct posting *posting = add_posting(making);
        *posting =
            (struct posting){.line = bill_line_of(line, rated->month, adjustment), .order = posting->order};
        if (!line->priced)
            return error_new(ERR_CONFLICT,
                             "provider \"%s\" has no price for item %s, which unit \"%s\" used in %s",
                             line->provider, line->item, making->unit, posting->line.charge_month);
    }
    return NULL;
}

/* Folds equal keys to one line each; an adjustment of nothing is no line. The result is in the order of
 * bills. */
static struct error *fold(struct making *making, struct bill_line **ret_lines, size_t *ret_count)
{
    struct bill_line *lines = arena_array(making->arena, making->count, sizeof *lines);
    size_t count = 0;
    if (making->count)
        qsort(making->postings, making->count, sizeof *making->postings, compare_posting);
    for (size_t i = 0, end; i < making->count; i = end) {
        const struct posting *first = &making->postings[i];
        struct bill_line line = first->line;
        for (end = i + 1; end < making->count && !compare_key(&first->line, &making->postings[end].line);
             end++) {
            line.usage += making->postings[end].line.usage;
            TRY(money_add(line.amount_fen, making->postings[end].line.amount_fen, &line.amount_fen));
            TRY(money_add(line.list_fen, making->postings[end].line.list_fen, &line.list_fen));
        }
        if (!line.usage && !line.list_fen)
            continue;
        line.corrects_number = first->number;
        line.corrects_line = first->line_no;
        lines[count++] = line;
    }
    *ret_lines = lines;
    *ret_count = count;
    return NULL;
}

/* Text of a line outlives the group's intervals. */
static void keep_text(struct making *making, struct bill_line *line)
{
    const char **texts[] = {&line->provider, &line->cloud,        &line->system,         &line->industry,
                            &line->zone,     &line->architecture, &line->corrects_number};
    line->unit = making->unit;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = arena_strdup(making->arena, *texts[i]);
}

static struct error *sign(struct making *making, struct bill *bill)
{
    const char *text = bill_signed_text(making->arena, "bill", bill->number, bill->digest);
    if (!making->plan->auth)
        return NULL;
    return auth_sign(making->plan->auth, making->plan->now, text, strlen(text), making->arena, &bill->kid,
                     &bill->signature);
}

static struct bill_made *add_made(struct making *making)
{
    if (making->made_count == making->made_capacity) {
        size_t capacity = making->made_capacity ? making->made_capacity * 2 : 64;
        struct bill_made *made = arena_array(making->arena, capacity, sizeof *made);
        if (making->made_count)
            memcpy(made, making->made, making->made_count * sizeof *made);
        making->made = made;
        making->made_capacity = capacity;
    }
    return &making->made[making->made_count++];
}

static struct error *make_bill(struct making *making, struct bill_line *lines, size_t count)
{
    char digest[DIGEST_HEX];
    for (size_t i = 0; i < count; i++)
        keep_text(making, &lines[i]);
    struct bill bill = {.id = id_new_in(making->arena),
                        .unit = making->unit,
                        .provider = lines[0].provider,
                        .month = making->plan->text,
                        .digest_version = BILL_DIGEST,
                        .line_count = (int64_t)count,
                        .closed_at = making->plan->now};
    for (size_t i = 0; i < count; i++) {
        int64_t *sum = lines[i].adjustment ? &bill.adjustments_fen : &bill.charges_fen;
        TRY(money_add(*sum, lines[i].amount_fen, sum));
    }
    TRY(money_add(bill.charges_fen, bill.adjustments_fen, &bill.total_fen));
    bill.number = bill_number(making->arena, making->plan->text, bill.provider, bill.unit);
    TRY(bill_digest(&bill, lines, digest));
    bill.digest = arena_strdup(making->arena, digest);
    TRY(sign(making, &bill));
    *add_made(making) = (struct bill_made){bill, lines};
    return NULL;
}

static struct error *make_unit(struct making *making, const struct bill_unit *unit)
{
    struct bill_line *lines;
    size_t count;
    making->unit = arena_strdup(making->arena, unit->unit);
    making->count = 0;
    add_billed(making);
    for (size_t m = 0; m < making->month_count; m++)
        TRY(add_rated(making, &making->months[m]));
    TRY(fold(making, &lines, &count));
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && !strcmp(lines[end].provider, lines[i].provider);)
            end++;
        TRY(make_bill(making, lines + i, end - i));
    }
    return NULL;
}

static const struct month_rates *rates_of(const struct bill_plan *plan, struct month month)
{
    for (size_t i = 0; i < plan->rate_count; i++)
        if (!month_compare(plan->rates[i].month, month))
            return &plan->rates[i];
    return NULL;
}

static struct error *count_inputs(const struct bill_plan *plan, const struct rate_interval *intervals,
                                  size_t count, struct bill_inputs *inputs)
{
    moment start = month_start(plan->month), end = month_end(plan->month);
    for (size_t i = 0; i < count; i++) {
        moment from = intervals[i].from > start ? intervals[i].from : start;
        moment to = intervals[i].to < end ? intervals[i].to : end;
        if (from < to)
            TRY(usage_add(&inputs->usage, intervals[i].micro, to - from));
    }
    inputs->intervals += (int64_t)count;
    return NULL;
}

static struct error *rate_group(struct making *making, const struct bill_unit *units, size_t count,
                                struct bill_inputs *inputs)
{
    const struct bill_plan *plan = making->plan;
    struct rate_interval *intervals;
    size_t interval_count, months = 0;
    const char **names = arena_array(making->work, count, sizeof *names);
    for (size_t i = 0; i < count; i++)
        names[i] = units[i].unit;
    TRY(usage_of_units(making->db, making->work, names, count, month_start(units[0].first),
                       month_end(plan->month), &intervals, &interval_count));
    TRY(bill_entries(making->db, making->work, names, count, units[0].first, &making->entries,
                     &making->entry_count));
    TRY(count_inputs(plan, intervals, interval_count, inputs));
    for (struct month m = units[0].first; month_compare(m, plan->month) <= 0; m = month_next(m))
        months++;
    making->months = arena_array(making->work, months, sizeof *making->months);
    for (struct month m = units[0].first; month_compare(m, plan->month) <= 0; m = month_next(m)) {
        struct rated_month *rated = &making->months[making->month_count++];
        const struct month_rates *rates = rates_of(plan, m);
        if (!rates)
            return error_new(ERR_INTERNAL, "a month without rates");
        rated->month = m;
        TRY(rate_month(making->work, intervals, interval_count, rates->providers, rates->count, m,
                       month_end(m), &rated->lines, &rated->count));
    }
    return NULL;
}

static int compare_unit(const void *left, const void *right)
{
    return strcmp(((const struct bill_unit *)left)->unit, ((const struct bill_unit *)right)->unit);
}

struct error *bill_make(struct db *db, const struct bill_plan *plan, const struct bill_unit *units,
                        size_t count, struct arena *arena, struct bill_made **ret_made, size_t *ret_count,
                        struct bill_inputs *inputs)
{
    ARENA_AUTO struct arena *work = arena_new();
    struct making making = {.db = db, .plan = plan, .arena = arena, .work = work};
    *ret_count = 0;
    if (!count)
        return NULL;
    struct bill_unit *sorted = arena_array(work, count, sizeof *sorted);
    memcpy(sorted, units, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_unit);
    TRY(rate_group(&making, sorted, count, inputs));
    for (size_t i = 0; i < count; i++)
        TRY_DOING(make_unit(&making, &sorted[i]), "could not make the bills of unit \"%s\"", sorted[i].unit);
    *ret_made = making.made;
    *ret_count = making.made_count;
    return NULL;
}
