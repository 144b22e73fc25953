/* What the two halves of storing reports share: report_store.c keeps the events, report_derive.c makes
 * intervals of them. For nobody else. */
#ifndef METERING_REPORT_DERIVE_H
#define METERING_REPORT_DERIVE_H

#include "metering/report.h"

/* A report beside what the database knows of its id and of the resource around its moment. */
struct known_report {
    struct report_slot *slot; /* NULL: it was kept before */
    const struct report *report;
    const char *known_digest; /* of the event of this id; NULL: none */
    const char *state_digest; /* of what it says of usage */
    const char *before;       /* of the last counted report before it; NULL: none */
    const char *before_unit;
    moment next; /* of the first counted report after it; MOMENT_MAX: none */
    bool quarantined;
};

/* Intervals follow these reports of one provider, which the events before and after them do not hold yet
 * (`before`, `next`). Reorders the list. */
struct error *report_derive(struct db *db, struct arena *arena, struct known_report *list,
                            size_t count) ERROR_MUST_USE;

#endif
