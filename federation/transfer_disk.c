/* See transfer_disk.h. */
#include "federation/transfer_disk.h"

#include <string.h>
#include <unistd.h>

#include "federation/copy_check.h"

#define SAID_MAX 65536

struct transfer_box transfer_box(const struct transfer_disk *disk, bool write)
{
    return (struct transfer_box){
        .folder = disk->folder, .write = write, .user = disk->services->transfer_user};
}

static struct error *run(const struct transfer_disk *disk, const char *const *argv)
{
    struct transfer_box box = transfer_box(disk, true);
    const char *said;
    return transfer_child_run(&box, argv, 0, SAID_MAX, disk->job, disk->arena, &said);
}

struct error *transfer_disk_make(const struct transfer_disk *disk, const char *file, const char *format,
                                 uint64_t size)
{
    int fd;
    TRY(transfer_file_remove(disk->folder, file));
    TRY(transfer_file_open(disk->services, disk->folder, file, &fd));
    bool raw = !strcmp(format, "raw");
    struct error *error = raw && ftruncate(fd, (off_t)size) ? transfer_io_error("make", file) : NULL;
    (void)close(fd); /* nothing was written */
    if (error || raw)
        return error;
    const char *const argv[] = {"/usr/bin/qemu-img",
                                "create",
                                "-q",
                                "-f",
                                format,
                                arena_printf(disk->arena, "./%s", file),
                                arena_printf(disk->arena, "%llu", (unsigned long long)size),
                                NULL};
    return run(disk, argv);
}

struct error *transfer_disk_fill(const struct transfer_disk *disk, const char *file, const char *format,
                                 struct copy_pass *pass, struct copy_result *ret_result)
{
    struct transfer_server server;
    struct transfer_box box = transfer_box(disk, true);
    TRY(transfer_serve(&box, file, format, NULL, disk->arena, &server));
    pass->target = (struct copy_end){.socket = server.socket};
    pass->progress = disk->progress;
    pass->data = disk->data;
    struct error *error = copy_pass_run(pass, ret_result);
    if (!error)
        return transfer_serve_end(&server);
    transfer_serve_kill(&server);
    return error;
}

struct error *transfer_disk_prove(const struct transfer_disk *disk, const char *file, const char *format,
                                  const char *manifest_path)
{
    COPY_MANIFEST_AUTO struct copy_manifest *manifest = NULL;
    struct transfer_server server;
    struct transfer_box box = transfer_box(disk, false);
    struct copy_check_result result;
    TRY(copy_manifest_read(manifest_path, &manifest));
    TRY(transfer_serve(&box, file, format, NULL, disk->arena, &server));
    struct copy_check check = {.target = {.socket = server.socket},
                               .manifest = manifest,
                               .progress = disk->progress,
                               .data = disk->data};
    struct error *error = copy_verify(&check, &result);
    transfer_serve_kill(&server); /* it was only read */
    return error_wrap(error, "%s is not what was read", file);
}

struct error *transfer_disk_pack(const struct transfer_disk *disk, const char *from, const char *to)
{
    int fd;
    TRY(transfer_file_remove(disk->folder, to));
    TRY(transfer_file_open(disk->services, disk->folder, to, &fd));
    (void)close(fd); /* nothing was written */
    const char *const argv[] = {"/usr/bin/qemu-img",
                                "convert",
                                "-f",
                                "qcow2",
                                "-O",
                                "vmdk",
                                "-o",
                                "subformat=streamOptimized",
                                arena_printf(disk->arena, "./%s", from),
                                arena_printf(disk->arena, "./%s", to),
                                NULL};
    return run(disk, argv);
}
