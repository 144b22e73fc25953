/* The list of kinds, the reader that checks a spec against a kind's table, and what a resize may change; see
 * kind.h. The tables are in kind_compute.c, kind_storage.c and kind_network.c; what a spec costs in
 * quantities is in quantity.c. */
#include "catalog/kind.h"

#include <string.h>

#include "broker/base/json.h"
#include "catalog/kind_table.h"
#include "catalog/pointer.h"

static const struct kind *const kinds[] = {
    &kind_instance,      &kind_server,    &kind_gpu,         &kind_volume,        &kind_object_store,
    &kind_backup_policy, &kind_bandwidth, &kind_address,     &kind_load_balancer, &kind_remote_account,
    &kind_ssl_vpn,       &kind_ipsec_vpn, &kind_certificate, &kind_waf,
};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (!strcmp(kinds[i]->name, name))
            return kinds[i];
    return NULL;
}

const char *kind_name(const struct kind *kind)
{
    return kind->name;
}

size_t kind_count(void)
{
    return KIND_COUNT;
}

const struct kind *kind_at(size_t index)
{
    return kinds[index];
}

const char *kind_owner(const struct kind *kind, size_t index)
{
    if (!kind->owners)
        return NULL;
    for (size_t i = 0; i < index; i++)
        if (!kind->owners[i])
            return NULL;
    return kind->owners[index];
}

bool kind_needs_owner(const struct kind *kind)
{
    return kind->needs_owner;
}

bool kind_external(const struct kind *kind)
{
    return kind->external;
}

static const struct kind_member *find_member(const struct kind *kind, const char *name)
{
    for (size_t i = 0; i < kind->member_count; i++)
        if (!strcmp(kind->members[i].name, name))
            return &kind->members[i];
    return NULL;
}

/* Members that the kind does not have; and, when `fixed_too`, those that a resize may not touch. */
static void check_names(struct error **errors, struct arena *arena, const struct kind *kind,
                        const json_t *json, bool fixed_too)
{
    for (void *at = json_object_iter((json_t *)(uintptr_t)json);
         at; /* read only: jansson has no const iterator */
         at = json_object_iter_next((json_t *)(uintptr_t)json, at)) {
        const char *name = json_object_iter_key(at);
        const struct kind_member *member = find_member(kind, name);
        if (!member)
            error_collect(errors, pointer_member(arena, "", name), "is not a member of kind %s", kind->name);
        else if (fixed_too && member->change == CHANGE_NEVER)
            error_collect(errors, pointer_member(arena, "", name), "cannot be changed by a resize");
    }
}

static json_t *fallback(const struct kind_member *member)
{
    if (member->fallback_text)
        return json_string(member->fallback_text);
    return member->want == MEMBER_INT && member->fallback ? json_integer(member->fallback) : NULL;
}

struct error *kind_read(const struct kind *kind, struct arena *arena, const json_t *spec, json_t **ret_full)
{
    struct error *errors = NULL;
    if (!json_is_object(spec))
        return error_member("", "must be an object with the members of kind %s", kind->name);
    json_t *full = json_hold(arena, json_object());
    check_names(&errors, arena, kind, spec, false);
    for (size_t i = 0; i < kind->member_count; i++) {
        const struct kind_member *member = &kind->members[i];
        const char *pointer = pointer_member(arena, "", member->name);
        const json_t *value = json_object_get(spec, member->name);
        if (value) {
            kind_check_value(&errors, arena, member, pointer, value);
            json_put(full, member->name, json_deep_copy(value));
        } else if (member->required) {
            error_collect(&errors, pointer, "is missing (procurement %s)", member->clause);
        } else if (member->fallback || member->fallback_text) {
            json_put(full, member->name, fallback(member));
        }
    }
    if (!errors && kind->check)
        kind->check(&errors, full);
    if (!errors)
        *ret_full = full;
    return errors;
}

struct error *kind_change(const struct kind *kind, struct arena *arena, const json_t *old_full,
                          const json_t *patch, json_t **ret_full)
{
    struct error *errors = NULL;
    if (!json_is_object(patch) || !json_object_size(patch))
        return error_member("", "must be an object with at least one member to change");
    json_t *full = json_hold(arena, json_deep_copy(old_full));
    check_names(&errors, arena, kind, patch, true);
    for (size_t i = 0; i < kind->member_count; i++) {
        const struct kind_member *member = &kind->members[i];
        const json_t *value = json_object_get(patch, member->name);
        if (!value || member->change == CHANGE_NEVER)
            continue;
        const char *pointer = pointer_member(arena, "", member->name);
        kind_check_value(&errors, arena, member, pointer, value);
        if (member->change == CHANGE_UP && json_is_integer(value) &&
            json_integer_value(value) < json_integer_value(json_object_get(old_full, member->name)))
            error_collect(&errors, pointer, "can only grow");
        json_put(full, member->name, json_deep_copy(value));
    }
    if (!errors && kind->check)
        kind->check(&errors, full);
    if (!errors)
        *ret_full = full;
    return errors;
}

static json_t *member_json(const struct kind_member *member)
{
    static const char *const types[] = {"integer",   "choice",  "name",    "text",
                                        "addresses", "domains", "unpriced"};
    static const char *const changes[] = {"never", "any", "grow"};
    json_t *json = json_object(), *value = fallback(member);
    json_put_text(json, "name", member->name);
    json_put_text(json, "type", types[member->want]);
    json_put_bool(json, "required", member->required);
    if (member->want == MEMBER_INT || member->want == MEMBER_TEXT || member->want == MEMBER_ADDRESSES ||
        member->want == MEMBER_DOMAINS) { /* of a text: bytes; of a list: its length */
        json_put_int(json, "minimum", member->min);
        json_put_int(json, "maximum", member->max);
    }
    if (member->step)
        json_put_int(json, "step", member->step);
    if (member->want == MEMBER_CHOICE) {
        json_t *choices = json_array();
        for (const char *const *choice = member->choices; *choice; choice++)
            json_push(choices, json_string(*choice));
        json_put(json, "choices", choices);
    }
    if (value)
        json_put(json, "default", value);
    json_put_text(json, "resize", changes[member->change]);
    json_put_text(json, "clause", member->clause);
    return json;
}

json_t *kind_json(const struct kind *kind)
{
    json_t *json = json_object(), *members = json_array(), *items = json_array();
    json_t *owners = kind->owners ? json_array() : NULL;
    for (size_t i = 0; kind_owner(kind, i); i++)
        json_push(owners, json_string(kind_owner(kind, i)));
    for (size_t i = 0; i < kind->member_count; i++)
        json_push(members, member_json(&kind->members[i]));
    for (const char *code = kind->items; *code;
         code += strcspn(code, ",") + (code[strcspn(code, ",")] == ','))
        json_push(items, json_stringn(code, strcspn(code, ",")));
    json_put_text(json, "name", kind->name);
    json_put_text(json, "name_zh", kind->name_zh);
    json_put(json, "items", items);
    json_put_bool(json, "external", kind->external);
    if (kind->owners)
        json_put(json, "attaches_to", owners);
    json_put(json, "members", members);
    return json;
}
