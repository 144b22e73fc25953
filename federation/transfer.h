/* Machines that leave a cloud and come to one as files, for clouds that cannot reach each other and for
 * physical hosts of which an image was taken (procurement 2.1.1-8, 2.5, 4.1.3): exports and imports. Their
 * names, formats and rows; the files lie in a folder each, TRANSFER_DIR/ID, from the first byte until they
 * are deleted, are fetched or have expired. */
#ifndef FEDERATION_TRANSFER_H
#define FEDERATION_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/control/operation.h"
#include "broker/db/db.h"
#include "broker/jobs/job.h"
#include "federation/services.h"

#define TRANSFER_DISKS_MAX 16
#define TRANSFER_FILES_MAX 20                /* disks, descriptor, manifest … */
#define TRANSFER_FILE_MAX (INT64_C(1) << 46) /* 64 TiB: sums of TRANSFER_FILES_MAX of them fit */
#define TRANSFER_NAME_MAX 99                 /* bytes of a file's name, what a tar header takes */
#define TRANSFER_FORMATS(X)                                        \
    X(TRANSFER_RAW, "raw", "raw", "img")                           \
    X(TRANSFER_QCOW2, "qcow2", "qcow2", "qcow2")                   \
    X(TRANSFER_VMDK, "vmdk", "vmdk", "vmdk") /* streamOptimized */ \
    X(TRANSFER_OVA, "ova", "vmdk", "vmdk")   /* one archive of them */

enum transfer_format {
#define X(symbol, name, qemu, end) symbol,
    TRANSFER_FORMATS(X)
#undef X
        TRANSFER_FORMAT_COUNT
};
const char *transfer_format_name(enum transfer_format format);
/* QEMU's name of the disks' format, and how their files' names end. */
const char *transfer_format_qemu(enum transfer_format format);
const char *transfer_format_end(enum transfer_format format);
/* TRANSFER_FORMAT_COUNT when there is none of that name. */
enum transfer_format transfer_format_find(const char *name);
/* [A-Za-z0-9][A-Za-z0-9._-]*, at most TRANSFER_NAME_MAX: what a file may be called. What the broker lays
 * beside them begins with a dot, so that nobody can send it in its place. */
bool transfer_name_valid(const char *name);

struct transfer_file {
    const char *name;
    int64_t size;
    const char *sha256, *sm3; /* lower-case hex; sm3 NULL: not known */
    int64_t received;
};

struct transfer {
    const char *unit, *id, *system, *cloud, *provider, *resource, *name;
    bool is_export;
    enum transfer_format format;
    const char *state;
    json_t *request, *machine, *manifest; /* held by the arena; NULL: none */
    int64_t bytes;
    const char *consent, *operation, *cleaner, *principal;
    int64_t version;
    moment created_at, expires_at;
};

/* ------------------------------------------------------------------------------------ rows (transfer_store)
 */

struct error *transfer_insert(struct db *db, const struct transfer *transfer, moment now) ERROR_MUST_USE;
/* Locks the row. `unit` NULL: any that the scope sees. ERR_NOT_FOUND "no such export" or "no such import". */
struct error *transfer_load(struct db *db, struct arena *arena, const char *unit, bool is_export,
                            const char *id, struct transfer *ret_transfer) ERROR_MUST_USE;
/* The same without a lock, for reading alone. */
struct error *transfer_peek(struct db *db, struct arena *arena, bool is_export, const char *id,
                            struct transfer *ret_transfer) ERROR_MUST_USE;
struct error *transfer_of_operation(struct db *db, struct arena *arena, const char *unit,
                                    const char *operation, struct transfer *ret_transfer) ERROR_MUST_USE;
/* UPDATE … WHERE state = its old one; ERR_CONFLICT when it is another by now. `failure` NULL: none. */
struct error *transfer_become(struct db *db, struct transfer *transfer, const char *state,
                              const char *failure, moment now) ERROR_MUST_USE;
struct error *transfer_set_machine(struct db *db, const struct transfer *transfer,
                                   const json_t *machine) ERROR_MUST_USE;
struct error *transfer_set_operation(struct db *db, const struct transfer *transfer,
                                     const char *operation) ERROR_MUST_USE;
struct error *transfer_set_resource(struct db *db, const struct transfer *transfer,
                                    const char *resource) ERROR_MUST_USE;
struct error *transfer_set_manifest(struct db *db, const struct transfer *transfer,
                                    const json_t *manifest) ERROR_MUST_USE;
struct error *transfer_files(struct db *db, struct arena *arena, const struct transfer *transfer,
                             struct transfer_file **ret_files, size_t *ret_count) ERROR_MUST_USE;
struct error *transfer_add_file(struct db *db, const struct transfer *transfer, size_t number,
                                const struct transfer_file *file) ERROR_MUST_USE;
/* Locks the file's row. ERR_NOT_FOUND "no such file". */
struct error *transfer_load_file(struct db *db, struct arena *arena, const struct transfer *transfer,
                                 const char *name, struct transfer_file *ret_file) ERROR_MUST_USE;
struct error *transfer_set_received(struct db *db, const struct transfer *transfer, const char *name,
                                    int64_t received) ERROR_MUST_USE;

/* It has, or may come to need, so many bytes of what all of them have together, and of what its unit may have
 * of that: ERR_NO_CAPACITY with what there is. Less is always granted. */
struct error *transfer_take_space(struct db *db, const struct transfer *transfer, int64_t bytes,
                                  const struct federation_services *services) ERROR_MUST_USE;

/* Whether the consent that an export rests on still counts: ERR_DENIED with the reason. Takes no lock, so
 * also for calls that only read. */
struct error *transfer_consented(struct db *db, const struct transfer *transfer, moment now) ERROR_MUST_USE;

/* $1 id, $2 direction; $1 cursor, $2 size, $3 direction, $4 state, $5 system, $6 cloud, $7 instance. */
extern const struct db_statement transfer_select_one, transfer_select_list;

/* ------------------------------------------------------------------------------------------------------ jobs
 */

extern const struct job_type export_job, import_job, transfer_clean_job;

/* In the caller's transaction: the job that removes the files in `after_us`, or when it is woken. */
struct error *transfer_clean_add(struct db *db, struct arena *arena, struct transfer *transfer,
                                 moment expires_at, moment now) ERROR_MUST_USE;
/* In the caller's transaction, the row not being locked yet: now. */
struct error *transfer_clean_now(struct db *db, const struct transfer *transfer) ERROR_MUST_USE;

#endif
