/* The embedded cluster's processes: starting, recognising, stopping; see cluster.h. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/buf.h"
#include "broker/base/moment.h"
#include "broker/db/cluster.h"

#define STOP_FAST_US (60 * MOMENT_SECOND)
#define STOP_NOW_US (20 * MOMENT_SECOND)
#define LAST_WORDS 2000 /* bytes */

/* In the child, between fork and exec: only calls that are safe there. */
static _Noreturn void become(const struct cluster *cluster, const char *const argv[], int log)
{
    int null = open("/dev/null", O_RDONLY);
    sigset_t none;
    sigemptyset(&none);
    if (null < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 || setsid() < 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        _exit(126);
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL); /* some cannot be set, and need not */
    if (close_range(3, ~0U, 0) < 0)
        _exit(126);
    (void)umask(077);
    if (cluster->as_user &&
        (setgroups(0, NULL) < 0 || setresgid(cluster->gid, cluster->gid, cluster->gid) < 0 ||
         setresuid(cluster->uid, cluster->uid, cluster->uid) < 0))
        _exit(126);
    if (chdir("/") < 0)
        _exit(126);
    char *none_of_ours[] = {(char *)(uintptr_t) "PATH=/usr/bin:/bin", (char *)(uintptr_t) "LC_ALL=C",
                            (char *)(uintptr_t) "TZ=UTC", NULL};
    (void)execve(argv[0], (char *const *)(uintptr_t)argv, none_of_ours);
    _exit(127);
}

struct error *cluster_spawn(const struct cluster *cluster, const char *const argv[], pid_t *ret_pid)
{
    int log = open(cluster->log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (log < 0)
        return error_new(ERR_IO, "could not open %s: %s", cluster->log, strerror(errno));
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours runs in the child */
    pid_t pid = fork();
    if (pid == 0)
        become(cluster, argv, log);
    int why = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)close(log); /* the child has its own */
    if (pid < 0)
        return error_new(ERR_IO, "could not start %s: %s", argv[0], strerror(why));
    *ret_pid = pid;
    return NULL;
}

struct error *cluster_run(const struct cluster *cluster, const char *const argv[], int64_t timeout_us)
{
    pid_t pid;
    TRY(cluster_spawn(cluster, argv, &pid));
    int fd = pidfd_open(pid, 0);
    struct error *error = NULL;
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    if (fd < 0)
        error = error_new(ERR_IO, "could not watch %s: %s", argv[0], strerror(errno));
    else if (poll(&ended, 1, (int)(timeout_us / 1000)) != 1)
        error = error_new(ERR_TIMEOUT, "%s did not end", argv[0]);
    if (error)
        (void)kill(pid, SIGKILL); /* our own child, not yet reaped */
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (fd >= 0)
        (void)close(fd); /* nothing was written */
    if (!error && !(WIFEXITED(status) && WEXITSTATUS(status) == 0)) {
        char *words = cluster_last_words(cluster);
        error = error_new(ERR_UNAVAILABLE, "%s failed: %s", argv[0], words);
        free(words);
    }
    return error;
}

static bool is_postmaster(const struct cluster *cluster, pid_t pid)
{
    char path[64];
    struct stat folder, cwd;
    (void)snprintf(path, sizeof path, "/proc/%ld/cwd", (long)pid); /* fits any pid */
    if (stat(path, &cwd) < 0 || stat(cluster->folder, &folder) < 0)
        return false;
    if (cwd.st_dev != folder.st_dev || cwd.st_ino != folder.st_ino)
        return false;
    (void)snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char name[32] = "";
    ssize_t length = fd < 0 ? -1 : read(fd, name, sizeof name - 1);
    if (fd >= 0)
        (void)close(fd); /* read only */
    return length > 0 && strncmp(name, "postgres", 8) == 0;
}

pid_t cluster_postmaster(const struct cluster *cluster, int *ret_pidfd)
{
    char *path = xasprintf("%s/postmaster.pid", cluster->folder);
    FILE *file = fopen(path, "re");
    free(path);
    if (!file)
        return 0;
    char line[32];
    long number = fgets(line, sizeof line, file) ? strtol(line, NULL, 10) : 0;
    (void)fclose(file);                  /* read only */
    if (number <= 1 || number > 1 << 22) /* the kernel's largest pid */
        return 0;
    int fd = pidfd_open((pid_t)number, 0);
    if (fd < 0)
        return 0;
    if (is_postmaster(cluster,
                      (pid_t)number)) { /* asked after the pidfd is ours: the number cannot move on */
        *ret_pidfd = fd;
        return (pid_t)number;
    }
    (void)close(fd); /* nothing was written */
    return 0;
}

bool cluster_wait_end(int pidfd, int64_t timeout_us)
{
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    int64_t end = moment_monotonic() + timeout_us;
    for (;;) {
        int64_t left = end - moment_monotonic();
        int got = poll(&ended, 1, left > 0 ? (int)((left + 999) / 1000) : 0);
        if (got == 1) {
            siginfo_t info;
            (void)waitid(P_PIDFD, (id_t)pidfd, &info,
                         WEXITED | WNOHANG); /* ECHILD: adopted, not ours to reap */
            return true;
        }
        if (got < 0 && errno != EINTR)
            return false;
        if (left <= 0)
            return false;
    }
}

