/* What the files of imports share. */
#ifndef FEDERATION_TRANSFER_IMPORT_H
#define FEDERATION_TRANSFER_IMPORT_H

#include "broker/control/resource.h"
#include "federation/transfer_disk.h"
#include "federation/transfer_image.h"
#include "federation/transfer_manifest.h"
#include "federation/transfer_ovf.h"

/* A disk that came, where it lies: a file, or a part of one. */
struct import_disk {
    const char *file;        /* in the folder */
    const char *name;        /* for people: the file's, or that of the member */
    uint64_t offset, length; /* of the part; length 0: all of the file */
    uint64_t bytes;          /* of the disk */
    const char *format;      /* QEMU's */
};

struct import_work {
    struct job *job;
    const char *unit, *folder;
    struct operation operation;
    struct transfer transfer;
    struct transfer_file *files;
    size_t file_count;
    struct import_disk disks[TRANSFER_DISKS_MAX]; /* the boot disk first */
    size_t disk_count;
    struct transfer_disk disk; /* tools */
    const char *step;          /* for people */
    int from, to;              /* percent of this step */
    uint64_t done_before, total;
    int64_t told_at;
};

struct error *import_begin(struct job *job, struct import_work *ret_work) ERROR_MUST_USE;
/* A copy_progress_fn. */
bool import_goes_on(void *work, const struct copy_progress *progress);

/* The sealed manifest that it was declared by; disk_count 0: none. */
struct error *import_sealed(struct db *db, const struct import_work *work,
                            struct transfer_sealed *ret_sealed) ERROR_MUST_USE;

/* What came is what was declared, and every image whole in itself: ERR_INVALID otherwise. A file whose
 * digests are others has to be sent again. What was found is in the row afterwards. */
struct error *import_check(struct job *job) ERROR_MUST_USE;
/* From the row: what import_check found. */
struct error *import_read_found(struct import_work *work) ERROR_MUST_USE;
/* The image, read only, confined. */
struct error *import_serve(const struct import_work *work, const struct import_disk *disk,
                           struct transfer_server *ret_server) ERROR_MUST_USE;

/* The instance at its provider, with its disks filled and proved. */
struct error *import_make(struct job *job) ERROR_MUST_USE;
/* Nothing of it is left there. */
struct error *import_unmake(struct job *job) ERROR_MUST_USE;

#endif
