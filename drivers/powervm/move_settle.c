/* See move.h. Both ends are looked at until they agree: a migration that runs is waited for or stopped, one
 * that failed in the middle is recovered at the HMC that shows it, the source's first. MigrateRecover is
 * never forced: without the other side's word there could be two in the end. */
#include "broker/base/moment.h"
#include "drivers/powervm/move.h"

/* A Migrate whose answer was lost may still wait to be started: the source is believed once nothing has begun
 * for so long. */
#define QUIET_US (2 * MOMENT_SECOND)

/* What both ends show of the partition. */
struct ends {
    struct partition source, target;
    bool on_source, on_target;
};

static struct error *look(struct driver_session *session, const struct driver_call *call,
                          const struct driver_key *key, struct partition *ret_partition, bool *ret_there)
{
    struct error *error = partition_find(session, call, key, ret_partition);
    *ret_there = !error;
    if (!error || error_code(error) != ERR_NOT_FOUND)
        return error;
    error_ignore(error); /* none there is an answer, too */
    return NULL;
}

static struct error *look_at_both(const struct move *move, const struct driver_call *call,
                                  const struct driver_key *key, struct ends *ret_ends)
{
    const struct driver_key stamp = {.id = key->id}; /* a hint could be of the other end */
    struct ends ends = {.on_source = false};
    TRY(look(move->source, call, &stamp, &ends.source, &ends.on_source));
    TRY(look(move->target, call, &stamp, &ends.target, &ends.on_target));
    *ret_ends = ends;
    return NULL;
}

/* At one end; `other` is the HMC of the other one. Refused because nothing is to be recovered any more, or
 * not yet: the next look says more. */
static struct error *recover(const struct move *move, const struct driver_call *call, bool at_source,
                             const struct partition *partition)
{
    struct hmc *hmc = at_source ? move->source->hmc : move->target->hmc;
    const struct hmc *other = at_source ? move->target->hmc : move->source->hmc;
    const char *address = hmc_address(other, call->arena);
    const struct hmc_parameter parameters[] = {{"TargetRemoteHMCIPAddress", address},
                                               {"TargetRemoteHMCUserID", hmc_user(other)}};
    TRY(hmc_progress(hmc, call, 50, at_source ? "recovering at the source" : "recovering at the target"));
    struct error *error = hmc_job(hmc, call, "LogicalPartition", partition->id, "MigrateRecover", parameters,
                                  move->one_hmc ? 0 : 2);
    if (error && (error_code(error) == ERR_INTERNAL || error_code(error) == ERR_INVALID ||
                  error_code(error) == ERR_CONFLICT))
        return error_recode(error, ERR_UNAVAILABLE, "the migration of %s cannot be recovered yet",
                            partition->name);
    return error;
}

static struct error *abort_migration(const struct move *move, const struct driver_call *call,
                                     const struct partition *partition)
{
    struct error *error =
        hmc_job(move->source->hmc, call, "LogicalPartition", partition->id, "MigrateAbort", NULL, 0);
    if (error && (error_code(error) == ERR_INTERNAL || error_code(error) == ERR_INVALID ||
                  error_code(error) == ERR_CONFLICT)) {
        error_ignore(error); /* past the switch, or over: it ends by itself */
        return NULL;
    }
    return error;
}

/* One step towards an end. *ret_settled: there is nothing more to do, the partition is on *ret_side. */
static struct error *step(const struct move *move, const struct driver_call *call, const struct ends *ends,
                          bool abort, bool *aborted, bool *ret_settled, enum driver_side *ret_side)
{
    bool moving = (ends->on_source && ends->source.migrating) || (ends->on_target && ends->target.migrating);
    *ret_settled = false;
    if (!ends->on_source && !ends->on_target)
        return error_new(ERR_NOT_FOUND, "neither end of the move has the partition");
    if (ends->on_source && ends->source.stuck)
        return recover(move, call, true, &ends->source);
    if (ends->on_target && ends->target.stuck)
        return recover(move, call, false, &ends->target);
    if (moving) {
        if (!abort)
            return error_new(ERR_BUSY, "the partition is being migrated");
        if (!*aborted && ends->on_source)
            TRY(abort_migration(move, call, &ends->source));
        *aborted = true;
        return NULL;
    }
    if (ends->on_source && ends->on_target)
        return error_new(ERR_CONFLICT, "both ends have a partition %s", ends->source.name);
    *ret_settled = true;
    *ret_side = ends->on_source ? DRIVER_SIDE_SOURCE : DRIVER_SIDE_TARGET;
    return NULL;
}

static struct error *settle(const struct move *move, const struct driver_call *call,
                            const struct driver_key *key, bool abort, enum driver_side *ret_side)
{
    int64_t pause = HMC_POLL_MIN_US;
    enum driver_side side = DRIVER_SIDE_SOURCE;
    bool aborted = false, settled = false;
    int64_t quiet_since = 0; /* the source has looked settled since then */
    for (;;) {
        ARENA_AUTO struct arena *scratch = arena_new();
        struct driver_call inner = *call;
        struct ends ends;
        inner.arena = scratch;
        TRY(look_at_both(move, &inner, key, &ends));
        TRY(step(move, &inner, &ends, abort, &aborted, &settled, &side));
        int64_t now = moment_monotonic();
        quiet_since = !settled ? 0 : quiet_since ? quiet_since : now;
        if (settled && (side == DRIVER_SIDE_TARGET || now - quiet_since >= QUIET_US)) {
            *ret_side = side;
            return NULL;
        }
        if (!hmc_pause(call, &pause))
            return error_new(ERR_TIMEOUT, "the move has not settled in time");
        TRY(hmc_progress(move->source->hmc, call, 70, "settling"));
    }
}

struct error *move_settle(struct driver_session *session, const struct driver_call *call,
                          const struct driver_key *key, const struct driver_move_spec *spec, bool abort,
                          enum driver_side *ret_side)
{
    struct move move;
    TRY(hmc_progress(session->hmc, call, 10, "looking at both ends"));
    TRY(move_open(session, call, spec, &move));
    struct error *error = settle(&move, call, key, abort, ret_side);
    move_close(&move);
    return error;
}
