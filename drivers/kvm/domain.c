/* Domain documents, see domain.h. */
#include "drivers/kvm/domain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/kvm/fault.h"
#include "drivers/kvm/xml.h"

static void read_disks(struct kvm_xml *xml, struct arena *arena, struct kvm_domain *domain)
{
    size_t count;
    const struct kvm_xml_node *const *nodes = kvm_xml_nodes(xml, arena, NULL, "/domain/devices/disk", &count);
    struct kvm_disk *disks = arena_array(arena, count + 1, sizeof *disks);
    for (size_t i = 0; i < count; i++) {
        disks[i].target = kvm_xml_text(xml, arena, nodes[i], "target/@dev");
        disks[i].path = kvm_xml_text(xml, arena, nodes[i], "source/@file | source/@dev");
        disks[i].pool = kvm_xml_text(xml, arena, nodes[i], "source/@pool");
        disks[i].volume = kvm_xml_text(xml, arena, nodes[i], "source/@volume");
        disks[i].source = kvm_xml_text(xml, arena, nodes[i], "@type");
        disks[i].device = kvm_xml_text(xml, arena, nodes[i], "@device");
        disks[i].format = kvm_xml_text(xml, arena, nodes[i], "driver/@type");
        disks[i].alias = kvm_xml_text(xml, arena, nodes[i], "alias/@name");
        disks[i].readonly = kvm_xml_text(xml, arena, nodes[i], "readonly") != NULL;
        disks[i].order = kvm_xml_number(xml, arena, nodes[i], "boot/@order");
    }
    domain->disks = disks;
    domain->disk_count = count;
}

static void read_mark(struct kvm_xml *xml, struct arena *arena, struct kvm_domain *domain)
{
    static const char *const paths[] = {
        "/domain/metadata/y:instance/@name",   "/domain/metadata/y:instance/@state",
        "/domain/metadata/y:instance/@move",   "/domain/metadata/y:instance/@form",
        "/domain/metadata/y:instance/@export", "/domain/metadata/y:instance/@of",
        "/domain/metadata/y:instance/@moment"};
    const char *found[sizeof paths / sizeof *paths];
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        found[i] = kvm_xml_text(xml, arena, NULL, paths[i]);
    domain->mark = (struct kvm_mark){.name = found[0],
                                     .state = found[1],
                                     .move = found[2],
                                     .form = found[3],
                                     .export_id = found[4],
                                     .of = found[5],
                                     .moment = found[6]};
    domain->ours = found[0] && found[1];
}

bool kvm_domain_is(const struct kvm_domain *domain, const char *state)
{
    return domain->ours && strcmp(domain->mark.state, state) == 0;
}

struct error *kvm_domain_parse(struct arena *arena, const char *text, struct kvm_domain *ret_domain)
{
    XML_AUTO struct kvm_xml *xml = NULL;
    TRY_DOING(kvm_xml_parse(text, "domain", &xml), "a domain's definition cannot be read");
    struct kvm_domain domain = {
        .uuid = kvm_xml_text(xml, arena, NULL, "/domain/uuid"),
        .name = kvm_xml_text(xml, arena, NULL, "/domain/name"),
        .arch = kvm_xml_text(xml, arena, NULL, "/domain/os/type/@arch"),
        .fenced = kvm_xml_text(xml, arena, NULL, "/domain/seclabel[@model='" KVM_FENCE_MODEL "']/@model"),
    };
    if (!domain.uuid || !domain.name)
        return error_new(ERR_UNAVAILABLE, "a domain's definition has no UUID or name");
    read_mark(xml, arena, &domain);
    uint64_t current = kvm_xml_number(xml, arena, NULL, "/domain/vcpu/@current");
    domain.vcpu = (unsigned)(current ? current : kvm_xml_number(xml, arena, NULL, "/domain/vcpu"));
    domain.memory_mb = kvm_xml_number(xml, arena, NULL, "/domain/memory") / 1024; /* libvirt answers in KiB */
    read_disks(xml, arena, &domain);
    *ret_domain = domain;
    return NULL;
}

struct error *kvm_domain_read(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                              bool lasting, struct kvm_domain *ret_domain)
{
    char *text = virDomainGetXMLDesc(domain, lasting ? VIR_DOMAIN_XML_INACTIVE : 0);
    if (!text)
        return kvm_fault(session->connection, "could not read a domain's definition");
    struct error *error = kvm_domain_parse(arena, text, ret_domain);
    free(text);
    return error;
}

