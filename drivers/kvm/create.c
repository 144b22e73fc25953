/* Making and deleting instances, so that either may be cut off anywhere and repeated.
 *
 * Making: system disk, seed and console log first, then the definition (marked "creating"), then the start,
 * then the mark "ready". So without a definition whatever files there are may be half made and are made anew;
 * with one they are whole, and what is missing is the start. An instance that is marked ready is left as it
 * is. Deleting: power off, definition, files; files without a definition are deleted by a repeat. */
#include <string.h>

#include "drivers/kvm/fault.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/isolate.h"
#include "drivers/kvm/parts.h"
#include "drivers/kvm/shell.h"
#include "drivers/kvm/storage.h"

static struct error *undefine(struct driver_session *session, const struct driver_call *call,
                              virDomainPtr domain)
{
    struct kvm_domain lasting;
    if (virDomainDestroy(domain) < 0) {
        struct error *error = kvm_fault(session->connection, "could not cut the power of an instance");
        if (virDomainIsActive(domain) ==
            1) /* asked after the reason was taken: libvirt forgets it with the next call */
            return error;
        error_ignore(error); /* it is as wanted, by whomever */
    }
    TRY(kvm_domain_read(session, call->arena, domain, true, &lasting));
    if (kvm_domain_is(&lasting, KVM_STATE_SHELL)) { /* before the only record of them goes */
        TRY(kvm_step(call, 30, "delete the volumes of an instance that was never released"));
        TRY(kvm_shell_delete_volumes(session, call, &lasting));
    }
    TRY(kvm_step(call, 40, "remove the definition"));
    const unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                           VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM;
    if (virDomainUndefineFlags(domain, flags) < 0 && !kvm_fault_is(VIR_ERR_NO_DOMAIN))
        return kvm_fault(session->connection, "could not remove the definition of an instance");
    return NULL;
}

struct error *kvm_instance_delete(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    if (!key->id)
        return error_new(ERR_INVALID, "only an instance of the broker's, named by its id, can be deleted");
    virDomainPtr domain;
    struct kvm_domain definition;
    struct error *error = kvm_instance_get(session, call, key, &domain, &definition);
    if (!error) {
        TRY(kvm_step(call, 10, "cut the power"));
        TRY_DOING(undefine(session, call, domain), "could not delete instance %s", key->id);
    } else if (error_code(error) == ERR_NOT_FOUND) {
        error_ignore(error); /* gone already; its files may not be */
    } else {
        return error;
    }
    TRY(kvm_step(call, 60, "delete the files"));
    TRY(kvm_parts_delete(session, call, key->id));
    return kvm_isolate_remove(session, call->arena, key->id); /* of a test boot */
}

static struct error *check_spec(struct driver_session *session, const struct driver_call *call,
                                const struct driver_instance_spec *spec)
{
    if (!session->host.architecture || strcmp(spec->architecture, session->host.architecture) != 0)
        return error_new(ERR_UNSUPPORTED, "this host runs %s, not %s",
                         session->host.architecture ? session->host.architecture : session->host.arch,
                         spec->architecture);
    if (spec->vcpu < 1 || spec->vcpu > KVM_VCPU_MAX)
        return error_new(ERR_INVALID, "an instance has 1 to %d processors", KVM_VCPU_MAX);
    virNetworkPtr network = virNetworkLookupByName(session->connection, spec->network);
    if (!network)
        return kvm_fault(session->connection, "could not find network \"%s\"", spec->network);
    int active = virNetworkIsActive(network);
    (void)virNetworkFree(network);
    if (active != 1)
        return error_new(ERR_UNAVAILABLE, "network \"%s\" is not active", spec->network);
    return kvm_instance_check_memory(session, call->arena, spec->memory_mb);
}

struct image {
    virStorageVolPtr volume;
    struct kvm_facts facts;
};

