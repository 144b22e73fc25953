/* The job "migrate"; see migration_job.h. It is one step that takes turn after turn: read the row, look at
 * both ends, ask migration_decide, do that one thing, write it down. Whatever it was doing when a broker
 * died, or somebody said another word, the next turn begins from the row and the world as they are then.
 *
 * Trying again is its own business, for a move lasts longer than any job's attempts: what may heal is tried
 * again with growing waits, then the state machine is told that it is broken. */
#include "federation/migration_job.h"

#include <limits.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/http/event.h"
#include "federation/consent.h"
#include "federation/migration_work.h"
#include "federation/wave_store.h"

#define PASS_EVERY_US (10 * MOMENT_MINUTE)  /* synced: so that the last pass stays short */
#define LOOK_EVERY_US (6 * MOMENT_HOUR)     /* waiting for somebody's word, who wakes it */
#define GUARD_EVERY_US (10 * MOMENT_MINUTE) /* holding: whether the source is still fenced */
#define TRY_FIRST_US (MOMENT_SECOND / 2)
#define TRY_MOST_US (30 * MOMENT_SECOND)
#define TRIES_MAX 12 /* some three minutes; while the service is down no longer than that */
/* Of hypervisors that refuse a move when they are asked: it may be of the moment, a connection that comes up,
 * a slot that is taken. */
#define REFUSALS_MAX 4
#define AGAIN_MAX                                                                                          \
    5              /* times that a state is begun anew, what its first steps made being undone by somebody \
                    */
#define FLAT_MAX 3 /* passes in a row that do not get shorter */

struct error *migration_consented(struct db *db, struct migration_work *work, moment now, bool *ret_good)
{
    const struct migration_row *row = &work->row;
    struct error *error =
        consent_check(db, work->arena, row->unit, row->system, row->resource,
                      consent_site(work->arena, row->source.cloud, row->source.site),
                      consent_site(work->arena, row->target.cloud, row->target.site), now, NULL);
    *ret_good = !error;
    if (error && error_code(error) == ERR_DENIED) {
        work->denied = arena_strdup(work->arena, error_message(error));
        error_free(error);
        return NULL;
    }
    return error;
}

static struct error *read_body(struct db *db, void *context)
{
    struct migration_work *work = context;
    moment now = clock_now(work->job->clock);
    const json_t *args = work->job->args;
    bool consented;
    TRY(migration_load_work(db, work, json_string_value(json_object_get(args, "unit")),
                            json_string_value(json_object_get(args, "migration"))));
    TRY(migration_consented(db, work, now, &consented));
    TRY(migration_known(db, &work->row, consented, now, &work->facts));
    if (work->row.state == MIGRATION_TESTING)
        TRY(migration_test_load(db, work->arena, &work->row, &work->test));
    work->facts.behind = now - work->row.passed_at >= PASS_EVERY_US;
    work->facts.stuck = json_integer_value(json_object_get(work->job->state, "flat")) >= FLAT_MAX;
    return NULL;
}

static struct error *saw_body(struct db *db, void *context)
{
    struct migration_work *work = context;
    TRY(migration_still(db, &work->row));
    return migration_saw(db, &work->row, &work->facts.source, &work->facts.target);
}

struct telling {
    struct migration_work *work;
    struct migration_word word;
};

static struct error *tell_body(struct db *db, void *context)
{
    struct telling *telling = context;
    struct migration_work *work = telling->work;
    enum migration_state from = work->row.state;
    moment now = clock_now(work->job->clock);
    struct migration_facts known;
    struct migration_row row = work->row; /* a transaction may run again */
    struct error *error;
    TRY(migration_load_work(db, work, row.unit, row.id));
    if (work->row.state != row.state || work->row.version != row.version)
        return error_new(ERR_STALE, "the migration has moved on");
    TRY(migration_known(db, &work->row, work->facts.consented, now, &known));
    known.source = work->facts.source;
    known.target = work->facts.target;
    error = migration_tell(db, &work->row, &telling->word, &known, now);
    TRY(error);
    TRY(migration_audit(db, work, from, &telling->word, now));
    return migration_entered(db, work, from, now);
}

static struct error *wake_body(struct db *db, void *context)
{
    const struct migration_work *work = context;
    return wave_wake_of(db, work->row.id);
}

/* Its wave looks at it. Not in the transaction that told it: a wave's job locks its own row and then moves'.
 * One that is lost is made up for by the wave's next look. */
