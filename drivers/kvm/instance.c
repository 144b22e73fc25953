/* Finding and describing instances, and running them: start, stop, reboot, resize. Making and deleting them
 * is in create.c. */
#include "drivers/kvm/instance.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/moment.h"
#include "drivers/kvm/events.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/form.h"
#include "drivers/kvm/host.h"
#include "drivers/kvm/storage.h"

#define LOOK_AGAIN_US MOMENT_SECOND          /* a state is asked for again even when no event came */
#define PRESS_AGAIN_US (5 * MOMENT_SECOND)   /* a guest that was still starting misses its power button */
#define REBOOT_GRACE_US (20 * MOMENT_SECOND) /* for a guest to shut down before it is reset */
#define STARTING_US (5 * MOMENT_SECOND)      /* for libvirt to have a process for what it is starting */
#define STARTING_LOOK_US (MOMENT_SECOND / 5)

struct power {
    enum driver_power power;
    const char *detail;
};

static const struct power powers[] = {
    [VIR_DOMAIN_NOSTATE] = {DRIVER_POWER_UNKNOWN, "no state"},
    [VIR_DOMAIN_RUNNING] = {DRIVER_POWER_ON, "running"},
    [VIR_DOMAIN_BLOCKED] = {DRIVER_POWER_ON, "blocked"},
    [VIR_DOMAIN_PAUSED] = {DRIVER_POWER_SUSPENDED, "paused"},
    [VIR_DOMAIN_SHUTDOWN] = {DRIVER_POWER_ON, "shutting down"},
    [VIR_DOMAIN_SHUTOFF] = {DRIVER_POWER_OFF, "shut off"},
    [VIR_DOMAIN_CRASHED] = {DRIVER_POWER_ERROR, "crashed"},
    [VIR_DOMAIN_PMSUSPENDED] = {DRIVER_POWER_SUSPENDED, "suspended"},
};

struct error *kvm_instance_power(struct driver_session *session, virDomainPtr domain,
                                 const struct kvm_domain *definition, enum driver_power *ret_power,
                                 const char **ret_detail)
{
    if (definition->mark.form) {
        *ret_power = DRIVER_POWER_OFF;
        if (ret_detail)
            *ret_detail = strcmp(definition->mark.form, KVM_FORM_WRITE) == 0 ? "shut off, disks are written"
                                                                             : "shut off, disks are read";
        return NULL;
    }
    int state, reason;
    if (virDomainGetState(domain, &state, &reason, 0) < 0)
        return kvm_fault(session->connection, "could not ask for an instance's state");
    const struct power *power = state >= 0 && (size_t)state < sizeof powers / sizeof *powers
                                    ? &powers[state]
                                    : &powers[VIR_DOMAIN_NOSTATE];
    *ret_power = power->power;
    if (ret_detail)
        *ret_detail = power->detail;
    return NULL;
}

struct error *kvm_instance_check_served(const struct kvm_domain *definition)
{
    if (definition->mark.form)
        return error_new(ERR_CONFLICT, "the disks of instance %s are open for export %s", definition->uuid,
                         definition->mark.export_id ? definition->mark.export_id : "(unknown)");
    return NULL;
}

struct error *kvm_instance_list(struct driver_session *session, struct arena *arena,
                                virDomainPtr **ret_domains, size_t *ret_count)
{
    virDomainPtr *list;
    int count = virConnectListAllDomains(session->connection, &list, 0);
    if (count < 0)
        return kvm_fault(session->connection, "could not list the instances");
    virDomainPtr *domains = arena_array(arena, (size_t)count + 1, sizeof *domains);
    for (int i = 0; i < count; i++)
        domains[i] = kvm_hold_domain(arena, list[i]);
    free(list);
    *ret_domains = domains;
    *ret_count = (size_t)count;
    return NULL;
}

/* The first IPv4 or IPv6 address that a DHCP lease or, on networks without leases, the host's ARP table
 * names. */
static const char *first_address(struct arena *arena, virDomainPtr domain)
{
    static const unsigned sources[] = {VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE,
                                       VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP};
    const char *address = NULL;
    for (size_t s = 0; s < sizeof sources / sizeof *sources && !address; s++) {
        virDomainInterfacePtr *interfaces;
        int count = virDomainInterfaceAddresses(domain, &interfaces, sources[s], 0);
        for (int i = 0; i < count; i++) {
            if (!address && interfaces[i]->naddrs > 0)
                address = arena_strdup(arena, interfaces[i]->addrs[0].addr);
            virDomainInterfaceFree(interfaces[i]);
        }
        if (count >= 0)
            free(interfaces);
    }
    return address;
}

