/* Plans of waves as JSON: what a forecast and a stored wave both say. */
#ifndef FEDERATION_WAVE_JSON_H
#define FEDERATION_WAVE_JSON_H

#include <jansson.h>

#include "federation/wave.h"

/* placed, starts_at, cutover_at, ends_at, waited_seconds, into the object. */
void wave_put_slot(json_t *json, const struct wave_slot *slot);
json_t *wave_pace_json(const struct wave *wave, size_t system, const struct wave_pace *pace);

#endif
