/* The embedded cluster's life: made once, started or adopted, watched, stopped; see embedded.h. */
#include "broker/db/embedded.h"

#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/digest.h"
#include "broker/base/log.h"
#include "broker/base/moment.h"
#include "broker/db/cluster.h"
#include "broker/db/session.h"

#define INITDB_US (120 * MOMENT_SECOND)
#define READY_US (300 * MOMENT_SECOND) /* crash recovery may replay a lot */
#define LOG_MOST (16 << 20)            /* bytes of pg.log, at a start, that make it pg.log.1 */
#define RESTART_FIRST_US (100 * 1000)
#define RESTART_MOST_US (10 * MOMENT_SECOND)

struct embedded {
    struct cluster cluster;
    char *owner, *app; /* conninfos */
    int lock;          /* of data_dir/pg.lock */
    int pidfd;         /* of the postmaster; the watching thread's once it runs */
    _Atomic pid_t pid;
    int stop; /* eventfd: tells the thread to end */
    bool watching;
    pthread_t thread;
};

pid_t embedded_pid(const struct embedded *embedded)
{
    return embedded->pid;
}

const char *embedded_owner_conninfo(const struct embedded *embedded)
{
    return embedded->owner;
}

const char *embedded_app_conninfo(const struct embedded *embedded)
{
    return embedded->app;
}

