/* A lane: one thread, one connection to each side, and the blocks that it has in flight. Inside the engine
 * alone. */
#ifndef FEDERATION_COPY_LANE_H
#define FEDERATION_COPY_LANE_H

#include "federation/copy_run.h"

/* What a block in flight is waiting for. */
enum copy_slot_state { SLOT_FREE, SLOT_WANTS_READ, SLOT_READING, SLOT_WANTS_WRITE, SLOT_WRITING };

struct copy_lane;

struct copy_slot {
    struct copy_lane *lane;
    enum copy_slot_state state;
    struct copy_job job;
    uint64_t start, length; /* bytes of the job */
    uint8_t *buffer;        /* a block, rounded up to what the target can write */
    unsigned reads, writes; /* without answer */
    uint64_t due, seen;     /* bytes asked for, and that answers brought */
    uint64_t written, zeroed;
    int number; /* errno of the first answer that failed */
    enum copy_side failed;
    bool digested;
    uint8_t digest[COPY_DIGEST_SIZE];
};

struct copy_lane {
    struct copy_run *run;
    struct copy_connection *source, *target; /* target NULL: verifying */
    bool first;                              /* sends the flushes */
    pthread_t thread;
    struct copy_slot *slots;
    size_t slot_count;
    struct copy_digest *digest;
    unsigned reading, writing; /* requests without answer */
    int64_t read_at, write_at; /* of the last answer, or of the first request after a pause */
    bool flushing;
    int flush_number;
    int64_t wait_us; /* until a link has room */
    bool no_more;    /* the plan has no job left */
};

/* The lane's thread. */
void *copy_lane_main(void *lane);
/* Takes a slot as far as it gets without waiting. */
struct error *copy_slot_advance(struct copy_slot *slot) ERROR_MUST_USE;

#endif