struct error *kvm_instance_describe(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                    const struct kvm_domain *definition, struct driver_instance *ret_instance)
{
    struct driver_instance instance = {
        .id = definition->ours ? definition->uuid : NULL,
        .ref = definition->uuid,
        .name = definition->name,
        .vcpu = definition->vcpu,
        .memory_mb = definition->memory_mb,
        .architecture = kvm_host_word(&session->host, definition->arch),
    };
    TRY(kvm_instance_power(session, domain, definition, &instance.power, &instance.detail));
    char *host = virConnectGetHostname(session->connection);
    instance.host = arena_strdup(arena, host);
    free(host);
    if (instance.power == DRIVER_POWER_ON)
        instance.address = first_address(arena, domain);
    *ret_instance = instance;
    return NULL;
}

static struct error *look_up(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key, virDomainPtr *ret_domain,
                             struct kvm_domain *ret_definition)
{
    const char *id = key->id ? key->id : key->ref;
    if (!id)
        return error_new(ERR_INVALID, "an instance is named by its id");
    virDomainPtr domain = kvm_hold_domain(call->arena, virDomainLookupByUUIDString(session->connection, id));
    if (!domain)
        return kvm_fault(session->connection, "could not find instance %s", id);
    TRY(kvm_domain_read(session, call->arena, domain, false, ret_definition));
    if (!ret_definition->ours && key->id)
        return error_new(ERR_NOT_FOUND, "instance %s is not the broker's", id);
    *ret_domain = domain;
    return NULL;
}

/* What is being started is locked, and most calls would wait 30 s for it. One that libvirt was starting when
 * it was killed stays so for ever: before there is a process a daemon that comes back takes the record for
 * that of a domain that is off, keeps it active, and not even virsh destroy gets the lock. */
static struct error *check_started(struct driver_session *session, const struct driver_call *call,
                                   virDomainPtr domain, bool *ret_waited)
{
    *ret_waited = false;
    for (int64_t until = moment_monotonic() + STARTING_US;;) {
        int state, reason;
        if (virDomainGetState(domain, &state, &reason, 0) < 0)
            return kvm_fault(session->connection, "could not ask for an instance's state");
        if (state != VIR_DOMAIN_PAUSED || reason != VIR_DOMAIN_PAUSED_STARTING_UP)
            return NULL;
        if (moment_monotonic() >= until)
            return error_new(
                ERR_BUSY,
                "libvirt is starting domain %s; if it was killed while it did, stop libvirtd on the"
                " host, remove /run/libvirt/qemu/%s.xml and start libvirtd",
                virDomainGetName(domain), virDomainGetName(domain));
        *ret_waited = true;
        TRY(kvm_step(call, 0, "wait for libvirt to start it"));
        kvm_events_wait(session->events, kvm_events_seen(session->events),
                        moment_monotonic() + STARTING_LOOK_US);
    }
}

struct error *kvm_instance_get(struct driver_session *session, const struct driver_call *call,
                               const struct driver_key *key, virDomainPtr *ret_domain,
                               struct kvm_domain *ret_definition)
{
    bool waited;
    TRY(look_up(session, call, key, ret_domain, ret_definition));
    TRY(check_started(session, call, *ret_domain, &waited));
    return waited ? look_up(session, call, key, ret_domain, ret_definition) : NULL;
}

struct error *kvm_instance_find(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *key, struct driver_instance *ret_instance)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain definition;
    TRY(look_up(session, call, key, &domain, &definition));
    return kvm_instance_describe(session, call->arena, domain, &definition, ret_instance);
}

