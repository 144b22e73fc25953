/* See folder.h. */
#include "drivers/vmware/folder.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/moment.h"

#define URL_MAX 8192
#define ANSWER_MAX (64u << 10)                         /* of what is no file: error pages */
#define UPLOAD_US (INT64_C(24) * 3600 * MOMENT_SECOND) /* the call's own deadline comes first */

const char *folder_flat(struct arena *arena, const char *file)
{
    size_t length = strlen(file);
    if (file[0] != '[' || !strstr(file, "] ") || length < 6 || strcmp(file + length - 5, ".vmdk") != 0)
        return NULL;
    return arena_printf(arena, "%.*s-flat.vmdk", (int)(length - 5), file);
}

static void put_escaped(struct buf *buf, const char *text, size_t length, bool slashes)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     strchr("-._~", c) || (slashes && c == '/');
        if (plain && c)
            buf_putc(buf, (char)c);
        else
            buf_printf(buf, "%%%02X", c);
    }
}

static struct error *make_url(const struct driver_session *session, struct arena *arena, const char *file,
                              const char **ret_url)
{
    const char *path = strstr(file, "] "), *host = strstr(session->url, "://");
    const char *root = host ? strchrnul(host + 3, '/') : NULL;
    if (file[0] != '[' || !path || !root)
        return error_new(ERR_INVALID, "%s is no file of a datastore", file);
    BUF_AUTO struct buf buf = BUF_INIT(URL_MAX);
    buf_append(&buf, session->url, (size_t)(root - session->url));
    buf_puts(&buf, "/folder/");
    put_escaped(&buf, path + 2, strlen(path + 2), true);
    buf_puts(&buf, "?dcPath=");
    put_escaped(&buf, session->datacenter_path, strlen(session->datacenter_path), true);
    buf_puts(&buf, "&dsName=");
    put_escaped(&buf, file + 1, (size_t)(path - file - 1), false);
    if (buf_overflowed(&buf))
        return error_new(ERR_INVALID, "the name of the file %s is too long", file);
    *ret_url = arena_strdup(arena, buf_text(&buf));
    return NULL;
}

/* What a status other than success means. */
static struct error *refused(const char *file, int status)
{
    switch (status) {
    case 401:
    case 403:
        return error_new(ERR_DENIED, "the provider refuses access to %s (HTTP status %d)", file, status);
    case 404:
    case 410:
        return error_new(ERR_NOT_FOUND, "the provider has no file %s", file);
    case 416:
        return error_new(ERR_CONFLICT, "the file %s is shorter than its disk", file);
    case 405:
    case 501:
        return error_new(ERR_UNSUPPORTED, "the provider does not do that with files (HTTP status %d)",
                         status);
    case 409:
    case 500:
        return error_new(ERR_BUSY,
                         "the provider does not give the file %s, which may be locked (HTTP status %d)", file,
                         status);
    case 413:
    case 507:
        return error_new(ERR_NO_CAPACITY, "no room for the file %s (HTTP status %d)", file, status);
    default:
        return error_new(ERR_UNAVAILABLE, "the file %s: HTTP status %d", file, status);
    }
}

/* One request with the cookie; a session that ended is renewed and the request repeated. `rewind` may be
 * NULL. */
static struct error *send_request(struct driver_session *session, const struct driver_call *call,
                                  struct https_request *request, const char *range,
                                  void (*rewind)(void *context), struct https_answer *ret_answer)
{
    for (bool renewed = false;; renewed = true) {
        const char *headers[3] = {"Accept: */*"};
        size_t count = 1;
        if (session->cookie)
            headers[count++] = session->cookie;
        if (range)
            headers[count++] = range;
        request->headers = headers;
        request->header_count = count;
        session->fault = FAULT_NONE;
        struct error *error = https_send(session->https, request, ret_answer);
        request->headers = NULL;
        TRY(error);
        if (ret_answer->status != 401 || renewed)
            return NULL;
        TRY(session_login(session, call));
        if (rewind)
            rewind(request->context);
    }
}

