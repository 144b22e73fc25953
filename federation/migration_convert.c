/* The effect CONVERT: the converter runs over the target's disks, exported for writing once more after the
 * proof; see convert.h and migration_work.h. The row says "running" before it begins. One that was cut short
 * is not repeated on what it left: migration_step.c sends the move back, and the last pass copies everything
 * again. */
#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "broker/base/log.h"
#include "federation/convert.h"
#include "federation/migration_data.h"

#define ATTEMPTS_MAX 2           /* that were cut short; a third one would be as well */
#define CONVERT_US MOMENT_MINUTE /* for the forecast */

static const struct db_statement set_conversion = {
    "migration_set_conversion", "UPDATE migration SET conversion = $3 WHERE unit_id = $1 AND id = $2"};

static struct error *write_row(struct db *db, const struct migration_work *work)
{
    const struct migration_row *row = &work->row;
    return db_run(db, &set_conversion,
                  DB_VALUES(db_text(row->unit), db_text(row->id), db_json(row->conversion)), NULL);
}

static struct convert_plan plan_of(const struct migration_work *work)
{
    const struct federation_services *services = work->job->context;
    const char *mode = json_string_value(json_object_get(work->row.conversion, "mode"));
    /* Between which kinds was asked when the move was planned. */
    return convert_plan(work->arena, mode, services->conversion_program, "another", "kvm",
                        json_string_value(json_object_get(work->row.shape, "guest")));
}

static int64_t attempts_of(const struct migration_work *work)
{
    return json_integer_value(json_object_get(work->row.conversion, "attempts"));
}

static bool is(const struct migration_work *work, const char *state)
{
    const char *is = json_string_value(json_object_get(work->row.conversion, "state"));
    return is && !strcmp(is, state);
}

int64_t migration_convert_us(const struct migration_work *work)
{
    return is(work, "planned") && plan_of(work).runs ? CONVERT_US : 0;
}

/* Only what will touch the disks is a beginning. A transaction may run again. */
struct error *migration_convert_begun(struct db *db, struct migration_work *work)
{
    if (!plan_of(work).runs || (attempts_of(work) >= ATTEMPTS_MAX && !is(work, "running")))
        return NULL;
    if (!is(work, "running"))
        json_put_int(work->row.conversion, "attempts", attempts_of(work) + 1);
    json_put_text(work->row.conversion, "state", "running");
    return write_row(db, work);
}

struct error *migration_convert_ended(struct db *db, struct migration_work *work)
{
    work->row.conversion = work->converted;
    return write_row(db, work);
}

/* The target's disks are the source's again. */
struct error *migration_convert_again(struct db *db, struct migration_work *work)
{
    if (!work->row.conversion)
        return NULL;
    json_put_text(work->row.conversion, "state", "planned");
    return write_row(db, work);
}

static struct error *ended_body(struct db *db, void *context)
{
    struct migration_work *work = context;
    TRY(migration_follow(db, &work->row));
    return migration_convert_ended(db, work);
}

static void note(struct migration_work *work, const char *state, const char *why, const char *log)
{
    json_put_text(work->converted, "state", state);
    json_put_text(work->converted, "why", why);
    json_put_text(work->converted, "log", log && *log ? log : NULL);
}

/* ------------------------------------------------------------------------------------------------ running it
 */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status; /* nftw's form */
    (void)type;
    (void)walk;
    return remove(path);
}

/* What an attempt that was killed left goes first. */
static struct error *make_folder(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT); /* it may not be there */
    if (mkdir(path, 0700) < 0)
        return error_new(ERR_IO, "could not make %s: %s", path, strerror(errno));
    return NULL;
}

static const char *folder_of(const struct migration_work *work)
{
    const struct federation_services *services = work->job->context;
    return arena_printf(work->arena, "%s/%s-convert", services->copy_dir, work->row.id);
}

void migration_convert_clear(const struct migration_work *work)
{
    if (work->row.conversion)
        (void)nftw(folder_of(work), remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT); /* if there is one */
}

static bool goes_on(void *context)
{
    return migration_goes_on(context);
}