static void wake_wave(struct migration_work *work)
{
    error_ignore(db_transaction(work->job->db, &db_scope_system, DB_READ_COMMITTED, wake_body, work));
}

static struct error *tell(struct migration_work *work, enum migration_event event, const char *why)
{
    struct telling telling = {work, {.event = event, .why = why}};
    TRY(job_transaction(work->job, DB_READ_COMMITTED, tell_body, &telling));
    wake_wave(work);
    log_info("migration.changed", LOG_TEXT("migration", work->row.id),
             LOG_TEXT("event", migration_event_name(event)),
             LOG_TEXT("state", migration_state_name(work->row.state)));
    return NULL;
}

struct doing {
    struct migration_work *work;
    enum migration_effect effect;
};

static struct error *before_body(struct db *db, void *context)
{
    struct doing *doing = context;
    TRY(migration_still(db, &doing->work->row));
    return migration_before(db, doing->work, doing->effect, clock_now(doing->work->job->clock));
}

static struct error *after_body(struct db *db, void *context)
{
    struct doing *doing = context;
    struct migration_work *work = doing->work;
    struct migration_row row = work->row; /* with what the effect found: the target's reference */
    moment now = clock_now(work->job->clock);
    size_t count = migration_steps(&migration_table, row.state, row.method)->count;
    TRY(work->whatever_terms ? migration_follow(db, &row) : migration_still(db, &row));
    TRY(migration_load_work(db, work, row.unit, row.id));
    work->row.target.ref = row.target.ref;
    TRY(migration_after(db, work, doing->effect, now));
    json_put_int(work->job->state, "tries", 0);
    TRY(job_save(work->job));
    return migration_stepped(db, &work->row, row.step < count ? row.step + 1 : count, now);
}

static struct error *write_effect(struct migration_work *work, enum migration_effect effect)
{
    struct doing doing = {work, effect};
    if (work->found != MIGRATION_EVENT_COUNT)
        return tell(work, work->found, work->found_why);
    if (work->wait_us) {
        json_put_int(work->job->state, "tries", 0);
        return job_wait(work->job, work->wait_us);
    }
    return job_transaction(work->job, DB_READ_COMMITTED, after_body, &doing);
}

static struct error *do_effect(struct migration_work *work, enum migration_effect effect)
{
    struct doing doing = {work, effect};
    TRY(job_transaction(work->job, DB_READ_COMMITTED, before_body, &doing));
    TRY_DOING(migration_perform(work, effect), "%s", migration_effect_name(effect));
    return write_effect(work, effect);
}

struct error *migration_perform(struct migration_work *work, enum migration_effect effect)
{
    switch (effect) {
    case MIGRATION_ROOM_TAKE:
    case MIGRATION_ROOM_GIVE:
    case MIGRATION_ROW_BACK:
        return NULL; /* rows alone: migration_after */
    case MIGRATION_PASS:
    case MIGRATION_LAST_PASS:
    case MIGRATION_PROVE:
    case MIGRATION_CONVERT:
    case MIGRATION_SOURCE_CLOSE:
    case MIGRATION_COPY_END:
        return migration_perform_data(work, effect);
    case MIGRATION_VALIDATE:
    case MIGRATION_MOVE:
    case MIGRATION_MOVE_BACK:
    case MIGRATION_MOVE_SETTLE:
        return migration_perform_live(work, effect);
    case MIGRATION_TEST_MAKE:
    case MIGRATION_TEST_RUN:
    case MIGRATION_TEST_REMOVE:
        return migration_perform_test(work, effect);
    default:
        return migration_perform_side(work, effect);
    }
}

static struct error *again_body(struct db *db, void *context)
{
    struct migration_work *work = context;
    return migration_stepped(db, &work->row, 0, clock_now(work->job->clock));
}

struct trouble {
    struct migration_work *work;
    const char *text;
};

static struct error *trouble_body(struct db *db, void *context)
{
    const struct trouble *trouble = context;
    return migration_troubled(db, &trouble->work->row, trouble->text);
}

static struct error *note_trouble(struct migration_work *work, const char *text)
{
    struct trouble trouble = {work, text};
    return job_transaction(work->job, DB_READ_COMMITTED, trouble_body, &trouble);
}

/* How often this step of this state has been tried, this time included. */
static int64_t count_try(struct migration_work *work)
{
    json_t *state = work->job->state;
    const char *at =
        arena_printf(work->arena, "%s/%zu", migration_state_name(work->row.state), work->row.step);
    const char *before = json_string_value(json_object_get(state, "at"));
    int64_t tries = before && !strcmp(before, at) ? json_integer_value(json_object_get(state, "tries")) : 0;
    json_put_text(state, "at", at);
    json_put_int(state, "tries", tries + 1);
    return tries + 1;
}

