/* /v1/units and /v1/units/{unit}/systems: the tenants and their information systems. */
#include <ctype.h>
#include <string.h>

#include "broker/control/routes.h"
#include "broker/control/unit.h"
#include "broker/control/view.h"

static const char *const unit_kinds[] = {"government", "education-commission", "hospital",       "community",
                                         "school",     "university",           "education-unit", NULL};
static const char *const unit_states[] = {"active", "suspended", NULL};

static const struct json_member unit_members[] = {
    {JSON_MEMBER(struct unit_new, id), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED, .max = 32},
    {JSON_MEMBER(struct unit_new, name), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = 100},
    {JSON_MEMBER(struct unit_new, kind), .want = JSON_WANT_CHOICE, .flags = JSON_REQUIRED,
     .choices = unit_kinds},
};
static const struct json_spec unit_spec = JSON_SPEC(struct unit_new, unit_members);

static const struct json_member change_members[] = {
    {JSON_MEMBER(struct unit_change, name), .want = JSON_WANT_TEXT, .min = 1, .max = 100},
    {JSON_MEMBER(struct unit_change, state), .want = JSON_WANT_CHOICE, .choices = unit_states},
};
static const struct json_spec change_spec = JSON_SPEC(struct unit_change, change_members);

static const struct json_member system_members[] = {
    {JSON_MEMBER(struct system_new, id), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED, .max = 35},
    {JSON_MEMBER(struct system_new, name), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = 100},
    {JSON_MEMBER(struct system_new, classified), .want = JSON_WANT_BOOL, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct system_new, insurance), .want = JSON_WANT_BOOL},
};
static const struct json_spec system_spec = JSON_SPEC(struct system_new, system_members);

static struct error *answer_unit(struct http_call *call, const char *id, int status,
                                 struct http_answer *answer)
{
    answer->audit_unit = answer->audit_subject = id;
    return view_made(call, &unit_select_one, DB_VALUES(db_text(id)), "such unit", status,
                     status == 201 ? arena_printf(call->arena, "/v1/units/%s", id) : NULL, answer);
}

static struct error *list_units(struct http_call *call, struct http_answer *answer)
{
    return view_list(call, &unit_select_list, DB_NO_VALUES, answer);
}

static struct error *get_unit(struct http_call *call, struct http_answer *answer)
{
    return answer_unit(call, http_param(call, "unit"), 200, answer);
}

static struct error *add_unit(struct http_call *call, struct http_answer *answer)
{
    struct unit_new unit = {0};
    TRY(http_read_body(call, &unit_spec, &unit));
    TRY(unit_insert(call->db, &unit, call->now));
    return answer_unit(call, unit.id, 201, answer);
}

static struct error *change_unit(struct http_call *call, struct http_answer *answer)
{
    const char *id = http_param(call, "unit");
    struct unit_change change = {0};
    int64_t version;
    TRY(http_read_body(call, &change_spec, &change));
    TRY(unit_version(call->db, id, &version));
    TRY(http_if_match(call, view_etag(call->arena, version)));
    TRY(unit_update(call->db, id, &change, call->now));
    return answer_unit(call, id, 200, answer);
}

static struct error *list_systems(struct http_call *call, struct http_answer *answer)
{
    return view_list(call, &system_select_list, DB_VALUES(db_text(http_param(call, "unit"))), answer);
}

static struct error *answer_system(struct http_call *call, const char *unit, const char *id, int status,
                                   struct http_answer *answer)
{
    answer->audit_unit = unit;
    answer->audit_subject = id;
    return view_made(call, &system_select_one, DB_VALUES(db_text(unit), db_text(id)), "such system", status,
                     status == 201 ? arena_printf(call->arena, "/v1/units/%s/systems/%s", unit, id) : NULL,
                     answer);
}

static struct error *get_system(struct http_call *call, struct http_answer *answer)
{
    return answer_system(call, http_param(call, "unit"), http_param(call, "system"), 200, answer);
}

/* The unit's code and three digits. */
static bool code_fits(const char *unit, const char *system)
{
    size_t length = strlen(unit);
    if (strncmp(unit, system, length) || strlen(system) != length + 3)
        return false;
    return isdigit((unsigned char)system[length]) && isdigit((unsigned char)system[length + 1]) &&
           isdigit((unsigned char)system[length + 2]);
}

static struct error *add_system(struct http_call *call, struct http_answer *answer)
{
    const char *unit = http_param(call, "unit");
    struct system_new system = {0};
    int64_t version;
    TRY(unit_version(call->db, unit, &version));
    TRY(http_read_body(call, &system_spec, &system));
    if (system.classified)
        return error_member("/classified", "only non-classified systems may be hosted (procurement 1.1)");
    if (!code_fits(unit, system.id))
        return error_member("/id", "must be the unit's code and three digits, such as %s001", unit);
    TRY(system_insert(call->db, unit, &system, call->now));
    return answer_system(call, unit, system.id, 201, answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/units", list_units, "units:read", 0, "page_size,page_token"},
    {"POST", "/v1/units", add_unit, "units:write", HTTP_KEYED, NULL},
    {"GET", "/v1/units/{unit}", get_unit, "units:read", 0, NULL},
    {"PATCH", "/v1/units/{unit}", change_unit, "units:write", HTTP_CONDITIONAL, NULL},
    {"GET", "/v1/units/{unit}/systems", list_systems, "units:read", 0, "page_size,page_token"},
    {"POST", "/v1/units/{unit}/systems", add_system, "systems:write", HTTP_KEYED, NULL},
    {"GET", "/v1/units/{unit}/systems/{system}", get_system, "units:read", 0, NULL},
};
const struct http_table unit_routes = HTTP_TABLE(routes);
