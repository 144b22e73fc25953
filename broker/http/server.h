/* The HTTP/2 server: event loops that own connections, and workers that run handlers (http.h). The
 * composition root makes one, gives it the route tables and documents, starts it and drains it.
 *
 *     TRY(server_new(&settings, &server));
 *     TRY(server_document(server, "/v1/catalog/items", "catalog:read", "application/json", text, length));
 *     TRY(server_start(server));
 *     … until a signal …
 *     server_drain(server, 30 * MOMENT_SECOND);
 *     server_free(server);
 *
 * Functions may be called from any thread, one at a time for start, drain and free. */
#ifndef BROKER_HTTP_SERVER_H
#define BROKER_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/auth/auth.h"
#include "broker/base/error.h"
#include "broker/base/moment.h"
#include "broker/http/http.h"
#include "broker/http/limits.h"

struct server;

struct server_settings {
    const char *address;          /* numeric, "127.0.0.1", "::" */
    int port;                     /* 0: any free one, see server_port */
    unsigned loops;               /* event loops, 1–64; 0: 1 */
    unsigned workers;             /* 1–256; 0: 8. Each has a database connection of its own */
    const char *conninfo;         /* NULL: no database; handlers get db NULL and nothing is kept (tests) */
    const char *certificate_file; /* PEM, leaf first, then the chain */
    const char *key_file;         /* PEM */
    struct auth *auth;            /* NULL: only HTTP_PUBLIC routes answer */
    struct clock *clock;
    const struct http_table *const *tables; /* route tables of every floor, the server's own (below) too */
    size_t table_count;
    void *context;               /* handed to every call */
    enum db_isolation isolation; /* of calls that write; DB_READ_COMMITTED when left 0 */
    struct server_limits limits; /* zeros: defaults */
};

/* Borrows what the settings point to until server_free; copies the struct. ERR_INVALID names a route that
 * breaks http.h's rules or collides with another. Reads certificate and key. */
struct error *server_new(const struct server_settings *settings, struct server **ret_server) ERROR_MUST_USE;

/* Answers GET and HEAD of exactly `path`, without a query, from these bytes (copied) on the event loop, with
 * a strong ETag. Wins over a route of the same path, which goes on answering with a query. `permission` NULL:
 * public. Again for the same path: replaces it, also while running. NULL bytes: removes it. */
struct error *server_document(struct server *server, const char *path, const char *permission,
                              const char *content_type, const void *bytes, size_t length) ERROR_MUST_USE;

/* Opens the port, connects the workers to the database and starts all threads. */
struct error *server_start(struct server *server) ERROR_MUST_USE;
/* The port in use; after server_start. */
int server_port(const struct server *server);
/* Reads certificate and key files again, for new connections; on an error the old ones stay. */
struct error *server_reload(struct server *server) ERROR_MUST_USE;

/* Refuses new connections, tells clients to go away, lets calls and answers end, ends event streams; after
 * `deadline_us` cuts what is left. Returns when all threads have ended. True when nothing had to be cut. */
bool server_drain(struct server *server, int64_t deadline_us);
/* Cuts everything when not drained. NULL is fine. */
void server_free(struct server *server);

/* The server's own resources: /healthz, /readyz, /v1/openapi.yaml, /v1/events. */
extern const struct http_table server_routes;

#endif
