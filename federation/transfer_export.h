/* What the steps of the job "export" share. */
#ifndef FEDERATION_TRANSFER_EXPORT_H
#define FEDERATION_TRANSFER_EXPORT_H

#include "broker/control/resource.h"
#include "federation/transfer_disk.h"

struct export_work {
    struct job *job;
    const char *unit, *folder;
    struct operation operation;
    struct transfer transfer;
    struct resource instance;
    struct transfer_disk disk;
    const char *step; /* for people */
    int from, to;     /* percent of this step */
    uint64_t done_before, total;
    int64_t told_at, asked_at;
    const char *denied; /* the consent does not count any more; NULL: it does */
};

/* Loads all of it and asks for the consent: ERR_DENIED. */
struct error *export_begin(struct job *job, struct export_work *ret_work) ERROR_MUST_USE;
size_t export_disk_count(const struct export_work *work);
/* "web-disk1.qcow2"; `end` says which of its forms. */
const char *export_disk_file(const struct export_work *work, size_t disk, const char *end);
const char *export_manifest_path(const struct export_work *work, size_t disk);
/* Whether disks are copied into qcow2 first and packed afterwards. */
bool export_packs(const struct export_work *work);
/* Tells people how far it is, sees whether it was cancelled or the consent withdrawn: a copy_progress_fn. */
bool export_goes_on(void *work, const struct copy_progress *progress);
/* `error`, or why export_goes_on said no. */
struct error *export_why(const struct export_work *work, struct error *error) ERROR_MUST_USE;

/* Steps two and three. */
struct error *export_pack(struct job *job) ERROR_MUST_USE;
struct error *export_seal(struct job *job) ERROR_MUST_USE;

#endif
