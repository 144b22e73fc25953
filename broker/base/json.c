/* JSON: parsing with limits, canonical text and builders; see json.h. Reading by spec is in json_read.c. */
#include "broker/base/json.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/moment.h"
#include "broker/base/money.h"

/* Jansson's own limit on nesting is far above ours; the depth is checked before it builds anything. */
static struct error *check_depth(const char *text, size_t length)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > JSON_DEPTH_MAX)
                return error_new(ERR_INVALID, "JSON nested deeper than %d", JSON_DEPTH_MAX);
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return NULL;
}

/* PostgreSQL's jsonb writes 1e308 as an integer of 309 digits, which no reader of 64-bit integers takes back:
 * what could not be read again is refused before it is stored. */
static bool numbers_return(const json_t *json)
{
    const char *name;
    json_t *value;
    size_t i;
    if (json_is_real(json))
        return fabs(json_real_value(json)) < 0x1p63;
    if (json_is_array(json)) {
        json_array_foreach (json, i, value)
            if (!numbers_return(value))
                return false;
        return true;
    }
    /* jansson's iteration takes a non-const object but does not change it */
    json_object_foreach ((json_t *)(uintptr_t)json, name, value)
        if (!numbers_return(value))
            return false;
    return true;
}

struct error *json_parse(const char *text, size_t length, json_t **ret_json)
{
    TRY(check_depth(text, length));
    json_error_t why;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
    if (!json)
        return error_new(ERR_INVALID, "not JSON: %s at byte %d", why.text, why.position);
    if (!numbers_return(json)) {
        json_decref(json);
        return error_new(ERR_INVALID, "not usable JSON: a number is beyond 64 bits");
    }
    *ret_json = json;
    return NULL;
}

static void release_json(void *object)
{
    json_decref(object);
}

json_t *json_hold(struct arena *arena, json_t *json)
{
    if (json)
        arena_defer(arena, release_json, json);
    return json;
}

struct error *json_parse_in(struct arena *arena, const char *text, size_t length, json_t **ret_json)
{
    json_t *json;
    TRY(json_parse(text, length, &json));
    *ret_json = json_hold(arena, json);
    return NULL;
}

const char *json_canonical(struct arena *arena, const json_t *json)
{
    char *text = json_dumps(json, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        abort(); /* out of memory: every value here was made by jansson */
    arena_defer(arena, free, text);
    return text;
}

void json_put(json_t *object, const char *name, json_t *value)
{
    if (!value || json_object_set_new(object, name, value))
        abort();
}

/* What is not UTF-8 (a provider's or a file system's bytes) loses every byte beyond ASCII rather than ending
 * the process. */
static json_t *ascii_only(const char *text)
{
    char *copy = xstrdup(text);
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    json_t *json = json_string(copy);
    free(copy);
    return json;
}

void json_put_text(json_t *object, const char *name, const char *text)
{
    if (!text)
        return;
    json_t *json = json_string(text);
    json_put(object, name, json ? json : ascii_only(text));
}

void json_put_int(json_t *object, const char *name, int64_t value)
{
    json_put(object, name, json_integer(value));
}

void json_put_bool(json_t *object, const char *name, bool value)
{
    json_put(object, name, json_boolean(value));
}

void json_put_moment(json_t *object, const char *name, int64_t at)
{
    char text[MOMENT_TEXT];
    moment_format(at, text);
    json_put_text(object, name, text);
}

void json_put_yuan(json_t *object, const char *name, int64_t fen)
{
    char text[MONEY_TEXT];
    json_put_text(object, name, money_format(fen, text));
}

void json_put_quantity(json_t *object, const char *name, int64_t micro)
{
    char text[QUANTITY_TEXT];
    json_put_text(object, name, quantity_format(micro, text));
}

void json_push(json_t *array, json_t *value)
{
    if (!value || json_array_append_new(array, value))
        abort();
}
