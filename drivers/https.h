/* One HTTPS connection to a provider's manager, for the drivers that speak HTTP (vmware, powervm): a libcurl
 * handle that is kept alive between requests, with the peer's certificate verified by a CA or pinned by its
 * fingerprint before a byte of the request leaves, with every answer capped and every round trip bounded in
 * time. It knows no protocol above HTTP/1.1: no redirects, no cookies (a driver sends its own Cookie header),
 * no content decoding, no proxies, no automatic retry of a request that has a body.
 *
 * Not thread-safe: one connection belongs to one driver session. */
#ifndef DRIVERS_HTTPS_H
#define DRIVERS_HTTPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/error.h"

#define HTTPS_FINGERPRINT_LENGTH 64   /* hex digits of a SHA-256 */
#define HTTPS_HEADERS_MAX (64 * 1024) /* bytes of an answer's header list; more is ERR_UNAVAILABLE */
#define HTTPS_CONNECT_MAX_US 10000000 /* TCP and TLS together, when the round trip may take longer */
#define HTTPS_REQUEST_HEADERS_MAX 32  /* header lines of one request */

struct https;

struct https_options {
    const char *ca_file;     /* PEM bundle; NULL: the system's. Ignored when a fingerprint is given. */
    const char *fingerprint; /* SHA-256 of the peer's certificate (DER), 64 lower-case hex digits; then that
                              * certificate and no other is accepted, whatever its chain, name and dates say.
                              * NULL: chain and name count. */
    int64_t timeout_us;      /* of one round trip; > 0 */
};

struct https_request {
    const char *method;         /* "GET", "PUT", … */
    const char *url;            /* https:// only */
    const char *const *headers; /* "Name: value", without line ends; at most HTTPS_REQUEST_HEADERS_MAX */
    size_t header_count;
    const void *body; /* NULL: none */
    size_t body_length;
    /* Instead of `body`, for one that is too large for memory: fills `buffer` with up to `size` further bytes
     * of the body_length, 0 when it fails, which ends the request with ERR_CANCELLED. When nothing moves for
     * the options' timeout_us it ends with ERR_TIMEOUT, whatever time the request has. */
    size_t (*source)(void *context, char *buffer, size_t size);
    size_t limit; /* bytes of the answer's body; more is ERR_UNAVAILABLE and the connection is dropped */
    int64_t deadline_us; /* monotonic; the round trip ends at the earlier of this and timeout_us */
    int64_t timeout_us;  /* overrides that of the options when > 0, e.g. for a long poll */
    bool (*keep_going)(void *context); /* asked about once a second; false ends the request with
                                          ERR_CANCELLED. May be NULL */
    void *context;
};

/* Borrowed from the connection: valid until its next request or https_close. */
struct https_answer {
    int status;
    const char *body; /* NUL-terminated, may hold further NULs */
    size_t length;
};

/* What is known about a request that returned an error. */
enum https_outcome {
    HTTPS_NOT_SENT, /* nothing of it reached the peer: safe to repeat */
    HTTPS_UNKNOWN,  /* it was sent, fully or in part, and no whole answer came: it may have had its effect */
    HTTPS_ANSWERED, /* a whole answer came */
};

/* ERR_INVALID for a malformed fingerprint, ERR_UNSUPPORTED when libcurl cannot pin (not built on OpenSSL). */
struct error *https_open(const struct https_options *options, struct https **ret_https) ERROR_MUST_USE;
void https_close(struct https *https);

/* One round trip. Any HTTP status is success here. Errors: ERR_DENIED (certificate refused; nothing was
 * sent), ERR_UNAVAILABLE (not reachable, dropped, not HTTP, over a cap), ERR_TIMEOUT, ERR_CANCELLED,
 * ERR_INVALID (URL, header). */
struct error *https_send(struct https *https, const struct https_request *request,
                         struct https_answer *ret_answer) ERROR_MUST_USE;

/* Of the last request. */
enum https_outcome https_outcome(const struct https *https);
/* First header of the last answer with this name (any case), value trimmed; NULL when absent. Borrowed like
 * the answer. */
const char *https_header(const struct https *https, const char *name);

#endif
