/* The writing half of transfer_ovf.h. Elements of an item come in the order of their names, as the CIM
 * classes have them: importers check it. */
#include "federation/transfer_ovf.h"

#include <libxml/xmlwriter.h>
#include <stdlib.h>

#define OVF "http://schemas.dmtf.org/ovf/envelope/1"
#define CIM "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/"
#define VMW "http://www.vmware.com/schema/ovf"
#define STREAM "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

/* Resource types of CIM_ResourceAllocationSettingData. */
#define TYPE_CPU "3"
#define TYPE_MEMORY "4"
#define TYPE_SCSI "6"
#define TYPE_CARD "10"
#define TYPE_DISK "17"

#define CONTROLLER_ID 3
#define FIRST_DISK_ID 10
#define FIRST_CARD_ID 40

struct writing {
    xmlTextWriter *writer;
    struct arena *arena;
    bool failed;
};

static const xmlChar *X(const char *text)
{
    return (const xmlChar *)text;
}

static void open_element(struct writing *w, const char *name)
{
    w->failed |= xmlTextWriterStartElement(w->writer, X(name)) < 0;
}

static void close_element(struct writing *w)
{
    w->failed |= xmlTextWriterEndElement(w->writer) < 0;
}

static void attribute(struct writing *w, const char *name, const char *value)
{
    if (value)
        w->failed |= xmlTextWriterWriteAttribute(w->writer, X(name), X(value)) < 0;
}

static void element(struct writing *w, const char *name, const char *text)
{
    if (text)
        w->failed |= xmlTextWriterWriteElement(w->writer, X(name), X(text)) < 0;
}

static const char *number(struct writing *w, uint64_t value)
{
    return arena_printf(w->arena, "%llu", (unsigned long long)value);
}

/* What an item says, in the order of the names; NULL: nothing. */
struct item {
    const char *address, *address_on_parent, *units, *connection, *name, *resource;
    uint64_t id, parent; /* parent 0: none */
    const char *subtype, *type;
    uint64_t quantity; /* 0: none */
};

static void put_item(struct writing *w, const struct item *item)
{
    open_element(w, "Item");
    element(w, "rasd:Address", item->address);
    element(w, "rasd:AddressOnParent", item->address_on_parent);
    element(w, "rasd:AllocationUnits", item->units);
    element(w, "rasd:AutomaticAllocation", item->connection ? "true" : NULL);
    element(w, "rasd:Connection", item->connection);
    element(w, "rasd:ElementName", item->name);
    element(w, "rasd:HostResource", item->resource);
    element(w, "rasd:InstanceID", number(w, item->id));
    element(w, "rasd:Parent", item->parent ? number(w, item->parent) : NULL);
    element(w, "rasd:ResourceSubType", item->subtype);
    element(w, "rasd:ResourceType", item->type);
    element(w, "rasd:VirtualQuantity", item->quantity ? number(w, item->quantity) : NULL);
    close_element(w);
}

static void put_files(struct writing *w, const struct transfer_ovf_machine *m)
{
    open_element(w, "References");
    for (size_t i = 0; i < m->disk_count; i++) {
        open_element(w, "File");
        attribute(w, "ovf:href", m->disks[i].file);
        attribute(w, "ovf:id", arena_printf(w->arena, "file%zu", i + 1));
        attribute(w, "ovf:size", number(w, m->disks[i].size));
        close_element(w);
    }
    close_element(w);
    open_element(w, "DiskSection");
    element(w, "Info", "The disks of the machine");
    for (size_t i = 0; i < m->disk_count; i++) {
        open_element(w, "Disk");
        attribute(w, "ovf:capacity", number(w, m->disks[i].bytes));
        attribute(w, "ovf:capacityAllocationUnits", "byte");
        attribute(w, "ovf:diskId", arena_printf(w->arena, "vmdisk%zu", i + 1));
        attribute(w, "ovf:fileRef", arena_printf(w->arena, "file%zu", i + 1));
        attribute(w, "ovf:format", STREAM);
        close_element(w);
    }
    close_element(w);
}

static const char *network_of(const struct transfer_ovf_machine *m, size_t card)
{
    return m->networks[card] ? m->networks[card] : "network";
}

static void put_networks(struct writing *w, const struct transfer_ovf_machine *m)
{
    open_element(w, "NetworkSection");
    element(w, "Info", "The networks that its cards were on");
    for (size_t i = 0; i < m->card_count; i++) {
        size_t k = 0;
        while (k < i && xmlStrcmp(X(network_of(m, k)), X(network_of(m, i))))
            k++;
        if (k < i)
            continue;
        open_element(w, "Network");
        attribute(w, "ovf:name", network_of(m, i));
        element(w, "Description", network_of(m, i));
        close_element(w);
    }
    close_element(w);
}