/* Everything that matters is given here at each start, whatever postgresql.conf says. */
static const char *const settings[] = {"listen_addresses=",
                                       "port=5432",
                                       "unix_socket_permissions=0700",
                                       "fsync=on",
                                       "full_page_writes=on",
                                       "synchronous_commit=on",
                                       "shared_buffers=128MB",
                                       "work_mem=8MB",
                                       "maintenance_work_mem=64MB",
                                       "max_wal_size=1GB",
                                       "jit=off",
                                       "random_page_cost=1.1",
                                       "timezone=UTC",
                                       "log_timezone=UTC",
                                       "datestyle=ISO",
                                       "logging_collector=off",
                                       "log_min_messages=warning",
                                       "log_min_error_statement=panic",
                                       "log_checkpoints=off",
                                       "password_encryption=scram-sha-256",
                                       NULL};
static const char *const fast_settings[] = {"fsync=off", "full_page_writes=off", "shared_buffers=16MB",
                                            "max_wal_size=256MB", NULL};

#define ARGUMENTS_MAX 80

static size_t add_settings(const char **argv, size_t count, const char *const *list)
{
    for (; *list; list++) {
        argv[count++] = "-c";
        argv[count++] = *list;
    }
    return count;
}

struct error *cluster_start_postmaster(const struct cluster *cluster, pid_t *ret_pid, int *ret_pidfd)
{
    const char *argv[ARGUMENTS_MAX];
    char *program = xasprintf("%s/postgres", cluster->bin_dir);
    char *socket = xasprintf("unix_socket_directories=%s", cluster->socket);
    char *most = xasprintf("max_connections=%d", cluster->max_connections);
    const char *const own[] = {socket, most, NULL};
    size_t count = 0;
    argv[count++] = program;
    argv[count++] = "-D";
    argv[count++] = cluster->folder;
    count = add_settings(argv, count, settings);
    if (cluster->unsafe_fast)
        count = add_settings(argv, count, fast_settings);
    count = add_settings(argv, count, own);
    argv[count] = NULL;
    pid_t pid;
    struct error *error = cluster_spawn(cluster, argv, &pid);
    free(program);
    free(socket);
    free(most);
    TRY(error);
    int fd = pidfd_open(pid, 0);
    if (fd < 0) {
        error = error_new(ERR_IO, "could not watch the embedded database: %s", strerror(errno));
        (void)kill(pid, SIGINT); /* our own child, not yet reaped */
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return error;
    }
    *ret_pid = pid;
    *ret_pidfd = fd;
    return NULL;
}

struct error *cluster_wait_ready(const struct cluster *cluster, int pidfd, int64_t timeout_us)
{
    char *conninfo = xasprintf("host='%s' port=5432 dbname=postgres user=yunqiao_owner connect_timeout=5",
                               cluster->socket);
    int64_t end = moment_monotonic() + timeout_us;
    struct error *error = NULL;
    while (PQping(conninfo) != PQPING_OK && !error) {
        char *words = NULL;
        if (cluster_wait_end(pidfd, 20 * 1000)) { /* there is no event to wait for but its end */
            words = cluster_last_words(cluster);
            error = error_new(ERR_UNAVAILABLE, "the embedded database ended at its start: %s", words);
        } else if (moment_monotonic() > end) {
            words = cluster_last_words(cluster);
            error = error_new(ERR_UNAVAILABLE, "the embedded database does not get ready: %s", words);
        }
        free(words);
    }
    free(conninfo);
    return error;
}

struct error *cluster_stop_postmaster(int pidfd)
{
    (void)pidfd_send_signal(pidfd, SIGINT, NULL, 0); /* fails when it ended already */
    if (cluster_wait_end(pidfd, STOP_FAST_US))
        return NULL;
    (void)pidfd_send_signal(pidfd, SIGQUIT, NULL, 0);
    if (cluster_wait_end(pidfd, STOP_NOW_US))
        return NULL;
    return error_new(ERR_TIMEOUT, "the embedded database does not stop");
}

char *cluster_last_words(const struct cluster *cluster)
{
    char text[LAST_WORDS + 1];
    int fd = open(cluster->log, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return xasprintf("(%s: %s)", cluster->log, strerror(errno));
    off_t size = lseek(fd, 0, SEEK_END);
    (void)lseek(fd, size > LAST_WORDS ? size - LAST_WORDS : 0, SEEK_SET); /* a regular file */
    ssize_t length = read(fd, text, LAST_WORDS);
    (void)close(fd); /* read only */
    text[length > 0 ? length : 0] = '\0';
    for (char *at = text; *at; at++)
        *at = *at == '\n' || *at == '\t' ? ' ' : *at;
    return xasprintf("%s (%s)", text, cluster->log);
}
