/* See nbd_serve.h. */
#include "drivers/nbd_serve.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "broker/base/arena.h"
#include "broker/base/log.h"

#define MAGIC_REQUEST UINT32_C(0x25609513)
#define MAGIC_SIMPLE UINT32_C(0x67446698)
#define MAGIC_STRUCTURED UINT32_C(0x668e33ef)

enum command {
    COMMAND_READ = 0,
    COMMAND_WRITE = 1,
    COMMAND_DISCONNECT = 2,
    COMMAND_FLUSH = 3,
    COMMAND_TRIM = 4,
    COMMAND_WRITE_ZEROES = 6,
    COMMAND_BLOCK_STATUS = 7
};
enum flag {
    FLAG_HAS = 1u << 0,
    FLAG_READ_ONLY = 1u << 1,
    FLAG_FLUSH = 1u << 2,
    FLAG_FUA = 1u << 3,
    FLAG_TRIM = 1u << 5,
    FLAG_WRITE_ZEROES = 1u << 6,
    FLAG_MULTI_CONN = 1u << 8
};
enum command_flag { COMMAND_FLAG_FUA = 1u << 0, COMMAND_FLAG_ONE_EXTENT = 1u << 3 };
enum chunk { CHUNK_NONE = 0, CHUNK_DATA = 1, CHUNK_STATUS = 5, CHUNK_ERROR = 32769 };
#define CHUNK_FLAG_DONE 1u
#define STATE_HOLE_ZERO 3u /* NBD_STATE_HOLE | NBD_STATE_ZERO */

/* The protocol's error numbers. */
enum refusal { REFUSAL_PERM = 1, REFUSAL_IO = 5, REFUSAL_INVALID = 22, REFUSAL_NO_SPACE = 28 };

#define EXTENTS_MAX 1024 /* in one answer to BLOCK_STATUS */

struct request {
    uint16_t flags, type;
    uint64_t handle; /* as it came, to be sent back */
    uint64_t offset;
    uint32_t length;
};

struct serving {
    int socket;
    const struct nbd_backend *backend;
    const struct nbd_session *session;
    char *data; /* NBD_REQUEST_MAX, grown as needed */
    size_t room;
};

