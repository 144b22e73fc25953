/* Making a stored wave, and changing what people may change of one. In the caller's transaction. */
#ifndef FEDERATION_WAVE_NEW_H
#define FEDERATION_WAVE_NEW_H

#include "broker/auth/principal.h"
#include "federation/wave_sight.h"

struct wave_host_wish {
    const char *instance, *assessment;
};
/* As the body of POST /v1/waves has it. */
struct wave_wish {
    struct wave_terms terms; /* first; of the order, the machines that go first */
    const char *name, *programme;
    struct json_texts assessments; /* all their machines that can move */
    struct json_list hosts;        /* of struct wave_host_wish: these alone */
};

/* `body` is what `wish` was read from. ERR_INVALID with pointers; ERR_NOT_FOUND for an assessment or a system
 * that the caller does not see; ERR_CONFLICT for a host that is in another wave. */
struct error *wave_new(struct db *db, struct arena *arena, const struct principal *principal,
                       const struct wave_wish *wish, const json_t *body, moment now,
                       struct wave_row *ret_wave) ERROR_MUST_USE;

/* As the body of PATCH has it. Absent members change nothing. */
struct wave_changes {
    struct wave_terms terms; /* first; read for its rules alone: `body` is merged */
    const char *name, *programme;
    struct json_texts take_out; /* hosts that the wave shall not move any more */
    struct json_texts again;    /* hosts whose move has ended without success: they get another one */
    const char *reason;
};
/* Of a wave that is locked. ERR_CONFLICT for one that has ended. */
struct error *wave_alter(struct db *db, struct arena *arena, struct wave_row *wave,
                         const struct wave_changes *changes, const json_t *body, const char *principal,
                         moment now) ERROR_MUST_USE;

/* The job's row, then the wave's, locked; ERR_STALE when it is not of `version` any more (−1: of any). */
struct error *wave_hold(struct db *db, struct arena *arena, const char *id, int64_t version,
                        struct wave_row *ret_wave) ERROR_MUST_USE;
/* A person's word, of start, pause, resume, cancel. */
struct error *wave_say(struct db *db, struct arena *arena, const char *id, int64_t version,
                       const struct wave_telling *telling, moment now,
                       struct wave_row *ret_wave) ERROR_MUST_USE;

#endif
