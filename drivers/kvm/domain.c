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
    }
    domain->disks = disks;
    domain->disk_count = count;
}

struct error *kvm_domain_parse(struct arena *arena, const char *text, struct kvm_domain *ret_domain)
{
    XML_AUTO struct kvm_xml *xml = NULL;
    TRY_DOING(kvm_xml_parse(text, "domain", &xml), "a domain's definition cannot be read");
    struct kvm_domain domain = {
        .uuid = kvm_xml_text(xml, arena, NULL, "/domain/uuid"),
        .name = kvm_xml_text(xml, arena, NULL, "/domain/name"),
        .arch = kvm_xml_text(xml, arena, NULL, "/domain/os/type/@arch"),
        .wanted = kvm_xml_text(xml, arena, NULL, "/domain/metadata/y:instance/@name"),
    };
    if (!domain.uuid || !domain.name)
        return error_new(ERR_UNAVAILABLE, "a domain's definition has no UUID or name");
    const char *state = kvm_xml_text(xml, arena, NULL, "/domain/metadata/y:instance/@state");
    domain.ours = domain.wanted && state;
    domain.ready = state && strcmp(state, "ready") == 0;
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
    kvm_out_close(out);
}

static void write_mark(struct kvm_out *out, const char *wanted, bool ready)
{
    kvm_out_open(out, "yunqiao:instance");
    kvm_out_attribute(out, "xmlns:yunqiao", KVM_XML_NAMESPACE);
    kvm_out_attribute(out, "name", wanted);
    kvm_out_attribute(out, "state", ready ? "ready" : "creating");
    kvm_out_close(out);
}

struct error *kvm_domain_mark(struct arena *arena, const char *wanted, bool ready, const char **ret_text)
{
    /* libvirt adds the prefix and its declaration itself. */
    struct kvm_out *out = kvm_out_new();
    kvm_out_open(out, "instance");
    kvm_out_attribute(out, "name", wanted);
    kvm_out_attribute(out, "state", ready ? "ready" : "creating");
    kvm_out_close(out);
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
static void write_machine(struct kvm_out *out, const struct kvm_host *host, bool kvm)
{
    bool x86 = strcmp(host->arch, "x86_64") == 0, arm = strcmp(host->arch, "aarch64") == 0;
    kvm_out_open(out, "os");
    if (arm)
        kvm_out_attribute(out, "firmware", "efi");
    kvm_out_open(out, "type");
    kvm_out_attribute(out, "arch", host->arch);
    kvm_out_attribute(out, "machine", x86 ? "q35" : arm ? "virt" : "pseries");
    kvm_out_text(out, "hvm");
    kvm_out_close(out);
    attribute_element(out, "boot", "dev", "hd");
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

static void write_devices(struct kvm_out *out, const struct driver_instance_spec *spec,
                          const struct kvm_domain_files *files)
{
    kvm_out_open(out, "devices");
    kvm_out_open(out, "controller");
    kvm_out_attribute(out, "type", "scsi");
    kvm_out_attribute(out, "index", "0");
    kvm_out_attribute(out, "model", "virtio-scsi");
    kvm_out_close(out);
    const struct disk system = {
        .path = files->system, .format = "qcow2", .target = "sda", .bus = "scsi", .serial = spec->id};
    const struct disk seed = {.path = files->seed,
                              .format = "raw",
                              .target = "vda",
                              .bus = "virtio",
                              .serial = "seed",
                              .readonly = true};
    write_disk(out, &system);
    write_disk(out, &seed);
    kvm_out_open(out, "interface");
    kvm_out_attribute(out, "type", "network");
    attribute_element(out, "source", "network", spec->network);
    attribute_element(out, "model", "type", "virtio");
    kvm_out_close(out);
    kvm_out_open(out, "serial");
    kvm_out_attribute(out, "type", "pty");
    kvm_out_open(out, "log");
    kvm_out_attribute(out, "file", files->console);
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

struct error *kvm_domain_write(const struct driver_session *session, struct arena *arena,
                               const struct driver_instance_spec *spec, const char *name,
                               const struct kvm_domain_files *files, const char **ret_text)
{
    const char *accel = session->options.accel;
    bool kvm = strcmp(accel, "kvm") == 0 || (strcmp(accel, "auto") == 0 && session->host.kvm);
    char current[16], most[16];
    (void)snprintf(current, sizeof current, "%u", spec->vcpu);
    (void)snprintf(most, sizeof most, "%u", spec->vcpu > KVM_VCPU_MAX ? spec->vcpu : KVM_VCPU_MAX);
    struct kvm_out *out = kvm_out_new();
    kvm_out_open(out, "domain");
    kvm_out_attribute(out, "type", kvm ? "kvm" : "qemu");
    kvm_out_leaf(out, "name", name);
    kvm_out_leaf(out, "uuid", spec->id);
    kvm_out_leaf(out, "title", spec->name);
    kvm_out_open(out, "metadata");
    write_mark(out, spec->name, false);
    kvm_out_close(out);
    kvm_out_number(out, "memory", "MiB", spec->memory_mb);
    kvm_out_open(out, "vcpu");
    kvm_out_attribute(out, "current", current);
    kvm_out_text(out, most);
    kvm_out_close(out);
    write_machine(out, &session->host, kvm);
    kvm_out_leaf(out, "on_poweroff", "destroy");
    kvm_out_leaf(out, "on_reboot", "restart");
    kvm_out_leaf(out, "on_crash", "destroy");
    write_devices(out, spec, files);
    kvm_out_close(out);
    return kvm_out_finish(out, arena, ret_text);
}
