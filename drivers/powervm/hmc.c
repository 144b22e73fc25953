/* See hmc.h. Sessions are an HMC's scarce resource and three refused logons lock its account: one session per
 * driver session, logged off at close; one logon anew when the HMC lost it; none after a refusal. */
#include "drivers/powervm/hmc.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/moment.h"
#include "drivers/https.h"
#include "drivers/powervm/atom.h"
#include "drivers/powervm/refusal.h"

#define REFUSAL_TEXT_MAX 2000 /* bytes of the HMC's text in an error */

struct hmc {
    struct https *https;
    char *origin; /* "https://host:port" */
    char *base;
    char *username, *password;
    char *token; /* NULL: not logged on */
    bool shut;   /* a logon was refused: nothing more is asked */
    int percent; /* last progress told */
    const char *step;
    const struct driver_call *call; /* of the request that runs */
};

/* One request below the origin. */
struct request {
    const char *method, *path;
    const char *content_type; /* NULL without a body */
    const char *body;
    const char *etag;
    const char *token;
    int64_t timeout_us;
};

static struct error *log_on(struct hmc *hmc, const struct driver_call *call) ERROR_MUST_USE;

bool hmc_refused_with(const struct error *error, const char *code)
{
    return strstr(error_message(error), code) != NULL; /* the HMC's own text is kept in the message */
}

const char *hmc_base(const struct hmc *hmc)
{
    return hmc->base;
}

const char *hmc_user(const struct hmc *hmc)
{
    return hmc->username;
}

const char *hmc_address(const struct hmc *hmc, struct arena *arena)
{
    const char *host = hmc->origin + strlen("https://");
    if (*host == '[')
        return arena_strndup(arena, host + 1, strcspn(host + 1, "]"));
    return arena_strndup(arena, host, strcspn(host, ":"));
}

struct error *hmc_progress(struct hmc *hmc, const struct driver_call *call, int percent, const char *step)
{
    hmc->percent = percent;
    hmc->step = step;
    if (call->progress && !call->progress(call->context, percent, step))
        return error_new(ERR_CANCELLED, "cancelled while: %s", step);
    return NULL;
}

static bool keep_going(void *context)
{
    const struct hmc *hmc = context;
    return !hmc->call->progress ||
           hmc->call->progress(hmc->call->context, hmc->percent, hmc->step ? hmc->step : "");
}

/* One round trip; any status is success. */
static struct error *round_trip(struct hmc *hmc, const struct driver_call *call,
                                const struct request *request, struct https_answer *ret_answer)
{
    const char *headers[4];
    size_t count = 0;
    struct arena *arena = call->arena;
    headers[count++] = "Accept: */*";
    if (request->token)
        headers[count++] = arena_printf(arena, "X-API-Session: %s", request->token);
    if (request->content_type)
        headers[count++] = arena_printf(arena, "Content-Type: %s", request->content_type);
    if (request->etag)
        headers[count++] = arena_printf(arena, "If-Match: %s", request->etag);
    struct https_request wire = {.method = request->method,
                                 .url = arena_printf(arena, "%s%s", hmc->origin, request->path),
                                 .headers = headers,
                                 .header_count = count,
                                 .body = request->body,
                                 .body_length = request->body ? strlen(request->body) : 0,
                                 .limit = HMC_ANSWER_MAX,
                                 .deadline_us = call->deadline_us,
                                 .timeout_us = request->timeout_us,
                                 /* a write that is cut short has an unknown outcome: it ends by itself */
                                 .keep_going = strcmp(request->method, "GET") == 0 ? keep_going : NULL,
                                 .context = hmc};
    hmc->call = call;
    struct error *error = https_send(hmc->https, &wire, ret_answer);
    hmc->call = NULL;
    return error_wrap(error, "%s %s", request->method, request->path);
}

/* The error that a refusing answer means. */
static struct error *refuse(struct hmc *hmc, struct arena *arena, const struct request *request,
                            const struct https_answer *answer)
{
    const char *reason = NULL, *text = NULL;
    xmlNode *root = NULL;
    struct error *unreadable = atom_parse(arena, answer->body, answer->length, &root);
    error_ignore(unreadable); /* some refusals have no body or an HTML one: the status says enough then */
    if (root) {
        const xmlNode *response = atom_payload(root);
        response = response ? response : root;
        reason = atom_text(arena, response, "ReasonCode");
        text = atom_text(arena, response, "Message");
    }
    struct error *error =
        error_new(refusal_code(answer->status, reason, text), "%s %s: HTTP %d%s%s%s%.*s", request->method,
                  request->path, answer->status, reason ? " " : "", reason ? reason : "", text ? ": " : "",
                  REFUSAL_TEXT_MAX, text ? text : "");
    if (answer->status == 503 || answer->status == 429)
        error_set_retry_after(error, 5);
    return error;
}

