/* See copy_connection.h. */
#include "federation/copy_connection.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"

#define TICK_MS 200
#define REQUEST_MAX (UINT32_C(32) << 20)

const char *copy_side_name(enum copy_side side)
{
    return side == COPY_SOURCE ? "source" : "target";
}

static enum error_code code_of(int number)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return ERR_NO_CAPACITY;
    case EPERM:
    case EACCES:
    case EROFS:
        return ERR_DENIED;
    case EIO:
    case EINVAL:
        return ERR_IO;
    case ENOTSUP:
        return ERR_UNSUPPORTED;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    default:
        return ERR_UNAVAILABLE;
    }
}

struct error *copy_connection_failed(const struct copy_connection *connection, int number, const char *doing,
                                     uint64_t offset)
{
    return error_new(code_of(number), "the %s could not %s near byte %" PRIu64 ": %s",
                     copy_side_name(connection->side), doing, offset, strerror(number));
}

/* libnbd's own words about the last call of this thread. */
static struct error *last_error(enum copy_side side, enum error_code code, const char *doing)
{
    const char *why = nbd_get_error();
    return error_new(code, "could not %s the %s: %s", doing, copy_side_name(side), why ? why : "unknown");
}

struct error *copy_stalled(enum copy_side side, const char *doing, int64_t stall_us)
{
    return error_new(ERR_TIMEOUT, "the %s is stalled: no answer to %s for %" PRId64 " ms",
                     copy_side_name(side), doing, stall_us / 1000);
}

