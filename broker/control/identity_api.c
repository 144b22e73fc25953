/* /v1/principals and /v1/whoami: who may call. A unit-admin makes and changes the unit roles of its own unit;
 * everything else is a platform-admin's. */
#include <string.h>

#include "broker/auth/principal_store.h"
#include "broker/control/identity.h"
#include "broker/control/view.h"

static const struct db_statement select_one = {"principal_select_one",
                                               "SELECT id, version, body FROM principal_view WHERE id = $1"};
static const struct db_statement select_list = {
    "principal_select_list",
    "SELECT id, version, body FROM principal_view WHERE id > $1 ORDER BY id LIMIT $2"};
static const struct db_statement select_list_of_unit = {
    "principal_select_list_of_unit",
    "SELECT id, version, body FROM principal_view WHERE id > $1 AND unit_id = $3 ORDER BY id LIMIT $2"};

struct principal_body {
    const char *id, *role, *name, *unit, *provider, *certificate;
    struct json_texts systems, clouds;
    bool disabled;
};

static const char *const role_choices[] = {
#define X(symbol, name) name,
    ROLES(X)
#undef X
        NULL};

#define NAME_MEMBER                                                                  \
    {                                                                                \
        JSON_MEMBER(struct principal_body, name), .want = JSON_WANT_TEXT, .max = 100 \
    }
#define SYSTEMS_MEMBER                                                                                  \
    {                                                                                                   \
        JSON_MEMBER(struct principal_body, systems), .want = JSON_WANT_TEXTS, .max = PRINCIPAL_LIST_MAX \
    }
#define CLOUDS_MEMBER                                                                                  \
    {                                                                                                  \
        JSON_MEMBER(struct principal_body, clouds), .want = JSON_WANT_TEXTS, .max = PRINCIPAL_LIST_MAX \
    }
#define CERTIFICATE_MEMBER                                                                               \
    {                                                                                                    \
        JSON_MEMBER(struct principal_body, certificate), .want = JSON_WANT_TEXT, .flags = JSON_NULLABLE, \
                                                         .min = 64, .max = 64                            \
    }
#define DISABLED_MEMBER                                                      \
    {                                                                        \
        JSON_MEMBER(struct principal_body, disabled), .want = JSON_WANT_BOOL \
    }

static const struct json_member new_members[] = {
    {JSON_MEMBER(struct principal_body, id), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct principal_body, role), .want = JSON_WANT_CHOICE, .flags = JSON_REQUIRED,
     .choices = role_choices},
    {JSON_MEMBER(struct principal_body, unit), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct principal_body, provider), .want = JSON_WANT_NAME},
    NAME_MEMBER,
    SYSTEMS_MEMBER,
    CLOUDS_MEMBER,
    CERTIFICATE_MEMBER,
};
static const struct json_spec new_spec = JSON_SPEC(struct principal_body, new_members);

/* Id, role, unit and provider are what a principal is: another one is made instead. */
static const struct json_member change_members[] = {
    NAME_MEMBER, SYSTEMS_MEMBER, CLOUDS_MEMBER, CERTIFICATE_MEMBER, DISABLED_MEMBER,
};
static const struct json_spec change_spec = JSON_SPEC(struct principal_body, change_members);

static struct error *check_certificate(const char *fingerprint)
{
    if (fingerprint && strspn(fingerprint, "0123456789abcdef") != 64)
        return error_member("/certificate", "must be 64 lower-case hex digits, the SHA-256 of the DER form");
    return NULL;
}

static struct error *list_principals(struct http_call *call, struct http_answer *answer)
{
    const char *unit = http_query(call, "unit");
    if (unit)
        return view_list(call, &select_list_of_unit, DB_VALUES(db_text(unit)), answer);
    return view_list(call, &select_list, DB_NO_VALUES, answer);
}

static struct error *answer_principal(struct http_call *call, const struct principal_grant *grant, int status,
                                      struct http_answer *answer)
{
    answer->audit_unit = grant->unit;
    answer->audit_subject = grant->id;
    return view_made(call, &select_one, DB_VALUES(db_text(grant->id)), "such principal", status,
                     status == 201 ? arena_printf(call->arena, "/v1/principals/%s", grant->id) : NULL,
                     answer);
}

