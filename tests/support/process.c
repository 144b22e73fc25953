/* See process.h. */
#include "tests/support/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"

#define STOP_MS 60000

struct process {
    pid_t pid;
    int input, output;
    char line[PROCESS_LINE_MAX + 1];
    char pending[PROCESS_LINE_MAX];
    size_t pending_length;
};

static void die(const char *what)
{
    fprintf(stderr, "process: %s: %s\n", what, strerror(errno));
    abort();
}

static void run_child(const char *const *argv, const char *const *environment, int input, int output,
                      pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent || dup2(input, 0) < 0 ||
        dup2(output, 1) < 0)
        _exit(127);
    for (; environment && *environment; environment++)
        if (putenv(xstrdup(*environment)) != 0)
            _exit(127);
    char **copy = xcalloc(64, sizeof *copy);
    for (size_t i = 0; i < 63 && argv[i]; i++)
        copy[i] = xstrdup(argv[i]);
    execvp(copy[0], copy);
    fprintf(stderr, "process: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

struct process *process_start(const char *const *argv, const char *const *environment)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
        die("pipe");
    struct process *process = xcalloc(1, sizeof *process);
    pid_t parent = getpid();
    process->pid = fork();
    if (process->pid < 0)
        die("fork");
    if (process->pid == 0)
        run_child(argv, environment, in[0], out[1], parent);
    close(in[0]);
    close(out[1]);
    process->input = in[1];
    process->output = out[0];
    return process;
}

pid_t process_pid(const struct process *process)
{
    return process->pid;
}

/* Moves the first line of what is pending into `line`. */
static bool take_line(struct process *process, bool at_end)
{
    char *end = memchr(process->pending, '\n', process->pending_length);
    if (!end && !(process->pending_length && (at_end || process->pending_length == sizeof process->pending)))
        return false;
    size_t length = end ? (size_t)(end - process->pending) : process->pending_length;
    memcpy(process->line, process->pending, length);
    process->line[length] = '\0';
    size_t used = end ? length + 1 : length;
    process->pending_length -= used;
    memmove(process->pending, process->pending + used, process->pending_length);
    return true;
}

const char *process_line(struct process *process, int64_t timeout_us)
{
    int64_t until = moment_monotonic() + timeout_us;
    while (!take_line(process, false)) {
        int64_t left = until - moment_monotonic();
        struct pollfd ready = {.fd = process->output, .events = POLLIN};
        if (left <= 0 || poll(&ready, 1, (int)(left / 1000) + 1) <= 0)
            return NULL;
        ssize_t got = read(process->output, process->pending + process->pending_length,
                           sizeof process->pending - process->pending_length);
        if (got <= 0)
            return take_line(process, true) ? process->line : NULL;
        process->pending_length += (size_t)got;
    }
    return process->line;
}

int process_stop(struct process *process)
{
    if (!process)
        return -1;
    int status = -1;
    int handle = (int)syscall(SYS_pidfd_open, process->pid, 0);
    kill(process->pid, SIGTERM);
    close(process->input);
    if (handle >= 0) {
        struct pollfd ended = {.fd = handle, .events = POLLIN};
        if (poll(&ended, 1, STOP_MS) <= 0) {
            fprintf(stderr, "process: %d did not end within %d ms and is killed\n", (int)process->pid,
                    STOP_MS);
            kill(process->pid, SIGKILL);
        }
        close(handle);
    }
    if (waitpid(process->pid, &status, 0) < 0)
        status = -1;
    close(process->output);
    free(process);
    return status;
}
