/* A disk as an image file in a transfer's folder: filled by the copy engine, proved, made another format. */
#ifndef FEDERATION_TRANSFER_DISK_H
#define FEDERATION_TRANSFER_DISK_H

#include "federation/copy.h"
#include "federation/transfer_child.h"
#include "federation/transfer_folder.h"

struct transfer_disk {
    struct job *job;
    const struct federation_services *services;
    const char *folder;
    struct arena *arena;
    copy_progress_fn *progress; /* with `data` */
    void *data;
};

struct transfer_box transfer_box(const struct transfer_disk *disk, bool write);

/* An empty image of this size, in the arena's call alone: what was there before is gone. */
struct error *transfer_disk_make(const struct transfer_disk *disk, const char *file, const char *format,
                                 uint64_t size) ERROR_MUST_USE;
/* A pass (source, label, snapshot, algorithm, manifest_path … are the caller's) into the image. */
struct error *transfer_disk_fill(const struct transfer_disk *disk, const char *file, const char *format,
                                 struct copy_pass *pass, struct copy_result *ret_result) ERROR_MUST_USE;
/* Every block of the image is as the manifest says. */
struct error *transfer_disk_prove(const struct transfer_disk *disk, const char *file, const char *format,
                                  const char *manifest_path) ERROR_MUST_USE;
/* qcow2 to streamOptimized VMDK, which is written from the beginning to the end alone. */
struct error *transfer_disk_pack(const struct transfer_disk *disk, const char *from,
                                 const char *to) ERROR_MUST_USE;

#endif
