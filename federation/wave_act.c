/* See wave_act.h. */
#include "federation/wave_act.h"

#include <string.h>

#include "broker/auth/audit.h"
#include "broker/auth/principal_store.h"
#include "federation/consent.h"
#include "federation/migration_new.h"
#include "federation/migration_word.h"
#include "federation/services.h"

static const char *const act_names[] = {
#define X(symbol, name) [symbol] = name,
    WAVE_ACTS(X)
#undef X
};

/* Nobody's rights outlive him: a wave does what the one who let it run could do by hand. */
static struct error *check_name(struct db *db, struct wave_acting *acting, const char *permission)
{
    const struct wave_row *row = &acting->sight->row;
    struct principal_row person;
    struct principal *principal;
    struct error *error = principal_store_lock(db, row->acts_for, acting->arena, &person);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error);
        acting->denied = arena_printf(acting->arena, "%s is not there any more", row->acts_for);
        return error_new(ERR_DENIED, "%s", acting->denied);
    }
    TRY(error);
    TRY(principal_new(&person.grant, &principal));
    bool may = !person.disabled && principal_may(principal, permission) &&
               principal_sees_system(principal, row->unit, acting->sight->members[acting->member].system);
    principal_unref(principal);
    if (may)
        return NULL;
    acting->denied = arena_printf(acting->arena, "%s, who let it run, may not do that any more (%s)",
                                  row->acts_for, permission);
    return error_new(ERR_DENIED, "%s", acting->denied);
}

/* As a call by hand would leave it, with the wave that it was done for. */
static struct error *add_audit(struct db *db, const struct wave_acting *acting, const char *permission,
                               const char *migration, const char *cloud, moment now)
{
    const struct wave_row *row = &acting->sight->row;
    json_t *details = json_object();
    json_put_text(details, "wave", row->id);
    json_put_text(details, "word", act_names[acting->act]);
    json_put_text(details, "instance", acting->sight->members[acting->member].resource);
    struct error *error = audit_add(db, &(struct audit_entry){.at = now,
                                                              .principal = row->acts_for,
                                                              .action = permission,
                                                              .unit = row->unit,
                                                              .cloud = cloud,
                                                              .subject = migration,
                                                              .details = details});
    json_decref(details);
    return error;
}

static const char *reason_of(const struct wave_acting *acting)
{
    return arena_printf(acting->arena, "wave \"%s\"", acting->sight->row.name);
}

static struct error *plan(struct db *db, struct wave_acting *acting, moment now)
{
    const struct federation_services *services = acting->job->context;
    const struct wave_moves *moves = &acting->sight->terms.moves;
    const struct wave_row *row = &acting->sight->row;
    const struct wave_member *member = &acting->sight->members[acting->member];
    const struct migration_wish wish = {.instance = member->resource,
                                        .assessment = member->assessment,
                                        .method = moves->method,
                                        .downtime_seconds = moves->downtime_seconds,
                                        .hold_days = moves->hold_days,
                                        .bandwidth = moves->bandwidth,
                                        .commits_itself = moves->commits_itself,
                                        .proof = moves->proof,
                                        .approvals = services->migration_approvals,
                                        .conversion = services->conversion,
                                        .conversion_program = services->conversion_program,
                                        .principal = row->acts_for};
    struct migration_row made;
    TRY(check_name(db, acting, "migrations:plan"));
    TRY(migration_new(db, acting->arena, &wish, now, &made));
    TRY(wave_set_migration(db, row, member->resource, made.id));
    TRY(wave_note_history(db, row, "host-planned", member->resource, row->acts_for, NULL, now));
    return add_audit(db, acting, "migrations:plan", made.id, made.source.cloud, now);
}

static struct error *check_consent(struct db *db, struct arena *arena, const struct migration_row *m,
                                   moment now, const char **ret_consent)
{
    return consent_check(db, arena, m->unit, m->system, m->resource,
                         consent_site(arena, m->source.cloud, m->source.site),
                         consent_site(arena, m->target.cloud, m->target.site), now, ret_consent);
}

/* Which paper is missing. */
static struct error *missing_paper(struct db *db, struct wave_acting *acting, const struct migration_row *m,
                                   moment now, const char **ret_note)
{
    *ret_note = NULL;
    if (m->state == MIGRATION_APPROVED)
        return NULL;
    struct error *error = check_consent(db, acting->arena, m, now, NULL);
    if (error && error_code(error) != ERR_DENIED)
        return error;
    *ret_note = error
                    ? arena_printf(acting->arena, "it waits for the unit's consent: %s", error_message(error))
                    : arena_printf(acting->arena, "it waits for approval (%s)", m->approvals);
    error_free(error);
    return NULL;
}

