/* What the metering tests share: a PostgreSQL with providers and their price books, and short ways to run one
 * thing in one transaction, as a caller of each scope would. */
#ifndef TESTS_METERING_LEDGER_H
#define TESTS_METERING_LEDGER_H

#include "broker/db/db.h"
#include "catalog/agreement.h"
#include "metering/bill.h"
#include "metering/services.h"
#include "metering/statement.h"
#include "metering/usage.h"
#include "tests/support/pg.h"

struct ledger {
    struct pg *pg;
    struct db *db;
    const struct metering_services *services; /* of closings; NULL: unsigned, one worker */
};

void ledger_open(struct ledger *ledger);
void ledger_close(struct ledger *ledger);
/* Forgets everything but the schema. */
void ledger_clear(struct ledger *ledger);

/* A provider whose book begins with `from`: every price is its cap less `less` fen. */
void ledger_provider(struct ledger *ledger, const char *id, const struct agreement *agreement,
                     struct month from, int64_t less);
/* A further bid of the provider, in force from `from`. */
void ledger_reprice(struct ledger *ledger, const char *id, struct month from, int64_t less);

/* "1001=4,1016=10.5": quantities by item, "1001+=4" one of a free expansion; an instance of zone z1, x86. */
struct error *ledger_set(struct ledger *ledger, const char *unit, const char *system, const char *cloud,
                         const char *provider, const char *resource, const char *quantities, moment at);
/* The same for any subject. */
struct error *ledger_put(struct ledger *ledger, const struct usage_subject *subject, const char *quantities,
                         moment at);
struct error *ledger_end(struct ledger *ledger, const char *unit, const char *resource, moment at);
struct error *ledger_close_month(struct ledger *ledger, struct month month, moment now,
                                 struct bill_month *ret_month);
/* The lines of a month's statement as `scope` sees them; in `arena`. */
struct error *ledger_lines(struct ledger *ledger, struct arena *arena, const struct db_scope *scope,
                           struct month month, moment now, struct bill_month *ret_month,
                           struct bill_line **ret_lines, size_t *ret_count);

/* Fails the test when there is an error, saying which. */
void ledger_ok(struct error *error);
/* Fails the test unless the error has the code and its message holds `says`; frees it. */
void ledger_fails(struct error *error, enum error_code code, const char *says);
/* RFC 3339, or the test fails. */
moment at(const char *text);

#endif
