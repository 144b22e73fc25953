/* A session: one libvirt connection with the endpoint's options and its events. The other files of this
 * folder are what can be asked of it, a noun each; kvm.c is the table that names them. */
#ifndef DRIVERS_KVM_SESSION_H
#define DRIVERS_KVM_SESSION_H

#include <libvirt/libvirt.h>

#include "drivers/driver.h"

struct kvm_events;

#define KVM_VCPU_MAX 16 /* every domain can be brought to so many while it runs (procurement 3.2.1.1) */
#define KVM_GIB (UINT64_C(1) << 30)

/* The endpoint's options, see README.md; text lives in the session's arena. */
struct kvm_options {
    const char *standard_pool, *high_pool, *image_pool;
    const char *accel; /* "auto", "kvm", "tcg" */
    const char *clone; /* "backing", "copy" */
    int64_t disk_overcommit;
    int64_t memory_reserve_mb;
    const char *nbd_folder;      /* of the sockets of a local endpoint */
    const char *nbd_host;        /* where a remote host serves its disks; NULL: the URL's host */
    const char *nbd_tls;         /* client certificates on the broker's host; NULL: none */
    const char *nbd_tls_server;  /* server certificates on the provider's host */
    int64_t nbd_port, nbd_ports; /* the first of them, and how many */
    const char *move_host;       /* address that takes incoming moves; NULL: the host's own name */
    int64_t move_stall_seconds;  /* without progress, until a move is given up */
};

/* What the host says of itself in its capabilities. */
struct kvm_host {
    const char *uuid;
    const char *arch;         /* libvirt's word, "x86_64" */
    const char *architecture; /* the broker's word, "x86"; NULL: none of ours */
    unsigned bit;             /* of enum driver_architecture; 0: none of ours */
    bool kvm;                 /* claims to run guests of its own architecture with KVM */
};

struct driver_session {
    struct arena *arena;
    virConnectPtr connection;
    struct kvm_events *events;
    struct kvm_options options;
    struct kvm_host host;
    bool local;       /* the host is the broker's: unix sockets reach it */
    const char *peer; /* host of the URL; NULL: local */
    bool watched;     /* a first watch has told everything */
};

struct error *kvm_open(const struct driver_endpoint *endpoint, const struct driver_call *call,
                       struct driver_session **ret_session);
void kvm_close(struct driver_session *session);
struct error *kvm_ping(struct driver_session *session, const struct driver_call *call);
struct error *kvm_about(struct driver_session *session, const struct driver_call *call,
                        struct driver_about *ret_about);

/* Reads options into *ret_options, defaults where absent; ERR_INVALID with every member that is wrong. */
struct error *kvm_options_read(struct arena *arena, const json_t *json,
                               struct kvm_options *ret_options) ERROR_MUST_USE;

/* A point between two steps: tells progress; ERR_TIMEOUT after the deadline, ERR_CANCELLED when the caller
 * asks to stop. Whatever was done before is finished by a repeat. */
struct error *kvm_step(const struct driver_call *call, int percent, const char *step) ERROR_MUST_USE;

#endif
