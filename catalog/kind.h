/* Kinds: what can be ordered. Each kind is a table of members (type, range, choices, default, what a resize
 * may do, the clause that says so) and a list of quantity rules that turn a spec into quantities of priced
 * items. Pure: no database, no clock. control keeps the full spec that kind_read made and hands it back here.
 */
#ifndef CATALOG_KIND_H
#define CATALOG_KIND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "catalog/agreement.h"
#include "catalog/item.h"
#include "catalog/tariff.h"

#define KIND_ITEMS_MAX 8
#define KIND_USER_DATA_MAX 16384 /* bytes */

struct kind;

/* NULL when there is no such kind. */
const struct kind *kind_find(const char *name);
const char *kind_name(const struct kind *kind);
size_t kind_count(void);
const struct kind *kind_at(size_t index);

/* The kinds that attach_to may name, in the order in which they are looked up; NULL after the last. */
const char *kind_owner(const struct kind *kind, size_t index);
/* It cannot go on alone (gpu, 3.1.3: only together with a cloud host or physical server), so what it is
 * attached to cannot be released before it. Others are let go of. */
bool kind_needs_owner(const struct kind *kind);
/* No driver makes it: the provider's operator does, and tells (broker/control/fulfilment.h). */
bool kind_external(const struct kind *kind);

/* Checks `spec` against the kind: unknown members, wrong types, values out of range, missing ones: all
 * violations at once, pointers relative to the spec, each with the clause it comes from. *ret_full is a new
 * object in the arena with defaults filled in and members in the table's order; absent optional members stay
 * absent. */
struct error *kind_read(const struct kind *kind, struct arena *arena, const json_t *spec,
                        json_t **ret_full) ERROR_MUST_USE;

/* A resize: `patch` has at least one member, each of which may change in that way (`change` of the kind's
 * table; instance: vcpu, memory_gb; volume: size_gb upwards). Attaching and detaching are verbs of their own.
 * *ret_full as in kind_read. */
struct error *kind_change(const struct kind *kind, struct arena *arena, const json_t *old_full,
                          const json_t *patch, json_t **ret_full) ERROR_MUST_USE;

struct item_quantity {
    char item[ITEM_CODE];
    int64_t micro;      /* of the item's billing unit, > 0 */
    enum tariff tariff; /* standard or expansion: one of each at most for an item */
};

/* What the resource uses while it runs, under the default agreement: each item once, in catalog order. `full`
 * comes from kind_read; anything else is ERR_INTERNAL. `ret` has room for KIND_ITEMS_MAX.
 *
 * An address or bandwidth counts 1017 or 1016 only in the internet zone (2.3.2: the extranet's bandwidth is
 * the managing unit's): control, which knows the zone, refuses or does not meter others. */
struct error *kind_quantities(const struct kind *kind, const json_t *full, struct item_quantity *ret,
                              size_t *ret_count) ERROR_MUST_USE;
/* The same under an agreement, and while stopped. */
struct error *kind_usage(const struct kind *kind, const json_t *full, const struct agreement *agreement,
                         bool stopped, struct item_quantity *ret, size_t *ret_count) ERROR_MUST_USE;

/* {"name", "name_zh", "members": [{"name", "type", …}], "items": ["1001", …], "external", "attaches_to"} for
 * people and clients; the caller's. */
json_t *kind_json(const struct kind *kind);

#endif
