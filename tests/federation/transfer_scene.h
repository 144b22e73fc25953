/* Two clouds in folders behind the desk (desk.h), c and d, and an instance "web" of unit u, system u001, on
 * c, off, with a boot disk and a volume full of known bytes: for tests of exports and imports. */
#ifndef TESTS_FEDERATION_TRANSFER_SCENE_H
#define TESTS_FEDERATION_TRANSFER_SCENE_H

#include <sys/types.h>

#include "federation/transfer.h"
#include "tests/federation/desk.h"
#include "tests/federation/folder_cloud.h"

#define WEB "0192f000-0000-7000-8000-000000000001"
#define WEB_VOLUME "0192f000-0000-7000-8000-000000000002"
#define WEB_MB 2

struct transfer_scene {
    char c[256], d[256]; /* the folders */
};
extern struct transfer_scene transfer_scene;

int transfer_open(void **state);
int transfer_close(void **state);
int transfer_reset(void **state);
int transfer_rest(void **state);

void transfer_consent(void);
/* Jobs in this process, until transfer_rest. */
void transfer_run(void);
/* Or in one of its own, which dies at that boundary of the provider (0: none). */
pid_t transfer_broker(int die_at);
void transfer_kill(pid_t pid);
/* For main. */
void transfer_maybe_broker(int argc, char **argv);

/* Until the operation has ended: its state, in a static buffer; "died" when `pid` (0: none) is gone. */
const char *transfer_await(const char *operation, pid_t pid);
/* Orders an export of "web"; its operation and id, in the arena. */
const char *transfer_order(struct arena *arena, const char *more, const char **ret_id);
/* Bytes of a file of the export, through GET; *ret_length. Owned by the client. */
const char *transfer_get(struct arena *arena, const char *id, const char *name, size_t *ret_length);
/* Fails unless the image in `path`, of that format, holds what disk number `disk` of the machine in `folder`
 * does. */
void transfer_same(const char *path, const char *format, const char *folder, const char *machine,
                   size_t disk);
/* To a file. */
void transfer_save(const char *path, const void *bytes, size_t length);
/* Runs a program to its end; its exit status. */
int transfer_do(const char *const *argv);

#endif
