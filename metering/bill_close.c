/* Closing a month; see bill.h for what it promises. Unit by unit: rate the month, rate again the earlier
 * months from the first one whose usage changed since the last closing, compare with what was billed of them,
 * and write charges and adjustments as one bill for each provider. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/buf.h"
#include "broker/base/id.h"
#include "metering/bill.h"
#include "metering/setting.h"
#include "metering/usage.h"

struct month_rates {
    struct month month;
    struct rate_provider *providers;
    size_t count;
};

struct closing {
    struct db *db;
    struct arena *arena; /* of the whole closing: rates and digests */
    struct month month;
    char text[8];
    moment now;
    struct month_rates *rates;
    size_t rate_count, rate_capacity;
    struct bill_month total;
    const char **seals; /* "number digest" */
    size_t seal_count, seal_capacity;
};

static const struct db_statement claim_month = {
    "billing_claim",
    "INSERT INTO billing_month (month, state) VALUES ($1, 'closing') ON CONFLICT DO NOTHING"};
static const struct db_statement lock_month = {"billing_lock",
                                               "SELECT state FROM billing_month WHERE month = $1 FOR UPDATE"};
static const struct db_statement last_closed = {
    "billing_last", "SELECT max(month COLLATE \"C\") FROM billing_month WHERE state = 'closed'"};
static const struct db_statement first_usage = {"billing_first_usage",
                                                "SELECT min(start_at) FROM usage_interval"};
static const struct db_statement units_with_usage = {"billing_units",
                                                     "SELECT unit_id FROM usage_interval WHERE start_at < $2"
                                                     " AND end_at > $1"
                                                     " UNION SELECT unit_id FROM usage_change ORDER BY 1"};
static const struct db_statement take_changes = {
    "billing_changes", "WITH gone AS (DELETE FROM usage_change WHERE unit_id = $1 RETURNING from_at)"
                       " SELECT min(from_at) FROM gone"};
static const struct db_statement seal_month = {
    "billing_seal",
    "UPDATE billing_month SET state = 'closed', closed_at = $2, bills = $3, lines = $4, total_fen = $5,"
    " digest = $6 WHERE month = $1 AND state = 'closing'"};

static struct error *rates_of(struct closing *closing, struct month month,
                              const struct month_rates **ret_rates)
{
    for (size_t i = 0; i < closing->rate_count; i++)
        if (!month_compare(closing->rates[i].month, month)) {
            *ret_rates = &closing->rates[i];
            return NULL;
        }
    if (closing->rate_count == closing->rate_capacity) {
        size_t capacity = closing->rate_capacity ? closing->rate_capacity * 2 : 32;
        struct month_rates *rates = arena_array(closing->arena, capacity, sizeof *rates);
        if (closing->rate_count)
            memcpy(rates, closing->rates, closing->rate_count * sizeof *rates);
        closing->rates = rates;
        closing->rate_capacity = capacity;
    }
    struct month_rates *rates = &closing->rates[closing->rate_count];
    rates->month = month;
    TRY(bill_rates(closing->db, closing->arena, month, &rates->providers, &rates->count));
    closing->rate_count++;
    *ret_rates = rates;
    return NULL;
}

/* One unit's work: what rating says of every month so far (+) against what was billed of it (−). */
struct posting {
    struct bill_line line;
    size_t order; /* of equal keys: billed ones first, oldest first */
    const char *number;
    int64_t line_no;
};

struct unit_work {
    struct closing *closing;
    struct arena *arena;
    const char *unit;
    struct rate_interval *intervals;
    size_t interval_count;
    struct posting *postings;
    size_t count, capacity;
};

