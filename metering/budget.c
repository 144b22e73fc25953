/* What budgets come to, and when people are told; see budget.h. */
#include "metering/budget.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/http/event.h"
#include "metering/statement_sum.h"

static int compare_int(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

struct error *budget_thresholds(struct arena *arena, struct json_ints *thresholds)
{
    int64_t *sorted = arena_array(arena, thresholds->count, sizeof *sorted);
    if (!thresholds->count || thresholds->count > BUDGET_THRESHOLDS_MAX)
        return error_member("/thresholds", "must be 1 to %d percentages", BUDGET_THRESHOLDS_MAX);
    memcpy(sorted, thresholds->items, thresholds->count * sizeof *sorted);
    qsort(sorted, thresholds->count, sizeof *sorted, compare_int);
    for (size_t i = 0; i < thresholds->count; i++)
        if (sorted[i] < 1 || sorted[i] > BUDGET_PERCENT_MAX || (i && sorted[i] == sorted[i - 1]))
            return error_member("/thresholds", "must be percentages of 1 to %d, each once",
                                BUDGET_PERCENT_MAX);
    thresholds->items = sorted;
    return NULL;
}

static bool of_year(const struct budget *budget)
{
    return !strcmp(budget->period, "year");
}

void budget_period_of(const struct budget *budget, struct month month, struct budget_period *ret_period)
{
    struct budget_period period = {.from = month, .to = month};
    month_format(month, period.name);
    if (of_year(budget)) {
        period.name[4] = '\0';
        period.from.month = 1;
        period.to.month = 12;
    }
    *ret_period = period;
}

static struct error *sum(struct db *db, struct arena *arena, const struct budget *budget,
                         const struct budget_period *period, bool scope_of_units, bool to_the_end, moment now,
                         struct statement_row *ret_total)
{
    struct statement_ask ask = {
        .from = period->from,
        .to = period->to,
        .only = {[STATEMENT_UNIT] = budget->unit, [STATEMENT_SYSTEM] = budget->system},
        .scope_of_units = scope_of_units,
        .to_the_end = to_the_end,
        .now = now};
    struct statement_months months;
    struct statement statement;
    TRY(statement_months(db, ask.from, ask.to, &months));
    TRY(statement_sum(db, arena, &ask, &months, NULL, 1, &statement));
    *ret_total = statement.total;
    return NULL;
}

struct error *budget_spent(struct db *db, struct arena *arena, const struct budget *budget,
                           struct budget_period *period, bool scope_of_units, moment now)
{
    struct statement_row total;
    TRY(sum(db, arena, budget, period, scope_of_units, false, now, &total));
    period->spent_fen = total.amount_fen;
    return NULL;
}

static void period_before(const struct budget *budget, const struct budget_period *period,
                          struct budget_period *ret_before)
{
    budget_period_of(budget, month_previous(period->from), ret_before);
}

struct error *budget_forecast(struct db *db, struct arena *arena, const struct budget *budget,
                              struct budget_period *period, bool scope_of_units, moment now)
{
    struct budget_period before;
    struct statement_row total;
    TRY(sum(db, arena, budget, period, scope_of_units, true, now, &total));
    period->forecast_fen = total.amount_fen;
    period->unpriced = total.unpriced;
    period_before(budget, period, &before);
    TRY(budget_spent(db, arena, budget, &before, scope_of_units, now));
    period->before_fen = before.spent_fen;
    return NULL;
}

static struct error *tell(struct db *db, const struct budget *budget, const struct budget_alert *alert)
{
    json_t *data = json_object();
    json_put_text(data, "period", alert->period);
    json_put_int(data, "threshold_percent", alert->threshold);
    json_put_yuan(data, "spent_yuan", alert->spent_fen);
    json_put_yuan(data, "amount_yuan", alert->amount_fen);
    struct error *error = event_add(db, &(struct event){.at = alert->raised_at,
                                                        .type = "budget.reached",
                                                        .unit = budget->unit,
                                                        .system = budget->system,
                                                        .subject = budget->id,
                                                        .data = data});
    json_decref(data);
    return error;
}

static struct error *check_period(struct db *db, struct arena *arena, const struct budget *budget,
                                  struct budget_period *period, moment now)
{
    TRY(budget_spent(db, arena, budget, period, false, now));
    for (size_t i = 0; i < budget->thresholds.count; i++) {
        const struct budget_alert alert = {.period = period->name,
                                           .threshold = budget->thresholds.items[i],
                                           .spent_fen = period->spent_fen,
                                           .amount_fen = budget->amount_fen,
                                           .raised_at = now};
        bool is_new;
        if ((wide)alert.spent_fen * 100 < (wide)alert.amount_fen * alert.threshold)
            return NULL; /* they rise */
        TRY(budget_alert_add(db, budget, &alert, &is_new));
        if (is_new)
            TRY(tell(db, budget, &alert));
    }
    return NULL;
}

struct error *budget_check(struct db *db, const struct budget *budget, moment now)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct budget_period period, before;
    budget_period_of(budget, month_of(now), &period);
    period_before(budget, &period, &before);
    if (budget->created_at < month_end(before.to))
        TRY(check_period(db, arena, budget, &before, now));
    return check_period(db, arena, budget, &period, now);
}

struct checking {
    const struct budget *budget;
    moment now;
};

static struct error *check_body(struct db *db, void *context)
{
    const struct checking *checking = context;
    return budget_check(db, checking->budget, checking->now);
}

/* What cannot be checked is told and tried again with the next round, and does not keep the others from it.
 */
static struct error *check_apart(struct db *db, const struct budget *budget, moment now)
{
    struct checking checking = {budget, now};
    struct error *error = db_savepoint(db, check_body, &checking);
    if (!error)
        return NULL;
    if (error_code(error) == ERR_UNAVAILABLE || error_code(error) == ERR_SERIALIZATION)
        return error_wrap(error, "could not check budget %s of unit \"%s\"", budget->id, budget->unit);
    log_warning("budget.unchecked", LOG_TEXT("unit", budget->unit), LOG_TEXT("budget", budget->id),
                LOG_CAUSE(error));
    error_free(error);
    return NULL;
}

struct error *budget_check_page(struct db *db, struct arena *arena, moment now, const char **unit,
                                const char **id, bool *ret_more)
{
    struct budget *list;
    size_t count;
    TRY(budget_list(db, arena, NULL, NULL, *unit, *id, BUDGET_PAGE, &list, &count));
    for (size_t i = 0; i < count; i++)
        TRY(check_apart(db, &list[i], now));
    if (count) {
        *unit = list[count - 1].unit;
        *id = list[count - 1].id;
    }
    *ret_more = count == BUDGET_PAGE;
    return NULL;
}
