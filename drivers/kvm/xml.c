/* Thin layer over libxml2's parser, XPath and writer, see xml.h. */
#include "drivers/kvm/xml.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <libxml/xmlwriter.h>
#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kvm_xml {
    xmlDocPtr document;
    xmlXPathContextPtr context;
};

static void be_silent(void *context, xmlErrorPtr error)
{
}

struct error *kvm_xml_parse(const char *text, const char *root, struct kvm_xml **ret_xml)
{
    size_t length = strlen(text);
    if (length > KVM_XML_MAX)
        return error_new(ERR_UNAVAILABLE, "a document of %zu bytes is longer than %u", length, KVM_XML_MAX);
    struct kvm_xml *xml = xcalloc(1, sizeof *xml);
    xml->document =
        xmlReadMemory(text, (int)length, NULL, NULL,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOCDATA);
    xmlNodePtr top = xml->document ? xmlDocGetRootElement(xml->document) : NULL;
    if (!top || strcmp((const char *)top->name, root) != 0 || xmlGetIntSubset(xml->document)) {
        kvm_xml_free(xml);
        return error_new(ERR_UNAVAILABLE, "this is no <%s> document", root);
    }
    xml->context = xmlXPathNewContext(xml->document);
    if (!xml->context || xmlXPathRegisterNs(xml->context, BAD_CAST "y", BAD_CAST KVM_XML_NAMESPACE) != 0) {
        kvm_xml_free(xml);
        return error_new(ERR_INTERNAL, "no XPath context can be made");
    }
    xml->context->error = be_silent;
    *ret_xml = xml;
    return NULL;
}

void kvm_xml_free(struct kvm_xml *xml)
{
    if (!xml)
        return;
    xmlXPathFreeContext(xml->context);
    xmlFreeDoc(xml->document);
    free(xml);
}

static xmlXPathObjectPtr evaluate(struct kvm_xml *xml, const struct kvm_xml_node *from, const char *path)
{
    /* A node is handed out as const and opaque; XPath takes it writable and does not write. */
    xml->context->node = from ? (xmlNodePtr)(uintptr_t)from : (xmlNodePtr)xml->document;
    return xmlXPathEvalExpression(BAD_CAST path, xml->context);
}

const char *kvm_xml_text(struct kvm_xml *xml, struct arena *arena, const struct kvm_xml_node *from,
                         const char *path)
{
    xmlXPathObjectPtr found = evaluate(xml, from, path);
    const char *text = NULL;
    if (found && found->type == XPATH_NODESET && found->nodesetval && found->nodesetval->nodeNr > 0) {
        xmlChar *content = xmlNodeGetContent(found->nodesetval->nodeTab[0]);
        if (content)
            text = arena_strdup(arena, (const char *)content);
        xmlFree(content);
    }
    xmlXPathFreeObject(found);
    return text;
}

const struct kvm_xml_node *const *kvm_xml_nodes(struct kvm_xml *xml, struct arena *arena,
                                                const struct kvm_xml_node *from, const char *path,
                                                size_t *ret_count)
{
    xmlXPathObjectPtr found = evaluate(xml, from, path);
    size_t count = found && found->type == XPATH_NODESET && found->nodesetval && found->nodesetval->nodeNr > 0
                       ? (size_t)found->nodesetval->nodeNr
                       : 0;
    const struct kvm_xml_node **nodes = arena_array(arena, count + 1, sizeof *nodes);
    for (size_t i = 0; i < count; i++)
        nodes[i] = (const struct kvm_xml_node *)found->nodesetval->nodeTab[i];
    xmlXPathFreeObject(found);
    *ret_count = count;
    return nodes;
}

