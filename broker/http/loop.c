/* One event loop: a thread, its listener (SO_REUSEPORT shares the port between loops), its table of
 * connections and its mailbox. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "broker/base/id.h"
#include "broker/base/log.h"
#include "broker/http/inside.h"

#define TICK_MS 200
#define BACKLOG 1024

static void drain_step(struct loop *loop)
{
    int64_t now = moment_monotonic();
    if (loop->draining == 0) {
        loop->draining = 1;
        uv_close((uv_handle_t *)&loop->listener, NULL);
    } else {
        loop->draining = 2;
    }
    bool cut = now >= loop->drain_until;
    for (unsigned i = 0; i < loop->slot_count; i++) {
        struct connection *connection = loop->slots[i];
        if (!connection)
            continue;
        if (cut) {
            loop->was_cut = loop->was_cut || connection->stream_count > 0;
            connection_close(connection);
        } else if (!connection->session) {
            connection_close(connection);
        } else if (loop->draining == 1) {
            (void)nghttp2_submit_shutdown_notice(connection->session); /* fails only without memory */
            connection_touch(connection);
        } else {
            connection_tick(connection, now);
        }
    }
    if (loop->used == 0 && !uv_is_closing((uv_handle_t *)&loop->tick)) {
        uv_close((uv_handle_t *)&loop->tick, NULL);
        uv_close((uv_handle_t *)&loop->wake, NULL);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct loop *loop = timer->data;
    if (__atomic_load_n(&loop->drain_until, __ATOMIC_ACQUIRE)) {
        drain_step(loop);
        return;
    }
    int64_t now = moment_monotonic();
    for (unsigned i = 0; i < loop->slot_count; i++)
        if (loop->slots[i])
            connection_tick(loop->slots[i], now);
}

static void flush_dirty(struct loop *loop)
{
    while (loop->dirty) {
        struct connection *connection = loop->dirty;
        loop->dirty = connection->dirty_next;
        connection->dirty = false;
        connection_flush(connection);
    }
}

static void read_mail(struct loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct mail *mail = loop->first;
    loop->first = NULL;
    loop->last = &loop->first;
    pthread_mutex_unlock(&loop->lock);
    while (mail) {
        struct mail *next = mail->next;
        mail->deliver(loop, mail);
        mail = next;
    }
}

static void on_wake(uv_async_t *wake)
{
    struct loop *loop = wake->data;
    read_mail(loop);
    flush_dirty(loop);
}

void loop_post(struct loop *loop, struct mail *mail)
{
    mail->next = NULL;
    pthread_mutex_lock(&loop->lock);
    bool first = !loop->first;
    *loop->last = mail;
    loop->last = &mail->next;
    /* Under the lock: the handle lives as long as the thread runs. */
    if (first && loop->running)
        (void)uv_async_send(&loop->wake); /* fails only on a closing handle, when loop_join reads the mail */
    pthread_mutex_unlock(&loop->lock);
}

struct connection *loop_connection(struct loop *loop, uint64_t id)
{
    uint32_t slot = (uint32_t)id;
    struct connection *connection = slot < loop->slot_count ? loop->slots[slot] : NULL;
    return connection && connection->id == id ? connection : NULL;
}

const char *loop_date(struct loop *loop)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now); /* cannot fail with this clock */
    if (now.tv_sec != loop->date_second) {
        struct tm parts;
        gmtime_r(&now.tv_sec, &parts);
        strftime(loop->date, sizeof loop->date, "%a, %d %b %Y %H:%M:%S GMT", &parts);
        loop->date_second = now.tv_sec;
    }
    return loop->date;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct loop *loop = listener->data;
    if (status == 0)
        connection_accept(loop);
    else
        log_warning("http.accept", LOG_TEXT("error", uv_strerror(status)));
    flush_dirty(loop);
}

static void *run(void *argument)
{
    struct loop *loop = argument;
    /* libuv writes to sockets whose peer may be gone; the error is enough, the signal would end the process.
     */
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &pipe, NULL); /* cannot fail with these arguments */
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);       /* until drain_step has closed every handle */
    return NULL;
}

