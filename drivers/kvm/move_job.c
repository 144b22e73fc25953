/* libvirt's migration job: started on a thread of its own, for the call blocks to its end, and watched from
 * the session's thread, which tells progress, ends it on request and gives up when nothing moves any more. */
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/moment.h"
#include "drivers/kvm/disk.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/move.h"

#define LOOK_US (MOMENT_SECOND / 4)
#define PATIENCE_US (10 * MOMENT_SECOND) /* for a job to end that was told to */
#define MIB (UINT64_C(1) << 20)
#define LIBVIRT_SYNCHRONOUS 8000000 /* knows writes that reach both sides before they are done */

struct job {
    virDomainPtr domain;
    virConnectPtr source, target;
    virTypedParameterPtr parameters;
    int count;
    unsigned flags;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    struct error *error; /* of the migration */
};

static void *run(void *context)
{
    struct job *job = context;
    virDomainPtr there =
        virDomainMigrate3(job->domain, job->target, job->parameters, (unsigned)job->count, job->flags);
    /* Taken on this thread: libvirt keeps errors by thread. */
    struct error *error = there ? NULL : kvm_fault(job->source, "the hypervisors could not move it");
    if (there)
        (void)virDomainFree(there);
    pthread_mutex_lock(&job->lock);
    job->done = true;
    job->error = error;
    pthread_cond_signal(&job->changed);
    pthread_mutex_unlock(&job->lock);
    return NULL;
}

/* Whether the job has ended; waits for it a moment. */
static bool wait_a_moment(struct job *job)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_US * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&job->lock);
    if (!job->done)
        (void)pthread_cond_timedwait(&job->changed, &job->lock, &until); /* either way `done` says */
    bool done = job->done;
    pthread_mutex_unlock(&job->lock);
    return done;
}

/* --- parameters --- */

static bool add_text(struct job *job, int *room, const char *name, const char *value)
{
    return virTypedParamsAddString(&job->parameters, &job->count, room, name, value) == 0;
}

/* Two daemons of one machine speak through sockets; hosts through TLS, on the address that the target's
 * endpoint names. */
static bool add_addresses(const struct kvm_move *move, struct arena *arena, struct job *job, int *room)
{
    const struct kvm_options *there = &move->target->options;
    if (move->source->local && move->target->local)
        return add_text(job, room, VIR_MIGRATE_PARAM_URI,
                        arena_printf(arena, "unix://%s/yq-%s-m.sock", there->nbd_folder, move->spec->id)) &&
               add_text(job, room, VIR_MIGRATE_PARAM_DISKS_URI,
                        arena_printf(arena, "unix://%s/yq-%s-d.sock", there->nbd_folder, move->spec->id));
    if (!there->move_host)
        return true; /* the target says its own name */
    const char *uri = strchr(there->move_host, ':') ? arena_printf(arena, "tcp://[%s]", there->move_host)
                                                    : arena_printf(arena, "tcp://%s", there->move_host);
    return add_text(job, room, VIR_MIGRATE_PARAM_URI, uri);
}

/* libvirt's limit is one of each disk's copy and of the memory's (libvirt issue 467): it is divided. */
static bool add_bandwidth(const struct kvm_move *move, struct job *job, int *room, size_t disks)
{
    if (!move->spec->bandwidth)
        return true;
    uint64_t each = move->spec->bandwidth / MIB / (disks ? disks : 1);
    return virTypedParamsAddULLong(&job->parameters, &job->count, room, VIR_MIGRATE_PARAM_BANDWIDTH,
                                   each ? each : 1) == 0;
}

static struct error *add_parameters(const struct kvm_move *move, struct arena *arena, struct job *job)
{
    int room = 0;
    size_t disks = 0;
    bool good = add_text(job, &room, VIR_MIGRATE_PARAM_DEST_XML, move->arriving) &&
                add_text(job, &room, VIR_MIGRATE_PARAM_PERSIST_XML, move->staying) &&
                add_addresses(move, arena, job, &room);
    for (size_t i = 0; i < move->disk_count; i++) {
        if (move->disks[i].seed)
            continue; /* copied already, and never written */
        good = good && add_text(job, &room, VIR_MIGRATE_PARAM_MIGRATE_DISKS, move->disks[i].disk->target);
        disks++;
    }
    good = good && add_bandwidth(move, job, &room, disks);
    return good ? NULL : kvm_fault(job->source, "could not describe the move");
}

static struct error *choose_flags(const struct kvm_move *move, struct job *job)
{
    unsigned long here, there;
    if (virConnectGetLibVersion(job->source, &here) < 0)
        return kvm_fault(job->source, "could not ask for the version");
    if (virConnectGetLibVersion(job->target, &there) < 0)
        return kvm_fault(job->target, "could not ask for the target's version");
    job->flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_NON_SHARED_DISK |
                 VIR_MIGRATE_ABORT_ON_ERROR | VIR_MIGRATE_AUTO_CONVERGE | VIR_MIGRATE_PAUSED;
    if (here >= LIBVIRT_SYNCHRONOUS && there >= LIBVIRT_SYNCHRONOUS)
        job->flags |= VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES;
    if (!move->source->local || !move->target->local)
        job->flags |= VIR_MIGRATE_TLS;
    return NULL;
}

/* --- watching --- */

struct watch {
    uint64_t processed;   /* bytes, at the last look */
    int64_t moved_us;     /* when that had grown */
    bool limited;         /* the downtime is set */
    struct error *reason; /* why it is to end */
    int64_t ended_us;     /* since when */
};

