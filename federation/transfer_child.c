/* See transfer_child.h. Between fork and exec only what is safe in a child of a process with threads. */
#include "federation/transfer_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/buf.h"
#include "broker/base/id.h"
#include "broker/base/moment.h"

#define MEMORY_MAX                                                                          \
    ((rlim_t)4 << 30) /* address space: an image of 64 TiB needs 1 GiB of it for its tables \
                       */
#define FILES_MAX 64
#define WORDS_MAX 4096 /* of standard error that is kept */
#define LOOK_MS 200
#define END_US (60 * MOMENT_SECOND) /* for an image to be flushed and closed */
#define FIRST_FREE 4
#define PID_TEXT 12

struct error *transfer_user_find(const char *name, struct transfer_user *ret_user)
{
    char space[4096];
    struct passwd entry, *found = NULL;
    *ret_user = (struct transfer_user){.change = geteuid() == 0};
    if (!ret_user->change)
        return NULL;
    int failed = getpwnam_r(name, &entry, space, sizeof space, &found);
    if (failed)
        return error_new(ERR_IO, "could not look up the user %s: %s", name, strerror(failed));
    if (!found || !entry.pw_uid)
        return error_new(ERR_INVALID, "transfer_user \"%s\" %s", name, found ? "is root" : "is no user");
    ret_user->uid = entry.pw_uid;
    ret_user->gid = entry.pw_gid;
    return NULL;
}

/* ---------------------------------------------------------------------------------------- the child's side
 */

struct start {
    const struct transfer_box *box;
    const char *const *argv;
    int out, err, listen; /* listen -1: none */
    unsigned cpu_s;       /* 0: any */
    pid_t parent;
    char listen_pid[sizeof "LISTEN_PID=" + PID_TEXT];
};

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define RUNS (READS | LANDLOCK_ACCESS_FS_EXECUTE)
#define WRITES                                                                                      \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | \
     LANDLOCK_ACCESS_FS_MAKE_SOCK)
#define ALL                                                                                       \
    (RUNS | WRITES | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR |               \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | \
     LANDLOCK_ACCESS_FS_MAKE_SYM)
#define TRUNCATES (UINT64_C(1) << 14) /* since ABI 3 */
#define NETWORKS UINT64_C(3)          /* bind and connect of TCP, since ABI 4 */

/* The kernel's struct of ABI 4: headers of Debian 12 end before `net`. */
struct rules {
    uint64_t fs, net;
};

static bool allow(int rules, const char *path, uint64_t access)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};
    bool good = !syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    (void)close(fd);
    return good;
}

/* True as well where the kernel has no Landlock: the other fences stand. */
static bool confine(bool write)
{
    static const char *const programs[] = {"/usr", "/lib", "/lib64", "/bin"};
    static const char *const settings[] = {"/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/dev/zero"};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        return true;
    uint64_t truncates = abi >= 3 ? TRUNCATES : 0;
    struct rules wanted = {.fs = ALL | truncates, .net = abi >= 4 ? NETWORKS : 0};
    int rules =
        (int)syscall(SYS_landlock_create_ruleset, &wanted, abi >= 4 ? sizeof wanted : sizeof wanted.fs, 0);
    bool good = rules >= 0;
    for (size_t i = 0; good && i < sizeof programs / sizeof *programs; i++)
        good = allow(rules, programs[i], RUNS);
    for (size_t i = 0; good && i < sizeof settings / sizeof *settings; i++)
        good = allow(rules, settings[i], LANDLOCK_ACCESS_FS_READ_FILE);
    good = good && allow(rules, ".", write ? READS | WRITES | truncates : READS) &&
           !syscall(SYS_landlock_restrict_self, rules, 0);
    (void)close(rules);
    return good;
}

static bool limit(int what, rlim_t most)
{
    return !setrlimit((__rlimit_resource_t)what, &(struct rlimit){most, most});
}

/* Standard input to standard error, and the listening socket as 3; everything else is closed. */
static bool arrange(const struct start *start)
{
    int null = open("/dev/null", O_RDWR);
    int out = start->out < 0 ? -1 : fcntl(start->out, F_DUPFD, FILES_MAX);
    int err = fcntl(start->err, F_DUPFD, FILES_MAX);
    int waits = start->listen < 0 ? -1 : fcntl(start->listen, F_DUPFD, FILES_MAX);
    return null >= 0 && dup2(null, 0) == 0 && dup2(out < 0 ? null : out, 1) == 1 && dup2(err, 2) == 2 &&
           (waits < 0 || dup2(waits, 3) == 3) &&
           !syscall(SYS_close_range, waits < 0 ? FIRST_FREE - 1 : FIRST_FREE, ~0U, 0);
}