static void put_hardware(struct writing *w, const struct transfer_ovf_machine *m)
{
    put_item(
        w,
        &(struct item){
            .units = "hertz * 10^6", .name = "processors", .id = 1, .type = TYPE_CPU, .quantity = m->vcpu});
    put_item(w, &(struct item){.units = "byte * 2^20",
                               .name = "memory",
                               .id = 2,
                               .type = TYPE_MEMORY,
                               .quantity = m->memory_mb});
    put_item(w, &(struct item){.address = "0",
                               .name = "SCSI controller",
                               .id = CONTROLLER_ID,
                               .subtype = "VirtualSCSI",
                               .type = TYPE_SCSI});
    for (size_t i = 0; i < m->disk_count; i++)
        put_item(w,
                 &(struct item){.address_on_parent = number(w, i < 7 ? i : i + 1), /* 7 is the controller */
                                .name = arena_printf(w->arena, "disk %zu", i + 1),
                                .resource = arena_printf(w->arena, "ovf:/disk/vmdisk%zu", i + 1),
                                .id = FIRST_DISK_ID + i,
                                .parent = CONTROLLER_ID,
                                .type = TYPE_DISK});
    for (size_t i = 0; i < m->card_count; i++)
        put_item(w, &(struct item){.address = m->macs[i],
                                   .connection = network_of(m, i),
                                   .name = arena_printf(w->arena, "network card %zu", i + 1),
                                   .id = FIRST_CARD_ID + i,
                                   .subtype = "VmxNet3",
                                   .type = TYPE_CARD});
}

static void put_setting(struct writing *w, const char *key, const char *value)
{
    open_element(w, "vmw:Config");
    attribute(w, "ovf:required", "false");
    attribute(w, "vmw:key", key);
    attribute(w, "vmw:value", value);
    close_element(w);
}

static void put_machine(struct writing *w, const struct transfer_ovf_machine *m)
{
    open_element(w, "VirtualSystem");
    attribute(w, "ovf:id", m->name);
    element(w, "Info", "A virtual machine");
    element(w, "Name", m->name);
    open_element(w, "OperatingSystemSection");
    attribute(w, "ovf:id", "1"); /* "other": what it is, is told in words */
    element(w, "Info", "The operating system");
    element(w, "Description", m->guest_os);
    close_element(w);
    open_element(w, "VirtualHardwareSection");
    element(w, "Info", "What the machine is made of");
    open_element(w, "System");
    element(w, "vssd:ElementName", "Virtual Hardware Family");
    element(w, "vssd:InstanceID", "0");
    element(w, "vssd:VirtualSystemIdentifier", m->name);
    element(w, "vssd:VirtualSystemType", "vmx-13"); /* the first with UEFI, which every vSphere 6.5 takes */
    close_element(w);
    put_hardware(w, m);
    put_setting(w, "firmware", m->uefi ? "efi" : "bios");
    if (m->secure)
        put_setting(w, "bootOptions.efiSecureBootEnabled", "true");
    close_element(w);
    close_element(w);
}

struct error *transfer_ovf_write(const struct transfer_ovf_machine *machine, struct buf *buf)
{
    ARENA_AUTO struct arena *arena = arena_new();
    xmlBuffer *text = xmlBufferCreate();
    struct writing w = {.arena = arena, .writer = text ? xmlNewTextWriterMemory(text, 0) : NULL};
    if (!w.writer) {
        xmlBufferFree(text);
        return error_new(ERR_INTERNAL, "out of memory for an OVF descriptor");
    }
    w.failed = xmlTextWriterSetIndent(w.writer, 1) < 0 ||
               xmlTextWriterStartDocument(w.writer, NULL, "UTF-8", NULL) < 0;
    open_element(&w, "Envelope");
    attribute(&w, "xmlns", OVF);
    attribute(&w, "xmlns:ovf", OVF);
    attribute(&w, "xmlns:rasd", CIM "CIM_ResourceAllocationSettingData");
    attribute(&w, "xmlns:vssd", CIM "CIM_VirtualSystemSettingData");
    attribute(&w, "xmlns:vmw", VMW);
    put_files(&w, machine);
    put_networks(&w, machine);
    put_machine(&w, machine);
    w.failed |= xmlTextWriterEndDocument(w.writer) < 0;
    xmlFreeTextWriter(w.writer);
    if (!w.failed)
        buf_append(buf, xmlBufferContent(text), (size_t)xmlBufferLength(text));
    xmlBufferFree(text);
    return w.failed ? error_new(ERR_INTERNAL, "an OVF descriptor could not be written") : NULL;
}
