/* Reading a JSON object into a struct by a spec table; see json.h. Every violation is collected with its JSON
 * pointer. */
#include "broker/base/json.h"

#include <string.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "broker/base/money.h"

#define TEXT_DEFAULT_MAX 1024

struct reading {
    struct arena *arena;
    struct error *errors;
};

/* Where a value is, up to the root: a member of an object, or an item of an array. Its pointer is written
 * only when there is something to say of it. */
struct path {
    const struct path *above; /* NULL: the root */
    const char *name;         /* NULL: an item */
    size_t index;
};

static void read_object(struct reading *reading, const json_t *json, const struct json_spec *spec,
                        char *value, const struct path *path);

/* A member's name inside a JSON pointer (RFC 6901): ~ and / escaped, cut so that a peer cannot blow up an
 * answer. */
static const char *pointer_of(struct arena *arena, const char *path, const char *name)
{
    char *text = arena_alloc(arena, strlen(path) + 2 * 64 + 2);
    char *at = stpcpy(text, path);
    size_t most = strnlen(name, 65);
    for (most = most > 64 ? 64 : most; most && ((unsigned char)name[most] & 0xc0) == 0x80;)
        most--; /* never within a character: the pointer goes into an answer */
    *at++ = '/';
    for (size_t i = 0; i < most; i++) {
        if (name[i] == '~' || name[i] == '/') {
            *at++ = '~';
            *at++ = name[i] == '~' ? '0' : '1';
        } else {
            *at++ = name[i];
        }
    }
    *at = '\0';
    return text;
}

static const char *path_text(struct arena *arena, const struct path *path)
{
    if (!path)
        return "";
    const char *above = path_text(arena, path->above);
    return path->name ? pointer_of(arena, above, path->name)
                      : arena_printf(arena, "%s/%zu", above, path->index);
}

/* A violation of the value at `path`. */
#define refuse(reading, path, ...) \
    error_collect(&(reading)->errors, path_text((reading)->arena, path), __VA_ARGS__)

static size_t code_points(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\n' && *text != '\t') || *text == 0x7f)
            return true;
    return false;
}

static void read_text(struct reading *reading, const json_t *json, const struct json_member *member,
                      void *value, const struct path *path)
{
    const char *text = json_string_value(json);
    int64_t most = member->max ? member->max : TEXT_DEFAULT_MAX;
    int64_t length = text ? (int64_t)code_points(text) : 0;
    if (!text)
        refuse(reading, path, "must be a string");
    else if (strlen(text) != json_string_length(json) || has_control(text))
        refuse(reading, path, "must not hold control characters");
    else if (length < member->min || length > most)
        refuse(reading, path, "must have %lld to %lld characters", (long long)member->min, (long long)most);
    else
        *(const char **)value = text;
}

static void read_name(struct reading *reading, const json_t *json, const struct json_member *member,
                      void *value, const struct path *path)
{
    size_t most = member->max ? (size_t)member->max : 63;
    const char *text = json_string_value(json);
    if (!text || strlen(text) != json_string_length(json) || !name_valid(text, most))
        refuse(reading, path,
               "must be 1 to %zu of a-z, 0-9 and -, beginning and ending with a letter or digit", most);
    else
        *(const char **)value = text;
}

static void read_uuid(struct reading *reading, const json_t *json, void *value, const struct path *path)
{
    const char *text = json_string_value(json);
    if (!text || !id_valid(text))
        refuse(reading, path, "must be a lower-case UUID");
    else
        *(const char **)value = text;
}

static void read_int(struct reading *reading, const json_t *json, const struct json_member *member,
                     void *value, const struct path *path)
{
    bool ranged = member->min || member->max;
    int64_t number = json_integer_value(json);
    if (!json_is_integer(json))
        refuse(reading, path, "must be an integer");
    else if (ranged && (number < member->min || number > member->max))
        refuse(reading, path, "must be %lld to %lld", (long long)member->min, (long long)member->max);
    else
        *(int64_t *)value = number;
}

static void read_bool(struct reading *reading, const json_t *json, void *value, const struct path *path)
{
    if (!json_is_boolean(json))
        refuse(reading, path, "must be true or false");
    else
        *(bool *)value = json_is_true(json);
}

static void read_decimal(struct reading *reading, const json_t *json, const struct json_member *member,
                         void *value, const struct path *path)
{
    const char *text = json_string_value(json);
    bool yuan = member->want == JSON_WANT_YUAN;
    int64_t number = 0;
    if (!text || strlen(text) != json_string_length(json)) {
        refuse(reading, path, "must be a string with a decimal number, such as \"14.02\"");
        return;
    }
    struct error *error = yuan ? money_parse(text, &number) : quantity_parse(text, &number);
    char low[MONEY_TEXT], high[MONEY_TEXT];
    if (error) {
        refuse(reading, path, "is %s", error_message(error));
        error_free(error);
    } else if ((member->min || member->max) && (number < member->min || number > member->max)) {
        refuse(reading, path, "must be %s to %s",
               yuan ? money_format(member->min, low) : quantity_format(member->min, low),
               yuan ? money_format(member->max, high) : quantity_format(member->max, high));
    } else {
        *(int64_t *)value = number;
    }
}

static void read_time(struct reading *reading, const json_t *json, const struct json_member *member,
                      void *value, const struct path *path)
{
    const char *text = json_string_value(json);
    if (!text || strlen(text) != json_string_length(json)) {
        refuse(reading, path, "must be a string with a time");
        return;
    }
    struct error *error =
        member->want == JSON_WANT_MOMENT ? moment_parse(text, value) : month_parse(text, value);
    if (error)
        refuse(reading, path, "is %s", error_message(error));
    error_free(error);
}

