/* The driver's side of libvirt's event loop, see events.h. Everything shared with the loop's thread is behind
 * one mutex per session, and lives until the last callback has been given back. */
#include "drivers/kvm/events.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/moment.h"
#include "drivers/kvm/fault.h"

#define CALLBACKS 4
#define RESETS_MAX 64 /* domains whose resets are counted at once; the oldest gives way */

struct resets {
    char uuid[VIR_UUID_STRING_BUFLEN];
    uint64_t count;
};

struct kvm_events {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    unsigned references; /* the session's and one for each registered callback */
    uint64_t seen;
    bool closed, noting, overflowed;
    char (*noted)[VIR_UUID_STRING_BUFLEN];
    size_t noted_count;
    struct resets resets[RESETS_MAX];
    size_t resets_next;

    virConnectPtr connection; /* the session's thread only */
    int callbacks[CALLBACKS];
    size_t callback_count;
    bool close_registered;
};

static pthread_once_t loop_once = PTHREAD_ONCE_INIT;
static int loop_failure;

static void be_silent(void *context, virErrorPtr error)
{
    /* libvirt prints every error on standard error otherwise; ours are returned. */
}

static void *run_loop(void *unused)
{
    for (;;)
        if (virEventRunDefaultImpl() < 0) {
            /* A descriptor that went away between two rounds; the next round no longer has it. */
            struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
            (void)nanosleep(&pause, NULL);
        }
    return NULL;
}

static void keep_awake(int timer, void *context)
{
    /* Only there so that a round of the loop ends within a second whatever happens. */
}

/* libvirt writes to sockets whose other end has gone, on any thread; by default that ends the process. */
static void ignore_pipe(void)
{
    struct sigaction pipe;
    if (sigaction(SIGPIPE, NULL, &pipe) == 0 && pipe.sa_handler == SIG_DFL) {
        pipe.sa_handler = SIG_IGN;
        (void)sigaction(SIGPIPE, &pipe, NULL);
    }
}

static void start_loop(void)
{
    ignore_pipe();
    virSetErrorFunc(NULL, be_silent);
    if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0 ||
        virEventAddTimeout(1000, keep_awake, NULL, NULL) < 0) {
        loop_failure = 1;
        return;
    }
    /* All other signals are for the process's own threads. */
    sigset_t all, before;
    pthread_attr_t attributes;
    pthread_t thread;
    (void)sigfillset(&all);
    if (pthread_attr_init(&attributes) != 0 || pthread_sigmask(SIG_BLOCK, &all, &before) != 0) {
        loop_failure = 1;
        return;
    }
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attributes, run_loop, NULL) != 0)
        loop_failure = 1;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
}

struct error *kvm_events_loop(void)
{
    (void)pthread_once(&loop_once, start_loop);
    return loop_failure ? error_new(ERR_INTERNAL, "libvirt's event loop cannot be started") : NULL;
}

static void release(void *opaque)
{
    struct kvm_events *events = opaque;
    (void)pthread_mutex_lock(&events->mutex);
    unsigned left = --events->references;
    (void)pthread_mutex_unlock(&events->mutex);
    if (left > 0)
        return;
    (void)pthread_cond_destroy(&events->changed);
    (void)pthread_mutex_destroy(&events->mutex);
    free(events->noted);
    free(events);
}

static void happened(struct kvm_events *events)
{
    events->seen++;
    (void)pthread_cond_broadcast(&events->changed);
}

static void note(struct kvm_events *events, const char *uuid)
{
    if (!events->noting || events->overflowed)
        return;
    for (size_t i = 0; i < events->noted_count; i++)
        if (strcmp(events->noted[i], uuid) == 0)
            return;
    if (events->noted_count == KVM_EVENTS_MAX) {
        events->overflowed = true;
        return;
    }
    memcpy(events->noted[events->noted_count++], uuid, VIR_UUID_STRING_BUFLEN);
}

static struct resets *resets_of(struct kvm_events *events, const char *uuid)
{
    for (size_t i = 0; i < RESETS_MAX; i++)
        if (strcmp(events->resets[i].uuid, uuid) == 0)
            return &events->resets[i];
    return NULL;
}

static int on_lifecycle(virConnectPtr connection, virDomainPtr domain, int event, int detail, void *opaque)
{
    struct kvm_events *events = opaque;
    char uuid[VIR_UUID_STRING_BUFLEN];
    if (virDomainGetUUIDString(domain, uuid) < 0)
        return 0;
    (void)pthread_mutex_lock(&events->mutex);
    note(events, uuid);
    happened(events);
    (void)pthread_mutex_unlock(&events->mutex);
    return 0;
}

static void on_reset(virConnectPtr connection, virDomainPtr domain, void *opaque)
{
    struct kvm_events *events = opaque;
    char uuid[VIR_UUID_STRING_BUFLEN];
    if (virDomainGetUUIDString(domain, uuid) < 0)
        return;
    (void)pthread_mutex_lock(&events->mutex);
    struct resets *resets = resets_of(events, uuid);
    if (!resets) {
        resets = &events->resets[events->resets_next++ % RESETS_MAX];
        memcpy(resets->uuid, uuid, sizeof uuid);
        resets->count = 0;
    }
    resets->count++;
    happened(events);
    (void)pthread_mutex_unlock(&events->mutex);
}

