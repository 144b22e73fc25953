/* GET /v1/catalog/…: the fixed documents, without the database. */
#include "catalog/document.h"
#include "catalog/routes.h"

static struct error *get_document(struct http_call *call, struct http_answer *ret_answer)
{
    const struct document *document = catalog_document_find(call->path);
    if (!document)
        return error_new(ERR_NOT_FOUND, "no such catalog document");
    *ret_answer = (struct http_answer){.status = 200,
                                       .content_type = "application/json",
                                       .bytes = document->bytes,
                                       .length = document->length,
                                       .etag = document->etag};
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/catalog/items", get_document, "catalog:read", HTTP_NO_DB, NULL},
    {"GET", "/v1/catalog/security", get_document, "catalog:read", HTTP_NO_DB, NULL},
    {"GET", "/v1/catalog/extended", get_document, "catalog:read", HTTP_NO_DB, NULL},
    {"GET", "/v1/catalog/kinds", get_document, "catalog:read", HTTP_NO_DB, NULL},
    {"GET", "/v1/catalog/agreement", get_document, "catalog:read", HTTP_NO_DB, NULL},
};

const struct http_table item_routes = HTTP_TABLE(routes);