static struct error *find_image(struct driver_session *session, const struct driver_call *call,
                                const struct driver_instance_spec *spec, struct image *ret_image)
{
    const char *pool_name = session->options.image_pool;
    virStoragePoolPtr pool;
    TRY(kvm_storage_pool(session, call->arena, pool_name, &pool));
    struct image image;
    TRY(kvm_storage_lookup(session, call->arena, pool, spec->image, true, &image.volume));
    if (!image.volume)
        return error_new(ERR_NOT_FOUND, "there is no image \"%s\" in storage pool \"%s\"", spec->image,
                         pool_name);
    TRY(kvm_storage_facts(session, call->arena, image.volume, &image.facts));
    if (strcmp(image.facts.format, "qcow2") != 0 && strcmp(image.facts.format, "raw") != 0)
        return error_new(ERR_UNSUPPORTED, "image \"%s\" is %s; only qcow2 and raw can be used", spec->image,
                         image.facts.format);
    if (image.facts.bytes > spec->system_disk_gb * KVM_GIB)
        return error_new(ERR_INVALID, "a system disk of %u GB is smaller than image \"%s\" of %u GB",
                         spec->system_disk_gb, spec->image, kvm_storage_gb(image.facts.bytes));
    *ret_image = image;
    return NULL;
}

static struct error *make_system_disk(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_instance_spec *spec, virStoragePoolPtr pool,
                                      const struct image *image, const char **ret_path)
{
    bool clone = strcmp(session->options.clone, "backing") == 0;
    const struct kvm_new_file file = {.pool = pool,
                                      .name = kvm_storage_name(call->arena, spec->id, KVM_FILE_SYSTEM),
                                      .format = "qcow2",
                                      .bytes = spec->system_disk_gb * KVM_GIB,
                                      .backing = clone ? image->facts.path : NULL,
                                      .backing_format = image->facts.format};
    virStorageVolPtr volume;
    if (clone)
        TRY(kvm_storage_create(session, call->arena, &file, &volume));
    else
        TRY(kvm_storage_copy(session, call->arena, &file, image->volume, &volume));
    struct kvm_facts facts;
    TRY(kvm_storage_facts(session, call->arena, volume, &facts));
    *ret_path = facts.path;
    return NULL;
}

/* Everything up to the definition. */
static struct error *define(struct driver_session *session, const struct driver_call *call,
                            const struct driver_instance_spec *spec, virDomainPtr *ret_domain)
{
    TRY(check_spec(session, call, spec));
    struct image image;
    TRY(find_image(session, call, spec, &image));
    const char *pool_name = kvm_storage_pool_name(session, spec->high_performance);
    virStoragePoolPtr pool;
    TRY(kvm_storage_pool(session, call->arena, pool_name, &pool));
    TRY(kvm_step(call, 10, "clear what an earlier attempt left"));
    TRY(kvm_parts_delete(session, call, spec->id));
    TRY(kvm_storage_check_room(session, call->arena, pool, pool_name, spec->system_disk_gb * KVM_GIB));
    struct kvm_new_disk system = {.target = "sda", .serial = spec->id, .boot = true};
    struct kvm_new_domain domain_wanted = {.id = spec->id,
                                           .name = kvm_domain_name(call->arena, spec->name, spec->id),
                                           .mark = {.name = spec->name, .state = KVM_STATE_CREATING},
                                           .vcpu = spec->vcpu,
                                           .memory_mb = spec->memory_mb,
                                           .network = spec->network,
                                           .disks = &system,
                                           .disk_count = 1};
    TRY(kvm_step(call, 20, "make the system disk"));
    TRY(make_system_disk(session, call, spec, pool, &image, &system.path));
    TRY(kvm_step(call, 50, "make the seed"));
    TRY(kvm_parts_seed(session, call, pool, spec->id, spec->name, spec->user_data, &domain_wanted.seed));
    TRY(kvm_step(call, 60, "make the console log"));
    TRY(kvm_parts_console(session, call, pool, spec->id, &domain_wanted.console));
    TRY(kvm_step(call, 70, "define the instance"));
    const char *text;
    TRY(kvm_domain_write(session, call->arena, &domain_wanted, &text));
    virDomainPtr domain = virDomainDefineXMLFlags(session->connection, text, VIR_DOMAIN_DEFINE_VALIDATE);
    if (!domain)
        return kvm_fault(session->connection, "could not define the instance");
    *ret_domain = kvm_hold_domain(call->arena, domain);
    return NULL;
}