static struct posting *add_posting(struct unit_work *work)
{
    if (work->count == work->capacity) {
        size_t capacity = work->capacity ? work->capacity * 2 : 64;
        struct posting *postings = arena_array(work->arena, capacity, sizeof *postings);
        if (work->count)
            memcpy(postings, work->postings, work->count * sizeof *postings);
        work->postings = postings;
        work->capacity = capacity;
    }
    work->postings[work->count].order = work->count;
    return &work->postings[work->count++];
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

/* What was billed of the months from `first` on. */
static struct error *add_billed(struct unit_work *work, struct month first)
{
    struct bill_entry *list;
    size_t count;
    TRY(bill_entries(work->closing->db, work->arena, work->unit, first, &list, &count));
    for (size_t i = 0; i < count; i++) {
        struct posting *posting = add_posting(work);
        posting->line = list[i].line;
        posting->line.adjustment = true;
        posting->line.usage = -posting->line.usage;
        posting->line.amount_fen = -posting->line.amount_fen;
        posting->line.list_fen = -posting->line.list_fen;
        posting->number = list[i].number;
        posting->line_no = list[i].line_no;
    }
    return NULL;
}

static struct error *add_rated(struct unit_work *work, struct month month, bool adjustment)
{
    const struct month_rates *rates;
    struct rate_line *lines;
    size_t count;
    TRY(rates_of(work->closing, month, &rates));
    TRY(rate_month(work->arena, work->intervals, work->interval_count, rates->providers, rates->count, month,
                   month_end(month), &lines, &count));
    for (size_t i = 0; i < count; i++) {
        char text[8];
        month_format(month, text);
        if (!lines[i].priced)
            return error_new(ERR_CONFLICT,
                             "provider \"%s\" has no price for item %s, which unit \"%s\" used in %s",
                             lines[i].provider, lines[i].item, work->unit, text);
        struct posting *posting = add_posting(work);
        posting->line = bill_line_of(&lines[i], month, adjustment);
    }
    return NULL;
}

/* Folds equal keys to one line each; an adjustment of nothing is no line. The result is in the order of
 * bills. */
static struct error *fold(struct unit_work *work, struct bill_line **ret_lines, size_t *ret_count)
{
    struct bill_line *lines = arena_array(work->arena, work->count, sizeof *lines);
    size_t count = 0;
    if (work->count)
        qsort(work->postings, work->count, sizeof *work->postings, compare_posting);
    for (size_t i = 0, end; i < work->count; i = end) {
        const struct posting *first = &work->postings[i];
        struct bill_line line = first->line;
        for (end = i + 1; end < work->count && !compare_key(&first->line, &work->postings[end].line); end++) {
            line.usage += work->postings[end].line.usage;
            TRY(money_add(line.amount_fen, work->postings[end].line.amount_fen, &line.amount_fen));
            TRY(money_add(line.list_fen, work->postings[end].line.list_fen, &line.list_fen));
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

static void keep_seal(struct closing *closing, const struct bill *bill)
{
    if (closing->seal_count == closing->seal_capacity) {
        size_t capacity = closing->seal_capacity ? closing->seal_capacity * 2 : 256;
        const char **seals = arena_array(closing->arena, capacity, sizeof *seals);
        if (closing->seal_count)
            memcpy(seals, closing->seals, closing->seal_count * sizeof *seals);
        closing->seals = seals;
        closing->seal_capacity = capacity;
    }
    closing->seals[closing->seal_count++] =
        arena_printf(closing->arena, "%s %s\n", bill->number, bill->digest);
}

static struct error *write_bill(struct unit_work *work, const struct bill_line *lines, size_t count)
{
    struct closing *closing = work->closing;
    struct bill bill = {.id = id_new_in(work->arena),
                        .unit = work->unit,
                        .provider = lines[0].provider,
                        .month = closing->text,
                        .digest_version = BILL_DIGEST,
                        .line_count = (int64_t)count,
                        .closed_at = closing->now};
    char digest[DIGEST_HEX];
    for (size_t i = 0; i < count; i++) {
        int64_t *sum = lines[i].adjustment ? &bill.adjustments_fen : &bill.charges_fen;
        TRY(money_add(*sum, lines[i].amount_fen, sum));
    }
    TRY(money_add(bill.charges_fen, bill.adjustments_fen, &bill.total_fen));
    bill.number = bill_number(work->arena, closing->text, bill.provider, bill.unit);
    TRY(bill_digest(&bill, lines, digest));
    bill.digest = digest;
    TRY_DOING(bill_add(closing->db, &bill, lines), "could not write bill %s", bill.number);
    keep_seal(closing, &bill);
    closing->total.bills++;
    closing->total.lines += bill.line_count;
    return money_add(closing->total.total_fen, bill.total_fen, &closing->total.total_fen);
}

/* The first month of which usage changed since the unit's last closing, at latest the one that closes; the
 * months before it are rated as they were. Before usage is read: what changes in between is kept for the next
 * closing, and rated by both. */
static struct error *first_changed(struct closing *closing, const char *unit, struct month *ret_first)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(closing->db, &take_changes, DB_VALUES(db_text(unit)), &rows));
    *ret_first = closing->month;
    if (!db_is_null(rows, 0, 0) && db_get_moment(rows, 0, 0) < month_start(closing->month))
        *ret_first = month_of(db_get_moment(rows, 0, 0));
    return NULL;
}

static struct error *close_unit(struct closing *closing, const char *unit)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct unit_work work = {.closing = closing, .arena = arena, .unit = unit};
    struct bill_line *lines;
    size_t count;
    struct month first;
    TRY(first_changed(closing, unit, &first));
    TRY(usage_intervals(closing->db, arena, unit, month_start(first), month_end(closing->month),
                        &work.intervals, &work.interval_count));
    TRY(add_billed(&work, first));
    for (; month_compare(first, closing->month) < 0; first = month_next(first))
        TRY(add_rated(&work, first, true));
    TRY(add_rated(&work, closing->month, false));
    TRY(fold(&work, &lines, &count));
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && !strcmp(lines[end].provider, lines[i].provider);)
            end++;
        TRY(write_bill(&work, lines + i, end - i));
    }
    return NULL;
}

