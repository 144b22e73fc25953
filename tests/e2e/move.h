/* Machines that move between the clouds of a world: ordered through the API, moved with the real client. Two
 * libvirt daemons are two more clouds, "here" and "there", whose guests keep a journal (contrib/guest); a
 * move is from here to there unless the machine says otherwise. Everything fails the cmocka test with what it
 * found. */
#ifndef TESTS_E2E_MOVE_H
#define TESTS_E2E_MOVE_H

#include "tests/e2e/world.h"
#include "tests/support/kvmcloud.h"

#define MOVE_SECONDS 600 /* for anything at all, on a slow machine */

struct moves {
    struct world *world;
    struct kvmcloud *here, *there; /* of provider-health and of provider-education; NULL: no libvirt */
    char *head;                    /* token of the unit's administrator */
    char *errors;                  /* file: what the client said last beside its answer */
};
struct moves *moves_start(void);
/* The same, the clouds being hosts of their own between which there is a network (tests/support/hub.h): the
 * program has to be in the hub's namespace. */
struct moves *moves_start_apart(void);
/* The same in a world of these options; without the libvirt daemons when a test does not want them. */
struct moves *moves_start_in(const struct world_options *options, bool libvirt);
void moves_stop(struct moves *moves);
/* One more cloud with site, zone "extranet" and endpoint "ID-1" on that network; `endpoint` (taken over) says
 * the rest of it. */
void moves_add_cloud(struct world *world, const char *id, const char *kind, const char *provider,
                     const char *network, json_t *endpoint);

/* The real client with these words (NULL-ended), which must end with `wanted`: its answer as JSON, the
 * caller's; NULL when it gave none. */
json_t *moves_client(struct moves *moves, const char *token, int wanted, const char *const *words);
/* What it wrote to standard error; the caller frees. */
char *moves_said(const struct moves *moves);

struct machine {
    const char *name;
    const char *from, *to; /* clouds of the move that is planned next */
    bool sampled;          /* of which the target is read back; else all of it */
    char *id, *volume;
    char *migration; /* NULL: none planned */
};
/* An instance with a journal on a volume, running in "here" and writing. */
struct machine moves_machine_start(struct moves *moves, const char *name);
/* Of another system of the unit than WORLD_SYSTEM. */
struct machine moves_machine_start_of(struct moves *moves, const char *system, const char *name);
/* Deletes what there is, through the API, and frees. */
void moves_machine_end(struct moves *moves, struct machine *machine);
/* "start" or "stop" through the API. */
void moves_power_on(struct moves *moves, const struct machine *machine);
void moves_power_off(struct moves *moves, const struct machine *machine);
/* The file of its system disk or, of a volume's id, of that volume in this cloud; the caller frees. */
char *moves_disk_file(const struct kvmcloud *cloud, const char *id);
/* The highest record that it said is on its disk, in this cloud; and one above `least`, waited for. */
unsigned moves_journal_said(const struct moves *moves, const struct kvmcloud *cloud,
                            const struct machine *machine);
unsigned moves_journal_writes(const struct moves *moves, const struct kvmcloud *cloud,
                              const struct machine *machine, unsigned least);
/* It goes on in a cloud that it came to, behind the last record that it said before: one that it writes a
 * second time there was lost on the way. */
void moves_journal_goes_on(const struct moves *moves, const struct kvmcloud *cloud,
                           const struct machine *machine, unsigned said);
/* It is stopped through the API, and its journal checked where it is. */
void moves_journal_check(struct moves *moves, const struct kvmcloud *cloud, const struct machine *machine,
                         unsigned said);
/* As moves_journal_check of one that moved, `left_at` being the last record that it said where it was: prints
 * how long it was down by its own clock and by the broker's measure, and holds the two to each other
 * (README.md). */
void moves_journal_gap(struct moves *moves, const struct kvmcloud *cloud, const struct machine *machine,
                       unsigned left_at);
/* "running", "shut off"; "" when there is no such domain. In a static buffer. */
const char *moves_power(const struct kvmcloud *cloud, const struct machine *machine);
/* Nothing of the broker's is in this cloud: no domain, no file. */
void moves_expect_empty(const struct kvmcloud *cloud);

/* Assessed to its target and planned; `method` NULL: the assessment's best. */
void move_plan(struct moves *moves, struct machine *machine, const char *method);
/* The unit's administrator consents and approves; the consent's id, the caller's. */
char *move_consent(struct moves *moves, const struct machine *machine);
/* A word of the platform's ("start", "cutover" …; "approve" and "accept" are the unit's), which is taken. */
void move_say(struct moves *moves, const struct machine *machine, const char *word);
/* Two operators press both at once, having seen the same version; which of the words was taken. */
const char *move_both(struct moves *moves, const struct machine *machine, const char *one, const char *other);
/* `yunqiao migrate terms --bandwidth`: bytes a second; 0: no limit. */
void move_limit(struct moves *moves, const struct machine *machine, int64_t bandwidth);
/* `yunqiao migrate watch --until STATE`; lines, for it is no terminal. */
void move_await(struct moves *moves, const struct machine *machine, const char *state);
/* First column of a query in which %s is the migration's id. */
void move_expect(const struct moves *moves, const struct machine *machine, const char *sql,
                 const char *wanted);

/* Passes of its disks so far, in order: "full changed full changed" of two disks and two passes. */
void move_expect_passes(const struct moves *moves, const struct machine *machine, const char *wanted);

/* Rows of machine and volume say that they are in this cloud. */
void move_expect_rows(struct moves *moves, const struct machine *machine, const char *cloud);
/* Off in this cloud, and nobody can start it there. */
void move_expect_fenced(const struct kvmcloud *cloud, const struct machine *machine);
/* It has ended: nothing is held, entered or claimed by it any more. */
void move_expect_closed(struct moves *moves, const struct machine *machine);
/* Each item of machine and volume: on one provider until the moment from which on it is on the other. */
void move_expect_usage(struct moves *moves, const struct machine *machine);
/* `yunqiao migrate show` tells this state, and a downtime. */
void move_expect_show(struct moves *moves, const struct machine *machine, const char *state);

#endif