static struct error *settle(struct db *db, struct wave_acting *acting, moment now)
{
    const struct wave_member *member = &acting->sight->members[acting->member];
    struct migration_row m;
    const char *note;
    TRY(migration_load(db, acting->arena, acting->sight->row.unit, member->migration, &m));
    TRY(migration_settle_papers(db, acting->arena, &m, NULL, now));
    TRY(missing_paper(db, acting, &m, now, &note));
    return wave_set_note(db, &acting->sight->row, member->resource, note);
}

static struct error *say(struct db *db, struct wave_acting *acting, enum migration_event event, moment now,
                         struct migration_row *ret_after)
{
    const struct wave_row *row = &acting->sight->row;
    const struct wave_member *member = &acting->sight->members[acting->member];
    const struct migration_saying saying = {.unit = row->unit,
                                            .id = member->migration,
                                            .version = member->version,
                                            .event = event,
                                            .principal = row->acts_for,
                                            .why = reason_of(acting)};
    TRY(migration_say(db, acting->arena, &saying, now, ret_after));
    return add_audit(db, acting, "migrations:operate", member->migration, ret_after->source.cloud, now);
}

static struct error *start(struct db *db, struct wave_acting *acting, moment now)
{
    const struct wave_row *row = &acting->sight->row;
    const struct wave_member *member = &acting->sight->members[acting->member];
    struct migration_row after;
    const char *consent = NULL;
    TRY(check_name(db, acting, "migrations:operate"));
    TRY(say(db, acting, MIGRATION_EVENT_START, now, &after));
    TRY(check_consent(db, acting->arena, &after, now, &consent));
    TRY(wave_set_consent(db, row, member->resource, consent));
    return wave_note_history(db, row, "host-started", member->resource, row->acts_for, NULL, now);
}

static struct error *cutover(struct db *db, struct wave_acting *acting, moment now)
{
    const struct wave_row *row = &acting->sight->row;
    const struct wave_member *member = &acting->sight->members[acting->member];
    struct migration_row after;
    TRY(check_name(db, acting, "migrations:operate"));
    TRY(say(db, acting, MIGRATION_EVENT_CUTOVER, now, &after));
    TRY(wave_set_note(db, row, member->resource, NULL));
    return wave_note_history(db, row, "host-cut-over", member->resource, row->acts_for, NULL, now);
}

/* A person's word took it out, or ended the wave: that was his right, and is done whoever he is by now. */
static struct error *cancel(struct db *db, struct wave_acting *acting, moment now)
{
    const struct wave_row *row = &acting->sight->row;
    const struct wave_member *member = &acting->sight->members[acting->member];
    struct migration_row after;
    TRY(say(db, acting, MIGRATION_EVENT_CANCEL, now, &after));
    return wave_note_history(db, row, "host-cancelled", member->resource, NULL, NULL, now);
}

static struct error *act_body(struct db *db, void *context)
{
    struct wave_acting *acting = context;
    const struct wave_row *seen = &acting->sight->row;
    struct wave_row row;
    moment now = clock_now(acting->job->clock);
    acting->denied = NULL;
    TRY(wave_load(db, acting->arena, seen->id, true, &row));
    if (row.life != seen->life || row.version != seen->version)
        return error_new(ERR_STALE, "the wave has moved on");
    switch (acting->act) {
    case WAVE_ACT_PLAN:
        return plan(db, acting, now);
    case WAVE_ACT_SETTLE:
        return settle(db, acting, now);
    case WAVE_ACT_START:
        return start(db, acting, now);
    case WAVE_ACT_CUTOVER:
        return cutover(db, acting, now);
    default:
        return cancel(db, acting, now);
    }
}

struct noting {
    const struct wave_acting *acting;
    const char *note;
};

static struct error *note_body(struct db *db, void *context)
{
    const struct noting *noting = context;
    const struct wave_sight *sight = noting->acting->sight;
    return wave_set_note(db, &sight->row, sight->members[noting->acting->member].resource, noting->note);
}

/* The database's or the broker's own trouble, which the job's attempts are for. */
static bool is_own(enum error_code code)
{
    return code == ERR_SERIALIZATION || code == ERR_UNAVAILABLE || code == ERR_TIMEOUT || code == ERR_BUSY ||
           code == ERR_IO || code == ERR_CANCELLED || code == ERR_INTERNAL;
}

struct error *wave_do(struct wave_acting *acting, bool *ret_done)
{
    struct error *error = job_transaction(acting->job, DB_READ_COMMITTED, act_body, acting);
    *ret_done = !error;
    if (!error || error_code(error) == ERR_STALE || is_own(error_code(error)) || acting->denied)
        return error;
    struct noting noting = {acting, arena_printf(acting->arena, "could not %s it: %s", act_names[acting->act],
                                                 error_message(error))};
    error_free(error);
    return job_transaction(acting->job, DB_READ_COMMITTED, note_body, &noting);
}
