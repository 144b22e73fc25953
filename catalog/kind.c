/* The kinds' tables, the reader that checks a spec against them, and what a resize may change; see kind.h.
 * What a spec costs in quantities is in quantity.c. */
#include "catalog/kind.h"

#include <string.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "catalog/kind_table.h"
#include "catalog/pointer.h"

static const char *const architectures[] = {"x86", "ARM", "C86", "POWER", NULL};
static const char *const performances[] = {"standard", "high", NULL};

static const struct kind_member instance_members[] = {
    {.name = "vcpu",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 16,
     .change = CHANGE_ANY,
     .clause = "3.2.1.1"},
    {.name = "memory_gb",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 64,
     .change = CHANGE_ANY,
     .clause = "3.2.1.1"},
    {.name = "architecture",
     .want = MEMBER_CHOICE,
     .required = true,
     .choices = architectures,
     .clause = "3.1.3"},
    {.name = "image", .want = MEMBER_TEXT, .required = true, .min = 1, .max = 255, .clause = "3.2.1.1"},
    {.name = "zone", .want = MEMBER_NAME, .required = true, .clause = "2.3.2"},
    {.name = "system_disk_gb",
     .want = MEMBER_INT,
     .min = 10,
     .max = 2048,
     .fallback = 40,
     .clause = "3.2.1.4"},
    {.name = "system_disk_performance",
     .want = MEMBER_CHOICE,
     .choices = performances,
     .fallback_text = "standard",
     .clause = "2.3.3"},
    {.name = "user_data", .want = MEMBER_TEXT, .max = KIND_USER_DATA_MAX, .clause = "3.2.1.1"},
};

static const struct kind_member volume_members[] = {
    {.name = "size_gb",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 65536,
     .change = CHANGE_UP,
     .clause = "3.2.1.4"},
    {.name = "performance",
     .want = MEMBER_CHOICE,
     .required = true,
     .choices = performances,
     .clause = "2.3.3"},
    {.name = "attach_to", .want = MEMBER_NAME, .clause = "3.2.1.4"},
    {.name = "zone", .want = MEMBER_NAME, .clause = "2.3.2"},
};

static const struct kind_member address_members[] = {
    {.name = "zone", .want = MEMBER_NAME, .required = true, .clause = "2.3.2"},
    {.name = "family", .want = MEMBER_INT, .min = 4, .max = 6, .step = 2, .fallback = 4, .clause = "3.2.1.9"},
    {.name = "attach_to", .want = MEMBER_NAME, .clause = "3.2.1.9"},
};

static const struct kind_member bandwidth_members[] = {
    {.name = "mbps",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 100000,
     .change = CHANGE_ANY,
     .clause = "3.1.3"},
    {.name = "zone", .want = MEMBER_NAME, .clause = "2.3.2"},
};

#define MEMBERS(table) .members = (table), .member_count = sizeof(table) / sizeof *(table)

static const struct kind kinds[] = {
    {.name = "instance",
     .name_zh = "云主机",
     MEMBERS(instance_members),
     .quantities = quantity_instance,
     .items = "1001,1002,1011,1012"},
    {.name = "volume",
     .name_zh = "云硬盘",
     MEMBERS(volume_members),
     .quantities = quantity_volume,
     .items = "1011,1012"},
    {.name = "address",
     .name_zh = "互联网地址",
     MEMBERS(address_members),
     .quantities = quantity_address,
     .items = "1017"},
    {.name = "bandwidth",
     .name_zh = "互联网带宽",
     MEMBERS(bandwidth_members),
     .quantities = quantity_bandwidth,
     .items = "1016"},
};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

const struct kind *kind_find(const char *name)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
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
    return &kinds[index];
}

static const struct kind_member *find_member(const struct kind *kind, const char *name)
{
    for (size_t i = 0; i < kind->member_count; i++)
        if (!strcmp(kind->members[i].name, name))
            return &kind->members[i];
    return NULL;
}

