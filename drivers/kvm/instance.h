/* Instances: find, make, run, change, delete; and what inventory and volumes need of them. */
#ifndef DRIVERS_KVM_INSTANCE_H
#define DRIVERS_KVM_INSTANCE_H

#include "drivers/kvm/domain.h"

/* The operations of drivers/driver.h. */
struct error *kvm_instance_find(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *key, struct driver_instance *ret_instance);
struct error *kvm_instance_create(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_instance_spec *spec,
                                  struct driver_instance *ret_instance);
struct error *kvm_instance_start(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key);
struct error *kvm_instance_stop(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *key, int64_t grace_us);
struct error *kvm_instance_reboot(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key);
struct error *kvm_instance_resize(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, unsigned vcpu, uint64_t memory_mb);
struct error *kvm_instance_delete(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key);
struct error *kvm_instance_console(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, size_t limit, const char **ret_text,
                                   size_t *ret_length);

/* The broker's domain of that key and its definition; ERR_NOT_FOUND when there is none or it bears no mark.
 * What is being started is waited for, 5 s at most; then it is ERR_BUSY, with what the host's people can do.
 */
struct error *kvm_instance_get(struct driver_session *session, const struct driver_call *call,
                               const struct driver_key *key, virDomainPtr *ret_domain,
                               struct kvm_domain *ret_definition) ERROR_MUST_USE;
/* What the broker sees of a domain, the broker's own or not. */
struct error *kvm_instance_describe(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                    const struct kvm_domain *definition,
                                    struct driver_instance *ret_instance) ERROR_MUST_USE;
/* A domain that only serves its disks is off: its guest does not run. */
struct error *kvm_instance_power(struct driver_session *session, virDomainPtr domain,
                                 const struct kvm_domain *definition, enum driver_power *ret_power,
                                 const char **ret_detail) ERROR_MUST_USE;
/* ERR_CONFLICT while the domain only serves its disks. */
struct error *kvm_instance_check_served(const struct kvm_domain *definition) ERROR_MUST_USE;
/* Every domain of the host; handles live in the arena. */
struct error *kvm_instance_list(struct driver_session *session, struct arena *arena,
                                virDomainPtr **ret_domains, size_t *ret_count) ERROR_MUST_USE;
/* ERR_NO_CAPACITY unless guests may be given so much more memory: the sum over all, running or not, stays
 * within the host's less the reserve (procurement 3.2.1.1: never over-committed). */
struct error *kvm_instance_check_memory(struct driver_session *session, struct arena *arena,
                                        uint64_t more_mb) ERROR_MUST_USE;

#endif