/* The file descriptor's own option must be set between socket and bind, so the socket is made here. */
static int listener_bind(struct loop *loop, const struct sockaddr *address)
{
    struct server *server = loop->server;
    int status = uv_tcp_init_ex(&loop->uv, &loop->listener, address->sa_family);
    if (status)
        return status;
    loop->listener.data = loop;
    uv_os_fd_t fd;
    int on = 1;
    if (server->settings.loops > 1 && (uv_fileno((uv_handle_t *)&loop->listener, &fd) != 0 ||
                                       setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0))
        return UV_ENOTSUP;
    status = uv_tcp_bind(&loop->listener, address, 0);
    if (!status)
        status = uv_listen((uv_stream_t *)&loop->listener, BACKLOG, on_connection);
    struct sockaddr_storage bound;
    int length = sizeof bound;
    if (!status)
        status = uv_tcp_getsockname(&loop->listener, (struct sockaddr *)&bound, &length);
    if (!status)
        server->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                         : ((struct sockaddr_in *)&bound)->sin_port);
    return status;
}

static struct error *listen_on(struct loop *loop)
{
    const struct server_settings *settings = &loop->server->settings;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    int port = loop->server->port; /* of the loop before, when any free one is wanted */
    if (uv_ip4_addr(settings->address, port, &address.v4) != 0 &&
        uv_ip6_addr(settings->address, port, &address.v6) != 0)
        return error_new(ERR_INVALID, "\"%s\" is not a numeric address", settings->address);
    int status = listener_bind(loop, &address.any);
    if (status)
        return error_new(ERR_IO, "could not listen on %s port %d: %s", settings->address, port,
                         uv_strerror(status));
    return NULL;
}

struct error *loop_open(struct loop *loop, struct server *server, unsigned index)
{
    *loop = (struct loop){.server = server, .index = index, .last = &loop->first};
    pthread_mutex_init(&loop->lock, NULL);
    loop->slot_count = server->settings.limits.connections_loop;
    loop->slots = xcalloc(loop->slot_count, sizeof *loop->slots);
    loop->generations = xcalloc(loop->slot_count, sizeof *loop->generations);
    loop->arena = arena_new();
    loop->in = xmalloc(LOOP_IN);
    loop->clear = xmalloc(LOOP_CLEAR);
    loop->plain = xmalloc(LOOP_PLAIN);
    unsigned char random[8];
    random_bytes(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        loop->id_prefix[2 * i] = "0123456789abcdef"[random[i] >> 4];
        loop->id_prefix[2 * i + 1] = "0123456789abcdef"[random[i] & 15];
    }
    if (uv_loop_init(&loop->uv))
        abort(); /* out of descriptors or memory at the start */
    loop->tick.data = loop->wake.data = loop;
    if (uv_timer_init(&loop->uv, &loop->tick) || uv_async_init(&loop->uv, &loop->wake, on_wake) ||
        uv_timer_start(&loop->tick, on_tick, TICK_MS, TICK_MS))
        abort();
    return listen_on(loop);
}

struct error *loop_start(struct loop *loop)
{
    loop->running = true;
    int failed = pthread_create(&loop->thread, NULL, run, loop);
    if (failed) {
        loop->running = false;
        return error_new(ERR_IO, "could not start an event loop's thread: %s", strerror(failed));
    }
    return NULL;
}

void loop_drain(struct loop *loop, int64_t deadline_us)
{
    __atomic_store_n(&loop->drain_until, moment_monotonic() + deadline_us, __ATOMIC_RELEASE);
}

void loop_join(struct loop *loop)
{
    if (loop->running)
        pthread_join(loop->thread, NULL);
    pthread_mutex_lock(&loop->lock);
    loop->running = false;
    pthread_mutex_unlock(&loop->lock);
    read_mail(loop);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void loop_close(struct loop *loop)
{
    if (!loop->server)
        return;
    uv_walk(&loop->uv, close_handle, NULL); /* of a loop that never ran */
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop->uv))
        abort(); /* a handle was forgotten */
    while (loop->spare) {
        struct stream *stream = loop->spare;
        loop->spare = stream->next;
        free(stream);
    }
    arena_free(loop->arena);
    free(loop->slots);
    free(loop->generations);
    free(loop->in);
    free(loop->clear);
    free(loop->plain);
    pthread_mutex_destroy(&loop->lock);
}
