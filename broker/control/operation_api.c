/* /v1/operations: long work as it goes; DELETE cancels, :retry does a failed one again under today's rules
 * and prices. */
#include <string.h>

#include "broker/base/id.h"
#include "broker/control/operate.h"
#include "broker/control/operation.h"
#include "broker/control/order.h"
#include "broker/control/routes.h"
#include "broker/control/view.h"

static struct error *check_uuid(const struct http_call *call, const char *name)
{
    const char *text = http_query(call, name);
    return !text || id_valid(text)
               ? NULL
               : error_member(arena_printf(call->arena, "?%s", name), "must be a lower-case UUID");
}

/* What a guest printed is for those who may read consoles. */
static void hide_console(const struct http_call *call, json_t *operation)
{
    const char *kind = json_string_value(json_object_get(operation, "kind"));
    if (kind && !strcmp(kind, "console") && !principal_may(call->principal, "instances:console"))
        (void)json_object_del(operation, "result"); /* there or not */
}

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    TRY(check_uuid(call, "resource"));
    TRY(check_uuid(call, "order"));
    TRY(view_list_by_id(call, &operation_select_list,
                        DB_VALUES(db_text(http_query(call, "state")), db_text(http_query(call, "resource")),
                                  db_text(http_query(call, "order"))),
                        answer));
    size_t index;
    json_t *operation;
    json_array_foreach (json_object_get(answer->body, "operations"), index, operation)
        hide_console(call, operation);
    return NULL;
}

static struct error *answer_operation(struct http_call *call, const char *id, int status,
                                      struct http_answer *answer)
{
    const char *location = status == 202 ? arena_printf(call->arena, "/v1/operations/%s", id) : NULL;
    TRY(view_made(call, &operation_select_one, DB_VALUES(db_text(id)), "such operation", status, location,
                  answer));
    answer->etag = NULL;
    hide_console(call, answer->body);
    const char *state = json_string_value(json_object_get(answer->body, "state"));
    if (!strcmp(state, "queued") || !strcmp(state, "running"))
        answer->retry_after = 1;
    return NULL;
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, "operation"));
    return answer_operation(call, http_param(call, "operation"), 200, answer);
}

static struct error *find(struct http_call *call, struct operation *ret_operation)
{
    struct operation operation;
    TRY(view_id(call, "operation"));
    TRY(operation_load(call->db, call->arena, NULL, http_param(call, "operation"), &operation));
    if (!principal_sees_system(call->principal, operation.unit, operation.system))
        return error_new(ERR_NOT_FOUND, "no such operation");
    *ret_operation = operation;
    return NULL;
}

static struct error *cancel(struct http_call *call, struct http_answer *answer)
{
    struct operation operation;
    TRY(find(call, &operation));
    TRY(operation_cancel(call->db, &operation));
    answer->audit_unit = operation.unit;
    answer->audit_cloud = operation.cloud;
    answer->audit_subject = operation.id;
    return answer_operation(call, operation.id, 202, answer);
}

static struct error *order_again(struct http_call *call, const struct operation *operation,
                                 const char **ret_id)
{
    struct order_new order = {0};
    struct order_made made;
    TRY(json_read(call->arena, operation->args, &order_spec, &order));
    order.unit = operation->unit;
    TRY(order_place(call->db, call->arena, principal_id(call->principal), &order, operation->args, call->now,
                    &made));
    *ret_id = made.operation;
    return NULL;
}

static struct error *operate_again(struct http_call *call, const struct operation *operation,
                                   const char **ret_id)
{
    struct resource resource;
    enum verb verb;
    TRY(verb_parse(operation->kind, &verb));
    TRY(resource_load(call->db, call->arena, operation->unit, operation->resource, NULL, &resource));
    return operate_begin(call->db, call->arena, &resource, verb, operation->args,
                         principal_id(call->principal), call->now, ret_id);
}

static struct error *retry(struct http_call *call, struct http_answer *answer)
{
    struct operation operation;
    const char *id;
    TRY(find(call, &operation));
    if (!strcmp(operation.kind, "console") && !principal_may(call->principal, "instances:console"))
        return error_new(ERR_DENIED, "reading a console needs the permission instances:console");
    if (strcmp(operation.state, "failed") && strcmp(operation.state, "cancelled"))
        return error_new(ERR_CONFLICT, "only a failed or cancelled operation is tried again; this one is %s",
                         operation.state);
    TRY(!strcmp(operation.kind, "order") ? order_again(call, &operation, &id)
                                         : operate_again(call, &operation, &id));
    answer->audit_unit = operation.unit;
    answer->audit_cloud = operation.cloud;
    answer->audit_subject = id;
    return answer_operation(call, id, 202, answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/operations", list, "operations:read", 0, "state,resource,order,page_size,page_token"},
    {"GET", "/v1/operations/{operation}", get, "operations:read", 0, NULL},
    {"DELETE", "/v1/operations/{operation}", cancel, "operations:cancel", 0, NULL},
    {"POST", "/v1/operations/{operation}:retry", retry, "operations:retry", HTTP_KEYED | HTTP_NO_BODY, NULL},
};
const struct http_table operation_routes = HTTP_TABLE(routes);