/* The HMC no longer knows the session: 401, or 403 with the reason "no session" or "session expired". */
static bool session_lost(struct arena *arena, const struct https_answer *answer)
{
    if (answer->status != 403)
        return answer->status == 401;
    xmlNode *root = NULL;
    struct error *unreadable = atom_parse(arena, answer->body, answer->length, &root);
    error_ignore(unreadable); /* then it is an ordinary 403 */
    const xmlNode *response = root ? atom_payload(root) : NULL;
    return response && (atom_is(response, "ReasonCode", "4") || atom_is(response, "ReasonCode", "5"));
}

/* A request within the session: logs on once more when the session is lost. Refusals are errors. */
static struct error *ask(struct hmc *hmc, const struct driver_call *call, struct request request,
                         struct https_answer *ret_answer)
{
    struct https_answer answer;
    for (int attempt = 0;; attempt++) {
        if (hmc->shut)
            return error_new(ERR_DENIED, "the HMC refused the logon; it is not tried again in this session");
        if (!hmc->token)
            TRY(log_on(hmc, call));
        request.token = hmc->token;
        TRY(round_trip(hmc, call, &request, &answer));
        if (attempt > 0 || !session_lost(call->arena, &answer))
            break;
        free(hmc->token);
        hmc->token = NULL;
    }
    if (answer.status >= 200 && answer.status < 300) {
        *ret_answer = answer;
        return NULL;
    }
    return refuse(hmc, call->arena, &request, &answer);
}

static struct error *read_answer(struct arena *arena, const struct request *request,
                                 const struct https_answer *answer, xmlNode **ret_root)
{
    if (answer->status == 204 || answer->length == 0) {
        *ret_root = NULL;
        return NULL;
    }
    TRY_DOING(atom_parse(arena, answer->body, answer->length, ret_root), "%s %s", request->method,
              request->path);
    return NULL;
}

static struct error *log_on(struct hmc *hmc, const struct driver_call *call)
{
    struct atom_writer *writer = atom_writer_new("LogonRequest", ATOM_WEB);
    atom_leaf(writer, "UserID", hmc->username);
    atom_leaf(writer, "Password", hmc->password);
    struct request request = {.method = "PUT",
                              .path = "/rest/api/web/Logon",
                              .content_type = "application/vnd.ibm.powervm.web+xml; type=LogonRequest",
                              .body = atom_writer_finish(writer, call->arena)};
    struct https_answer answer;
    TRY_DOING(round_trip(hmc, call, &request, &answer), "could not log on to the HMC");
    if (answer.status == 404)
        return error_new(ERR_UNAVAILABLE,
                         "could not log on to the HMC: its REST service is not up yet (HTTP 404)");
    if (answer.status != 200) {
        struct error *error = refuse(hmc, call->arena, &request, &answer);
        hmc->shut = error_code(error) == ERR_DENIED || error_code(error) == ERR_INVALID;
        return error_recode(error, hmc->shut ? ERR_DENIED : error_code(error), "could not log on to the HMC");
    }
    xmlNode *root = NULL;
    TRY_DOING(read_answer(call->arena, &request, &answer, &root), "could not log on to the HMC");
    const char *token = atom_text(call->arena, root, "X-API-Session");
    if (!token || strpbrk(token, "\r\n"))
        return error_new(ERR_UNAVAILABLE, "could not log on to the HMC: its answer has no session");
    hmc->token = xstrdup(token);
    return NULL;
}

/* "https://host:port" of the endpoint's URL, whose path, if any, is "/" alone. */
static struct error *parse_origin(const char *url, char **ret_origin)
{
    const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : NULL;
    size_t length = host ? strcspn(host, "/?#@") : 0;
    if (length == 0 || (host[length] && strcmp(host + length, "/") != 0))
        return error_new(ERR_INVALID, "an HMC's URL is https://host:port, not \"%s\"", url);
    *ret_origin = xasprintf("https://%.*s", (int)length, host);
    return NULL;
}

