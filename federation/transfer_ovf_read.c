/* The reading half of transfer_ovf.h, for descriptors from anywhere. */
#include <libxml/parser.h>
#include <string.h>

#include "federation/transfer_ovf.h"

#define NAME_MAX_BYTES 255
#define ITEMS_MAX 256

struct reading {
    struct arena *arena;
    const xmlNode *envelope, *machine, *hardware;
    struct transfer_ovf_machine *m;
};

static struct error *bad(const char *what)
{
    return error_new(ERR_INVALID, "the OVF descriptor %s", what);
}

static bool is(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && !strcmp((const char *)node->name, name);
}

/* The next sibling of that name from `node` on. */
static const xmlNode *next_of(const xmlNode *node, const char *name)
{
    while (node && !is(node, name))
        node = node->next;
    return node;
}

static const xmlNode *child(const xmlNode *node, const char *name)
{
    return node ? next_of(node->children, name) : NULL;
}

/* Text of at most NAME_MAX_BYTES, in the arena; NULL: none, or it is longer. */
static const char *take(struct reading *r, xmlChar *text)
{
    size_t length = text ? strlen((const char *)text) : 0;
    const char *taken =
        length && length <= NAME_MAX_BYTES ? arena_strdup(r->arena, (const char *)text) : NULL;
    xmlFree(text);
    return taken;
}

static const char *text_of(struct reading *r, const xmlNode *node, const char *name)
{
    const xmlNode *found = child(node, name);
    return found ? take(r, xmlNodeGetContent(found)) : NULL;
}

static const char *attribute(struct reading *r, const xmlNode *node, const char *name)
{
    for (const xmlAttr *at = node->properties; at; at = at->next)
        if (!strcmp((const char *)at->name, name))
            return take(r, xmlNodeListGetString(at->doc, at->children, 1));
    return NULL;
}

/* Digits alone; 0 for anything else. */
static uint64_t number_of(const char *text)
{
    uint64_t value = 0;
    size_t digits = text ? strspn(text, "0123456789") : 0;
    if (!digits || text[digits] || digits > 18)
        return 0;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    return value;
}

/* "byte * 2^30", "byte", "MegaBytes" (of old descriptors): the power of two; -1: something else. */
static int shift_of(const char *units)
{
    static const char prefix[] = "byte * 2^";
    if (!units || !strcmp(units, "byte"))
        return 0;
    if (!strcmp(units, "MegaBytes") || !strcmp(units, "MB"))
        return 20;
    if (!strcmp(units, "GigaBytes") || !strcmp(units, "GB"))
        return 30;
    uint64_t power = strncmp(units, prefix, strlen(prefix)) ? 64 : number_of(units + strlen(prefix));
    return power && power <= 40 ? (int)power : -1;
}

static uint64_t scaled(uint64_t value, int shift)
{
    return shift < 0 || value > UINT64_MAX >> shift ? 0 : value << shift;
}

static const xmlNode *with_id(struct reading *r, const xmlNode *parent, const char *name, const char *key,
                              const char *id)
{
    for (const xmlNode *n = child(parent, name); n; n = next_of(n->next, name)) {
        const char *own = attribute(r, n, key);
        if (own && !strcmp(own, id))
            return n;
    }
    return NULL;
}

/* "ovf:/disk/ID" */
static struct error *add_disk(struct reading *r, const xmlNode *item)
{
    struct transfer_ovf_machine *m = r->m;
    const char *resource = text_of(r, item, "HostResource"),
               *slash = resource ? strrchr(resource, '/') : NULL;
    if (!slash || !strstr(resource, "/disk/"))
        return bad("has a disk that names no disk of it");
    if (m->disk_count == OVF_DISKS_MAX)
        return bad("has too many disks");
    const xmlNode *disk = with_id(r, child(r->envelope, "DiskSection"), "Disk", "diskId", slash + 1);
    const char *ref = disk ? attribute(r, disk, "fileRef") : NULL;
    const xmlNode *file = ref ? with_id(r, child(r->envelope, "References"), "File", "id", ref) : NULL;
    const char *href = file ? attribute(r, file, "href") : NULL;
    if (!href || strchr(href, '/') || (disk && attribute(r, disk, "parentRef")))
        return bad("has a disk without a file of its own in the archive");
    if (attribute(r, file, "compression") || attribute(r, file, "chunkSize"))
        return bad("has a disk that is packed or in pieces");
    for (size_t i = 0; i < m->disk_count; i++)
        if (!strcmp(m->disks[i].file, href))
            return bad("has a file that is two disks");
    m->disks[m->disk_count++] =
        (struct transfer_ovf_disk){.file = href,
                                   .bytes = scaled(number_of(attribute(r, disk, "capacity")),
                                                   shift_of(attribute(r, disk, "capacityAllocationUnits"))),
                                   .size = number_of(attribute(r, file, "size"))};
    return NULL;
}

