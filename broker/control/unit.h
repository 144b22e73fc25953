/* Units (tenants) and their information systems. A system's code is its unit's code and three digits; only
 * non-classified systems may be hosted (procurement 1.1). Rows of broker/control/schema/3000_places.sql. */
#ifndef BROKER_CONTROL_UNIT_H
#define BROKER_CONTROL_UNIT_H

#include "broker/base/moment.h"
#include "broker/db/db.h"

struct unit_new {
    const char *id, *name, *kind;
};

struct unit_change {
    const char *name, *state;
};

struct system_new {
    const char *id, *name;
    bool classified; /* must be declared, and false */
    bool insurance;
};

struct error *unit_insert(struct db *db, const struct unit_new *unit, moment now) ERROR_MUST_USE;
/* Locks the row; ERR_NOT_FOUND. */
struct error *unit_version(struct db *db, const char *id, int64_t *ret_version) ERROR_MUST_USE;
struct error *unit_update(struct db *db, const char *id, const struct unit_change *change,
                          moment now) ERROR_MUST_USE;
struct error *system_insert(struct db *db, const char *unit, const struct system_new *system,
                            moment now) ERROR_MUST_USE;

extern const struct db_statement unit_select_one, unit_select_list, system_select_one, system_select_list;

#endif
