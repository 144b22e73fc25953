/* Reading what an HMC answers: Atom feeds and entries around payloads, and building what it is sent. Elements
 * are found by local name, for namespaces' prefixes differ between releases and unknown elements are to be
 * tolerated. */
#ifndef DRIVERS_POWERVM_ATOM_H
#define DRIVERS_POWERVM_ATOM_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

#define ATOM_WEB "http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/"
#define ATOM_UOM "http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/"
#define ATOM_MICRO INT64_C(1000000) /* decimal numbers are read and written as millionths */

/* Parses a document of the peer: no network, no document type (hence no entities). The document lives in the
 * arena. ERR_UNAVAILABLE when it is not well-formed. */
struct error *atom_parse(struct arena *arena, const char *text, size_t length,
                         xmlNode **ret_root) ERROR_MUST_USE;

/* First child element of this local name; NULL. */
xmlNode *atom_child(const xmlNode *node, const char *name);
/* Next element sibling of the same local name; NULL. */
xmlNode *atom_next(const xmlNode *node);
/* Descends along "A/B/C", first children; NULL when there is none. A NULL node gives NULL. */
xmlNode *atom_at(const xmlNode *node, const char *path);
/* Trimmed text at the path ("" for the node itself); NULL when absent or empty. In the arena. */
const char *atom_text(struct arena *arena, const xmlNode *node, const char *path);
bool atom_is(const xmlNode *node, const char *path, const char *text);
/* Decimal number at the path in millionths; `missing` when absent or not a number from 0 to 1e12. */
int64_t atom_micro(const xmlNode *node, const char *path, int64_t missing);
/* Last segment of the href attribute at the path, its query cut off: the id of what it names; NULL. */
const char *atom_href_id(struct arena *arena, const xmlNode *node, const char *path);
/* Whole href attribute at the path; NULL. */
const char *atom_href(struct arena *arena, const xmlNode *node, const char *path);

/* Entries of a feed, or the entry itself; NULL for an empty answer (root NULL). */
xmlNode *atom_first_entry(xmlNode *root);
xmlNode *atom_next_entry(xmlNode *entry);
/* The typed element inside the entry's content; NULL. */
xmlNode *atom_payload(const xmlNode *entry);
const char *atom_etag(struct arena *arena, const xmlNode *entry);
/* The payload as a document of its own, for sending it back. In the arena. */
const char *atom_serialize(struct arena *arena, xmlNode *payload);

/* A child with this text (NULL: none) at the end of `parent`, in the parent's namespace. */
xmlNode *atom_add(xmlNode *parent, const char *name, const char *text);
/* Same, a complex one with its schemaVersion. */
xmlNode *atom_add_part(xmlNode *parent, const char *name);
/* Sets the text of the first element at the path; false when there is no such element. */
bool atom_set(xmlNode *node, const char *path, const char *text);

/* "0.25", "16": a number of millionths without trailing zeros. In the arena. */
const char *atom_micro_text(struct arena *arena, int64_t micro);

/* Builds one document from its start to its end. Errors are fatal: the only
 * one that libxml2's writer has in memory is having no more of it. */
struct atom_writer;
/* The root is <kind:kind>, as an HMC wants payloads; its children are in the default namespace. */
struct atom_writer *atom_writer_new(const char *kind, const char *space);
void atom_open(struct atom_writer *writer, const char *name);
void atom_close(struct atom_writer *writer);
void atom_leaf(struct atom_writer *writer, const char *name, const char *text);
void atom_link(struct atom_writer *writer, const char *name, const char *href);
/* Ends and frees the writer; the text is in the arena. */
const char *atom_writer_finish(struct atom_writer *writer, struct arena *arena);

#endif
