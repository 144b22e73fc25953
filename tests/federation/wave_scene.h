/* Stored waves for tests, over the desk: machines of unit u on cloud c with a finished assessment to cloud d,
 * the job "wave" in this process or in one that can be killed, and moves whose states a test sets as their
 * own job would: that one has its own tests. */
#ifndef TESTS_FEDERATION_WAVE_SCENE_H
#define TESTS_FEDERATION_WAVE_SCENE_H

#include <sys/types.h>

#include "tests/federation/desk.h"

#define WAVE_ASSESSMENT "0192f000-0000-7000-8000-0000000000a5"
#define WAVE_STRANGERS "0192f000-0000-7000-8000-0000000000a8" /* an assessment of unit v */
/* "web-1" … */
#define WAVE_HOST(n) "0192f000-0000-7000-8000-0000000001" n

/* desk_reset, then one machine for each letter: '1' of system u001, '2' of u002, 'x' of u001 and not movable.
 * Each has 10 GB, copied in 1000 s, and is cut over in 60 s. At most 9. */
void waves_arrange(const char *systems);
/* The unit consents for all its systems. */
void waves_consent(void);

/* The path of a new wave of all of them; `more` are further members: ",\"cutover\":\"automatic\"". */
const char *waves_made(struct arena *arena, const char *more);
/* With the version that is there now. */
json_t *waves_say(struct arena *arena, enum who who, const char *path, const char *word, const char *body,
                  int status);
json_t *waves_patch(struct arena *arena, const char *path, const char *body, int status);
json_t *waves_get(struct arena *arena, const char *path);
/* Of what waves_get gave. */
const json_t *waves_host(const json_t *wave, int number);
/* Of the wave's host, by its number; the move's own words, as its job and people would leave them. */
void waves_move(int number, const char *state);
/* For the unit: one by one as people do; or all of them at once. */
void waves_approve_all(struct arena *arena);
void waves_approved(void);

/* For jobs that are started from now on: how guests are converted, machines being on VMware and the target
 * KVM. NULL: not at all, on clouds as they were. */
void waves_convert(const char *mode, const char *program);
/* The job in this process. */
void waves_run(void);
void waves_halt(void);
/* Until the query gives that; the wave is woken meanwhile, as time would. */
void waves_await(const char *sql, const char *wanted);
/* "web-1 copying,web-2 -": each host and its move. */
#define WAVES_MOVES                                                                                          \
    "SELECT string_agg(h.name || ' ' || coalesce(m.state, '-'), ',' ORDER BY h.name) FROM wave_host h LEFT " \
    "JOIN migration m ON m.id = h.migration_id"

/* The job in a process of its own. For main: runs it when the arguments say so, and does not return then. */
pid_t waves_process(void);
void waves_maybe_process(int argc, char **argv);

#endif
