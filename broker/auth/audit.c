/* Writing and sealing the audit trail; see audit.h. The order of the chain is (xid, id): the number of the
 * transaction that wrote a row, then the row's own. PostgreSQL's snapshot tells below which transaction
 * number everything has ended (xmin); rows below it can be chained, for nothing older can still appear. */
#include "broker/auth/audit.h"

#include "broker/auth/audit_store.h"
#include "broker/base/log.h"

struct error *audit_add(struct db *db, const struct audit_entry *entry)
{
    return error_wrap(audit_store_add(db, entry), "could not write the audit row");
}

struct sealing {
    size_t most;
    size_t sealed;
    struct audit_link last;
};

static struct error *seal_rows(struct db *db, struct sealing *sealing, struct arena *arena)
{
    struct db_rows *rows;
    TRY(audit_store_unsealed(db, &sealing->last, sealing->most, &rows));
    rows = db_hold(arena, rows);
    size_t count = db_count(rows);
    struct audit_link *links = arena_array(arena, count + 1, sizeof *links);
    const struct audit_link *previous = &sealing->last;
    for (size_t i = 0; i < count; i++) {
        audit_store_link(rows, i, 0, arena, previous, &links[i]);
        previous = &links[i];
    }
    if (count)
        TRY(audit_store_add_links(db, links, count, arena));
    sealing->last = *previous;
    sealing->sealed = count;
    return NULL;
}

static struct error *seal_body(struct db *db, void *context)
{
    struct sealing *sealing = context;
    sealing->sealed = 0;
    bool locked, behind;
    TRY(audit_store_lock(db, &locked));
    if (!locked)
        return NULL;
    ARENA_AUTO struct arena *arena = arena_new();
    TRY(audit_store_last(db, arena, &sealing->last, &behind));
    if (behind)
        return error_new(ERR_CONFLICT,
                         "the database counts transactions from before the audit chain's end: it "
                         "was restored from a dump (see broker/auth/README.md)");
    TRY(seal_rows(db, sealing, arena));
    sealing->last.unit = sealing->last.xid = NULL; /* the arena's */
    return NULL;
}

struct error *audit_seal(struct db *db, size_t most, size_t *ret_sealed)
{
    struct sealing sealing = {.most = most < AUDIT_SEAL_MAX ? most : AUDIT_SEAL_MAX};
    TRY_DOING(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, seal_body, &sealing),
              "could not seal the audit trail");
    /* Whoever collects the log holds an anchor for audit_verify. */
    if (sealing.sealed)
        log_info("audit.sealed", LOG_INT("rows", sealing.last.number), LOG_TEXT("head", sealing.last.digest));
    *ret_sealed = sealing.sealed;
    return NULL;
}
