/* The lock that names a broker; see owner.h. The kernel ends it with the process, however that dies, and not
 * a moment before. The file is named by where it is and by this boot of the machine: a copied data directory,
 * or one that another machine sees too, is another broker. */
#include "broker/jobs/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static void read_boot(char boot[37])
{
    FILE *file = fopen(BOOT_ID, "re");
    if (!file || !fgets(boot, 37, file))
        boot[0] = '\0';
    if (file)
        (void)fclose(file); /* read only */
}

struct error *job_owner_open(const char *path, struct job_owner *ret_owner)
{
    struct job_owner owner = {.lock = -1};
    struct stat status;
    char boot[37];
    *ret_owner = owner;
    if (!path)
        return NULL;
    owner.lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (owner.lock < 0)
        return error_new(ERR_IO, "could not open %s: %s", path, strerror(errno));
    bool held = flock(owner.lock, LOCK_EX | LOCK_NB) < 0;
    if (held || fstat(owner.lock, &status) < 0) {
        struct error *error = held && errno == EWOULDBLOCK
                                  ? NULL
                                  : error_new(ERR_IO, "could not lock %s: %s", path, strerror(errno));
        (void)close(owner.lock); /* nothing was written */
        return error;
    }
    read_boot(boot);
    if (strlen(boot) == 36)
        (void)snprintf(owner.name, sizeof owner.name, "%s/%llx/%llx", boot, (unsigned long long)status.st_dev,
                       (unsigned long long)status.st_ino);
    *ret_owner = owner;
    return NULL;
}

struct taking {
    const struct job_owner *owner;
    int64_t count;
};

static struct error *take_body(struct db *db, void *context)
{
    /* Waits for what a dead process's connection still commits. */
    static const struct db_statement take = {
        "job_take_over", "UPDATE job SET run_at = clock_timestamp() WHERE state = 'running'"
                         " AND split_part(leased_by, ' ', 2) = $1"};
    struct taking *taking = context;
    return db_run(db, &take, DB_VALUES(db_text(taking->owner->name)), &taking->count);
}

struct error *job_owner_take_over(const struct job_owner *owner, struct db *db, int64_t *ret_count)
{
    struct taking taking = {.owner = owner};
    if (*owner->name)
        TRY_DOING(db_transaction(db, &db_scope_system, DB_READ_COMMITTED, take_body, &taking),
                  "could not take over the leases of this broker's last process");
    *ret_count = taking.count;
    return NULL;
}

void job_owner_close(struct job_owner *owner)
{
    if (owner->lock >= 0)
        (void)close(owner->lock); /* nothing was written */
    owner->lock = -1;
}
