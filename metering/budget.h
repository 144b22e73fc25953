/* Budgets: what a unit, or one of its systems, means to spend in a month or a year, and at which percentages
 * of it people are told. A budget stops nothing. Within the caller's transaction, under its scope. */
#ifndef METERING_BUDGET_H
#define METERING_BUDGET_H

#include <stdbool.h>

#include "broker/base/arena.h"
#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

#define BUDGETS_MAX 100          /* of one unit */
#define BUDGET_THRESHOLDS_MAX 10 /* of one budget */
#define BUDGET_PERCENT_MAX 1000

struct budget {
    const char *id, *unit;
    const char *system; /* NULL: the whole unit */
    const char *period; /* "month" or "year", of Asia/Shanghai */
    int64_t amount_fen;
    struct json_ints thresholds; /* per cent of the amount, rising */
    int64_t version;
    moment created_at, updated_at;
};

/* Sorted, each once, 1 to BUDGET_PERCENT_MAX; else ERR_INVALID (/thresholds). */
struct error *budget_thresholds(struct arena *arena, struct json_ints *thresholds) ERROR_MUST_USE;

/* ERR_CONFLICT when the unit has BUDGETS_MAX. */
struct error *budget_add(struct db *db, const struct budget *budget, const char *by) ERROR_MUST_USE;
struct error *budget_get(struct db *db, struct arena *arena, const char *id,
                         struct budget *ret_budget) ERROR_MUST_USE;
/* By (unit, id), at most `most` after the pair (NULL: from the start); `unit` and `system` NULL: whatever. */
struct error *budget_list(struct db *db, struct arena *arena, const char *unit, const char *system,
                          const char *after_unit, const char *after_id, int64_t most,
                          struct budget **ret_list, size_t *ret_count) ERROR_MUST_USE;
/* Amount and thresholds. ERR_STALE when the version is another. */
struct error *budget_change(struct db *db, const struct budget *budget, moment now) ERROR_MUST_USE;
/* With its alerts. ERR_STALE likewise. */
struct error *budget_drop(struct db *db, const struct budget *budget) ERROR_MUST_USE;

struct budget_alert {
    const char *period; /* "2026-11" or "2026" */
    int64_t threshold, spent_fen, amount_fen;
    moment raised_at;
};
#define BUDGET_ALERTS_SHOWN 100
/* Newest period first, at most BUDGET_ALERTS_SHOWN. */
struct error *budget_alerts(struct db *db, struct arena *arena, const struct budget *budget,
                            struct budget_alert **ret_list, size_t *ret_count) ERROR_MUST_USE;
/* *ret_new false: it was raised before. Once a threshold and period, whatever the amount was then. */
struct error *budget_alert_add(struct db *db, const struct budget *budget, const struct budget_alert *alert,
                               bool *ret_new) ERROR_MUST_USE;

/* One period's money. Closed months are their bills' (charges and corrections), open ones as rated. */
struct budget_period {
    char name[8]; /* "2026-11" or "2026" */
    struct month from, to;
    int64_t spent_fen;    /* up to now */
    int64_t forecast_fen; /* at the period's end if nothing changes any more: open intervals run on */
    int64_t before_fen;   /* all of the period before */
    int64_t unpriced;     /* lines of the forecast without a price: they are not in it */
};
/* The period that holds the month. `scope_of_units`: as in struct statement_ask. */
void budget_period_of(const struct budget *budget, struct month month, struct budget_period *ret_period);
struct error *budget_spent(struct db *db, struct arena *arena, const struct budget *budget,
                           struct budget_period *period, bool scope_of_units, moment now) ERROR_MUST_USE;
/* Forecast and the period before. */
struct error *budget_forecast(struct db *db, struct arena *arena, const struct budget *budget,
                              struct budget_period *period, bool scope_of_units, moment now) ERROR_MUST_USE;

/* Looks at the period that runs and, if the budget was there then, the one before, which a closing may just
 * have settled; each threshold reached is an alert (a row and an event "budget.reached"), once. The scope
 * must see everything of the unit. */
struct error *budget_check(struct db *db, const struct budget *budget, moment now) ERROR_MUST_USE;
/* At most BUDGET_PAGE budgets after *unit and *id, which then are the last one looked at, in `arena`. One
 * that cannot be checked is logged ("budget.unchecked") and left for the next round. */
#define BUDGET_PAGE 20
struct error *budget_check_page(struct db *db, struct arena *arena, moment now, const char **unit,
                                const char **id, bool *ret_more) ERROR_MUST_USE;

#endif
