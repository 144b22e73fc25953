/* People's words on a migration; see migration_word.h. Rows are locked job first, then migration, instance
 * and volumes, as the job does. */
#include "federation/migration_word.h"

#include <string.h>

#include "federation/consent.h"
#include "federation/migration_job.h"
#include "federation/migration_work.h"
#include "federation/wave_store.h"

/* *ret_why NULL: it is good. */
static struct error *consented(struct db *db, struct arena *arena, const struct migration_row *m, moment now,
                               const char **ret_why)
{
    struct error *error = consent_check(db, arena, m->unit, m->system, m->resource,
                                        consent_site(arena, m->source.cloud, m->source.site),
                                        consent_site(arena, m->target.cloud, m->target.site), now, NULL);
    *ret_why = error ? arena_strdup(arena, error_message(error)) : NULL;
    if (error && error_code(error) == ERR_DENIED) {
        error_free(error);
        return NULL;
    }
    return error;
}

/* What a paper that is missing still refuses is no error. */
static struct error *settle_step(struct db *db, struct migration_row *m, struct migration_facts *facts,
                                 const struct migration_word *word, moment now, bool *ret_moved)
{
    enum migration_state to;
    struct error *missing = migration_next(m->state, word->event, facts, &to);
    *ret_moved = !missing;
    error_free(missing);
    return missing ? NULL : migration_tell(db, m, word, facts, now);
}

struct error *migration_settle_papers(struct db *db, struct arena *arena, struct migration_row *m,
                                      const char *principal, moment now)
{
    struct migration_facts facts;
    const char *denied;
    bool moved = true;
    if (m->state > MIGRATION_APPROVED)
        return NULL;
    TRY(consented(db, arena, m, now, &denied));
    TRY(migration_known(db, m, !denied, now, &facts));
    const struct migration_word words[] = {
        {.event = MIGRATION_EVENT_WITHDRAWN, .principal = principal, .why = denied},
        {.event = MIGRATION_EVENT_CONSENT, .principal = principal},
        {.event = MIGRATION_EVENT_APPROVAL, .principal = principal}};
    if (denied && m->state != MIGRATION_ASSESSED)
        return settle_step(db, m, &facts, &words[0], now, &moved);
    if (m->state == MIGRATION_ASSESSED)
        TRY(settle_step(db, m, &facts, &words[1], now, &moved));
    return moved && m->state == MIGRATION_CONSENTED ? settle_step(db, m, &facts, &words[2], now, &moved)
                                                    : NULL;
}

static const struct db_statement select_job = {
    "migration_job_of",
    "SELECT job_id FROM migration WHERE id = $2::uuid AND ($1::text IS NULL OR unit_id = $1)"};

/* Jobs' rows first: its wave's, then its own. */
static struct error *load(struct db *db, struct migration_work *work, const struct migration_saying *saying)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(wave_wake_of(db, saying->id));
    TRY(db_query_one(db, &select_job, DB_VALUES(db_text(saying->unit), db_text(saying->id)), "such migration",
                     &rows));
    if (!db_is_null(rows, 0, 0))
        TRY(job_wake(db, db_get_text(rows, 0, 0)));
    TRY(migration_load_work(db, work, saying->unit, saying->id));
    if (work->row.version != saying->version)
        return error_new(ERR_STALE, "the migration has moved on: it is %s in version %lld",
                         migration_state_name(work->row.state), (long long)work->row.version);
    return NULL;
}

/* The source is as its row says: nobody has looked yet. */
static void assume_source(const struct migration_work *work, struct migration_facts *facts)
{
    if (facts->source.known)
        return;
    facts->source = (struct migration_side){.known = true,
                                            .there = work->instance.state == RESOURCE_ACTIVE,
                                            .running = !strcmp(work->instance.power, "on")};
}

/* A cut-over begins with this word alone, a person's or a wave's: the service is to be back before the agreed
 * window ends, as far as anything is known of that. */
static void bound_window(const struct migration_row *m, moment now, struct migration_facts *facts)
{
    if (!m->window_from || !facts->window || m->predicted_us <= m->window_until - now)
        return;
    facts->window = false;
    facts->window_until = m->window_until;
}