struct error *folder_size(struct driver_session *session, const struct driver_call *call, const char *file,
                          uint64_t *ret_size)
{
    const char *url;
    TRY(make_url(session, call->arena, file, &url));
    struct https_request request = {
        .method = "HEAD", .url = url, .limit = ANSWER_MAX, .deadline_us = call->deadline_us};
    struct https_answer answer;
    TRY_DOING(send_request(session, call, &request, NULL, NULL, &answer), "%s", file);
    if (answer.status != 200)
        return refused(file, answer.status);
    const char *length = https_header(session->https, "Content-Length");
    char *end = NULL;
    unsigned long long size = length ? strtoull(length, &end, 10) : 0;
    if (!length || *end)
        return error_new(ERR_UNAVAILABLE, "the provider does not tell the size of %s", file);
    *ret_size = size;
    return NULL;
}

static struct error *read_once(struct driver_session *session, const struct driver_call *call,
                               const char *url, const char *file, uint64_t offset, void *data, size_t length)
{
    char range[80];
    snprintf(range, sizeof range, "Range: bytes=%" PRIu64 "-%" PRIu64, offset, offset + length - 1);
    struct https_request request = {
        .method = "GET", .url = url, .limit = length + ANSWER_MAX, .deadline_us = call->deadline_us};
    struct https_answer answer;
    TRY_DOING(send_request(session, call, &request, range, NULL, &answer), "%s", file);
    if (answer.status != 206)
        return refused(file, answer.status);
    if (answer.length != length)
        return error_new(ERR_UNAVAILABLE, "the provider gives %zu bytes of %s where %zu were asked",
                         answer.length, file, length);
    memcpy(data, answer.body, length);
    return NULL;
}

struct error *folder_read(struct driver_session *session, const struct driver_call *call, const char *file,
                          uint64_t offset, void *data, size_t length)
{
    const char *url;
    TRY(make_url(session, call->arena, file, &url));
    for (int attempt = 1;; attempt++) {
        struct error *error = read_once(session, call, url, file, offset, data, length);
        if (!error || error_code(error) != ERR_UNAVAILABLE || attempt == SESSION_ATTEMPTS)
            return error;
        error_free(error); /* reading changes nothing */
    }
}

struct uploading {
    const struct folder_upload *upload;
    const struct driver_call *call;
    uint64_t sent;
    struct error *error; /* of the caller's read */
    bool stopped;
};

static size_t feed(void *context, char *buffer, size_t size)
{
    struct uploading *uploading = context;
    const struct folder_upload *upload = uploading->upload;
    if (uploading->sent + size > upload->length)
        size = (size_t)(upload->length - uploading->sent);
    uploading->error = upload->read(upload->context, uploading->sent, buffer, size);
    if (uploading->error)
        return 0;
    uploading->sent += size;
    return size;
}

static bool tell(void *context)
{
    struct uploading *uploading = context;
    const struct driver_call *call = uploading->call;
    uint64_t length = uploading->upload->length;
    int percent = length ? (int)((double)uploading->sent * 100 / (double)length) : 0;
    if (call->progress && !call->progress(call->context, percent, "upload"))
        uploading->stopped = true;
    return !uploading->stopped;
}

static void from_start(void *context)
{
    struct uploading *uploading = context;
    uploading->sent = 0;
}

struct error *folder_put(struct driver_session *session, const struct driver_call *call,
                         const struct folder_upload *upload)
{
    const char *url;
    TRY(make_url(session, call->arena, upload->file, &url));
    struct uploading uploading = {.upload = upload, .call = call};
    struct https_request request = {.method = "PUT",
                                    .url = url,
                                    .body_length = upload->length,
                                    .source = feed,
                                    .limit = ANSWER_MAX,
                                    .deadline_us = call->deadline_us,
                                    .timeout_us = UPLOAD_US,
                                    .keep_going = tell,
                                    .context = &uploading};
    struct https_answer answer;
    struct error *error = send_request(session, call, &request, NULL, from_start, &answer);
    if (uploading.error) {
        error_free(error); /* "cancelled", for that reason */
        return error_wrap(uploading.error, "%s", upload->file);
    }
    TRY_DOING(error, "%s", upload->file);
    if (answer.status < 200 || answer.status > 204)
        return refused(upload->file, answer.status);
    return NULL;
}
