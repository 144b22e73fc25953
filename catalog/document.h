/* The catalog's fixed answers as JSON text, made once: the same bytes for every caller, so the HTTP server
 * can give them from an event loop without a worker (server_document in the composition root). */
#ifndef CATALOG_DOCUMENT_H
#define CATALOG_DOCUMENT_H

#include <stddef.h>

struct document {
    const char *path; /* "/v1/catalog/items" */
    const char *bytes;
    size_t length;
    char etag[33];
};

/* /v1/catalog/items, /v1/catalog/security, /v1/catalog/extended, /v1/catalog/kinds, /v1/catalog/agreement, in
 * this order. Thread-safe; the bytes live as long as the process. */
#define DOCUMENT_COUNT 5
const struct document *catalog_document_at(size_t index);
/* NULL when `path` is none of them. */
const struct document *catalog_document_find(const char *path);
/* The first of them. */
void catalog_items_document(const char **ret_bytes, size_t *ret_length);

#endif
