/* One NBD connection to one side of a copy: opened with a deadline, TLS as the caller demands it and never
 * less, its errors turned into ours with the side in the text. It belongs to one thread at a time. */
#ifndef FEDERATION_COPY_CONNECTION_H
#define FEDERATION_COPY_CONNECTION_H

#include <libnbd.h>
#include <stdbool.h>
#include <stdint.h>

#include "broker/base/error.h"
#include "federation/copy.h"

/* How a wait ends: an answer, `stall_us` without one (ERR_TIMEOUT), or `tick`, which is called five times a
 * second and at least once, with an error. */
struct copy_wait {
    int64_t stall_us;
    struct error *(*tick)(void *data);
    void *data;
};

struct copy_connection {
    enum copy_side side;
    struct nbd_handle *nbd;
    uint64_t size;
    uint32_t grain;       /* smallest block of a request, a power of two */
    uint32_t request_max; /* most bytes of one */
    bool content;         /* extents of base:allocation can be asked */
    bool changes;         /* those of the bitmap too */
    bool multi;           /* a flush on one connection is one for all */
    bool can_zero;
};

/* `bitmap` may be NULL; `write` refuses an export that cannot be written and flushed. */
struct error *copy_connection_open(const struct copy_end *end, enum copy_side side, const char *bitmap,
                                   bool write, const struct copy_wait *wait,
                                   struct copy_connection **ret_connection) ERROR_MUST_USE;
void copy_connection_close(struct copy_connection *connection);
const char *copy_side_name(enum copy_side side);
/* From an errno of a completion, or libnbd's last error of this thread. "the source cannot DOING: why". */
struct error *copy_connection_failed(const struct copy_connection *connection, int number, const char *doing,
                                     uint64_t offset) ERROR_MUST_USE;
/* "the target is stalled: no answer to DOING for N s" */
struct error *copy_stalled(enum copy_side side, const char *doing, int64_t stall_us) ERROR_MUST_USE;
/* What poll is to watch for, and what it saw. */
short copy_connection_events(const struct copy_connection *connection);
struct error *copy_connection_notify(struct copy_connection *connection, short seen) ERROR_MUST_USE;
/* Polls until *done, which a completion sets. */
struct error *copy_connection_await(struct copy_connection *connection, const bool *done, const char *doing,
                                    const struct copy_wait *wait) ERROR_MUST_USE;
/* One request (or as many as it takes) and its answer. */
struct error *copy_connection_flush(struct copy_connection *connection,
                                    const struct copy_wait *wait) ERROR_MUST_USE;
struct error *copy_connection_zero(struct copy_connection *connection, uint64_t start, uint64_t length,
                                   bool allocate, const struct copy_wait *wait) ERROR_MUST_USE;
/* At most request_max bytes. */
struct error *copy_connection_read(struct copy_connection *connection, void *bytes, uint32_t length,
                                   uint64_t offset, const struct copy_wait *wait) ERROR_MUST_USE;
/* Of aio_zero and friends where the server has none: what is written instead, piece by piece. */
#define COPY_ZEROS (UINT32_C(1) << 18)
extern const uint8_t copy_zeros[COPY_ZEROS];
/* Issues one request that zeroes at most `length` bytes; *ret_length is how many it does. False is libnbd's
 * error. */
bool copy_connection_send_zeros(struct copy_connection *connection, uint64_t start, uint64_t length,
                                bool allocate, nbd_completion_callback completion, uint64_t *ret_length);

#endif
