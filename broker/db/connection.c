/* Opening a connection, keeping it, and waiting for notifications on it; see db.h. */
#include "broker/db/db.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/id.h"
#include "broker/base/log.h"
#include "broker/db/session.h"

/* Timeouts are set only where the conninfo (options=-c …) or the role did not set them. */
static const char session_settings[] =
    "SELECT set_config('TimeZone', 'UTC', false), set_config('DateStyle', 'ISO', false),"
    " set_config('client_encoding', 'UTF8', false), set_config('extra_float_digits', '1', false),"
    " CASE WHEN current_setting('statement_timeout') = '0' THEN set_config('statement_timeout', '60s', "
    "false) END,"
    " CASE WHEN current_setting('lock_timeout') = '0' THEN set_config('lock_timeout', '10s', false) END,"
    " CASE WHEN current_setting('idle_in_transaction_session_timeout') = '0'"
    " THEN set_config('idle_in_transaction_session_timeout', '60s', false) END";

/* In ms; what is set already and shorter stays. */
static const char shorter_idle[] =
    "SELECT set_config('idle_in_transaction_session_timeout', $1, false) FROM pg_settings"
    " WHERE name = 'idle_in_transaction_session_timeout' AND setting::bigint > $1::bigint";

static void on_notice(void *arg, const PGresult *result)
{
    (void)arg; /* libpq's form */
    log_debug("db.notice", LOG_TEXT("message", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY)));
}

static struct error *listen_to(struct db *db, const char *channel)
{
    char *quoted = PQescapeIdentifier(db->conn, channel, strlen(channel));
    if (!quoted)
        return db_lost(db->conn, "could not quote the channel's name");
    char *sql = xasprintf("LISTEN %s", quoted); /* a name cannot be a parameter */
    PQfreemem(quoted);
    struct error *error = db_command(db, sql, NULL);
    free(sql);
    return error_wrap(error, "could not listen to %s", channel);
}

static bool set_up_session(PGconn *conn, int64_t idle_us)
{
    PGresult *result = PQexec(conn, session_settings);
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
    if (!good || !idle_us)
        return good;
    char *millis = xasprintf("%lld", (long long)(idle_us + 999) / 1000);
    result = PQexecParams(conn, shorter_idle, 1, NULL, (const char *const[]){millis}, NULL, NULL, 0);
    good = PQresultStatus(result) == PGRES_TUPLES_OK;
    PQclear(result);
    free(millis);
    return good;
}

static struct error *open_connection(struct db *db)
{
    static const char *const names[] = {"connect_timeout",     "application_name", "keepalives_idle",
                                        "keepalives_interval", "keepalives_count", "tcp_user_timeout",
                                        "client_encoding",     "dbname",           NULL};
    const char *values[] = {"10", "yunqiao", "10", "5", "3", "30000", "UTF8", db->conninfo, NULL};
    PGconn *conn =
        PQconnectdbParams(names, values, 1); /* what dbname expands to overrides what is before it */
    if (!conn || PQstatus(conn) != CONNECTION_OK) {
        struct error *error = db_lost(conn, "could not connect to the database");
        PQfinish(conn);
        return error;
    }
    (void)PQsetNoticeReceiver(conn, on_notice, NULL);
    if (!set_up_session(conn, db->idle_us) || !PQenterPipelineMode(conn)) {
        struct error *error = db_lost(conn, "could not set up the database session");
        PQfinish(conn);
        return error;
    }
    db->conn = conn;
    return NULL;
}

void db_drop(struct db *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
    db->item_count = 0;
    db_prepared_clear(db);
}

/* A server that went away while nobody was asking has closed the socket: seen here without a round trip. */
static void notice_closed(struct db *db)
{
    for (int i = 0; i < 4; i++) { /* its last words, then the end */
        struct pollfd ready = {.fd = PQsocket(db->conn), .events = POLLIN};
        if (poll(&ready, 1, 0) != 1)
            return;
        if (!PQconsumeInput(db->conn) || PQstatus(db->conn) != CONNECTION_OK) {
            db_drop(db);
            return;
        }
    }
}