const struct kvm_disk *kvm_domain_disk(const struct kvm_domain *domain, const char *path, const char *pool,
                                       const char *volume)
{
    for (size_t i = 0; i < domain->disk_count; i++) {
        const struct kvm_disk *disk = &domain->disks[i];
        if (disk->path && path && strcmp(disk->path, path) == 0)
            return disk;
        if (disk->pool && disk->volume && strcmp(disk->pool, pool) == 0 && strcmp(disk->volume, volume) == 0)
            return disk;
    }
    return NULL;
}

static void attribute_element(struct kvm_out *out, const char *element, const char *name, const char *value)
{
    kvm_out_open(out, element);
    kvm_out_attribute(out, name, value);
    kvm_out_close(out);
}

struct disk {
    const char *path, *format, *target, *bus, *serial;
    bool readonly;
    unsigned order;
};

static void write_disk(struct kvm_out *out, const struct disk *disk)
{
    kvm_out_open(out, "disk");
    kvm_out_attribute(out, "type", "file");
    kvm_out_attribute(out, "device", "disk");
    kvm_out_open(out, "driver");
    kvm_out_attribute(out, "name", "qemu");
    kvm_out_attribute(out, "type", disk->format);
    if (!disk->readonly)
        kvm_out_attribute(out, "discard", "unmap");
    kvm_out_close(out);
    attribute_element(out, "source", "file", disk->path);
    kvm_out_open(out, "target");
    kvm_out_attribute(out, "dev", disk->target);
    kvm_out_attribute(out, "bus", disk->bus);
    kvm_out_close(out);
    if (disk->readonly)
        kvm_out_leaf(out, "readonly", NULL);
    kvm_out_leaf(out, "serial", disk->serial);
    if (disk->order)
        attribute_element(out, "boot", "order", "1");
    kvm_out_close(out);
}

static void write_mark(struct kvm_out *out, const struct kvm_mark *mark)
{
    kvm_out_attribute(out, "name", mark->name);
    kvm_out_attribute(out, "state", mark->state);
    if (mark->move)
        kvm_out_attribute(out, "move", mark->move);
    if (mark->of)
        kvm_out_attribute(out, "of", mark->of);
    if (mark->form)
        kvm_out_attribute(out, "form", mark->form);
    if (mark->export_id)
        kvm_out_attribute(out, "export", mark->export_id);
    if (mark->moment)
        kvm_out_attribute(out, "moment", mark->moment);
}

struct error *kvm_domain_mark(struct arena *arena, const struct kvm_mark *mark, const char **ret_text)
{
    /* libvirt adds the prefix and its declaration itself. */
    struct kvm_out *out = kvm_out_new();
    kvm_out_open(out, "instance");
    write_mark(out, mark);
    kvm_out_close(out);
    return kvm_out_finish(out, arena, ret_text);
}

struct error *kvm_domain_set_mark(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                                  const struct kvm_mark *mark, unsigned flags)
{
    const char *text;
    TRY(kvm_domain_mark(arena, mark, &text));
    if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, text, "yunqiao", KVM_XML_NAMESPACE, flags) <
        0)
        return kvm_fault(session->connection, "could not mark an instance as \"%s\"", mark->state);
    return NULL;
}

static void write_fence(struct kvm_out *out)
{
    kvm_out_open(out, "seclabel");
    kvm_out_attribute(out, "type", "static");
    kvm_out_attribute(out, "model", KVM_FENCE_MODEL);
    kvm_out_attribute(out, "relabel", "no");
    kvm_out_leaf(out, "label", "fenced");
    kvm_out_close(out);
}

struct error *kvm_domain_fence(struct arena *arena, const char **ret_text)
{
    struct kvm_out *out = kvm_out_new();
    write_fence(out);
    return kvm_out_finish(out, arena, ret_text);
}

struct error *kvm_domain_write_disk(struct arena *arena, const char *id, const char *path, const char *target,
                                    const char **ret_text)
{
    struct kvm_out *out = kvm_out_new();
    const struct disk disk = {.path = path, .format = "qcow2", .target = target, .bus = "scsi", .serial = id};
    write_disk(out, &disk);
    return kvm_out_finish(out, arena, ret_text);
}

/* Machine and firmware by architecture. */
static void write_machine(struct kvm_out *out, const struct kvm_host *host, bool kvm, bool uefi)
{
    bool x86 = strcmp(host->arch, "x86_64") == 0, arm = strcmp(host->arch, "aarch64") == 0;
    kvm_out_open(out, "os");
    if (arm || uefi)
        kvm_out_attribute(out, "firmware", "efi");
    kvm_out_open(out, "type");
    kvm_out_attribute(out, "arch", host->arch);
    kvm_out_attribute(out, "machine", x86 ? "q35" : arm ? "virt" : "pseries");
    kvm_out_text(out, "hvm");
    kvm_out_close(out);
    kvm_out_close(out);
    if (x86 || arm) {
        kvm_out_open(out, "features");
        kvm_out_leaf(out, "acpi", NULL);
        if (x86)
            kvm_out_leaf(out, "apic", NULL);
        kvm_out_close(out);
    }
    if (kvm || !x86)
        attribute_element(out, "cpu", "mode", !kvm ? "maximum" : x86 ? "host-model" : "host-passthrough");
}

