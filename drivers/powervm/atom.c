/* See atom.h. */
#include "drivers/powervm/atom.h"

#include <libxml/parser.h>
#include <libxml/xmlwriter.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "V1_0"
#define NUMBER_MAX INT64_C(1000000000000) /* of a decimal number's whole part */

static pthread_once_t parser_once = PTHREAD_ONCE_INIT;

static void silence(void *context, const char *message, ...)
{
}

static void parser_start(void)
{
    xmlInitParser();
    xmlSetGenericErrorFunc(NULL, silence);
}

/* libxml2 gives NULL when memory is out: as everywhere in the house, that ends the process. */
static void *must(void *object)
{
    if (!object)
        abort();
    return object;
}

static void free_document(void *document)
{
    xmlFreeDoc(document);
}

struct error *atom_parse(struct arena *arena, const char *text, size_t length, xmlNode **ret_root)
{
    pthread_once(&parser_once, parser_start);
    if (memmem(text, length, "<!DOCTYPE", 9))
        return error_new(ERR_UNAVAILABLE, "the HMC's answer has a document type, which is not accepted");
    if (length > INT32_MAX)
        return error_new(ERR_UNAVAILABLE, "the HMC's answer is too large");
    xmlDoc *document =
        xmlReadMemory(text, (int)length, "answer.xml", NULL,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_COMPACT);
    xmlNode *root = document ? xmlDocGetRootElement(document) : NULL;
    if (!root) {
        xmlFreeDoc(document);
        return error_new(ERR_UNAVAILABLE, "the HMC's answer is not well-formed XML");
    }
    arena_defer(arena, free_document, document);
    *ret_root = root;
    return NULL;
}

static bool named(const xmlNode *node, const char *name, size_t length)
{
    return node->type == XML_ELEMENT_NODE && strncmp((const char *)node->name, name, length) == 0 &&
           node->name[length] == '\0';
}

static xmlNode *find_from(xmlNode *node, const char *name, size_t length)
{
    while (node && !named(node, name, length))
        node = node->next;
    return node;
}

xmlNode *atom_child(const xmlNode *node, const char *name)
{
    return node ? find_from(node->children, name, strlen(name)) : NULL;
}

xmlNode *atom_next(const xmlNode *node)
{
    const char *name = (const char *)node->name;
    return find_from(node->next, name, strlen(name));
}

static xmlNode *descend(xmlNode *node, const char *path)
{
    while (node && *path) {
        size_t length = strcspn(path, "/");
        node = find_from(node->children, path, length);
        path += length + (path[length] == '/');
    }
    return node;
}

xmlNode *atom_at(const xmlNode *node, const char *path)
{
    if (!node || !*path)
        return NULL;
    size_t length = strcspn(path, "/");
    return descend(find_from(node->children, path, length), path + length + (path[length] == '/'));
}

const char *atom_text(struct arena *arena, const xmlNode *node, const char *path)
{
    const xmlNode *at = *path ? atom_at(node, path) : node;
    xmlChar *content = at ? xmlNodeGetContent(at) : NULL;
    const char *start = (const char *)content, *result = NULL;
    if (content) {
        start += strspn(start, " \t\r\n");
        size_t length = strlen(start);
        while (length && strchr(" \t\r\n", start[length - 1]))
            length--;
        result = length ? arena_strndup(arena, start, length) : NULL;
    }
    xmlFree(content);
    return result;
}

bool atom_is(const xmlNode *node, const char *path, const char *text)
{
    ARENA_AUTO struct arena *scratch = arena_new();
    const char *found = atom_text(scratch, node, path);
    return found && strcmp(found, text) == 0;
}

int64_t atom_micro(const xmlNode *node, const char *path, int64_t missing)
{
    ARENA_AUTO struct arena *scratch = arena_new();
    const char *text = atom_text(scratch, node, path);
    if (!text || !strchr("0123456789", *text))
        return missing;
    int64_t value = 0, scale = ATOM_MICRO;
    for (; *text >= '0' && *text <= '9'; text++) {
        value = value * 10 + (*text - '0');
        if (value > NUMBER_MAX)
            return missing;
    }
    value *= ATOM_MICRO;
    if (*text == '.')
        text++;
    for (; *text >= '0' && *text <= '9'; text++) {
        scale /= 10;
        value += (*text - '0') * scale;
    }
    return *text ? missing : value;
}

const char *atom_href(struct arena *arena, const xmlNode *node, const char *path)
{
    const xmlNode *at = *path ? atom_at(node, path) : node;
    xmlChar *href = at ? xmlGetNoNsProp(at, (const xmlChar *)"href") : NULL;
    const char *result = href ? arena_strdup(arena, (const char *)href) : NULL;
    xmlFree(href);
    return result;
}

const char *atom_href_id(struct arena *arena, const xmlNode *node, const char *path)
{
    const char *href = atom_href(arena, node, path);
    if (!href)
        return NULL;
    size_t length = strcspn(href, "?");
    while (length && href[length - 1] == '/')
        length--;
    size_t start = length;
    while (start && href[start - 1] != '/')
        start--;
    return start < length ? arena_strndup(arena, href + start, length - start) : NULL;
}

xmlNode *atom_first_entry(xmlNode *root)
{
    if (!root || named(root, "entry", 5))
        return root;
    return atom_child(root, "entry");
}

