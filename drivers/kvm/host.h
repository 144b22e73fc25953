/* The host that a session speaks to: its processors and what its own guests are called in the broker's words.
 */
#ifndef DRIVERS_KVM_HOST_H
#define DRIVERS_KVM_HOST_H

#include "drivers/kvm/session.h"

/* Asks for the capabilities; strings live in the session's arena. */
struct error *kvm_host_read(struct driver_session *session, struct kvm_host *ret_host) ERROR_MUST_USE;

/* Reads libvirt's capabilities document: x86_64 is "C86" when the processor's vendor is Hygon, else "x86";
 * aarch64 is "ARM", ppc64 and ppc64le are "POWER". Pure. ERR_UNAVAILABLE when the text is no such document.
 */
struct error *kvm_host_parse(struct arena *arena, const char *capabilities,
                             struct kvm_host *ret_host) ERROR_MUST_USE;

/* "x86_64" → "x86" and so on for a guest on this host; NULL when the broker has no word for it. */
const char *kvm_host_word(const struct kvm_host *host, const char *arch);

/* The host as inventory shows it. */
struct error *kvm_host_describe(struct driver_session *session, struct arena *arena,
                                struct driver_host *ret_host) ERROR_MUST_USE;

#endif
