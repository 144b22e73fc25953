/* copy_manifest_load over any bytes, the header's digest and root put right where the fuzzer cannot guess
 * them: what is read is written again as the same bytes, what is refused is ERR_INVALID. */
#include <string.h>

#include "federation/copy_bytes.h"
#include "federation/copy_manifest.h"
#include "tests/fuzz/fuzz.h"

#define HEADER 192

/* As copy_manifest_file.c places them. */
static void put_right(uint8_t *bytes, size_t size)
{
    if (size < HEADER)
        return;
    memcpy(bytes, "YQCOPYM1", 8);
    struct copy_digest *digest = copy_digest_new(bytes[15] == 2 ? COPY_SM3 : COPY_SHA256);
    copy_digest_of(digest, bytes, HEADER - COPY_DIGEST_SIZE, bytes + HEADER - COPY_DIGEST_SIZE);
    copy_digest_free(digest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct copy_manifest *manifest = NULL;
    if (!size)
        return 0;
    uint8_t *bytes = malloc(size);
    PROMISE(bytes);
    memcpy(bytes, data, size);
    if (data[size - 1] & 1)
        put_right(bytes, size);
    FILE *stream = fmemopen(bytes, size, "r");
    PROMISE(stream);
    struct error *error = copy_manifest_load(stream, &manifest);
    (void)fclose(stream);
    if (error) {
        PROMISE(error_code(error) == ERR_INVALID && !manifest);
        error_free(error);
    } else {
        char *again = NULL;
        size_t length = 0;
        stream = open_memstream(&again, &length);
        PROMISE(stream && !copy_manifest_save(manifest, stream));
        (void)fclose(stream);
        PROMISE(length == size && memcmp(again, bytes, size) == 0);
        free(again);
        copy_manifest_free(manifest);
    }
    free(bytes);
    return 0;
}
