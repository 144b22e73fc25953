/* See nbd_server.h: the socket, its threads and the handshake. What is asked afterwards is in nbd_serve.c. */
#include "drivers/nbd_server.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/log.h"
#include "drivers/nbd_serve.h"

#define BACKLOG 16
#define OPTION_MAX 4096 /* bytes of one option's data; a name has at most 4096 by the protocol */
#define OPTIONS_MAX 64  /* in one handshake */

#define MAGIC_OPTION UINT64_C(0x49484156454f5054) /* "IHAVEOPT" */
#define MAGIC_REPLY UINT64_C(0x0003e889045565a9)

enum option {
    OPTION_EXPORT_NAME = 1,
    OPTION_ABORT = 2,
    OPTION_LIST = 3,
    OPTION_INFO = 6,
    OPTION_GO = 7,
    OPTION_STRUCTURED_REPLY = 8,
    OPTION_LIST_META_CONTEXT = 9,
    OPTION_SET_META_CONTEXT = 10
};
enum reply {
    REPLY_ACK = 1,
    REPLY_SERVER = 2,
    REPLY_INFO = 3,
    REPLY_META_CONTEXT = 4,
};
#define REPLY_ERROR(number) (UINT32_C(0x80000000) | (number))
#define REPLY_UNSUPPORTED REPLY_ERROR(1u)
#define REPLY_INVALID REPLY_ERROR(3u)
#define REPLY_UNKNOWN REPLY_ERROR(6u)

#define CONTEXT_NAME "base:allocation"
#define BLOCK_PREFERRED (64u << 10)

struct nbd_server {
    struct nbd_backend backend;
    char *path;
    int listener;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t idle; /* connections became fewer */
    bool stopping;
    int sockets[NBD_CONNECTIONS_MAX]; /* −1: free */
    size_t connections;
};

struct connection {
    struct nbd_server *server;
    size_t slot;
    int socket;
    bool no_zeroes;
    struct nbd_session session;
};

/* --- the handshake --- */

static bool send_reply(int socket, uint32_t option, uint32_t type, const void *data, uint32_t length)
{
    struct __attribute__((packed)) {
        uint64_t magic;
        uint32_t option, type, length;
    } head = {htobe64(MAGIC_REPLY), htobe32(option), htobe32(type), htobe32(length)};
    return nbd_send(socket, &head, sizeof head) && nbd_send(socket, data, length);
}

static bool send_size(const struct connection *connection, uint32_t option)
{
    const struct nbd_backend *backend = &connection->server->backend;
    struct __attribute__((packed)) {
        uint16_t type;
        uint64_t size;
        uint16_t flags;
    } size = {htobe16(0), htobe64(backend->size), htobe16(nbd_flags(backend))};
    struct __attribute__((packed)) {
        uint16_t type;
        uint32_t least, preferred, most;
    } blocks = {htobe16(3), htobe32(1), htobe32(BLOCK_PREFERRED), htobe32(NBD_REQUEST_MAX)};
    return send_reply(connection->socket, option, REPLY_INFO, &size, sizeof size) &&
           send_reply(connection->socket, option, REPLY_INFO, &blocks, sizeof blocks);
}

/* A number of 32 bits at *at, which moves on; false when the data ends before. */
static bool take32(const char **at, const char *end, uint32_t *ret_number)
{
    uint32_t number;
    if (end - *at < (ptrdiff_t)sizeof number)
        return false;
    memcpy(&number, *at, sizeof number);
    *at += sizeof number;
    *ret_number = be32toh(number);
    return true;
}

/* INFO and GO: *ret_go when transmission begins. False ends the connection. */
static bool answer_info(struct connection *connection, uint32_t option, const char *data, uint32_t length,
                        bool *ret_go)
{
    const char *at = data, *end = data + length;
    uint32_t name;
    if (!take32(&at, end, &name) || end - at < (ptrdiff_t)name + 2)
        return send_reply(connection->socket, option, REPLY_INVALID, NULL, 0);
    if (name)
        return send_reply(connection->socket, option, REPLY_UNKNOWN, NULL, 0);
    if (!send_size(connection, option) || !send_reply(connection->socket, option, REPLY_ACK, NULL, 0))
        return false;
    *ret_go = option == OPTION_GO;
    return true;
}

/* Whether a query of the client's means our one context. */
static bool queries_context(const char *query, uint32_t length)
{
    return (length == strlen(CONTEXT_NAME) && memcmp(query, CONTEXT_NAME, length) == 0) ||
           (length == 5 && memcmp(query, "base:", 5) == 0);
}

