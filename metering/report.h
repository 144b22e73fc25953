/* Usage that providers report: CloudEvents 1.0 of one type, each of which says what a resource of the
 * provider's uses from a moment on. It is a state and no delta: what a resource uses at any time is what its
 * last report at or before then says, so that the order, the number and the batches in which reports come
 * make no difference to usage or bills. The intervals of usage.h are derived from the reports and made anew
 * where a late one changes them (report_store.c); README.md has the form and the rules.
 *
 * report_read and report_split are pure; report_take and report_take_due work within the caller's
 * transaction. */
#ifndef METERING_REPORT_H
#define METERING_REPORT_H

#include <jansson.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"
#include "broker/http/accept.h"
#include "catalog/kind.h"

#define REPORT_TYPE "cn.yunqiao.usage.state.v1"
#define REPORT_BATCH_MAX 1000               /* reports of one call */
#define REPORT_ITEMS_MAX (ITEM_COUNT * 2)   /* each item at most once under each of two tariffs */
#define REPORT_EXTENSIONS_MAX 16            /* extension attributes beside sequence */
#define REPORT_TEXT_MAX 255                 /* source, id; bytes */
#define REPORT_SUBJECT_MAX 200              /* bytes */
#define REPORT_AHEAD (5 * MOMENT_MINUTE)    /* beyond the broker's clock: quarantined */
#define REPORT_AHEAD_MAX (366 * MOMENT_DAY) /* beyond that: refused */
#define REPORT_RESOURCE_MAX 264             /* of report_resource, with the end */

struct report {
    const char *source, *id, *subject;
    const char *sequence; /* "": none */
    const char *provider; /* whose source it is */
    moment at;
    const char *unit, *system, *cloud, *kind;
    const char *zone, *architecture; /* "": none */
    const char *industry;            /* the cloud's kind; set by who knows the clouds, before report_take */
    struct item_quantity *items;     /* by item and tariff, without those of quantity 0 */
    size_t count;                    /* 0: it uses nothing any more */
    const char *text;                /* the event, canonical */
    const char *digest;              /* SM3 of the text */
};

/* Reads one event. Text is borrowed from `event`, which must live as long as the arena. All violations at
 * once, with pointers into the event. */
struct error *report_read(struct arena *arena, const json_t *event, struct report *ret_report) ERROR_MUST_USE;

/* The resource that usage intervals name: "provider/subject", which no resource of the broker's own has. */
const char *report_resource(struct arena *arena, const struct report *report);

enum report_outcome {
    REPORT_REFUSED,     /* `error` says why */
    REPORT_COUNTED,     /* kept, and usage follows it */
    REPORT_DUPLICATE,   /* known already, whatever became of it */
    REPORT_QUARANTINED, /* kept, and counted once its time has come */
};

/* One event on its way. */
struct report_slot {
    json_t *event;       /* NULL: it was not JSON */
    struct error *error; /* belongs to the arena; NULL so far */
    struct report report;
    enum report_outcome outcome;
};

/* Takes a body apart and reads every event. ERR_INVALID when the body as a whole is malformed: no JSON, no
 * array, more than REPORT_BATCH_MAX events. A bad event, or a line that is no JSON, has its own error. Empty
 * lines do not count. */
struct error *report_split(struct arena *arena, enum media_events media, const char *bytes, size_t length,
                           struct report_slot **ret_slots, size_t *ret_count) ERROR_MUST_USE;
/* Gives a slot its error (the first one stays); the arena frees it. */
void report_refuse(struct arena *arena, struct report_slot *slot, struct error *error);

/* Of the provider's reports that were read and refused since, takes back the refusal of those whose (source,
 * id) is known: report_take tells them apart, and what was acknowledged once stays so, though it might not be
 * told any more. */
struct error *report_recall(struct db *db, struct arena *arena, const char *provider,
                            struct report_slot *slots, size_t count) ERROR_MUST_USE;

/* Takes the reports of those slots that have no error, all of one provider, and sets their outcomes: each is
 * kept, counted once for ever by (source, id), and usage follows, together or not at all. The same id with
 * another payload is refused, ERR_CONFLICT. Reports of one provider take turns. */
struct error *report_take(struct db *db, struct arena *arena, struct report_slot *slots, size_t count,
                          moment now) ERROR_MUST_USE;

/* Counts quarantined reports whose time has come by `now`, a batch of one provider. *ret_more: there may be
 * others. */
struct error *report_take_due(struct db *db, struct arena *arena, moment now, bool *ret_more) ERROR_MUST_USE;
/* A person decides on a quarantined report: counts it although its time has not come, or drops it for ever.
 * Deciding the same again changes nothing; ERR_CONFLICT when it is decided otherwise, ERR_NOT_FOUND.
 * *ret_cloud, in the arena, is the cloud that it reports of. */
struct error *report_release(struct db *db, struct arena *arena, const char *source, const char *id,
                             moment now, const char **ret_cloud) ERROR_MUST_USE;
struct error *report_discard(struct db *db, struct arena *arena, const char *source, const char *id,
                             moment now, const char **ret_cloud) ERROR_MUST_USE;

/* A kept report as it is listed. */
struct report_row {
    const char *provider, *source, *id, *subject, *unit, *system, *cloud, *state, *digest;
    moment at, received_at;
    const char *text; /* the event */
};
/* NULL: whatever. */
struct report_filter {
    const char *state, *provider, *source, *subject, *unit, *cloud;
};
/* By (provider, source, id), after the row of these (NULL: from the start), at most `most`. */
struct error *report_list(struct db *db, struct arena *arena, const struct report_filter *filter,
                          const char *after_provider, const char *after_source, const char *after_id,
                          int64_t most, struct report_row **ret_list, size_t *ret_count) ERROR_MUST_USE;

#endif