struct error *db_ready(struct db *db)
{
    bool running = db->in_transaction && !db->begin_pending;
    if (db->conn && !running && !db->item_count)
        notice_closed(db);
    if (db->conn)
        return NULL;
    if (running)
        return error_new(ERR_UNAVAILABLE, "the database connection was lost");
    TRY(open_connection(db));
    db->reconnected = true;
    /* Channels come before anything of a transaction: their LISTEN must not roll back with it. */
    bool pending = db->begin_pending;
    db->begin_pending = false;
    struct error *error = NULL;
    for (size_t i = 0; i < db->channel_count && !error; i++)
        error = listen_to(db, db->channels[i]);
    db->begin_pending = pending;
    if (error)
        db_drop(db);
    return error;
}

struct error *db_connect_idle(const char *conninfo, int64_t idle_us, struct db **ret_db)
{
    struct db *db = xcalloc(1, sizeof *db);
    db->idle_us = idle_us;
    db->conninfo = xstrdup(conninfo);
    struct error *error = open_connection(db);
    if (error) {
        db_close(db);
        return error;
    }
    *ret_db = db;
    return NULL;
}

struct error *db_connect(const char *conninfo, struct db **ret_db)
{
    return db_connect_idle(conninfo, 0, ret_db);
}

void db_close(struct db *db)
{
    if (!db)
        return;
    db_drop(db);
    for (size_t i = 0; i < db->channel_count; i++)
        free(db->channels[i]);
    free(db->prepared);
    free(db->items);
    free(db->conninfo);
    free(db);
}

struct error *db_listen(struct db *db, const char *channel)
{
    if (db->in_transaction)
        return error_new(ERR_INTERNAL, "db_listen inside a transaction");
    for (size_t i = 0; i < db->channel_count; i++) {
        if (strcmp(db->channels[i], channel) == 0)
            return NULL;
    }
    if (db->channel_count == DB_CHANNELS_MAX)
        return error_new(ERR_TOO_LARGE, "a connection listens to at most %d channels", DB_CHANNELS_MAX);
    TRY(db_ready(db));
    TRY(listen_to(db, channel));
    db->channels[db->channel_count++] = xstrdup(channel);
    return NULL;
}

static bool take_notifications(struct db *db)
{
    bool any = false;
    PGnotify *notify;
    while ((notify = PQnotifies(db->conn))) {
        PQfreemem(notify);
        any = true;
    }
    return any;
}

struct error *db_wait(struct db *db, int64_t timeout_us, int wake_fd, bool *ret_notified)
{
    if (db->in_transaction)
        return error_new(ERR_INTERNAL, "db_wait inside a transaction");
    TRY(db_ready(db));
    int64_t end = moment_monotonic() + timeout_us;
    for (;;) {
        if (take_notifications(db) || db->reconnected) {
            db->reconnected = false;
            *ret_notified = true;
            return NULL;
        }
        int64_t left = end - moment_monotonic();
        struct pollfd ready[2] = {{.fd = PQsocket(db->conn), .events = POLLIN},
                                  {.fd = wake_fd, .events = POLLIN}};
        int64_t millis = left > 0 ? (left + 999) / 1000 : 0;
        int got = left > 0 ? poll(ready, 2, millis > 60000 ? 60000 : (int)millis) : 0;
        if (got < 0 && errno != EINTR)
            return error_new(ERR_IO, "could not wait for the database: %s", strerror(errno));
        if (left <= 0 || (got > 0 && ready[1].revents)) {
            *ret_notified = false;
            return NULL;
        }
        if (got > 0 && !PQconsumeInput(db->conn)) {
            struct error *error = db_lost(db->conn, "the database connection was lost");
            db_drop(db);
            return error;
        }
    }
}

const char *db_conninfo(const struct db *db)
{
    return db->conninfo;
}
