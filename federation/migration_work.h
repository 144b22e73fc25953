/* What the parts of the job "migrate" share; nobody else includes it. migration_job.c decides and writes
 * down, the others do one effect each: at the providers (migration_side.c), with the data (migration_data.c),
 * between hypervisors (migration_live.c), a test boot (migration_test.c), in the rows (migration_rows.c). */
#ifndef FEDERATION_MIGRATION_WORK_H
#define FEDERATION_MIGRATION_WORK_H

#include "broker/control/provider_call.h"
#include "broker/control/resource.h"
#include "broker/jobs/job.h"
#include "drivers/driver_move.h"
#include "federation/link.h"
#include "federation/migration_step.h"
#include "federation/migration_store.h"
#include "federation/migration_test.h"
#include "federation/services.h"

#define MIGRATION_DISKS_MAX 16
/* Of opening and closing disks, uploads included, and of partition mobility. A live move with its disks is
 * watched for stalls by its driver. */
#define MIGRATION_CALL_US (24 * MOMENT_HOUR)
#define MIGRATION_MOVE_US (90 * MOMENT_DAY)

/* The names of one pass's exports and checkpoints; NULL: there is none. */
struct migration_pass_plan {
    const char *source, *target, *checkpoint, *since;
    bool stays; /* the target's export stays open for the next pass */
};

/* What one pass did with one disk. */
struct migration_passed {
    const char *disk, *kind, *why, *digest;
    uint64_t disk_bytes, read_bytes, written_bytes;
    int64_t elapsed_us;
    bool quiesced;
};

struct migration_work {
    struct arena *arena;
    struct job *job; /* NULL in the API, which does nothing at a provider */
    struct migration_row row;
    struct resource instance;
    struct resource *volumes; /* that go, or went, along */
    size_t volume_count;
    struct migration_facts facts;
    const char *denied; /* why there is no good consent; NULL: there is */
    const char *unseen; /* why an end could not be looked at; NULL: both were */
    enum migration_event
        found; /* by the effect: an event to tell instead of going on; MIGRATION_EVENT_COUNT: none */
    const char *found_why;
    int64_t wait_us; /* the effect is not at its end: again after so long; 0: it is */
    struct migration_pass_plan plan;
    struct migration_passed *passed;
    size_t passed_count;
    int64_t around_us;          /* of the pass beside the copying: opening and closing what is copied */
    struct migration_test test; /* testing: the test that it is for */
    struct migration_test_result tested; /* what TEST_RUN found; outcome NULL: nothing yet */
    int64_t downtime_us;                 /* of a live move, as the hypervisors told it; -1: not told */
    int64_t asked_at;                    /* monotonic: when the row was last asked whether it moved on */
    uint64_t to_upload; /* bytes that are staged here, and have to go to the target in the last pass */
    json_t *converted;  /* what became of the conversion */
    bool moved_on;
    int64_t consent_at;  /* monotonic: when the consent was last asked for */
    bool whatever_terms; /* what is being done ends with the state or the consent, not for other terms */
    bool whatever_terms_but_rate; /* of those too but for another bandwidth, which it cannot take up */
};

/* The row, the instance and its volumes, locked in this order. ERR_NOT_FOUND. */
struct error *migration_load_work(struct db *db, struct migration_work *work, const char *unit,
                                  const char *id) ERROR_MUST_USE;

/* Whether the unit's consent covers what this move sends, now; if not, work->denied says why. */
struct error *migration_consented(struct db *db, struct migration_work *work, moment now,
                                  bool *ret_good) ERROR_MUST_USE;

/* On the audit chain: what the job told the state machine, in the caller's transaction; with the digests of
 * what is on the target's disks where these are taken over or given up for. */
struct error *migration_audit(struct db *db, const struct migration_work *work, enum migration_state from,
                              const struct migration_word *word, moment now) ERROR_MUST_USE;

/* Both ends, asked at once: facts.source and facts.target. Never fails: what cannot be seen is not known. */
void migration_look(struct migration_work *work);

/* One call to an end's provider. Ends early when the job is cancelled or somebody's word moved the row on. */
struct migration_call {
    struct provider_call call;
    struct migration_work *work;
};
struct error *migration_call_open(struct migration_work *work, const struct migration_end *end,
                                  struct migration_call *ret_call) ERROR_MUST_USE;
void migration_call_close(struct migration_call *call);
/* False once the job is cancelled or the row has moved on; asks the database at most once a second. */
bool migration_goes_on(struct migration_work *work);

/* What limits the move now; in the caller's transaction. */
struct error *migration_rates(struct db *db, const struct migration_work *work,
                              struct link_rates *ret_rates) ERROR_MUST_USE;
/* Outside of one: its way over the link for passes, and one number for hypervisors that copy by themselves;
 * 0: no limit. */
struct error *migration_way_open(struct migration_work *work, struct link_way **ret_way) ERROR_MUST_USE;
struct error *migration_bandwidth(struct migration_work *work, uint64_t *ret_bandwidth) ERROR_MUST_USE;

struct driver_key migration_key(const struct migration_work *work, const struct migration_end *end);

/* The instance as it was when copying began (row.shape), as JSON and back. */
json_t *migration_shape(const struct driver_detail *detail);
struct error *migration_note_shape(struct migration_work *work) ERROR_MUST_USE;
struct migration_shape {
    enum driver_firmware firmware;
    const char *mac;
    struct driver_shell_disk disks[MIGRATION_DISKS_MAX];
    size_t disk_count;
};
struct error *migration_read_shape(const struct migration_work *work,
                                   struct migration_shape *ret_shape) ERROR_MUST_USE;
/* ERR_INVALID that names what became of the disks since. */
struct error *migration_same_shape(const struct migration_work *work,
                                   const struct driver_detail *detail) ERROR_MUST_USE;

/* What is written, in a transaction of the job's, before an effect (ledger) and after it. */
struct error *migration_before(struct db *db, struct migration_work *work, enum migration_effect effect,
                               moment now) ERROR_MUST_USE;
struct error *migration_after(struct db *db, struct migration_work *work, enum migration_effect effect,
                              moment now) ERROR_MUST_USE;
/* With a change of state, in its transaction, the row being in the new one: the resource's row, its usage,
 * claims and room. */
struct error *migration_entered(struct db *db, struct migration_work *work, enum migration_state from,
                                moment now) ERROR_MUST_USE;

/* Meters what the ledger's entries of kind "instance" and "test" say there is a second time: called in the
 * transaction that changes them. */
struct error *migration_meter(struct db *db, struct migration_work *work, moment now) ERROR_MUST_USE;

/* The effect itself; nothing for those that are rows alone. */
struct error *migration_perform(struct migration_work *work, enum migration_effect effect) ERROR_MUST_USE;
struct error *migration_perform_side(struct migration_work *work,
                                     enum migration_effect effect) ERROR_MUST_USE;
struct error *migration_perform_data(struct migration_work *work,
                                     enum migration_effect effect) ERROR_MUST_USE;
struct error *migration_perform_live(struct migration_work *work,
                                     enum migration_effect effect) ERROR_MUST_USE;
struct error *migration_perform_test(struct migration_work *work,
                                     enum migration_effect effect) ERROR_MUST_USE;

#endif
