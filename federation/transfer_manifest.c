/* See transfer_manifest.h. */
#include "federation/transfer_manifest.h"

#include <openssl/evp.h>
#include <string.h>

#include "broker/base/digest.h"
#include "broker/base/json.h"

#define VCPU_MAX 4096
#define MEMORY_MAX (INT64_C(1) << 30) /* MB */

static const char *signed_text(struct arena *arena, const char *id, const char *digest)
{
    return arena_printf(arena, "yunqiao export|%s|%s", id, digest);
}

struct error *transfer_seal(struct auth *auth, moment now, const char *id, json_t *manifest,
                            struct arena *arena, json_t **ret_sealed)
{
    char digest[DIGEST_HEX];
    const char *kid, *value;
    json_t *sealed = json_hold(arena, json_object()), *signature = json_object();
    const char *text = json_canonical(arena, manifest);
    digest_sm3(text, strlen(text), digest);
    json_put(sealed, "manifest", manifest);
    json_put_text(sealed, "digest_sm3", digest);
    json_put(sealed, "signature", signature);
    const char *said = signed_text(arena, id, digest);
    TRY(auth_sign(auth, now, said, strlen(said), arena, &kid, &value));
    json_put_text(signature, "kid", kid);
    json_put_text(signature, "value", value);
    *ret_sealed = sealed;
    return NULL;
}

/* -------------------------------------------------------------------------------------------------- reading
 */

static struct error *bad(const char *what)
{
    return error_member("/manifest", "%s", what);
}

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static bool is_digest(const char *text)
{
    return text && strlen(text) == DIGEST_HEX - 1 && strspn(text, "0123456789abcdef") == DIGEST_HEX - 1;
}

static struct error *read_files(const json_t *list, struct transfer_sealed *s)
{
    size_t i;
    json_t *file;
    json_array_foreach (list, i, file) {
        struct transfer_file *f = &s->files[i];
        if (i == TRANSFER_FILES_MAX)
            return bad("names too many files");
        *f = (struct transfer_file){.name = text_of(file, "name"),
                                    .size = json_integer_value(json_object_get(file, "size")),
                                    .sha256 = text_of(file, "sha256"),
                                    .sm3 = text_of(file, "sm3")};
        if (!f->name || !transfer_name_valid(f->name) || f->size < 1 || f->size > TRANSFER_FILE_MAX ||
            !is_digest(f->sha256) || !is_digest(f->sm3))
            return bad("names a file without a proper name, size or digests");
        s->file_count = i + 1;
    }
    return s->file_count ? NULL : bad("names no file");
}

static struct error *read_disks(const json_t *list, struct transfer_sealed *s)
{
    size_t i;
    json_t *disk;
    json_array_foreach (list, i, disk) {
        const json_t *content = json_object_get(disk, "content");
        struct transfer_sealed_disk *d = &s->disks[i];
        if (i == TRANSFER_DISKS_MAX)
            return bad("names too many disks");
        int64_t bytes = json_integer_value(json_object_get(disk, "bytes"));
        *d = (struct transfer_sealed_disk){
            .file = text_of(disk, "file"),
            .bytes = (uint64_t)bytes,
            .algorithm = text_of(content, "algorithm"),
            .root = text_of(content, "root"),
            .block_size = json_integer_value(json_object_get(content, "block_size")),
            .high_performance = json_is_true(json_object_get(disk, "high_performance"))};
        if (!d->file || bytes < 512 || bytes % 512 || !d->algorithm || !is_digest(d->root) ||
            (strcmp(d->algorithm, "sha256") != 0 && strcmp(d->algorithm, "sm3") != 0))
            return bad("names a disk without its file, size or content");
        s->disk_count = i + 1;
    }
    return s->disk_count ? NULL : bad("names no disk");
}

static struct error *read_manifest(const json_t *manifest, struct transfer_sealed *s)
{
    const json_t *machine = json_object_get(manifest, "machine");
    if (json_integer_value(json_object_get(manifest, "version")) != 1)
        return bad("is of an unknown version");
    s->id = text_of(manifest, "export");
    s->format = text_of(manifest, "format");
    s->name = text_of(machine, "name");
    s->architecture = text_of(machine, "architecture");
    s->firmware = text_of(machine, "firmware");
    s->mac = text_of(json_array_get(json_object_get(machine, "cards"), 0), "mac");
    s->vcpu = json_integer_value(json_object_get(machine, "vcpu"));
    s->memory_mb = json_integer_value(json_object_get(machine, "memory_mb"));
    if (!s->id || !s->format || transfer_format_find(s->format) == TRANSFER_FORMAT_COUNT || !s->name ||
        !s->architecture || !s->firmware || s->vcpu < 1 || s->vcpu > VCPU_MAX || s->memory_mb < 1 ||
        s->memory_mb > MEMORY_MAX)
        return bad("does not say what the machine is");
    TRY(read_files(json_object_get(manifest, "files"), s));
    return read_disks(json_object_get(machine, "disks"), s);
}

/* Those that sign, and those that did. */
static const struct db_statement select_key = {
    "transfer_key", "SELECT public_key, revoked_at IS NOT NULL FROM signing_key WHERE kid = $1"};

static bool holds(struct arena *arena, const char *public_half, const char *value, const char *text)
{
    unsigned char *key_bytes, *signature;
    size_t key_size, size;
    struct error *error = base64url_decode(arena, public_half, strlen(public_half), &key_bytes, &key_size);
    if (!error)
        error = base64url_decode(arena, value, strlen(value), &signature, &size);
    if (error) {
        error_free(error);
        return false;
    }
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key_bytes, key_size);
    EVP_MD_CTX *context = key ? EVP_MD_CTX_new() : NULL;
    bool good = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, size, (const unsigned char *)text, strlen(text)) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good;
}

static struct error *check_signature(struct db *db, const char *kid, const char *value, const char *text,
                                     struct arena *arena, bool *ret_known)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(db, &select_key, DB_VALUES(db_text(kid)), &rows));
    *ret_known = db_count(rows) > 0;
    if (*ret_known && db_get_bool(rows, 0, 1))
        return bad("is signed by a key that was revoked");
    if (!*ret_known || holds(arena, db_get_text(rows, 0, 0), value, text))
        return NULL;
    return bad("is not what this broker's key signed");
}

struct error *transfer_sealed_read(struct db *db, const json_t *sealed, struct arena *arena,
                                   struct transfer_sealed *ret_sealed, bool *ret_known)
{
    const json_t *manifest = json_object_get(sealed, "manifest"),
                 *signature = json_object_get(sealed, "signature");
    const char *told = text_of(sealed, "digest_sm3"), *kid = text_of(signature, "kid"),
               *value = text_of(signature, "value");
    char digest[DIGEST_HEX];
    if (!json_is_object(manifest) || !told || !kid || !value)
        return bad("must be what an export's manifest.json holds");
    const char *text = json_canonical(arena, manifest);
    digest_sm3(text, strlen(text), digest);
    if (strcmp(digest, told) != 0)
        return bad("was changed: its digest is another one");
    struct transfer_sealed read = {.kid = kid};
    TRY(read_manifest(manifest, &read));
    TRY(check_signature(db, kid, value, signed_text(arena, read.id, digest), arena, ret_known));
    *ret_sealed = read;
    return NULL;
}
