/* The copy engine: one pass over one disk, from an NBD export to an NBD export, with a digest of every block,
 * so that what arrived can be proved. It knows no database, no cloud and no driver: who calls it has exports
 * on both sides, a folder for its files, and the manifest of the last pass.
 *
 * A pass reads what the source says is there, writes zeros where it says there are none, and ends with the
 * target flushed and a manifest (copy_manifest.h) written. The first one copies all (COPY_ALL), each further
 * one what changed. A pass that was killed goes on, called again with the same arguments, where the target
 * was last flushed. copy_verify (copy_check.h) reads the target back. */
#ifndef FEDERATION_COPY_H
#define FEDERATION_COPY_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/base/error.h"
#include "federation/copy_extent.h"
#include "federation/copy_link.h"
#include "federation/copy_manifest.h"
#include "federation/copy_plan.h"

enum copy_side { COPY_SOURCE, COPY_TARGET };

/* An export: a unix socket, or host and port. */
struct copy_end {
    const char *socket;
    const char *host, *port;
    const char *export_name; /* NULL or "": the default one */
    /* TLS required: a server without it, or that cannot prove who it is, is refused. Either the folder with
     * ca-cert.pem (and client-cert.pem, client-key.pem where the server asks for them), for host and port
     * alone: the certificate is checked against the host; or a file of pre-shared keys and the user. */
    bool tls;
    const char *certificates;
    const char *psk_file, *psk_user;
    struct copy_link *link; /* what goes to or comes from this end counts there; NULL: no limit */
};

struct copy_progress {
    int64_t elapsed_us;
    uint64_t size;                  /* of the disk */
    uint64_t total, done;           /* bytes of the blocks that the pass has to settle, and has */
    uint64_t resumed;               /* of those, by earlier attempts */
    uint64_t read, written, zeroed; /* what went over the connections */
    uint64_t rate;                  /* bytes settled a second, over the last seconds */
};

/* Called about once a second and at the end; false cancels the pass (ERR_CANCELLED). In the caller's thread.
 */
typedef bool copy_progress_fn(void *data, const struct copy_progress *progress);

/* How a pass runs; 0 anywhere takes the default in the comment. */
struct copy_tuning {
    unsigned connections;      /* 2: to each side, when both allow several */
    uint32_t request_size;     /* 256 KiB: 64 KiB–32 MiB */
    uint64_t memory_max;       /* 32 MiB of blocks in flight; at least one a connection */
    int64_t stall_us;          /* 60 s without an answer that is due */
    int64_t checkpoint_us;     /* 5 s … */
    uint64_t checkpoint_bytes; /* … or 1 GiB, whichever comes first */
};

struct copy_pass {
    struct copy_end source, target;
    enum copy_changes changes;
    const char *bitmap;               /* of COPY_BITMAP: NAME of qemu:dirty-bitmap:NAME */
    const struct copy_extents *areas; /* of COPY_AREAS: covers the disk (copy_extents_page) */
    const struct copy_manifest *last; /* of all but COPY_ALL: what the target holds */
    /* Names the point in time of the source (a snapshot, a checkpoint): an attempt goes on where one with the
     * same text and pass stopped. At most COPY_LABEL_MAX bytes. */
    const char *snapshot;
    const char *label; /* which disk; at most COPY_LABEL_MAX bytes */
    uint32_t pass;
    enum copy_algorithm algorithm; /* COPY_NONE: no manifest, no resuming, COPY_ALL alone */
    uint32_t block_size;           /* 0: copy_block_size */
    const char *manifest_path;     /* PATH is written at the end, PATH.progress meanwhile */
    bool target_zero; /* the target was just made and reads as zeros; believed on a first attempt */
    bool allocate;    /* zeros are to take their space (a thick target) */
    struct copy_tuning tuning;
    copy_progress_fn *progress; /* may be NULL */
    void *data;
};

struct copy_result {
    struct copy_progress progress;
    uint8_t root[COPY_DIGEST_SIZE]; /* zeros with COPY_NONE */
};

/* Runs a pass to its end. On success the target holds the source's content, is flushed, and the manifest is
 * on disk. Errors name the side: ERR_INVALID arguments, or extents that do not cover the disk; ERR_CONFLICT
 * the disk was resized or the manifest is of another; ERR_NOT_FOUND there is no such export or bitmap;
 * ERR_DENIED TLS, credentials, a read-only target; ERR_NO_CAPACITY the target (or the folder of the manifest)
 * is full or too small; ERR_IO a read or write failed; ERR_UNAVAILABLE a side is gone or answers garbage;
 * ERR_TIMEOUT a side is stalled; ERR_CANCELLED. */
struct error *copy_pass_run(const struct copy_pass *pass, struct copy_result *ret_result) ERROR_MUST_USE;

/* What the pass would do, for a forecast: bytes of blocks to read, bytes to zero. Reads extents only, and
 * with COPY_COMPARE counts everything that is not zero. */
struct error *copy_pass_measure(const struct copy_pass *pass, uint64_t *ret_blocks,
                                uint64_t *ret_zeros) ERROR_MUST_USE;

/* Removes what an unfinished pass left beside the manifest. */
struct error *copy_pass_forget(const char *manifest_path) ERROR_MUST_USE;

#endif
