/* See https.h. The certificate is judged inside the TLS handshake by OpenSSL's verify callback, so a wrong
 * one ends the connection before the request, and with it the credentials, is written. */
#include "drivers/https.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/moment.h"

#define USER_AGENT "yunqiao"
#define CHUNK_BYTES (512L * 1024) /* that libcurl hands over at once, at most */
#define KEPT_MAX (1024 * 1024)    /* a larger buffer is given back before the next request */

struct https {
    CURL *curl;
    char *fingerprint; /* wanted; NULL: by CA */
    char *ca_file;
    int64_t timeout_us;
    char
        seen[HTTPS_FINGERPRINT_LENGTH + 1]; /* of the peer's certificate in the last handshake; "" none yet */
    bool refused;                           /* the pin did not match */
    struct buf body;
    struct buf headers; /* "Name: value\0" after each other */
    const struct https_request *request;
    size_t sent; /* bytes of request->body handed to libcurl */
    bool cancelled;
    enum https_outcome outcome;
    char message[CURL_ERROR_SIZE];
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void curl_start(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void prepare(struct buf *buf, size_t cap)
{
    if (buf->capacity > KEPT_MAX)
        buf_done(buf);
    buf_clear(buf);
    buf->cap = cap;
}

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct https *https = context;
    buf_append(&https->body, data, size * count);
    return buf_overflowed(&https->body) ? 0 : size * count;
}

static size_t on_header(char *data, size_t size, size_t count, void *context)
{
    struct https *https = context;
    size_t length = size * count, kept = length;
    if (length >= 5 && memcmp(data, "HTTP/", 5) == 0)
        buf_clear(&https->headers); /* the final answer's after a 100 Continue */
    while (kept && strchr("\r\n \t", data[kept - 1]))
        kept--;
    if (kept) {
        buf_append(&https->headers, data, kept);
        buf_putc(&https->headers, '\0');
    }
    return buf_overflowed(&https->headers) ? 0 : length;
}

static size_t on_read(char *buffer, size_t size, size_t count, void *context)
{
    struct https *https = context;
    size_t left = https->request->body_length - https->sent;
    size_t length = size * count < left ? size * count : left;
    if (length && https->request->source) {
        length = https->request->source(https->request->context, buffer, length);
        https->cancelled = !length;
        if (!length)
            return CURL_READFUNC_ABORT;
    } else if (length) {
        memcpy(buffer, (const char *)https->request->body + https->sent, length);
    }
    https->sent += length;
    return length;
}

/* libcurl rewinds only to send a body a second time on a fresh connection, when a kept one broke: a driver
 * decides that, for the first one may have had its effect. */
static int on_seek(void *context, curl_off_t offset, int origin)
{
    const struct https *https = context;
    return offset == 0 && origin == SEEK_SET && https->sent == 0 ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

static int on_progress(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    struct https *https = context;
    if (https->request->keep_going && !https->request->keep_going(https->request->context))
        https->cancelled = true;
    return https->cancelled;
}

/* OpenSSL's judgement of the peer's chain, replaced: the leaf's digest alone counts. */
static int on_certificate(X509_STORE_CTX *chain, void *context)
{
    struct https *https = context;
    const X509 *leaf = X509_STORE_CTX_get0_cert(chain);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    https->refused = true;
    if (leaf && X509_digest(leaf, EVP_sha256(), digest, &length) == 1 &&
        length * 2 == HTTPS_FINGERPRINT_LENGTH) {
        static const char digits[] = "0123456789abcdef";
        for (unsigned i = 0; i < length; i++) {
            https->seen[2 * i] = digits[digest[i] >> 4];
            https->seen[2 * i + 1] = digits[digest[i] & 15];
        }
        https->seen[HTTPS_FINGERPRINT_LENGTH] = '\0';
        https->refused = strcmp(https->seen, https->fingerprint) != 0;
    }
    X509_STORE_CTX_set_error(chain, https->refused ? X509_V_ERR_CERT_REJECTED : X509_V_OK);
    return !https->refused;
}

static CURLcode on_ssl_context(CURL *curl, void *ssl_context, void *context)
{
    SSL_CTX_set_verify(ssl_context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ssl_context, on_certificate, context);
    return CURLE_OK;
}

/* Options that never change on this handle. */
static CURLcode configure(struct https *https)
{
    CURL *curl = https->curl;
    CURLcode code = CURLE_OK;
#define SET(option, value)                                \
    do {                                                  \
        if (code == CURLE_OK)                             \
            code = curl_easy_setopt(curl, option, value); \
    } while (0)
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ERRORBUFFER, https->message);
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_USERAGENT, USER_AGENT);
    SET(CURLOPT_MAXCONNECTS, 1L);
    SET(CURLOPT_BUFFERSIZE, CHUNK_BYTES); /* disks go through here too */
    SET(CURLOPT_UPLOAD_BUFFERSIZE, CHUNK_BYTES);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_SESSIONID_CACHE, 0L); /* every connection shows its certificate */
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    if (https->fingerprint) {
        SET(CURLOPT_SSL_VERIFYHOST, 0L);
        SET(CURLOPT_CAINFO, NULL);
        SET(CURLOPT_CAPATH, NULL);
        SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_context);
        SET(CURLOPT_SSL_CTX_DATA, https);
    } else {
        SET(CURLOPT_SSL_VERIFYHOST, 2L);
        if (https->ca_file) {
            SET(CURLOPT_CAINFO, https->ca_file);
            SET(CURLOPT_CAPATH, NULL);
        }
    }
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, https);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, https);
    SET(CURLOPT_READFUNCTION, on_read);
    SET(CURLOPT_READDATA, https);
    SET(CURLOPT_SEEKFUNCTION, on_seek);
    SET(CURLOPT_SEEKDATA, https);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, https);