static void read_choice(struct reading *reading, const json_t *json, const struct json_member *member,
                        void *value, const struct path *path)
{
    const char *text = json_string_value(json);
    const char *all = "";
    for (const char *const *choice = member->choices; text && *choice; choice++)
        if (!strcmp(text, *choice)) {
            *(const char **)value = *choice;
            return;
        }
    for (const char *const *choice = member->choices; *choice; choice++)
        all = arena_printf(reading->arena, "%s%s%s", all, *all ? ", " : "", *choice);
    refuse(reading, path, "must be one of %s", all);
}

/* Whether `json` is an array with a number of items in the member's range. */
static bool check_items(struct reading *reading, const json_t *json, const struct json_member *member,
                        const struct path *path)
{
    int64_t most = member->max ? member->max : 1000;
    int64_t count = (int64_t)json_array_size(json);
    if (!json_is_array(json))
        refuse(reading, path, "must be an array");
    else if (count < member->min || count > most)
        refuse(reading, path, "must have %lld to %lld items", (long long)member->min, (long long)most);
    else
        return true;
    return false;
}

static void read_list(struct reading *reading, const json_t *json, const struct json_member *member,
                      void *value, const struct path *path)
{
    if (!check_items(reading, json, member, path))
        return;
    size_t count = json_array_size(json);
    char *items = arena_array(reading->arena, count, member->spec->size);
    for (size_t i = 0; i < count; i++) {
        const struct path at = {.above = path, .index = i};
        read_object(reading, json_array_get(json, i), member->spec, items + i * member->spec->size, &at);
    }
    *(struct json_list *)value = (struct json_list){items, count};
}

static void read_texts(struct reading *reading, const json_t *json, const struct json_member *member,
                       void *value, const struct path *path)
{
    if (!check_items(reading, json, member, path))
        return;
    static const struct json_member text = {.want = JSON_WANT_TEXT, .min = 1, .max = 255};
    struct json_texts texts = {arena_array(reading->arena, json_array_size(json), sizeof(char *)),
                               json_array_size(json)};
    for (size_t i = 0; i < texts.count; i++) {
        const struct path at = {.above = path, .index = i};
        read_text(reading, json_array_get(json, i), &text, &texts.items[i], &at);
    }
    *(struct json_texts *)value = texts;
}

static void read_ints(struct reading *reading, const json_t *json, const struct json_member *member,
                      void *value, const struct path *path)
{
    if (!check_items(reading, json, member, path))
        return;
    static const struct json_member number = {.want = JSON_WANT_INT};
    size_t count = json_array_size(json);
    int64_t *items = arena_array(reading->arena, count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        const struct path at = {.above = path, .index = i};
        read_int(reading, json_array_get(json, i), &number, &items[i], &at);
    }
    *(struct json_ints *)value = (struct json_ints){.items = items, .count = count};
}

static void read_member(struct reading *reading, const json_t *json, const struct json_member *member,
                        void *value, const struct path *path)
{
    switch (member->want) {
    case JSON_WANT_TEXT:
        read_text(reading, json, member, value, path);
        break;
    case JSON_WANT_NAME:
        read_name(reading, json, member, value, path);
        break;
    case JSON_WANT_UUID:
        read_uuid(reading, json, value, path);
        break;
    case JSON_WANT_INT:
        read_int(reading, json, member, value, path);
        break;
    case JSON_WANT_BOOL:
        read_bool(reading, json, value, path);
        break;
    case JSON_WANT_YUAN:
    case JSON_WANT_QUANTITY:
        read_decimal(reading, json, member, value, path);
        break;
    case JSON_WANT_MOMENT:
    case JSON_WANT_MONTH:
        read_time(reading, json, member, value, path);
        break;
    case JSON_WANT_CHOICE:
        read_choice(reading, json, member, value, path);
        break;
    case JSON_WANT_OBJECT:
        read_object(reading, json, member->spec, value, path);
        break;
    case JSON_WANT_LIST:
        read_list(reading, json, member, value, path);
        break;
    case JSON_WANT_TEXTS:
        read_texts(reading, json, member, value, path);
        break;
    case JSON_WANT_INTS:
        read_ints(reading, json, member, value, path);
        break;
    case JSON_WANT_ANY:
        if (json_is_object(json))
            *(const json_t **)value = json;
        else
            refuse(reading, path, "must be an object");
        break;
    }
}

static const struct json_member *find_member(const struct json_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->count; i++)
        if (!strcmp(spec->members[i].name, name))
            return &spec->members[i];
    return NULL;
}

static void read_object(struct reading *reading, const json_t *json, const struct json_spec *spec,
                        char *value, const struct path *path)
{
    if (!json_is_object(json)) {
        refuse(reading, path, "must be an object");
        return;
    }
    const char *name;
    json_t *unused;
    /* jansson's iteration takes a non-const object but does not change it */
    json_object_foreach ((json_t *)(uintptr_t)json, name, unused) {
        const struct path at = {.above = path, .name = name};
        if (!find_member(spec, name))
            refuse(reading, &at, "is not a known member");
    }
    for (size_t i = 0; i < spec->count; i++) {
        const struct json_member *member = &spec->members[i];
        const json_t *found = json_object_get(json, member->name);
        const struct path at = {.above = path, .name = member->name};
        if (found && json_is_null(found) && (member->flags & JSON_NULLABLE))
            found = NULL;
        if (found)
            read_member(reading, found, member, value + member->offset, &at);
        else if (member->flags & JSON_REQUIRED)
            refuse(reading, &at, "is required");
    }
}

struct error *json_read(struct arena *arena, const json_t *json, const struct json_spec *spec, void *value)
{
    struct reading reading = {.arena = arena};
    read_object(&reading, json, spec, value, NULL);
    return reading.errors;
}
