/* A child process of a test: started with an open standard input and a standard output that is read line by
 * line, stopped by its pid. It ends with the test whatever happens to that (parent-death signal, and its
 * input closes). */
#ifndef TESTS_SUPPORT_PROCESS_H
#define TESTS_SUPPORT_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

struct process;

/* `argv` ends in NULL, argv[0] is a path or found in PATH. `environment` (may be NULL) is a NULL-ended list
 * of "NAME=value" added to the test's own. Fails the test's process with a message when it cannot start. */
struct process *process_start(const char *const *argv, const char *const *environment);
pid_t process_pid(const struct process *process);
/* The next line of its output without the line end, valid until the next call; NULL at the end of output or
 * after `timeout_us`. Lines are cut at PROCESS_LINE_MAX. */
#define PROCESS_LINE_MAX 65536
const char *process_line(struct process *process, int64_t timeout_us);
/* SIGTERM, then SIGKILL after 10 seconds; frees. Returns the wait status, or -1 for NULL. */
int process_stop(struct process *process);

#endif
