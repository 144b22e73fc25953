/* Static documents: answers made once, found by their exact path, sent by any loop. Few and rarely changed,
 * so a list under a read-write lock does. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/http/inside.h"

#define DOCUMENTS_MAX 256 /* the portal's files among them */

struct entry {
    char *path;
    size_t length;
    struct document document;
};

struct documents {
    pthread_rwlock_t lock;
    struct entry entries[DOCUMENTS_MAX];
    size_t count;
};

struct documents *documents_new(void)
{
    struct documents *documents = xcalloc(1, sizeof *documents);
    pthread_rwlock_init(&documents->lock, NULL);
    return documents;
}

static void entry_done(struct entry *entry)
{
    response_unref(entry->document.whole);
    response_unref(entry->document.unchanged);
    free(entry->path);
}

void documents_free(struct documents *documents)
{
    if (!documents)
        return;
    for (size_t i = 0; i < documents->count; i++)
        entry_done(&documents->entries[i]);
    pthread_rwlock_destroy(&documents->lock);
    free(documents);
}

static struct entry *find(struct documents *documents, const char *path, size_t length)
{
    for (size_t i = 0; i < documents->count; i++) {
        struct entry *entry = &documents->entries[i];
        if (entry->length == length && memcmp(entry->path, path, length) == 0)
            return entry;
    }
    return NULL;
}

static struct entry entry_new(const char *path, const char *permission, const char *content_type,
                              const void *bytes, size_t length)
{
    char digest[DIGEST_HEX];
    digest_sha256(bytes, length, digest);
    digest[32] = '\0'; /* 128 bits tell versions of one document apart */
    struct response *whole = response_new(200);
    response_body(whole, content_type, bytes, length, false);
    response_etag(whole, digest);
    response_field(whole, "cache-control", permission ? "private, no-cache" : "no-cache");
    struct entry entry = {.path = xstrdup(path), .length = strlen(path)};
    entry.document = (struct document){
        .whole = whole, .unchanged = response_not_modified(whole), .is_public = permission == NULL};
    if (permission)
        memcpy(entry.document.permission, permission, strlen(permission) + 1);
    return entry;
}

struct error *documents_set(struct documents *documents, const char *path, const char *permission,
                            const char *content_type, const void *bytes, size_t length)
{
    if (path[0] != '/' || strchr(path, '?') || strlen(path) > HTTP_TARGET_MAX)
        return error_new(ERR_INVALID, "\"%s\" is not a document's path", path);
    struct entry made = {0};
    if (permission && strlen(permission) >= sizeof made.document.permission)
        return error_new(ERR_INVALID, "the permission \"%s\" is too long", permission);
    if (bytes)
        made = entry_new(path, permission, content_type, bytes, length);
    struct error *error = NULL;
    pthread_rwlock_wrlock(&documents->lock);
    struct entry *entry = find(documents, path, strlen(path));
    struct entry old = entry ? *entry : (struct entry){0};
    if (!bytes) {
        if (entry)
            *entry = documents->entries[--documents->count];
    } else if (entry) {
        *entry = made;
    } else if (documents->count < DOCUMENTS_MAX) {
        documents->entries[documents->count++] = made;
    } else {
        old = made;
        error = error_new(ERR_TOO_LARGE, "more than %d documents", DOCUMENTS_MAX);
    }
    pthread_rwlock_unlock(&documents->lock);
    entry_done(&old);
    return error;
}

bool documents_find(struct documents *documents, const char *path, size_t length,
                    struct document *ret_document)
{
    pthread_rwlock_rdlock(&documents->lock);
    struct entry *entry = find(documents, path, length);
    if (entry) {
        *ret_document = entry->document;
        response_ref(entry->document.whole);
        response_ref(entry->document.unchanged);
    }
    pthread_rwlock_unlock(&documents->lock);
    return entry != NULL;
}