struct error *hmc_open(const struct driver_endpoint *endpoint, const struct driver_call *call,
                       struct hmc **ret_hmc)
{
    if (!endpoint->username || !endpoint->password)
        return error_new(ERR_INVALID, "an HMC needs a user name and a password");
    struct hmc *hmc = xcalloc(1, sizeof *hmc);
    struct https_options options = {.ca_file = endpoint->ca_file,
                                    .fingerprint = endpoint->fingerprint,
                                    .timeout_us = endpoint->timeout_us};
    struct error *error = parse_origin(endpoint->url, &hmc->origin);
    if (!error)
        error = https_open(&options, &hmc->https);
    if (!error) {
        hmc->base = xasprintf("%s/rest/api/uom/", hmc->origin);
        hmc->username = xstrdup(endpoint->username);
        hmc->password = xstrdup(endpoint->password);
        error = log_on(hmc, call);
    }
    if (error) {
        hmc_close(hmc);
        return error;
    }
    *ret_hmc = hmc;
    return NULL;
}

static void log_off(struct hmc *hmc)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + HMC_LOGOFF_US};
    struct request request = {.method = "DELETE", .path = "/rest/api/web/Logon", .token = hmc->token};
    struct https_answer answer;
    struct error *error = round_trip(hmc, &call, &request, &answer);
    error_ignore(error); /* closing never fails; the HMC ends idle sessions by itself in the end */
}

void hmc_close(struct hmc *hmc)
{
    if (!hmc)
        return;
    if (hmc->token)
        log_off(hmc);
    https_close(hmc->https);
    if (hmc->password)
        explicit_bzero(hmc->password, strlen(hmc->password));
    free(hmc->origin);
    free(hmc->base);
    free(hmc->username);
    free(hmc->password);
    free(hmc->token);
    free(hmc);
}

static const char *below_uom(struct arena *arena, const char *path)
{
    return arena_printf(arena, "/rest/api/uom/%s", path);
}

static const char *uom_type(struct arena *arena, const char *kind)
{
    return arena_printf(arena, "application/vnd.ibm.powervm.uom+xml; type=%s", kind);
}

struct error *hmc_get(struct hmc *hmc, const struct driver_call *call, const char *path, xmlNode **ret_root)
{
    struct request request = {.method = "GET", .path = below_uom(call->arena, path)};
    struct https_answer answer;
    TRY(ask(hmc, call, request, &answer));
    return read_answer(call->arena, &request, &answer, ret_root);
}

struct error *hmc_quick(struct hmc *hmc, const struct driver_call *call, const char *path,
                        const char **ret_text)
{
    struct request request = {.method = "GET", .path = below_uom(call->arena, path)};
    struct https_answer answer;
    TRY(ask(hmc, call, request, &answer));
    *ret_text = arena_strndup(call->arena, answer.body, answer.length);
    return NULL;
}

struct error *hmc_events(struct hmc *hmc, const struct driver_call *call, xmlNode **ret_root)
{
    struct request request = {
        .method = "GET", .path = below_uom(call->arena, "Event"), .timeout_us = HMC_EVENTS_US};
    struct https_answer answer;
    TRY(ask(hmc, call, request, &answer));
    return read_answer(call->arena, &request, &answer, ret_root);
}

struct error *hmc_put(struct hmc *hmc, const struct driver_call *call, const char *path, const char *kind,
                      const char *body, xmlNode **ret_root)
{
    struct request request = {.method = "PUT",
                              .path = below_uom(call->arena, path),
                              .content_type = uom_type(call->arena, kind),
                              .body = body};
    struct https_answer answer;
    TRY(ask(hmc, call, request, &answer));
    return read_answer(call->arena, &request, &answer, ret_root);
}

struct error *hmc_delete(struct hmc *hmc, const struct driver_call *call, const char *path)
{
    struct request request = {.method = "DELETE", .path = below_uom(call->arena, path)};
    struct https_answer answer;
    struct error *error = ask(hmc, call, request, &answer);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* gone is what was wanted */
        return NULL;
    }
    return error;
}

