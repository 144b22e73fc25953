/* Making shells, see shell.h: files, then the definition, fenced from its first moment. Without a definition
 * what files there are may be half made and are made anew; with one everything is there. */
#include "drivers/kvm/shell.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/kvm/disk.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/parts.h"
#include "drivers/kvm/storage.h"
#include "drivers/kvm/volume.h"
#include "drivers/kvm/xml.h"

/* Whether the host has a UEFI firmware for its own guests. */
static struct error *has_uefi(struct driver_session *session, struct arena *arena, bool *ret_has)
{
    char *text = virConnectGetDomainCapabilities(session->connection, NULL, session->host.arch, NULL,
                                                 kvm_domain_accelerated(session) ? "kvm" : "qemu", 0);
    if (!text)
        return kvm_fault(session->connection, "could not ask what guests the host can run");
    XML_AUTO struct kvm_xml *xml = NULL;
    struct error *error = kvm_xml_parse(text, "domainCapabilities", &xml);
    free(text);
    TRY(error);
    size_t count;
    (void)kvm_xml_nodes(xml, arena, NULL, "/domainCapabilities/os/enum[@name='firmware'][value='efi']",
                        &count);
    *ret_has = count > 0;
    return NULL;
}

static struct error *check_firmware(struct driver_session *session, struct arena *arena,
                                    enum driver_firmware firmware)
{
    bool x86 = strcmp(session->host.arch, "x86_64") == 0, arm = strcmp(session->host.arch, "aarch64") == 0;
    bool has = false;
    if (firmware == DRIVER_FIRMWARE_UNKNOWN)
        return NULL;
    if (firmware == DRIVER_FIRMWARE_UEFI_SECURE)
        return error_new(ERR_UNSUPPORTED, "secure boot's keys and variables cannot be taken along");
    if (firmware == DRIVER_FIRMWARE_OPEN   ? x86 || arm
        : firmware == DRIVER_FIRMWARE_BIOS ? !x86
                                           : !x86 && !arm)
        return error_new(ERR_UNSUPPORTED, "guests of this host have no such firmware");
    if (firmware == DRIVER_FIRMWARE_UEFI)
        TRY(has_uefi(session, arena, &has));
    return firmware != DRIVER_FIRMWARE_UEFI || has
               ? NULL
               : error_new(ERR_UNSUPPORTED, "the host has no UEFI firmware for guests (OVMF)");
}

static struct error *check_network(struct driver_session *session, const char *name)
{
    virNetworkPtr network = virNetworkLookupByName(session->connection, name);
    if (!network)
        return kvm_fault(session->connection, "could not find network \"%s\"", name);
    int active = virNetworkIsActive(network);
    (void)virNetworkFree(network);
    return active == 1 ? NULL : error_new(ERR_UNAVAILABLE, "network \"%s\" is not active", name);
}

struct error *kvm_shell_check_room(struct driver_session *session, struct arena *arena,
                                   const struct driver_shell_disk *disks, size_t count)
{
    for (int high = 0; high <= 1; high++) {
        uint64_t bytes = 0;
        for (size_t i = 0; i < count; i++)
            if (disks[i].high_performance == (high == 1))
                bytes += disks[i].size_bytes;
        if (!bytes)
            continue;
        const char *name = kvm_storage_pool_name(session, high);
        virStoragePoolPtr pool;
        TRY(kvm_storage_pool(session, arena, name, &pool));
        TRY(kvm_storage_check_room(session, arena, pool, name, bytes));
    }
    return NULL;
}

static struct error *check_spec(struct driver_session *session, const struct driver_call *call,
                                const struct driver_shell_spec *spec)
{
    if (!session->host.architecture || strcmp(spec->architecture, session->host.architecture) != 0)
        return error_new(ERR_UNSUPPORTED, "this host runs %s, not %s",
                         session->host.architecture ? session->host.architecture : session->host.arch,
                         spec->architecture);
    if (spec->vcpu < 1 || spec->vcpu > KVM_VCPU_MAX)
        return error_new(ERR_INVALID, "an instance has 1 to %d processors", KVM_VCPU_MAX);
    size_t own = 0;
    for (size_t i = 0; i < spec->disk_count; i++)
        own += !spec->disks[i].volume_id;
    if (own > 1)
        return error_new(ERR_UNSUPPORTED,
                         "an instance has one disk of its own: the other %zu have to be volumes", own - 1);
    if (spec->disk_count > KVM_DATA_DISKS_MAX + 1)
        return error_new(ERR_UNSUPPORTED, "an instance has at most %d disks", KVM_DATA_DISKS_MAX + 1);
    TRY(check_firmware(session, call->arena, spec->firmware));
    if (spec->network)
        TRY(check_network(session, spec->network));
    return kvm_instance_check_memory(session, call->arena, spec->memory_mb);
}

/* Bytes on disk of a qcow2 file that nobody wrote to: header, refcounts and the first table of its clusters.
 * The first byte written takes two more clusters of 64 KiB. */
static uint64_t most_of_empty(uint64_t capacity)
{
    return 256 * 1024 + capacity / (512 * 1024 * 1024) * 8;
}

/* Volumes of these ids that are here already are somebody's data, unless a shell's making was cut off: those
 * are in no definition. */
static struct error *clear_volumes(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_shell_disk *disks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!disks[i].volume_id)
            continue;
        struct kvm_place place;
        TRY(kvm_storage_find(session, call->arena, disks[i].volume_id, KVM_FILE_VOLUME, &place));
        if (!place.volume)
            continue;
        virStorageVolInfo info;
        if (virStorageVolGetInfo(place.volume, &info) < 0)
            return kvm_fault(session->connection, "could not ask for a volume's size");
        if (info.allocation > most_of_empty(info.capacity))
            return error_new(ERR_EXISTS, "there is a volume %s with data in it already", disks[i].volume_id);
        TRY(kvm_volume_delete(session, call, &(const struct driver_key){.id = disks[i].volume_id}));
    }
    return NULL;
}

