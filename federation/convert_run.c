/* The converter as a child process; see convert.h. It leads a process group of its own, is told of the
 * broker's death by the kernel, and has limits; what it says comes over a pipe. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/buf.h"
#include "broker/base/moment.h"
#include "federation/convert.h"

#define LOOK_MS 250
#define FILES_MAX 1024
#define FILE_BYTES_MAX (INT64_C(16) << 30) /* its appliance, overlays and logs */
#define ENVIRONMENT_MAX 32

extern char **environ;

struct child {
    pid_t pid;
    int out; /* what it says */
    struct buf said;
};

/* In the child, where only what is safe after fork in a process with threads may be called. */
static _Noreturn void become(const struct convert_run *run, char *const argv[], char *const environment[],
                             int out, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    const struct rlimit no_core = {0, 0}, files = {FILES_MAX, FILES_MAX},
                        bytes = {FILE_BYTES_MAX, FILE_BYTES_MAX},
                        processor = {(rlim_t)(run->timeout_us / MOMENT_SECOND) * 4 + 1,
                                     (rlim_t)(run->timeout_us / MOMENT_SECOND) * 4 + 1};
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || setpgid(0, 0) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        _exit(126);
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL); /* some cannot be set, and need not */
    (void)umask(077);
    if (close_range(3, ~0U, 0) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 ||
        setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_FSIZE, &bytes) < 0 ||
        setrlimit(RLIMIT_CPU, &processor) < 0 || chdir(run->folder) < 0)
        _exit(126);
    (void)execve(argv[0], argv, environment);
    _exit(127);
}

/* Its own files' place, and what libguestfs wants to know of this host; nothing else of ours. */
static char **make_environment(struct arena *arena, const struct convert_run *run)
{
    static const char *const wanted[] = {"LIBGUESTFS_", "SUPERMIN_", "VIRT_TOOLS_DATA_DIR=", "VIRTIO_WIN="};
    char **list = arena_array(arena, ENVIRONMENT_MAX + 1, sizeof *list);
    size_t count = 0;
    list[count++] = arena_strdup(arena, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    list[count++] = arena_strdup(arena, "LC_ALL=C.UTF-8");
    list[count++] = arena_printf(arena, "HOME=%s", run->folder);
    list[count++] = arena_printf(arena, "TMPDIR=%s", run->folder);
    for (char **one = environ; *one && count < ENVIRONMENT_MAX; one++)
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (!strncmp(*one, wanted[i], strlen(wanted[i]))) {
                list[count++] = arena_strdup(arena, *one);
                break;
            }
    return list;
}

static struct error *start(struct arena *arena, const struct convert_run *run, const char *xml,
                           struct child *child)
{
    char *argv[] = {arena_strdup(arena, run->program), arena_strdup(arena, "-i"),
                    arena_strdup(arena, "libvirtxml"), arena_strdup(arena, xml), NULL};
    char **environment = make_environment(arena, run);
    int ends[2];
    sigset_t all, before;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_new(ERR_IO, "could not make a pipe: %s", strerror(errno));
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK); /* ours alone: who writes waits */
    pid_t parent = getpid();
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours runs in the child */
    child->pid = fork();
    if (child->pid == 0)
        become(run, argv, environment, ends[1], parent);
    int why = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)close(ends[1]); /* the child has its own */
    child->out = ends[0];
    if (child->pid < 0) {
        (void)close(ends[0]); /* nothing is in it */
        return error_new(ERR_IO, "could not start %s: %s", run->program, strerror(why));
    }
    return NULL;
}

/* Keeps the last of it. */
static void listen_to(struct child *child)
{
    char piece[4096];
    for (ssize_t length; (length = read(child->out, piece, sizeof piece)) > 0;) {
        size_t over = child->said.length + (size_t)length;
        if (over > CONVERT_LOG_MAX)
            buf_consume(&child->said, over - CONVERT_LOG_MAX);
        buf_append(&child->said, piece, (size_t)length);
    }
}

/* Not reaped yet: its group cannot become another's meanwhile. */
static bool has_ended(const struct child *child)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

/* With whatever it left in its group. */
static int reap(const struct child *child)
{
    int status = 0;
    (void)kill(-child->pid, SIGKILL); /* an empty group is none */
    (void)kill(child->pid, SIGKILL);  /* before it made the group, or ended: no harm */
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* Until it ends, or has to. */
static struct error *attend(const struct convert_run *run, struct child *child)
{
    int64_t until = moment_monotonic() + run->timeout_us;
    while (!has_ended(child)) {
        struct pollfd said = {.fd = child->out, .events = POLLIN};
        (void)poll(&said, 1, LOOK_MS); /* whatever wakes it, all is looked at */
        listen_to(child);
        if (said.revents & POLLHUP)
            (void)poll(NULL, 0, LOOK_MS); /* it says nothing any more, and has yet to end */
        if (!run->goes_on(run->context))
            return error_new(ERR_CANCELLED, "the conversion was to stop");
        if (moment_monotonic() > until)
            return error_new(ERR_INTERNAL, "the conversion took longer than %lld s",
                             (long long)(run->timeout_us / MOMENT_SECOND));
    }
    return NULL;
}

static const char *printable(struct arena *arena, const struct buf *said)
{
    char *text = arena_strdup(arena, buf_text(said));
    for (char *at = text; *at; at++)
        if ((unsigned char)*at >= 127 || ((unsigned char)*at < 32 && *at != '\n'))
            *at = *at == '\r' ? '\n' : '?';
    return text;
}

/* The last that tells of an error, for hints and farewells may follow it; else the last of all. */
static const char *last_line(struct arena *arena, const char *text)
{
    size_t end = strlen(text);
    for (const char *at = text; (at = strstr(at, "error: ")); at++)
        end = (size_t)(at - text) + strcspn(at, "\n");
    while (end && text[end - 1] == '\n')
        end--;
    size_t begin = end;
    while (begin && text[begin - 1] != '\n')
        begin--;
    return end > begin
               ? arena_printf(arena, "%.*s", (int)(end - begin > 300 ? 300 : end - begin), text + begin)
               : "it said nothing";
}

static struct error *write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    ssize_t length = (ssize_t)strlen(text);
    bool good = file >= 0 && write(file, text, (size_t)length) == length;
    int why = errno;
    if (file >= 0 && close(file) < 0)
        good = false;
    return good ? NULL : error_new(ERR_IO, "could not write %s: %s", path, strerror(why));
}

struct error *convert_guest_run(struct arena *arena, const struct convert_run *run, const char **ret_log)
{
    const char *xml = arena_printf(arena, "%s/guest.xml", run->folder);
    struct child child = {.said = BUF_INIT(2 * CONVERT_LOG_MAX)};
    *ret_log = "";
    TRY(write_text(xml, run->xml));
    TRY(start(arena, run, xml, &child));
    struct error *error = attend(run, &child);
    int status = reap(&child);
    listen_to(&child);
    (void)close(child.out); /* read only */
    *ret_log = printable(arena, &child.said);
    buf_done(&child.said);
    if (error)
        return error_wrap(error, "%s", run->program);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    const char *how = WIFEXITED(status) ? arena_printf(arena, "ended with %d", WEXITSTATUS(status))
                                        : arena_printf(arena, "was ended by signal %d", WTERMSIG(status));
    return error_new(ERR_INTERNAL, "%s %s: %s", run->program, how, last_line(arena, *ret_log));
}