#undef SET
    return code;
}

static bool fingerprint_valid(const char *text)
{
    return strlen(text) == HTTPS_FINGERPRINT_LENGTH &&
           strspn(text, "0123456789abcdef") == HTTPS_FINGERPRINT_LENGTH;
}

struct error *https_open(const struct https_options *options, struct https **ret_https)
{
    if (options->fingerprint && !fingerprint_valid(options->fingerprint))
        return error_new(ERR_INVALID, "a certificate fingerprint is %d lower-case hex digits of its SHA-256",
                         HTTPS_FINGERPRINT_LENGTH);
    if (options->timeout_us <= 0)
        return error_new(ERR_INVALID, "a round trip needs a timeout above zero");
    pthread_once(&curl_once, curl_start);
    if (curl_ready != CURLE_OK)
        return error_new(ERR_INTERNAL, "libcurl does not start: %s", curl_easy_strerror(curl_ready));
    struct https *https = xcalloc(1, sizeof *https);
    https->fingerprint = options->fingerprint ? xstrdup(options->fingerprint) : NULL;
    https->ca_file = options->ca_file ? xstrdup(options->ca_file) : NULL;
    https->timeout_us = options->timeout_us;
    https->curl = curl_easy_init();
    CURLcode code = https->curl ? configure(https) : CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK) {
        https_close(https);
        return error_new(ERR_UNSUPPORTED, "libcurl refuses a setting: %s", curl_easy_strerror(code));
    }
    *ret_https = https;
    return NULL;
}

void https_close(struct https *https)
{
    if (!https)
        return;
    curl_easy_cleanup(https->curl);
    free(https->fingerprint);
    free(https->ca_file);
    buf_done(&https->body);
    buf_done(&https->headers);
    free(https);
}

enum https_outcome https_outcome(const struct https *https)
{
    return https->outcome;
}

const char *https_header(const struct https *https, const char *name)
{
    size_t length = strlen(name);
    const char *start = buf_text(&https->headers), *end = start + https->headers.length;
    for (const char *line = start; line < end; line += strlen(line) + 1) {
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1;
            return value + strspn(value, " \t");
        }
    }
    return NULL;
}

/* How long a source's upload may stand still: the time of a round trip. */
static long stall_seconds(const struct https *https)
{
    int64_t seconds = https->timeout_us / MOMENT_SECOND;
    return seconds < 1 ? 1 : (long)seconds;
}

/* The method and its body. A body is uploaded through on_read; a method alone is sent as it is. */
static CURLcode set_method(struct https *https, const struct https_request *request)
{
    CURL *curl = https->curl;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L); /* and no NOBODY */
    if (code == CURLE_OK && strcmp(request->method, "HEAD") == 0)
        code = curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    bool upload = request->body || request->source;
    if (code == CURLE_OK && upload)
        code = curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
    /* A long upload has a long time, but not to stand still in. */
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, request->source ? 1L : 0L);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, request->source ? stall_seconds(https) : 0L);
    if (code == CURLE_OK && upload)
        code = curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_length);
    if (code == CURLE_OK)
        code = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    return code;
}

static struct error *make_headers(const struct https_request *request, struct curl_slist **ret_list)
{
    if (request->header_count > HTTPS_REQUEST_HEADERS_MAX)
        return error_new(ERR_INVALID, "a request has at most %d headers", HTTPS_REQUEST_HEADERS_MAX);
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; list && i < request->header_count; i++) {
        if (strpbrk(request->headers[i], "\r\n")) {
            curl_slist_free_all(list);
            return error_new(ERR_INVALID, "a header of the request holds a line end");
        }
        struct curl_slist *longer = curl_slist_append(list, request->headers[i]);
        if (!longer)
            curl_slist_free_all(list);
        list = longer;
    }
    if (!list)
        return error_new(ERR_INTERNAL, "no memory for the headers of a request");
    *ret_list = list;
    return NULL;
}

