/* /v1/instances, /v1/volumes, /v1/addresses, /v1/bandwidths and /v1/resources (all kinds): what there is, and
 * what can be done to it. The kind of a call is that of its path, so that every verb is one handler; kinds
 * without a path of their own are operated on /v1/resources. */
#include <string.h>

#include "broker/control/expansion.h"
#include "broker/control/operate.h"
#include "broker/control/operation.h"
#include "broker/control/routes.h"
#include "broker/control/view.h"
#include "catalog/kind.h"

#define GRACE_DEFAULT_S 60
#define GRACE_MAX_S 3600

/* NULL for /v1/resources: any kind. */
static const char *kind_of(const struct http_call *call)
{
    static const char *const kinds[][2] = {{"/v1/instances", "instance"},
                                           {"/v1/volumes", "volume"},
                                           {"/v1/addresses", "address"},
                                           {"/v1/bandwidths", "bandwidth"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strncmp(call->path, kinds[i][0], strlen(kinds[i][0])))
            return kinds[i][1];
    return NULL;
}

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    const char *kind = kind_of(call);
    return view_list_by_id(call, &resource_select_list,
                           DB_VALUES(db_text(kind ? kind : http_query(call, "kind")),
                                     db_text(http_query(call, "cloud")), db_text(http_query(call, "system")),
                                     db_text(http_query(call, "state"))),
                           answer);
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, "id"));
    const char *kind = kind_of(call);
    return view_one(call, &resource_select_one, DB_VALUES(db_text(http_param(call, "id")), db_text(kind)),
                    arena_printf(call->arena, "such %s", kind ? kind : "resource"), answer);
}

/* Instances and volumes have permissions of their own, which a token may lack. */
static struct error *check_path(const struct http_call *call, const struct resource *resource)
{
    bool own = !strcmp(resource->kind, "instance") || !strcmp(resource->kind, "volume");
    return kind_of(call) || !own ? NULL
                                 : error_new(ERR_CONFLICT, "operate %s \"%s\" on /v1/%ss", resource->kind,
                                             resource->name, resource->kind);
}

/* Locked, and within the caller's own scope: who may see a cloud's resources may not for that operate them.
 */
static struct error *find(struct http_call *call, struct resource *ret_resource)
{
    struct resource resource;
    TRY(view_id(call, "id"));
    TRY(resource_load(call->db, call->arena, NULL, http_param(call, "id"), kind_of(call), &resource));
    if (!principal_sees_system(call->principal, resource.unit, resource.system))
        return error_new(ERR_NOT_FOUND, "no such %s", resource.kind);
    TRY(check_path(call, &resource));
    *ret_resource = resource;
    return NULL;
}

/* 202 with the operation. */
static struct error *begin(struct http_call *call, const struct resource *resource, enum verb verb,
                           const json_t *args, struct http_answer *answer)
{
    const char *operation;
    TRY(operate_begin(call->db, call->arena, resource, verb, args, principal_id(call->principal), call->now,
                      &operation));
    TRY(view_made(call, &operation_select_one, DB_VALUES(db_text(operation)), "such operation", 202,
                  arena_printf(call->arena, "/v1/operations/%s", operation), answer));
    answer->etag = NULL;
    answer->retry_after = 1;
    answer->audit_unit = resource->unit;
    answer->audit_cloud = resource->cloud;
    answer->audit_subject = resource->id;
    return NULL;
}

/* start, reboot, detach, console: the verb is what stands behind the colon. */
static struct error *plain_verb(struct http_call *call, struct http_answer *answer)
{
    struct resource resource;
    enum verb verb;
    TRY(find(call, &resource));
    TRY(verb_parse(strrchr(call->path, ':') + 1, &verb));
    if (verb == VERB_DETACH && !resource.attached_to)
        return error_new(ERR_CONFLICT, "volume \"%s\" is not attached", resource.name);
    return begin(call, &resource, verb, NULL, answer);
}

struct stopping {
    int64_t grace_seconds;
};
static const struct json_member stop_members[] = {
    {JSON_MEMBER(struct stopping, grace_seconds), .want = JSON_WANT_INT, .min = 0, .max = GRACE_MAX_S},
};
static const struct json_spec stop_spec = JSON_SPEC(struct stopping, stop_members);

/* Asks the guest for grace_seconds (60; 0: cuts the power at once). */
static struct error *stop(struct http_call *call, struct http_answer *answer)
{
    struct resource resource;
    struct stopping stopping = {GRACE_DEFAULT_S};
    TRY(find(call, &resource));
    if (call->body)
        TRY(http_read_body(call, &stop_spec, &stopping));
    json_t *args = json_hold(call->arena, json_object());
    json_put_int(args, "grace_us", stopping.grace_seconds * MOMENT_SECOND);
    return begin(call, &resource, VERB_STOP, args, answer);
}

/* Of a free expansion, taken out of the patch; 0: none. */
static struct error *take_expansion(json_t *patch, int64_t *ret_days)
{
    const json_t *days = json_object_get(patch, "expansion_days");
    *ret_days = 0;
    if (!days)
        return NULL;
    if (!json_is_integer(days) || json_integer_value(days) < 1 ||
        json_integer_value(days) > EXPANSION_DAYS_MOST)
        return error_member("/expansion_days", "must be 1 to %d", EXPANSION_DAYS_MOST);
    *ret_days = json_integer_value(days);
    (void)json_object_del(patch, "expansion_days"); /* it was just found */
    return NULL;
}

