/* Rows of stored waves (schema/4031_wave.sql). Within the caller's transaction. The one place that moves a
 * wave from a state to the next. */
#ifndef FEDERATION_WAVE_STORE_H
#define FEDERATION_WAVE_STORE_H

#include <jansson.h>

#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "federation/wave_life.h"

#define WAVE_STORED_HOSTS_MAX 400

struct wave_row {
    const char *unit, *id, *name;
    const char *programme; /* NULL: none */
    enum wave_life life;
    const char *why;
    bool cancels_moves;
    json_t *terms, *left_out, *told;
    int64_t version;
    const char *principal;
    const char *acts_for, *job; /* NULL before the start */
    struct json_texts systems, clouds, providers;
    moment created, started, ended; /* 0: not yet */
};

/* Where planning sees a host; wave_host_view has the rule. */
#define WAVE_CLASSES(X)              \
    X(WAVE_CLASS_WAITING, "waiting") \
    X(WAVE_CLASS_RUNNING, "running") \
    X(WAVE_CLASS_DONE, "done")       \
    X(WAVE_CLASS_FAILED, "failed")   \
    X(WAVE_CLASS_OUT, "out")

enum wave_class {
#define X(symbol, name) symbol,
    WAVE_CLASSES(X)
#undef X
        WAVE_CLASS_COUNT
};
const char *wave_class_name(enum wave_class class);

/* A host with its move. */
struct wave_member {
    const char *resource, *system, *name, *assessment;
    json_t *facts; /* {"report", "answers"}: what planning needs of the assessment */
    int64_t number, bytes, copied;
    enum wave_class class;
    const char *note;      /* what stands in the way; NULL: nothing */
    const char *migration; /* NULL: not planned; the rest is its */
    const char *state, *approvals, *source_cloud;
    int64_t version, predicted_us, measured_us, agreed_us, passes; /* predicted_us −1: not known */
    int64_t first_pass_us;                                         /* 0: not over yet */
    const json_t *progress;
    const char *trouble; /* what it tries again, or why it is in its state */
    moment started, down, live;
    bool earlier; /* it has had another one */
};

/* As a draft, with its hosts in the order of `members`. ERR_CONFLICT names a host that is in a wave that has
 * not ended. */
struct error *wave_insert(struct db *db, struct arena *arena, const struct wave_row *wave,
                          const struct wave_member *members, size_t count, moment now) ERROR_MUST_USE;
/* `lock`: until the transaction ends. ERR_NOT_FOUND "no such wave". */
struct error *wave_load(struct db *db, struct arena *arena, const char *id, bool lock,
                        struct wave_row *ret_wave) ERROR_MUST_USE;
/* In their order. */
struct error *wave_members(struct db *db, struct arena *arena, const struct wave_row *wave,
                           struct wave_member **ret_list, size_t *ret_count) ERROR_MUST_USE;

/* Tells the state machine; the row, its history and the event "wave.changed" say so, and *wave is as the row.
 * `principal` NULL: the broker. A start or resume is in this one's name. ERR_STALE when the row moved on. */
struct wave_telling {
    enum wave_word word;
    const char *principal, *why, *job; /* job: of a start */
    bool cancels_moves;
};
struct error *wave_tell(struct db *db, struct wave_row *wave, const struct wave_telling *telling,
                        moment now) ERROR_MUST_USE;
/* What a person changed: name, programme, terms. Counts the version up. ERR_STALE as above. */
struct error *wave_change(struct db *db, struct wave_row *wave, const char *principal, const char *why,
                          moment now) ERROR_MUST_USE;
/* A line of the history about a host, or about the wave with `instance` NULL. */
struct error *wave_note_history(struct db *db, const struct wave_row *wave, const char *event,
                                const char *instance, const char *principal, const char *why,
                                moment now) ERROR_MUST_USE;
/* Places in the order, 1 … count. */
struct error *wave_set_order(struct db *db, const struct wave_row *wave, const char *const *resources,
                             size_t count) ERROR_MUST_USE;
struct error *wave_take_out(struct db *db, const struct wave_row *wave, const char *resource,
                            moment now) ERROR_MUST_USE;
/* Its migration came to nothing: it gets another one. */
struct error *wave_again(struct db *db, const struct wave_row *wave, const char *resource) ERROR_MUST_USE;
/* ERR_CONFLICT when it has one. */
struct error *wave_set_migration(struct db *db, const struct wave_row *wave, const char *resource,
                                 const char *migration) ERROR_MUST_USE;
struct error *wave_set_consent(struct db *db, const struct wave_row *wave, const char *resource,
                               const char *consent) ERROR_MUST_USE;
/* NULL: nothing stands in the way. */
struct error *wave_set_note(struct db *db, const struct wave_row *wave, const char *resource,
                            const char *note) ERROR_MUST_USE;
/* What was planned last, and of which lateness was told. forecast 0: not known. */
struct error *wave_set_forecast(struct db *db, const struct wave_row *wave, moment forecast, bool late,
                                const json_t *told) ERROR_MUST_USE;
/* Of an ended wave: its hosts may go with another one. */
struct error *wave_release(struct db *db, const struct wave_row *wave) ERROR_MUST_USE;
/* "wave.late" and the like, for the clouds that it concerns. */
struct error *wave_event(struct db *db, const struct wave_row *wave, const char *type, const json_t *data,
                         moment now) ERROR_MUST_USE;

/* The waves that such a move belongs to, or that have hosts of such a unit, look again when the transaction
 * ends. Takes their jobs' rows: before any other lock of moves. */
struct error *wave_wake_of(struct db *db, const char *migration) ERROR_MUST_USE;
struct error *wave_wake_unit(struct db *db, const char *unit) ERROR_MUST_USE;
/* For the link that a move copies over: its wave and the wave's terms; NULL: it is of none. */
struct error *wave_of_move(struct db *db, struct arena *arena, const char *unit, const char *migration,
                           const char **ret_wave, json_t **ret_terms) ERROR_MUST_USE;

/* $1 id */
extern const struct db_statement wave_select_one;
/* $3 state, $4 system, $5 cloud, $6 programme */
extern const struct db_statement wave_select_list;
/* $1 programme: of all its waves that the caller sees */
extern const struct db_statement wave_select_sums;
/* $1 id: a JSON list */
extern const struct db_statement wave_select_history;

#endif
