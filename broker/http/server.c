/* The server as a whole: puts loops, workers, router, documents and the event feed together, and takes them
 * apart in the right order. */
#include "broker/http/server.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/http/event_stream.h"
#include "broker/http/flow.h"
#include "broker/http/inside.h"
#include "broker/http/openapi.h"

static struct error *check_settings(const struct server_settings *settings)
{
    if (!settings->address || !settings->certificate_file || !settings->key_file || !settings->clock)
        return error_new(ERR_INVALID, "the server needs an address, a certificate, a key and a clock");
    if (settings->port < 0 || settings->port > 65535 || settings->loops > 64 || settings->workers > 256)
        return error_new(ERR_INVALID, "the server's port, loops (1-64) or workers (1-256) are out of range");
    return NULL;
}

struct error *server_new(const struct server_settings *settings, struct server **ret_server)
{
    TRY(check_settings(settings));
    SSL_CTX *tls;
    TRY(tls_context_new(settings->certificate_file, settings->key_file, &tls));
    struct router *router;
    struct error *error = router_new(settings->tables, settings->table_count, &router);
    if (error) {
        SSL_CTX_free(tls);
        return error;
    }
    struct server *server = xcalloc(1, sizeof *server);
    server->settings = *settings;
    if (!server->settings.loops)
        server->settings.loops = 1;
    if (!server->settings.workers)
        server->settings.workers = 8;
    server_limits_fill(&server->settings.limits);
    server->router = router;
    server->tls = tls;
    server->documents = documents_new();
    pthread_mutex_init(&server->tls_lock, NULL);
    pthread_mutex_init(&server->flow_lock, NULL);
    session_callbacks(server);
    static const char alive[] = "{\"status\":\"alive\"}";
    error = server_document(server, "/healthz", NULL, "application/json", alive, sizeof alive - 1);
    if (!error)
        error =
            server_document(server, "/v1/openapi.yaml", NULL, OPENAPI_TYPE, openapi_yaml, openapi_yaml_size);
    if (error) {
        server_free(server);
        return error;
    }
    *ret_server = server;
    return NULL;
}

struct error *server_document(struct server *server, const char *path, const char *permission,
                              const char *content_type, const void *bytes, size_t length)
{
    return documents_set(server->documents, path, permission, content_type, bytes, length);
}

SSL_CTX *server_tls(struct server *server)
{
    pthread_mutex_lock(&server->tls_lock);
    SSL_CTX *context = server->tls;
    if (!SSL_CTX_up_ref(context))
        abort(); /* it cannot fail */
    pthread_mutex_unlock(&server->tls_lock);
    return context;
}

struct error *server_reload(struct server *server)
{
    SSL_CTX *fresh;
    TRY(tls_context_new(server->settings.certificate_file, server->settings.key_file, &fresh));
    pthread_mutex_lock(&server->tls_lock);
    SSL_CTX *old = server->tls;
    server->tls = fresh;
    pthread_mutex_unlock(&server->tls_lock);
    SSL_CTX_free(old);
    log_info("http.reload", LOG_TEXT("certificate", server->settings.certificate_file));
    return NULL;
}

int server_port(const struct server *server)
{
    return server->port;
}

/* SO_REUSEPORT would let a second broker share the port in silence; a listener without it tells. */
static struct error *port_is_free(const struct server_settings *settings)
{
    if (settings->port == 0 || settings->loops < 2)
        return NULL;
    uv_loop_t uv;
    uv_tcp_t probe;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    if (uv_ip4_addr(settings->address, settings->port, &address.v4) != 0 &&
        uv_ip6_addr(settings->address, settings->port, &address.v6) != 0)
        return error_new(ERR_INVALID, "\"%s\" is not a numeric address", settings->address);
    if (uv_loop_init(&uv) || uv_tcp_init(&uv, &probe))
        abort();
    int status = uv_tcp_bind(&probe, &address.any, 0);
    if (!status)
        status = uv_listen((uv_stream_t *)&probe, 1, NULL);
    uv_close((uv_handle_t *)&probe, NULL);
    (void)uv_run(&uv, UV_RUN_DEFAULT);
    (void)uv_loop_close(&uv);
    if (status)
        return error_new(ERR_IO, "could not listen on %s port %d: %s", settings->address, settings->port,
                         uv_strerror(status));
    return NULL;
}