/* How often this state was begun anew lately. */
static int64_t count_again(struct migration_work *work)
{
    json_t *state = work->job->state;
    const char *at = migration_state_name(work->row.state);
    const char *before = json_string_value(json_object_get(state, "again_in"));
    moment now = clock_now(work->job->clock);
    bool lately = now - json_integer_value(json_object_get(state, "again_at")) < MOMENT_HOUR;
    int64_t times =
        before && lately && !strcmp(before, at) ? json_integer_value(json_object_get(state, "again")) : 0;
    json_put_text(state, "again_in", at);
    json_put_int(state, "again_at", now);
    json_put_int(state, "again", times + 1);
    return times + 1;
}

static bool may_heal(enum error_code code)
{
    return code == ERR_BUSY || code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_IO ||
           code == ERR_SERIALIZATION || code == ERR_CONFLICT || code == ERR_CANCELLED;
}

static enum migration_effect present_effect(const struct migration_work *work)
{
    const struct migration_steps *steps =
        migration_steps(&migration_table, work->row.state, work->row.method);
    return work->row.step < steps->count ? steps->effects[work->row.step] : MIGRATION_EFFECT_COUNT;
}

/* Making or running a test boot: if that does not work, the test has failed, and not the move. */
static bool is_test(const struct migration_work *work)
{
    enum migration_effect effect = present_effect(work);
    return effect == MIGRATION_TEST_MAKE || effect == MIGRATION_TEST_RUN;
}

/* Nothing is lost while a test waits for its removal, and the move is worth more than it: a provider that
 * cannot be reached is waited for. */
static bool is_test_removal(const struct migration_work *work)
{
    return work->row.state == MIGRATION_TESTING && present_effect(work) == MIGRATION_TEST_REMOVE;
}

static struct error *give_up_body(struct db *db, void *context)
{
    struct trouble *trouble = context;
    struct migration_work *work = trouble->work;
    struct migration_row row = work->row; /* a transaction may run again */
    moment now = clock_now(work->job->clock);
    const struct migration_test_result result = {.outcome = "failed", .why = trouble->text};
    TRY(migration_still(db, &row));
    TRY(migration_test_end(db, &row, &result, now));
    TRY(job_save(work->job));
    return migration_stepped(db, &row, row.step + 1, now);
}

static struct error *give_up_test(struct migration_work *work, const char *text)
{
    struct trouble trouble = {work, text};
    return job_transaction(work->job, DB_READ_COMMITTED, give_up_body, &trouble);
}

/* While it is cut over the service is away: no longer than was agreed, when something fails. */
static bool is_overdue(const struct migration_work *work)
{
    const struct migration_row *row = &work->row;
    return row->state == MIGRATION_CUTTING_OVER && row->was_on && row->downtime_us && row->down_at &&
           clock_now(work->job->clock) - row->down_at >= row->downtime_us;
}

static bool again(const struct migration_work *work, enum error_code code, int64_t tries)
{
    bool asks = migration_moves(work->row.method) && work->row.state == MIGRATION_COPYING;
    return may_heal(code) && !is_overdue(work) &&
           tries < (asks && code == ERR_CONFLICT ? REFUSALS_MAX : TRIES_MAX);
}

/* Takes `error`. *ret_again: another turn at once. */
static struct error *failed(struct migration_work *work, struct error *error, bool *ret_again)
{
    ERROR_AUTO struct error *cause = error;
    enum error_code code = error_code(error);
    if (job_cancelled(work->job))
        return error_new(ERR_CANCELLED, "another attempt goes on");
    *ret_again = true;
    if (code == ERR_STALE || work->moved_on)
        return NULL; /* somebody's word came first */
    const char *text = arena_strdup(work->arena, error_message(error));
    int64_t tries = count_try(work);
    log_warning("migration.trouble", LOG_TEXT("migration", work->row.id), LOG_INT("tries", tries),
                LOG_CAUSE(error));
    if (again(work, code, tries) || (may_heal(code) && is_test_removal(work))) {
        int64_t wait = TRY_FIRST_US << (tries < 7 ? tries - 1 : 6);
        TRY(note_trouble(work, text));
        *ret_again = false;
        return job_wait(work->job, wait < TRY_MOST_US ? wait : TRY_MOST_US);
    }
    if (!migration_allows(work->row.state, MIGRATION_EVENT_BROKEN)) { /* nothing breaks it: it waits */
        TRY(note_trouble(work, text));
        *ret_again = false;
        return job_wait(work->job, TRY_MOST_US);
    }
    json_put_int(work->job->state, "tries", 0);
    if (is_test(work))
        return give_up_test(work, text);
    return tell(work, MIGRATION_EVENT_BROKEN, text);
}

