/* Plans in words, made of the lists of steps that will be followed; see migration_plan.h. */
#include "federation/migration_plan.h"

#include <string.h>

#include "broker/base/json.h"
#include "broker/control/fulfilment.h"
#include "federation/migration_step.h"

static const char *effect_words(enum migration_effect effect)
{
    static const char *const words[MIGRATION_EFFECT_COUNT] = {
        [MIGRATION_ROOM_TAKE] = "take quota and room on the target",
        [MIGRATION_SHELL_MAKE] = "define the instance on the target, fenced, with empty disks",
        [MIGRATION_VALIDATE] = "ask both hypervisors whether they would accept the move",
        [MIGRATION_PASS] = "copy all disks, then what changed, again and again, while the source runs",
        [MIGRATION_TEST_MAKE] = "copy the target's disks for a test boot under another id, without a network",
        [MIGRATION_TEST_RUN] = "boot the test and look at it",
        [MIGRATION_TEST_REMOVE] = "remove the test",
        [MIGRATION_SOURCE_STOP] = "stop the source: the service is down from here",
        [MIGRATION_SOURCE_FENCE] = "fence the source: nothing starts it any more",
        [MIGRATION_LAST_PASS] = "copy what is left",
        [MIGRATION_PROVE] = "read the target back and compare it with what was read from the source",
        [MIGRATION_CONVERT] = "convert the guest: drivers, initial RAM disk and boot configuration",
        [MIGRATION_MOVE] = "move it running; the hypervisors switch sides, the source is left off and fenced",
        [MIGRATION_MOVE_SETTLE] = "stop the hypervisors' move and find out where the instance lives",
        [MIGRATION_TARGET_RELEASE] = "release the target's fence",
        [MIGRATION_TARGET_START] = "start the target",
        [MIGRATION_HEALTH] = "check that it runs and answers: the service is up from here",
        [MIGRATION_TARGET_STOP] = "stop the target",
        [MIGRATION_TARGET_FENCE] = "fence the target: nothing starts it any more",
        [MIGRATION_SOURCE_RELEASE] = "release the source's fence",
        [MIGRATION_SOURCE_START] = "start the source",
        [MIGRATION_MOVE_BACK] = "move it back, running; the hypervisors switch sides again",
        [MIGRATION_ROW_BACK] = "the instance is the source cloud's again, its usage too",
        [MIGRATION_TARGET_DELETE] = "delete what is left on the target",
        [MIGRATION_SOURCE_DELETE] = "delete what is left on the source",
        [MIGRATION_SOURCE_CLOSE] = "close the source's exports",
        [MIGRATION_COPY_END] = "remove exports, checkpoints and manifests",
        [MIGRATION_ROOM_GIVE] = "give back quota and room of the side that is left",
    };
    return words[effect];
}

static void add_steps(json_t *steps, const struct migration_row *m, enum migration_state state)
{
    const struct migration_steps *list = migration_steps(&migration_table, state, m->method);
    for (size_t i = 0; i < list->count; i++) {
        if ((list->effects[i] == MIGRATION_PASS && m->method == MIGRATION_COLD) ||
            (list->effects[i] == MIGRATION_CONVERT && !m->conversion))
            continue;
        json_t *step = json_object();
        json_put_text(step, "state", migration_state_name(state));
        json_put_text(step, "step", migration_effect_name(list->effects[i]));
        json_put_text(step, "what", effect_words(list->effects[i]));
        json_push(steps, step);
    }
}

static json_t *texts(const char *const *list)
{
    json_t *array = json_array();
    for (; *list; list++)
        json_push(array, json_string(*list));
    return array;
}

/* Who helps with what (procurement 4.1.3.1, 4.1.3.3). */
static json_t *tasks(void)
{
    static const char *const incoming[] = {"assess feasibility, plan, rollback plan: done with this plan",
                                           "give resources, network, storage and test environment by due_at",
                                           "carry out the move and its verification", NULL};
    static const char *const outgoing[] = {
        "keep line, bandwidth and remote access for the move until it ends",
        "help with what the move needs at the source", NULL};
    static const char *const unit[] = {"consent to the data leaving the site",
                                       "test the system and accept the outcome", NULL};
    json_t *json = json_object();
    json_put(json, "incoming_provider", texts(incoming));
    json_put(json, "outgoing_provider", texts(outgoing));
    json_put(json, "unit", texts(unit));
    return json;
}

/* Findings that are no obstacle but a risk. */
static json_t *risks(const json_t *report)
{
    size_t i;
    json_t *finding, *list = json_array();
    json_array_foreach (json_object_get(report, "findings"), i, finding) {
        const char *severity = json_string_value(json_object_get(finding, "severity"));
        if (severity && !strcmp(severity, "warning"))
            json_push(list, json_deep_copy(finding));
    }
    return list;
}

json_t *migration_plan(const struct migration_row *m, const json_t *report, moment now)
{
    static const enum migration_state states[] = {MIGRATION_COPYING, MIGRATION_CUTTING_OVER,
                                                  MIGRATION_VERIFYING, MIGRATION_HOLDING,
                                                  MIGRATION_COMMITTING};
    json_t *plan = json_object(), *steps = json_array(), *method;
    size_t i;
    json_put_text(plan, "method", migration_method_name(m->method));
    json_put_moment(plan, "due_at", fulfilment_due(now)); /* three working days (procurement 4.1.3.1) */
    json_array_foreach (json_object_get(report, "methods"), i, method)
        if (!strcmp(json_string_value(json_object_get(method, "method")), migration_method_name(m->method)))
            json_put(plan, "predicted", json_deep_copy(method));
    static const char *const kept[] = {"disk_bytes", "month"};
    for (i = 0; i < sizeof kept / sizeof *kept; i++)
        if (json_object_get(report, kept[i]))
            json_put(plan, kept[i], json_incref(json_object_get(report, kept[i])));
    for (i = 0; i < sizeof states / sizeof *states; i++)
        add_steps(steps, m, states[i]);
    json_put(plan, "steps", steps);
    json_put(plan, "risks", risks(report));
    json_put(plan, "tasks", tasks());
    json_put_text(
        plan, "verification",
        "every block that was copied is compared by its digest with what the target reads back; the instance "
        "runs and answers; the unit tests and accepts");
    if (m->method == MIGRATION_WARM)
        json_put_text(
            plan, "test_boot",
            "on request while it is synced: the copy is started under another id on overlays and on a "
            "network that leads nowhere, looked at and taken away; the source runs on");
    json_put_text(plan, "follow_up", "downtime, passes and rates are measured and kept with the migration");
    return plan;
}

json_t *migration_rollback_plan(const struct migration_row *m)
{
    json_t *plan = json_object(), *before = json_array(), *after = json_array();
    add_steps(before, m, MIGRATION_CANCELLING);
    add_steps(after, m, MIGRATION_ROLLING_BACK);
    json_put(plan, "before_the_target_runs", before);
    json_put(plan, "after", after);
    json_put_int(plan, "possible_for_days_after_cutover", m->hold_us / MOMENT_DAY);
    json_put_text(
        plan, "loses",
        migration_leaves_nothing(m->method)
            ? "nothing: the instance moves back with all that was written since"
            : "what is written on the target after the cut-over: the source comes back as it was stopped");
    return plan;
}
