/* /v1/providers. */
#include "broker/base/json.h"
#include "catalog/provider.h"
#include "catalog/routes.h"

struct provider_body {
    const char *id, *name, *contact;
    json_t *agreement;
};

static const struct json_member new_members[] = {
    {JSON_MEMBER(struct provider_body, id), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct provider_body, name), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = 200},
    {JSON_MEMBER(struct provider_body, contact), .want = JSON_WANT_TEXT, .min = 1, .max = 1000},
    {JSON_MEMBER(struct provider_body, agreement), .want = JSON_WANT_ANY},
};
static const struct json_spec new_spec = JSON_SPEC(struct provider_body, new_members);

static const struct json_member change_members[] = {
    {JSON_MEMBER(struct provider_body, name), .want = JSON_WANT_TEXT, .min = 1, .max = 200},
    {JSON_MEMBER(struct provider_body, contact), .want = JSON_WANT_TEXT, .min = 1, .max = 1000},
    {JSON_MEMBER(struct provider_body, agreement), .want = JSON_WANT_ANY},
};
static const struct json_spec change_spec = JSON_SPEC(struct provider_body, change_members);

static const char *etag_of(struct http_call *call, const struct provider *provider)
{
    return arena_printf(call->arena, "v%lld", (long long)provider->version);
}

static struct error *to_json(struct http_call *call, const struct provider *provider, json_t **ret_json)
{
    struct agreement now, next;
    moment change = month_end(month_of(call->now));
    TRY(provider_agreement(call->db, provider->id, call->now, &now));
    TRY(provider_agreement(call->db, provider->id, change, &next));
    json_t *json = json_object();
    json_put_text(json, "id", provider->id);
    json_put_text(json, "name", provider->name);
    json_put_text(json, "contact", provider->contact);
    json_put(json, "agreement", agreement_json(&now));
    json_put(json, "agreement_next_month", agreement_json(&next));
    json_put_moment(json, "created_at", provider->created_at);
    json_put_moment(json, "updated_at", provider->updated_at);
    *ret_json = json;
    return NULL;
}

static struct error *answer(struct http_call *call, int status, const char *id,
                            struct http_answer *ret_answer)
{
    struct provider provider;
    json_t *json;
    TRY(provider_get(call->db, call->arena, id, &provider));
    TRY(to_json(call, &provider, &json));
    *ret_answer = (struct http_answer){
        .status = status, .body = json, .etag = etag_of(call, &provider), .audit_subject = provider.id};
    if (status == 201)
        ret_answer->location = arena_printf(call->arena, "/v1/providers/%s", provider.id);
    return NULL;
}

static struct error *add_provider(struct http_call *call, struct http_answer *ret_answer)
{
    struct provider_body body = {0};
    struct agreement agreement = agreement_default;
    TRY(http_read_body(call, &new_spec, &body));
    if (body.agreement)
        TRY(error_under(agreement_read(body.agreement, &agreement), "/agreement"));
    TRY(provider_add(call->db, body.id, body.name, body.contact, &agreement, call->now));
    return answer(call, 201, body.id, ret_answer);
}

static struct error *get_provider(struct http_call *call, struct http_answer *ret_answer)
{
    return answer(call, 200, http_param(call, "id"), ret_answer);
}

static struct error *list_providers(struct http_call *call, struct http_answer *ret_answer)
{
    struct http_page page;
    struct provider *list;
    size_t count;
    TRY(http_page(call, &page));
    TRY(provider_list(call->db, call->arena, page.after, page.size + 1, &list, &count));
    json_t *body = json_hold(call->arena, json_object()), *rows = json_array();
    json_put(body, "providers", rows);
    for (size_t i = 0; i < count && i < (size_t)page.size; i++) {
        json_t *json;
        TRY(to_json(call, &list[i], &json));
        json_push(rows, json);
    }
    if (count > (size_t)page.size)
        http_page_next(call, body, list[page.size - 1].id);
    *ret_answer = (struct http_answer){.status = 200, .body = json_incref(body)};
    return NULL;
}

static struct error *change_provider(struct http_call *call, struct http_answer *ret_answer)
{
    struct provider provider;
    TRY(provider_get(call->db, call->arena, http_param(call, "id"), &provider));
    TRY(http_if_match(call, etag_of(call, &provider)));
    struct provider_body body = {.name = provider.name, .contact = provider.contact};
    TRY(http_read_body(call, &change_spec, &body));
    if (body.agreement) {
        struct agreement agreement;
        TRY(provider_agreement(call->db, provider.id, month_end(month_of(call->now)), &agreement));
        TRY(error_under(agreement_read(body.agreement, &agreement), "/agreement"));
        TRY(provider_agree(call->db, provider.id, &agreement, call->now));
    }
    TRY(provider_update(call->db, provider.id, provider.version, body.name, body.contact, call->now));
    return answer(call, 200, provider.id, ret_answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/providers", list_providers, "providers:read", 0, "page_size,page_token"},
    {"POST", "/v1/providers", add_provider, "providers:write", HTTP_KEYED, NULL},
    {"GET", "/v1/providers/{id}", get_provider, "providers:read", 0, NULL},
    {"PATCH", "/v1/providers/{id}", change_provider, "providers:write", HTTP_CONDITIONAL, NULL},
};

const struct http_table provider_routes = HTTP_TABLE(routes);