static struct error *make_disks(struct driver_session *session, const struct driver_call *call,
                                const struct driver_shell_spec *spec, const struct kvm_new_disk **ret_disks)
{
    struct kvm_new_disk *disks = arena_array(call->arena, spec->disk_count, sizeof *disks);
    for (size_t i = 0; i < spec->disk_count; i++) {
        const struct driver_shell_disk *given = &spec->disks[i];
        virStoragePoolPtr pool;
        TRY(kvm_storage_pool(session, call->arena, kvm_storage_pool_name(session, given->high_performance),
                             &pool));
        TRY(kvm_step(call, 20 + (int)(50 * i / spec->disk_count), "make the disks"));
        const char *id = given->volume_id ? given->volume_id : spec->id;
        const char *name =
            kvm_storage_name(call->arena, id, given->volume_id ? KVM_FILE_VOLUME : KVM_FILE_SYSTEM);
        TRY(kvm_parts_disk(session, call, pool, name, given->size_bytes, &disks[i].path));
        disks[i].target = arena_printf(call->arena, "sd%c", (int)('a' + i));
        disks[i].serial = id;
        disks[i].boot = given->boot;
    }
    *ret_disks = disks;
    return NULL;
}

static bool high_of_own(const struct driver_shell_spec *spec)
{
    for (size_t i = 0; i < spec->disk_count; i++)
        if (!spec->disks[i].volume_id)
            return spec->disks[i].high_performance;
    return false;
}

static struct error *make(struct driver_session *session, const struct driver_call *call,
                          const struct driver_shell_spec *spec, virDomainPtr *ret_domain)
{
    TRY(check_spec(session, call, spec));
    TRY(kvm_step(call, 10, "clear what an earlier attempt left"));
    TRY(kvm_parts_delete(session, call, spec->id));
    TRY(clear_volumes(session, call, spec->disks, spec->disk_count));
    TRY(kvm_shell_check_room(session, call->arena, spec->disks, spec->disk_count));
    struct kvm_new_domain wanted = {.id = spec->id,
                                    .name = kvm_domain_name(call->arena, spec->name, spec->id),
                                    .mark = {.name = spec->name, .state = KVM_STATE_SHELL},
                                    .fenced = true,
                                    .vcpu = spec->vcpu,
                                    .memory_mb = spec->memory_mb,
                                    .uefi = spec->firmware == DRIVER_FIRMWARE_UEFI,
                                    .network = spec->network,
                                    .mac = spec->mac,
                                    .disk_count = spec->disk_count};
    TRY(make_disks(session, call, spec, &wanted.disks));
    virStoragePoolPtr pool;
    TRY(kvm_storage_pool(session, call->arena, kvm_storage_pool_name(session, high_of_own(spec)), &pool));
    TRY(kvm_step(call, 70, "make the seed and the console log"));
    TRY(kvm_parts_seed(session, call, pool, spec->id, spec->name, NULL, &wanted.seed));
    TRY(kvm_parts_console(session, call, pool, spec->id, &wanted.console));
    TRY(kvm_step(call, 80, "define the instance"));
    const char *text;
    TRY(kvm_domain_write(session, call->arena, &wanted, &text));
    virDomainPtr domain = virDomainDefineXMLFlags(session->connection, text, VIR_DOMAIN_DEFINE_VALIDATE);
    if (!domain)
        return kvm_fault(session->connection, "could not define the instance");
    *ret_domain = kvm_hold_domain(call->arena, domain);
    return NULL;
}

/* After a failure that a repeat would only meet again. */
static struct error *clear(struct driver_session *session, const struct driver_call *call,
                           const struct driver_shell_spec *spec, struct error *error)
{
    struct driver_call quiet = *call;
    quiet.progress = NULL;
    struct error *second = kvm_parts_delete(session, &quiet, spec->id);
    if (!second && error_code(error) != ERR_EXISTS)
        second = clear_volumes(session, &quiet, spec->disks, spec->disk_count);
    if (!second)
        return error;
    error = error_wrap(error, "something was left behind (%s)", error_message(second));
    error_free(second);
    return error;
}

struct error *kvm_instance_prepare(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_shell_spec *spec, struct driver_instance *ret_instance)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain =
        kvm_hold_domain(call->arena, virDomainLookupByUUIDString(session->connection, spec->id));
    if (!domain && !kvm_fault_is(VIR_ERR_NO_DOMAIN))
        return kvm_fault(session->connection, "could not look up instance %s", spec->id);
    if (!domain) {
        struct error *error = make(session, call, spec, &domain);
        if (error && !kvm_fault_heals(error))
            error = clear(session, call, spec, error);
        TRY_DOING(error, "could not prepare instance %s", spec->name);
    }
    struct kvm_domain live, lasting;
    TRY(kvm_domain_read(session, call->arena, domain, false, &live));
    TRY(kvm_domain_read(session, call->arena, domain, true, &lasting));
    if (!lasting.ours || !lasting.fenced)
        return error_new(ERR_EXISTS, "there is an instance %s already, and it is not fenced", spec->id);
    return kvm_instance_describe(session, call->arena, domain, &live, ret_instance);
}

struct error *kvm_shell_delete_volumes(struct driver_session *session, const struct driver_call *call,
                                       const struct kvm_domain *definition)
{
    for (size_t i = 0; i < definition->disk_count; i++) {
        const char *id = kvm_disk_volume(call->arena, &definition->disks[i]);
        if (id)
            TRY(kvm_storage_delete(session, call, id, KVM_FILE_VOLUME));
    }
    return NULL;
}
