/* Proving the audit chain; see audit.h. What is found: a row that was changed (its digest differs), removed
 * (a link without its row), put in later (a row before the chain's end that no link names), swapped or
 * renumbered (number and previous digest are covered), and links that were removed from the middle. A tail
 * whose rows and links were removed together leaves a shorter chain that is whole: only an anchor kept
 * outside tells. */
#include <stdio.h>
#include <string.h>

#include "broker/auth/audit_store.h"

struct verifying {
    const struct audit_anchor *anchor;
    struct audit_verdict *verdict;
    struct arena *arena;    /* of the verdict's text */
    struct audit_link good; /* the last link that was found good */
    char xid[24];           /* of it */
};

static void broken(struct verifying *verifying, int64_t at, const char *what)
{
    verifying->verdict->whole = false;
    verifying->verdict->broken_at = at;
    verifying->verdict->what = what;
}

/* Makes `link` the last good one; its text is the page's, so it is copied. */
static void keep(struct verifying *verifying, const struct audit_link *link)
{
    verifying->good = *link;
    (void)snprintf(verifying->xid, sizeof verifying->xid, "%s", link->xid); /* at most 20 digits */
    verifying->good.xid = verifying->xid;
    verifying->good.unit = NULL;
    verifying->verdict->rows = link->number;
    memcpy(verifying->verdict->head, link->digest, DIGEST_HEX);
}

static void check_link(struct verifying *verifying, const struct db_rows *rows, size_t row,
                       struct arena *arena)
{
    int64_t wanted = verifying->good.number + 1;
    if (db_get_int(rows, row, 0) != wanted) {
        broken(verifying, wanted, "the link was removed");
        return;
    }
    if (db_get_bool(rows, row, 5)) {
        broken(verifying, wanted,
               arena_printf(verifying->arena, "row %lld was removed", (long long)db_get_int(rows, row, 3)));
        return;
    }
    if (strcmp(db_get_text(rows, row, 1), verifying->good.digest)) {
        broken(verifying, wanted, "the link does not follow the one before it");
        return;
    }
    struct audit_link link;
    audit_store_link(rows, row, AUDIT_STORE_ROW, arena, &verifying->good, &link);
    if (strcmp(link.digest, db_get_text(rows, row, 2))) {
        broken(verifying, wanted,
               arena_printf(verifying->arena, "row %lld or its link was changed", (long long)link.id));
        return;
    }
    const struct audit_anchor *anchor = verifying->anchor;
    if (anchor && anchor->rows == wanted && strcmp(anchor->head, link.digest)) {
        broken(verifying, wanted, "the link is not the one that the anchor names");
        return;
    }
    keep(verifying, &link);
}

/* Whether a row was put between those of this page, which ended at the last good link. */
static struct error *check_strangers(struct db *db, struct verifying *verifying,
                                     const struct audit_link *from)
{
    int64_t id;
    TRY(audit_store_stranger(db, from, &verifying->good, &id));
    if (id)
        broken(verifying, from->number + 1,
               arena_printf(verifying->arena,
                            "row %lld was put in among those that were sealed after link %lld", (long long)id,
                            (long long)from->number));
    return NULL;
}

static struct error *check_page(struct db *db, struct verifying *verifying, int64_t last)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct db_rows *rows;
    struct audit_link from = verifying->good;
    from.xid = arena_strdup(arena, verifying->good.xid);
    TRY(audit_store_page(db, from.number, last, &rows));
    rows = db_hold(arena, rows);
    if (!db_count(rows))
        broken(verifying, from.number + 1, "the link was removed");
    for (size_t i = 0; i < db_count(rows) && verifying->verdict->whole; i++)
        check_link(verifying, rows, i, arena);
    return verifying->verdict->whole ? check_strangers(db, verifying, &from) : NULL;
}

static struct error *verify_body(struct db *db, void *context)
{
    struct verifying *verifying = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct audit_link last, none = {.xid = "0"};
    bool behind;
    TRY(audit_store_last(db, arena, &last, &behind));
    *verifying->verdict = (struct audit_verdict){.whole = true};
    memset(none.digest, '0', DIGEST_HEX - 1);
    keep(verifying, &none);
    while (verifying->verdict->whole && verifying->good.number < last.number)
        TRY(check_page(db, verifying, last.number));
    if (verifying->verdict->whole && verifying->anchor && verifying->anchor->rows > last.number)
        broken(verifying, last.number + 1, "the chain ends before the link that the anchor names");
    return audit_store_count_after(db, &last, &verifying->verdict->unsealed);
}

struct error *audit_verify(struct db *db, const struct audit_anchor *anchor, struct arena *arena,
                           struct audit_verdict *ret_verdict)
{
    struct audit_verdict verdict;
    struct verifying verifying = {.anchor = anchor, .verdict = &verdict, .arena = arena};
    struct error *error = db_in_transaction(db) ? verify_body(db, &verifying)
                                                : db_transaction(db, &db_scope_system, DB_READ_COMMITTED,
                                                                 verify_body, &verifying);
    TRY_DOING(error, "could not verify the audit trail");
    *ret_verdict = verdict;
    return NULL;
}