short copy_connection_events(const struct copy_connection *connection)
{
    unsigned direction = nbd_aio_get_direction(connection->nbd);
    return (short)((direction & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                   (direction & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
}

struct error *copy_connection_notify(struct copy_connection *connection, short seen)
{
    unsigned direction = nbd_aio_get_direction(connection->nbd);
    int result = 0;
    if ((seen & (POLLIN | POLLHUP | POLLERR)) && (direction & LIBNBD_AIO_DIRECTION_READ))
        result = nbd_aio_notify_read(connection->nbd);
    else if ((seen & (POLLOUT | POLLHUP | POLLERR)) && (direction & LIBNBD_AIO_DIRECTION_WRITE))
        result = nbd_aio_notify_write(connection->nbd);
    if (result < 0 || nbd_aio_is_dead(connection->nbd))
        return last_error(connection->side, ERR_UNAVAILABLE, "speak to");
    if (nbd_aio_is_closed(connection->nbd))
        return error_new(ERR_UNAVAILABLE, "the %s closed the connection", copy_side_name(connection->side));
    return NULL;
}

/* One round of poll and notify. */
static struct error *turn(struct copy_connection *connection)
{
    struct pollfd ready = {.fd = nbd_aio_get_fd(connection->nbd),
                           .events = copy_connection_events(connection)};
    int got = poll(&ready, 1, TICK_MS);
    if (got < 0 && errno != EINTR)
        return error_new(ERR_IO, "could not poll: %s", strerror(errno));
    return got > 0 ? copy_connection_notify(connection, ready.revents) : NULL;
}

struct error *copy_connection_await(struct copy_connection *connection, const bool *done, const char *doing,
                                    const struct copy_wait *wait)
{
    int64_t until = moment_monotonic() + wait->stall_us;
    do {
        TRY(wait->tick(wait->data));
        if (!*done)
            TRY(turn(connection));
        if (!*done && moment_monotonic() > until)
            return copy_stalled(connection->side, doing, wait->stall_us);
    } while (!*done);
    return NULL;
}

const uint8_t copy_zeros[COPY_ZEROS];

struct answer {
    bool done;
    int number; /* errno */
    uint64_t seen;
};

static int on_answer(void *data, int *number)
{
    struct answer *answer = data;
    answer->number = *number;
    answer->done = true;
    return 1;
}

static int on_chunk(void *data, const void *bytes, size_t length, uint64_t offset, unsigned status,
                    int *number)
{
    struct answer *answer = data;
    if (status == LIBNBD_READ_DATA || status == LIBNBD_READ_HOLE)
        answer->seen += length;
    return 0;
}

/* Waits for the answer to what was issued (or not) at `offset`. */
static struct error *answered(struct copy_connection *connection, bool issued, struct answer *answer,
                              const char *doing, uint64_t offset, const struct copy_wait *wait)
{
    if (!issued)
        return last_error(connection->side, code_of(nbd_get_errno()), doing);
    struct error *error = copy_connection_await(connection, &answer->done, doing, wait);
    if (!answer->done) { /* the answer must not outlive its place */
        nbd_close(connection->nbd);
        connection->nbd = NULL;
    }
    if (!error && answer->number)
        error = copy_connection_failed(connection, answer->number, doing, offset);
    return error;
}

struct error *copy_connection_flush(struct copy_connection *connection, const struct copy_wait *wait)
{
    struct answer answer = {.done = false};
    nbd_completion_callback completion = {.callback = on_answer, .user_data = &answer};
    bool issued = nbd_aio_flush(connection->nbd, completion, 0) >= 0;
    return answered(connection, issued, &answer, "flush", 0, wait);
}

bool copy_connection_send_zeros(struct copy_connection *connection, uint64_t start, uint64_t length,
                                bool allocate, nbd_completion_callback completion, uint64_t *ret_length)
{
    uint64_t most = COPY_ZEROS < connection->request_max ? COPY_ZEROS : connection->request_max;
    if (connection->can_zero)
        most = COPY_ZERO_RUN;
    *ret_length = length < most ? length : most;
    if (connection->can_zero)
        return nbd_aio_zero(connection->nbd, *ret_length, start, completion,
                            allocate ? LIBNBD_CMD_FLAG_NO_HOLE : 0) >= 0;
    return nbd_aio_pwrite(connection->nbd, copy_zeros, *ret_length, start, completion, 0) >= 0;
}

struct error *copy_connection_zero(struct copy_connection *connection, uint64_t start, uint64_t length,
                                   bool allocate, const struct copy_wait *wait)
{
    for (uint64_t done = 0, piece; done < length; done += piece) {
        struct answer answer = {.done = false};
        nbd_completion_callback completion = {.callback = on_answer, .user_data = &answer};
        bool issued =
            copy_connection_send_zeros(connection, start + done, length - done, allocate, completion, &piece);
        TRY(answered(connection, issued, &answer, "write zeros", start + done, wait));
    }
    return NULL;
}

struct error *copy_connection_read(struct copy_connection *connection, void *bytes, uint32_t length,
                                   uint64_t offset, const struct copy_wait *wait)
{
    struct answer answer = {.done = false};
    nbd_completion_callback completion = {.callback = on_answer, .user_data = &answer};
    nbd_chunk_callback chunk = {.callback = on_chunk, .user_data = &answer};
    bool issued = nbd_aio_pread_structured(connection->nbd, bytes, length, offset, chunk, completion, 0) >= 0;
    TRY(answered(connection, issued, &answer, "read", offset, wait));
    if (answer.seen != length)
        return error_new(ERR_UNAVAILABLE, "the %s left out part of an answer",
                         copy_side_name(connection->side));
    return NULL;
}

static struct error *check_end(const struct copy_end *end)
{
    if (!end->socket == !(end->host && end->port))
        return error_new(ERR_INVALID, "an export has either a socket, or a host and a port");
    if (!end->tls)
        return NULL;
    if (!end->certificates == !(end->psk_file && end->psk_user))
        return error_new(ERR_INVALID,
                         "TLS needs either a folder of certificates, or a file of keys and a user");
    if (end->socket && end->certificates)
        return error_new(ERR_INVALID,
                         "a certificate is checked against a host: TLS on a unix socket needs a key");
    return NULL;
}

static bool set_tls(struct nbd_handle *nbd, const struct copy_end *end)
{
    if (nbd_set_tls(nbd, end->tls ? LIBNBD_TLS_REQUIRE : LIBNBD_TLS_DISABLE))
        return false;
    if (!end->tls)
        return true;
    if (end->certificates)
        return !nbd_set_tls_certificates(nbd, end->certificates) && !nbd_set_tls_verify_peer(nbd, true);
    return !nbd_set_tls_psk_file(nbd, end->psk_file) && !nbd_set_tls_username(nbd, end->psk_user);
}

static bool begin(struct nbd_handle *nbd, const struct copy_end *end, const char *context)
{
    /* Reads check what the chunks of the answer cover (copy_slot.c), which is stronger than a buffer of
     * zeros. */
    if (!set_tls(nbd, end) || nbd_set_pread_initialize(nbd, false) ||
        nbd_set_export_name(nbd, end->export_name ? end->export_name : "") ||
        nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) ||
        (context && nbd_add_meta_context(nbd, context)))
        return false;
    return !(end->socket ? nbd_aio_connect_unix(nbd, end->socket)
                         : nbd_aio_connect_tcp(nbd, end->host, end->port));
}

static struct error *open_failed(enum copy_side side, const struct copy_end *end)
{
    int number = nbd_get_errno();
    enum error_code code = ERR_UNAVAILABLE;
    if (number == ENOENT && (!end->socket || !access(end->socket, F_OK)))
        code = ERR_NOT_FOUND; /* the server has no such export */
    else if (end->tls || number == EACCES || number == EPERM || number == ENOTSUP)
        code =
            number == ECONNREFUSED || number == ECONNRESET || number == ENOENT ? ERR_UNAVAILABLE : ERR_DENIED;
    return last_error(side, code, "open");
}

static struct error *connect_to(struct copy_connection *connection, const struct copy_end *end,
                                const char *context, const struct copy_wait *wait)
{
    int64_t until = moment_monotonic() + wait->stall_us;
    if (!begin(connection->nbd, end, context))
        return open_failed(connection->side, end);
    while (nbd_aio_is_connecting(connection->nbd)) {
        TRY(wait->tick(wait->data));
        struct error *error = turn(connection);
        if (error) {
            error_free(error); /* the one below says more */
            return open_failed(connection->side, end);
        }
        if (moment_monotonic() > until)
            return copy_stalled(connection->side, "the connection", wait->stall_us);
    }
    if (!nbd_aio_is_ready(connection->nbd))
        return open_failed(connection->side, end);
    if (end->tls && nbd_get_tls_negotiated(connection->nbd) != 1)
        return error_new(ERR_DENIED, "the %s does not speak TLS", copy_side_name(connection->side));
    return NULL;
}

static uint32_t block_size(struct nbd_handle *nbd, int kind, uint32_t otherwise)
{
    int64_t size = nbd_get_block_size(nbd, kind);
    return size > 0 && size <= REQUEST_MAX && !(size & (size - 1)) ? (uint32_t)size : otherwise;
}

static struct error *learn(struct copy_connection *connection, const char *context, bool write)
{
    struct nbd_handle *nbd = connection->nbd;
    const char *name = copy_side_name(connection->side);
    int64_t size = nbd_get_size(nbd);
    if (size < 0)
        return last_error(connection->side, ERR_UNAVAILABLE, "ask the size of");
    connection->size = (uint64_t)size;
    connection->grain = block_size(nbd, LIBNBD_SIZE_MINIMUM, 1);
    int64_t most = nbd_get_block_size(nbd, LIBNBD_SIZE_MAXIMUM);
    connection->request_max = most > 0 && most < REQUEST_MAX ? (uint32_t)most : REQUEST_MAX;
    if (connection->grain > COPY_BLOCK_MIN || connection->request_max < COPY_BLOCK_MIN)
        return error_new(ERR_UNSUPPORTED, "the %s wants requests of %" PRIu32 " to %" PRIu32 " bytes", name,
                         connection->grain, connection->request_max);
    connection->content = nbd_can_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    connection->changes = context && nbd_can_meta_context(nbd, context) == 1;
    connection->multi = nbd_can_multi_conn(nbd) == 1;
    connection->can_zero = nbd_can_zero(nbd) == 1;
    if (context && !connection->changes)
        return error_new(ERR_NOT_FOUND, "the %s has no %s: a full pass or a comparison is needed", name,
                         context);
    if (write && nbd_is_read_only(nbd) != 0)
        return error_new(ERR_DENIED, "the %s is read-only", name);
    if (write && nbd_can_flush(nbd) != 1)
        return error_new(ERR_UNSUPPORTED, "the %s cannot flush: nothing written there would be safe", name);
    return NULL;
}

struct error *copy_connection_open(const struct copy_end *end, enum copy_side side, const char *bitmap,
                                   bool write, const struct copy_wait *wait,
                                   struct copy_connection **ret_connection)
{
    TRY_DOING(check_end(end), "the %s", copy_side_name(side));
    struct copy_connection *connection = xcalloc(1, sizeof *connection);
    char *context = bitmap ? xasprintf("qemu:dirty-bitmap:%s", bitmap) : NULL;
    connection->side = side;
    connection->nbd = nbd_create();
    struct error *error = NULL;
    if (!connection->nbd)
        error = last_error(side, ERR_INTERNAL, "make a handle for");
    if (!error)
        error = connect_to(connection, end, context, wait);
    if (!error)
        error = learn(connection, context, write);
    free(context);
    if (error) {
        copy_connection_close(connection);
        return error;
    }
    *ret_connection = connection;
    return NULL;
}

void copy_connection_close(struct copy_connection *connection)
{
    if (!connection)
        return;
    if (connection->nbd && nbd_aio_is_ready(connection->nbd) == 1)
        (void)nbd_aio_disconnect(connection->nbd, 0); /* a courtesy */
    nbd_close(connection->nbd);
    free(connection);
}