static uint64_t number_of(virTypedParameterPtr parameters, int count, const char *name)
{
    unsigned long long number = 0;
    return virTypedParamsGetULLong(parameters, count, name, &number) == 1 ? number : 0;
}

static int look(const struct kvm_move *move, struct watch *watch)
{
    int type = VIR_DOMAIN_JOB_NONE, count = 0, percent = 3;
    virTypedParameterPtr parameters = NULL;
    if (virDomainGetJobStats(move->domain, &type, &parameters, &count, 0) < 0)
        return percent; /* not begun, ended just now, or nobody answers: the job itself says */
    if (type != VIR_DOMAIN_JOB_NONE) {
        uint64_t processed = number_of(parameters, count, VIR_DOMAIN_JOB_MEMORY_PROCESSED) +
                             number_of(parameters, count, VIR_DOMAIN_JOB_DISK_PROCESSED);
        uint64_t total = number_of(parameters, count, VIR_DOMAIN_JOB_DATA_TOTAL);
        if (processed != watch->processed)
            watch->moved_us = moment_monotonic();
        watch->processed = processed;
        if (total)
            percent = 3 + (int)(processed >= total ? 92 : processed * 92 / total);
        if (!watch->limited && move->spec->downtime_us > 0)
            watch->limited =
                virDomainMigrateSetMaxDowntime(
                    move->domain, (unsigned long long)move->spec->downtime_us / 1000 + 1, 0) == 0;
    }
    virTypedParamsFree(parameters, count);
    return percent;
}

static void judge(const struct kvm_move *move, const struct driver_call *call, struct watch *watch,
                  int percent)
{
    if (watch->reason)
        return;
    watch->reason = kvm_step(call, percent, "move disks and memory");
    watch->ended_us = moment_monotonic();
    int64_t stall = move->source->options.move_stall_seconds * MOMENT_SECOND;
    if (!watch->reason && moment_monotonic() - watch->moved_us > stall)
        watch->reason = error_new(ERR_BUSY, "nothing has moved for %lld s",
                                  (long long)move->source->options.move_stall_seconds);
}

/* A target that stands still keeps the job from ending, and the source's guest from writing. What waits there
 * has never run: it goes, while the source is still there. */
static void cut_target(const struct kvm_move *move)
{
    if (virDomainIsActive(move->domain) != 1)
        return;
    virDomainPtr there = virDomainLookupByUUIDString(move->target->connection, move->id);
    if (there) {
        (void)virDomainDestroy(there); /* the job itself says */
        (void)virDomainFree(there);
    }
}

/* Until the job has ended; told to end it is asked again and again, for it may not have begun. */
static struct error *watch_over(const struct kvm_move *move, const struct driver_call *call, struct job *job)
{
    struct watch watch = {.moved_us = moment_monotonic()};
    while (!wait_a_moment(job)) {
        judge(move, call, &watch, look(move, &watch));
        if (!watch.reason)
            continue;
        (void)virDomainAbortJob(move->domain); /* too early or too late: the job itself says */
        if (moment_monotonic() - watch.ended_us > PATIENCE_US)
            cut_target(move);
    }
    if (job->error && watch.reason) { /* the reason is what the caller asked or waited for */
        struct error *error = error_wrap(watch.reason, "the move was ended (%s)", error_message(job->error));
        error_free(job->error);
        return error;
    }
    error_free(watch.reason); /* it came too late */
    return job->error;
}

static void report_stats(const struct kvm_move *move, struct driver_move_report *report)
{
    int type, count = 0;
    virTypedParameterPtr parameters = NULL;
    report->downtime_us = -1;
    if (virDomainGetJobStats(move->domain, &type, &parameters, &count, VIR_DOMAIN_JOB_STATS_COMPLETED) < 0)
        return; /* figures alone are lost */
    unsigned long long downtime_ms;
    if (virTypedParamsGetULLong(parameters, count, VIR_DOMAIN_JOB_DOWNTIME, &downtime_ms) == 1)
        report->downtime_us = (int64_t)downtime_ms * 1000;
    report->memory_bytes = number_of(parameters, count, VIR_DOMAIN_JOB_MEMORY_PROCESSED);
    report->disk_bytes = number_of(parameters, count, VIR_DOMAIN_JOB_DISK_PROCESSED);
    virTypedParamsFree(parameters, count);
}

static struct error *run_and_watch(struct kvm_move *move, const struct driver_call *call, struct job *job)
{
    pthread_t thread;
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) || pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC))
        return error_new(ERR_INTERNAL, "no clock to wait by");
    (void)pthread_cond_init(&job->changed, &monotonic);
    (void)pthread_mutex_init(&job->lock, NULL);
    (void)pthread_condattr_destroy(&monotonic);
    struct error *error = NULL;
    if (pthread_create(&thread, NULL, run, job)) {
        error = error_new(ERR_INTERNAL, "no thread for the move can be started");
    } else {
        error = watch_over(move, call, job);
        (void)pthread_join(thread, NULL);
    }
    (void)pthread_cond_destroy(&job->changed);
    (void)pthread_mutex_destroy(&job->lock);
    return error;
}

struct error *kvm_move_job(struct kvm_move *move, const struct driver_call *call,
                           struct driver_move_report *report)
{
    struct job job = {
        .domain = move->domain, .source = move->source->connection, .target = move->target->connection};
    struct error *error = choose_flags(move, &job);
    if (!error)
        error = add_parameters(move, call->arena, &job);
    if (!error)
        error = run_and_watch(move, call, &job);
    virTypedParamsFree(job.parameters, job.count);
    if (!error)
        report_stats(move, report);
    return error;
}