static bool is_choice(const struct kind_member *member, const json_t *value)
{
    for (const char *const *choice = member->choices; *choice; choice++)
        if (json_is_string(value) && !strcmp(*choice, json_string_value(value)))
            return true;
    return false;
}

static const char *choices_text(struct arena *arena, const struct kind_member *member)
{
    const char *text = member->choices[0];
    for (const char *const *choice = member->choices + 1; *choice; choice++)
        text = arena_printf(arena, "%s%s%s", text, choice[1] ? ", " : " or ", *choice);
    return text;
}

static void check_int(struct error **errors, const struct kind_member *member, const char *pointer,
                      const json_t *value)
{
    int64_t step = member->step ? member->step : 1;
    if (!json_is_integer(value))
        error_collect(errors, pointer, "must be a whole number (procurement %s)", member->clause);
    else if (json_integer_value(value) < member->min || json_integer_value(value) > member->max ||
             (json_integer_value(value) - member->min) % step)
        error_collect(errors, pointer,
                      step == 1 ? "must be %lld to %lld (procurement %s)"
                                : "must be %lld or %lld (procurement %s)",
                      (long long)member->min, (long long)member->max, member->clause);
}

static void check_value(struct error **errors, struct arena *arena, const struct kind_member *member,
                        const char *pointer, const json_t *value)
{
    switch (member->want) {
    case MEMBER_INT:
        check_int(errors, member, pointer, value);
        return;
    case MEMBER_CHOICE:
        if (!is_choice(member, value))
            error_collect(errors, pointer, "must be %s (procurement %s)", choices_text(arena, member),
                          member->clause);
        return;
    case MEMBER_NAME:
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value) ||
            !name_valid(json_string_value(value), MEMBER_NAME_MAX))
            error_collect(
                errors, pointer,
                "must be a name of lower-case letters, digits and inner hyphens, at most %d (procurement %s)",
                MEMBER_NAME_MAX, member->clause);
        return;
    case MEMBER_TEXT:
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value) ||
            json_string_length(value) < (size_t)member->min ||
            json_string_length(value) > (size_t)member->max)
            error_collect(errors, pointer, "must be text without NUL of %lld to %lld bytes",
                          (long long)member->min, (long long)member->max);
        return;
    }
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
            check_value(&errors, arena, member, pointer, value);
            json_put(full, member->name, json_deep_copy(value));
        } else if (member->required) {
            error_collect(&errors, pointer, "is missing (procurement %s)", member->clause);
        } else if (member->fallback || member->fallback_text) {
            json_put(full, member->name, fallback(member));
        }
    }
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
        check_value(&errors, arena, member, pointer, value);
        if (member->change == CHANGE_UP && json_is_integer(value) &&
            json_integer_value(value) < json_integer_value(json_object_get(old_full, member->name)))
            error_collect(&errors, pointer, "can only grow");
        json_put(full, member->name, json_deep_copy(value));
    }
    if (!errors)
        *ret_full = full;
    return errors;
}

static json_t *member_json(const struct kind_member *member)
{
    static const char *const types[] = {"integer", "choice", "name", "text"};
    static const char *const changes[] = {"never", "any", "grow"};
    json_t *json = json_object(), *value = fallback(member);
    json_put_text(json, "name", member->name);
    json_put_text(json, "type", types[member->want]);
    json_put_bool(json, "required", member->required);
    if (member->want == MEMBER_INT || member->want == MEMBER_TEXT) { /* of a text: bytes */
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
    for (size_t i = 0; i < kind->member_count; i++)
        json_push(members, member_json(&kind->members[i]));
    for (const char *code = kind->items; *code;
         code += strcspn(code, ",") + (code[strcspn(code, ",")] == ','))
        json_push(items, json_stringn(code, strcspn(code, ",")));
    json_put_text(json, "name", kind->name);
    json_put_text(json, "name_zh", kind->name_zh);
    json_put(json, "items", items);
    json_put(json, "members", members);
    return json;
}