static struct error *check_over(struct closing *closing)
{
    int64_t grace;
    TRY(setting_close_grace(closing->db, &grace));
    if (closing->now < month_end(closing->month) + grace)
        return error_new(ERR_CONFLICT, "%s and its grace of %lld seconds are not over", closing->text,
                         (long long)(grace / MOMENT_SECOND));
    return NULL;
}

struct error *bill_month_next(struct db *db, bool *ret_found, struct month *ret_month)
{
    DB_ROWS_AUTO struct db_rows *last = NULL, *first = NULL;
    TRY(db_query(db, &last_closed, DB_NO_VALUES, &last));
    if (!db_is_null(last, 0, 0)) {
        struct month month;
        TRY(month_parse(db_get_text(last, 0, 0), &month));
        *ret_month = month_next(month);
        *ret_found = true;
        return NULL;
    }
    TRY(db_query(db, &first_usage, DB_NO_VALUES, &first));
    *ret_found = !db_is_null(first, 0, 0);
    if (*ret_found)
        *ret_month = month_of(db_get_moment(first, 0, 0));
    return NULL;
}

/* Months close in order; before the first closed one, any month up to the first that has usage may begin. */
static struct error *check_order(struct closing *closing)
{
    bool found, any_closed;
    struct month next;
    DB_ROWS_AUTO struct db_rows *last = NULL;
    TRY(db_query(closing->db, &last_closed, DB_NO_VALUES, &last));
    any_closed = !db_is_null(last, 0, 0);
    TRY(bill_month_next(closing->db, &found, &next));
    int order = found ? month_compare(closing->month, next) : 0;
    if (order > 0 || (order < 0 && any_closed)) {
        char text[8];
        month_format(next, text);
        return error_new(ERR_CONFLICT, "%s is the next month to close", text);
    }
    return NULL;
}

static int compare_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static struct error *seal(struct closing *closing)
{
    BUF_AUTO struct buf buf = BUF_INIT((size_t)512 << 20);
    struct bill_month *total = &closing->total;
    int64_t changed;
    if (closing->seal_count)
        qsort(closing->seals, closing->seal_count, sizeof *closing->seals, compare_text);
    for (size_t i = 0; i < closing->seal_count; i++)
        buf_puts(&buf, closing->seals[i]);
    if (buf_overflowed(&buf))
        return error_new(ERR_TOO_LARGE, "too many bills in %s", closing->text);
    digest_sm3(buf_text(&buf), buf.length, total->digest);
    TRY(db_run(closing->db, &seal_month,
               DB_VALUES(db_text(closing->text), db_moment(closing->now), db_int(total->bills),
                         db_int(total->lines), db_int(total->total_fen), db_text(total->digest)),
               &changed));
    return changed == 1 ? NULL : error_new(ERR_CONFLICT, "%s was closed meanwhile", closing->text);
}

static struct error *close_all(struct closing *closing)
{
    DB_ROWS_AUTO struct db_rows *units = NULL;
    TRY(check_over(closing));
    TRY(check_order(closing));
    TRY(db_query(closing->db, &units_with_usage,
                 DB_VALUES(db_moment(month_start(closing->month)), db_moment(month_end(closing->month))),
                 &units));
    for (size_t i = 0; i < db_count(units); i++)
        TRY_DOING(close_unit(closing, db_get_text(units, i, 0)), "could not close %s for unit \"%s\"",
                  closing->text, db_get_text(units, i, 0));
    return seal(closing);
}

struct error *bill_close_month(struct db *db, struct arena *arena, struct month month, moment now,
                               struct bill_month *ret_month)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    struct closing closing = {.db = db, .arena = arena, .month = month, .now = now};
    month_format(month, closing.text);
    TRY(db_run(db, &claim_month, DB_VALUES(db_text(closing.text)), NULL));
    TRY(db_query_one(db, &lock_month, DB_VALUES(db_text(closing.text)), "month", &rows));
    if (strcmp(db_get_text(rows, 0, 0), "closed") != 0)
        TRY(close_all(&closing));
    return bill_month_get(db, month, ret_month);
}
