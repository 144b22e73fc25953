/* Two clouds in folders with one running instance of two disks, and a guest in it that writes a journal and
 * never forgets what was acknowledged: for tests of whole moves over a real database and real copies. */
#ifndef TESTS_FEDERATION_MOVE_SCENE_H
#define TESTS_FEDERATION_MOVE_SCENE_H

#include "federation/migration_word.h"
#include "tests/broker/control/house.h"
#include "tests/federation/folder_cloud.h"
#include "tests/support/pg.h"

#define MOVE_INSTANCE "0192f000-0000-7000-8000-000000000001"
#define MOVE_VOLUME "0192f000-0000-7000-8000-000000000002"
#define MOVE_ID "0192f000-0000-7000-8000-0000000000aa"

struct move_scene {
    struct pg *pg;
    struct db *db;
    struct clock *clock;
    const char *driver;
    char source[128], target[128], copies[128];
    long acknowledged; /* records */
    bool may_forget;   /* a rollback brings back what the source had */
    bool tested;       /* what a test boot took is metered beside the overlap, which is in pieces then */
    bool both;         /* somebody makes both sides run: the guest keeps still meanwhile */
    bool hurry;        /* what is waited for before a thing is tried again is cut short */
    void (*meanwhile)(void); /* done each time that somebody looks (scene_await); NULL: nothing */
    const char *stall_us;    /* for brokers; NULL: as ever */
    int source_boots, target_boots;
};
extern struct move_scene scene;

int scene_open(void **state);
int scene_close(void **state);
/* Everything as at the beginning, with a migration by `method` that is approved. */
void scene_begin(const char *driver, enum migration_method method, int64_t downtime_us);

/* The guest does what it does, and is watched: both sides running, or a record lost, fails the test. */
void scene_guest(void);
/* A person's word; fails the test unless it is taken. */
void scene_say(enum migration_event event);
struct error *scene_try(enum migration_event event, int64_t version) ERROR_MUST_USE;
/* The word for a test boot with these terms. */
void scene_test(const struct migration_test_terms *terms);
void scene_accept(void);
/* Both words at once, by two people who saw the same version: one is taken, and it is told which. */
enum migration_event scene_both(enum migration_event one, enum migration_event other);
void scene_withdraw_consent(void);
/* A broker in a process of its own, which dies at that boundary; 0: it does not. */
pid_t scene_broker(int die_at);
/* The same with an operation that fails (folder_cloud_fail). */
pid_t scene_broker_failing(const char *operation, const char *code, int times);
void scene_kill(pid_t pid);
/* False: the broker has died meanwhile; its process is gone then. Fails the test after two minutes. */
bool scene_await(pid_t pid, const char *state);
/* What waits looks again. */
void scene_wake(void);
/* Until the query gives more than 0, the guest going on; at most a minute. */
void scene_await_sql(const char *sql);
char *scene_text(const char *sql);
void scene_expect(const char *sql, const char *wanted);

/* What holds in an ending with nothing at work. */
void scene_check(bool on_target);
/* The same of an instance that its fault left off, on the source. */
void scene_check_off(void);

/* For main: runs the broker when the arguments say so, and does not return then. */
void scene_maybe_broker(int argc, char **argv);

#endif