static void write_disks(struct kvm_out *out, const struct kvm_new_domain *wanted)
{
    kvm_out_open(out, "controller");
    kvm_out_attribute(out, "type", "scsi");
    kvm_out_attribute(out, "index", "0");
    kvm_out_attribute(out, "model", "virtio-scsi");
    kvm_out_close(out);
    for (size_t i = 0; i < wanted->disk_count; i++) {
        const struct kvm_new_disk *given = &wanted->disks[i];
        const struct disk disk = {.path = given->path,
                                  .format = "qcow2",
                                  .target = given->target,
                                  .bus = "scsi",
                                  .serial = given->serial,
                                  .order = given->boot};
        write_disk(out, &disk);
    }
    const struct disk seed = {.path = wanted->seed,
                              .format = "raw",
                              .target = "vda",
                              .bus = "virtio",
                              .serial = "seed",
                              .readonly = true};
    write_disk(out, &seed);
}

static void write_devices(struct kvm_out *out, const struct kvm_new_domain *wanted)
{
    kvm_out_open(out, "devices");
    write_disks(out, wanted);
    if (wanted->network) {
        kvm_out_open(out, "interface");
        kvm_out_attribute(out, "type", "network");
        if (wanted->mac)
            attribute_element(out, "mac", "address", wanted->mac);
        attribute_element(out, "source", "network", wanted->network);
        attribute_element(out, "model", "type", "virtio");
        kvm_out_close(out);
    }
    kvm_out_open(out, "serial");
    kvm_out_attribute(out, "type", "pty");
    kvm_out_open(out, "log");
    kvm_out_attribute(out, "file", wanted->console);
    kvm_out_attribute(out, "append", "on");
    kvm_out_close(out);
    kvm_out_close(out);
    attribute_element(out, "memballoon", "model", "virtio");
    kvm_out_open(out, "rng");
    kvm_out_attribute(out, "model", "virtio");
    kvm_out_open(out, "backend");
    kvm_out_attribute(out, "model", "random");
    kvm_out_text(out, "/dev/urandom");
    kvm_out_close(out);
    kvm_out_close(out);
    kvm_out_close(out);
}

bool kvm_domain_accelerated(const struct driver_session *session)
{
    const char *accel = session->options.accel;
    return strcmp(accel, "kvm") == 0 || (strcmp(accel, "auto") == 0 && session->host.kvm);
}

const char *kvm_domain_name(struct arena *arena, const char *wanted, const char *id)
{
    return arena_printf(arena, "%s-%.8s", wanted, id + strlen(id) - 8);
}

struct error *kvm_domain_write(const struct driver_session *session, struct arena *arena,
                               const struct kvm_new_domain *wanted, const char **ret_text)
{
    bool kvm = kvm_domain_accelerated(session);
    char current[16], most[16];
    (void)snprintf(current, sizeof current, "%u", wanted->vcpu);
    (void)snprintf(most, sizeof most, "%u", wanted->vcpu > KVM_VCPU_MAX ? wanted->vcpu : KVM_VCPU_MAX);
    struct kvm_out *out = kvm_out_new();
    kvm_out_open(out, "domain");
    kvm_out_attribute(out, "type", kvm ? "kvm" : "qemu");
    kvm_out_leaf(out, "name", wanted->name);
    kvm_out_leaf(out, "uuid", wanted->id);
    kvm_out_leaf(out, "title", wanted->mark.name);
    kvm_out_open(out, "metadata");
    kvm_out_open(out, "yunqiao:instance");
    kvm_out_attribute(out, "xmlns:yunqiao", KVM_XML_NAMESPACE);
    write_mark(out, &wanted->mark);
    kvm_out_close(out);
    kvm_out_close(out);
    kvm_out_number(out, "memory", "MiB", wanted->memory_mb);
    kvm_out_open(out, "vcpu");
    kvm_out_attribute(out, "current", current);
    kvm_out_text(out, most);
    kvm_out_close(out);
    write_machine(out, &session->host, kvm, wanted->uefi);
    kvm_out_leaf(out, "on_poweroff", "destroy");
    kvm_out_leaf(out, "on_reboot", "restart");
    kvm_out_leaf(out, "on_crash", "destroy");
    write_devices(out, wanted);
    if (wanted->fenced)
        write_fence(out);
    kvm_out_close(out);
    return kvm_out_finish(out, arena, ret_text);
}
