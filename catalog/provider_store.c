/* SQL of providers and agreements; see provider.h. */
#include "catalog/provider.h"

#include "broker/base/json.h"

static const struct db_statement add_provider = {
    "provider_add",
    "INSERT INTO provider (id, name, contact, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)"};
static const struct db_statement get_provider = {
    "provider_get", "SELECT id, name, contact, version, created_at, updated_at FROM provider WHERE id = $1"};
static const struct db_statement list_providers = {
    "provider_list", "SELECT id, name, contact, version, created_at, updated_at FROM provider WHERE id > $1"
                     " ORDER BY id LIMIT $2"};
static const struct db_statement update_provider = {
    "provider_update", "UPDATE provider SET name = $3, contact = $4, updated_at = $5, version = version + 1"
                       " WHERE id = $1 AND version = $2"};
static const struct db_statement put_agreement = {
    "agreement_put", "INSERT INTO agreement (provider_id, valid_from, settings, changed_at, metered_at) "
                     "VALUES ($1, $2, $3, $4, $5)"
                     " ON CONFLICT (provider_id, valid_from) DO UPDATE SET settings = excluded.settings,"
                     " changed_at = excluded.changed_at, metered_at = NULL, metered_after = NULL"};
static const struct db_statement get_agreement = {
    "agreement_get", "SELECT settings FROM agreement WHERE provider_id = $1 AND valid_from <= $2"
                     " ORDER BY valid_from DESC LIMIT 1"};
static const struct db_statement due_agreement = {
    "agreement_due", "SELECT provider_id, valid_from, coalesce(metered_after, '') FROM agreement"
                     " WHERE metered_at IS NULL AND valid_from <= $1 ORDER BY valid_from, provider_id LIMIT 1"
                     " FOR UPDATE SKIP LOCKED"};
static const struct db_statement metered_agreement = {
    "agreement_metered", "UPDATE agreement SET metered_after = $3, metered_at = $4"
                         " WHERE provider_id = $1 AND valid_from = $2"};

static struct error *put(struct db *db, const char *id, moment from, const struct agreement *agreement,
                         moment now)
{
    json_t *settings = agreement_json(agreement);
    bool first = from == MOMENT_MIN; /* before any resource of the provider */
    struct error *error = db_run(db, &put_agreement,
                                 DB_VALUES(db_text(id), db_moment(from), db_json(settings), db_moment(now),
                                           first ? db_moment(now) : db_null()),
                                 NULL);
    json_decref(settings);
    return error;
}

struct error *provider_add(struct db *db, const char *id, const char *name, const char *contact,
                           const struct agreement *agreement, moment now)
{
    TRY_DOING(db_run(db, &add_provider,
                     DB_VALUES(db_text(id), db_text(name), db_text(contact), db_moment(now)), NULL),
              "could not add provider \"%s\"", id);
    return put(db, id, MOMENT_MIN, agreement, now);
}

static struct provider read_row(struct arena *arena, const struct db_rows *rows, size_t row)
{
    return (struct provider){
        .id = arena_strdup(arena, db_get_text(rows, row, 0)),
        .name = arena_strdup(arena, db_get_text(rows, row, 1)),
        .contact = arena_strdup(arena, db_get_text(rows, row, 2)),
        .version = db_get_int(rows, row, 3),
        .created_at = db_get_moment(rows, row, 4),
        .updated_at = db_get_moment(rows, row, 5),
    };
}

struct error *provider_get(struct db *db, struct arena *arena, const char *id, struct provider *ret_provider)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(db, &get_provider, DB_VALUES(db_text(id)), "provider of this id", &rows));
    *ret_provider = read_row(arena, rows, 0);
    return NULL;
}

struct error *provider_list(struct db *db, struct arena *arena, const char *after, int64_t most,
                            struct provider **ret_list, size_t *ret_count)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &list_providers, DB_VALUES(db_text(after ? after : ""), db_int(most)), &rows));
    size_t count = db_count(rows);
    struct provider *list = arena_array(arena, count, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = read_row(arena, rows, i);
    *ret_list = list;
    *ret_count = count;
    return NULL;
}

struct error *provider_update(struct db *db, const char *id, int64_t version, const char *name,
                              const char *contact, moment now)
{
    int64_t changed;
    TRY(db_run(db, &update_provider,
               DB_VALUES(db_text(id), db_int(version), db_text(name), db_text(contact), db_moment(now)),
               &changed));
    return changed ? NULL : error_new(ERR_STALE, "provider \"%s\" was changed meanwhile", id);
}

struct error *provider_agreement(struct db *db, const char *id, moment at, struct agreement *ret_agreement)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    struct agreement agreement = agreement_default;
    TRY(db_query_one(db, &get_agreement, DB_VALUES(db_text(id), db_moment(at)), "provider of this id",
                     &rows));
    json_t *settings = db_get_json(rows, 0, 0);
    struct error *error = agreement_read(settings, &agreement);
    json_decref(settings);
    if (error)
        return error_recode(error, ERR_INTERNAL, "the stored agreement of provider \"%s\" does not read", id);
    *ret_agreement = agreement;
    return NULL;
}

struct error *provider_agree(struct db *db, const char *id, const struct agreement *agreement, moment now)
{
    return put(db, id, month_end(month_of(now)), agreement, now);
}

struct error *provider_agreement_due(struct db *db, struct arena *arena, moment now, bool *ret_found,
                                     struct agreement_due *ret_due)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &due_agreement, DB_VALUES(db_moment(now)), &rows));
    *ret_found = db_count(rows) > 0;
    if (*ret_found)
        *ret_due = (struct agreement_due){.provider = arena_strdup(arena, db_get_text(rows, 0, 0)),
                                          .from = db_get_moment(rows, 0, 1),
                                          .after = arena_strdup(arena, db_get_text(rows, 0, 2))};
    return NULL;
}

struct error *provider_agreement_metered(struct db *db, const struct agreement_due *due, const char *after,
                                         moment now)
{
    return db_run(db, &metered_agreement,
                  DB_VALUES(db_text(due->provider), db_moment(due->from), db_text(after),
                            after ? db_null() : db_moment(now)),
                  NULL);
}
