/* A helper process of a test (a simulator, a private cloud): it prints one line when it is ready and ends
 * when its standard input ends, so that it dies with the test whatever way that ends. */
#ifndef TESTS_SUPPORT_CHILD_H
#define TESTS_SUPPORT_CHILD_H

#include <stdint.h>

struct child;

/* Starts argv[0] (ended by NULL) and waits at most `timeout_us` for its first line, which stays the child's.
 * Ends the test program with a message when that fails. */
struct child *child_start(const char *const *argv, int64_t timeout_us, const char **ret_line);
/* Closes its standard input and waits 30 s for its end, then kills it. Accepts NULL. */
void child_stop(struct child *child);
/* Runs a command to its end, at most `timeout_us`; returns its exit status, -1 when it was killed. */
int child_run(const char *const *argv, int64_t timeout_us);

#endif