static struct error *open_loops(struct server *server)
{
    server->port = server->settings.port;
    TRY(port_is_free(&server->settings));
    server->loops = xcalloc(server->settings.loops, sizeof *server->loops);
    for (unsigned i = 0; i < server->settings.loops; i++) {
        server->loop_count = i + 1;
        TRY(loop_open(&server->loops[i], server, i));
    }
    return NULL;
}

static bool any_streams(const struct server_settings *settings)
{
    for (size_t i = 0; i < settings->table_count; i++)
        for (size_t j = 0; j < settings->tables[i]->count; j++)
            if (settings->tables[i]->routes[j].flags & HTTP_STREAM)
                return true;
    return false;
}

static struct error *start_workers(struct server *server)
{
    const struct server_limits *limits = &server->settings.limits;
    server->flows_over = false;
    TRY(workers_start(server, server->settings.workers, limits->queue, 0, &server->workers));
    if (any_streams(&server->settings))
        TRY(workers_start(server, limits->exports, 0, limits->exports_principal, &server->exporters));
    return NULL;
}

static struct error *start_all(struct server *server)
{
    TRY(open_loops(server));
    TRY(start_workers(server));
    if (server->settings.conninfo)
        TRY(feed_start(server, &server->feed));
    for (unsigned i = 0; i < server->loop_count; i++)
        TRY(loop_start(&server->loops[i]));
    return NULL;
}

/* Ends what start_all began, however far it came. */
static bool stop_all(struct server *server, int64_t deadline_us)
{
    int64_t until = moment_monotonic() + deadline_us;
    bool whole = true;
    for (unsigned i = 0; i < server->loop_count; i++)
        loop_drain(&server->loops[i], deadline_us);
    for (unsigned i = 0; i < server->loop_count; i++) {
        loop_join(&server->loops[i]);
        whole = whole && !server->loops[i].was_cut;
    }
    flows_cut(server); /* the loops are gone: nobody takes anything */
    int64_t left = until - moment_monotonic();
    workers_stop(server->workers, left > 0 ? left : 0);
    server->workers = NULL;
    left = until - moment_monotonic();
    workers_stop(server->exporters, left > 0 ? left : 0);
    server->exporters = NULL;
    feed_stop(server->feed);
    for (unsigned i = 0; i < server->loop_count; i++) {
        loop_join(&server->loops[i]); /* for the mail of the workers */
        loop_close(&server->loops[i]);
    }
    feed_free(server->feed);
    server->feed = NULL;
    free(server->loops);
    server->loops = NULL;
    server->loop_count = 0;
    return whole;
}

struct error *server_start(struct server *server)
{
    struct error *error = start_all(server);
    if (error) {
        (void)stop_all(server, 0); /* the error says enough */
        return error;
    }
    log_info("http.listening", LOG_TEXT("address", server->settings.address), LOG_INT("port", server->port),
             LOG_INT("loops", server->loop_count), LOG_INT("workers", server->settings.workers));
    return NULL;
}

bool server_drain(struct server *server, int64_t deadline_us)
{
    bool whole = stop_all(server, deadline_us);
    log_info("http.drained", LOG_TEXT("whole", whole ? "yes" : "no"));
    return whole;
}

void server_free(struct server *server)
{
    if (!server)
        return;
    (void)stop_all(server, 0);
    router_free(server->router);
    documents_free(server->documents);
    SSL_CTX_free(server->tls);
    nghttp2_session_callbacks_del(server->callbacks);
    nghttp2_option_del(server->option);
    pthread_mutex_destroy(&server->tls_lock);
    pthread_mutex_destroy(&server->flow_lock);
    free(server);
}