static struct error *start_job(struct db *db, struct migration_work *work)
{
    const char *job;
    TRY(migration_job_add(db, work->arena, &work->row, &job));
    return migration_set_job(db, &work->row, job);
}

struct error *migration_say(struct db *db, struct arena *arena, const struct migration_saying *saying,
                            moment now, struct migration_row *ret_migration)
{
    struct migration_work work = {.arena = arena};
    struct migration_facts facts;
    const char *denied;
    TRY(load(db, &work, saying));
    if (saying->event == MIGRATION_EVENT_START)
        TRY(migration_settle_papers(db, arena, &work.row, saying->principal, now));
    TRY(consented(db, arena, &work.row, now, &denied));
    TRY(migration_known(db, &work.row, !denied, now, &facts));
    assume_source(&work, &facts);
    bound_window(&work.row, now, &facts);
    enum migration_state from = work.row.state;
    if (denied && saying->event == MIGRATION_EVENT_START && from <= MIGRATION_APPROVED)
        return error_new(ERR_DENIED, "could not start it; %s", denied);
    const struct migration_word word = {saying->event, saying->principal, saying->why};
    TRY(error_wrap(migration_tell(db, &work.row, &word, &facts, now), "could not %s it%s%s",
                   migration_event_name(saying->event), denied && from < MIGRATION_VERIFYING ? "; " : "",
                   denied && from < MIGRATION_VERIFYING ? denied : ""));
    if (saying->event == MIGRATION_EVENT_START)
        TRY(start_job(db, &work));
    if (saying->event == MIGRATION_EVENT_TEST)
        TRY(migration_test_add(db, arena, &work.row, saying->test, saying->principal, now));
    TRY(migration_entered(db, &work, from, now));
    *ret_migration = work.row;
    return NULL;
}

struct error *migration_change(struct db *db, struct arena *arena, const struct migration_saying *saying,
                               struct error *(*change)(struct db *db, struct migration_row *migration,
                                                       void *context),
                               void *context, moment now, struct migration_row *ret_migration)
{
    struct migration_work work = {.arena = arena};
    TRY(load(db, &work, saying));
    if (migration_ended(work.row.state))
        return error_new(ERR_CONFLICT, "the migration has ended: it is %s",
                         migration_state_name(work.row.state));
    TRY(change(db, &work.row, context));
    TRY(migration_settle_papers(db, arena, &work.row, saying->principal, now));
    *ret_migration = work.row;
    return NULL;
}

static const struct db_statement select_running = {
    "migration_running",
    "SELECT id::text, job_id::text FROM migration WHERE unit_id = $1 AND ended_at IS NULL"
    " AND job_id IS NOT NULL ORDER BY job_id"};

struct error *migration_wake_unit(struct db *db, struct arena *arena, const char *unit,
                                  struct json_texts *ret_running)
{
    struct db_rows *rows;
    TRY(db_query(db, &select_running, DB_VALUES(db_text(unit)), &rows));
    (void)db_hold(arena, rows);
    size_t count = db_count(rows);
    const char **ids = arena_array(arena, count, sizeof *ids);
    for (size_t i = 0; i < count; i++) {
        TRY(job_wake(db, db_get_text(rows, i, 1)));
        ids[i] = db_get_text(rows, i, 0);
    }
    *ret_running = (struct json_texts){ids, count};
    return NULL;
}

struct error *migration_check_consents(struct db *db, struct arena *arena, const char *unit,
                                       const struct json_texts *running, moment now)
{
    for (size_t i = 0; i < running->count; i++) {
        struct migration_row m;
        const char *denied;
        TRY(migration_load(db, arena, unit, running->items[i], &m));
        if (m.state < MIGRATION_COPYING || m.state > MIGRATION_CUTTING_OVER)
            continue;
        TRY(consented(db, arena, &m, now, &denied));
        if (denied)
            TRY(migration_set_terms(db, &m)); /* the same terms in a new version, which ends what it does */
    }
    return NULL;
}
