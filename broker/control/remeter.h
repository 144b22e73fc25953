/* When settings of an agreement come into force, resources that run on change what they use: a system disk
 * that was charged is included from now on. This walks them, page by page, and meters each anew from the
 * moment at which the settings came into force (resource.h); those that changed since then were metered with
 * them already. */
#ifndef BROKER_CONTROL_REMETER_H
#define BROKER_CONTROL_REMETER_H

#include <stdbool.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

#define REMETER_PAGE 100 /* resources of one transaction, whose rows are locked meanwhile */

/* One page, in the caller's transaction; *ret_more: there may be another. Several brokers may do it at once.
 */
struct error *remeter_page(struct db *db, struct arena *arena, moment now, bool *ret_more) ERROR_MUST_USE;

#endif
