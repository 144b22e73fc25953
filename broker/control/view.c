/* Answers made of the database's views; see view.h. */
#include "broker/control/view.h"

#include <string.h>

#include "broker/base/id.h"

#define FILTERS_MAX 16

const char *view_etag(struct arena *arena, int64_t version)
{
    return arena_printf(arena, "v%lld", (long long)version);
}

/* NULL members say nothing: they are left out of the answer, at every depth (a zone of a cloud, a resource of
 * an order). Depth is bounded by the views. */
static json_t *without_nulls(json_t *body)
{
    const char *name;
    json_t *value;
    void *next;
    size_t i;
    json_object_foreach_safe(body, next, name, value)
    {
        if (json_is_null(value))
            (void)json_object_del(body, name); /* it was just found */
        else
            (void)without_nulls(value);
    }
    json_array_foreach (body, i, value)
        (void)without_nulls(value);
    return body;
}

struct error *view_list(struct http_call *call, const struct db_statement *statement,
                        const struct db_value *filters, size_t count, struct http_answer *ret_answer)
{
    struct http_page page;
    TRY(http_page(call, &page));
    struct db_value values[FILTERS_MAX + 2] = {db_text(page.after ? page.after : ""), db_int(page.size + 1)};
    if (count > FILTERS_MAX)
        return error_new(ERR_INTERNAL, "more than %d filters", FILTERS_MAX);
    if (count)
        memcpy(values + 2, filters, count * sizeof *filters);
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(call->db, statement, values, count + 2, &rows));
    json_t *body = json_object(), *items = json_array();
    json_put(body, strrchr(call->path, '/') + 1, items);
    size_t found = db_count(rows), shown = found > (size_t)page.size ? (size_t)page.size : found;
    for (size_t i = 0; i < shown; i++)
        json_push(items, without_nulls(db_get_json(rows, i, 2)));
    if (found > shown)
        http_page_next(call, body, db_get_text(rows, shown - 1, 0));
    ret_answer->status = 200;
    ret_answer->body = body;
    return NULL;
}

struct error *view_list_by_id(struct http_call *call, const struct db_statement *statement,
                              const struct db_value *filters, size_t count, struct http_answer *ret_answer)
{
    struct http_page page;
    TRY(http_page(call, &page));
    if (page.after && !id_valid(page.after))
        return error_member("?page_token", "it is not a token that this list has given out");
    return view_list(call, statement, filters, count, ret_answer);
}

struct error *view_one(struct http_call *call, const struct db_statement *statement,
                       const struct db_value *values, size_t count, const char *what,
                       struct http_answer *ret_answer)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query_one(call->db, statement, values, count, what, &rows));
    ret_answer->status = 200;
    ret_answer->etag = view_etag(call->arena, db_get_int(rows, 0, 1));
    ret_answer->body = without_nulls(db_get_json(rows, 0, 2));
    return NULL;
}

struct error *view_made(struct http_call *call, const struct db_statement *statement,
                        const struct db_value *values, size_t count, const char *what, int status,
                        const char *location, struct http_answer *ret_answer)
{
    TRY(view_one(call, statement, values, count, what, ret_answer));
    ret_answer->status = status;
    ret_answer->location = location;
    return NULL;
}

struct error *view_id(const struct http_call *call, const char *name)
{
    return id_valid(http_param(call, name)) ? NULL : error_new(ERR_NOT_FOUND, "no such %s", name);
}
