/* Free short-term expansion: up to 20 % of what a system has (procurement 4.1.2.2, 6). A resize, or a new
 * resource of an order, says `expansion_days`; what it adds is metered under the tariff "expansion", at no
 * price, until the days are over. From that very moment on it is charged like the rest; it is announced
 * before and never taken away. A resize without expansion_days ends it: all of the new size is charged.
 *
 * What the text leaves open: "short-term" is at most the agreement's expansion_days, and a system gets the
 * next one on a cloud only when the last has been over for as long again, or it would never end. 20 % is
 * taken of each item that the system uses on the cloud at that moment, under the standard tariff; one
 * expansion at a time is under way, so that two cannot both have the whole of it. */
#ifndef BROKER_CONTROL_EXPANSION_H
#define BROKER_CONTROL_EXPANSION_H

#include "broker/control/resource.h"
#include "catalog/kind.h"

#define EXPANSION_PERCENT 20
#define EXPANSION_DAYS_MOST 90  /* of any agreement */
#define EXPANSION_NOTICE_DAYS 3 /* "expansion.ending" is told so long before the end */
#define EXPANSION_PAGE 100      /* resources of one transaction of expansion_page */
#define EXPANSION_ITEMS_MAX (2 * KIND_ITEMS_MAX)

/* What is asked for a system on a cloud: the sum of what would be added, each item once. */
struct expansion_wish {
    const char *unit, *system, *cloud, *provider;
    int64_t days;
    struct item_quantity added[ITEM_COUNT];
    size_t count;
};
/* Adds what `full` uses beyond `base` (NULL: all of it) to the wish. ERR_INVALID when nothing grows. */
struct error *expansion_add(struct expansion_wish *wish, const struct kind *kind, const json_t *full,
                            const json_t *base, const struct agreement *agreement) ERROR_MUST_USE;
/* Whether the system may have it now; its row is locked until the transaction ends. ERR_INVALID at
 * /expansion_days, ERR_CONFLICT when another is under way or was too recently, ERR_QUOTA naming the item that
 * would be over 20 %. The caller marks the resources. */
struct error *expansion_check(struct db *db, const struct expansion_wish *wish,
                              const struct agreement *agreement, moment now) ERROR_MUST_USE;

/* Asked for the resource, by the operation that makes it so; `days` 0: not any more. */
struct error *expansion_ask(struct db *db, const struct resource *resource, int64_t days) ERROR_MUST_USE;
/* It is so: from now on what is beyond `base` (an empty object: all) is free for the days that were asked. */
struct error *expansion_begin(struct db *db, struct resource *resource, json_t *base,
                              moment now) ERROR_MUST_USE;
/* All of it is standard from now on; the caller meters. */
struct error *expansion_stop(struct db *db, struct resource *resource) ERROR_MUST_USE;
/* When its days are over: meters it as standard from their end on and tells so (event "expansion.ended"). To
 * be called before the resource changes. */
struct error *expansion_settle(struct db *db, struct resource *resource, moment now) ERROR_MUST_USE;

/* Splits what a resource uses into what is charged and what is free; `list` has room for EXPANSION_ITEMS_MAX.
 */
struct error *expansion_split(const struct resource *resource, const struct agreement *agreement,
                              struct item_quantity *list, size_t *count) ERROR_MUST_USE;

/* Announces ends and settles what is over, one page, in the caller's transaction; *ret_more: there may be
 * another. Several brokers may do it at once. */
struct error *expansion_page(struct db *db, struct arena *arena, moment now, bool *ret_more) ERROR_MUST_USE;

#endif