/* One attempt of hmc_update; *ret_stale when the ETag no longer matched. */
static struct error *update_once(struct hmc *hmc, const struct driver_call *call, const char *path,
                                 const char *kind, hmc_edit *edit, void *context, bool *ret_stale)
{
    xmlNode *root = NULL;
    bool *changed = arena_alloc(call->arena, sizeof *changed);
    *changed = true;
    *ret_stale = false;
    TRY(hmc_get(hmc, call, path, &root));
    xmlNode *payload = atom_payload(root);
    const char *etag = atom_etag(call->arena, root);
    if (!payload || !etag)
        return error_new(ERR_UNAVAILABLE, "GET %s: the answer is not an entry with an ETag", path);
    struct error *error = edit(context, call->arena, payload, changed);
    if (error || !*changed)
        return error;
    struct request request = {.method = "POST",
                              .path = below_uom(call->arena, path),
                              .content_type = uom_type(call->arena, kind),
                              .body = atom_serialize(call->arena, payload),
                              .etag = etag};
    struct https_answer answer;
    error = ask(hmc, call, request, &answer);
    *ret_stale = error && hmc_refused_with(error, "HTTP 412");
    return error;
}

struct error *hmc_update(struct hmc *hmc, const struct driver_call *call, const char *path, const char *kind,
                         hmc_edit *edit, void *context)
{
    for (int attempt = 1;; attempt++) {
        ARENA_AUTO struct arena *scratch = arena_new();
        struct driver_call inner = *call;
        inner.arena = scratch;
        bool stale = false;
        struct error *error = update_once(hmc, &inner, path, kind, edit, context, &stale);
        if (!error)
            return NULL;
        if (!stale || attempt == HMC_UPDATE_TRIES)
            return error_wrap(error, "could not change %s (attempt %d)", kind, attempt);
        error_ignore(error); /* somebody else was faster: read again */
    }
}

static const char *job_body(struct arena *arena, const char *kind, const char *operation,
                            const struct hmc_parameter *parameters, size_t count)
{
    struct atom_writer *writer = atom_writer_new("JobRequest", ATOM_WEB);
    atom_open(writer, "RequestedOperation");
    atom_leaf(writer, "OperationName", operation);
    atom_leaf(writer, "GroupName", kind);
    atom_close(writer);
    atom_open(writer, "JobParameters");
    for (size_t i = 0; i < count; i++) {
        atom_open(writer, "JobParameter");
        atom_leaf(writer, "ParameterName", parameters[i].name);
        atom_leaf(writer, "ParameterValue", parameters[i].value);
        atom_close(writer);
    }
    atom_close(writer);
    return atom_writer_finish(writer, arena);
}

/* What a failed job says: a result parameter, or the exception's message. */
static const char *job_text(struct arena *arena, const xmlNode *job)
{
    const xmlNode *results = atom_child(job, "Results");
    for (const xmlNode *item = atom_child(results, "JobParameter"); item; item = atom_next(item)) {
        static const char *const names[] = {"result", "ErrorData", "ExceptionText"};
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            const char *value =
                atom_is(item, "ParameterName", names[i]) ? atom_text(arena, item, "ParameterValue") : NULL;
            if (value)
                return value;
        }
    }
    return atom_text(arena, job, "ResponseException/Message");
}

/* Whether the job has ended, and how. */
static struct error *judge_job(struct arena *arena, const xmlNode *job, const char *operation,
                               bool *ret_ended)
{
    const char *status = atom_text(arena, job, "Status");
    *ret_ended = false;
    if (!status)
        return error_new(ERR_UNAVAILABLE, "the job %s has no status", operation);
    *ret_ended = strcmp(status, "NOT_STARTED") != 0 && strcmp(status, "RUNNING") != 0;
    if (!*ret_ended || strcmp(status, "COMPLETED_OK") == 0 || strcmp(status, "COMPLETED") == 0 ||
        strcmp(status, "COMPLETED_WITH_WARNINGS") == 0)
        return NULL;
    const char *text = job_text(arena, job);
    if (strncmp(status, "CANCELED", 8) == 0)
        return error_new(ERR_CONFLICT, "the job %s was cancelled at the HMC", operation);
    return error_new(refusal_code(0, NULL, text), "the job %s ended with %s%s%.*s", operation, status,
                     text ? ": " : "", REFUSAL_TEXT_MAX, text ? text : "");
}

bool hmc_pause(const struct driver_call *call, int64_t *pause_us)
{
    int64_t left = call->deadline_us - moment_monotonic();
    int64_t pause = left < *pause_us ? left : *pause_us;
    struct timespec time = {.tv_sec = pause / MOMENT_SECOND, .tv_nsec = (pause % MOMENT_SECOND) * 1000};
    if (pause > 0)
        (void)nanosleep(&time, NULL); /* shorter is as good: the caller looks again */
    *pause_us = *pause_us * 3 / 2 < HMC_POLL_MAX_US ? *pause_us * 3 / 2 : HMC_POLL_MAX_US;
    return moment_monotonic() < call->deadline_us;
}

