/* SQL of consents; see consent.h. */
#include "federation/consent.h"

#include <string.h>

#include "broker/http/event.h"

#define STATE(now) "consent_state(withdrawn_at, valid_from, valid_until, " now ")"
#define BODY(now) "body || jsonb_build_object('state', " STATE(now) ")"

const struct db_statement consent_select_one = {
    "consent_select_one", "SELECT id::text, version, " BODY("$2") " FROM consent_view WHERE id = $1::uuid"};
/* Oldest first. */
const struct db_statement consent_select_list = {
    "consent_select_list",
    "SELECT id::text, version, " BODY(
        "$7") " FROM consent_view"
              " WHERE ($1 = '' OR id > nullif($1, '')::uuid) AND ($3::text IS NULL OR unit_id = $3)"
              " AND ($4::text IS NULL OR touched @> ARRAY[$4]) AND ($5::text IS NULL OR clouds @> ARRAY[$5])"
              " AND ($6::text IS NULL OR " STATE("$7") " = $6) ORDER BY id LIMIT $2"};

static const struct db_statement insert = {
    "consent_insert",
    "INSERT INTO consent (unit_id, id, algorithm, digest, reference, signer_name, signer_post, systems,"
    " instances, touched, from_places, to_places, clouds, valid_from, valid_until, given_by, given_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text[]::uuid[], $10, $11, $12, $13, $14, $15, $16, $17)"};

#define COLUMNS                                                                                         \
    "unit_id, id, algorithm, digest, reference, signer_name, signer_post, systems, instances::text[],"  \
    " from_places, to_places, valid_from, valid_until, given_by, given_at, withdrawn_at, withdrawn_by," \
    " withdrawal_reason, version"
static const struct db_statement get = {"consent_get", "SELECT " COLUMNS " FROM consent WHERE id = $1::uuid"};
/* Those that are in force first, so that the limit never hides one of them. A row that is withdrawn while it
 * is waited for comes as it is then. */
#define CANDIDATES_MAX 50
static const struct db_statement candidates = {
    "consent_candidates",
    "SELECT " COLUMNS " FROM consent WHERE unit_id = $1"
    " AND (systems @> ARRAY[$2] OR ($3::text IS NOT NULL AND instances @> ARRAY[$3::uuid]))"
    " AND from_places && $4 AND to_places && $5 ORDER BY " STATE(
        "$6") " <> 'in-force',"
              " coalesce(withdrawn_at, valid_until) DESC, id LIMIT $7 FOR SHARE"};
static const struct db_statement withdraw = {
    "consent_withdraw", "UPDATE consent SET withdrawn_at = $4, withdrawn_by = $5, withdrawal_reason = $6,"
                        " version = version + 1 WHERE unit_id = $1 AND id = $2::uuid AND version = $3"
                        " AND withdrawn_at IS NULL"};

static const struct db_statement find_systems = {
    "consent_systems", "SELECT id FROM system WHERE unit_id = $1 AND id = ANY ($2)"};
static const struct db_statement find_machines = {
    "consent_machines", "SELECT id::text, system_id FROM resource WHERE unit_id = $1"
                        " AND id = ANY ($2::text[]::uuid[]) AND kind IN ('instance', 'server')"
                        " AND state NOT IN ('deleted', 'failed')"};
/* That files have no place of their own is consent_check_new's. */
static const struct db_statement find_places = {
    "consent_find_places",
    "SELECT '" CONSENT_EXPORT "' UNION ALL SELECT id FROM cloud WHERE id = ANY ($1) UNION ALL"
    " SELECT cloud_id || '/' || id FROM site WHERE cloud_id || '/' || id = ANY ($1)"};

static struct json_texts texts_of(struct arena *arena, const struct db_rows *rows, size_t row, int column)
{
    struct json_texts texts;
    texts.items = db_get_texts(rows, row, column, arena, &texts.count);
    return texts;
}