static bool answer_contexts(struct connection *connection, uint32_t option, const char *data, uint32_t length)
{
    const char *at = data, *end = data + length;
    uint32_t name, queries;
    bool list = option == OPTION_LIST_META_CONTEXT;
    if (!connection->session.structured || !take32(&at, end, &name) || end - at < (ptrdiff_t)name)
        return send_reply(connection->socket, option, REPLY_INVALID, NULL, 0);
    if (name)
        return send_reply(connection->socket, option, REPLY_UNKNOWN, NULL, 0);
    if (!take32(&at, end, &queries))
        return send_reply(connection->socket, option, REPLY_INVALID, NULL, 0);
    bool wanted = list && queries == 0;
    for (uint32_t i = 0; i < queries; i++) {
        uint32_t size;
        if (!take32(&at, end, &size) || end - at < (ptrdiff_t)size)
            return send_reply(connection->socket, option, REPLY_INVALID, NULL, 0);
        wanted = wanted || queries_context(at, size);
        at += size;
    }
    wanted = wanted && connection->server->backend.extent;
    if (!list)
        connection->session.contexts = wanted;
    if (wanted) {
        struct __attribute__((packed)) {
            uint32_t id;
            char name[sizeof CONTEXT_NAME - 1];
        } context = {.id = htobe32(list ? 0 : NBD_CONTEXT_ID)};
        memcpy(context.name, CONTEXT_NAME, sizeof context.name);
        if (!send_reply(connection->socket, option, REPLY_META_CONTEXT, &context, sizeof context))
            return false;
    }
    return send_reply(connection->socket, option, REPLY_ACK, NULL, 0);
}

/* The oldest way to begin, which has no answer but the size. */
static bool begin_by_name(const struct connection *connection, uint32_t length)
{
    const struct nbd_backend *backend = &connection->server->backend;
    struct __attribute__((packed)) {
        uint64_t size;
        uint16_t flags;
        char zeroes[124];
    } answer = {.size = htobe64(backend->size), .flags = htobe16(nbd_flags(backend))};
    return length == 0 && nbd_send(connection->socket, &answer,
                                   sizeof answer - (connection->no_zeroes ? sizeof answer.zeroes : 0));
}

/* One option. False ends the connection; *ret_go: transmission begins. */
static bool answer_option(struct connection *connection, uint32_t option, const char *data, uint32_t length,
                          bool *ret_go)
{
    int socket = connection->socket;
    switch (option) {
    case OPTION_EXPORT_NAME:
        *ret_go = begin_by_name(connection, length);
        return *ret_go;
    case OPTION_ABORT:
        (void)send_reply(socket, option, REPLY_ACK, NULL, 0); /* the client may not wait for it */
        return false;
    case OPTION_LIST: {
        uint32_t name = 0;
        return send_reply(socket, option, REPLY_SERVER, &name, sizeof name) &&
               send_reply(socket, option, REPLY_ACK, NULL, 0);
    }
    case OPTION_INFO:
    case OPTION_GO:
        return answer_info(connection, option, data, length, ret_go);
    case OPTION_STRUCTURED_REPLY:
        connection->session.structured = true;
        return send_reply(socket, option, REPLY_ACK, NULL, 0);
    case OPTION_LIST_META_CONTEXT:
    case OPTION_SET_META_CONTEXT:
        return answer_contexts(connection, option, data, length);
    default:
        return send_reply(socket, option, REPLY_UNSUPPORTED, NULL, 0);
    }
}

static bool shake_hands(struct connection *connection)
{
    struct __attribute__((packed)) {
        char magic[8];
        uint64_t option;
        uint16_t flags;
    } hello = {.option = htobe64(MAGIC_OPTION), .flags = htobe16(1 | 2)}; /* fixed newstyle, no zeroes */
    memcpy(hello.magic, "NBDMAGIC", sizeof hello.magic);
    uint32_t flags;
    if (!nbd_send(connection->socket, &hello, sizeof hello) ||
        !nbd_receive(connection->socket, &flags, sizeof flags) || be32toh(flags) & ~UINT32_C(3))
        return false;
    connection->no_zeroes = be32toh(flags) & 2;
    for (int i = 0; i < OPTIONS_MAX; i++) {
        struct __attribute__((packed)) {
            uint64_t magic;
            uint32_t option, length;
        } head;
        char data[OPTION_MAX];
        if (!nbd_receive(connection->socket, &head, sizeof head) || be64toh(head.magic) != MAGIC_OPTION ||
            be32toh(head.length) > sizeof data ||
            !nbd_receive(connection->socket, data, be32toh(head.length)))
            return false;
        bool go = false;
        if (!answer_option(connection, be32toh(head.option), data, be32toh(head.length), &go))
            return false;
        if (go)
            return true;
    }
    return false;
}