/* The boot disk first: the converter takes the first for it. */
static struct error *describe(struct migration_work *work, const struct driver_export *opened,
                              const char **ret_xml)
{
    struct migration_shape shape;
    const json_t *spec = work->instance.spec;
    const char *sockets[MIGRATION_DISKS_MAX], *exports[MIGRATION_DISKS_MAX];
    size_t count = 0;
    TRY(migration_read_shape(work, &shape));
    for (int boot = 1; boot >= 0; boot--)
        for (size_t i = 0; i < opened->disk_count && i < shape.disk_count; i++) {
            if (shape.disks[i].boot != (boot == 1))
                continue;
            if (!opened->disks[i].socket)
                return error_new(ERR_UNSUPPORTED,
                                 "the target's disks are reached over TLS: the converter runs "
                                 "beside the hypervisor alone");
            sockets[count] = opened->disks[i].socket;
            exports[count++] = opened->disks[i].export_name;
        }
    const struct convert_guest guest = {
        .name = work->row.name,
        .vcpu = (unsigned)json_integer_value(json_object_get(spec, "vcpu")),
        .memory_mb = (uint64_t)json_integer_value(json_object_get(spec, "memory_gb")) * 1024,
        .uefi = shape.firmware == DRIVER_FIRMWARE_UEFI,
        .mac = shape.mac,
        .sockets = sockets,
        .exports = exports,
        .disk_count = count};
    *ret_xml = convert_describe(work->arena, &guest);
    return NULL;
}

static struct error *run_on(struct migration_work *work, const struct driver_export *opened,
                            const char **ret_log)
{
    const struct federation_services *services = work->job->context;
    const char *folder = folder_of(work);
    struct convert_run run = {.program = services->conversion_program,
                              .folder = folder,
                              .timeout_us = services->conversion_timeout_us,
                              .goes_on = goes_on,
                              .context = work};
    TRY(describe(work, opened, &run.xml));
    TRY(make_folder(folder));
    struct error *error = convert_guest_run(work->arena, &run, ret_log);
    migration_convert_clear(work);
    return error;
}

static struct error *run_exported(struct migration_work *work, struct migration_call *target)
{
    struct gate *gate = provider_gate(&target->call);
    struct driver_key key = migration_key(work, &work->row.target);
    const struct driver_export_spec write = {.id = work->plan.target, .access = DRIVER_WRITE};
    struct driver_export opened;
    const char *log = "";
    TRY(gate_export_open(gate, &target->call.call, &key, &write, &opened));
    struct error *error = run_on(work, &opened, &log);
    if (error && error_code(error) != ERR_CANCELLED) {
        note(work, "failed", error_message(error), log);
        error_ignore(job_transaction(work->job, DB_READ_COMMITTED, ended_body, work)); /* the first is told */
        return error;
    }
    TRY(error);
    note(work, "done", NULL, log);
    return gate_export_close(gate, &target->call.call, &key, work->plan.target, true);
}

static struct error *enter_body(struct db *db, void *context)
{
    struct migration_work *work = context;
    TRY(migration_follow(db, &work->row));
    return migration_enter(db, &work->row, "target", "export", work->plan.target,
                           clock_now(work->job->clock));
}

static struct error *run_now(struct migration_work *work)
{
    struct migration_call target;
    int64_t began = moment_monotonic();
    work->whatever_terms = true; /* no other ones are worth beginning all of it anew */
    work->plan = (struct migration_pass_plan){.target = id_new_in(work->arena)};
    TRY(job_transaction(work->job, DB_READ_COMMITTED, enter_body, work));
    TRY(migration_clear_others(work));
    TRY(migration_call_open(work, &work->row.target, &target));
    target.call.call.deadline_us = began + MIGRATION_CALL_US;
    struct error *error = run_exported(work, &target);
    migration_call_close(&target);
    json_put_int(work->converted, "elapsed_ms", (moment_monotonic() - began) / 1000);
    return error;
}

struct error *migration_convert(struct migration_work *work)
{
    struct convert_plan plan = plan_of(work);
    const char *mode = json_string_value(json_object_get(work->row.conversion, "mode"));
    work->plan = (struct migration_pass_plan){.target = NULL};
    work->converted = json_hold(work->arena, json_deep_copy(work->row.conversion));
    if (plan.runs && is(work, "running"))
        return run_now(work);
    if (plan.runs)
        return error_new(ERR_UNSUPPORTED, "the conversion was cut short %d times", ATTEMPTS_MAX);
    if (mode && !strcmp(mode, "required"))
        return error_new(ERR_UNSUPPORTED, "the guest has to be converted: %s", plan.why);
    note(work, "skipped", plan.why, NULL);
    return NULL;
}
