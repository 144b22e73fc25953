/* /v1/budgets. */
#include "metering/budget.h"

#include "broker/base/id.h"
#include "metering/cursor.h"
#include "metering/routes.h"

struct budget_body {
    const char *unit, *system, *period, *currency;
    int64_t amount_yuan;
    struct json_ints thresholds;
};

static const char *const periods[] = {"month", "year", NULL}, *const currencies[] = {"CNY", NULL};
static const int64_t thresholds_default[] = {50, 80, 100};

#define AMOUNT .want = JSON_WANT_YUAN, .min = 1, .max = MONEY_MAX
#define THRESHOLDS .want = JSON_WANT_INTS, .min = 1, .max = BUDGET_THRESHOLDS_MAX
static const struct json_member new_members[] = {
    {JSON_MEMBER(struct budget_body, unit), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct budget_body, system), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct budget_body, period), .want = JSON_WANT_CHOICE, .flags = JSON_REQUIRED,
     .choices = periods},
    {JSON_MEMBER(struct budget_body, currency), .want = JSON_WANT_CHOICE, .choices = currencies},
    {JSON_MEMBER(struct budget_body, amount_yuan), AMOUNT, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct budget_body, thresholds), THRESHOLDS},
};
static const struct json_spec new_spec = JSON_SPEC(struct budget_body, new_members);
static const struct json_member change_members[] = {
    {JSON_MEMBER(struct budget_body, amount_yuan), AMOUNT},
    {JSON_MEMBER(struct budget_body, thresholds), THRESHOLDS},
};
static const struct json_spec change_spec = JSON_SPEC(struct budget_body, change_members);

static json_t *to_json(struct arena *arena, const struct budget *budget)
{
    json_t *json = json_object(), *thresholds = json_array();
    json_put_text(json, "id", budget->id);
    json_put_text(json, "unit", budget->unit);
    json_put_text(json, "system", budget->system);
    json_put_text(json, "period", budget->period);
    json_put_yuan(json, "amount_yuan", budget->amount_fen);
    json_put_text(json, "currency", "CNY");
    for (size_t i = 0; i < budget->thresholds.count; i++)
        json_push(thresholds, json_integer(budget->thresholds.items[i]));
    json_put(json, "thresholds", thresholds);
    json_put_text(json, "status", arena_printf(arena, "/v1/budgets/%s/status", budget->id));
    json_put_moment(json, "created_at", budget->created_at);
    json_put_moment(json, "updated_at", budget->updated_at);
    return json;
}

static const char *etag_of(struct arena *arena, const struct budget *budget)
{
    return arena_printf(arena, "v%lld", (long long)budget->version);
}

static struct error *answer(struct http_call *call, int status, const char *id,
                            struct http_answer *ret_answer)
{
    struct budget budget;
    TRY(budget_get(call->db, call->arena, id, &budget));
    *ret_answer = (struct http_answer){.status = status,
                                       .body = to_json(call->arena, &budget),
                                       .etag = etag_of(call->arena, &budget),
                                       .audit_unit = budget.unit,
                                       .audit_subject = budget.id};
    if (status == 201)
        ret_answer->location = arena_printf(call->arena, "/v1/budgets/%s", budget.id);
    return NULL;
}

static struct error *add_budget(struct http_call *call, struct http_answer *ret_answer)
{
    struct budget_body body = {.thresholds = {thresholds_default, 3}};
    TRY(http_read_body(call, &new_spec, &body));
    TRY(budget_thresholds(call->arena, &body.thresholds));
    if (!principal_sees_system(call->principal, body.unit, body.system))
        return error_new(ERR_NOT_FOUND, "no such unit or system");
    const struct budget budget = {.id = id_new_in(call->arena),
                                  .unit = body.unit,
                                  .system = body.system,
                                  .period = body.period,
                                  .amount_fen = body.amount_yuan,
                                  .thresholds = body.thresholds,
                                  .created_at = call->now};
    TRY(budget_add(call->db, &budget, principal_id(call->principal)));
    return answer(call, 201, budget.id, ret_answer);
}

static struct error *get_budget(struct http_call *call, struct http_answer *ret_answer)
{
    return answer(call, 200, http_param(call, "id"), ret_answer);
}

static struct error *change_budget(struct http_call *call, struct http_answer *ret_answer)
{
    struct budget budget;
    TRY(budget_get(call->db, call->arena, http_param(call, "id"), &budget));
    TRY(http_if_match(call, etag_of(call->arena, &budget)));
    struct budget_body body = {.amount_yuan = budget.amount_fen, .thresholds = budget.thresholds};
    TRY(http_read_body(call, &change_spec, &body));
    TRY(budget_thresholds(call->arena, &body.thresholds));
    budget.amount_fen = body.amount_yuan;
    budget.thresholds = body.thresholds;
    TRY(budget_change(call->db, &budget, call->now));
    return answer(call, 200, budget.id, ret_answer);
}