uint64_t kvm_xml_number(struct kvm_xml *xml, struct arena *arena, const struct kvm_xml_node *from,
                        const char *path)
{
    const char *text = kvm_xml_text(xml, arena, from, path);
    if (!text || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    char *end;
    uintmax_t number = strtoumax(text, &end, 10);
    return errno || *end ? 0 : number;
}

static xmlNodePtr writable_node(const struct kvm_xml_node *node)
{
    return (xmlNodePtr)(uintptr_t)node; /* handed out as const so that only this file changes it */
}

void kvm_xml_drop(struct kvm_xml *xml, const char *path)
{
    xmlXPathObjectPtr found = evaluate(xml, NULL, path);
    int count = found && found->type == XPATH_NODESET && found->nodesetval ? found->nodesetval->nodeNr : 0;
    for (int i = count - 1; i >= 0; i--) { /* children before their parents */
        xmlNodePtr node = found->nodesetval->nodeTab[i];
        found->nodesetval->nodeTab[i] = NULL;
        xmlUnlinkNode(node);
        xmlFreeNode(node);
    }
    xmlXPathFreeObject(found);
}

void kvm_xml_set(const struct kvm_xml_node *node, const char *name, const char *value)
{
    xmlSetProp(writable_node(node), BAD_CAST name, BAD_CAST value);
}

struct error *kvm_xml_set_text(const struct kvm_xml_node *node, const char *text)
{
    xmlNodePtr content = xmlNewText(BAD_CAST text);
    if (!content)
        return error_new(ERR_INTERNAL, "no text node can be made");
    xmlNodeSetContent(writable_node(node), NULL);
    xmlAddChild(writable_node(node), content);
    return NULL;
}

struct error *kvm_xml_add(struct kvm_xml *xml, const struct kvm_xml_node *parent, const char *fragment)
{
    xmlDocPtr part = xmlReadMemory(fragment, (int)strlen(fragment), NULL, NULL,
                                   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    xmlNodePtr copy = part ? xmlDocCopyNode(xmlDocGetRootElement(part), xml->document, 1) : NULL;
    xmlFreeDoc(part);
    if (!copy)
        return error_new(ERR_INTERNAL, "a part of a document cannot be read");
    xmlAddChild(writable_node(parent), copy);
    return NULL;
}

struct error *kvm_xml_node(struct kvm_xml *xml, struct arena *arena, const char *path,
                           const struct kvm_xml_node **ret_node)
{
    size_t count;
    const struct kvm_xml_node *const *nodes = kvm_xml_nodes(xml, arena, NULL, path, &count);
    if (!count)
        return error_new(ERR_UNAVAILABLE, "a document has no %s", path);
    *ret_node = nodes[0];
    return NULL;
}

struct error *kvm_xml_print(struct kvm_xml *xml, struct arena *arena, const char **ret_text)
{
    xmlChar *text = NULL;
    int length = 0;
    xmlDocDumpMemoryEnc(xml->document, &text, &length, "UTF-8");
    if (!text)
        return error_new(ERR_INTERNAL, "a document cannot be written");
    *ret_text = arena_strndup(arena, (const char *)text, (size_t)length);
    xmlFree(text);
    return NULL;
}

struct kvm_out {
    xmlBufferPtr buffer;
    xmlTextWriterPtr writer;
    bool failed;
};

struct kvm_out *kvm_out_new(void)
{
    struct kvm_out *out = xcalloc(1, sizeof *out);
    out->buffer = xmlBufferCreate();
    out->writer = out->buffer ? xmlNewTextWriterMemory(out->buffer, 0) : NULL;
    out->failed = !out->writer;
    return out;
}

static void check(struct kvm_out *out, int result)
{
    if (result < 0)
        out->failed = true;
}

void kvm_out_open(struct kvm_out *out, const char *element)
{
    if (!out->failed)
        check(out, xmlTextWriterStartElement(out->writer, BAD_CAST element));
}

void kvm_out_close(struct kvm_out *out)
{
    if (!out->failed)
        check(out, xmlTextWriterEndElement(out->writer));
}

/* XML 1.0 has no place for other control characters, and the writer does not check. */
static bool writable(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        if (*c < 0x20 && *c != '\t' && *c != '\n' && *c != '\r')
            return false;
    return xmlCheckUTF8((const unsigned char *)text) == 1;
}

void kvm_out_attribute(struct kvm_out *out, const char *name, const char *value)
{
    if (!writable(value))
        out->failed = true;
    if (!out->failed)
        check(out, xmlTextWriterWriteAttribute(out->writer, BAD_CAST name, BAD_CAST value));
}

void kvm_out_text(struct kvm_out *out, const char *text)
{
    if (!writable(text))
        out->failed = true;
    if (!out->failed)
        check(out, xmlTextWriterWriteString(out->writer, BAD_CAST text));
}

void kvm_out_leaf(struct kvm_out *out, const char *element, const char *text)
{
    kvm_out_open(out, element);
    if (text)
        kvm_out_text(out, text);
    kvm_out_close(out);
}

void kvm_out_number(struct kvm_out *out, const char *element, const char *unit, uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, number); /* at most 20 digits */
    kvm_out_open(out, element);
    if (unit)
        kvm_out_attribute(out, "unit", unit);
    kvm_out_text(out, text);
    kvm_out_close(out);
}

struct error *kvm_out_finish(struct kvm_out *out, struct arena *arena, const char **ret_text)
{
    if (!out->failed)
        check(out, xmlTextWriterEndDocument(out->writer));
    struct error *error = NULL;
    if (out->writer)
        xmlFreeTextWriter(out->writer);
    if (out->failed)
        error =
            error_new(ERR_INVALID, "a text is not UTF-8 or has control characters, which XML cannot hold");
    else
        *ret_text = arena_strdup(arena, (const char *)xmlBufferContent(out->buffer));
    xmlBufferFree(out->buffer);
    free(out);
    return error;
}