static bool lose_privileges(const struct transfer_user *user)
{
    return !user->change || (!setgroups(0, NULL) && !setresgid(user->gid, user->gid, user->gid) &&
                             !setresuid(user->uid, user->uid, user->uid));
}

static void put_pid(char text[PID_TEXT])
{
    char digits[PID_TEXT];
    size_t count = 0;
    for (pid_t pid = getpid(); pid; pid /= 10)
        digits[count++] = (char)('0' + pid % 10);
    for (size_t i = 0; i < count; i++)
        text[i] = digits[count - 1 - i];
    text[count] = '\0';
}

__attribute__((noreturn)) static void become(struct start *start)
{
    static char path[] = "PATH=/usr/bin:/bin", home[] = "HOME=/", language[] = "LC_ALL=C",
                one[] = "LISTEN_FDS=1";
    char *environment[] = {path, home, language, NULL, NULL, NULL};
    sigset_t none;
    sigemptyset(&none);
    if (start->listen >= 0) {
        put_pid(start->listen_pid + strlen("LISTEN_PID="));
        environment[3] = one;
        environment[4] = start->listen_pid;
    }
    bool good = setpgid(0, 0) == 0 && chdir(start->box->folder) == 0 && arrange(start) &&
                limit(RLIMIT_CORE, 0) && limit(RLIMIT_AS, MEMORY_MAX) && limit(RLIMIT_NOFILE, FILES_MAX) &&
                (!start->cpu_s || limit(RLIMIT_CPU, start->cpu_s)) &&
                !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && confine(start->box->write) &&
                lose_privileges(&start->box->user) && !prctl(PR_SET_PDEATHSIG, SIGKILL) &&
                getppid() == start->parent && !sigprocmask(SIG_SETMASK, &none, NULL);
    if (good)
        execve(start->argv[0], (char *const *)(uintptr_t)start->argv, environment);
    static const char words[] = "could not be started in its confinement\n";
    ssize_t told = write(start->err, words, sizeof words - 1);
    _exit(told < 0 ? 126 : 127);
}

static struct error *spawn(struct start *start, pid_t *ret_pid)
{
    memcpy(start->listen_pid, "LISTEN_PID=", sizeof "LISTEN_PID=");
    start->parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return error_new(ERR_IO, "could not start %s: %s", start->argv[0], strerror(errno));
    if (!pid)
        become(start);
    *ret_pid = pid;
    return NULL;
}

/* --------------------------------------------------------------------------------------- the broker's side
 */

static void take(int *fd, struct buf *buf)
{
    char piece[4096];
    ssize_t count = read(*fd, piece, sizeof piece);
    if (count > 0) {
        buf_append(buf, piece, (size_t)count);
        return;
    }
    (void)close(*fd); /* it was only read */
    *fd = -1;
}

static bool wait_end(pid_t pid, int64_t until, int *ret_status)
{
    for (;;) {
        pid_t ended = waitpid(pid, ret_status, WNOHANG);
        if (ended == pid)
            return true;
        if (ended < 0 && errno != EINTR) {
            *ret_status = -1;
            return true;
        }
        if (moment_monotonic() > until)
            return false;
        (void)nanosleep(&(struct timespec){0, 2000000}, NULL); /* its pipes are closed: it is about to end */
    }
}

static void kill_child(pid_t pid)
{
    int status;
    (void)kill(-pid, SIGKILL); /* its group, which it may not have made yet */
    (void)kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
}

static struct error *verdict(const char *program, int status, const struct buf *said)
{
    const char *words = buf_text(said), *name = strrchr(program, '/') + 1;
    int length = (int)strcspn(words, "\n");
    if (WIFEXITED(status) && !WEXITSTATUS(status))
        return NULL;
    bool full = strstr(words, "No space left") != NULL;
    if (WIFSIGNALED(status))
        return error_new(ERR_INVALID, "%s was ended by signal %d: %.*s", name, WTERMSIG(status), length,
                         words);
    return error_new(full ? ERR_NO_CAPACITY : ERR_INVALID, "%s failed: %.*s", name, length, words);
}

