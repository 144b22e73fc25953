/* Parts of the embedded cluster shared by embedded.c and cluster_*.c, and nobody else. */
#ifndef BROKER_DB_CLUSTER_H
#define BROKER_DB_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "broker/base/error.h"

struct cluster {
    char *bin_dir;
    char *folder; /* data_dir/pg, absolute */
    char *socket; /* the socket's folder, absolute */
    char *log;    /* data_dir/pg.log */
    bool as_user; /* started as root: processes run as uid and gid */
    uid_t uid;
    gid_t gid;
    char *user;
    int max_connections;
    bool unsafe_fast;
};

/* cluster_user.c */
/* Who runs the cluster: nobody else when this process is not root. */
struct error *cluster_user_choose(struct cluster *cluster, const char *name) ERROR_MUST_USE;
/* Makes the folder with mode 0700 for that user, or checks that it is so. */
struct error *cluster_private_folder(const struct cluster *cluster, const char *path) ERROR_MUST_USE;
/* ERR_DENIED that says which folder does not let the cluster's user pass. */
struct error *cluster_check_reach(const struct cluster *cluster, const char *path) ERROR_MUST_USE;
/* Removes a folder and what is in it, never following links; success when it does not exist. */
struct error *cluster_remove_tree(const char *path) ERROR_MUST_USE;

/* cluster_process.c */
/* Starts a program as the cluster's user, in a session of its own, with output appended to the log. */
struct error *cluster_spawn(const struct cluster *cluster, const char *const argv[],
                            pid_t *ret_pid) ERROR_MUST_USE;
/* cluster_spawn, and waits for a good end, at most `timeout_us`. */
struct error *cluster_run(const struct cluster *cluster, const char *const argv[],
                          int64_t timeout_us) ERROR_MUST_USE;
/* The process of postmaster.pid when it lives and really is this cluster's postmaster, else 0; it is never
 * another process that happens to have the number. *ret_pidfd is open when it is not 0. */
pid_t cluster_postmaster(const struct cluster *cluster, int *ret_pidfd);
/* Whether the process has ended within the time; reaps it when it is a child. */
bool cluster_wait_end(int pidfd, int64_t timeout_us);
/* Removes the lock files that a killed postmaster left, once no process of the cluster is left: PostgreSQL
 * itself takes a process that nobody has reaped, or that only has the number now, for a living postmaster.
 * ERR_BUSY when processes are left after a while. To be called when cluster_postmaster finds none. */
struct error *cluster_clear_stale(const struct cluster *cluster) ERROR_MUST_USE;
/* Starts the postmaster; its pidfd is in *ret_pidfd. */
struct error *cluster_start_postmaster(const struct cluster *cluster, pid_t *ret_pid,
                                       int *ret_pidfd) ERROR_MUST_USE;
/* Until it takes connections; ERR_UNAVAILABLE when the process ends first or time is up. */
struct error *cluster_wait_ready(const struct cluster *cluster, int pidfd, int64_t timeout_us) ERROR_MUST_USE;
/* Fast, then immediate when it does not end. */
struct error *cluster_stop_postmaster(int pidfd) ERROR_MUST_USE;
/* The last lines of the log, for an error's message; the caller frees. */
char *cluster_last_words(const struct cluster *cluster);

#endif
