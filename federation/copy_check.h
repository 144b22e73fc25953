/* Reads a copy back and compares it with the manifest: all of it, or a sample by policy. */
#ifndef FEDERATION_COPY_CHECK_H
#define FEDERATION_COPY_CHECK_H

#include "federation/copy.h"

#define COPY_MISMATCHES_MAX 128

struct copy_check {
    struct copy_end target;
    const struct copy_manifest *manifest;
    uint64_t sample, seed; /* that many blocks, chosen by the seed; 0: all of them */
    struct copy_tuning tuning;
    copy_progress_fn *progress; /* may be NULL */
    void *data;
};

struct copy_check_result {
    struct copy_progress progress;
    uint64_t mismatches;                   /* blocks that differ */
    uint64_t offsets[COPY_MISMATCHES_MAX]; /* where they begin, in order: the first ones that were met */
    size_t count;
};

/* NULL: every block that was looked at has the manifest's digest, and (with all of them) a target that is
 * larger than the disk is zero beyond it. ERR_CONFLICT: some differ; *ret_result says which, in this case
 * too. Other errors as copy_pass_run. What the target says reads as zeros (base:allocation) is taken for
 * zeros. */
struct error *copy_verify(const struct copy_check *check,
                          struct copy_check_result *ret_result) ERROR_MUST_USE;

#endif
