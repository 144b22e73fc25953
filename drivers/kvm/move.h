/* Live moves between two hosts (drivers/driver_move.h).
 *
 * One rule holds it together: what arrives on the target stays paused until the source is seen to be off, and
 * only this driver lets it run. So at no moment can both run, whatever connection or process ends when.
 *
 * What is noted where, for whoever has to settle it later. Source: the lasting definition is fenced by the
 * move before anything else, so that it cannot start again once its process has ended. Target: an empty file
 * named after the move is made first and taken away last, as the record that files of the move are there; the
 * definition, which arrives with the guest, is "moving" until the moment before it runs for the first time,
 * then "ready". move_plan.c looks whether a move can be and prepares the target, move_job.c drives libvirt's
 * job, move_settle.c decides where the instance lives, move.c has the operations. */
#ifndef DRIVERS_KVM_MOVE_H
#define DRIVERS_KVM_MOVE_H

#include "drivers/driver_move.h"
#include "drivers/kvm/domain.h"

struct error *kvm_move_validate(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *key, const struct driver_move_spec *spec);
struct error *kvm_move_run(struct driver_session *session, const struct driver_call *call,
                           const struct driver_key *key, const struct driver_move_spec *spec,
                           struct driver_move_report *ret_report);
struct error *kvm_move_settle(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, const struct driver_move_spec *spec, bool abort,
                              enum driver_side *ret_side);

/* --- between the four files --- */

struct kvm_moved_disk {
    const struct kvm_disk *disk; /* of the running definition */
    const char *volume_id;       /* NULL: the system disk or the seed */
    bool seed;
    bool high_performance;
    uint64_t bytes;
    const char *path; /* on the target, once it is made */
};

struct kvm_move {
    struct driver_session *source, *target;
    const struct driver_move_spec *spec;
    const char *id; /* of the instance */
    virDomainPtr domain;
    struct kvm_domain live;
    struct kvm_moved_disk *disks;
    size_t disk_count;
    const char *live_text, *lasting_text; /* the source's definitions, as libvirt wants them for a move */
    const char *console;                  /* path on the target */
    const char *arriving, *staying;       /* the target's definitions */
};

/* Everything that move_run would refuse. Fills all but console, paths and the target's definitions. */
struct error *kvm_move_plan(struct kvm_move *move, const struct driver_call *call,
                            const struct driver_key *key) ERROR_MUST_USE;
/* Makes the files on the target, and its definitions. */
struct error *kvm_move_prepare(struct kvm_move *move, const struct driver_call *call) ERROR_MUST_USE;
/* Takes away what kvm_move_prepare makes, when its record is there; not the definition. */
struct error *kvm_move_clear(struct driver_session *target, const struct driver_call *call, const char *id,
                             const struct driver_move_spec *spec) ERROR_MUST_USE;
/* The record alone, once its files are an instance's. */
struct error *kvm_move_forget(struct driver_session *target, const struct driver_call *call,
                              const struct driver_move_spec *spec) ERROR_MUST_USE;

/* Moves it until it is paused on the target and off on the source. On failure either side may be anyhow. */
struct error *kvm_move_job(struct kvm_move *move, const struct driver_call *call,
                           struct driver_move_report *report) ERROR_MUST_USE;

/* Looks at both sides and brings about one of two ends; see move_settle.c for the rules. */
struct error *kvm_move_resolve(struct driver_session *source, struct driver_session *target,
                               const struct driver_call *call, const char *id,
                               const struct driver_move_spec *spec, bool abort,
                               enum driver_side *ret_side) ERROR_MUST_USE;

#endif
