/* A stored wave as it stands: its rows, the plan that they give now, and what that says. The API shows it and
 * the job acts on it. */
#ifndef FEDERATION_WAVE_SIGHT_H
#define FEDERATION_WAVE_SIGHT_H

#include "federation/wave_store.h"
#include "federation/wave_terms.h"

#define WAVE_NOWHERE SIZE_MAX

struct wave_sight {
    struct wave_row row;
    struct wave_member *members;
    size_t count;
    struct wave_terms terms;
    struct wave_made made;   /* of the members that were not taken out */
    struct wave_slot *slots; /* of the hosts of made.wave */
    size_t *places;          /* of each member among those; WAVE_NOWHERE: it was taken out */
    struct wave_pace *paces; /* of each system of made.wave */
    bool late, placed;
    moment forecast; /* end of the last host; 0: not all are placed */
};

/* Plans what the rows say: ERR_INVALID with pointers into the terms. Text and plan in the arena. */
struct error *wave_see(struct arena *arena, const struct wave_row *row, struct wave_member *members,
                       size_t count, moment now, struct wave_sight *ret_sight) ERROR_MUST_USE;
/* Loads and plans. */
struct error *wave_look(struct db *db, struct arena *arena, const char *id, moment now,
                        struct wave_sight *ret_sight) ERROR_MUST_USE;

/* Why a host does not go on, for a person; NULL: it does, or only waits for its turn. */
const char *wave_sight_reason(struct arena *arena, const struct wave_sight *sight, size_t member);
/* Into the body of wave_view: terms, forecast, systems, hosts. */
void wave_sight_put(struct arena *arena, json_t *body, const struct wave_sight *sight, moment now);

#endif
