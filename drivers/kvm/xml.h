/* libvirt's XML, read and written with libxml2: no network, no entities, bounded size. */
#ifndef DRIVERS_KVM_XML_H
#define DRIVERS_KVM_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

#define KVM_XML_MAX \
    (8u * 1024 * 1024) /* bytes of one document; libvirt's own answers end at 4 MiB a string */

struct kvm_xml;
struct kvm_xml_node;

/* ERR_UNAVAILABLE (the peer answers garbage) when it is no document with this root element. */
struct error *kvm_xml_parse(const char *text, const char *root, struct kvm_xml **ret_xml) ERROR_MUST_USE;
void kvm_xml_free(struct kvm_xml *xml);

/* XPath from `from` (NULL: the document); prefix `y` is KVM_XML_NAMESPACE. text: the first match's, NULL when
 * none. nodes: all matches, in document order. Results of text live in the arena; nodes
 * live as long as the document. */
const char *kvm_xml_text(struct kvm_xml *xml, struct arena *arena, const struct kvm_xml_node *from,
                         const char *path);
const struct kvm_xml_node *const *kvm_xml_nodes(struct kvm_xml *xml, struct arena *arena,
                                                const struct kvm_xml_node *from, const char *path,
                                                size_t *ret_count);
/* A decimal number without sign; 0 when absent or none. */
uint64_t kvm_xml_number(struct kvm_xml *xml, struct arena *arena, const struct kvm_xml_node *from,
                        const char *path);

#define KVM_XML_NAMESPACE "urn:yunqiao:kvm:1"

/* Changing a document that was read. drop: everything that `path` matches. set: an attribute of `node`.
 * text: an element's text. add: the element `fragment`, a document of its own, as the last child of `parent`.
 * Nodes that were dropped must not be used again. */
void kvm_xml_drop(struct kvm_xml *xml, const char *path);
void kvm_xml_set(const struct kvm_xml_node *node, const char *name, const char *value);
struct error *kvm_xml_set_text(const struct kvm_xml_node *node, const char *text) ERROR_MUST_USE;
struct error *kvm_xml_add(struct kvm_xml *xml, const struct kvm_xml_node *parent,
                          const char *fragment) ERROR_MUST_USE;
/* The first match of `path`; ERR_UNAVAILABLE (the peer answers garbage) when there is none. */
struct error *kvm_xml_node(struct kvm_xml *xml, struct arena *arena, const char *path,
                           const struct kvm_xml_node **ret_node) ERROR_MUST_USE;
struct error *kvm_xml_print(struct kvm_xml *xml, struct arena *arena, const char **ret_text) ERROR_MUST_USE;

static inline void kvm_xml_cleanup(struct kvm_xml **xml)
{
    kvm_xml_free(*xml);
}
#define XML_AUTO __attribute__((cleanup(kvm_xml_cleanup)))

/* Writing. A failure (memory, bytes that are no UTF-8) is remembered and told by finish. */
struct kvm_out;
struct kvm_out *kvm_out_new(void);
void kvm_out_open(struct kvm_out *out, const char *element);
void kvm_out_close(struct kvm_out *out);
void kvm_out_attribute(struct kvm_out *out, const char *name, const char *value);
/* An element that holds only text; NULL text: an empty element. */
void kvm_out_leaf(struct kvm_out *out, const char *element, const char *text);
void kvm_out_text(struct kvm_out *out, const char *text);
void kvm_out_number(struct kvm_out *out, const char *element, const char *unit, uint64_t number);
/* Closes what is open, frees `out`, and gives the document in the arena; ERR_INVALID when it cannot be one.
 */
struct error *kvm_out_finish(struct kvm_out *out, struct arena *arena, const char **ret_text) ERROR_MUST_USE;

#endif