/* Borrows from the rows, which the arena holds. */
static struct consent read(struct arena *arena, const struct db_rows *rows, size_t row)
{
    return (struct consent){.unit = db_get_text(rows, row, 0),
                            .id = db_get_text(rows, row, 1),
                            .algorithm = db_get_text(rows, row, 2),
                            .digest = db_get_text(rows, row, 3),
                            .reference = db_get_text(rows, row, 4),
                            .signer_name = db_get_text(rows, row, 5),
                            .signer_post = db_get_text(rows, row, 6),
                            .systems = texts_of(arena, rows, row, 7),
                            .instances = texts_of(arena, rows, row, 8),
                            .from = texts_of(arena, rows, row, 9),
                            .to = texts_of(arena, rows, row, 10),
                            .valid_from = db_get_moment(rows, row, 11),
                            .valid_until = db_get_moment(rows, row, 12),
                            .given_by = db_get_text(rows, row, 13),
                            .given_at = db_get_moment(rows, row, 14),
                            .withdrawn_at = db_get_moment(rows, row, 15),
                            .withdrawn_by = db_get_text(rows, row, 16),
                            .withdrawal_reason = db_get_text(rows, row, 17),
                            .version = db_get_int(rows, row, 18)};
}

static struct db_value texts(const struct json_texts *list)
{
    return db_texts(list->items, list->count);
}

static bool row_of(const struct db_rows *rows, const char *id, size_t *ret_row)
{
    for (size_t i = 0; i < db_count(rows); i++)
        if (!strcmp(db_get_text(rows, i, 0), id)) {
            *ret_row = i;
            return true;
        }
    return false;
}

static void complain(struct arena *arena, struct error **errors, const char *member,
                     const struct json_texts *list, const struct db_rows *rows, const char *what)
{
    size_t row;
    for (size_t i = 0; i < list->count; i++)
        if (!row_of(rows, list->items[i], &row))
            error_collect(errors, arena_printf(arena, "/%s/%zu", member, i), "%s", what);
}

static void add_once(struct json_texts *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (!strcmp(list->items[i], text))
            return;
    list->items[list->count++] = text;
}

/* The systems that it touches; those that are named and are not there are complained of. */
static struct error *touch(struct db *db, struct arena *arena, const struct consent *consent,
                           struct error **errors, struct json_texts *ret_touched)
{
    DB_ROWS_AUTO struct db_rows *systems = NULL;
    struct db_rows *machines = NULL;
    TRY(db_query(db, &find_systems, DB_VALUES(db_text(consent->unit), texts(&consent->systems)), &systems));
    TRY(db_query(db, &find_machines, DB_VALUES(db_text(consent->unit), texts(&consent->instances)),
                 &machines));
    (void)db_hold(arena, machines);
    complain(arena, errors, "systems", &consent->systems, systems, "the unit has no such system");
    complain(arena, errors, "instances", &consent->instances, machines,
             "the unit has no such instance or server");
    struct json_texts touched = {
        .items = arena_array(arena, consent->systems.count + db_count(machines), sizeof *touched.items)};
    for (size_t i = 0; i < consent->systems.count; i++)
        add_once(&touched, consent->systems.items[i]);
    for (size_t i = 0; i < db_count(machines); i++)
        add_once(&touched, db_get_text(machines, i, 1));
    *ret_touched = touched;
    return NULL;
}

static struct error *find(struct db *db, struct arena *arena, const char *member,
                          const struct json_texts *places, struct error **errors)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &find_places, DB_VALUES(texts(places)), &rows));
    complain(arena, errors, member, places, rows, "there is no such cloud or site");
    return NULL;
}

static struct json_texts clouds_of(struct arena *arena, const struct json_texts *a,
                                   const struct json_texts *b)
{
    struct json_texts clouds = {.items = arena_array(arena, a->count + b->count, sizeof *clouds.items)};
    for (size_t i = 0; i < a->count + b->count; i++) {
        const char *place = i < a->count ? a->items[i] : b->items[i - a->count];
        if (strcmp(place, CONSENT_EXPORT) != 0)
            add_once(&clouds, arena_strndup(arena, place, strcspn(place, "/")));
    }
    return clouds;
}

/* To the unit, and to the regulators of the one cloud that the data leaves; of several, to none of them. */
static struct error *tell(struct db *db, struct arena *arena, const struct consent *consent, const char *type,
                          const json_t *data, moment now)
{
    return event_add(db, &(struct event){.at = now,
                                         .type = type,
                                         .unit = consent->unit,
                                         .system = consent->systems.count == 1 && !consent->instances.count
                                                       ? consent->systems.items[0]
                                                       : NULL,
                                         .cloud = consent_cloud(arena, consent),
                                         .subject = consent->id,
                                         .data = data});
}

