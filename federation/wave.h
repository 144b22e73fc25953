/* Waves: many moves that go together, planned in time (procurement 4.1.3.1, 4.1.3.2). Pure. A plan says when
 * each machine begins to be copied and when it is cut over, so that systems follow those they depend on, no
 * site, link, host or datastore carries more moves at once than it may, and every cut-over lies whole in an
 * open window. It is made anew whenever something is known better (a move has ended, a rate was measured, the
 * order was changed), and so it is the forecast as well: what ends later than the contract has it is told
 * while there is still time, with the reason. */
#ifndef FEDERATION_WAVE_H
#define FEDERATION_WAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/base/moment.h"

#define WAVE_HOSTS_MAX 2000
#define WAVE_SYSTEMS_MAX 500
#define WAVE_USES_MAX 8 /* resources of one move */

/* What a move occupies from the start of its copy to the end of its cut-over, or waits for. */
#define WAVE_REASONS(X)                                                                                \
    X(WAVE_TOTAL, "total") /* of the whole wave at once */                                             \
    X(WAVE_SITE, "site")                                                                               \
    X(WAVE_LINK, "link")                                                                               \
    X(WAVE_HOST, "host")                                                                               \
    X(WAVE_DATASTORE, "datastore")                                                                     \
    X(WAVE_DEPENDENCY, "dependency") /* on another system */                                           \
    X(WAVE_WINDOW, "window")         /* none is open, or a blackout day */                             \
    X(WAVE_PAPERS, "papers")         /* a consent, an approval, or what else a person has to settle */ \
    X(WAVE_MOVE, "move")             /* one of it, or of what it depends on, has failed */

enum wave_reason {
#define X(symbol, name) symbol,
    WAVE_REASONS(X)
#undef X
        WAVE_REASON_COUNT
};
const char *wave_reason_name(enum wave_reason reason);

struct wave_resource {
    enum wave_reason kind; /* WAVE_TOTAL to WAVE_DATASTORE */
    const char *name;
    size_t most; /* moves at once, ≥ 1 */
};

struct wave_system {
    const char *name;
    const size_t *after; /* systems that must be over before */
    size_t after_count;
};

enum wave_state {
    WAVE_WAITING,
    WAVE_RUNNING,
    WAVE_DONE,
    WAVE_LOST /* its move came back or needs a person: it takes no room, and its system is never over */
};

struct wave_host {
    const char *name;
    size_t system;
    size_t uses[WAVE_USES_MAX]; /* resources, each once */
    size_t use_count;
    uint64_t bytes;
    int64_t copy_us, cut_us; /* until it may be cut over; of the cut-over */
    enum wave_state state;
    bool held;         /* waiting, for a person: goes when all that need not wait for him have their place */
    bool cutting;      /* running: its cut-over has begun, whatever window is open */
    moment started;    /* of one that runs or is done */
    moment ended;      /* of one that is done */
    int64_t worked_us; /* of that, what its bytes took; 0: all the time until its cut-over, or now */
};

struct wave_span {
    moment from, to; /* half-open */
};

struct wave {
    const struct wave_resource *resources;
    size_t resource_count;
    const struct wave_system *systems;
    size_t system_count;
    const struct wave_host *hosts; /* in the order in which they are wanted */
    size_t host_count;
    const struct wave_span *windows; /* for cut-overs, by time, apart; none: always open */
    size_t window_count;
    const moment *blackout; /* days of Asia/Shanghai, by their start, rising */
    size_t blackout_count;
    const moment *holidays; /* likewise: days that are no working days for the contract */
    size_t holiday_count;
    moment asked; /* when the question is asked: what must be done by then, what was measured until then */
    moment now;   /* nothing begins before: the same, or when a paused wave goes on */
};

/* ERR_INVALID for references out of range, a resource used twice or without a limit, durations below 0,
 * windows or days out of order, and for systems that wait for each other, which are named. */
struct error *wave_check(const struct wave *wave) ERROR_MUST_USE;

struct wave_slot {
    bool placed; /* false: no window is ever long enough, or what it depends on has none or has failed */
    enum wave_reason never; /* of one that is not placed: WAVE_WINDOW or WAVE_MOVE */
    moment start, cut, end;
    int64_t waited_us[WAVE_REASON_COUNT]; /* behind each, since `now` */
};

/* Of a wave that wave_check lets through: a slot for each host, in the arena. One after the other in the
 * wanted order, as far as dependencies let it, each at the earliest moment that those before it leave. */
void wave_plan(struct arena *arena, const struct wave *wave, struct wave_slot **ret_slots);

/* --- what the contract asks (procurement 4.1.3.1) --- */

#define WAVE_FEW_HOSTS 20                                           /* fewer: */
#define WAVE_FEW_DAYS 5                                             /* working days for all of them */
#define WAVE_LARGE_BYTES (UINT64_C(10) * 1000 * 1000 * 1000 * 1000) /* more: as with many hosts */
#define WAVE_HOSTS_A_DAY 4                                          /* of each system, on working days */

struct wave_pace {
    bool by_rate; /* at least WAVE_HOSTS_A_DAY, instead of all in WAVE_FEW_DAYS */
    size_t hosts;
    uint64_t bytes;
    moment due;      /* end of the last working day that there is for it */
    size_t expected; /* hosts that must be done at `asked` */
    size_t done;
    bool placed;             /* all of its hosts */
    moment forecast;         /* end of its last host by the plan */
    bool late;               /* now, or by the forecast at the end of any day */
    moment late_at;          /* the end of the first day at which it is behind */
    enum wave_reason reason; /* behind what its hosts wait longest; of a late one */
};

/* Working days: Monday to Friday without `holidays`; the day on which the system begins does not count.
 * `began` is when the contract's time begins. */
moment wave_working_days(const struct wave *wave, moment began, size_t days);
void wave_pace(const struct wave *wave, const struct wave_slot *slots, size_t system, moment began,
               struct wave_pace *ret_pace);

/* --- what was measured --- */

/* Bytes a second of what is done and what runs (`copied` of each host, up to now), by the time that moves
 * were at work, each for itself; 0: nothing was copied yet. */
int64_t wave_rate(const struct wave *wave, const uint64_t *copied);
/* Hosts with the copy's time that the rate gives, for those that wait; in the arena. A rate of 0 changes
 * nothing. */
const struct wave_host *wave_measured(struct arena *arena, const struct wave *wave, int64_t rate);

#endif
