/* See problem.h. */
#include "broker/http/problem.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/base/log.h"

struct kind {
    int status;
    const char *title;
    int retry_after; /* seconds when the error names none; 0: no Retry-After */
    bool quiet;      /* the caller is told the title alone */
};

static struct kind kind_of(enum error_code code)
{
    switch (code) {
    case ERR_INVALID:
        return (struct kind){422, "The request breaks a rule", 0, false};
    case ERR_UNAUTHENTICATED:
        return (struct kind){401, "Credentials are missing or not valid", 0, false};
    case ERR_DENIED:
        return (struct kind){403, "Not allowed", 0, false};
    case ERR_NOT_FOUND:
        return (struct kind){404, "Not found", 0, false};
    case ERR_EXISTS:
        return (struct kind){409, "It exists already", 0, false};
    case ERR_CONFLICT:
        return (struct kind){409, "The present state forbids it", 0, false};
    case ERR_STALE:
        return (struct kind){412, "It has changed meanwhile", 0, false};
    case ERR_PRECONDITION_REQUIRED:
        return (struct kind){428, "A precondition is required", 0, false};
    case ERR_QUOTA:
        return (struct kind){409, "The quota forbids it", 0, false};
    case ERR_NO_CAPACITY:
        return (struct kind){409, "No capacity", 0, false};
    case ERR_UNSUPPORTED:
        return (struct kind){422, "Not supported there", 0, false};
    case ERR_TOO_LARGE:
        return (struct kind){413, "Too large", 0, false};
    case ERR_BUSY:
        return (struct kind){503, "Busy", 1, false};
    case ERR_UNAVAILABLE:
        return (struct kind){503, "Unavailable at present", 5, true};
    case ERR_TIMEOUT:
        return (struct kind){504, "Out of time; the outcome may be unknown", 0, true};
    case ERR_CANCELLED:
        return (struct kind){409, "Cancelled", 0, false};
    case ERR_SERIALIZATION:
        return (struct kind){503, "Too many conflicting requests", 1, true};
    case ERR_IO:
    case ERR_INTERNAL:
        break;
    }
    return (struct kind){500, "Internal error", 0, true};
}

/* Titles of statuses that the server itself chooses. */
static const char *title_of(int status, const char *fallback)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        {400, "Malformed request"},
        {404, "Not found"},
        {405, "Method not allowed"},
        {406, "Not acceptable"},
        {408, "The body did not arrive in time"},
        {409, "Conflict"},
        {413, "The body is too large"},
        {414, "The request target is too long"},
        {415, "Unsupported media type"},
        {422, "The request breaks a rule"},
        {431, "The header fields are too large"},
        {503, "Busy"},
        {504, "Out of time; the outcome may be unknown"},
    };
    for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
        if (titles[i].status == status)
            return titles[i].title;
    return fallback;
}

static bool about_query(const struct error *error)
{
    size_t count;
    const struct error_detail *details = error_details(error, &count);
    for (size_t i = 0; i < count; i++)
        if (details[i].pointer[0] == '?')
            return true;
    return false;
}

int problem_status(const struct error *error)
{
    enum error_code code = error_code(error);
    return code == ERR_INVALID && about_query(error) ? 400 : kind_of(code).status;
}

/* Messages may quote what a peer sent, which need not be UTF-8: bytes above ASCII then become "?". */
static void put_message(json_t *object, const char *name, const char *text)
{
    json_t *value = json_string(text);
    if (!value) {
        char *clean = xstrdup(text);
        for (char *c = clean; *c; c++)
            if ((unsigned char)*c >= 0x80)
                *c = '?';
        value = json_string(clean);
        free(clean);
    }
    json_put(object, name, value);
}

static void put_details(json_t *problem, const struct error *error)
{
    size_t count;
    const struct error_detail *details = error_details(error, &count);
    if (!count)
        return;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *entry = json_object();
        if (details[i].pointer[0] == '?')
            put_message(entry, "parameter", details[i].pointer + 1);
        else
            put_message(entry, "pointer", details[i].pointer);
        put_message(entry, "detail", details[i].message);
        json_push(list, entry);
    }
    json_put(problem, "errors", list);
}

json_t *problem_json(struct arena *arena, const struct error *error, int status)
{
    enum error_code code = error_code(error);
    struct kind kind = kind_of(code);
    json_t *problem = json_object();
    if (!status)
        status = problem_status(error);
    json_put_text(problem, "type", arena_printf(arena, "urn:yunqiao:problem:%s", error_code_name(code)));
    json_put_text(problem, "title", status == kind.status ? kind.title : title_of(status, kind.title));
    json_put_int(problem, "status", status);
    if (!kind.quiet || status < 500) { /* 408 is the caller's own timeout */
        put_message(problem, "detail", error_message(error));
        put_details(problem, error);
    }
    return problem;
}

struct response *problem_response(const struct error *error, int status, const char *request_id)
{
    struct kind kind = kind_of(error_code(error));
    if (!status)
        status = problem_status(error);
    if (kind.quiet && status >= 500)
        log_error("http.failed", LOG_TEXT("request", request_id), LOG_INT("status", status),
                  LOG_CAUSE(error));
    struct response *response = response_new(status);
    json_t *problem = problem_json(response->arena, error, status);
    json_put_text(problem, "instance",
                  request_id ? arena_printf(response->arena, "urn:yunqiao:request:%s", request_id) : NULL);
    char *text = json_dumps(problem, JSON_COMPACT);
    json_decref(problem);
    if (!text)
        abort(); /* out of memory, like the rest of the broker */
    response_body(response, "application/problem+json", text, strlen(text), true);
    response_field(response, "cache-control", "no-store");
    if (status == 401)
        response_field(response, "www-authenticate", "Bearer realm=\"yunqiao\"");
    int wait = error_retry_after(error) ? error_retry_after(error) : kind.retry_after;
    if (wait && (status == 503 || error_retry_after(error)))
        response_field(response, "retry-after", arena_printf(response->arena, "%d", wait));
    return response;
}