/* --- threads --- */

static void leave(struct connection *connection)
{
    struct nbd_server *server = connection->server;
    pthread_mutex_lock(&server->mutex);
    server->sockets[connection->slot] = -1;
    server->connections--;
    pthread_cond_broadcast(&server->idle);
    pthread_mutex_unlock(&server->mutex);
    close(connection->socket);
    free(connection);
}

static void *serve(void *data)
{
    struct connection *connection = data;
    const struct nbd_backend *backend = &connection->server->backend;
    if (shake_hands(connection)) {
        struct error *error = backend->open(backend->context, &connection->session.handle);
        if (error) {
            log_warning("nbd.open", LOG_TEXT("disk", backend->name), LOG_CAUSE(error));
            error_free(error);
        } else {
            nbd_serve(connection->socket, backend, &connection->session);
            backend->close(connection->session.handle);
        }
    }
    leave(connection);
    return NULL;
}

/* Takes a place and a thread for a new client; without either it is turned away. */
static void welcome(struct nbd_server *server, int socket)
{
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->server = server;
    connection->socket = socket;
    connection->slot = NBD_CONNECTIONS_MAX;
    pthread_mutex_lock(&server->mutex);
    for (size_t i = 0; i < NBD_CONNECTIONS_MAX && !server->stopping; i++)
        if (server->sockets[i] < 0) {
            connection->slot = i;
            server->sockets[i] = socket;
            server->connections++;
            break;
        }
    pthread_mutex_unlock(&server->mutex);
    if (connection->slot == NBD_CONNECTIONS_MAX) {
        close(socket);
        free(connection);
        return;
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve, connection) != 0)
        leave(connection);
    else
        pthread_detach(thread); /* nbd_server_stop waits for the places to be empty */
}

static void *listen_on(void *data)
{
    struct nbd_server *server = data;
    for (;;) {
        int socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (socket >= 0)
            welcome(server, socket);
        else if (errno != EINTR && errno != ECONNABORTED)
            return NULL; /* shut down by nbd_server_stop */
    }
}

static struct error *make_listener(const char *path, int *ret_socket)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_new(ERR_INTERNAL, "%s is too long for a socket's path", path);
    memcpy(address.sun_path, path, strlen(path));
    (void)unlink(path); /* usually there is none */
    int socket_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0)
        return error_new(ERR_INTERNAL, "could not make a socket: %s", strerror(errno));
    /* Nobody can connect before listen, so the mode is right in time. */
    if (bind(socket_, (struct sockaddr *)&address, sizeof address) < 0 || chmod(path, 0600) < 0 ||
        listen(socket_, BACKLOG) < 0) {
        int reason = errno;
        close(socket_);
        return error_new(ERR_INTERNAL, "could not listen on %s: %s", path, strerror(reason));
    }
    *ret_socket = socket_;
    return NULL;
}

struct error *nbd_server_start(const char *path, const struct nbd_backend *backend,
                               struct nbd_server **ret_server)
{
    int listener;
    TRY(make_listener(path, &listener));
    struct nbd_server *server = xcalloc(1, sizeof *server);
    server->backend = *backend;
    server->path = xstrdup(path);
    server->listener = listener;
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->idle, NULL);
    for (size_t i = 0; i < NBD_CONNECTIONS_MAX; i++)
        server->sockets[i] = -1;
    if (pthread_create(&server->thread, NULL, listen_on, server) != 0) {
        close(listener);
        (void)unlink(path);
        free(server->path);
        free(server);
        return error_new(ERR_NO_CAPACITY, "no thread for another disk");
    }
    *ret_server = server;
    return NULL;
}

void nbd_server_stop(struct nbd_server *server)
{
    if (!server)
        return;
    pthread_mutex_lock(&server->mutex);
    server->stopping = true;
    (void)shutdown(server->listener, SHUT_RDWR); /* wakes accept */
    for (size_t i = 0; i < NBD_CONNECTIONS_MAX; i++)
        if (server->sockets[i] >= 0)
            (void)shutdown(server->sockets[i], SHUT_RDWR);
    pthread_mutex_unlock(&server->mutex);
    pthread_join(server->thread, NULL);
    pthread_mutex_lock(&server->mutex);
    while (server->connections)
        pthread_cond_wait(&server->idle, &server->mutex);
    pthread_mutex_unlock(&server->mutex);
    close(server->listener);
    (void)unlink(server->path); /* whoever replaced it may have removed it */
    pthread_mutex_destroy(&server->mutex);
    pthread_cond_destroy(&server->idle);
    free(server->path);
    free(server);
}
