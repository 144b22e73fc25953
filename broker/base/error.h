/* Error values: owned, chained to their cause, carrying what a caller may act on. NULL is success.
 *
 * A function that can fail returns `struct error *`; its outputs are `ret_*`, last, and untouched on failure.
 * Each layer wraps with what it was doing: `could not start instance "web-1": connection refused`. The edge
 * (an HTTP answer, the command line, a job's row) shows the error once and frees it. */
#ifndef BROKER_BASE_ERROR_H
#define BROKER_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/* One code says what the caller can do about it. broker/http/problem.c is the one place that maps codes to
 * HTTP. */
#define ERROR_CODES(X)                                                                                      \
    X(ERR_INVALID, "invalid")                 /* the input breaks a rule; details name the members */       \
    X(ERR_UNAUTHENTICATED, "unauthenticated") /* who calls is not known */                                  \
    X(ERR_DENIED, "denied")                   /* the caller, or the broker at a provider, may not */        \
    X(ERR_NOT_FOUND, "not-found")             /* no such thing, or none in the caller's scope */            \
    X(ERR_EXISTS, "exists")                   /* the name or id is taken */                                 \
    X(ERR_CONFLICT, "conflict")               /* the state of the thing forbids it now */                   \
    X(ERR_STALE, "stale")                     /* If-Match or a fencing token no longer matches */           \
    X(ERR_PRECONDITION_REQUIRED, "precondition-required") /* If-Match or Idempotency-Key is missing */      \
    X(ERR_QUOTA, "quota")                                 /* the unit's quota forbids it */                 \
    X(ERR_NO_CAPACITY, "no-capacity")                     /* the cloud or provider has no room */           \
    X(ERR_UNSUPPORTED, "unsupported")                     /* the driver or provider cannot */               \
    X(ERR_TOO_LARGE, "too-large")                         /* over a named cap */                            \
    X(ERR_BUSY, "busy")                                   /* try again later: queue full, lock held */      \
    X(ERR_UNAVAILABLE, "unavailable")                     /* a peer cannot be reached or answers garbage */ \
    X(ERR_TIMEOUT, "timeout")                             /* out of time; the outcome may be unknown */     \
    X(ERR_CANCELLED, "cancelled")                         /* asked to stop */                               \
    X(ERR_IO, "io")                                       /* a file or socket of our own failed */          \
    X(ERR_SERIALIZATION, "serialization") /* the database asks to run the transaction again */              \
    X(ERR_INTERNAL, "internal")           /* a bug or a broken invariant */

enum error_code {
#define X(code, name) code,
    ERROR_CODES(X)
#undef X
};

struct error;

/* One member that breaks a rule: a JSON pointer ("/resources/0/spec/vcpu") and what the rule asks. */
struct error_detail {
    const char *pointer;
    const char *message;
};

#define ERROR_MUST_USE __attribute__((warn_unused_result))
#define ERROR_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Never returns NULL: when memory is out it returns a static error that error_free ignores. */
struct error *error_new(enum error_code code, const char *format, ...) ERROR_PRINTF(2, 3) ERROR_MUST_USE;
struct error *error_new_v(enum error_code code, const char *format, va_list args) ERROR_MUST_USE;

/* Wraps `cause` (consumed) with what was being done; the code and details stay those of the cause. NULL stays
 * NULL. */
struct error *error_wrap(struct error *cause, const char *format, ...) ERROR_PRINTF(2, 3) ERROR_MUST_USE;

/* Wraps and changes the code, for a layer that knows better what the caller can do. NULL stays NULL. */
struct error *error_recode(struct error *cause, enum error_code code, const char *format, ...)
    ERROR_PRINTF(3, 4) ERROR_MUST_USE;

/* ERR_INVALID for one member; error_add_detail appends further ones. At most ERROR_DETAILS_MAX are kept. */
#define ERROR_DETAILS_MAX 200
struct error *error_member(const char *pointer, const char *format, ...) ERROR_PRINTF(2, 3) ERROR_MUST_USE;
void error_add_detail(struct error *error, const char *pointer, const char *format, ...) ERROR_PRINTF(3, 4);
/* Appends a detail to *errors, making an ERR_INVALID error "the request breaks N rules" style holder when
 * NULL. */
void error_collect(struct error **errors, const char *pointer, const char *format, ...) ERROR_PRINTF(3, 4);
/* Puts `prefix` before the pointer of every detail: for a part checked on its own. NULL stays NULL. */
struct error *error_under(struct error *error, const char *prefix) ERROR_MUST_USE;

/* Whether the thing may work if simply tried again later (seconds in `ret_after` when a peer said so, else
 * 0). */
void error_set_retry_after(struct error *error, int seconds);
int error_retry_after(const struct error *error);

enum error_code error_code(const struct error *error);
const char *error_code_name(enum error_code code);
/* The whole chain, outermost first, joined by ": ". Owned by the error. */
const char *error_message(const struct error *error);
const struct error_detail *error_details(const struct error *error, size_t *ret_count);

void error_free(struct error *error);
/* For an error that is deliberately of no consequence; say why at the call. */
void error_ignore(struct error *error);

static inline void error_cleanup(struct error **error)
{
    error_free(*error);
}
#define ERROR_AUTO __attribute__((cleanup(error_cleanup)))

/* Returns from the function when `expression` fails. */
#define TRY(expression)                         \
    do {                                        \
        struct error *try_error = (expression); \
        if (try_error)                          \
            return try_error;                   \
    } while (0)

/* Same, wrapping with what was being done: TRY_DOING(db_connect(...), "could not open %s", name). */
#define TRY_DOING(expression, ...)                     \
    do {                                               \
        struct error *try_error = (expression);        \
        if (try_error)                                 \
            return error_wrap(try_error, __VA_ARGS__); \
    } while (0)

#endif
