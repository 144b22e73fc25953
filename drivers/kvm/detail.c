/* Details of an instance, see detail.h: read from its definition, the running one where it runs. */
#include "drivers/kvm/detail.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/kvm/checkpoint.h"
#include "drivers/kvm/disk.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/storage.h"
#include "drivers/kvm/xml.h"

static bool is(const char *text, const char *word)
{
    return text && strcmp(text, word) == 0;
}

static enum driver_firmware firmware_of(struct kvm_xml *xml, struct arena *arena)
{
    const char *arch = kvm_xml_text(xml, arena, NULL, "/domain/os/type/@arch");
    bool pflash = is(kvm_xml_text(xml, arena, NULL, "/domain/os/loader/@type"), "pflash");
    bool efi = is(kvm_xml_text(xml, arena, NULL, "/domain/os/@firmware"), "efi");
    bool secure =
        is(kvm_xml_text(xml, arena, NULL, "/domain/os/loader/@secure"), "yes") ||
        is(kvm_xml_text(xml, arena, NULL, "/domain/os/firmware/feature[@name='secure-boot']/@enabled"),
           "yes");
    if (secure)
        return DRIVER_FIRMWARE_UEFI_SECURE;
    if (efi || pflash)
        return DRIVER_FIRMWARE_UEFI;
    if (is(arch, "x86_64") || is(arch, "i686"))
        return DRIVER_FIRMWARE_BIOS;
    return arch && strncmp(arch, "ppc64", 5) == 0 ? DRIVER_FIRMWARE_OPEN : DRIVER_FIRMWARE_UNKNOWN;
}

/* Whether the file or device is in the high-performance pool, its size if not known yet, and what the pool
 * knows of qcow2's version. */
static struct error *place_of(struct driver_session *session, struct arena *arena, struct driver_disk *disk,
                              const char *path)
{
    virStorageVolPtr volume = kvm_hold_volume(arena, virStorageVolLookupByPath(session->connection, path));
    if (!volume) /* in no pool: then of no class */
        return kvm_fault_is(VIR_ERR_NO_STORAGE_VOL)
                   ? NULL
                   : kvm_fault(session->connection, "could not look for \"%s\" in the pools", path);
    virStoragePoolPtr pool = virStoragePoolLookupByVolume(volume);
    if (!pool)
        return kvm_fault(session->connection, "could not tell the pool of \"%s\"", path);
    disk->high_performance = is(virStoragePoolGetName(pool), session->options.high_pool);
    (void)virStoragePoolFree(pool);
    virStorageVolInfo info;
    if (!disk->size_bytes && virStorageVolGetInfo(volume, &info) == 0)
        disk->size_bytes = info.capacity;
    char *text = virStorageVolGetXMLDesc(volume, 0);
    if (!text)
        return NULL; /* gone meanwhile */
    XML_AUTO struct kvm_xml *xml = NULL;
    struct error *error = kvm_xml_parse(text, "volume", &xml);
    free(text);
    TRY(error);
    const char *version = kvm_xml_text(xml, arena, NULL, "/volume/target/compat");
    if (!disk->untracked && version && strcmp(version, "1.1") != 0)
        disk->untracked = "qcow2 of version 2 has no place for what changed";
    return NULL;
}

static struct error *describe_disk(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                   const struct kvm_disk *found, struct driver_disk *disk)
{
    disk->name = found->target;
    disk->volume_id = kvm_disk_volume(arena, found);
    disk->ref = found->path ? found->path : found->volume;
    disk->format = found->format;
    disk->removable = kvm_disk_removable(arena, found);
    disk->unreadable = disk->removable ? NULL : kvm_disk_unreadable(found);
    disk->untracked = kvm_disk_untracked(found);
    if (disk->unreadable || !kvm_disk_file(found))
        return NULL;
    if (!disk->removable) /* one that is may not be in the domain's form (form.h), which is asked here */
        TRY(kvm_disk_size(session, domain, found, &disk->size_bytes));
    if (found->pool)
        disk->high_performance = is(found->pool, session->options.high_pool);
    else
        TRY(place_of(session, arena, disk, found->path));
    return NULL;
}

static struct error *describe_disks(struct driver_session *session, const struct driver_call *call,
                                    virDomainPtr domain, const struct kvm_domain *definition,
                                    struct driver_detail *detail)
{
    const struct kvm_disk *boot = kvm_disk_boot(call->arena, definition);
    detail->disks = arena_array(call->arena, definition->disk_count + 1, sizeof *detail->disks);
    for (size_t i = 0; i < definition->disk_count; i++) {
        const struct kvm_disk *found = &definition->disks[i];
        if (!found->target)
            continue;
        struct driver_disk *disk = &detail->disks[detail->disk_count++];
        TRY(describe_disk(session, call->arena, domain, found, disk));
        disk->boot = found == boot;
    }
    return NULL;
}

