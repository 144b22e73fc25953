/* json_parse and json_read over a spec with every kind of member; what was read or refused goes into an
 * answer, which must be JSON again. */
#include <string.h>

#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "tests/fuzz/fuzz.h"

struct part {
    const char *name;
    int64_t count;
};
static const struct json_member part_members[] = {
    {.name = "name", .want = JSON_WANT_NAME, .offset = offsetof(struct part, name), .flags = JSON_REQUIRED},
    {.name = "count", .want = JSON_WANT_INT, .offset = offsetof(struct part, count), .min = 1, .max = 16}};
static const struct json_spec part_spec = JSON_SPEC(struct part, part_members);
struct whole {
    const char *text, *id, *color;
    bool on;
    int64_t price, amount;
    moment at;
    struct month month;
    struct part part;
    struct json_list parts;
    struct json_texts tags;
    const json_t *any;
};
static const char *const colors[] = {"red", "green", NULL};
#define AT(field) .name = #field, .offset = offsetof(struct whole, field)
static const struct json_member whole_members[] = {
    {AT(text), .want = JSON_WANT_TEXT, .min = 1, .max = 50},
    {AT(id), .want = JSON_WANT_UUID, .flags = JSON_NULLABLE},
    {AT(color), .want = JSON_WANT_CHOICE, .choices = colors},
    {AT(on), .want = JSON_WANT_BOOL},
    {AT(price), .want = JSON_WANT_YUAN, .min = 1, .max = 10000},
    {AT(amount), .want = JSON_WANT_QUANTITY},
    {AT(at), .want = JSON_WANT_MOMENT},
    {AT(month), .want = JSON_WANT_MONTH},
    {AT(part), .want = JSON_WANT_OBJECT, .spec = &part_spec},
    {AT(parts), .want = JSON_WANT_LIST, .spec = &part_spec, .max = 5},
    {AT(tags), .want = JSON_WANT_TEXTS, .min = 1, .max = 3},
    {AT(any), .want = JSON_WANT_ANY}};
static const struct json_spec whole_spec = JSON_SPEC(struct whole, whole_members);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    json_t *json = NULL, *answer = json_hold(arena, json_object()), *again;
    struct whole whole = {.text = NULL};
    struct error *error = json_parse_in(arena, (const char *)data, size, &json);
    if (!error)
        error = json_read(arena, json, &whole_spec, &whole);
    size_t count = 0;
    if (error) {
        const struct error_detail *details = error_details(error, &count);
        PROMISE(error_code(error) == ERR_INVALID && count <= ERROR_DETAILS_MAX);
        for (size_t i = 0; i < count; i++) {
            json_t *pointer = json_string(details[i].pointer); /* NULL when it is not UTF-8 */
            PROMISE(pointer);
            json_decref(pointer);
        }
        json_put_text(answer, "detail", error_message(error));
    } else {
        PROMISE(!whole.text || strlen(whole.text) > 0);
        PROMISE(whole.price >= 0 && whole.price <= 10000);
        PROMISE(whole.parts.count <= 5);
        json_put_text(answer, "text", whole.text);
        const char *text = json_canonical(arena, json);
        PROMISE(!json_parse_in(arena, text, strlen(text), &again));
        PROMISE(!strcmp(json_canonical(arena, again), text));
    }
    const char *text = json_canonical(arena, answer);
    PROMISE(!json_parse_in(arena, text, strlen(text), &again));
    error_free(error);
    arena_free(arena);
    return 0;
}
