/* The embedded default: a private PostgreSQL cluster in the broker's data directory, for a broker to which no
 * database is configured. `initdb` once, a unix socket alone, stopped with the broker.
 *
 * Layout: data_dir/pg (the cluster), data_dir/pg.lock (held while a broker uses it), data_dir/pg.log (what
 * the server says), data_dir/socket (the socket's folder, mode 0700; when its path is too long for a socket,
 * a folder in /tmp named after the digest of data_dir).
 *
 * Started as root, the cluster runs as an unprivileged user, who must be able to reach data_dir/pg. A broker
 * that was killed leaves the cluster running; the next start adopts it. A postmaster that dies is started
 * again by a watching thread. */
#ifndef BROKER_DB_EMBEDDED_H
#define BROKER_DB_EMBEDDED_H

#include <stdbool.h>
#include <sys/types.h>

#include "broker/base/error.h"

struct embedded_options {
    const char *bin_dir; /* folder of initdb and postgres; NULL: found (see embedded_find_binaries) */
    const char *user;    /* started as root: who runs the cluster; NULL: "postgres" */
    int max_connections; /* 0: 200 */
    bool unsafe_fast;    /* for tests alone: no fsync, little memory */
};

struct embedded;

/* Makes data_dir (its parent must exist) and the cluster when missing, starts or adopts it, and waits until
 * it answers. ERR_BUSY: another broker uses data_dir. ERR_UNSUPPORTED: no PostgreSQL binaries, or none of the
 * cluster's version. ERR_UNAVAILABLE: it did not start; the message ends with its last words. */
struct error *embedded_start(const char *data_dir, const struct embedded_options *options,
                             struct embedded **ret_embedded) ERROR_MUST_USE;
/* Stops the cluster (fast: sessions are ended, nothing committed is lost) and frees. NULL is accepted. */
void embedded_stop(struct embedded *embedded);

/* Conninfos of database "yunqiao": the owner migrates, the application's role does the rest. */
const char *embedded_owner_conninfo(const struct embedded *embedded);
const char *embedded_app_conninfo(const struct embedded *embedded);
/* The postmaster's process now; 0 while it is being started again. */
pid_t embedded_pid(const struct embedded *embedded);

/* What embedded_owner_conninfo or embedded_app_conninfo will be for this data_dir, without touching anything:
 * for a command that runs beside the broker. The caller frees. */
struct error *embedded_locate(const char *data_dir, bool owner, char **ret_conninfo) ERROR_MUST_USE;

/* Where both initdb and postgres are: `bin_dir` when it is not NULL, else pg_config --bindir, then
 * /usr/lib/postgresql/N/bin (highest N ≥ 15; `version` alone when it is not NULL: "15"). ERR_UNSUPPORTED
 * names the package to install. The caller frees. */
struct error *embedded_find_binaries(const char *bin_dir, const char *version,
                                     char **ret_bin_dir) ERROR_MUST_USE;

#endif
