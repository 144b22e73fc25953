/* See move.h. The job Migrate is started once and followed by its record and by the partition's progress; a
 * cancelled move is the job MigrateAbort, which comes too late from the switch to the target on. Whatever is
 * not known for certain in the end is ERR_UNAVAILABLE or ERR_TIMEOUT, for move_settle.c to find out. */
#include "drivers/powervm/move.h"

#include <string.h>
#include <strings.h>

#include "broker/base/moment.h"
#include "drivers/powervm/atom.h"
#include "drivers/powervm/fence.h"

#define ABORT_US (120 * MOMENT_SECOND) /* for a migration to end once it is asked to */
#define MEGABYTE (UINT64_C(1) << 20)

static struct error *console_id(struct driver_session *session, const struct driver_call *call,
                                const char **ret_id)
{
    xmlNode *root = NULL;
    TRY(hmc_get(session->hmc, call, "ManagementConsole", &root));
    *ret_id = atom_text(call->arena, atom_first_entry(root), "id");
    return *ret_id ? NULL : error_new(ERR_UNAVAILABLE, "the HMC does not tell who it is");
}

/* On one HMC the two endpoints are told apart by their systems. */
static struct error *check_ends(const struct move *move, const struct driver_call *call)
{
    struct systems here, there;
    TRY(system_list(move->source, call, &here));
    TRY(system_list(move->target, call, &there));
    for (size_t i = 0; i < there.count; i++)
        if (system_find(&here, there.items[i].id))
            return error_new(ERR_INVALID,
                             "the system %s is of both endpoints: the option managed_systems has to keep "
                             "endpoints of one HMC apart",
                             there.items[i].name);
    return NULL;
}

struct error *move_open(struct driver_session *session, const struct driver_call *call,
                        const struct driver_move_spec *spec, struct move *ret_move)
{
    struct move move = {.source = session};
    const char *here = NULL, *there = NULL;
    struct error *error = powervm_open(spec->target, call, &move.target);
    if (!error)
        error = console_id(move.source, call, &here);
    if (!error)
        error = console_id(move.target, call, &there);
    if (!error) {
        move.one_hmc = strcmp(here, there) == 0;
        error = move.one_hmc ? check_ends(&move, call) : NULL;
    }
    if (error) {
        powervm_close(move.target);
        return error_wrap(error, "target %s", spec->target->id);
    }
    *ret_move = move;
    return NULL;
}

void move_close(struct move *move)
{
    powervm_close(move->target);
    move->target = NULL;
}

static struct error *find_movable(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, struct partition *ret_partition)
{
    struct partition partition;
    TRY(partition_find(session, call, key, &partition));
    if (!partition.stamp)
        return error_new(ERR_DENIED, "the partition %s was not made by the broker", partition.name);
    TRY(fence_refuses(&partition));
    if (partition.migrating)
        return error_new(ERR_CONFLICT, "the partition %s is migrating", partition.name);
    *ret_partition = partition;
    return NULL;
}

/* Of MigrateValidate and Migrate; returns how many. */
static size_t parameters_of(const struct move *move, const struct driver_call *call,
                            const struct system *system, struct hmc_parameter parameters[3])
{
    parameters[0] = (struct hmc_parameter){"TargetManagedSystemName", system->name};
    if (move->one_hmc)
        return 1;
    const char *address = hmc_address(move->target->hmc, call->arena);
    parameters[1] = (struct hmc_parameter){"TargetRemoteHMCIPAddress", address};
    parameters[2] = (struct hmc_parameter){"TargetRemoteHMCUserID", hmc_user(move->target->hmc)};
    return 3;
}