struct error *transfer_child_run(const struct transfer_box *box, const char *const *argv, unsigned cpu_s,
                                 size_t most, struct job *job, struct arena *arena, const char **ret_output)
{
    int out[2], err[2], status = -1;
    pid_t pid = 0;
    BUF_AUTO struct buf said = BUF_INIT(WORDS_MAX);
    BUF_AUTO struct buf output = BUF_INIT(most);
    if (pipe2(out, O_CLOEXEC))
        return error_new(ERR_IO, "could not make a pipe: %s", strerror(errno));
    if (pipe2(err, O_CLOEXEC)) {
        (void)close(out[0]);
        (void)close(out[1]);
        return error_new(ERR_IO, "could not make a pipe: %s", strerror(errno));
    }
    struct start start = {
        .box = box, .argv = argv, .out = out[1], .err = err[1], .listen = -1, .cpu_s = cpu_s};
    struct error *error = spawn(&start, &pid);
    (void)close(out[1]);
    (void)close(err[1]);
    while (!error && (out[0] >= 0 || err[0] >= 0)) {
        struct pollfd waits[] = {{out[0], POLLIN, 0}, {err[0], POLLIN, 0}};
        (void)poll(waits, 2, LOOK_MS); /* interrupted: it looks again */
        if (waits[0].revents)
            take(&out[0], &output);
        if (waits[1].revents)
            take(&err[0], &said);
        if (job && job_cancelled(job))
            error = error_new(ERR_CANCELLED, "the broker stops, or somebody cancelled it");
        else if (buf_overflowed(&output))
            error = error_new(ERR_INVALID, "%s says more than %zu bytes", argv[0], most);
    }
    if (out[0] >= 0)
        (void)close(out[0]);
    if (err[0] >= 0)
        (void)close(err[0]);
    if (pid && (error || !wait_end(pid, moment_monotonic() + END_US, &status)))
        kill_child(pid);
    TRY(error);
    TRY(verdict(argv[0], status, &said));
    *ret_output = arena_strndup(arena, buf_text(&output), output.length);
    return NULL;
}

static struct error *open_socket(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_new(ERR_INTERNAL, "the socket's path is too long");
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 16)) {
        struct error *error = error_new(errno == ENOSPC ? ERR_NO_CAPACITY : ERR_IO,
                                        "could not listen for qemu-nbd: %s", strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return NULL;
}

static struct error *start_server(const struct transfer_box *box, const char *const *argv, int listening,
                                  pid_t *ret_pid)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null < 0)
        return error_new(ERR_IO, "could not open /dev/null: %s", strerror(errno));
    struct start start = {.box = box, .argv = argv, .out = -1, .err = null, .listen = listening};
    struct error *error = spawn(&start, ret_pid);
    (void)close(null);
    return error;
}

struct error *transfer_serve(const struct transfer_box *box, const char *file, const char *format,
                             const char *options, struct arena *arena, struct transfer_server *ret_server)
{
    const char *argv[16] = {"/usr/bin/qemu-nbd", "--persistent", "--shared=8", "--cache=writeback"};
    char id[ID_TEXT];
    size_t count = 4;
    int listening = -1;
    id_new(id);
    struct transfer_server server = {.name = arena_printf(arena, ".%s.nbd", id + 24), .image = file};
    if (!box->write)
        argv[count++] = "--read-only";
    if (options) {
        argv[count++] = "--image-opts";
        argv[count++] = options;
    } else {
        argv[count++] = arena_printf(arena, "--format=%s", format);
        argv[count++] = arena_printf(arena, "./%s", file);
    }
    server.folder_fd = open(box->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (server.folder_fd < 0)
        return error_new(ERR_IO, "could not open %s: %s", box->folder, strerror(errno));
    /* However long the folder's name is, a socket's is not. */
    server.socket = arena_printf(arena, "/proc/self/fd/%d/%s", server.folder_fd, server.name);
    struct error *error = open_socket(server.socket, &listening);
    if (!error)
        error = start_server(box, argv, listening, &server.pid);
    if (listening >= 0)
        (void)close(listening);
    if (error) {
        (void)unlinkat(server.folder_fd, server.name, 0); /* there or not */
        (void)close(server.folder_fd);
        return error;
    }
    *ret_server = server;
    return NULL;
}

static void forget(struct transfer_server *server)
{
    (void)unlinkat(server->folder_fd, server->name, 0); /* the folder goes in the end anyway */
    (void)close(server->folder_fd);
    server->pid = 0;
}

struct error *transfer_serve_end(struct transfer_server *server)
{
    int status;
    const char *image = server->image;
    (void)kill(server->pid, SIGTERM); /* qemu-nbd flushes and closes the image */
    bool ended = wait_end(server->pid, moment_monotonic() + END_US, &status);
    if (!ended)
        kill_child(server->pid);
    forget(server);
    if (ended && WIFEXITED(status) && !WEXITSTATUS(status))
        return NULL;
    return error_new(ERR_IO, "qemu-nbd did not close %s as it should", image);
}

void transfer_serve_kill(struct transfer_server *server)
{
    if (!server->pid)
        return;
    kill_child(server->pid);
    forget(server);
}
