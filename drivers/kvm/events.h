/* What libvirt tells on its own: life cycle of domains, resets, removed devices, the end of the connection.
 *
 * libvirt wants one event loop for the process before the first connection is opened; the driver starts one
 * thread for it at the first open, and it runs as long as the process does. Its callbacks only note which
 * domain something happened to; the session's own thread waits here and then asks libvirt how things are. */
#ifndef DRIVERS_KVM_EVENTS_H
#define DRIVERS_KVM_EVENTS_H

#include <libvirt/libvirt.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

#define KVM_EVENTS_MAX 4096 /* domains noted and not yet taken; beyond, changes are lost and said to be */

struct kvm_events;

/* Starts the process's event loop once, and has SIGPIPE ignored unless the process handles it. Call before
 * the first virConnectOpen. */
struct error *kvm_events_loop(void) ERROR_MUST_USE;

struct error *kvm_events_new(virConnectPtr connection, struct kvm_events **ret_events) ERROR_MUST_USE;
/* Takes the callbacks back; NULL is fine. The connection is closed by the caller afterwards. */
void kvm_events_free(struct kvm_events *events);

/* A counter of what has happened; kvm_events_wait returns once it is no longer `seen`, or at `until_us`
 * (monotonic), or at once when the connection has ended. */
uint64_t kvm_events_seen(struct kvm_events *events);
void kvm_events_wait(struct kvm_events *events, uint64_t seen, int64_t until_us);

/* How often this domain (UUID, 36 characters) was reset, as far as this session was told. */
uint64_t kvm_events_resets(struct kvm_events *events, const char *uuid);

/* From now on domains are noted. */
void kvm_events_note(struct kvm_events *events);
/* Takes the UUIDs noted since the last time, each once. ERR_UNAVAILABLE when the connection ended or more
 * happened than could be noted. */
struct error *kvm_events_take(struct kvm_events *events, struct arena *arena, const char *const **ret_uuids,
                              size_t *ret_count) ERROR_MUST_USE;

#endif