struct error *kvm_instance_check_memory(struct driver_session *session, struct arena *arena, uint64_t more_mb)
{
    struct driver_host host;
    TRY(kvm_host_describe(session, arena, &host));
    virDomainPtr *domains;
    size_t count;
    TRY(kvm_instance_list(session, arena, &domains, &count));
    uint64_t given_mb = (uint64_t)session->options.memory_reserve_mb;
    for (size_t i = 0; i < count; i++) {
        virDomainInfo info;
        if (virDomainGetInfo(domains[i], &info) == 0)
            given_mb += info.maxMem / 1024;
        else if (!kvm_fault_is(VIR_ERR_NO_DOMAIN)) /* gone since it was listed */
            return kvm_fault(session->connection, "could not ask for an instance's memory");
    }
    if (given_mb > host.memory_mb || more_mb > host.memory_mb - given_mb)
        return error_new(ERR_NO_CAPACITY,
                         "the host's memory of %llu MB is given away but for %llu MB, not %llu",
                         (unsigned long long)host.memory_mb,
                         (unsigned long long)(given_mb > host.memory_mb ? 0 : host.memory_mb - given_mb),
                         (unsigned long long)more_mb);
    return NULL;
}

struct error *kvm_instance_start(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain definition;
    TRY(kvm_instance_get(session, call, key, &domain, &definition));
    enum driver_power power;
    TRY(kvm_instance_power(session, domain, &definition, &power, NULL));
    if (power == DRIVER_POWER_ON)
        return NULL;
    TRY(kvm_instance_check_served(&definition));
    struct kvm_domain lasting;
    TRY(kvm_domain_read(session, call->arena, domain, true, &lasting));
    if (lasting.fenced)
        return error_new(ERR_CONFLICT, "instance %s is fenced: it has to be released first", lasting.uuid);
    TRY(kvm_step(call, 10, "start the instance"));
    if (power == DRIVER_POWER_SUSPENDED) {
        if (virDomainResume(domain) < 0)
            return kvm_fault(session->connection, "could not resume instance %s", definition.uuid);
        return NULL;
    }
    if (virDomainCreate(domain) < 0) {
        struct error *error = kvm_fault(session->connection, "could not start instance %s", definition.uuid);
        if (virDomainIsActive(domain) !=
            1) /* asked after the reason was taken: libvirt forgets it with the next call */
            return error;
        error_ignore(error); /* it is as wanted, by whomever */
    }
    return NULL;
}

/* Waits until the domain is off, or `until_us`; presses the power button again now and then. */
static struct error *wait_off(struct driver_session *session, const struct driver_call *call,
                              virDomainPtr domain, const struct kvm_domain *definition, int64_t until_us,
                              bool *ret_off)
{
    int64_t began = moment_monotonic(), pressed = began;
    for (;;) {
        uint64_t seen = kvm_events_seen(session->events);
        enum driver_power power;
        TRY(kvm_instance_power(session, domain, definition, &power, NULL));
        int64_t now = moment_monotonic();
        *ret_off = power == DRIVER_POWER_OFF;
        if (*ret_off || now >= until_us)
            return NULL;
        TRY(kvm_step(call, 10 + (int)(80 * (now - began) / (until_us - began)),
                     "wait for the guest to shut down"));
        if (now - pressed >= PRESS_AGAIN_US) {
            (void)virDomainShutdown(domain); /* it may have gone off just now; the state says */
            pressed = now;
        }
        int64_t next = now + LOOK_AGAIN_US < until_us ? now + LOOK_AGAIN_US : until_us;
        kvm_events_wait(session->events, seen, next < call->deadline_us ? next : call->deadline_us);
    }
}

struct error *kvm_instance_stop(struct driver_session *session, const struct driver_call *call,
                                const struct driver_key *key, int64_t grace_us)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain definition;
    TRY(kvm_instance_get(session, call, key, &domain, &definition));
    enum driver_power power;
    TRY(kvm_instance_power(session, domain, &definition, &power, NULL));
    if (power == DRIVER_POWER_OFF)
        return NULL;
    bool off = false;
    if (grace_us > 0 && power == DRIVER_POWER_ON) {
        TRY(kvm_step(call, 10, "ask the guest to shut down"));
        /* A refusal (no such button, off meanwhile) leaves the rest to the state and the power cut. */
        if (virDomainShutdown(domain) == 0)
            TRY(wait_off(session, call, domain, &definition, moment_monotonic() + grace_us, &off));
    }
    if (off)
        return NULL;
    TRY(kvm_step(call, 90, "cut the power"));
    if (virDomainDestroy(domain) < 0) {
        struct error *error =
            kvm_fault(session->connection, "could not cut the power of instance %s", definition.uuid);
        if (virDomainIsActive(domain) !=
            0) /* asked after the reason was taken: libvirt forgets it with the next call */
            return error;
        error_ignore(error); /* it is as wanted, by whomever */
    }
    return NULL;
}