/* The body is a patch of the spec, as the kind allows it, and allow_restart and expansion_days beside. */
static struct error *resize(struct http_call *call, struct http_answer *answer)
{
    struct resource resource;
    json_t *spec;
    int64_t days;
    TRY(find(call, &resource));
    if (!call->body)
        return error_member("", "is required: the members of the spec that change");
    json_t *patch = json_hold(call->arena, json_copy(call->body));
    json_t *restart = json_object_get(patch, "allow_restart");
    if (restart && !json_is_boolean(restart))
        return error_member("/allow_restart", "must be true or false");
    json_t *args = json_hold(call->arena, json_object());
    json_put_bool(args, "allow_restart", json_is_true(restart));
    if (restart)
        (void)json_object_del(patch, "allow_restart"); /* it was just found */
    TRY(take_expansion(patch, &days));
    if (days)
        json_put_int(args, "expansion_days", days);
    TRY(kind_change(kind_find(resource.kind), call->arena, resource.spec, patch, &spec));
    json_put(args, "spec", json_incref(spec));
    return begin(call, &resource, VERB_RESIZE, args, answer);
}

struct attaching {
    const char *instance;
};
static const struct json_member attach_members[] = {
    {JSON_MEMBER(struct attaching, instance), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
};
static const struct json_spec attach_spec = JSON_SPEC(struct attaching, attach_members);

static struct error *attach(struct http_call *call, struct http_answer *answer)
{
    struct resource volume, instance;
    struct attaching attaching = {0};
    TRY(find(call, &volume));
    TRY(http_read_body(call, &attach_spec, &attaching));
    struct error *error = resource_find(call->db, call->arena, volume.unit, volume.system, "instance",
                                        attaching.instance, &instance);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error);
        return error_member("/instance", "names no instance of system \"%s\"", volume.system);
    }
    TRY(error);
    if (!instance.endpoint || strcmp(instance.endpoint, volume.endpoint))
        return error_member("/instance", "must be on the same endpoint as the volume");
    if (volume.attached_to && strcmp(volume.attached_to, instance.id))
        return error_new(ERR_CONFLICT, "volume \"%s\" is attached to another instance: detach it first",
                         volume.name);
    if (instance.state != RESOURCE_ACTIVE)
        return error_new(ERR_CONFLICT, "instance \"%s\" is %s", instance.name,
                         resource_state_name(instance.state));
    json_t *args = json_hold(call->arena, json_object());
    json_put_text(args, "instance", instance.id);
    return begin(call, &volume, VERB_ATTACH, args, answer);
}

static struct error *delete (struct http_call *call, struct http_answer *answer)
{
    struct resource resource;
    TRY(find(call, &resource));
    TRY(http_if_match(call, view_etag(call->arena, resource.version)));
    return begin(call, &resource, VERB_DELETE, NULL, answer);
}

#define PAGED "cloud,system,state,page_size,page_token"

static const struct http_route routes[] = {
    {"GET", "/v1/resources", list, "resources:read", 0, "kind," PAGED},
    {"GET", "/v1/resources/{id}", get, "resources:read", 0, NULL},
    {"POST", "/v1/resources/{id}:resize", resize, "resources:operate", HTTP_KEYED, NULL},
    {"DELETE", "/v1/resources/{id}", delete, "resources:operate", HTTP_CONDITIONAL, NULL},
    {"GET", "/v1/instances", list, "instances:read", 0, PAGED},
    {"GET", "/v1/instances/{id}", get, "instances:read", 0, NULL},
    {"DELETE", "/v1/instances/{id}", delete, "instances:operate", HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/instances/{id}:start", plain_verb, "instances:operate", HTTP_KEYED | HTTP_NO_BODY, NULL},
    {"POST", "/v1/instances/{id}:stop", stop, "instances:operate", HTTP_KEYED, NULL},
    {"POST", "/v1/instances/{id}:reboot", plain_verb, "instances:operate", HTTP_KEYED | HTTP_NO_BODY, NULL},
    {"POST", "/v1/instances/{id}:resize", resize, "instances:operate", HTTP_KEYED, NULL},
    {"POST", "/v1/instances/{id}:console", plain_verb, "instances:console", HTTP_KEYED | HTTP_NO_BODY, NULL},
    {"GET", "/v1/volumes", list, "volumes:read", 0, PAGED},
    {"GET", "/v1/volumes/{id}", get, "volumes:read", 0, NULL},
    {"DELETE", "/v1/volumes/{id}", delete, "volumes:operate", HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/volumes/{id}:attach", attach, "volumes:operate", HTTP_KEYED, NULL},
    {"POST", "/v1/volumes/{id}:detach", plain_verb, "volumes:operate", HTTP_KEYED | HTTP_NO_BODY, NULL},
    {"POST", "/v1/volumes/{id}:resize", resize, "volumes:operate", HTTP_KEYED, NULL},
    {"GET", "/v1/addresses", list, "resources:read", 0, PAGED},
    {"GET", "/v1/addresses/{id}", get, "resources:read", 0, NULL},
    {"DELETE", "/v1/addresses/{id}", delete, "resources:operate", HTTP_CONDITIONAL, NULL},
    {"GET", "/v1/bandwidths", list, "resources:read", 0, PAGED},
    {"GET", "/v1/bandwidths/{id}", get, "resources:read", 0, NULL},
    {"POST", "/v1/bandwidths/{id}:resize", resize, "resources:operate", HTTP_KEYED, NULL},
    {"DELETE", "/v1/bandwidths/{id}", delete, "resources:operate", HTTP_CONDITIONAL, NULL},
};
const struct http_table resource_routes = HTTP_TABLE(routes);
