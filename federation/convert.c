/* What is asked of the converter; see convert.h. */
#include "federation/convert.h"

#include <libxml/xmlwriter.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* Systems that virt-v2v 2.2 converts; kernels older than these have no virtio, or it refuses them. */
static const char *const known[] = {
    "rhel5",   "rhel6",    "rhel7",   "rhel8",   "rhel9",   "rhel-",     "centos5", "centos6", "centos7",
    "centos8", "centos",   "oracle",  "rocky",   "alma",    "fedora",    "sles11",  "sles12",  "sles15",
    "sles_",   "opensuse", "debian",  "ubuntu",  "windows", "win7",      "win8",    "win10",   "win2k8",
    "win2k12", "win2k16",  "win2k19", "win2k22", "win11",   "openEuler", NULL};

bool convert_knows(const char *guest_os)
{
    for (const char *const *word = known; guest_os && *word; word++)
        if (strcasestr(guest_os, *word))
            return true;
    return false;
}

bool convert_installed(const char *program)
{
    return program && *program == '/' && access(program, X_OK) == 0;
}

struct convert_plan convert_plan(struct arena *arena, const char *mode, const char *program, const char *from,
                                 const char *to, const char *guest_os)
{
    struct convert_plan plan = {false, false, NULL};
    if (!from || !to || !strcmp(from, to))
        return plan;
    if (!mode || !strcmp(mode, "off"))
        plan.why = "conversion is off";
    else if (strcmp(to, "kvm") != 0)
        plan.why = arena_printf(arena, "no converter makes guests fit for %s", to);
    if (plan.why)
        return plan;
    plan.asked = true;
    if (!convert_installed(program))
        plan.why = arena_printf(arena, "%s is not installed", program ? program : "the converter");
    else if (!convert_knows(guest_os))
        plan.why = arena_printf(arena, "the converter does not know the guest's system (%s)",
                                guest_os ? guest_os : "not told");
    plan.runs = !plan.why;
    return plan;
}

/* Writing to memory fails for want of memory alone, and xmalloc's kind ends the process then. */
static void must(int written)
{
    if (written < 0)
        abort();
}

#define NAME(text) ((const xmlChar *)(text))

static void attribute(xmlTextWriter *writer, const char *name, const char *value)
{
    must(xmlTextWriterWriteAttribute(writer, NAME(name), NAME(value)));
}

static void begin(xmlTextWriter *writer, const char *name)
{
    must(xmlTextWriterStartElement(writer, NAME(name)));
}

static void end(xmlTextWriter *writer)
{
    must(xmlTextWriterEndElement(writer));
}

static void empty(xmlTextWriter *writer, const char *name, const char *key, const char *value)
{
    begin(writer, name);
    attribute(writer, key, value);
    end(writer);
}

/* As an address of QEMU's, which the converter hands to qemu-nbd with the format as the driver's name: it has
 * no words of its own for a unix socket. */
static void write_disk(xmlTextWriter *writer, struct arena *arena, const struct convert_guest *guest,
                       size_t i)
{
    const char *url = arena_printf(arena, "nbd+unix:///%s?socket=%s", guest->exports[i], guest->sockets[i]);
    begin(writer, "disk");
    attribute(writer, "type", "file");
    attribute(writer, "device", "disk");
    begin(writer, "driver");
    attribute(writer, "name", "qemu");
    attribute(writer, "type", "nbd");
    end(writer);
    empty(writer, "source", "file", url);
    begin(writer, "target");
    attribute(writer, "dev", arena_printf(arena, "sd%c", (char)('a' + (int)(i % 26))));
    attribute(writer, "bus", "scsi");
    end(writer);
    end(writer);
}

static void write_card(xmlTextWriter *writer, const char *mac)
{
    begin(writer, "interface");
    attribute(writer, "type", "network");
    empty(writer, "mac", "address", mac);
    empty(writer, "source", "network", "default");
    end(writer);
}

static void write_machine(xmlTextWriter *writer, struct arena *arena, const struct convert_guest *guest)
{
    must(xmlTextWriterWriteElement(writer, NAME("name"), NAME(guest->name)));
    begin(writer, "memory");
    attribute(writer, "unit", "MiB");
    must(xmlTextWriterWriteString(writer,
                                  NAME(arena_printf(arena, "%llu", (unsigned long long)guest->memory_mb))));
    end(writer);
    must(xmlTextWriterWriteElement(writer, NAME("vcpu"), NAME(arena_printf(arena, "%u", guest->vcpu))));
    begin(writer, "os");
    if (guest->uefi)
        attribute(writer, "firmware", "efi");
    begin(writer, "type");
    attribute(writer, "arch", "x86_64");
    must(xmlTextWriterWriteString(writer, NAME("hvm")));
    end(writer);
    end(writer);
}

const char *convert_describe(struct arena *arena, const struct convert_guest *guest)
{
    xmlBuffer *buffer = xmlBufferCreate();
    xmlTextWriter *writer = buffer ? xmlNewTextWriterMemory(buffer, 0) : NULL;
    if (!writer)
        abort();
    must(xmlTextWriterStartDocument(writer, NULL, "UTF-8", NULL));
    begin(writer, "domain");
    attribute(writer, "type", "kvm");
    write_machine(writer, arena, guest);
    begin(writer, "devices");
    for (size_t i = 0; i < guest->disk_count; i++)
        write_disk(writer, arena, guest, i);
    if (guest->mac)
        write_card(writer, guest->mac);
    end(writer);
    end(writer);
    must(xmlTextWriterEndDocument(writer));
    xmlFreeTextWriter(writer);
    const char *text = arena_strdup(arena, (const char *)xmlBufferContent(buffer));
    xmlBufferFree(buffer);
    return text;
}