/* From the definition on. */
static struct error *bring_up(struct driver_session *session, const struct driver_call *call,
                              const struct kvm_domain *definition, virDomainPtr domain)
{
    TRY(kvm_step(call, 80, "start the instance"));
    if (virDomainSetAutostart(domain, 1) < 0)
        return kvm_fault(session->connection, "could not have the instance started with its host");
    if (virDomainIsActive(domain) != 1 && virDomainCreate(domain) < 0) {
        /* Taken now: the next question to libvirt forgets why. */
        struct error *error = kvm_fault(session->connection, "could not start the instance");
        if (virDomainIsActive(domain) != 1)
            return error;
        error_ignore(error); /* somebody else started it meanwhile */
    }
    TRY(kvm_step(call, 90, "mark the instance as ready"));
    const struct kvm_mark mark = {.name = definition->mark.name, .state = KVM_STATE_READY};
    return kvm_domain_set_mark(session, call->arena, domain, &mark,
                               VIR_DOMAIN_AFFECT_LIVE | VIR_DOMAIN_AFFECT_CONFIG);
}

/* *ret_half_made: whether the instance was not complete yet, so that it may be taken away again. */
static struct error *finish(struct driver_session *session, const struct driver_call *call,
                            virDomainPtr domain, bool *ret_half_made, struct driver_instance *ret_instance)
{
    *ret_half_made = false;
    struct kvm_domain definition;
    TRY(kvm_domain_read(session, call->arena, domain, false, &definition));
    if (!definition.ours)
        return error_new(ERR_EXISTS, "an instance that is not the broker's has this id");
    if (kvm_domain_is(&definition, KVM_STATE_SHELL) || kvm_domain_is(&definition, KVM_STATE_MOVING) ||
        kvm_domain_is(&definition, KVM_STATE_TEST))
        return error_new(ERR_CONFLICT, "the instance is being moved here");
    if (kvm_domain_is(&definition, KVM_STATE_CREATING)) {
        *ret_half_made = true;
        TRY(bring_up(session, call, &definition, domain));
        TRY(kvm_domain_read(session, call->arena, domain, false, &definition));
    }
    return kvm_instance_describe(session, call->arena, domain, &definition, ret_instance);
}

/* After a failure that a repeat would only meet again; a failure of this is told with it and left to delete.
 */
static struct error *clear(struct driver_session *session, const struct driver_call *call,
                           const struct driver_instance_spec *spec, struct error *error)
{
    struct driver_call quiet = *call;
    quiet.progress = NULL;
    struct error *second = kvm_instance_delete(session, &quiet, &(const struct driver_key){.id = spec->id});
    if (!second)
        return error;
    error = error_wrap(error, "something was left behind (%s)", error_message(second));
    error_free(second);
    return error;
}

struct error *kvm_instance_create(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_instance_spec *spec,
                                  struct driver_instance *ret_instance)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain =
        kvm_hold_domain(call->arena, virDomainLookupByUUIDString(session->connection, spec->id));
    if (!domain && !kvm_fault_is(VIR_ERR_NO_DOMAIN))
        return kvm_fault(session->connection, "could not look up instance %s", spec->id);
    bool half_made = true;
    struct error *error = domain ? NULL : define(session, call, spec, &domain);
    if (!error)
        error = finish(session, call, domain, &half_made, ret_instance);
    if (error && half_made && !kvm_fault_heals(error))
        error = clear(session, call, spec, error);
    return error_wrap(error, "could not create instance %s", spec->name);
}
