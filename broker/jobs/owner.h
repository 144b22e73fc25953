/* Which broker a lease belongs to, in a way that outlives the process: whoever holds the lock on the broker's
 * file knows that every earlier process of that name is dead, and may take over what it had leased without
 * waiting for the leases to run out. */
#ifndef BROKER_JOBS_OWNER_H
#define BROKER_JOBS_OWNER_H

#include "broker/base/error.h"
#include "broker/db/db.h"

struct job_owner {
    int lock;      /* -1: none is held */
    char name[96]; /* "BOOT/DEVICE/INODE" of the locked file; "": nobody may take over */
};
/* `path` NULL, or a file that another process holds: no name. ERR_IO. */
struct error *job_owner_open(const char *path, struct job_owner *ret_owner) ERROR_MUST_USE;
/* Leases that earlier processes of this name still have end now. */
struct error *job_owner_take_over(const struct job_owner *owner, struct db *db,
                                  int64_t *ret_count) ERROR_MUST_USE;
void job_owner_close(struct job_owner *owner);

#endif
