/* Helper processes; see child.h. */
#include "tests/support/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/moment.h"

#define LINE_LIMIT 65536
#define STOP_US (30 * MOMENT_SECOND)

extern char **environ;

struct child {
    pid_t pid;
    int input; /* its standard input, our end */
    int output;
    struct buf line;
};

static void give_up(const char *what, const char *program)
{
    fprintf(stderr, "%s: %s: %s\n", program, what, strerror(errno));
    exit(1);
}

static pid_t spawn(const char *const *argv, int input, int output)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;
    (void)posix_spawn_file_actions_init(&actions);
    if (input >= 0)
        (void)posix_spawn_file_actions_adddup2(&actions, input, 0);
    if (output >= 0)
        (void)posix_spawn_file_actions_adddup2(&actions, output, 1);
    int status = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (status) {
        errno = status;
        give_up("could not be started", argv[0]);
    }
    return pid;
}

/* Waits for its end until `until_us`, then kills it; its wait status. */
static int reap(pid_t pid, int64_t until_us)
{
    int status = -1;
    int handle = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd poll_for = {.fd = handle, .events = POLLIN};
    int64_t left = (until_us - moment_monotonic()) / 1000;
    if (handle < 0 || poll(&poll_for, 1, left > 0 ? (int)left : 0) != 1)
        (void)kill(pid, SIGKILL); /* it is ours and not reaped yet: the id is right */
    if (handle >= 0)
        (void)close(handle);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return status;
}

static void read_line(struct child *child, const char *program, int64_t until_us)
{
    while (!memchr(buf_text(&child->line), '\n', child->line.length)) {
        struct pollfd poll_for = {.fd = child->output, .events = POLLIN};
        int64_t left = (until_us - moment_monotonic()) / 1000;
        int ready = left > 0 ? poll(&poll_for, 1, (int)left) : 0;
        char *room = buf_reserve(&child->line, 1024);
        ssize_t got = ready == 1 && room ? read(child->output, room, 1024) : 0;
        if (got <= 0) {
            if (ready == 0)
                errno = ETIMEDOUT;
            (void)kill(child->pid, SIGTERM);
            give_up("did not become ready", program);
        }
        buf_added(&child->line, (size_t)got);
    }
    *strchr(child->line.data, '\n') = '\0';
}

struct child *child_start(const char *const *argv, int64_t timeout_us, const char **ret_line)
{
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) || pipe2(output, O_CLOEXEC))
        give_up("no pipe", argv[0]);
    struct child *child = xcalloc(1, sizeof *child);
    *child = (struct child){.pid = spawn(argv, input[0], output[1]),
                            .input = input[1],
                            .output = output[0],
                            .line = BUF_INIT(LINE_LIMIT)};
    (void)close(input[0]);
    (void)close(output[1]);
    read_line(child, argv[0], moment_monotonic() + timeout_us);
    *ret_line = child->line.data;
    return child;
}

void child_stop(struct child *child)
{
    if (!child)
        return;
    (void)close(child->input);
    (void)reap(child->pid, moment_monotonic() + STOP_US);
    (void)close(child->output);
    buf_done(&child->line);
    free(child);
}

int child_run(const char *const *argv, int64_t timeout_us)
{
    int status = reap(spawn(argv, -1, -1), moment_monotonic() + timeout_us);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