static const struct db_statement mark_told = {
    "migration_hold_told", "UPDATE migration SET hold_told = true WHERE unit_id = $1 AND id = $2"};

static struct error *hold_over_body(struct db *db, void *context)
{
    struct migration_work *work = context;
    const struct migration_row *row = &work->row;
    json_t *data = json_object();
    json_put_text(data, "migration", row->id);
    json_put_text(data, "instance", row->resource);
    json_put_bool(data, "accepted", row->accepted);
    struct error *error = event_add(db, &(struct event){.at = clock_now(work->job->clock),
                                                        .type = "migration.hold-over",
                                                        .unit = row->unit,
                                                        .system = row->system,
                                                        .cloud = row->target.cloud,
                                                        .provider = row->target.provider,
                                                        .subject = row->id,
                                                        .data = data});
    json_decref(data);
    TRY(error);
    return db_run(db, &mark_told, DB_VALUES(db_text(row->unit), db_text(row->id)), NULL);
}

/* Also of a commit that failed: the source is still there. */
static bool guards_source(const struct migration_work *work)
{
    const struct migration_row *row = &work->row;
    return row->state == MIGRATION_HOLDING ||
           (row->state == MIGRATION_FAILED && row->failed_in == MIGRATION_COMMITTING);
}

/* While it is held, somebody may take the source's fence off by hand. */
static const char *unfenced(const struct migration_work *work)
{
    const struct migration_side *source = &work->facts.source;
    if (!guards_source(work) || !migration_able(source) || !source->known)
        return NULL;
    return source->running ? "the source runs beside the target: stop and fence it"
                           : "the source is not fenced any more: it could run beside the target";
}

struct unfencing {
    struct migration_work *work;
    const char *text;
};

static struct error *unfenced_body(struct db *db, void *context)
{
    const struct unfencing *unfencing = context;
    const struct migration_work *work = unfencing->work;
    const struct migration_row *row = &work->row;
    json_t *data = json_object();
    json_put_text(data, "migration", row->id);
    json_put_text(data, "instance", row->resource);
    json_put_bool(data, "running", work->facts.source.running);
    json_put_text(data, "reason", unfencing->text);
    const struct migration_end *ends[] = {&row->source, &row->target}; /* each cloud's people are told */
    struct error *error = NULL;
    for (int i = 0; !error && i < 2; i++)
        error = event_add(db, &(struct event){.at = clock_now(work->job->clock),
                                              .type = "migration.unfenced",
                                              .unit = row->unit,
                                              .system = row->system,
                                              .cloud = ends[i]->cloud,
                                              .provider = ends[i]->provider,
                                              .subject = row->id,
                                              .data = data});
    json_decref(data);
    return error;
}

/* Told once, until it is otherwise; what was told is over when it is fenced again. */
static struct error *guard_source(struct migration_work *work)
{
    json_t *state = work->job->state;
    const char *text = unfenced(work), *told = json_string_value(json_object_get(state, "unfenced"));
    if (!guards_source(work) || !work->facts.source.known || (!text && !told) ||
        (text && told && !strcmp(text, told)))
        return NULL;
    TRY(note_trouble(work, text));
    if (text) {
        struct unfencing unfencing = {work, text};
        log_error("migration.unfenced", LOG_TEXT("migration", work->row.id), LOG_TEXT("reason", text));
        TRY(job_transaction(work->job, DB_READ_COMMITTED, unfenced_body, &unfencing));
    }
    (void)json_object_del(state, "unfenced"); /* there or not */
    json_put_text(state, "unfenced", text);
    return NULL;
}