static struct error *validate(const struct move *move, const struct driver_call *call,
                              const struct partition *partition, const struct driver_move_spec *spec)
{
    struct system system;
    struct hmc_parameter parameters[3];
    TRY(move_place(move, call, partition, spec, &system));
    TRY(hmc_progress(move->source->hmc, call, 50, "validating the migration"));
    size_t count = parameters_of(move, call, &system, parameters);
    struct error *error = hmc_job(move->source->hmc, call, "LogicalPartition", partition->id,
                                  "MigrateValidate", parameters, count);
    if (error && (error_code(error) == ERR_INTERNAL || error_code(error) == ERR_INVALID ||
                  error_code(error) == ERR_EXISTS)) /* what the HMC found, whatever its code */
        return error_recode(error, ERR_CONFLICT, "%s cannot move to %s", partition->name, system.name);
    return error_wrap(error, "%s cannot move to %s", partition->name, system.name);
}

struct error *move_validate(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *key, const struct driver_move_spec *spec)
{
    struct partition partition;
    struct move move;
    TRY(find_movable(session, call, key, &partition));
    TRY(hmc_progress(session->hmc, call, 10, "looking at the target"));
    TRY(move_open(session, call, spec, &move));
    struct error *error = validate(&move, call, &partition, spec);
    move_close(&move);
    return error;
}

/* What a started migration is followed by. */
struct journey {
    const struct move *move;
    const struct partition *partition;
    const char *job;
    int percent, failures;
    bool cancelled, aborted;
};

/* Asks the HMC to stop the migration. Refused is no failure: it is past the switch, or over. */
static void stop(struct journey *journey, const struct driver_call *call)
{
    struct driver_call quiet = *call;
    quiet.progress = NULL; /* the caller has said already that it wants to stop */
    quiet.deadline_us = moment_monotonic() + ABORT_US;
    struct error *error = hmc_job(journey->move->source->hmc, &quiet, "LogicalPartition",
                                  journey->partition->id, "MigrateAbort", NULL, 0);
    error_ignore(error); /* how the migration itself ends is what counts */
    journey->aborted = true;
}

static void look_at_progress(struct journey *journey, const struct driver_call *call)
{
    struct partition now;
    struct error *error = partition_get(journey->move->source, call, journey->partition->id, &now);
    if (!error && now.percent > journey->percent)
        journey->percent = now.percent;
    error_ignore(error); /* told for people; the job's record decides */
}

/* Follows the migration to its end; an error is the job's or says that it cannot be followed. */
static struct error *follow(struct journey *journey, const struct driver_call *call)
{
    struct hmc *hmc = journey->move->source->hmc;
    int64_t pause = HMC_POLL_MIN_US;
    for (;;) {
        ARENA_AUTO struct arena *scratch = arena_new();
        struct driver_call look = *call;
        bool ended = false;
        look.arena = scratch;
        if (journey->cancelled) { /* its end is awaited, and reading must not be cut short any more */
            look.progress = NULL;
            if (!journey->aborted) {
                stop(journey, &look);
                look.deadline_us = moment_monotonic() + ABORT_US;
            }
        }
        TRY(hmc_job_look(hmc, &look, journey->job, "Migrate", &journey->failures, &ended));
        if (ended)
            return NULL;
        look_at_progress(journey, &look);
        struct error *error = journey->cancelled
                                  ? NULL
                                  : hmc_progress(hmc, call, 10 + journey->percent * 85 / 100, "migrating");
        if (error) {
            error_ignore(error); /* told once the migration has ended */
            journey->cancelled = true;
        }
        if (!hmc_pause(call, &pause))
            return error_new(ERR_TIMEOUT, "the migration of %s has not ended in time; it goes on",
                             journey->partition->name);
    }
}

/* NULL when the partition is on the source for certain, whole, and nothing of it on the target. */
static struct error *check_back(const struct move *move, const struct driver_call *call, const char *stamp)
{
    struct driver_key key = {.id = stamp};
    struct partition here, there;
    TRY(partition_find(move->source, call, &key, &here));
    if (here.migrating)
        return error_new(ERR_UNAVAILABLE, "it is in the state \"%s\"", here.state);
    struct error *error = partition_find(move->target, call, &key, &there);
    if (!error)
        return error_new(ERR_UNAVAILABLE, "the target has a part of it");
    if (error_code(error) != ERR_NOT_FOUND)
        return error_wrap(error, "the target does not answer");
    error_ignore(error); /* nothing is left there */
    return NULL;
}

