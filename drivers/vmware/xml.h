/* Reading and writing the XML of SOAP: parsing without network, entities or document types; a walk over
 * elements by local name (prefixes differ between peers and even between elements of one answer); a request
 * built by libxml2's writer. */
#ifndef DRIVERS_VMWARE_XML_H
#define DRIVERS_VMWARE_XML_H

#include <libxml/tree.h>
#include <libxml/xmlwriter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

/* ERR_UNAVAILABLE for what is not well-formed or has a document type. */
struct error *xml_parse(const char *text, size_t length, xmlDoc **ret_doc) ERROR_MUST_USE;

/* First child element of this local name; NULL when there is none or `node` is NULL. */
xmlNode *xml_child(const xmlNode *node, const char *name);
/* First child element of any name, and the next sibling element of this one's name. */
xmlNode *xml_first(const xmlNode *node);
xmlNode *xml_next(const xmlNode *node);
bool xml_is(const xmlNode *node, const char *name);

/* The text of an element, "" when it has none; borrowed from the document. NULL for a NULL node. */
const char *xml_text(const xmlNode *node);
/* Text of a child; NULL when there is no such child. */
const char *xml_child_text(const xmlNode *node, const char *name);
/* The attribute `type` without a namespace: the kind of a managed object reference. */
const char *xml_type_attribute(struct arena *arena, const xmlNode *node);
/* The local part of xsi:type; NULL when absent. */
const char *xml_xsi_type(struct arena *arena, const xmlNode *node);
/* Whole decimal numbers; `fallback` for anything else. */
int64_t xml_number(const xmlNode *node, int64_t fallback);
bool xml_true(const xmlNode *node);

/* A managed object: kind and opaque value, both borrowed. value NULL: none. */
struct moref {
    const char *type;
    const char *value;
};

/* Copies the reference in `node` into the arena; a value of NULL when `node` is NULL. */
struct moref moref_read(struct arena *arena, const xmlNode *node);
bool moref_same(struct moref a, struct moref b);

/* One SOAP request as it is written. Failures (out of memory, invalid UTF-8) are remembered and told by
 * xml_request_end. */
struct xml_request {
    xmlBuffer *buffer;
    xmlTextWriter *writer;
    const char *method;
    bool failed;
};

/* Opens envelope, body, the method's element and its `_this`. */
void xml_request_begin(struct xml_request *request, const char *method, struct moref self);
struct error *xml_request_end(struct xml_request *request) ERROR_MUST_USE;
void xml_request_done(struct xml_request *request);
#define XML_REQUEST_AUTO __attribute__((cleanup(xml_request_done)))

void xml_open(struct xml_request *request, const char *name);
/* With xsi:type. */
void xml_open_as(struct xml_request *request, const char *name, const char *type);
void xml_close(struct xml_request *request);
/* NULL text writes nothing. */
void xml_put(struct xml_request *request, const char *name, const char *text);
void xml_put_number(struct xml_request *request, const char *name, int64_t number);
void xml_put_bool(struct xml_request *request, const char *name, bool value);
/* A reference without value writes nothing. */
void xml_put_ref(struct xml_request *request, const char *name, struct moref ref);

#endif
