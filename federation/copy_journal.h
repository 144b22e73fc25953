/* How far a pass has come, on disk: the blocks that are settled and flushed on the target, with their
 * digests. Appended to and synced; what a crash leaves half written at its end is cut off at the next start.
 */
#ifndef FEDERATION_COPY_JOURNAL_H
#define FEDERATION_COPY_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "broker/base/error.h"
#include "federation/copy_manifest.h"

/* What an attempt must share with the one before to go on from there. */
struct copy_attempt {
    struct copy_shape shape;
    uint32_t pass, changes; /* enum copy_changes */
    char snapshot[COPY_LABEL_MAX + 1];
    uint8_t last[COPY_DIGEST_SIZE]; /* root of the manifest that it began from; zeros without */
};

/* Blocks beside each other. */
struct copy_span {
    uint64_t first, count;
};

struct copy_journal;

/* Opens or makes the file. Blocks that an attempt of the same kind has settled are set in `manifest` and
 * given to `each`; anything else that the file may hold is dropped. *ret_found: there was a file, so that the
 * target may have been written to. */
struct error *copy_journal_open(const char *path, const struct copy_attempt *attempt,
                                struct copy_manifest *manifest, void (*each)(void *data, uint64_t block),
                                void *data, bool *ret_found,
                                struct copy_journal **ret_journal) ERROR_MUST_USE;
/* Notes settled blocks with their digests, in memory; then makes what was noted durable, for which the target
 * must have been flushed in between. */
void copy_journal_note(struct copy_journal *journal, const struct copy_manifest *manifest,
                       const struct copy_span *spans, size_t count);
struct error *copy_journal_sync(struct copy_journal *journal) ERROR_MUST_USE;
/* Closes; the file stays. Accepts NULL. */
void copy_journal_close(struct copy_journal *journal);

#endif