static struct error *drop_budget(struct http_call *call, struct http_answer *ret_answer)
{
    struct budget budget;
    TRY(budget_get(call->db, call->arena, http_param(call, "id"), &budget));
    TRY(http_if_match(call, etag_of(call->arena, &budget)));
    TRY(budget_drop(call->db, &budget));
    *ret_answer = (struct http_answer){.status = 204, .audit_unit = budget.unit, .audit_subject = budget.id};
    return NULL;
}

static struct error *list_budgets(struct http_call *call, struct http_answer *ret_answer)
{
    struct http_page page;
    struct budget *list;
    const char *parts[2] = {NULL, NULL};
    size_t count;
    TRY(http_page(call, &page));
    if (page.after)
        TRY(cursor_split(call->arena, page.after, parts, 2));
    TRY(budget_list(call->db, call->arena, http_query(call, "unit"), http_query(call, "system"), parts[0],
                    parts[1], page.size + 1, &list, &count));
    json_t *body = json_object(), *rows = json_array();
    json_put(body, "budgets", rows);
    for (size_t i = 0; i < count && i < (size_t)page.size; i++)
        json_push(rows, to_json(call->arena, &list[i]));
    if (count > (size_t)page.size) {
        const struct budget *last = &list[page.size - 1];
        http_page_next(call, body, arena_printf(call->arena, "%s|%s", last->unit, last->id));
    }
    *ret_answer = (struct http_answer){.status = 200, .body = body};
    return NULL;
}

static json_t *alerts_json(const struct budget_alert *alerts, size_t count)
{
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *json = json_object();
        json_put_text(json, "period", alerts[i].period);
        json_put_int(json, "threshold_percent", alerts[i].threshold);
        json_put_yuan(json, "spent_yuan", alerts[i].spent_fen);
        json_put_yuan(json, "amount_yuan", alerts[i].amount_fen);
        json_put_moment(json, "raised_at", alerts[i].raised_at);
        json_push(rows, json);
    }
    return rows;
}

static struct error *get_status(struct http_call *call, struct http_answer *ret_answer)
{
    struct budget budget;
    struct budget_period period;
    struct budget_alert *alerts;
    size_t count;
    bool scope_of_units = principal_scope(call->principal)->units != NULL;
    TRY(budget_get(call->db, call->arena, http_param(call, "id"), &budget));
    budget_period_of(&budget, month_of(call->now), &period);
    TRY(budget_spent(call->db, call->arena, &budget, &period, scope_of_units, call->now));
    TRY(budget_forecast(call->db, call->arena, &budget, &period, scope_of_units, call->now));
    TRY(budget_alerts(call->db, call->arena, &budget, &alerts, &count));
    json_t *json = json_object();
    json_put_text(json, "budget", budget.id);
    json_put_text(json, "period", period.name);
    json_put_moment(json, "from", month_start(period.from));
    json_put_moment(json, "to", month_end(period.to));
    json_put_yuan(json, "amount_yuan", budget.amount_fen);
    json_put_yuan(json, "spent_yuan", period.spent_fen);
    json_put_int(json, "spent_percent", (int64_t)((wide)period.spent_fen * 100 / budget.amount_fen));
    json_put_yuan(json, "forecast_yuan", period.forecast_fen);
    if (period.unpriced)
        json_put_int(json, "unpriced_lines", period.unpriced);
    json_put_yuan(json, "period_before_yuan", period.before_fen);
    json_put(json, "alerts", alerts_json(alerts, count));
    *ret_answer = (struct http_answer){.status = 200, .body = json};
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/budgets", list_budgets, "budgets:read", 0, "unit,system,page_size,page_token"},
    {"POST", "/v1/budgets", add_budget, "budgets:write", HTTP_KEYED, NULL},
    {"GET", "/v1/budgets/{id}", get_budget, "budgets:read", 0, NULL},
    {"PATCH", "/v1/budgets/{id}", change_budget, "budgets:write", HTTP_CONDITIONAL, NULL},
    {"DELETE", "/v1/budgets/{id}", drop_budget, "budgets:write", HTTP_CONDITIONAL, NULL},
    {"GET", "/v1/budgets/{id}/status", get_status, "budgets:read", 0, NULL},
};

const struct http_table budget_routes = HTTP_TABLE(routes);