xmlNode *atom_next_entry(xmlNode *entry)
{
    return atom_next(entry);
}

xmlNode *atom_payload(const xmlNode *entry)
{
    const xmlNode *content = atom_child(entry, "content");
    return content ? xmlFirstElementChild((xmlNode *)(uintptr_t)content) : NULL;
}

const char *atom_etag(struct arena *arena, const xmlNode *entry)
{
    return atom_text(arena, entry, "etag");
}

static const char *take_text(struct arena *arena, xmlChar *text, int length)
{
    must(text);
    const char *result = arena_strndup(arena, (const char *)text, (size_t)length);
    xmlFree(text);
    return result;
}

const char *atom_serialize(struct arena *arena, xmlNode *payload)
{
    xmlDoc *document = must(xmlNewDoc((const xmlChar *)"1.0"));
    xmlNode *copy = must(xmlDocCopyNode(payload, document, 1));
    xmlDocSetRootElement(document, copy);
    xmlReconciliateNs(document, copy);
    xmlChar *text = NULL;
    int length = 0;
    xmlDocDumpMemoryEnc(document, &text, &length, "UTF-8");
    xmlFreeDoc(document);
    return take_text(arena, text, length);
}

xmlNode *atom_add(xmlNode *parent, const char *name, const char *text)
{
    return must(xmlNewTextChild(parent, NULL, (const xmlChar *)name, (const xmlChar *)text));
}

xmlNode *atom_add_part(xmlNode *parent, const char *name)
{
    xmlNode *node = atom_add(parent, name, NULL);
    must(xmlNewProp(node, (const xmlChar *)"schemaVersion", (const xmlChar *)SCHEMA));
    return node;
}

bool atom_set(xmlNode *node, const char *path, const char *text)
{
    xmlNode *at = atom_at(node, path);
    if (!at)
        return false;
    xmlNode *fresh = must(xmlNewDocText(at->doc, (const xmlChar *)text));
    while (at->children) {
        xmlNode *old = at->children;
        xmlUnlinkNode(old);
        xmlFreeNode(old);
    }
    must(xmlAddChild(at, fresh));
    return true;
}

const char *atom_micro_text(struct arena *arena, int64_t micro)
{
    char *text =
        arena_printf(arena, "%lld.%06lld", (long long)(micro / ATOM_MICRO), (long long)(micro % ATOM_MICRO));
    size_t length = strlen(text);
    while (text[length - 1] == '0')
        length--;
    if (text[length - 1] == '.')
        length--;
    text[length] = '\0';
    return text;
}

struct atom_writer {
    xmlBuffer *buffer;
    xmlTextWriter *writer;
};

/* The writer's calls fail only when memory is out. */
static void wrote(int result)
{
    if (result < 0)
        abort();
}

struct atom_writer *atom_writer_new(const char *kind, const char *space)
{
    struct atom_writer *writer = xcalloc(1, sizeof *writer);
    writer->buffer = must(xmlBufferCreate());
    writer->writer = must(xmlNewTextWriterMemory(writer->buffer, 0));
    wrote(xmlTextWriterStartDocument(writer->writer, NULL, "UTF-8", "yes"));
    wrote(xmlTextWriterStartElementNS(writer->writer, (const xmlChar *)kind, (const xmlChar *)kind,
                                      (const xmlChar *)space));
    wrote(xmlTextWriterWriteAttribute(writer->writer, (const xmlChar *)"xmlns", (const xmlChar *)space));
    wrote(xmlTextWriterWriteAttribute(writer->writer, (const xmlChar *)"schemaVersion",
                                      (const xmlChar *)SCHEMA));
    return writer;
}

void atom_open(struct atom_writer *writer, const char *name)
{
    wrote(xmlTextWriterStartElement(writer->writer, (const xmlChar *)name));
    wrote(xmlTextWriterWriteAttribute(writer->writer, (const xmlChar *)"schemaVersion",
                                      (const xmlChar *)SCHEMA));
}

void atom_close(struct atom_writer *writer)
{
    wrote(xmlTextWriterEndElement(writer->writer));
}

void atom_leaf(struct atom_writer *writer, const char *name, const char *text)
{
    wrote(xmlTextWriterWriteElement(writer->writer, (const xmlChar *)name, (const xmlChar *)text));
}

void atom_link(struct atom_writer *writer, const char *name, const char *href)
{
    wrote(xmlTextWriterStartElement(writer->writer, (const xmlChar *)name));
    wrote(xmlTextWriterWriteAttribute(writer->writer, (const xmlChar *)"href", (const xmlChar *)href));
    wrote(xmlTextWriterWriteAttribute(writer->writer, (const xmlChar *)"rel", (const xmlChar *)"related"));
    wrote(xmlTextWriterEndElement(writer->writer));
}

const char *atom_writer_finish(struct atom_writer *writer, struct arena *arena)
{
    wrote(xmlTextWriterEndDocument(writer->writer));
    xmlFreeTextWriter(writer->writer);
    const char *text = arena_strndup(arena, (const char *)xmlBufferContent(writer->buffer),
                                     (size_t)xmlBufferLength(writer->buffer));
    xmlBufferFree(writer->buffer);
    free(writer);
    return text;
}
