/* Which statements a connection has prepared: a set of pointers, hashed by name. Names are unique in the
 * program; two statements of one name and different SQL are refused rather than mixed up. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/db/session.h"

static uint64_t hash_name(const char *name) /* FNV-1a */
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(1099511628211);
    return hash;
}

/* The slot that holds the name, or the free one where it belongs. */
static size_t slot_of(const struct db_statement *const *table, size_t size, const char *name)
{
    size_t at = (size_t)hash_name(name) & (size - 1);
    while (table[at] && strcmp(table[at]->name, name) != 0)
        at = (at + 1) & (size - 1);
    return at;
}

struct error *db_prepared_find(struct db *db, const struct db_statement *statement, bool *ret_found)
{
    *ret_found = false;
    if (!db->prepared_size)
        return NULL;
    const struct db_statement *found =
        db->prepared[slot_of(db->prepared, db->prepared_size, statement->name)];
    if (found && found != statement && strcmp(found->sql, statement->sql) != 0)
        return error_new(ERR_INTERNAL, "two statements are named \"%s\"", statement->name);
    *ret_found = found != NULL;
    return NULL;
}

static void grow(struct db *db)
{
    size_t size = db->prepared_size ? db->prepared_size * 2 : 64;
    const struct db_statement **table = xcalloc(size, sizeof *table);
    for (size_t i = 0; i < db->prepared_size; i++) {
        if (db->prepared[i])
            table[slot_of(table, size, db->prepared[i]->name)] = db->prepared[i];
    }
    free(db->prepared);
    db->prepared = table;
    db->prepared_size = size;
}

void db_prepared_add(struct db *db, const struct db_statement *statement)
{
    if ((db->prepared_count + 1) * 2 > db->prepared_size)
        grow(db);
    size_t at = slot_of(db->prepared, db->prepared_size, statement->name);
    if (!db->prepared[at])
        db->prepared_count++;
    db->prepared[at] = statement;
}

/* Rare (a statement that the server refused), so the run of entries behind it is simply put in again. */
void db_prepared_remove(struct db *db, const struct db_statement *statement)
{
    if (!db->prepared_size)
        return;
    size_t at = slot_of(db->prepared, db->prepared_size, statement->name);
    if (!db->prepared[at])
        return;
    db->prepared[at] = NULL;
    db->prepared_count--;
    for (at = (at + 1) & (db->prepared_size - 1); db->prepared[at]; at = (at + 1) & (db->prepared_size - 1)) {
        const struct db_statement *moved = db->prepared[at];
        db->prepared[at] = NULL;
        db->prepared[slot_of(db->prepared, db->prepared_size, moved->name)] = moved;
    }
}

void db_prepared_clear(struct db *db)
{
    if (db->prepared)
        memset(db->prepared, 0, db->prepared_size * sizeof *db->prepared);
    db->prepared_count = 0;
}
