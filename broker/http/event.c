/* The outbox: writing (event.h) and reading (outbox.h). */
#include "broker/http/event.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/http/outbox.h"

static const struct db_statement insert_event = {
    "event_insert",
    "INSERT INTO event (at, type, unit_id, system_id, cloud_id, provider_id, subject, data) "
    "VALUES ($1, $2, coalesce($3, ''), coalesce($4, ''), coalesce($5, ''), coalesce($6, ''), "
    "coalesce($7, ''), $8)",
};

static const struct db_statement select_head = {
    "event_head",
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text",
};

/* Below the oldest running transaction nothing can be added any more: the order is settled. ORDER BY names
 * the table, for a bare tx would mean the text of the list above. */
static const struct db_statement select_page = {
    "event_page",
    "SELECT tx::text, id, at, type, nullif(unit_id, ''), nullif(system_id, ''), nullif(cloud_id, ''), "
    "nullif(provider_id, ''), nullif(subject, ''), data FROM event "
    "WHERE (tx, id) > ($1::text::xid8, $2::bigint) AND tx < pg_snapshot_xmin(pg_current_snapshot()) "
    "ORDER BY event.tx, event.id LIMIT $3",
};

static const struct db_statement select_there = {
    "event_there",
    "SELECT 1 FROM event WHERE tx = $1::text::xid8 AND id = $2",
};

static const struct db_statement delete_old = {
    "event_purge",
    "DELETE FROM event WHERE (unit_id, tx, id) IN "
    "(SELECT unit_id, tx, id FROM event WHERE at < $1 ORDER BY at LIMIT $2)",
};

struct error *event_add(struct db *db, const struct event *event)
{
    json_t *none = event->data ? NULL : json_object();
    struct error *error =
        db_run(db, &insert_event,
               DB_VALUES(db_moment(event->at), db_text(event->type), db_text(event->unit),
                         db_text(event->system), db_text(event->cloud), db_text(event->provider),
                         db_text(event->subject), db_json(event->data ? event->data : none)),
               NULL);
    json_decref(none);
    return error_wrap(error, "could not add the event %s", event->type);
}

/* One look, in a transaction of the broker's own. */
struct look {
    struct arena *arena;
    struct event_place place;
    int64_t most;
    moment before;
    struct outbox_page page;
    bool there;
};

static struct error *look_head(struct db *db, void *context)
{
    struct look *look = context;
    struct db_rows *rows DB_ROWS_AUTO = NULL;
    TRY(db_query_one(db, &select_head, DB_NO_VALUES, "snapshot", &rows));
    look->place = (struct event_place){strtoull(db_get_text(rows, 0, 0), NULL, 10) - 1, INT64_MAX};
    return NULL;
}

struct error *outbox_head(struct db *db, struct event_place *ret_place)
{
    struct look look = {0};
    TRY_DOING(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, look_head, &look),
              "could not find the head of the outbox");
    *ret_place = look.place;
    return NULL;
}

static void put_text(struct arena *arena, const struct db_rows *rows, size_t row, struct outbox_event *event)
{
    json_t *shown = json_object();
    json_put_moment(shown, "at", db_get_moment(rows, row, 2));
    json_put_text(shown, "type", event->type);
    json_put_text(shown, "unit", event->unit);
    json_put_text(shown, "system", event->system);
    json_put_text(shown, "cloud", event->cloud);
    json_put_text(shown, "provider", event->provider);
    json_put_text(shown, "subject", db_get_text(rows, row, 8));
    json_put(shown, "data", db_get_json(rows, row, 9));
    char *text = json_dumps(shown, JSON_COMPACT);
    json_decref(shown);
    if (!text)
        abort(); /* out of memory */
    event->text =
        arena_printf(arena, "id: %llu-%lld\nevent: %s\ndata: %s\n\n", (unsigned long long)event->place.tx,
                     (long long)event->place.id, event->type, text);
    event->length = strlen(event->text);
    free(text);
}

static struct error *look_page(struct db *db, void *context)
{
    struct look *look = context;
    const char *tx = arena_printf(look->arena, "%llu", (unsigned long long)look->place.tx);
    struct db_rows *rows;
    TRY(db_query(db, &select_page, DB_VALUES(db_text(tx), db_int(look->place.id), db_int(look->most)),
                 &rows));
    db_hold(look->arena, rows);
    look->page.count = db_count(rows);
    look->page.events = arena_array(look->arena, look->page.count + 1, sizeof *look->page.events);
    for (size_t i = 0; i < look->page.count; i++) {
        struct outbox_event *event = &look->page.events[i];
        event->place =
            (struct event_place){strtoull(db_get_text(rows, i, 0), NULL, 10), db_get_int(rows, i, 1)};
        event->type = db_get_text(rows, i, 3);
        event->unit = db_get_text(rows, i, 4);
        event->system = db_get_text(rows, i, 5);
        event->cloud = db_get_text(rows, i, 6);
        event->provider = db_get_text(rows, i, 7);
        put_text(look->arena, rows, i, event);
    }
    return NULL;
}

struct error *outbox_read(struct db *db, struct arena *arena, struct event_place from, int64_t most,
                          struct outbox_page *ret_page)
{
    struct look look = {.arena = arena, .place = from, .most = most};
    TRY_DOING(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, look_page, &look),
              "could not read the outbox");
    *ret_page = look.page;
    return NULL;
}

static struct error *look_there(struct db *db, void *context)
{
    struct look *look = context;
    ARENA_AUTO struct arena *arena = arena_new();
    struct db_rows *rows DB_ROWS_AUTO = NULL;
    TRY(db_query(db, &select_there,
                 DB_VALUES(db_text(arena_printf(arena, "%llu", (unsigned long long)look->place.tx)),
                           db_int(look->place.id)),
                 &rows));
    look->there = db_count(rows) > 0;
    return NULL;
}

struct error *outbox_has(struct db *db, struct event_place place, bool *ret_there)
{
    struct look look = {.place = place};
    TRY(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, look_there, &look));
    *ret_there = look.there;
    return NULL;
}

static struct error *purge(struct db *db, void *context)
{
    struct look *look = context;
    return db_run(db, &delete_old, DB_VALUES(db_moment(look->before), db_int(look->most)), &look->most);
}

struct error *outbox_purge(struct db *db, moment before, int64_t most, int64_t *ret_purged)
{
    struct look look = {.before = before, .most = most};
    TRY_DOING(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, purge, &look),
              "could not purge the outbox");
    *ret_purged = look.most;
    return NULL;
}
