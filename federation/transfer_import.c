/* The job "import": check → place → make → finish. The machine is placed as an order is (order_place: the
 * same rules, quota, room, prices), made as a shell that cannot run, filled from the images, proved,
 * released; then the order is fulfilled and the files are gone. What fails leaves nothing at the provider and
 * no claim; the files stay until they expire, so that it may be started again. */
#include "federation/transfer_import.h"

#include <string.h>

#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/control/order.h"
#include "broker/http/event.h"

#define TELL_US (2 * MOMENT_SECOND)
#define GIB ((uint64_t)1 << 30)
#define SYSTEM_DISK_MIN_GB 10 /* procurement 3.2.1.4 */

static const char *request_text(const struct import_work *w, const char *member)
{
    return json_string_value(json_object_get(w->transfer.request, member));
}

static struct error *load(struct db *db, struct import_work *w)
{
    struct arena *arena = w->job->arena;
    w->unit = json_string_value(json_object_get(w->job->args, "unit"));
    TRY(operation_load(db, arena, w->unit, json_string_value(json_object_get(w->job->args, "operation")),
                       &w->operation));
    TRY(transfer_of_operation(db, arena, w->unit, w->operation.id, &w->transfer));
    return transfer_files(db, arena, &w->transfer, &w->files, &w->file_count);
}

static struct error *load_body(struct db *db, void *context)
{
    return load(db, context);
}

struct error *import_begin(struct job *job, struct import_work *ret_work)
{
    const struct federation_services *services = job->context;
    struct import_work *w = ret_work;
    *w = (struct import_work){.job = job};
    TRY(job_transaction(job, DB_READ_COMMITTED, load_body, w));
    w->folder = transfer_folder(services, w->transfer.id, job->arena);
    w->disk = (struct transfer_disk){.job = job,
                                     .services = services,
                                     .folder = w->folder,
                                     .arena = job->arena,
                                     .progress = import_goes_on,
                                     .data = w};
    return NULL;
}

bool import_goes_on(void *work, const struct copy_progress *p)
{
    struct import_work *w = work;
    int64_t now = moment_monotonic();
    if (job_cancelled(w->job))
        return false;
    if (now - w->told_at < TELL_US)
        return true;
    w->told_at = now;
    uint64_t done = w->done_before + p->done;
    int percent = w->total ? w->from + (int)((double)done / (double)w->total * (w->to - w->from)) : w->from;
    operation_tell(w->job, w->unit, w->operation.id, percent < w->to ? percent : w->to,
                   arena_printf(w->job->arena, "%s: %llu of %llu MB", w->step,
                                (unsigned long long)(done / 1000000),
                                (unsigned long long)(w->total / 1000000)));
    return true;
}

struct error *import_sealed(struct db *db, const struct import_work *w, struct transfer_sealed *ret_sealed)
{
    bool known;
    *ret_sealed = (struct transfer_sealed){.disk_count = 0};
    return w->transfer.manifest
               ? transfer_sealed_read(db, w->transfer.manifest, w->job->arena, ret_sealed, &known)
               : NULL;
}

/* --------------------------------------------------------------------------------------------------- placing
 */

static int64_t gigabytes(uint64_t bytes, int64_t least)
{
    int64_t size = (int64_t)((bytes + GIB - 1) / GIB);
    return size < least ? least : size;
}

static const char *performance(const struct transfer_sealed *sealed, size_t disk, const char *asked)
{
    return asked                                                               ? asked
           : disk < sealed->disk_count && sealed->disks[disk].high_performance ? "high"
                                                                               : "standard";
}

static json_t *instance_spec(const struct import_work *w, const struct transfer_sealed *sealed)
{
    json_t *spec = json_hold(w->job->arena, json_object());
    json_put_int(spec, "vcpu", json_integer_value(json_object_get(w->transfer.request, "vcpu")));
    json_put_int(spec, "memory_gb", json_integer_value(json_object_get(w->transfer.request, "memory_gb")));
    json_put_text(spec, "architecture", request_text(w, "architecture"));
    json_put_text(spec, "image", ORDER_IMPORTED);
    json_put_text(spec, "zone", request_text(w, "zone"));
    json_put_int(spec, "system_disk_gb", gigabytes(w->disks[0].bytes, SYSTEM_DISK_MIN_GB));
    json_put_text(spec, "system_disk_performance", performance(sealed, 0, request_text(w, "performance")));
    return spec;
}

static json_t *volume_spec(const struct import_work *w, const struct transfer_sealed *sealed, size_t disk)
{
    json_t *spec = json_hold(w->job->arena, json_object());
    json_put_int(spec, "size_gb", gigabytes(w->disks[disk].bytes, 1));
    json_put_text(spec, "performance", performance(sealed, disk, request_text(w, "performance")));
    json_put_text(spec, "attach_to", w->transfer.name);
    return spec;
}