bool nbd_send(int socket, const void *data, size_t length)
{
    for (const char *at = data; length;) {
        ssize_t sent = send(socket, at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

bool nbd_receive(int socket, void *data, size_t length)
{
    for (char *at = data; length;) {
        ssize_t got = recv(socket, at, length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        length -= (size_t)got;
    }
    return true;
}

uint16_t nbd_flags(const struct nbd_backend *backend)
{
    unsigned flags = FLAG_HAS | FLAG_MULTI_CONN;
    if (!backend->write)
        return (uint16_t)(flags | FLAG_READ_ONLY);
    return (uint16_t)(flags | FLAG_FLUSH | FLAG_FUA | FLAG_TRIM | FLAG_WRITE_ZEROES);
}

static bool send_simple(const struct serving *serving, const struct request *request, uint32_t refusal)
{
    struct __attribute__((packed)) {
        uint32_t magic, error;
        uint64_t handle;
    } head = {htobe32(MAGIC_SIMPLE), htobe32(refusal), request->handle};
    return nbd_send(serving->socket, &head, sizeof head);
}

static bool send_chunk(const struct serving *serving, const struct request *request, uint16_t type,
                       uint32_t length)
{
    struct __attribute__((packed)) {
        uint32_t magic;
        uint16_t flags, type;
        uint64_t handle;
        uint32_t length;
    } head = {htobe32(MAGIC_STRUCTURED), htobe16(CHUNK_FLAG_DONE), htobe16(type), request->handle,
              htobe32(length)};
    return nbd_send(serving->socket, &head, sizeof head);
}

/* The end of a request that has no data to send; `refusal` 0: it worked. */
static bool conclude(const struct serving *serving, const struct request *request, uint32_t refusal)
{
    if (!serving->session->structured)
        return send_simple(serving, request, refusal);
    if (!refusal)
        return send_chunk(serving, request, CHUNK_NONE, 0);
    struct __attribute__((packed)) {
        uint32_t error;
        uint16_t length;
    } wrong = {htobe32(refusal), 0};
    return send_chunk(serving, request, CHUNK_ERROR, sizeof wrong) &&
           nbd_send(serving->socket, &wrong, sizeof wrong);
}

/* Takes the backend's error: logged here, for the client sees only a number. */
static uint32_t refusal_of(const struct serving *serving, struct error *error)
{
    if (!error)
        return 0;
    uint32_t refusal = error_code(error) == ERR_NO_CAPACITY ? REFUSAL_NO_SPACE : REFUSAL_IO;
    log_warning("nbd.request", LOG_TEXT("disk", serving->backend->name), LOG_CAUSE(error));
    error_free(error);
    return refusal;
}

static bool read_part(struct serving *serving, const struct request *request)
{
    const struct nbd_backend *backend = serving->backend;
    uint32_t refusal = refusal_of(
        serving, backend->read(serving->session->handle, request->offset, serving->data, request->length));
    if (refusal)
        return conclude(serving, request, refusal);
    if (!serving->session->structured)
        return send_simple(serving, request, 0) && nbd_send(serving->socket, serving->data, request->length);
    uint64_t offset = htobe64(request->offset);
    return send_chunk(serving, request, CHUNK_DATA, request->length + (uint32_t)sizeof offset) &&
           nbd_send(serving->socket, &offset, sizeof offset) &&
           nbd_send(serving->socket, serving->data, request->length);
}

/* What the backend tells of the range, neighbours joined, as the protocol's (length, state) pairs behind the
 * context's id; the number of words. */
static struct error *list_extents(const struct serving *serving, const struct request *request,
                                  uint32_t words[], size_t *ret_count)
{
    size_t count = 1;
    size_t most = request->flags & COMMAND_FLAG_ONE_EXTENT ? 1 : EXTENTS_MAX;
    bool last = false;
    words[0] = htobe32(NBD_CONTEXT_ID);
    for (uint64_t done = 0; done < request->length;) {
        bool zero = false;
        uint64_t length = 0, left = request->length - done;
        TRY(serving->backend->extent(serving->session->handle, request->offset + done, left, &zero, &length));
        if (!length || length > left)
            return error_new(ERR_INTERNAL, "an extent of %llu bytes where %llu are left",
                             (unsigned long long)length, (unsigned long long)left);
        if (count > 1 && zero == last) {
            words[count - 2] = htobe32(be32toh(words[count - 2]) + (uint32_t)length);
        } else if ((count - 1) / 2 == most) {
            break;
        } else {
            words[count++] = htobe32((uint32_t)length);
            words[count++] = htobe32(zero ? STATE_HOLE_ZERO : 0);
        }
        last = zero;
        done += length;
    }
    *ret_count = count;
    return NULL;
}

static bool tell_status(const struct serving *serving, const struct request *request)
{
    uint32_t words[1 + 2 * EXTENTS_MAX];
    size_t count = 0;
    uint32_t refusal = refusal_of(serving, list_extents(serving, request, words, &count));
    if (refusal)
        return conclude(serving, request, refusal);
    return send_chunk(serving, request, CHUNK_STATUS, (uint32_t)(count * sizeof *words)) &&
           nbd_send(serving->socket, words, count * sizeof *words);
}

static struct error *change(const struct serving *serving, const struct request *request)
{
    const struct nbd_backend *backend = serving->backend;
    void *handle = serving->session->handle;
    switch (request->type) {
    case COMMAND_WRITE:
        TRY(backend->write(handle, request->offset, serving->data, request->length));
        break;
    case COMMAND_WRITE_ZEROES:
        TRY(backend->zero(handle, request->offset, request->length));
        break;
    case COMMAND_TRIM: /* may do nothing; reading zeros afterwards is the best of its outcomes */
        TRY(backend->zero(handle, request->offset, request->length));
        break;
    default:
        break;
    }
    if (request->type == COMMAND_FLUSH || request->flags & COMMAND_FLAG_FUA)
        return backend->flush(handle);
    return NULL;
}

/* What is wrong with a request; 0: nothing. */
static uint32_t check(const struct serving *serving, const struct request *request)
{
    const struct nbd_backend *backend = serving->backend;
    bool changes = request->type == COMMAND_WRITE || request->type == COMMAND_WRITE_ZEROES ||
                   request->type == COMMAND_TRIM;
    bool known = changes || request->type == COMMAND_READ || request->type == COMMAND_FLUSH ||
                 (request->type == COMMAND_BLOCK_STATUS && serving->session->contexts);
    bool carries = request->type == COMMAND_READ || request->type == COMMAND_WRITE;
    if (changes && !backend->write)
        return REFUSAL_PERM;
    if (!known || (carries && request->length > NBD_REQUEST_MAX) ||
        (request->type != COMMAND_FLUSH && request->length == 0))
        return REFUSAL_INVALID;
    if (request->offset > backend->size || request->length > backend->size - request->offset)
        return request->type == COMMAND_WRITE ? REFUSAL_NO_SPACE : REFUSAL_INVALID;
    return 0;
}

static void make_room(struct serving *serving, size_t length)
{
    if (serving->room >= length)
        return;
    serving->data = xrealloc(serving->data, 1, length);
    serving->room = length;
}

static bool answer(struct serving *serving, const struct request *request)
{
    bool carries = request->type == COMMAND_READ || request->type == COMMAND_WRITE;
    if (request->type == COMMAND_WRITE && request->length > NBD_REQUEST_MAX)
        return false; /* what follows cannot be skipped safely */
    if (carries && request->length <= NBD_REQUEST_MAX)
        make_room(serving, request->length);
    if (request->type == COMMAND_WRITE && !nbd_receive(serving->socket, serving->data, request->length))
        return false;
    uint32_t refusal = check(serving, request);
    if (refusal)
        return conclude(serving, request, refusal);
    if (request->type == COMMAND_READ)
        return read_part(serving, request);
    if (request->type == COMMAND_BLOCK_STATUS)
        return tell_status(serving, request);
    if (!serving->backend->write)
        return conclude(serving, request, 0); /* a flush of what cannot be written */
    return conclude(serving, request, refusal_of(serving, change(serving, request)));
}

void nbd_serve(int socket, const struct nbd_backend *backend, const struct nbd_session *session)
{
    struct serving serving = {.socket = socket, .backend = backend, .session = session};
    for (;;) {
        struct __attribute__((packed)) {
            uint32_t magic;
            uint16_t flags, type;
            uint64_t handle, offset;
            uint32_t length;
        } head;
        if (!nbd_receive(socket, &head, sizeof head) || be32toh(head.magic) != MAGIC_REQUEST)
            break;
        struct request request = {be16toh(head.flags), be16toh(head.type), head.handle, be64toh(head.offset),
                                  be32toh(head.length)};
        if (request.type == COMMAND_DISCONNECT || !answer(&serving, &request))
            break;
    }
    free(serving.data);
}