struct error *consent_give(struct db *db, struct arena *arena, const struct consent *consent)
{
    ERROR_AUTO struct error *errors = NULL;
    struct json_texts touched;
    TRY(touch(db, arena, consent, &errors, &touched));
    TRY(find(db, arena, "from", &consent->from, &errors));
    TRY(find(db, arena, "to", &consent->to, &errors));
    if (errors) {
        struct error *refused = errors;
        errors = NULL;
        return refused;
    }
    const struct json_texts clouds = clouds_of(arena, &consent->from, &consent->to);
    TRY(db_run(db, &insert,
               DB_VALUES(db_text(consent->unit), db_text(consent->id), db_text(consent->algorithm),
                         db_text(consent->digest), db_text(consent->reference), db_text(consent->signer_name),
                         db_text(consent->signer_post), texts(&consent->systems), texts(&consent->instances),
                         texts(&touched), texts(&consent->from), texts(&consent->to), texts(&clouds),
                         db_moment(consent->valid_from), db_moment(consent->valid_until),
                         db_text(consent->given_by), db_moment(consent->given_at)),
               NULL));
    json_t *data = json_hold(arena, json_object());
    json_put_text(data, "consent", consent->id);
    json_put_text(data, "reference", consent->reference);
    json_put_moment(data, "valid_until", consent->valid_until);
    return tell(db, arena, consent, "consent.given", data, consent->given_at);
}

struct error *consent_get(struct db *db, struct arena *arena, const char *id, struct consent *ret_consent)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &get, DB_VALUES(db_text(id)), "such consent", &rows));
    *ret_consent = read(arena, db_hold(arena, rows), 0);
    return NULL;
}

struct error *consent_withdraw(struct db *db, struct arena *arena, const struct consent *consent,
                               const char *by, const char *reason, moment now)
{
    int64_t changed;
    if (consent->withdrawn_at)
        return error_new(ERR_CONFLICT, "the consent is withdrawn already");
    TRY(db_run(db, &withdraw,
               DB_VALUES(db_text(consent->unit), db_text(consent->id), db_int(consent->version),
                         db_moment(now), db_text(by), db_text(reason)),
               &changed));
    if (!changed)
        return error_new(ERR_STALE, "the consent was withdrawn meanwhile");
    json_t *data = json_hold(arena, json_object());
    json_put_text(data, "consent", consent->id);
    json_put_text(data, "reference", consent->reference);
    json_put_text(data, "reason", reason);
    return tell(db, arena, consent, "consent.withdrawn", data, now);
}

/* A site and its whole cloud, as consents may name it. */
static struct json_texts names_of(struct arena *arena, const char *site)
{
    const char **items = arena_array(arena, 2, sizeof *items);
    items[0] = site;
    items[1] = arena_strndup(arena, site, strcspn(site, "/"));
    return (struct json_texts){items, 2};
}

struct error *consent_check(struct db *db, struct arena *arena, const char *unit, const char *system,
                            const char *resource, const char *from_site, const char *to_site, moment now,
                            const char **ret_consent)
{
    const struct consent_ask ask = {unit, system, resource, from_site, to_site};
    if (!strchr(from_site, '/') || (!strchr(to_site, '/') && strcmp(to_site, CONSENT_EXPORT) != 0))
        return error_new(ERR_INTERNAL, "\"%s\" or \"%s\" is no site", from_site, to_site);
    if (!strcmp(from_site, to_site)) {
        if (ret_consent)
            *ret_consent = NULL;
        return NULL;
    }
    const struct json_texts from = names_of(arena, from_site), to = names_of(arena, to_site);
    struct db_rows *rows;
    size_t which = 0;
    TRY(db_query(db, &candidates,
                 DB_VALUES(db_text(unit), db_text(system), db_text(resource), texts(&from), texts(&to),
                           db_moment(now), db_int(CANDIDATES_MAX)),
                 &rows));
    (void)db_hold(arena, rows);
    struct consent *list = arena_array(arena, db_count(rows), sizeof *list);
    for (size_t i = 0; i < db_count(rows); i++)
        list[i] = read(arena, rows, i);
    TRY(consent_judge(list, db_count(rows), &ask, now, &which));
    if (ret_consent)
        *ret_consent = list[which].id;
    return NULL;
}
