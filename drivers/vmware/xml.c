/* See xml.h. */
#include "drivers/vmware/xml.h"

#include <errno.h>
#include <inttypes.h>
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

#define XSI_NAMESPACE "http://www.w3.org/2001/XMLSchema-instance"

/* libxml2 would print to standard error. */
static void xml_silent(void *context, const char *format, ...)
{
}

struct error *xml_parse(const char *text, size_t length, xmlDoc **ret_doc)
{
    if (length == 0 || length > INT32_MAX)
        return error_new(ERR_UNAVAILABLE, "the answer is %s", length ? "too long" : "empty");
    xmlParserCtxt *parser = xmlNewParserCtxt();
    if (!parser)
        return error_new(ERR_INTERNAL, "out of memory for an XML parser");
    parser->sax->error = NULL;
    parser->sax->warning = xml_silent;
    xmlDoc *doc = xmlCtxtReadMemory(parser, text, (int)length, NULL, NULL,
                                    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                        XML_PARSE_NOCDATA | XML_PARSE_COMPACT);
    xmlFreeParserCtxt(parser);
    if (!doc)
        return error_new(ERR_UNAVAILABLE, "the answer is not well-formed XML");
    if (xmlGetIntSubset(doc)) {
        xmlFreeDoc(doc);
        return error_new(ERR_UNAVAILABLE, "the answer has a document type, which SOAP forbids");
    }
    *ret_doc = doc;
    return NULL;
}

bool xml_is(const xmlNode *node, const char *name)
{
    return node->type == XML_ELEMENT_NODE && strcmp((const char *)node->name, name) == 0;
}

xmlNode *xml_child(const xmlNode *node, const char *name)
{
    for (xmlNode *child = node ? node->children : NULL; child; child = child->next)
        if (xml_is(child, name))
            return child;
    return NULL;
}

xmlNode *xml_first(const xmlNode *node)
{
    for (xmlNode *child = node ? node->children : NULL; child; child = child->next)
        if (child->type == XML_ELEMENT_NODE)
            return child;
    return NULL;
}

xmlNode *xml_next(const xmlNode *node)
{
    for (xmlNode *next = node->next; next; next = next->next)
        if (xml_is(next, (const char *)node->name))
            return next;
    return NULL;
}

const char *xml_text(const xmlNode *node)
{
    if (!node)
        return NULL;
    /* With entities refused and CDATA merged, text is one node. */
    const xmlNode *child = node->children;
    if (child && child->type == XML_TEXT_NODE && child->content)
        return (const char *)child->content;
    return "";
}

const char *xml_child_text(const xmlNode *node, const char *name)
{
    return xml_text(xml_child(node, name));
}

static const char *attribute_text(struct arena *arena, const xmlAttr *attribute)
{
    if (!attribute || !attribute->children || !attribute->children->content)
        return NULL;
    return arena_strdup(arena, (const char *)attribute->children->content);
}

const char *xml_type_attribute(struct arena *arena, const xmlNode *node)
{
    for (const xmlAttr *a = node ? node->properties : NULL; a; a = a->next)
        if (!a->ns && strcmp((const char *)a->name, "type") == 0)
            return attribute_text(arena, a);
    return NULL;
}

const char *xml_xsi_type(struct arena *arena, const xmlNode *node)
{
    for (const xmlAttr *a = node ? node->properties : NULL; a; a = a->next) {
        if (!a->ns || strcmp((const char *)a->name, "type") != 0 ||
            strcmp((const char *)a->ns->href, XSI_NAMESPACE) != 0)
            continue;
        const char *type = attribute_text(arena, a);
        const char *colon = type ? strchr(type, ':') : NULL;
        return colon ? colon + 1 : type;
    }
    return NULL;
}

int64_t xml_number(const xmlNode *node, int64_t fallback)
{
    const char *text = xml_text(node);
    if (!text || !*text)
        return fallback;
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    return errno || *end ? fallback : number;
}