struct error *kvm_instance_reboot(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain definition;
    TRY(kvm_instance_get(session, call, key, &domain, &definition));
    enum driver_power power;
    TRY(kvm_instance_power(session, domain, &definition, &power, NULL));
    if (power != DRIVER_POWER_ON)
        return error_new(ERR_CONFLICT, "instance %s does not run", definition.uuid);
    TRY(kvm_step(call, 10, "ask the guest to restart"));
    uint64_t resets = kvm_events_resets(session->events, definition.uuid);
    if (virDomainReboot(domain, 0) == 0) {
        int64_t until = moment_monotonic() + REBOOT_GRACE_US;
        if (until > call->deadline_us)
            until = call->deadline_us;
        while (moment_monotonic() < until) {
            uint64_t seen = kvm_events_seen(session->events);
            if (kvm_events_resets(session->events, definition.uuid) != resets)
                return NULL;
            TRY(kvm_step(call, 50, "wait for the guest to restart"));
            kvm_events_wait(session->events, seen, until);
            if (virConnectIsAlive(session->connection) != 1)
                return error_new(ERR_UNAVAILABLE, "the connection was lost");
        }
    }
    TRY(kvm_step(call, 90, "reset the instance"));
    if (virDomainReset(domain, 0) < 0)
        return kvm_fault(session->connection, "could not reset instance %s", definition.uuid);
    return NULL;
}

static struct error *resize_running(struct driver_session *session, const struct driver_call *call,
                                    virDomainPtr domain, const struct kvm_domain *definition, unsigned vcpu,
                                    uint64_t memory_mb)
{
    if (definition->memory_mb != memory_mb)
        return error_new(ERR_CONFLICT, "the memory of a running instance cannot be changed: stop it first");
    if (definition->vcpu == vcpu)
        return NULL;
    TRY(kvm_step(call, 30, "plug processors"));
    if (virDomainSetVcpusFlags(domain, vcpu, VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG) == 0)
        return NULL;
    struct error *error = kvm_fault(
        session->connection, "could not change the processors of running instance %s", definition->uuid);
    if (kvm_fault_heals(error))
        return error;
    return error_recode(error, ERR_CONFLICT, "stop the instance first");
}

static struct error *resize_stopped(struct driver_session *session, const struct driver_call *call,
                                    virDomainPtr domain, const struct kvm_domain *definition, unsigned vcpu,
                                    uint64_t memory_mb)
{
    if (memory_mb > definition->memory_mb)
        TRY(kvm_instance_check_memory(session, call->arena, memory_mb - definition->memory_mb));
    TRY(kvm_step(call, 30, "set processors and memory"));
    unsigned long kib = (unsigned long)memory_mb * 1024;
    if (virDomainSetVcpusFlags(domain, vcpu, VIR_DOMAIN_AFFECT_CONFIG) < 0)
        return kvm_fault(session->connection, "could not set the processors of instance %s",
                         definition->uuid);
    if (virDomainSetMemoryFlags(domain, kib, VIR_DOMAIN_AFFECT_CONFIG | VIR_DOMAIN_MEM_MAXIMUM) < 0 ||
        virDomainSetMemoryFlags(domain, kib, VIR_DOMAIN_AFFECT_CONFIG) < 0)
        return kvm_fault(session->connection, "could not set the memory of instance %s", definition->uuid);
    return NULL;
}

struct error *kvm_instance_resize(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, unsigned vcpu, uint64_t memory_mb)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    if (vcpu < 1 || vcpu > KVM_VCPU_MAX)
        return error_new(ERR_INVALID, "an instance has 1 to %d processors", KVM_VCPU_MAX);
    virDomainPtr domain;
    struct kvm_domain definition;
    TRY(kvm_instance_get(session, call, key, &domain, &definition));
    TRY(kvm_instance_check_served(&definition));
    int active = virDomainIsActive(domain);
    if (active < 0)
        return kvm_fault(session->connection, "could not ask whether instance %s runs", definition.uuid);
    return active ? resize_running(session, call, domain, &definition, vcpu, memory_mb)
                  : resize_stopped(session, call, domain, &definition, vcpu, memory_mb);
}