static void describe_adapters(struct kvm_xml *xml, struct arena *arena, struct driver_detail *detail)
{
    size_t count;
    const struct kvm_xml_node *const *nodes =
        kvm_xml_nodes(xml, arena, NULL, "/domain/devices/interface", &count);
    detail->adapters = arena_array(arena, count + 1, sizeof *detail->adapters);
    for (size_t i = 0; i < count; i++) {
        struct driver_adapter *adapter = &detail->adapters[detail->adapter_count++];
        adapter->network =
            kvm_xml_text(xml, arena, nodes[i], "source/@network | source/@bridge | source/@dev");
        adapter->mac = kvm_xml_text(xml, arena, nodes[i], "mac/@address");
        adapter->model = kvm_xml_text(xml, arena, nodes[i], "model/@type");
    }
}

static void describe_passthrough(struct kvm_xml *xml, struct arena *arena, struct driver_detail *detail)
{
    static const char path[] = "/domain/devices/hostdev | /domain/devices/interface[@type='hostdev'] | "
                               "/domain/devices/disk[@device='lun'] | /domain/devices/filesystem | "
                               "/domain/devices/redirdev | /domain/devices/tpm[backend/@type='passthrough']";
    size_t count;
    const struct kvm_xml_node *const *nodes = kvm_xml_nodes(xml, arena, NULL, path, &count);
    detail->passthrough = arena_array(arena, count + 1, sizeof *detail->passthrough);
    for (size_t i = 0; i < count; i++) {
        const char *alias = kvm_xml_text(xml, arena, nodes[i], "alias/@name");
        const char *type = kvm_xml_text(xml, arena, nodes[i], "@type");
        const char *target = kvm_xml_text(xml, arena, nodes[i], "target/@dev");
        detail->passthrough[detail->passthrough_count++] =
            alias    ? alias
            : target ? target
                     : arena_printf(arena, "%s device %zu", type ? type : "host", i + 1);
    }
}

static struct error *describe_snapshots(struct driver_session *session, struct arena *arena,
                                        virDomainPtr domain, struct driver_detail *detail)
{
    virDomainSnapshotPtr *list;
    int count = virDomainListAllSnapshots(domain, &list, 0);
    if (count < 0)
        return kvm_fault(session->connection, "could not list the snapshots of an instance");
    detail->snapshots = arena_array(arena, (size_t)count + 1, sizeof *detail->snapshots);
    for (int i = 0; i < count; i++) {
        const char *name = virDomainSnapshotGetName(list[i]);
        name = arena_strndup(arena, name, strcspn(name, "~")); /* "NAME~" stands for it (snapshot.c) */
        bool told = false;
        for (size_t j = 0; j < detail->snapshot_count; j++)
            told = told || strcmp(detail->snapshots[j], name) == 0;
        if (!told)
            detail->snapshots[detail->snapshot_count++] = name;
        (void)virDomainSnapshotFree(list[i]);
    }
    free(list);
    return NULL;
}

static struct error *describe_definition(struct driver_session *session, const struct driver_call *call,
                                         virDomainPtr domain, bool lasting, struct driver_detail *detail)
{
    char *text = virDomainGetXMLDesc(domain, lasting ? VIR_DOMAIN_XML_INACTIVE : 0);
    if (!text)
        return kvm_fault(session->connection, "could not read a domain's definition");
    struct kvm_domain definition;
    XML_AUTO struct kvm_xml *xml = NULL;
    struct error *error = kvm_domain_parse(call->arena, text, &definition);
    if (!error)
        error = kvm_xml_parse(text, "domain", &xml);
    free(text);
    TRY(error);
    detail->firmware = firmware_of(xml, call->arena);
    detail->machine = kvm_xml_text(xml, call->arena, NULL, "/domain/os/type/@machine");
    detail->guest_os = kvm_xml_text(xml, call->arena, NULL,
                                    "/domain/metadata/*[local-name()='libosinfo']/*[local-name()='os']/@id");
    detail->agent = is(kvm_xml_text(xml, call->arena, NULL,
                                    "/domain/devices/channel/target[@name='org.qemu.guest_agent.0']/@state"),
                       "connected");
    describe_adapters(xml, call->arena, detail);
    describe_passthrough(xml, call->arena, detail);
    return describe_disks(session, call, domain, &definition, detail);
}

struct error *kvm_instance_detail(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, struct driver_detail *ret_detail)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain live, lasting;
    struct driver_detail detail = {0};
    TRY(kvm_instance_get(session, call, key, &domain, &live));
    TRY(kvm_domain_read(session, call->arena, domain, true, &lasting));
    TRY(kvm_instance_describe(session, call->arena, domain, &live, &detail.instance));
    detail.fenced = lasting.fenced;
    TRY(kvm_step(call, 30, "read its definition"));
    TRY(describe_definition(session, call, domain, live.mark.form != NULL, &detail));
    TRY(kvm_step(call, 60, "look for snapshots and checkpoints"));
    TRY(describe_snapshots(session, call->arena, domain, &detail));
    TRY(kvm_checkpoint_good(session, call->arena, domain, &detail.checkpoints, &detail.checkpoint_count));
    *ret_detail = detail;
    return NULL;
}