/* Waits for a word, or for the next thing that time brings. */
static struct error *wait(struct migration_work *work, const char *why, bool *ret_again)
{
    const struct migration_row *row = &work->row;
    moment now = clock_now(work->job->clock);
    int64_t most = LOOK_EVERY_US;
    if (why)
        TRY(note_trouble(work, why));
    TRY(guard_source(work));
    if (row->state == MIGRATION_SYNCED && row->method == MIGRATION_WARM)
        most = row->passed_at + PASS_EVERY_US - now;
    if (row->state == MIGRATION_HOLDING && now < row->hold_until)
        most = row->hold_until - now;
    else if (row->state == MIGRATION_HOLDING && row->commits_itself && row->accepted) {
        *ret_again = true;
        return tell(work, MIGRATION_EVENT_COMMIT, "the time that it is held is over");
    } else if (row->state == MIGRATION_HOLDING && !row->hold_told)
        TRY(job_transaction(work->job, DB_READ_COMMITTED, hold_over_body, work));
    if (guards_source(work) && most > GUARD_EVERY_US)
        most = GUARD_EVERY_US;
    return job_wait(work->job, most < MOMENT_SECOND   ? MOMENT_SECOND
                               : most < LOOK_EVERY_US ? most
                                                      : LOOK_EVERY_US);
}

/* Whether the present state can go on without having seen both ends. */
static bool goes_blind(const struct migration_work *work, const struct migration_decision *decision)
{
    return decision->act == MIGRATION_ACT_WAIT || decision->act == MIGRATION_ACT_END ||
           (decision->act == MIGRATION_ACT_EVENT && decision->event == MIGRATION_EVENT_WITHDRAWN) ||
           guards_source(work);
}

static struct error *act(struct migration_work *work, const struct migration_decision *decision,
                         bool *ret_again)
{
    const char *why = decision->why;
    if (decision->act == MIGRATION_ACT_EVENT && decision->event == MIGRATION_EVENT_TESTED)
        why = work->test.why ? arena_printf(work->arena, "the test has failed: %s", work->test.why)
                             : "the test has passed";
    if (work->unseen && !goes_blind(work, decision))
        return error_new(ERR_UNAVAILABLE, "%s", work->unseen);
    *ret_again = true;
    switch (decision->act) {
    case MIGRATION_ACT_EFFECT:
        TRY(do_effect(work, decision->effect));
        *ret_again = !work->wait_us;
        return NULL;
    case MIGRATION_ACT_EVENT:
        return tell(work, decision->event,
                    decision->event == MIGRATION_EVENT_WITHDRAWN ? work->denied
                    : why                                        ? why
                                                                 : work->found_why);
    case MIGRATION_ACT_AGAIN:
        if (is_overdue(work) || count_again(work) > AGAIN_MAX)
            return tell(work, MIGRATION_EVENT_BROKEN, why);
        return job_transaction(work->job, DB_READ_COMMITTED, again_body, work);
    case MIGRATION_ACT_WAIT:
        *ret_again = false;
        return wait(work, why, ret_again);
    case MIGRATION_ACT_END:
        break;
    }
    *ret_again = false;
    return NULL;
}

static struct error *turn(struct job *job, bool *ret_again)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct migration_work work = {.arena = arena, .job = job, .found = MIGRATION_EVENT_COUNT};
    *ret_again = false;
    TRY(job_transaction(job, DB_READ_COMMITTED, read_body, &work));
    if (migration_ended(work.row.state))
        return NULL;
    migration_look(&work);
    if (work.unseen)
        work.facts.behind = false;
    struct migration_decision decision =
        migration_decide(&migration_table, work.row.state, work.row.step, &work.facts);
    struct error *error = job_transaction(job, DB_READ_COMMITTED, saw_body, &work);
    if (!error)
        error = act(&work, &decision, ret_again);
    return error ? failed(&work, error, ret_again) : NULL;
}

static struct error *run(struct job *job)
{
    bool again = true;
    while (again && !job_cancelled(job))
        TRY(turn(job, &again));
    return job_cancelled(job) ? error_new(ERR_CANCELLED, "the broker stops") : NULL;
}

struct error *migration_job_add(struct db *db, struct arena *arena, const struct migration_row *m,
                                const char **ret_job)
{
    char *job = arena_alloc(arena, 37);
    json_t *args = json_object();
    json_put_text(args, "unit", m->unit);
    json_put_text(args, "migration", m->id);
    struct error *error = job_add(db, migration_job.name, m->unit, m->id, args, 0, job);
    json_decref(args);
    if (!error)
        *ret_job = job;
    return error;
}

static const struct job_step steps[] = {{"run", run, NULL}};
const struct job_type migration_job = {.name = "migrate",
                                       .steps = steps,
                                       .step_count = sizeof steps / sizeof *steps,
                                       .max_attempts = INT_MAX, /* of the database's troubles alone */
                                       .backoff_us = MOMENT_SECOND,
                                       .backoff_max_us = MOMENT_MINUTE};