/* Whether a failed look at a job may be followed by another one. */
static bool look_again(enum error_code code)
{
    return code == ERR_UNAVAILABLE || code == ERR_BUSY || code == ERR_TIMEOUT;
}

struct error *hmc_job_look(struct hmc *hmc, const struct driver_call *call, const char *job,
                           const char *operation, int *failures, bool *ret_ended)
{
    xmlNode *root = NULL;
    struct error *error = hmc_get(hmc, call, job, &root);
    *ret_ended = false;
    if (!error) {
        *failures = 0;
        return judge_job(call->arena, atom_payload(root), operation, ret_ended);
    }
    if (error_code(error) == ERR_NOT_FOUND)
        return error_recode(error, ERR_UNAVAILABLE, "the job %s vanished", operation);
    if (!look_again(error_code(error)) || ++*failures == HMC_POLL_FAILURES)
        return error_wrap(error, "could not follow the job %s", operation);
    error_ignore(error); /* the next look may work; past the deadline there is none */
    return NULL;
}

/* Looks at a job until it ends. */
static struct error *await_job(struct hmc *hmc, const struct driver_call *call, const char *path,
                               const char *operation)
{
    int64_t pause = HMC_POLL_MIN_US;
    for (int failures = 0;;) {
        ARENA_AUTO struct arena *scratch = arena_new();
        struct driver_call look = *call;
        look.arena = scratch;
        if (!hmc_pause(call, &pause))
            return error_new(ERR_TIMEOUT, "the job %s has not ended in time; it goes on", operation);
        TRY(hmc_progress(hmc, call, hmc->percent, hmc->step ? hmc->step : operation));
        bool ended = false;
        TRY(hmc_job_look(hmc, &look, path, operation, &failures, &ended));
        if (ended)
            return NULL;
    }
}

/* After the job: its record is removed, or it is asked to stop. Best effort, for the outcome is decided
 * already. */
static void end_job(struct hmc *hmc, const char *path, const char *method, const char *tail)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + HMC_LOGOFF_US};
    struct request request = {.method = method,
                              .path = arena_printf(arena, "/rest/api/uom/%s%s", path, tail)};
    struct https_answer answer;
    struct error *error = ask(hmc, &call, request, &answer);
    error_ignore(error); /* the HMC forgets jobs by itself after a day */
}

struct error *hmc_job_start(struct hmc *hmc, const struct driver_call *call, const char *kind, const char *id,
                            const char *operation, const struct hmc_parameter *parameters, size_t count,
                            const char **ret_job)
{
    struct arena *arena = call->arena;
    struct request request = {.method = "PUT",
                              .path = arena_printf(arena, "/rest/api/uom/%s/%s/do/%s", kind, id, operation),
                              .content_type = "application/vnd.ibm.powervm.web+xml; type=JobRequest",
                              .body = job_body(arena, kind, operation, parameters, count)};
    struct https_answer answer;
    xmlNode *root = NULL;
    TRY(ask(hmc, call, request, &answer));
    TRY(read_answer(arena, &request, &answer, &root));
    const char *job = atom_text(arena, atom_payload(root), "JobID"); /* the SELF link is not to be trusted */
    if (!job || strspn(job, "0123456789") != strlen(job))
        return error_new(ERR_UNAVAILABLE, "the HMC started the job %s without telling its number", operation);
    *ret_job = arena_printf(arena, "jobs/%s", job);
    return NULL;
}

void hmc_job_forget(struct hmc *hmc, const char *job)
{
    end_job(hmc, job, "DELETE", "");
}

struct error *hmc_job(struct hmc *hmc, const struct driver_call *call, const char *kind, const char *id,
                      const char *operation, const struct hmc_parameter *parameters, size_t count)
{
    const char *path = NULL;
    TRY(hmc_job_start(hmc, call, kind, id, operation, parameters, count, &path));
    struct error *error = await_job(hmc, call, path, operation);
    if (!error || (error_code(error) != ERR_CANCELLED && error_code(error) != ERR_TIMEOUT &&
                   error_code(error) != ERR_UNAVAILABLE))
        end_job(hmc, path, "DELETE", "");
    else if (error_code(error) == ERR_CANCELLED)
        end_job(hmc, path, "POST", "/cancel");
    return error;
}
