/* Error values; see error.h. An error owns its text and its cause; the message of the whole chain is joined
 * lazily. */
#include "broker/base/error.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct detail {
    char *pointer;
    char *message;
};

struct error {
    enum error_code code;
    char *text;
    char *joined; /* the whole chain, made when first asked for */
    struct error *cause;
    struct detail *details;
    size_t detail_count;
    int retry_after;
    bool is_static;
};

static struct error out_of_memory = {
    .code = ERR_INTERNAL, .text = (char[]){"out of memory"}, .is_static = true};

static char *vtext(const char *format, va_list args)
{
    char *text;
    return vasprintf(&text, format, args) < 0 ? NULL : text;
}

struct error *error_new_v(enum error_code code, const char *format, va_list args)
{
    struct error *error = calloc(1, sizeof *error);
    if (!error)
        return &out_of_memory;
    error->code = code;
    error->text = vtext(format, args);
    if (!error->text) {
        free(error);
        return &out_of_memory;
    }
    return error;
}

struct error *error_new(enum error_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct error *error = error_new_v(code, format, args);
    va_end(args);
    return error;
}

/* Details and retry-after stay at the innermost error; the accessors walk down. */
static struct error *wrap_v(struct error *cause, enum error_code code, const char *format, va_list args)
{
    struct error *error = error_new_v(code, format, args);
    if (error->is_static) {
        error_free(cause);
        return error;
    }
    error->cause = cause;
    error->retry_after = cause->retry_after;
    return error;
}

struct error *error_wrap(struct error *cause, const char *format, ...)
{
    if (!cause)
        return NULL;
    va_list args;
    va_start(args, format);
    struct error *error = wrap_v(cause, cause->code, format, args);
    va_end(args);
    return error;
}

struct error *error_recode(struct error *cause, enum error_code code, const char *format, ...)
{
    if (!cause)
        return NULL;
    va_list args;
    va_start(args, format);
    struct error *error = wrap_v(cause, code, format, args);
    va_end(args);
    return error;
}

static struct error *innermost(struct error *error)
{
    while (error->cause)
        error = error->cause;
    return error;
}

static void add_detail_v(struct error *error, const char *pointer, const char *format, va_list args)
{
    struct error *holder = innermost(error);
    if (holder->is_static || holder->detail_count >= ERROR_DETAILS_MAX)
        return;
    struct detail *grown = reallocarray(holder->details, holder->detail_count + 1, sizeof *holder->details);
    if (!grown)
        return;
    holder->details = grown;
    struct detail detail = {strdup(pointer), vtext(format, args)};
    if (!detail.pointer || !detail.message) {
        free(detail.pointer);
        free(detail.message);
        return;
    }
    holder->details[holder->detail_count++] = detail;
}

void error_add_detail(struct error *error, const char *pointer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_detail_v(error, pointer, format, args);
    va_end(args);
}

struct error *error_member(const char *pointer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    char *rule = vtext(format, again);
    va_end(again);
    struct error *error =
        error_new(ERR_INVALID, "%s: %s", *pointer ? pointer : "the body", rule ? rule : "is not valid");
    free(rule);
    add_detail_v(error, pointer, format, args);
    va_end(args);
    return error;
}

void error_collect(struct error **errors, const char *pointer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    if (!*errors) {
        va_copy(again, args);
        char *rule = vtext(format, again);
        va_end(again);
        *errors =
            error_new(ERR_INVALID, "%s: %s", *pointer ? pointer : "the body", rule ? rule : "is not valid");
        free(rule);
    }
    add_detail_v(*errors, pointer, format, args);
    va_end(args);
}

struct error *error_under(struct error *error, const char *prefix)
{
    if (!error)
        return NULL;
    struct error *holder = innermost(error);
    for (size_t i = 0; i < holder->detail_count; i++) {
        char *pointer;
        if (asprintf(&pointer, "%s%s", prefix, holder->details[i].pointer) < 0)
            continue;
        free(holder->details[i].pointer);
        holder->details[i].pointer = pointer;
    }
    return error;
}

void error_set_retry_after(struct error *error, int seconds)
{
    if (!error->is_static)
        error->retry_after = seconds;
}

int error_retry_after(const struct error *error)
{
    return error->retry_after;
}

enum error_code error_code(const struct error *error)
{
    return error->code;
}

const char *error_code_name(enum error_code code)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        ERROR_CODES(X)
#undef X
    };
    return (size_t)code < sizeof names / sizeof *names ? names[code] : "unknown";
}

const char *error_message(const struct error *error)
{
    if (!error->cause)
        return error->text;
    struct error *own = (struct error *)(uintptr_t)error;
    if (!own->joined && asprintf(&own->joined, "%s: %s", error->text, error_message(error->cause)) < 0) {
        own->joined = NULL;
        return error->text;
    }
    return own->joined;
}

const struct error_detail *error_details(const struct error *error, size_t *ret_count)
{
    _Static_assert(sizeof(struct detail) == sizeof(struct error_detail), "a detail reads as the public view");
    while (error->cause)
        error = error->cause;
    *ret_count = error->detail_count;
    return (const struct error_detail *)error->details;
}

void error_free(struct error *error)
{
    while (error && !error->is_static) {
        struct error *cause = error->cause;
        for (size_t i = 0; i < error->detail_count; i++) {
            free(error->details[i].pointer);
            free(error->details[i].message);
        }
        free(error->details);
        free(error->joined);
        free(error->text);
        free(error);
        error = cause;
    }
}

void error_ignore(struct error *error)
{
    error_free(error);
}
