/* JSON in and out over jansson. Input is read by spec tables into plain structs: unknown members, wrong types
 * and values out of range are refused, every violation at once, each with its JSON pointer. */
#ifndef BROKER_BASE_JSON_H
#define BROKER_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

enum json_want {
    JSON_WANT_TEXT,     /* const char *; min..max code points, no control characters but \n and \t */
    JSON_WANT_NAME,     /* const char *; [a-z0-9]([a-z0-9-]*[a-z0-9])?, at most max (default 63): our ids and
                           names */
    JSON_WANT_UUID,     /* const char *; lower-case UUID */
    JSON_WANT_INT,      /* int64_t; min..max */
    JSON_WANT_BOOL,     /* bool */
    JSON_WANT_YUAN,     /* int64_t fen from a string such as "14.02": at most two decimals; min..max in fen */
    JSON_WANT_QUANTITY, /* int64_t micro-units from a string such as "0.5"; min..max in micro-units */
    JSON_WANT_MOMENT,   /* moment from RFC 3339 */
    JSON_WANT_MONTH,    /* struct month from "2026-11" */
    JSON_WANT_CHOICE,   /* const char *; one of `choices` */
    JSON_WANT_OBJECT,   /* struct read by `spec` in place */
    JSON_WANT_LIST,     /* struct json_list of structs read by `spec`; min..max items */
    JSON_WANT_TEXTS,    /* struct json_texts; min..max items, each 1–255 characters */
    JSON_WANT_INTS,     /* struct json_ints; min..max items, whole numbers */
    JSON_WANT_ANY,      /* json_t *, borrowed: any JSON object, checked by the caller */
};

struct json_list {
    void *items; /* array of the spec's struct, in the arena */
    size_t count;
};

struct json_texts {
    const char **items;
    size_t count;
};

struct json_ints {
    const int64_t *items;
    size_t count;
};

#define JSON_REQUIRED 1u
#define JSON_NULLABLE 2u /* null counts as absent */

struct json_member {
    const char *name;
    enum json_want want;
    size_t offset;
    unsigned flags;
    int64_t min, max; /* both 0: the type's own default range */
    const struct json_spec *spec;
    const char *const *choices; /* ended by NULL */
};

struct json_spec {
    size_t size; /* of the struct */
    const struct json_member *members;
    size_t count;
};

/* {JSON_MEMBER(struct bid, price), .want = JSON_WANT_YUAN, .flags = JSON_REQUIRED}: the member named as the
 * field. */
#define JSON_MEMBER(type, field) .name = #field, .offset = offsetof(type, field)
#define JSON_SPEC(type, table)                                                             \
    {                                                                                      \
        .size = sizeof(type), .members = (table), .count = sizeof(table) / sizeof *(table) \
    }

/* Reads `json` (an object) into *value. Absent members are left as they are, so the caller sets defaults
 * first (items of lists start zeroed). Text is borrowed from `json`. All violations in one ERR_INVALID error.
 */
struct error *json_read(struct arena *arena, const json_t *json, const struct json_spec *spec,
                        void *value) ERROR_MUST_USE;

/* Parses one JSON text of at most `length` bytes: UTF-8, duplicate members refused, nesting at most
 * JSON_DEPTH_MAX, trailing bytes and numbers of 2^63 and more (also as 1e308) refused. The result belongs to
 * the caller. */
#define JSON_DEPTH_MAX 32
struct error *json_parse(const char *text, size_t length, json_t **ret_json) ERROR_MUST_USE;
/* Same, released with the arena. */
struct error *json_parse_in(struct arena *arena, const char *text, size_t length,
                            json_t **ret_json) ERROR_MUST_USE;

/* Canonical text: sorted keys, compact; for digests and comparison. In the arena. */
const char *json_canonical(struct arena *arena, const json_t *json);

/* json_decref when the arena dies. Returns json. */
json_t *json_hold(struct arena *arena, json_t *json);

/* Member builders that end the process when memory is out, so that a built answer is whole. */
void json_put(json_t *object, const char *name, json_t *value);         /* steals value */
void json_put_text(json_t *object, const char *name, const char *text); /* NULL: the member is left out */
void json_put_int(json_t *object, const char *name, int64_t value);
void json_put_bool(json_t *object, const char *name, bool value);
void json_put_moment(json_t *object, const char *name, int64_t at);
void json_put_yuan(json_t *object, const char *name, int64_t fen);       /* "14.02" */
void json_put_quantity(json_t *object, const char *name, int64_t micro); /* "0.5" */
void json_push(json_t *array, json_t *value);                            /* steals value */

#endif
