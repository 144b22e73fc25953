/* /v1/billing-settings. */
#include "metering/setting.h"

#include "broker/base/json.h"
#include "metering/routes.h"

struct setting_body {
    int64_t close_grace_seconds;
};

static const struct json_member setting_members[] = {
    {JSON_MEMBER(struct setting_body, close_grace_seconds), .want = JSON_WANT_INT, .flags = JSON_REQUIRED,
     .max = SETTING_GRACE_MAX / MOMENT_SECOND},
};
static const struct json_spec setting_spec = JSON_SPEC(struct setting_body, setting_members);

static const char *etag_of(struct http_call *call, int64_t grace)
{
    return arena_printf(call->arena, "g%lld", (long long)(grace / MOMENT_SECOND));
}

static struct http_answer answer(struct http_call *call, int64_t grace)
{
    json_t *json = json_object();
    json_put_int(json, "close_grace_seconds", grace / MOMENT_SECOND);
    return (struct http_answer){.status = 200, .body = json, .etag = etag_of(call, grace)};
}

static struct error *get_settings(struct http_call *call, struct http_answer *ret_answer)
{
    int64_t grace;
    TRY(setting_close_grace(call->db, &grace));
    *ret_answer = answer(call, grace);
    return NULL;
}

static struct error *change_settings(struct http_call *call, struct http_answer *ret_answer)
{
    struct setting_body body = {0};
    int64_t grace;
    TRY(setting_close_grace(call->db, &grace));
    TRY(http_if_match(call, etag_of(call, grace)));
    TRY(http_read_body(call, &setting_spec, &body));
    TRY(setting_set_close_grace(call->db, grace, body.close_grace_seconds * MOMENT_SECOND));
    *ret_answer = answer(call, body.close_grace_seconds * MOMENT_SECOND);
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/billing-settings", get_settings, "bills:read", 0, NULL},
    {"PATCH", "/v1/billing-settings", change_settings, "bills:close", HTTP_CONDITIONAL, NULL},
};

const struct http_table setting_routes = HTTP_TABLE(routes);