/* What libcurl's code means to the caller; sets the outcome. */
static struct error *explain(struct https *https, CURLcode code)
{
    long written = 0;
    (void)curl_easy_getinfo(https->curl, CURLINFO_REQUEST_SIZE, &written); /* stays 0 when it cannot say */
    https->outcome = written > 0 || https->sent > 0 ? HTTPS_UNKNOWN : HTTPS_NOT_SENT;
    const char *known =
        https->outcome == HTTPS_UNKNOWN ? "; the request was sent, its outcome is unknown" : "";
    const char *reason = https->message[0] ? https->message : curl_easy_strerror(code);
    if (https->refused)
        return error_new(ERR_DENIED, "the peer's certificate has the fingerprint %s, not the pinned %s",
                         https->seen[0] ? https->seen : "(none)", https->fingerprint);
    if (https->cancelled)
        return error_new(ERR_CANCELLED, "cancelled while waiting for the peer%s", known);
    if (buf_overflowed(&https->body))
        return error_new(ERR_UNAVAILABLE, "the answer's body is over %zu bytes%s", https->request->limit,
                         known);
    if (buf_overflowed(&https->headers))
        return error_new(ERR_UNAVAILABLE, "the answer's headers are over %d bytes%s", HTTPS_HEADERS_MAX,
                         known);
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return error_new(ERR_TIMEOUT, "no answer in time: %s%s", reason, known);
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_new(ERR_DENIED, "the peer's certificate is not trusted: %s", reason);
    case CURLE_SSL_CACERT_BADFILE:
        return error_new(ERR_INVALID, "the CA file cannot be used: %s", reason);
    case CURLE_URL_MALFORMAT:
        return error_new(ERR_INVALID, "the URL cannot be used: %s", reason);
    case CURLE_UNSUPPORTED_PROTOCOL: /* of our URL, or of an answer that is no HTTP/1 */
        if (https->outcome == HTTPS_NOT_SENT)
            return error_new(ERR_INVALID, "the URL cannot be used: %s", reason);
        return error_new(ERR_UNAVAILABLE, "%s%s", reason, known);
    default:
        return error_new(ERR_UNAVAILABLE, "%s%s", reason, known);
    }
}

/* Milliseconds left for this round trip, rounded up; 0 when there are none. */
static long time_left_ms(const struct https *https, const struct https_request *request)
{
    int64_t left = request->deadline_us - moment_monotonic();
    int64_t own = request->timeout_us > 0 ? request->timeout_us : https->timeout_us;
    if (left > own)
        left = own;
    return left <= 0 ? 0 : (long)((left + 999) / 1000);
}

struct error *https_send(struct https *https, const struct https_request *request,
                         struct https_answer *ret_answer)
{
    https->outcome = HTTPS_NOT_SENT;
    https->refused = https->cancelled = false;
    https->sent = 0;
    https->message[0] = '\0';
    prepare(&https->body, request->limit);
    prepare(&https->headers, HTTPS_HEADERS_MAX);
    long total = time_left_ms(https, request);
    if (total == 0)
        return error_new(ERR_TIMEOUT, "no time is left for a request");
    long connect = total < HTTPS_CONNECT_MAX_US / 1000 ? total : HTTPS_CONNECT_MAX_US / 1000;
    struct curl_slist *headers = NULL;
    TRY(make_headers(request, &headers));
    https->request = request;
    CURLcode code = set_method(https, request);
    if (code == CURLE_OK)
        code = curl_easy_setopt(https->curl, CURLOPT_URL, request->url);
    if (code == CURLE_OK)
        code = curl_easy_setopt(https->curl, CURLOPT_HTTPHEADER, headers);
    if (code == CURLE_OK)
        code = curl_easy_setopt(https->curl, CURLOPT_TIMEOUT_MS, total);
    if (code == CURLE_OK)
        code = curl_easy_setopt(https->curl, CURLOPT_CONNECTTIMEOUT_MS, connect);
    if (code == CURLE_OK)
        code = curl_easy_perform(https->curl);
    long status = 0;
    if (code == CURLE_OK)
        code = curl_easy_getinfo(https->curl, CURLINFO_RESPONSE_CODE, &status);
    struct error *error = code == CURLE_OK ? NULL : explain(https, code);
    (void)curl_easy_setopt(https->curl, CURLOPT_HTTPHEADER,
                           NULL); /* the list dies here; forgetting it cannot fail */
    curl_slist_free_all(headers);
    https->request = NULL;
    if (error)
        return error;
    https->outcome = HTTPS_ANSWERED;
    *ret_answer = (struct https_answer){
        .status = (int)status, .body = buf_text(&https->body), .length = https->body.length};
    return NULL;
}
