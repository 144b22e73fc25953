/* /v1/billing-settings. */
#include "metering/setting.h"

#include "broker/base/json.h"
#include "metering/routes.h"

static const struct json_member setting_members[] = {
    {JSON_MEMBER(struct billing_settings, close_grace_seconds), .want = JSON_WANT_INT,
     .max = SETTING_GRACE_MAX / MOMENT_SECOND},
    {JSON_MEMBER(struct billing_settings, usage_retention_months), .want = JSON_WANT_INT,
     .max = SETTING_MONTHS_MAX},
    {JSON_MEMBER(struct billing_settings, bill_retention_months), .want = JSON_WANT_INT,
     .max = SETTING_MONTHS_MAX},
};
static const struct json_spec setting_spec = JSON_SPEC(struct billing_settings, setting_members);

static const char *etag_of(struct http_call *call, const struct billing_settings *settings)
{
    const char *grace = arena_printf(call->arena, "g%lld", (long long)settings->close_grace_seconds);
    if (!settings->usage_retention_months)
        return grace;
    return arena_printf(call->arena, "%s-u%lld-b%lld", grace, (long long)settings->usage_retention_months,
                        (long long)settings->bill_retention_months);
}

static struct http_answer answer(struct http_call *call, const struct billing_settings *settings)
{
    json_t *json = json_object();
    json_put_int(json, "close_grace_seconds", settings->close_grace_seconds);
    json_put_int(json, "usage_retention_months", settings->usage_retention_months);
    json_put_int(json, "bill_retention_months", settings->bill_retention_months);
    return (struct http_answer){.status = 200, .body = json, .etag = etag_of(call, settings)};
}

static struct error *get_settings(struct http_call *call, struct http_answer *ret_answer)
{
    struct billing_settings settings;
    TRY(setting_read(call->db, &settings));
    *ret_answer = answer(call, &settings);
    return NULL;
}

/* What a member alone cannot say. */
static struct error *check(const struct billing_settings *settings)
{
    struct error *errors = NULL;
    int64_t usage = settings->usage_retention_months, bills = settings->bill_retention_months;
    if (usage && usage < SETTING_USAGE_MONTHS_MIN)
        error_collect(&errors, "/usage_retention_months", "must be 0, for ever, or at least %d",
                      SETTING_USAGE_MONTHS_MIN);
    if (bills && bills < SETTING_BILL_MONTHS_MIN)
        error_collect(&errors, "/bill_retention_months", "must be 0, for ever, or at least %d",
                      SETTING_BILL_MONTHS_MIN);
    if (bills && (!usage || usage > bills))
        error_collect(&errors, "/bill_retention_months",
                      "must be 0 or at least usage_retention_months, which is "
                      "not 0 then: bills go after their usage");
    return errors;
}

static struct error *change_settings(struct http_call *call, struct http_answer *ret_answer)
{
    struct billing_settings old, settings;
    TRY(setting_read(call->db, &old));
    TRY(http_if_match(call, etag_of(call, &old)));
    settings = old;
    TRY(http_read_body(call, &setting_spec, &settings));
    if (!json_object_size(call->body))
        return error_member("", "one member at least is needed");
    TRY(check(&settings));
    TRY(setting_write(call->db, &old, &settings));
    *ret_answer = answer(call, &settings);
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/billing-settings", get_settings, "bills:read", 0, NULL},
    {"PATCH", "/v1/billing-settings", change_settings, "bills:close", HTTP_CONDITIONAL, NULL},
};

const struct http_table setting_routes = HTTP_TABLE(routes);