bool xml_true(const xmlNode *node)
{
    const char *text = xml_text(node);
    return text && (strcmp(text, "true") == 0 || strcmp(text, "1") == 0);
}

struct moref moref_read(struct arena *arena, const xmlNode *node)
{
    struct moref ref = {0};
    const char *text = xml_text(node);
    if (text && *text) {
        ref.type = xml_type_attribute(arena, node);
        ref.value = arena_strdup(arena, text);
        if (!ref.type)
            ref.type = "";
    }
    return ref;
}

bool moref_same(struct moref a, struct moref b)
{
    return a.value && b.value && strcmp(a.value, b.value) == 0 && strcmp(a.type, b.type) == 0;
}

static void note(struct xml_request *request, int result)
{
    if (result < 0)
        request->failed = true;
}

static const xmlChar *x(const char *text)
{
    return (const xmlChar *)text;
}

void xml_request_begin(struct xml_request *request, const char *method, struct moref self)
{
    *request = (struct xml_request){.method = method, .buffer = xmlBufferCreate()};
    request->writer = request->buffer ? xmlNewTextWriterMemory(request->buffer, 0) : NULL;
    if (!request->writer) {
        request->failed = true;
        return;
    }
    note(request, xmlTextWriterStartDocument(request->writer, "1.0", "UTF-8", NULL));
    note(request, xmlTextWriterStartElementNS(request->writer, x("soapenv"), x("Envelope"),
                                              x("http://schemas.xmlsoap.org/soap/envelope/")));
    note(request, xmlTextWriterWriteAttribute(request->writer, x("xmlns:xsi"), x(XSI_NAMESPACE)));
    note(request,
         xmlTextWriterWriteAttribute(request->writer, x("xmlns:xsd"), x("http://www.w3.org/2001/XMLSchema")));
    xml_open(request, "soapenv:Body");
    xml_open(request, method);
    if (request->writer)
        note(request, xmlTextWriterWriteAttribute(request->writer, x("xmlns"), x("urn:vim25")));
    xml_put_ref(request, "_this", self);
}

struct error *xml_request_end(struct xml_request *request)
{
    if (request->writer) {
        note(request, xmlTextWriterEndDocument(request->writer));
        xmlFreeTextWriter(request->writer); /* flushes */
        request->writer = NULL;
    }
    if (request->failed)
        return error_new(ERR_INTERNAL, "could not write the request %s", request->method);
    return NULL;
}

void xml_request_done(struct xml_request *request)
{
    if (request->writer)
        xmlFreeTextWriter(request->writer);
    if (request->buffer)
        xmlBufferFree(request->buffer);
    *request = (struct xml_request){0};
}

void xml_open(struct xml_request *request, const char *name)
{
    if (!request->failed)
        note(request, xmlTextWriterStartElement(request->writer, x(name)));
}

void xml_open_as(struct xml_request *request, const char *name, const char *type)
{
    xml_open(request, name);
    if (!request->failed)
        note(request, xmlTextWriterWriteAttribute(request->writer, x("xsi:type"), x(type)));
}

void xml_close(struct xml_request *request)
{
    if (!request->failed)
        note(request, xmlTextWriterEndElement(request->writer));
}

void xml_put(struct xml_request *request, const char *name, const char *text)
{
    if (text && !request->failed)
        note(request, xmlTextWriterWriteElement(request->writer, x(name), x(text)));
}

void xml_put_number(struct xml_request *request, const char *name, int64_t number)
{
    if (!request->failed)
        note(request, xmlTextWriterWriteFormatElement(request->writer, x(name), "%" PRId64, number));
}

void xml_put_bool(struct xml_request *request, const char *name, bool value)
{
    xml_put(request, name, value ? "true" : "false");
}

void xml_put_ref(struct xml_request *request, const char *name, struct moref ref)
{
    if (!ref.value || request->failed)
        return;
    xml_open(request, name);
    note(request, xmlTextWriterWriteAttribute(request->writer, x("type"), x(ref.type)));
    note(request, xmlTextWriterWriteString(request->writer, x(ref.value)));
    xml_close(request);
}
