/* Two private clouds for the tests of moves, the second beside the fixture's, and a guest that keeps a
 * journal on a volume of its own (contrib/guest), so that a lost or doubled write shows. */
#ifndef TESTS_DRIVERS_KVM_PAIR_H
#define TESTS_DRIVERS_KVM_PAIR_H

#include "drivers/driver_move.h"
#include "tests/drivers/kvm/fixture.h"

/* The second cloud, started with the first call and ended by pair_teardown. */
struct kvmcloud *pair_cloud(void);
int pair_teardown(void **state); /* in place of fixture_teardown */
struct driver_session *pair_open(struct fixture *fixture);

/* A guest that keeps its journal: instance and volume on the fixture's cloud. */
struct journal {
    struct driver_instance_spec spec;
    const char *volume;
    struct driver_shell_disk disks[2]; /* for a move */
};
struct journal journal_start(struct fixture *fixture, const char *name);
/* The move of it to the second cloud. */
struct driver_move_spec journal_move(struct fixture *fixture, const struct journal *journal,
                                     struct driver_endpoint *target);
/* The highest record that the guest said is on its disk, on this cloud's console; 0: none yet. */
unsigned journal_said(struct fixture *fixture, struct driver_session *session, const struct journal *journal);
/* Waits until it has said a record above `least`. */
unsigned journal_goes_on(struct fixture *fixture, struct driver_session *session,
                         const struct journal *journal, unsigned least);
/* Of a stopped guest: the file system is clean, the records are 1…n without gap or repeat, every checksum is
 * right, and n is at least `said`. */
void journal_check(struct fixture *fixture, const struct kvmcloud *cloud, const struct journal *journal,
                   unsigned said);
/* The guest is asked to end, and its journal checked there. */
void journal_stop(struct fixture *fixture, struct driver_session *session, const struct journal *journal);

/* Nothing of the broker's is on the second cloud: no domain, no file. */
void pair_expect_empty(struct fixture *fixture);
/* Deletes instance and volume there. */
void pair_clear(struct fixture *fixture, struct driver_session *session, const struct journal *journal);
/* Power state there, DRIVER_POWER_UNKNOWN when there is no such instance. */
enum driver_power pair_power(struct fixture *fixture, struct driver_session *session, const char *id);
bool pair_fenced(struct fixture *fixture, struct driver_session *session, const char *id);
/* Settles a move, with its job ended, trying again while somebody cannot be reached. */
enum driver_side pair_settle(struct fixture *fixture, const struct driver_key *key,
                             const struct driver_move_spec *spec);
/* Kills QEMU of the guest of that name, on either cloud: where it runs, or where it waits to arrive; or stops
 * it there. */
void pair_kill_source(const char *name);
void pair_kill_target(const char *name);
void pair_stop_target(const char *name);

#endif
