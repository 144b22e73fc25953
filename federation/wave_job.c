/* The job "wave"; see wave_job.h. It is one step that takes turn after turn: it reads the wave and its moves,
 * plans anew, does what is due, and waits until something changes or falls due. Nothing is asked of a
 * provider: that is the moves' own job's. */
#include "federation/wave_job.h"

#include <limits.h>
#include <string.h>

#include "broker/base/log.h"
#include "federation/migration.h"
#include "federation/wave_act.h"

#define LOOK_RUNNING_US (30 * MOMENT_SECOND) /* for the forecast, and papers that nobody wakes it for */
#define TURNS_MAX 50                         /* in a row: whoever changes it all the time is waited for */
#define LOOK_QUIET_US MOMENT_HOUR
#define DUE_US \
    (2 * MOMENT_SECOND) /* so early counts as due: a move must not miss its window by its job's delay */

struct turning {
    struct job *job;
    struct arena *arena;
    struct wave_sight sight;
    moment now;
    bool again;       /* something is not what was read: another turn at once */
    const char *halt; /* why the wave cannot go on without a person */
};

static struct error *read_body(struct db *db, void *context)
{
    struct turning *t = context;
    t->now = clock_now(t->job->clock);
    return wave_look(db, t->arena, json_string_value(json_object_get(t->job->args, "wave")), t->now,
                     &t->sight);
}

static struct error *read_again(struct turning *t)
{
    return job_transaction(t->job, DB_READ_COMMITTED, read_body, t);
}

static struct error *act(struct turning *t, size_t member, enum wave_act what, bool *ret_done)
{
    struct wave_acting acting = {
        .job = t->job, .arena = t->arena, .sight = &t->sight, .member = member, .act = what};
    struct error *error = wave_do(&acting, ret_done);
    if (error && (error_code(error) == ERR_STALE || acting.denied) && !job_cancelled(t->job)) {
        t->again = t->again || !acting.denied;
        t->halt = acting.denied;
        error_free(error);
        return NULL;
    }
    return error;
}

static bool is_state(const struct wave_member *member, enum migration_state state)
{
    return member->state && !strcmp(member->state, migration_state_name(state));
}

/* Moves for all that have none, at once: their papers take people's time. */
static struct error *prepare(struct turning *t)
{
    bool changed = false, done;
    for (size_t i = 0; i < t->sight.count && !t->again && !t->halt; i++) {
        const struct wave_member *member = &t->sight.members[i];
        if (member->class != WAVE_CLASS_WAITING)
            continue;
        if (!member->migration)
            TRY(act(t, i, WAVE_ACT_PLAN, &done));
        else if (member->note || !is_state(member, MIGRATION_APPROVED))
            TRY(act(t, i, WAVE_ACT_SETTLE, &done));
        else
            continue;
        changed = true;
    }
    return changed && !t->again && !t->halt ? read_again(t) : NULL;
}

/* Planned just now: whether its papers are there has not been looked at yet. */
static bool is_fresh(const struct turning *t)
{
    for (size_t i = 0; i < t->sight.count; i++)
        if (t->sight.members[i].class == WAVE_CLASS_WAITING && t->sight.members[i].migration &&
            !t->sight.members[i].note && !is_state(&t->sight.members[i], MIGRATION_APPROVED))
            return true;
    return false;
}

static const struct wave_slot *slot_of(const struct turning *t, size_t member)
{
    return &t->sight.slots[t->sight.places[member]];
}

static bool may_start(const struct wave_member *member)
{
    return member->class == WAVE_CLASS_WAITING && member->migration && !member->note &&
           is_state(member, MIGRATION_APPROVED);
}

static bool may_cut(const struct turning *t, const struct wave_member *member)
{
    return member->class == WAVE_CLASS_RUNNING && is_state(member, MIGRATION_SYNCED) &&
           !strcmp(t->sight.terms.cutover, "automatic");
}

/* A longer downtime than agreed is for people: more passes, or other terms. */
static bool fits(const struct wave_member *member)
{
    return !member->agreed_us || (member->predicted_us >= 0 && member->predicted_us <= member->agreed_us);
}

/* A plan is a forecast: what is said to be over by now may not be. Systems that it waits for are in fact
 * over, and of all that it uses there is room beside what runs; `started`: in this turn. */
static bool has_room(const struct turning *t, size_t member, const bool *started)
{
    const struct wave *wave = &t->sight.made.wave;
    const struct wave_host *host = &wave->hosts[t->sight.places[member]];
    const struct wave_system *system = &wave->systems[host->system];
    for (size_t i = 0; i < wave->host_count; i++)
        for (size_t k = 0; k < system->after_count; k++)
            if (wave->hosts[i].system == system->after[k] && wave->hosts[i].state != WAVE_DONE)
                return false;
    for (size_t k = 0; k < host->use_count; k++) {
        size_t load = 0;
        for (size_t i = 0; i < wave->host_count; i++)
            for (size_t u = 0; u < wave->hosts[i].use_count; u++)
                load += wave->hosts[i].uses[u] == host->uses[k] &&
                        (wave->hosts[i].state == WAVE_RUNNING || started[i]);
        if (load >= wave->resources[host->uses[k]].most)
            return false;
    }
    return true;
}

