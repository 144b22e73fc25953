/* The programs of QEMU that know disk images (qemu-img, qemu-nbd), as children that can do no harm: an image
 * from outside may be made to make them do what its maker wants. Each sees one folder and nothing else of the
 * host (Landlock, where the kernel has it; ABI 4 and later also forbid the network), has no privileges (when
 * the broker is root it becomes another user; never can it gain any), limits of memory, of time without
 * progress and of what it says, and dies with the thread that started it. File names are relative to the
 * folder; formats are always said, never guessed. */
#ifndef FEDERATION_TRANSFER_CHILD_H
#define FEDERATION_TRANSFER_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/jobs/job.h"

/* Who the children are when the broker is root. */
struct transfer_user {
    bool change;
    uid_t uid;
    gid_t gid;
};
/* `name` is looked up when the broker is root. ERR_INVALID: there is none, or it is root too. */
struct error *transfer_user_find(const char *name, struct transfer_user *ret_user) ERROR_MUST_USE;

struct transfer_box {
    const char *folder; /* the child's working folder; the children's user owns it */
    bool write;         /* it may change what is in it */
    struct transfer_user user;
};

/* Runs it to its end; `job` cancelled: it is killed (ERR_CANCELLED). What it wrote to standard output, at
 * most `most` bytes, in the arena. It may use `cpu_s` seconds of a processor. ERR_INVALID with its last words
 * when it fails, ERR_NO_CAPACITY when these say that there is no space. */
struct error *transfer_child_run(const struct transfer_box *box, const char *const *argv, unsigned cpu_s,
                                 size_t most, struct job *job, struct arena *arena,
                                 const char **ret_output) ERROR_MUST_USE;

/* A qemu-nbd that serves one image on a unix socket. */
struct transfer_server {
    pid_t pid;
    int folder_fd;
    const char *socket; /* for copy_end, in the arena */
    const char *name;   /* of the socket in the folder */
    const char *image;
};
/* `options` NULL: `file` in `format`; else QEMU's image options, which say all (--image-opts). Read only
 * unless the box lets it write. */
struct error *transfer_serve(const struct transfer_box *box, const char *file, const char *format,
                             const char *options, struct arena *arena,
                             struct transfer_server *ret_server) ERROR_MUST_USE;
/* Lets it end by itself, so that everything is in the file, and sees that it did. */
struct error *transfer_serve_end(struct transfer_server *server) ERROR_MUST_USE;
/* Kills it. No effect on one that has ended or was never started (pid 0). */
void transfer_serve_kill(struct transfer_server *server);

#endif