static struct error *get_principal(struct http_call *call, struct http_answer *answer)
{
    return view_one(call, &select_one, DB_VALUES(db_text(http_param(call, "id"))), "such principal", answer);
}

static struct error *add_principal(struct http_call *call, struct http_answer *answer)
{
    struct principal_body body = {0};
    TRY(http_read_body(call, &new_spec, &body));
    TRY(check_certificate(body.certificate));
    struct principal_row row = {
        .grant = {.id = body.id,
                  .unit = body.unit,
                  .provider = body.provider,
                  .systems = body.systems.items,
                  .system_count = body.systems.count,
                  .clouds = body.clouds.items,
                  .cloud_count = body.clouds.count},
        .name = body.name,
        .certificate = body.certificate,
    };
    TRY(role_parse(body.role, &row.grant.role));
    TRY(principal_check(&row.grant));
    TRY(principal_may_manage(call->principal, &row.grant));
    TRY(principal_store_insert(call->db, &row, call->now));
    return answer_principal(call, &row.grant, 201, answer);
}

static bool has(const struct http_call *call, const char *member)
{
    return json_object_get(call->body, member) != NULL;
}

static void apply(const struct http_call *call, const struct principal_body *body, struct principal_row *row)
{
    if (has(call, "name"))
        row->name = body->name;
    if (has(call, "certificate")) /* null: none any more */
        row->certificate = body->certificate;
    if (has(call, "disabled"))
        row->disabled = body->disabled;
    if (has(call, "systems")) {
        row->grant.systems = body->systems.items;
        row->grant.system_count = body->systems.count;
    }
    if (has(call, "clouds")) {
        row->grant.clouds = body->clouds.items;
        row->grant.cloud_count = body->clouds.count;
    }
}

static struct error *change_principal(struct http_call *call, struct http_answer *answer)
{
    struct principal_body body = {0};
    struct principal_row row;
    TRY(http_read_body(call, &change_spec, &body));
    TRY(check_certificate(body.certificate));
    TRY(principal_store_lock(call->db, http_param(call, "id"), call->arena, &row));
    TRY(principal_may_manage(call->principal, &row.grant));
    TRY(http_if_match(call, view_etag(call->arena, row.version)));
    apply(call, &body, &row);
    TRY(principal_may_manage(call->principal, &row.grant)); /* nor give away more than it has */
    TRY(principal_store_update(call->db, &row, call->now));
    return answer_principal(call, &row.grant, 200, answer);
}

/* A comma-joined list of names as an array. */
static json_t *names(const char *list)
{
    json_t *array = json_array();
    while (list && *list) {
        size_t length = strcspn(list, ",");
        json_push(array, json_stringn(list, length));
        list += length + (list[length] == ',');
    }
    return array;
}

static struct error *whoami(struct http_call *call, struct http_answer *answer)
{
    const struct principal *principal = call->principal;
    const struct db_scope *scope = principal_scope(principal);
    json_t *permissions = json_array();
    for (size_t i = 0; role_permission_at(i); i++)
        if (principal_may(principal, role_permission_at(i)))
            json_push(permissions, json_string(role_permission_at(i)));
    answer->status = 200;
    answer->body = json_object();
    json_put_text(answer->body, "id", principal_id(principal));
    json_put_text(answer->body, "role", role_name(principal_role(principal)));
    json_put_text(answer->body, "unit", principal_unit(principal));
    json_put_text(answer->body, "provider", principal_provider(principal));
    json_put(answer->body, "systems", names(scope->systems));
    json_put(answer->body, "clouds", names(scope->clouds));
    json_put_bool(answer->body, "sees_all", principal_sees_all(principal));
    json_put(answer->body, "permissions", permissions);
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/principals", list_principals, "principals:read", 0, "page_size,page_token,unit"},
    {"POST", "/v1/principals", add_principal, "principals:write", HTTP_KEYED, NULL},
    {"GET", "/v1/principals/{id}", get_principal, "principals:read", 0, NULL},
    {"PATCH", "/v1/principals/{id}", change_principal, "principals:write", HTTP_CONDITIONAL, NULL},
    {"GET", "/v1/whoami", whoami, "self:read", HTTP_NO_DB, NULL},
};
const struct http_table identity_routes = HTTP_TABLE(routes);