static void on_device(virConnectPtr connection, virDomainPtr domain, const char *device, void *opaque)
{
    struct kvm_events *events = opaque;
    (void)pthread_mutex_lock(&events->mutex);
    happened(events);
    (void)pthread_mutex_unlock(&events->mutex);
}

static void on_close(virConnectPtr connection, int reason, void *opaque)
{
    struct kvm_events *events = opaque;
    (void)pthread_mutex_lock(&events->mutex);
    events->closed = true;
    happened(events);
    (void)pthread_mutex_unlock(&events->mutex);
}

static struct error *listen_to(struct kvm_events *events, int event,
                               virConnectDomainEventGenericCallback callback)
{
    (void)pthread_mutex_lock(&events->mutex);
    events->references++;
    (void)pthread_mutex_unlock(&events->mutex);
    int id = virConnectDomainEventRegisterAny(events->connection, NULL, event, callback, events, release);
    if (id < 0) {
        release(events);
        return kvm_fault(events->connection, "could not subscribe to events");
    }
    events->callbacks[events->callback_count++] = id;
    return NULL;
}

static struct error *subscribe(struct kvm_events *events)
{
    (void)pthread_mutex_lock(&events->mutex);
    events->references++;
    (void)pthread_mutex_unlock(&events->mutex);
    if (virConnectRegisterCloseCallback(events->connection, on_close, events, release) < 0) {
        release(events);
        return kvm_fault(events->connection, "could not watch the connection");
    }
    events->close_registered = true;
    TRY(listen_to(events, VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle)));
    TRY(listen_to(events, VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK(on_reset)));
    return listen_to(events, VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_CALLBACK(on_device));
}

struct error *kvm_events_new(virConnectPtr connection, struct kvm_events **ret_events)
{
    struct kvm_events *events = xcalloc(1, sizeof *events);
    events->connection = connection;
    events->references = 1;
    events->noted = xcalloc(KVM_EVENTS_MAX, sizeof *events->noted);
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&events->mutex, NULL) != 0 || pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&events->changed, &attributes) != 0) {
        free(events->noted);
        free(events);
        return error_new(ERR_INTERNAL, "no lock can be made");
    }
    (void)pthread_condattr_destroy(&attributes);
    struct error *error = subscribe(events);
    if (error) {
        kvm_events_free(events);
        return error;
    }
    *ret_events = events;
    return NULL;
}

void kvm_events_free(struct kvm_events *events)
{
    if (!events)
        return;
    /* On a connection that is lost these fail, and libvirt releases the callbacks when it is closed. */
    for (size_t i = 0; i < events->callback_count; i++)
        (void)virConnectDomainEventDeregisterAny(events->connection, events->callbacks[i]);
    if (events->close_registered)
        (void)virConnectUnregisterCloseCallback(events->connection, on_close);
    release(events);
}

uint64_t kvm_events_seen(struct kvm_events *events)
{
    (void)pthread_mutex_lock(&events->mutex);
    uint64_t seen = events->seen;
    (void)pthread_mutex_unlock(&events->mutex);
    return seen;
}

void kvm_events_wait(struct kvm_events *events, uint64_t seen, int64_t until_us)
{
    struct timespec until = {.tv_sec = (time_t)(until_us / MOMENT_SECOND),
                             .tv_nsec = (long)(until_us % MOMENT_SECOND) * 1000};
    (void)pthread_mutex_lock(&events->mutex);
    while (events->seen == seen && !events->closed)
        if (pthread_cond_timedwait(&events->changed, &events->mutex, &until) != 0)
            break;
    (void)pthread_mutex_unlock(&events->mutex);
}

uint64_t kvm_events_resets(struct kvm_events *events, const char *uuid)
{
    (void)pthread_mutex_lock(&events->mutex);
    const struct resets *resets = resets_of(events, uuid);
    uint64_t count = resets ? resets->count : 0;
    (void)pthread_mutex_unlock(&events->mutex);
    return count;
}

void kvm_events_note(struct kvm_events *events)
{
    (void)pthread_mutex_lock(&events->mutex);
    events->noting = true;
    (void)pthread_mutex_unlock(&events->mutex);
}

struct error *kvm_events_take(struct kvm_events *events, struct arena *arena, const char *const **ret_uuids,
                              size_t *ret_count)
{
    struct error *error = NULL;
    (void)pthread_mutex_lock(&events->mutex);
    if (events->closed) {
        error = error_new(ERR_UNAVAILABLE, "the connection was lost");
    } else if (events->overflowed) {
        error = error_new(ERR_UNAVAILABLE, "more than %d instances changed at once", KVM_EVENTS_MAX);
        events->overflowed = false;
    } else {
        const char **uuids = arena_array(arena, events->noted_count, sizeof *uuids);
        for (size_t i = 0; i < events->noted_count; i++)
            uuids[i] = arena_strdup(arena, events->noted[i]);
        *ret_uuids = uuids;
        *ret_count = events->noted_count;
    }
    events->noted_count = 0;
    (void)pthread_mutex_unlock(&events->mutex);
    return error;
}