/* A folder whose socket's path fits into an address. */
static char *socket_folder(const char *data_dir)
{
    char *folder = xasprintf("%s/socket", data_dir);
    if (strlen(folder) + sizeof "/.s.PGSQL.5432" <= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return folder;
    free(folder);
    char hex[DIGEST_HEX];
    digest_sha256(data_dir, strlen(data_dir), hex);
    return xasprintf("/tmp/yunqiao-%.16s", hex);
}

/* libpq quotes with ' and escapes with \. */
static char *make_conninfo(const char *socket, const char *user)
{
    char *quoted = xcalloc(2 * strlen(socket) + 1, 1), *out = quoted;
    for (const char *at = socket; *at; at++) {
        if (*at == '\'' || *at == '\\')
            *out++ = '\\';
        *out++ = *at;
    }
    char *conninfo = xasprintf("host='%s' port=5432 dbname=yunqiao user=%s", quoted, user);
    free(quoted);
    return conninfo;
}

struct error *embedded_locate(const char *data_dir, bool owner, char **ret_conninfo)
{
    char *path = realpath(data_dir, NULL);
    if (!path)
        return error_new(ERR_IO, "could not find %s: %s", data_dir, strerror(errno));
    char *socket = socket_folder(path);
    *ret_conninfo = make_conninfo(socket, owner ? "yunqiao_owner" : "yunqiao_app");
    free(socket);
    free(path);
    return NULL;
}

static struct error *take_lock(struct embedded *embedded, const char *data_dir)
{
    char *path = xasprintf("%s/pg.lock", data_dir);
    struct error *error = NULL;
    embedded->lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (embedded->lock < 0)
        error = error_new(ERR_IO, "could not open %s: %s", path, strerror(errno));
    else if (flock(embedded->lock, LOCK_EX | LOCK_NB) < 0)
        error = errno == EWOULDBLOCK ? error_new(ERR_BUSY, "another broker uses %s", data_dir)
                                     : error_new(ERR_IO, "could not lock %s: %s", path, strerror(errno));
    free(path);
    return error;
}

/* A cluster keeps the major version that made it. */
static struct error *find_programs(struct cluster *cluster, const char *bin_dir)
{
    char *path = xasprintf("%s/PG_VERSION", cluster->folder);
    char version[16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, version, sizeof version - 1);
    struct error *error = NULL;
    if (fd < 0 ? errno != ENOENT : length <= 0)
        error = error_new(ERR_IO, "could not read %s", path);
    if (fd >= 0)
        (void)close(fd); /* read only */
    free(path);
    TRY(error);
    version[length] = '\0';
    version[strcspn(version, "\n")] = '\0';
    return embedded_find_binaries(bin_dir, *version ? version : NULL, &cluster->bin_dir);
}

/* Called before anything of this start writes to it; an adopted server goes on writing to the old file. */
static struct error *turn_log(const struct cluster *cluster)
{
    struct stat status;
    if (stat(cluster->log, &status) < 0 || status.st_size < LOG_MOST)
        return NULL;
    char *old = xasprintf("%s.1", cluster->log);
    struct error *error = NULL;
    if (rename(cluster->log, old) < 0)
        error = error_new(ERR_IO, "could not rename %s: %s", cluster->log, strerror(errno));
    free(old);
    return error;
}

/* Folder, user and names; nothing runs yet. */
static struct error *prepare(struct embedded *embedded, const char *data_dir,
                             const struct embedded_options *options)
{
    struct cluster *cluster = &embedded->cluster;
    if (mkdir(data_dir, 0711) < 0 && errno != EEXIST)
        return error_new(ERR_IO, "could not make %s: %s", data_dir, strerror(errno));
    char *path = realpath(data_dir, NULL);
    if (!path)
        return error_new(ERR_IO, "could not find %s: %s", data_dir, strerror(errno));
    cluster->folder = xasprintf("%s/pg", path);
    cluster->log = xasprintf("%s/pg.log", path);
    cluster->socket = socket_folder(path);
    embedded->owner = make_conninfo(cluster->socket, "yunqiao_owner");
    embedded->app = make_conninfo(cluster->socket, "yunqiao_app");
    struct error *error = take_lock(embedded, path);
    if (!error)
        error = cluster_user_choose(cluster, options->user);
    if (!error)
        error = cluster_check_reach(cluster, path);
    free(path);
    TRY(error);
    TRY(find_programs(cluster, options->bin_dir));
    TRY(turn_log(cluster));
    return cluster_private_folder(cluster, cluster->socket);
}

/* Made aside and renamed, so that a cluster that is there is whole. */
static struct error *make_cluster(const struct cluster *cluster)
{
    struct stat status;
    if (stat(cluster->folder, &status) == 0)
        return cluster_private_folder(cluster, cluster->folder);
    char *fresh = xasprintf("%s.new", cluster->folder);
    char *program = xasprintf("%s/initdb", cluster->bin_dir);
    const char *argv[] = {program,
                          "--pgdata",
                          fresh,
                          "--username=yunqiao_owner",
                          "--auth-local=trust", /* the socket's folder lets nobody else in */
                          "--auth-host=reject",
                          "--encoding=UTF8",
                          "--locale=C",
                          "--data-checksums",
                          cluster->unsafe_fast ? "--no-sync" : NULL,
                          NULL};
    struct error *error = cluster_remove_tree(fresh);
    if (!error)
        error = cluster_private_folder(cluster, fresh);
    if (!error)
        error = cluster_run(cluster, argv, INITDB_US);
    if (!error && rename(fresh, cluster->folder) < 0)
        error = error_new(ERR_IO, "could not rename %s: %s", fresh, strerror(errno));
    free(fresh);
    free(program);
    return error_wrap(error, "could not make the embedded database");
}

static struct error *start_or_adopt(struct embedded *embedded)
{
    const struct cluster *cluster = &embedded->cluster;
    int fd;
    pid_t pid = cluster_postmaster(cluster, &fd);
    if (pid) {
        struct error *error = cluster_wait_ready(cluster, fd, READY_US);
        if (!error) {
            log_info("db.embedded_adopted", LOG_INT("pid", pid));
            embedded->pidfd = fd;
            embedded->pid = pid;
            return NULL;
        }
        log_warning("db.embedded_not_adopted", LOG_INT("pid", pid), LOG_CAUSE(error));
        error_free(error);
        error = cluster_stop_postmaster(fd);
        (void)close(fd); /* nothing was written */
        TRY(error);
    }
    TRY(cluster_clear_stale(cluster));
    TRY(cluster_start_postmaster(cluster, &pid, &fd));
    struct error *error = cluster_wait_ready(cluster, fd, READY_US);
    if (error) {
        error_ignore(cluster_stop_postmaster(fd)); /* why it did not start is what to tell */
        (void)close(fd);
        return error;
    }
    embedded->pidfd = fd;
    embedded->pid = pid;
    return NULL;
}

static struct error *make_database(const struct embedded *embedded)
{
    char *conninfo = make_conninfo(embedded->cluster.socket, "yunqiao_owner");
    const char *const names[] = {"dbname", "dbname", NULL};
    const char *const values[] = {conninfo, "postgres", NULL}; /* later ones override */
    PGconn *conn = PQconnectdbParams(names, values, 1);
    free(conninfo);
    struct error *error = NULL;
    if (PQstatus(conn) != CONNECTION_OK) {
        error = db_lost(conn, "could not connect to the embedded database");
    } else {
        PGresult *found = PQexec(conn, "SELECT FROM pg_database WHERE datname = 'yunqiao'");
        if (PQresultStatus(found) != PGRES_TUPLES_OK)
            error = db_lost(conn, "could not look for the database");
        else if (PQntuples(found) == 0) {
            PGresult *made = PQexec(conn, "CREATE DATABASE yunqiao");
            if (PQresultStatus(made) != PGRES_COMMAND_OK)
                error = db_lost(conn, "could not make the database");
            PQclear(made);
        }
        PQclear(found);
    }
    PQfinish(conn);
    return error;
}

/* Waits for the first of: told to stop (true), the postmaster's end or the time (false). */
static bool told_to_stop(const struct embedded *embedded, bool alive, int64_t wait_us)
{
    struct pollfd watched[2] = {{.fd = embedded->stop, .events = POLLIN},
                                {.fd = alive ? embedded->pidfd : -1, .events = POLLIN}};
    while (poll(watched, 2, wait_us < 0 ? -1 : (int)(wait_us / 1000)) < 0 && errno == EINTR)
        ;
    return watched[0].revents != 0;
}

static void *watch(void *arg)
{
    struct embedded *embedded = arg;
    int64_t wait = RESTART_FIRST_US;
    int64_t since = moment_monotonic();
    while (!told_to_stop(embedded, true, -1)) {
        (void)cluster_wait_end(embedded->pidfd, 0); /* reaps */
        (void)close(embedded->pidfd);
        embedded->pidfd = -1;
        log_error("db.embedded_died", LOG_INT("pid", embedded->pid));
        embedded->pid = 0;
        if (moment_monotonic() - since > MOMENT_MINUTE)
            wait = RESTART_FIRST_US;
        for (;;) {
            if (told_to_stop(embedded, false, wait))
                return NULL;
            wait = wait * 2 > RESTART_MOST_US ? RESTART_MOST_US : wait * 2;
            struct error *error = start_or_adopt(embedded);
            if (!error)
                break;
            log_error("db.embedded_not_restarted", LOG_CAUSE(error));
            error_free(error);
        }
        since = moment_monotonic();
        log_info("db.embedded_restarted", LOG_INT("pid", embedded->pid));
    }
    return NULL;
}

static struct error *start_watching(struct embedded *embedded)
{
    embedded->stop = eventfd(0, EFD_CLOEXEC);
    if (embedded->stop < 0)
        return error_new(ERR_IO, "could not make an eventfd: %s", strerror(errno));
    int failed = pthread_create(&embedded->thread, NULL, watch, embedded);
    if (failed)
        return error_new(ERR_IO, "could not start a thread: %s", strerror(failed));
    embedded->watching = true;
    return NULL;
}

static struct error *start(struct embedded *embedded, const char *data_dir,
                           const struct embedded_options *options)
{
    TRY(prepare(embedded, data_dir, options));
    TRY(make_cluster(&embedded->cluster));
    TRY(start_or_adopt(embedded));
    TRY(make_database(embedded));
    return start_watching(embedded);
}

struct error *embedded_start(const char *data_dir, const struct embedded_options *options,
                             struct embedded **ret_embedded)
{
    struct embedded *embedded = xcalloc(1, sizeof *embedded);
    embedded->lock = embedded->pidfd = embedded->stop = -1;
    embedded->cluster.max_connections = options->max_connections ? options->max_connections : 200;
    embedded->cluster.unsafe_fast = options->unsafe_fast;
    struct error *error = start(embedded, data_dir, options);
    if (error) {
        embedded_stop(embedded);
        return error_wrap(error, "could not start the embedded database in %s", data_dir);
    }
    *ret_embedded = embedded;
    return NULL;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        (void)close(fd); /* nothing was written */
}

void embedded_stop(struct embedded *embedded)
{
    if (!embedded)
        return;
    if (embedded->watching) {
        uint64_t one = 1;
        if (write(embedded->stop, &one, sizeof one) == (ssize_t)sizeof one)
            (void)pthread_join(embedded->thread, NULL); /* ours, and joined once */
    }
    if (embedded->pidfd >= 0) {
        struct error *error = cluster_stop_postmaster(embedded->pidfd);
        if (error)
            log_error("db.embedded_not_stopped", LOG_CAUSE(error));
        error_free(error);
    }
    close_if_open(embedded->pidfd);
    close_if_open(embedded->stop);
    close_if_open(embedded->lock); /* last: now another broker may start it */
    free(embedded->cluster.bin_dir);
    free(embedded->cluster.folder);
    free(embedded->cluster.socket);
    free(embedded->cluster.log);
    free(embedded->cluster.user);
    free(embedded->owner);
    free(embedded->app);
    free(embedded);
}