static struct error *place_body(struct db *db, void *context)
{
    struct import_work *w = context;
    struct arena *arena = w->job->arena;
    struct transfer_sealed sealed;
    struct order_made made;
    struct resource *resources;
    size_t count;
    TRY(load(db, w));
    if (w->operation.order)
        return NULL; /* the step ran before a crash */
    TRY(import_read_found(w));
    TRY(import_sealed(db, w, &sealed));
    struct order_item *items = arena_array(arena, w->disk_count, sizeof *items);
    items[0] =
        (struct order_item){.kind = "instance", .name = w->transfer.name, .spec = instance_spec(w, &sealed)};
    for (size_t i = 1; i < w->disk_count; i++)
        items[i] = (struct order_item){.kind = "volume",
                                       .name = arena_printf(arena, "%s-disk%zu", w->transfer.name, i + 1),
                                       .spec = volume_spec(w, &sealed, i)};
    const struct order_new order = {.unit = w->unit,
                                    .system = w->transfer.system,
                                    .cloud = w->transfer.cloud,
                                    .note = "import",
                                    .resources = {items, w->disk_count},
                                    .operation = w->operation.id};
    TRY(order_place(db, arena, w->transfer.principal, &order, w->transfer.request, clock_now(w->job->clock),
                    &made));
    TRY(resource_of_order(db, arena, w->unit, made.order, &resources, &count));
    return transfer_set_resource(db, &w->transfer, resources[0].id);
}

static struct error *place(struct job *job)
{
    struct import_work w = {.job = job};
    return job_transaction(job, DB_READ_COMMITTED, place_body, &w);
}

/* --------------------------------------------------------------------------------------------------- the end
 */

static struct error *finish_body(struct db *db, void *context)
{
    struct import_work *w = context;
    moment now = clock_now(w->job->clock);
    bool on = json_is_true(json_object_get(w->job->state, "on"));
    TRY(load(db, w));
    if (strcmp(w->transfer.state, "working") != 0)
        return NULL; /* the step ran before a crash */
    json_t *result = json_hold(w->job->arena, json_object());
    json_put_text(result, "import", w->transfer.id);
    json_put_text(result, "instance", w->transfer.resource);
    TRY(order_activate(db, w->job, on ? "on" : "off", result));
    TRY(transfer_take_space(db, &w->transfer, 0, w->job->context));
    return transfer_become(db, &w->transfer, "done", NULL, now);
}

/* From one moment on it is there and billed; its files have done their work. */
static struct error *finish(struct job *job)
{
    struct import_work w = {.job = job};
    TRY(job_transaction(job, DB_READ_COMMITTED, finish_body, &w));
    /* It is there, whatever becomes of the files: what is left is taken by the job that cleans. */
    struct error *error = transfer_folder_remove(transfer_folder(job->context, w.transfer.id, job->arena));
    if (error)
        log_warning("transfer.left", LOG_TEXT("import", w.transfer.id), LOG_CAUSE(error));
    error_free(error);
    return NULL;
}

static struct error *failed(struct db *db, struct job *job, const struct error *error)
{
    struct import_work w = {.job = job};
    TRY(load(db, &w));
    if (strcmp(w.transfer.state, "working") != 0)
        return NULL; /* it was over before: what came after changes nothing */
    TRY(transfer_set_resource(db, &w.transfer, NULL));
    TRY(transfer_become(db, &w.transfer, "failed", error_message(error), clock_now(job->clock)));
    return w.operation.order ? order_failed(db, job, error)
                             : operation_end(db, &w.operation, error, NULL, clock_now(job->clock));
}

static void progressed(struct job *job, const char *step, size_t done, size_t of,
                       const struct error *retrying)
{
    static const char *const next[] = {"checking", "placing", "copying", "activating"};
    const char *unit = json_string_value(json_object_get(job->args, "unit"));
    const char *operation = json_string_value(json_object_get(job->args, "operation"));
    if (retrying)
        operation_tell(
            job, unit, operation, 0,
            arena_printf(job->arena, "%s: will be tried again: %s", step, error_message(retrying)));
    else if (done < of)
        operation_tell(job, unit, operation, done == 3 ? 95 : (int)done * 10, next[done]);
}

static const struct job_step steps[] = {
    {"check", import_check, NULL},
    {"place", place, NULL},
    {"make", import_make, import_unmake},
    {"finish", finish, NULL},
};
const struct job_type import_job = {.name = "import",
                                    .steps = steps,
                                    .step_count = sizeof steps / sizeof *steps,
                                    .max_attempts = 8,
                                    .backoff_us = MOMENT_SECOND,
                                    .backoff_max_us = MOMENT_MINUTE,
                                    .failed = failed,
                                    .progressed = progressed};