static struct error *go_on(struct turning *t)
{
    bool *started = arena_array(t->arena, t->sight.made.wave.host_count, sizeof *started), done;
    for (size_t i = 0; i < t->sight.count && !t->again && !t->halt; i++) {
        const struct wave_member *member = &t->sight.members[i];
        if (may_start(member) && slot_of(t, i)->placed && slot_of(t, i)->start <= t->now + DUE_US &&
            has_room(t, i, started)) {
            TRY(act(t, i, WAVE_ACT_START, &done));
            started[t->sight.places[i]] = done;
        } else if (may_cut(t, member) && fits(member) && slot_of(t, i)->placed &&
                   slot_of(t, i)->cut <= t->now)
            TRY(act(t, i, WAVE_ACT_CUTOVER, &done));
    }
    return NULL;
}

/* Moves of hosts that the wave has no more, as far as they have not begun; of a wave that was cancelled with
 * what runs, all that can still be cancelled. */
static struct error *take_back(struct turning *t)
{
    bool ended = t->sight.row.life == WAVE_LIFE_CANCELLED, done;
    for (size_t i = 0; i < t->sight.count && !t->again; i++) {
        const struct wave_member *member = &t->sight.members[i];
        if (!member->migration || (member->class != WAVE_CLASS_OUT && !ended))
            continue;
        enum migration_state state = migration_state_find(member->state);
        bool runs = state > MIGRATION_APPROVED && state <= MIGRATION_CUTTING_OVER;
        if (state <= MIGRATION_APPROVED || (runs && ended && t->sight.row.cancels_moves))
            TRY(act(t, i, WAVE_ACT_CANCEL, &done));
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------- what it tells
 */

static json_t *late_data(const struct turning *t, size_t system)
{
    const struct wave_pace *pace = &t->sight.paces[system];
    json_t *data = json_object();
    json_put_text(data, "wave", t->sight.row.id);
    json_put_text(data, "system", t->sight.made.wave.systems[system].name);
    json_put_bool(data, "late", pace->late);
    json_put_moment(data, "due_at", pace->due);
    if (pace->placed)
        json_put_moment(data, "forecast_at", pace->forecast);
    if (pace->late) {
        json_put_moment(data, "late_at", pace->late_at);
        json_put_text(data, "reason", wave_reason_name(pace->reason));
    }
    return data;
}

static struct error *tell_lateness(struct db *db, struct turning *t, size_t system, json_t *told)
{
    const char *name = t->sight.made.wave.systems[system].name;
    const struct wave_pace *pace = &t->sight.paces[system];
    if (!pace->hosts || pace->late == (json_object_get(told, name) != NULL))
        return NULL;
    if (pace->late)
        json_put_moment(told, name, t->now);
    else
        (void)json_object_del(told, name); /* is there */
    json_t *data = late_data(t, system);
    struct error *error = wave_event(db, &t->sight.row, "wave.late", data, t->now);
    json_decref(data);
    return error;
}

static struct error *forecast_body(struct db *db, void *context)
{
    struct turning *t = context;
    json_t *told = json_hold(t->arena, json_deep_copy(t->sight.row.told));
    for (size_t i = 0; i < t->sight.made.wave.system_count; i++)
        TRY(tell_lateness(db, t, i, told));
    return wave_set_forecast(db, &t->sight.row, t->sight.forecast, t->sight.late, told);
}

struct ending {
    struct turning *turning;
    struct wave_telling telling;
};

static struct error *word_body(struct db *db, void *context)
{
    struct ending *ending = context;
    struct turning *t = ending->turning;
    struct wave_row row;
    TRY(wave_load(db, t->arena, t->sight.row.id, true, &row));
    if (row.version != t->sight.row.version)
        return error_new(ERR_STALE, "the wave has moved on");
    TRY(wave_tell(db, &row, &ending->telling, t->now));
    return row.life == WAVE_LIFE_DONE ? wave_release(db, &row) : NULL;
}

static struct error *tell(struct turning *t, enum wave_word word, const char *why)
{
    struct ending ending = {t, {.word = word, .why = why}};
    struct error *error = job_transaction(t->job, DB_READ_COMMITTED, word_body, &ending);
    if (error && error_code(error) == ERR_STALE && !job_cancelled(t->job)) {
        error_free(error);
        t->again = true;
        return NULL;
    }
    TRY(error);
    log_info("wave.changed", LOG_TEXT("wave", t->sight.row.id), LOG_TEXT("word", wave_word_name(word)));
    return NULL;
}

static struct error *release_body(struct db *db, void *context)
{
    const struct turning *t = context;
    return wave_release(db, &t->sight.row);
}

/* ---------------------------------------------------------------------------------------------------- turns
 */

static bool is_over(const struct turning *t)
{
    for (size_t i = 0; i < t->sight.count; i++)
        if (t->sight.members[i].class != WAVE_CLASS_DONE && t->sight.members[i].class != WAVE_CLASS_OUT)
            return false;
    return true;
}

static int64_t next_look(const struct turning *t)
{
    moment next = t->now + LOOK_QUIET_US;
    bool busy = false;
    for (size_t i = 0; i < t->sight.count; i++) {
        const struct wave_member *member = &t->sight.members[i];
        busy = busy || member->class == WAVE_CLASS_RUNNING ||
               (member->class == WAVE_CLASS_WAITING && (member->note || !may_start(member)));
        if (!may_start(member) && !may_cut(t, member))
            continue;
        moment due = may_cut(t, member) ? slot_of(t, i)->cut : slot_of(t, i)->start;
        if (slot_of(t, i)->placed && due < next)
            next = due;
    }
    if (busy && next > t->now + LOOK_RUNNING_US)
        next = t->now + LOOK_RUNNING_US;
    return next > t->now + MOMENT_SECOND ? next - t->now : MOMENT_SECOND;
}

static struct error *run_wave(struct turning *t)
{
    TRY(take_back(t));
    TRY(prepare(t));
    if (!t->again && !t->halt && is_fresh(t))
        TRY(prepare(t));
    if (!t->again && !t->halt)
        TRY(go_on(t));
    if (t->halt)
        return tell(t, WAVE_WORD_PAUSE, t->halt);
    if (t->again)
        return NULL;
    TRY(job_transaction(t->job, DB_READ_COMMITTED, forecast_body, t));
    if (is_over(t))
        return tell(t, WAVE_WORD_FINISH, NULL);
    return job_wait(t->job, next_look(t));
}

/* *ret_end: the wave has ended, and so has its job. */
static struct error *turn(struct turning *t, bool *ret_end)
{
    TRY(read_again(t));
    switch (t->sight.row.life) {
    case WAVE_LIFE_RUNNING:
        TRY(run_wave(t));
        t->again = t->again || t->halt || is_over(t);
        return NULL;
    case WAVE_LIFE_PAUSED:
        TRY(take_back(t));
        TRY(job_transaction(t->job, DB_READ_COMMITTED, forecast_body, t));
        return t->again ? NULL : job_wait(t->job, LOOK_QUIET_US);
    case WAVE_LIFE_CANCELLED:
        TRY(take_back(t));
        if (!t->again)
            TRY(job_transaction(t->job, DB_READ_COMMITTED, release_body, t));
        *ret_end = !t->again;
        return NULL;
    default:
        *ret_end = true;
        return NULL;
    }
}

static struct error *run(struct job *job)
{
    bool end = false, again = true;
    for (int turns = 0; again && !end && !job_cancelled(job); turns++) {
        if (turns == TURNS_MAX)
            return job_wait(job, MOMENT_SECOND);
        ARENA_AUTO struct arena *arena = arena_new();
        struct turning t = {.job = job, .arena = arena};
        TRY(turn(&t, &end));
        again = t.again;
    }
    return job_cancelled(job) ? error_new(ERR_CANCELLED, "the broker stops") : NULL;
}

struct error *wave_job_add(struct db *db, struct arena *arena, const struct wave_row *wave,
                           const char **ret_job)
{
    char *job = arena_alloc(arena, 37);
    json_t *args = json_object();
    json_put_text(args, "wave", wave->id);
    struct error *error = job_add(db, wave_job.name, wave->unit, wave->id, args, 0, job);
    json_decref(args);
    if (!error)
        *ret_job = job;
    return error;
}

/* It cannot be planned any more, or the job was cancelled: a person has to look, and resumes it. */
static struct error *failed(struct db *db, struct job *job, const struct error *error)
{
    struct wave_row row;
    TRY(wave_load(db, job->arena, json_string_value(json_object_get(job->args, "wave")), true, &row));
    return row.life == WAVE_LIFE_RUNNING
               ? wave_tell(db, &row,
                           &(struct wave_telling){.word = WAVE_WORD_PAUSE,
                                                  .why = arena_strdup(job->arena, error_message(error))},
                           clock_now(job->clock))
               : NULL;
}

static const struct job_step steps[] = {{"run", run, NULL}};
const struct job_type wave_job = {.name = "wave",
                                  .steps = steps,
                                  .step_count = sizeof steps / sizeof *steps,
                                  .max_attempts = INT_MAX, /* of the database's troubles alone */
                                  .backoff_us = MOMENT_SECOND,
                                  .backoff_max_us = MOMENT_MINUTE,
                                  .failed = failed};
