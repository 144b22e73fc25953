/* A whole federation for a test: vcsim and hmcsim as peers, the real yunqiaod on its embedded PostgreSQL, two
 * providers with approved bids, two clouds, two units. Each world has its own folder and ports, so any number
 * live side by side; all children end by their pid with the test, however that ends. Failures of the ground
 * itself end the test.
 *
 * cloud "health": driver vmware; cloud "education": driver powervm. Each has zone "extranet" with endpoint
 * "CLOUD-1", and zone "internet" with a pool of addresses. Unit 110105 (system 110105001) and unit 110106
 * (system 110106001) are of kind government. */
#ifndef TESTS_E2E_WORLD_H
#define TESTS_E2E_WORLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/e2e/api.h"
#include "tests/support/hmcsim.h"
#include "tests/support/vcsim.h"

#define WORLD_UNIT "110105"
#define WORLD_SYSTEM "110105001"
#define WORLD_OTHER_UNIT "110106"
#define WORLD_OTHER_SYSTEM "110106001"
#define WORLD_POWER_IMAGE "rhel-9.4" /* 10 GB */

struct world_options {
    const char *const *vcsim, *const *hmcsim; /* further arguments, NULL-ended; NULL: none */
    const char *settings;                     /* further lines of the broker's file; NULL: none */
};

struct world {
    char folder[64];
    struct vcsim *vcsim;
    struct hmcsim *hmcsim;
    struct process *broker; /* NULL while it is killed */
    int port;
    char *settings;
    int64_t clock_offset_s;
    char *admin;           /* tokens: platform-admin */
    char *operator_;       /* unit-operator of WORLD_UNIT */
    char *stranger;        /* unit-operator of WORLD_OTHER_UNIT */
    char *regulator;       /* of every cloud */
    struct client *client; /* of the test's own thread */
    int lifeline;          /* held open for the janitor */
};

struct world *world_start(const struct world_options *options);
void world_stop(struct world *world);
/* Lines of the broker's log that hold the text. */
long world_logged(const struct world *world, const char *text);

/* kill -9, and wait for its end; the embedded PostgreSQL runs on. */
void world_kill(struct world *world);
/* Starts the broker again on the same data directory and waits until it answers. */
void world_restart(struct world *world);
/* Moves the broker's clock to `offset_s` seconds ahead of the system's and waits until it was taken over. */
void world_clock(struct world *world, int64_t offset_s);

/* A token of a principal, by the administrator; the caller frees. */
char *world_token(struct world *world, const char *principal, int64_t seconds);
/* Adds a principal by the administrator. `body` is taken over. */
void world_principal(struct world *world, json_t *body);

/* A connection (libpq's PGconn) of the database's owner, for what one statement cannot show. */
struct pg_conn *world_connect(const struct world *world);
/* The first column of the first row as text ("" for none), as the database's owner; fails the cmocka test
 * when it fails. The caller frees. */
char *world_value(const struct world *world, const char *sql);
int64_t world_number(const struct world *world, const char *sql);
/* Number of rows of everything that a refused request must not touch (all tables but the audit trail, jobs,
 * events and what inventories keep), as one line of text: "cloud=2 site=2 …". The caller frees. */
char *world_counts(const struct world *world);

/* Until the query gives `wanted`; fails the test after `seconds`, saying what it gave. */
void world_await(const struct world *world, const char *sql, const char *wanted, int seconds);

/* {"kind", "name", "spec": …}; `spec` is taken over. */
json_t *world_item(const char *kind, const char *name, json_t *spec);
json_t *world_instance(const char *cloud, const char *name, int vcpu, int memory_gb);
/* `attach_to` NULL: in zone extranet. */
json_t *world_volume(const char *name, int size_gb, const char *attach_to);
/* POST /v1/orders of the items (an array, taken over) as `token`; expects 202 and returns the operation's id,
 * which the caller frees. */
char *world_order(struct world *world, const char *token, const char *system, const char *cloud,
                  json_t *items);
/* Waits until the operation has ended, at most `seconds`; its body, the caller's. */
json_t *world_ended(struct world *world, const char *token, const char *operation, int seconds);
/* POST of a verb, DELETE with the present ETag: expects 202 and returns the operation's id, the caller's. */
char *world_begin(struct world *world, const char *token, const char *path, json_t *body);
char *world_delete(struct world *world, const char *token, const char *path);
/* world_ended, and it must have succeeded; frees `operation`. */
void world_succeeds(struct world *world, const char *token, char *operation);
/* An inventory of each endpoint begun from now on is in the database. */
void world_sync(struct world *world);
/* Id of the live resource of this kind and name; the caller frees. */
char *world_id(const struct world *world, const char *kind, const char *name);

#endif
