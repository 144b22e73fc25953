/* What the parts of the folder cloud share: machines (folder_cloud.c) and exports (folder_export.c). */
#ifndef TESTS_FEDERATION_FOLDER_INSIDE_H
#define TESTS_FEDERATION_FOLDER_INSIDE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "drivers/driver_move.h"

struct driver_session {
    char *folder;
    long serial; /* of the folder when it was opened: see folder_cloud_expire */
};

/* One operation on one machine, under the folder's lock. */
struct act {
    struct driver_session *session;
    const struct driver_call *call;
    const char *name, *id;
    json_t *machine; /* NULL: there is none */
    bool changed;
    const void *in;
    void *out;
};
struct error *folder_run(struct act *act, struct error *(*effect)(struct act *act)) ERROR_MUST_USE;
struct error *folder_need(const struct act *act) ERROR_MUST_USE;

/* A member of the folder's own file; the caller's. NULL: there is none. */
json_t *folder_setting(const char *folder, const char *member);
/* `value` is taken over; NULL removes it. */
void folder_set(const char *folder, const char *member, json_t *value);
void folder_require(bool good, const char *what);
bool folder_is(const json_t *machine, const char *member);
size_t folder_disks(const json_t *machine);
/* The caller frees. */
char *folder_disk(const char *folder, const char *id, size_t disk, const char *what);
void folder_copy(const char *from, const char *to);
/* Removes files of the machine whose names end so; NULL: all of them. */
void folder_remove(const char *folder, const char *id, const char *end);

struct error *folder_export_open(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_export_spec *spec,
                                 struct driver_export *ret_export);
struct error *folder_export_close(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *export_id, bool keep);
struct error *folder_checkpoint_delete(struct driver_session *session, const struct driver_call *call,
                                       const struct driver_key *key, const char *checkpoint);

#endif
