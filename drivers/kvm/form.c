/* Domains that only serve their disks, see form.h. */
#include "drivers/kvm/form.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/id.h"
#include "drivers/kvm/disk.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/xml.h"

#define QEMU_NAMESPACE "http://libvirt.org/schemas/domain/qemu/1.0"

/* What the form goes without: ways to start, and whatever is not a disk and wants something of the host. */
static const char *const dropped[] = {
    "/domain/seclabel[@model='" KVM_FENCE_MODEL "']",
    "/domain/os/boot | /domain/os/kernel | /domain/os/initrd | /domain/os/cmdline | /domain/os/dtb",
    "/domain/os/bootmenu",
    "/domain/devices/*/boot",
    "/domain/devices/interface | /domain/devices/hostdev | /domain/devices/redirdev",
    "/domain/devices/filesystem | /domain/devices/shmem | /domain/devices/vsock | /domain/devices/tpm",
    "/domain/devices/serial | /domain/devices/console | /domain/devices/parallel | /domain/devices/channel",
    "/domain/devices/graphics | /domain/devices/video | /domain/devices/sound | /domain/devices/smartcard",
    "/domain/*[local-name()='commandline']",
};

/* A device of the paused guest holds its disk for writing; it is told to share that, with the export's
 * server. libvirt has no word for this with qcow2. */
static struct error *share_writing(struct kvm_xml *xml, struct arena *arena, const struct kvm_xml_node *root)
{
    static const char *const globals[] = {"scsi-hd.share-rw=on", "virtio-blk-device.share-rw=on"};
    struct kvm_out *out = kvm_out_new();
    kvm_out_open(out, "qemu:commandline");
    kvm_out_attribute(out, "xmlns:qemu", QEMU_NAMESPACE);
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        const char *const values[] = {"-global", globals[i]};
        for (size_t j = 0; j < 2; j++) {
            kvm_out_open(out, "qemu:arg");
            kvm_out_attribute(out, "value", values[j]);
            kvm_out_close(out);
        }
    }
    kvm_out_close(out);
    const char *text;
    TRY(kvm_out_finish(out, arena, &text));
    return kvm_xml_add(xml, root, text);
}

/* Disks that no export shows stay out as well. */
static struct error *drop_disks(struct kvm_xml *xml, struct arena *arena, const struct kvm_domain *domain)
{
    for (size_t i = 0; i < domain->disk_count; i++) {
        const struct kvm_disk *disk = &domain->disks[i];
        if (disk->target && !kvm_disk_exported(arena, disk) && !strpbrk(disk->target, "'\""))
            kvm_xml_drop(xml, arena_printf(arena, "/domain/devices/disk[target/@dev='%s']", disk->target));
    }
    return NULL;
}

static struct error *write_form(struct arena *arena, const char *text, const char *form,
                                const char *export_id, const char **ret_text)
{
    struct kvm_domain domain;
    TRY(kvm_domain_parse(arena, text, &domain));
    XML_AUTO struct kvm_xml *xml = NULL;
    TRY(kvm_xml_parse(text, "domain", &xml));
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        kvm_xml_drop(xml, dropped[i]);
    TRY(drop_disks(xml, arena, &domain));
    const struct kvm_xml_node *root, *os, *mark;
    TRY(kvm_xml_node(xml, arena, "/domain", &root));
    TRY(kvm_xml_node(xml, arena, "/domain/os", &os));
    TRY(kvm_xml_node(xml, arena, "/domain/metadata/y:instance", &mark));
    TRY(kvm_xml_add(xml, os, "<boot dev='network'/>"));
    kvm_xml_set(mark, "form", form);
    kvm_xml_set(mark, "export", export_id);
    kvm_xml_set(mark, "moment", id_new_in(arena));
    if (strcmp(form, KVM_FORM_WRITE) == 0)
        TRY(share_writing(xml, arena, root));
    return kvm_xml_print(xml, arena, ret_text);
}

struct error *kvm_form_start(struct driver_session *session, const struct driver_call *call,
                             virDomainPtr domain, const char *form, const char *export_id)
{
    char *text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (!text)
        return kvm_fault(session->connection, "could not read a domain's definition");
    const char *changed;
    struct error *error = write_form(call->arena, text, form, export_id, &changed);
    free(text);
    TRY(error);
    virDomainPtr started = virDomainCreateXML(session->connection, changed, VIR_DOMAIN_START_PAUSED);
    if (!started)
        return kvm_fault(session->connection, "could not open the disks of a stopped instance");
    (void)virDomainFree(started);
    return NULL;
}

struct error *kvm_form_end(struct driver_session *session, const struct driver_call *call,
                           virDomainPtr domain)
{
    TRY(kvm_step(call, 80, "let the disks go"));
    if (virDomainDestroyFlags(domain, VIR_DOMAIN_DESTROY_GRACEFUL) == 0)
        return NULL;
    struct error *error = kvm_fault(session->connection, "could not end the process that serves the disks");
    if (virDomainIsActive(domain) !=
        0) /* asked after the reason was taken: libvirt forgets it with the next call */
        return error_code(error) == ERR_INTERNAL ? error_recode(error, ERR_BUSY, "it may end yet") : error;
    error_ignore(error); /* it is as wanted, by whomever */
    return NULL;
}
