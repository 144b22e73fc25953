/* From a stored assessment and a wish to a wave that can be planned (wave.h). */
#ifndef FEDERATION_WAVE_API_H
#define FEDERATION_WAVE_API_H

#include "broker/base/json.h"
#include "federation/assess_store.h"
#include "federation/wave.h"

/* Moves at once. */
struct wave_limits {
    int64_t total, site, link, host, datastore;
};
struct wave_follows {
    const char *system;
    struct json_texts after;
};
struct wave_begun {
    const char *instance;
    moment started, ended; /* ended 0: it runs */
    int64_t copied_bytes;
    /* Of a stored wave, where more is known: */
    enum wave_state state; /* WAVE_WAITING: as `ended` says */
    bool held;             /* it has not begun, for it waits for a person */
    bool cutting;
    bool left_known;
    int64_t left_us; /* from now until it may be cut over */
    int64_t cut_us;  /* of the cut-over; 0: as assessed */
    int64_t worked_us;
};

/* As the request's body has it. */
struct wave_ask {
    moment began, not_before;
    struct wave_limits limits;
    struct json_list dependencies;             /* of struct wave_follows */
    struct json_list windows;                  /* of struct wave_span */
    struct json_texts blackout_days, holidays; /* "2026-12-01", of Asia/Shanghai */
    struct json_texts order;                   /* machines that go first */
    struct json_list begun;                    /* of struct wave_begun */
};

struct wave_made {
    struct wave wave; /* checked */
    moment began;
    int64_t rate;      /* measured; 0: nothing was copied yet */
    const char **left; /* machines that cannot move, and so are in no plan */
    size_t left_count;
};

/* Machines that can move, with the times and bytes of their reports, or as fast as those that have begun;
 * each uses both sites, the link between them, its host and the datastores of its disks, as far as its
 * provider told them. ERR_INVALID with a pointer into the request. Everything in the arena. */
struct error *wave_of_assessment(struct arena *arena, const struct wave_ask *ask,
                                 const struct assessment_host *hosts, size_t count, moment now,
                                 struct wave_made *ret_made) ERROR_MUST_USE;

#endif
