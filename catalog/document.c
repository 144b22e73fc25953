/* The catalog's fixed answers; see document.h. */
#include "catalog/document.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/digest.h"
#include "broker/base/json.h"
#include "broker/base/money.h"
#include "catalog/agreement.h"
#include "catalog/item.h"
#include "catalog/kind.h"

static struct document documents[DOCUMENT_COUNT];
static pthread_once_t documents_once = PTHREAD_ONCE_INIT;

static json_t *items_json(void)
{
    int64_t caps[ITEM_COUNT];
    char total[WEIGHTED_TEXT];
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < item_count(); i++) {
        const struct item *item = item_at(i);
        json_t *row = json_object();
        json_put_text(row, "code", item->code);
        json_put_text(row, "name", item->name);
        json_put_text(row, "name_en", item->name_en);
        json_put_text(row, "service_class", item->service_class);
        json_put_text(row, "subclass", item->subclass);
        json_put_int(row, "billing_quantity", item->billing_quantity);
        json_put_text(row, "unit", item->unit);
        json_put_yuan(row, "cap_yuan", item->cap_fen);
        json_put_int(row, "weight_percent", item->weight_percent);
        json_put_text(row, "note", item->note);
        json_push(list, row);
        caps[i] = item->cap_fen;
    }
    json_put(json, "items", list);
    json_put_text(json, "price_unit", "yuan per month");
    json_put_text(json, "weighted_cap_yuan", item_weighted_format(item_weighted_total(caps), total));
    return json;
}

/* Each is part of every cloud, priced 0 (procurement 3.1.4, 3.2.2). 2008 and 2011 have limits in their
 * content: 20 Gb for the whole platform, one account. */
static json_t *security_json(void)
{
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < security_item_count(); i++) {
        const struct security_item *item = security_item_at(i);
        json_t *row = json_object();
        json_put_text(row, "code", item->code);
        json_put_text(row, "name", item->name);
        json_put_text(row, "name_en", item->name_en);
        json_put_text(row, "service_class", item->service_class);
        json_put_text(row, "content", item->content);
        json_put_bool(row, "included", true);
        json_put_yuan(row, "price_yuan", 0);
        json_push(list, row);
    }
    json_put(json, "items", list);
    return json;
}

static json_t *extended_json(void)
{
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < extended_item_count(); i++) {
        const struct extended_item *item = extended_item_at(i);
        json_t *row = json_object();
        json_put_int(row, "number", item->number);
        json_put_text(row, "category", item->category);
        json_put_text(row, "subclass", item->subclass);
        json_put_text(row, "name", item->name);
        json_put_text(row, "name_en", item->name_en);
        json_put_text(row, "note", item->note);
        json_put_bool(row, "extended", true);
        json_push(list, row);
    }
    json_put(json, "items", list);
    return json;
}

static json_t *kinds_json(void)
{
    json_t *json = json_object(), *list = json_array();
    for (size_t i = 0; i < kind_count(); i++)
        json_push(list, kind_json(kind_at(i)));
    json_put(json, "kinds", list);
    return json;
}

static json_t *settings_json(void)
{
    json_t *json = json_object();
    json_put(json, "settings", agreement_settings_json());
    return json;
}

static void make_all(void)
{
    static const struct {
        const char *path;
        json_t *(*make)(void);
    } makers[DOCUMENT_COUNT] = {
        {"/v1/catalog/items", items_json},        {"/v1/catalog/security", security_json},
        {"/v1/catalog/extended", extended_json},  {"/v1/catalog/kinds", kinds_json},
        {"/v1/catalog/agreement", settings_json},
    };
    for (size_t i = 0; i < DOCUMENT_COUNT; i++) {
        char hex[DIGEST_HEX];
        json_t *json = makers[i].make();
        char *bytes = json_dumps(json, JSON_COMPACT);
        json_decref(json);
        if (!bytes) {
            (void)fputs("catalog: out of memory\n", stderr); /* the process ends anyway */
            abort();
        }
        documents[i].path = makers[i].path;
        documents[i].bytes = bytes;
        documents[i].length = strlen(bytes);
        digest_sha256(bytes, documents[i].length, hex);
        memcpy(documents[i].etag, hex, sizeof documents[i].etag - 1);
    }
}

const struct document *catalog_document_at(size_t index)
{
    if (pthread_once(&documents_once, make_all))
        abort();
    return &documents[index];
}

const struct document *catalog_document_find(const char *path)
{
    for (size_t i = 0; i < DOCUMENT_COUNT; i++)
        if (!strcmp(catalog_document_at(i)->path, path))
            return &documents[i];
    return NULL;
}

void catalog_items_document(const char **ret_bytes, size_t *ret_length)
{
    const struct document *document = catalog_document_at(0);
    *ret_bytes = document->bytes;
    *ret_length = document->length;
}
