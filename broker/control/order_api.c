/* /v1/orders: several resources at once, all or nothing. */
#include <string.h>

#include "broker/control/order.h"
#include "broker/control/routes.h"
#include "broker/control/view.h"

static const struct db_statement select_system = {"order_system",
                                                  "SELECT 1 FROM system WHERE unit_id = $1 AND id = $2"};

/* A unit's own principals order for their unit; a platform administrator names it. */
static struct error *find_unit(struct http_call *call, struct order_new *order)
{
    const char *own = principal_unit(call->principal);
    if (!order->unit)
        order->unit = own;
    if (!order->unit)
        return error_member("/unit", "is required of a principal without a unit");
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(call->db, &select_system, DB_VALUES(db_text(order->unit), db_text(order->system)), &rows));
    if (!db_count(rows) || !principal_sees_system(call->principal, order->unit, order->system))
        return error_new(ERR_NOT_FOUND, "unit \"%s\" has no system \"%s\"", order->unit, order->system);
    return NULL;
}

static struct error *add_order(struct http_call *call, struct http_answer *answer)
{
    struct order_new order = {0};
    struct order_made made;
    TRY(http_read_body(call, &order_spec, &order));
    TRY(find_unit(call, &order));
    TRY(order_place(call->db, call->arena, principal_id(call->principal), &order, call->body, call->now,
                    &made));
    TRY(view_made(call, &order_select_one, DB_VALUES(db_text(made.order)), "such order", 202,
                  arena_printf(call->arena, "/v1/operations/%s", made.operation), answer));
    answer->retry_after = 1;
    answer->audit_unit = order.unit;
    answer->audit_cloud = made.cloud;
    answer->audit_subject = made.order;
    return NULL;
}

static struct error *list_orders(struct http_call *call, struct http_answer *answer)
{
    return view_list_by_id(call, &order_select_list,
                           DB_VALUES(db_text(http_query(call, "state")), db_text(http_query(call, "system"))),
                           answer);
}

static struct error *get_order(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, "order"));
    return view_one(call, &order_select_one, DB_VALUES(db_text(http_param(call, "order"))), "such order",
                    answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/orders", list_orders, "orders:read", 0, "state,system,page_size,page_token"},
    {"POST", "/v1/orders", add_order, "orders:write", HTTP_KEYED, NULL},
    {"GET", "/v1/orders/{order}", get_order, "orders:read", 0, NULL},
};
const struct http_table order_routes = HTTP_TABLE(routes);
