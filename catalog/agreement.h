/* What the framework agreement with a provider settles where the procurement text is silent
 * (price_and_billing_rules, part L): named settings with documented defaults. A table, so that a further
 * setting is a row here, a member in the API and a word in catalog/README.md. Stored per provider from a
 * month's start on (provider.h). */
#ifndef CATALOG_AGREEMENT_H
#define CATALOG_AGREEMENT_H

#include <jansson.h>
#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

/* The first of each is the default. */
enum proration {
    PRORATION_EXACT, /* to the microsecond of the calendar month */
    PRORATION_DAY, /* a day on which a resource was used counts whole, at its largest quantity of that day */
    PRORATION_MONTH, /* likewise for the month */
};
enum stopped_instance {
    STOPPED_CHARGED,      /* a stopped instance keeps its CPU and memory and pays for them */
    STOPPED_STORAGE_ONLY, /* it pays for its disk alone */
};
enum system_disk {
    SYSTEM_DISK_CHARGED,  /* an instance's system disk is storage of 1011 or 1012 */
    SYSTEM_DISK_INCLUDED, /* it is part of the instance */
};
enum small_quantity {
    SMALL_PROPORTIONAL, /* 1 GB of an item priced per 100 GB is 1/100 of the price */
    SMALL_WHOLE,        /* each begun billing quantity of a resource counts whole */
};
enum release {
    RELEASE_CONFIRMED, /* what an operator releases is charged until they confirm it */
    RELEASE_REQUESTED, /* it is charged until its deletion is requested */
};

enum migration_overlap {
    OVERLAP_FREE,    /* what a move has twice is shown with its price, and free */
    OVERLAP_CHARGED, /* it is charged to the unit */
};

struct agreement {
    int proration, stopped_instance, system_disk, small_quantity, release, expansion_days, migration_overlap;
};

extern const struct agreement agreement_default;

/* The longest free short-term expansion, in days; the member is an index into the choices. */
int agreement_expansion_days(const struct agreement *agreement);

/* Settings given in `json` replace those of *agreement; unknown settings and values are refused, all at once,
 * with pointers relative to `json`. *agreement is untouched on failure. */
struct error *agreement_read(const json_t *json, struct agreement *agreement) ERROR_MUST_USE;
/* All settings by name; the caller's. */
json_t *agreement_json(const struct agreement *agreement);
/* Every setting with its choices, default and the gap in the text that it fills; the caller's. */
json_t *agreement_settings_json(void);

#endif