static struct error *add_item(struct reading *r, const xmlNode *item)
{
    struct transfer_ovf_machine *m = r->m;
    uint64_t type = number_of(text_of(r, item, "ResourceType"));
    uint64_t quantity = number_of(text_of(r, item, "VirtualQuantity"));
    if (type == 3)
        m->vcpu = quantity <= 4096 ? (unsigned)quantity : 0;
    else if (type == 4)
        m->memory_mb = scaled(quantity, shift_of(text_of(r, item, "AllocationUnits"))) >> 20;
    else if (type == 17)
        return add_disk(r, item);
    else if (type == 10) {
        if (m->card_count == OVF_CARDS_MAX)
            return bad("has too many network cards");
        m->macs[m->card_count] = text_of(r, item, "Address");
        m->networks[m->card_count++] = text_of(r, item, "Connection");
    }
    return NULL;
}

static void read_settings(struct reading *r)
{
    for (const xmlNode *n = child(r->hardware, "Config"); n; n = next_of(n->next, "Config")) {
        const char *key = attribute(r, n, "key"), *value = attribute(r, n, "value");
        if (key && value && !strcmp(key, "firmware"))
            r->m->uefi = !strcmp(value, "efi");
        if (key && value && !strcmp(key, "bootOptions.efiSecureBootEnabled"))
            r->m->secure = !strcmp(value, "true");
    }
}

static struct error *read_machine(struct reading *r)
{
    size_t items = 0;
    r->machine = child(r->envelope, "VirtualSystem");
    if (!r->machine || next_of(r->machine->next, "VirtualSystem") ||
        child(r->envelope, "VirtualSystemCollection"))
        return bad("is not of one virtual machine");
    r->hardware = child(r->machine, "VirtualHardwareSection");
    r->m->name = text_of(r, r->machine, "Name");
    r->m->guest_os = text_of(r, child(r->machine, "OperatingSystemSection"), "Description");
    for (const xmlNode *n = child(r->hardware, "Item"); n; n = next_of(n->next, "Item")) {
        if (++items > ITEMS_MAX)
            return bad("has too many items");
        TRY(add_item(r, n));
    }
    read_settings(r);
    return r->m->disk_count ? NULL : bad("has no disk");
}

/* libxml2 would print to standard error. */
static void silent(void *context, const char *format, ...)
{
}

struct error *transfer_ovf_read(const char *text, size_t length, struct arena *arena,
                                struct transfer_ovf_machine *ret_machine)
{
    struct transfer_ovf_machine machine = {.name = NULL};
    struct reading r = {.arena = arena, .m = &machine};
    if (!length || length > OVF_BYTES_MAX)
        return bad(length ? "is too long" : "is empty");
    xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return error_new(ERR_INTERNAL, "out of memory for an XML parser");
    parser->sax->error = silent;
    parser->sax->warning = silent;
    xmlDoc *doc = xmlCtxtReadMemory(parser, text, (int)length, NULL, NULL,
                                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                        XML_PARSE_NOCDATA | XML_PARSE_COMPACT);
    xmlFreeParserCtxt(parser);
    if (!doc)
        return bad("is not well-formed XML");
    r.envelope = xmlDocGetRootElement(doc);
    struct error *error = NULL;
    if (xmlGetIntSubset(doc))
        error = bad("has a document type, which none needs");
    else if (!r.envelope || !is(r.envelope, "Envelope"))
        error = bad("is no OVF envelope");
    else
        error = read_machine(&r);
    xmlFreeDoc(doc);
    TRY(error);
    *ret_machine = machine;
    return NULL;
}
