/* What the parts of the folder cloud share: machines (folder_cloud.c), exports (folder_export.c) and test
 * boots (folder_trial.c). */
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
    bool stages; /* the driver "folder-staged": writes go to files beside the disks until they are closed */
    bool keep;   /* of export_close */
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
struct error *folder_export_stage(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const struct driver_export_spec *spec,
                                  struct driver_export *ret_export);
struct error *folder_export_upload(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, const char *export_id, bool keep);
struct error *folder_checkpoint_delete(struct driver_session *session, const struct driver_call *call,
                                       const struct driver_key *key, const char *checkpoint);

/* As the driver contract tells it. */
struct driver_instance folder_tell(const struct act *act);
/* The caller's; NULL: there is none. */
json_t *folder_load(const char *folder, const char *id);
/* Whether there is a test of that machine; as an error. */
bool folder_tested(const char *folder, const char *id);
struct error *folder_check_untested(const struct act *act) ERROR_MUST_USE;
/* Before a machine is started: a test's guest tells what it finds, and writes over it. */
void folder_boot_test(struct act *act);
struct error *folder_test_create(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_test_spec *spec,
                                 struct driver_instance *ret_instance);
struct error *folder_console(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key, size_t limit, const char **ret_text,
                             size_t *ret_length);

#endif
