/* See wave_json.h. */
#include "federation/wave_json.h"

#include "broker/base/json.h"

void wave_put_slot(json_t *json, const struct wave_slot *slot)
{
    json_put_bool(json, "placed", slot->placed);
    if (!slot->placed)
        return;
    json_put_moment(json, "starts_at", slot->start);
    json_put_moment(json, "cutover_at", slot->cut);
    json_put_moment(json, "ends_at", slot->end);
    json_t *waits = json_object();
    for (int k = 0; k < WAVE_REASON_COUNT; k++)
        if (slot->waited_us[k])
            json_put_int(waits, wave_reason_name((enum wave_reason)k), slot->waited_us[k] / MOMENT_SECOND);
    json_put(json, "waited_seconds", waits);
}

json_t *wave_pace_json(const struct wave *wave, size_t system, const struct wave_pace *pace)
{
    json_t *json = json_object();
    json_put_text(json, "system", wave->systems[system].name);
    json_put_int(json, "hosts", (int64_t)pace->hosts);
    json_put_int(json, "bytes", (int64_t)pace->bytes);
    json_put_text(json, "rule", pace->by_rate ? "four-hosts-a-day" : "five-working-days");
    json_put_moment(json, "due_at", pace->due);
    json_put_int(json, "done", (int64_t)pace->done);
    json_put_int(json, "expected", (int64_t)pace->expected);
    json_put_bool(json, "placed", pace->placed);
    if (pace->placed)
        json_put_moment(json, "forecast_at", pace->forecast);
    json_put_bool(json, "late", pace->late);
    if (pace->late) {
        json_put_moment(json, "late_at", pace->late_at);
        json_put_text(json, "reason", wave_reason_name(pace->reason));
    }
    return json;
}
