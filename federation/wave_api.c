/* POST /v1/assessments/{assessment}:plan: when the machines of an assessment would go, with which limits, in
 * which windows, and whether that is what the contract asks. Makes nothing, so it takes no Idempotency-Key.
 * See wave.h. */
#include "federation/wave_api.h"

#include <string.h>

#include "broker/control/view.h"
#include "broker/http/http.h"
#include "federation/assess_store.h"
#include "federation/routes.h"
#include "federation/wave_json.h"
#include "federation/wave_terms.h"

static const struct json_member begun_members[] = {
    {JSON_MEMBER(struct wave_begun, instance), .want = JSON_WANT_UUID, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct wave_begun, started), .want = JSON_WANT_MOMENT, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct wave_begun, ended), .want = JSON_WANT_MOMENT},
    {JSON_MEMBER(struct wave_begun, copied_bytes), .want = JSON_WANT_INT, .min = 0, .max = INT64_MAX},
};
static const struct json_spec begun_spec = JSON_SPEC(struct wave_begun, begun_members);
/* As a stored wave's terms, but that what has begun is told, not known. */
static const struct json_member plan_members[] = {
    {JSON_MEMBER(struct wave_ask, began), .want = JSON_WANT_MOMENT},
    {JSON_MEMBER(struct wave_ask, not_before), .want = JSON_WANT_MOMENT},
    {JSON_MEMBER(struct wave_ask, limits), .want = JSON_WANT_OBJECT, .spec = &wave_limits_spec},
    {JSON_MEMBER(struct wave_ask, dependencies), .want = JSON_WANT_LIST, .min = 0,
     .max = WAVE_SYSTEMS_NAMED_MAX, .spec = &wave_follows_spec},
    {JSON_MEMBER(struct wave_ask, windows), .want = JSON_WANT_LIST, .min = 0, .max = WAVE_WINDOWS_MAX,
     .spec = &wave_span_spec},
    {JSON_MEMBER(struct wave_ask, blackout_days), .want = JSON_WANT_TEXTS, .min = 0, .max = WAVE_DAYS_MAX},
    {JSON_MEMBER(struct wave_ask, holidays), .want = JSON_WANT_TEXTS, .min = 0, .max = WAVE_DAYS_MAX},
    {JSON_MEMBER(struct wave_ask, order), .want = JSON_WANT_TEXTS, .min = 0, .max = ASSESSMENT_MACHINES_MAX},
    {JSON_MEMBER(struct wave_ask, begun), .want = JSON_WANT_LIST, .min = 0, .max = ASSESSMENT_MACHINES_MAX,
     .spec = &begun_spec},
};
static const struct json_spec plan_spec = JSON_SPEC(struct wave_ask, plan_members);

static void put_host(json_t *json, const struct wave *wave, size_t number, const struct wave_slot *slot)
{
    static const char *const states[] = {"waiting", "running", "done"};
    const struct wave_host *host = &wave->hosts[number];
    json_put_text(json, "instance", host->name);
    json_put_text(json, "system", wave->systems[host->system].name);
    json_put_text(json, "state", states[host->state]);
    json_put_int(json, "copy_seconds", host->copy_us / MOMENT_SECOND);
    json_put_int(json, "cutover_seconds", host->cut_us / MOMENT_SECOND);
    wave_put_slot(json, slot);
}

static json_t *plan_json(const struct wave_made *made, const struct wave_slot *slots)
{
    const struct wave *wave = &made->wave;
    json_t *json = json_object(), *hosts = json_array(), *systems = json_array(), *left = json_array();
    for (size_t i = 0; i < wave->host_count; i++) {
        json_t *host = json_object();
        put_host(host, wave, i, &slots[i]);
        json_push(hosts, host);
    }
    for (size_t i = 0; i < wave->system_count; i++) {
        struct wave_pace pace;
        wave_pace(wave, slots, i, made->began, &pace);
        if (pace.hosts)
            json_push(systems, wave_pace_json(wave, i, &pace));
    }
    for (size_t i = 0; i < made->left_count; i++)
        json_push(left, json_string(made->left[i]));
    json_put_moment(json, "now", wave->now);
    if (made->rate)
        json_put_int(json, "measured_bytes_per_second", made->rate);
    json_put(json, "hosts", hosts);
    json_put(json, "systems", systems);
    json_put(json, "not_movable", left);
    return json;
}

static struct error *plan(struct http_call *call, struct http_answer *answer)
{
    struct assessment assessment;
    struct assessment_host *hosts;
    size_t count;
    struct wave_made made;
    struct wave_slot *slots;
    struct wave_ask ask = {.began = call->now, .not_before = call->now, .limits = WAVE_LIMITS_DEFAULT};
    TRY(view_id(call, "assessment"));
    TRY(http_read_body(call, &plan_spec, &ask));
    TRY(assessment_get(call->db, call->arena, http_param(call, "assessment"), &assessment));
    if (!strcmp(assessment.state, "running"))
        return error_new(ERR_CONFLICT, "the assessment is still running");
    TRY(assessment_hosts(call->db, call->arena, &assessment, &hosts, &count));
    TRY(wave_of_assessment(call->arena, &ask, hosts, count, call->now, &made));
    wave_plan(call->arena, &made.wave, &slots);
    *answer = (struct http_answer){.status = 200,
                                   .body = plan_json(&made, slots),
                                   .audit_unit = assessment.unit,
                                   .audit_cloud = assessment.to_cloud,
                                   .audit_subject = assessment.id};
    return NULL;
}

static const struct http_route routes[] = {
    {"POST", "/v1/assessments/{assessment}:plan", plan, "assessments:read", 0, NULL},
};
const struct http_table wave_routes = HTTP_TABLE(routes);