/* The job failed: whether the partition is back. */
static struct error *went_wrong(const struct journey *journey, const struct driver_call *call,
                                struct error *error)
{
    const struct partition *partition = journey->partition;
    struct driver_call quiet = *call;
    quiet.progress = NULL; /* what is known now has to be found out */
    if (error_code(error) == ERR_TIMEOUT || error_code(error) == ERR_UNAVAILABLE)
        return error;
    struct error *lost = check_back(journey->move, &quiet, partition->stamp);
    if (lost) {
        struct error *both =
            error_recode(error, ERR_UNAVAILABLE, "the migration of %s has to be settled (%s)",
                         partition->name, error_message(lost));
        error_ignore(lost); /* told in the message */
        return both;
    }
    if (journey->cancelled)
        return error_recode(error, ERR_CANCELLED, "the migration of %s was stopped", partition->name);
    return error_wrap(error, "%s stays where it is", partition->name);
}

static struct error *arrived(const struct move *move, const struct driver_call *call,
                             const struct partition *partition, struct driver_move_report *report)
{
    struct driver_call quiet = *call;
    struct driver_key key = {.id = partition->stamp, .ref = partition->id};
    struct partition there;
    struct systems systems;
    quiet.progress = NULL; /* it has moved: too late to cancel */
    struct error *error = partition_find(move->target, &quiet, &key, &there);
    if (error && error_code(error) == ERR_NOT_FOUND)
        return error_recode(error, ERR_UNAVAILABLE,
                            "the partition has moved but the target does not show it yet");
    if (error)
        return error;
    TRY(system_list(move->target, &quiet, &systems));
    const struct system *system = system_find(&systems, there.system);
    report->ref = there.id;
    report->host = system ? system->name : NULL;
    return NULL;
}

static struct error *run(const struct move *move, const struct driver_call *call,
                         const struct partition *partition, const struct driver_move_spec *spec,
                         struct driver_move_report *ret_report)
{
    struct journey journey = {.move = move, .partition = partition};
    struct driver_move_report report = {
        .downtime_us = -1, .memory_bytes = partition->active ? partition->memory_mb * MEGABYTE : 0};
    struct system system;
    struct hmc_parameter parameters[3];
    TRY(move_place(move, call, partition, spec, &system));
    TRY(hmc_progress(move->source->hmc, call, 10, "starting the migration"));
    size_t count = parameters_of(move, call, &system, parameters);
    int64_t started = moment_monotonic();
    TRY_DOING(hmc_job_start(move->source->hmc, call, "LogicalPartition", partition->id, "Migrate", parameters,
                            count, &journey.job),
              "could not start the migration of %s to %s", partition->name, system.name);
    struct error *error = follow(&journey, call);
    if (!error || (error_code(error) != ERR_TIMEOUT && error_code(error) != ERR_UNAVAILABLE))
        hmc_job_forget(move->source->hmc, journey.job);
    if (error)
        return went_wrong(&journey, call, error);
    report.elapsed_us = moment_monotonic() - started;
    TRY(arrived(move, call, partition, &report));
    *ret_report = report;
    return NULL;
}

struct error *move_run(struct driver_session *session, const struct driver_call *call,
                       const struct driver_key *key, const struct driver_move_spec *spec,
                       struct driver_move_report *ret_report)
{
    struct partition partition;
    struct move move;
    TRY(find_movable(session, call, key, &partition));
    TRY(hmc_progress(session->hmc, call, 2, "looking at the target"));
    TRY(move_open(session, call, spec, &move));
    struct error *error = run(&move, call, &partition, spec, ret_report);
    move_close(&move);
    return error;
}
