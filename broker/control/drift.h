/* Drift: cases where what a driver reports, what the broker holds and what is billed do not agree. One is
 * open for each endpoint, kind and subject; it shows every side, the money at stake and a proposed
 * correction, and a platform administrator accepts or refuses it. Nothing is ended, continued or changed
 * without that.
 *
 * Rules are in drift.c, SQL in drift_store.c, a person's word in drift_decide.c. */
#ifndef BROKER_CONTROL_DRIFT_H
#define BROKER_CONTROL_DRIFT_H

#include "broker/base/moment.h"
#include "broker/control/billed.h"
#include "broker/control/endpoint.h"
#include "broker/control/resource.h"
#include "broker/db/db.h"

#define DRIFT_MISSING "missing" /* held, not reported */
#define DRIFT_ORPHAN "orphan"   /* reported with the broker's stamp, not held */
#define DRIFT_FOREIGN "foreign" /* reported without a stamp (procurement 2.4.1: made without an order) */
#define DRIFT_POWER "power"     /* reported otherwise than held; so is the next */
#define DRIFT_SIZE "size"
#define DRIFT_UNBILLED "unbilled"       /* held and reported, and nothing of it is billed */
#define DRIFT_MISBILLED "misbilled"     /* held and reported, and other quantities are billed */
#define DRIFT_BILLED_GONE "billed-gone" /* billed, and ended here */

/* What usage becomes: an item has another quantity, or ends. */
struct drift_change {
    bool ends;
    struct item_quantity quantity;
};

struct drift {
    const char *kind, *subject;
    const char *unit, *resource; /* NULL: none */
    json_t *expected, *seen;     /* what differs, as held and as reported; NULL: none */
    json_t *reported;            /* all that the driver said, and when; NULL: nothing */
    const struct billed *billed; /* NULL: nothing */
    /* What drift_judge finds. */
    struct item_quantity right[BILLED_ITEMS_MAX]; /* what would be billed of what is seen */
    size_t right_count;
    struct drift_change changes[2 * BILLED_ITEMS_MAX]; /* that make it so */
    size_t change_count;
    json_t *becomes;  /* what the resource becomes with it; NULL: it stays */
    const char *none; /* why no correction is proposed; NULL: one is */
    const char *fingerprint;
};

/* Pure: what is right, what must change for it, and what tells this difference from another one. `held` is
 * the resource as the broker holds it, under `agreement`; both NULL for orphan, foreign and billed-gone. */
struct error *drift_judge(struct arena *arena, struct drift *drift, const struct resource *held,
                          const struct agreement *agreement) ERROR_MUST_USE;

/* What the broker holds, in the words of a kind of difference. */
json_t *drift_expected(struct arena *arena, const char *kind, const struct resource *held);

/* The size that a provider shows as a whole spec; NULL with *ret_why when it is none that can be ordered. */
json_t *drift_spec(struct arena *arena, const struct resource *held, const json_t *seen,
                   const char **ret_why);

/* The JSON of a case; new references held by the arena. `fen`: prices in catalog order, 0: none. NULL when
 * there is nothing to tell. */
json_t *drift_billed_json(struct arena *arena, const struct drift *drift, const int64_t fen[ITEM_COUNT]);
json_t *drift_stake_json(struct arena *arena, const struct drift *drift, const int64_t fen[ITEM_COUNT]);
json_t *drift_correction_json(struct arena *arena, const struct drift *drift, moment at);

/* An open case as it was found last. */
struct drift_known {
    const char *kind, *subject, *fingerprint;
    moment correct_at;
};
/* The open ones of an endpoint by kind and subject, locked: before anything else of an inventory is written,
 * for a person's word takes the same locks in the same order. */
struct error *drift_lock(struct db *db, struct arena *arena, const char *endpoint,
                         struct drift_known **ret_list, size_t *ret_count) ERROR_MUST_USE;

/* All differences of one inventory at once: new ones are raised (alert and event "drift.raised"), known ones
 * seen again, those that differ in another way than before open again, and those that are not among them
 * resolved (drift_meanwhile). In the caller's transaction. */
struct drift_round {
    const struct endpoint_row *endpoint;
    const struct drift_known *known;
    size_t known_count;
    const struct drift *drifts;
    size_t count;
    const char **unjudged; /* resources that were left alone: their cases stay */
    size_t unjudged_count;
    bool lags; /* billed_lags: cases of what is billed stay as well */
    const int64_t *fen;
};
struct error *drift_replace(struct db *db, struct arena *arena, const struct drift_round *round,
                            moment now) ERROR_MUST_USE;

/* How long a case lasted that ended by itself, and of whose resource. */
struct drift_lasted {
    const char *provider, *unit, *resource;
    moment from, to;
};
/* {"from", "to", "usage": […], "billed_yuan"}: what was metered of the resource meanwhile, and what that
 * comes to at the prices of then, rounded at each item of a month as if nothing else had been used; without
 * an amount when an item had no price. The correction, if any, is a person's to ask for: history is not
 * rewritten. */
struct error *drift_meanwhile(struct db *db, struct arena *arena, const struct drift_lasted *lasted,
                              json_t **ret_json) ERROR_MUST_USE;

/* A case that a person has a word on, its row locked. */
struct drift_row {
    const char *id, *kind, *subject, *unit, *resource, *endpoint, *cloud, *provider, *fingerprint, *none;
    const char *resolution; /* NULL: not resolved */
    const char *decision;   /* JSON text; NULL: none */
    json_t *expected, *seen, *reported;
    moment correct_at; /* 0: nothing to correct */
    int64_t version;
    bool refused;
};
/* ERR_NOT_FOUND "no such drift". */
struct error *drift_load(struct db *db, struct arena *arena, const char *id,
                         struct drift_row *ret_row) ERROR_MUST_USE;
/* Makes the correction: usage through metering, the resource as it becomes. ERR_CONFLICT when there is none
 * or an operation is at work, ERR_STALE when the difference is not any more what the case says. */
struct error *drift_apply(struct db *db, struct arena *arena, const struct drift_row *row,
                          const char *principal, moment now) ERROR_MUST_USE;
/* Writes down what was decided; the alert is cleared. */
struct error *drift_decided(struct db *db, const struct drift_row *row, bool accepted, const char *principal,
                            const char *reason, moment now) ERROR_MUST_USE;

#endif
