/* The job "export": copy → pack → seal. The disks are copied into image files by the copy engine, which goes
 * on after a crash where it was; packed where the format cannot be written at random; proved; sealed. The
 * instance is held meanwhile. What is under way lies in the job's state and the row; taking back is closing
 * the provider's export and removing the folder. */
#include "federation/transfer_export.h"

#include <string.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/control/endpoint.h"
#include "broker/control/provider_call.h"
#include "broker/http/event.h"
#include "federation/consent.h"
#include "federation/migration_data.h"

#define TELL_US (2 * MOMENT_SECOND)
#define COPY_US MOMENT_DAY        /* for all disks */
#define SLACK ((uint64_t)4 << 20) /* tables of an image, a disk */

/* ------------------------------------------------------------------------------------------- what it works
 * on
 */

static struct error *check_consent(struct db *db, struct export_work *w)
{
    struct endpoint_row endpoint;
    struct arena *arena = w->job->arena;
    TRY(endpoint_load(db, arena, w->instance.endpoint, &endpoint));
    struct error *error = consent_check(db, arena, w->unit, w->instance.system, w->instance.id,
                                        consent_site(arena, w->instance.cloud, endpoint.site), CONSENT_EXPORT,
                                        clock_now(w->job->clock), NULL);
    if (error && error_code(error) == ERR_DENIED) {
        w->denied = arena_strdup(arena, error_message(error));
        error_free(error);
        return NULL;
    }
    return error;
}

static struct error *load(struct db *db, struct export_work *w)
{
    struct arena *arena = w->job->arena;
    w->unit = json_string_value(json_object_get(w->job->args, "unit"));
    TRY(operation_load(db, arena, w->unit, json_string_value(json_object_get(w->job->args, "operation")),
                       &w->operation));
    TRY(transfer_of_operation(db, arena, w->unit, w->operation.id, &w->transfer));
    return resource_load(db, arena, w->unit, w->transfer.resource, "instance", &w->instance);
}

static struct error *load_body(struct db *db, void *context)
{
    struct export_work *w = context;
    w->denied = NULL;
    TRY(load(db, w));
    return check_consent(db, w);
}

struct error *export_begin(struct job *job, struct export_work *ret_work)
{
    const struct federation_services *services = job->context;
    struct export_work *w = ret_work;
    *w = (struct export_work){.job = job};
    TRY(job_transaction(job, DB_READ_COMMITTED, load_body, w));
    w->folder = transfer_folder(services, w->transfer.id, job->arena);
    w->disk = (struct transfer_disk){.job = job,
                                     .services = services,
                                     .folder = w->folder,
                                     .arena = job->arena,
                                     .progress = export_goes_on,
                                     .data = w};
    return w->denied ? error_new(ERR_DENIED, "%s", w->denied) : NULL;
}

size_t export_disk_count(const struct export_work *w)
{
    return json_array_size(json_object_get(w->transfer.machine, "disks"));
}

const char *export_disk_file(const struct export_work *w, size_t disk, const char *end)
{
    return arena_printf(w->job->arena, "%s-disk%zu.%s", w->transfer.name, disk + 1, end);
}

const char *export_manifest_path(const struct export_work *w, size_t disk)
{
    return arena_printf(w->job->arena, "%s/.disk%zu.blocks", w->folder, disk + 1);
}

bool export_packs(const struct export_work *w)
{
    return w->transfer.format == TRANSFER_VMDK || w->transfer.format == TRANSFER_OVA;
}

static struct error *ask_body(struct db *db, void *context)
{
    struct export_work *w = context;
    w->denied = NULL;
    return check_consent(db, w);
}

bool export_goes_on(void *work, const struct copy_progress *p)
{
    struct export_work *w = work;
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
    /* Withdrawn meanwhile: not one block more. A database that cannot be asked now is asked again. */
    error_ignore(db_transaction(w->job->db, &db_scope_system, DB_READ_COMMITTED, ask_body, w));
    return !w->denied;
}

struct error *export_why(const struct export_work *w, struct error *error)
{
    if (!error || !w->denied)
        return error;
    error_free(error);
    return error_new(ERR_DENIED, "%s", w->denied);
}

/* ------------------------------------------------------------------------------------------------ the
 * machine
 */

static const char *firmware_name(enum driver_firmware firmware)
{
    static const char *const names[] = {[DRIVER_FIRMWARE_UNKNOWN] = "bios",
                                        [DRIVER_FIRMWARE_BIOS] = "bios",
                                        [DRIVER_FIRMWARE_UEFI] = "uefi",
                                        [DRIVER_FIRMWARE_UEFI_SECURE] = "uefi-secure",
                                        [DRIVER_FIRMWARE_OPEN] = "open"};
    return names[firmware];
}

static json_t *disks_json(const struct driver_detail *detail)
{
    json_t *disks = json_array();
    for (int boot = 1; boot >= 0; boot--)
        for (size_t i = 0; i < detail->disk_count; i++) {
            const struct driver_disk *disk = &detail->disks[i];
            if (disk->removable || disk->boot != boot)
                continue;
            json_t *json = json_object();
            json_put_text(json, "name", disk->name);
            json_put_text(json, "volume", disk->volume_id);
            json_put_int(json, "bytes", (int64_t)disk->size_bytes);
            json_put_bool(json, "boot", disk->boot);
            json_put_bool(json, "high_performance", disk->high_performance);
            json_push(disks, json);
        }
    return disks;
}

static json_t *machine_json(const struct export_work *w, const struct driver_detail *detail)
{
    json_t *machine = json_object(), *cards = json_array();
    const json_t *spec = w->instance.spec;
    json_put_text(machine, "name", w->instance.name);
    json_put_text(machine, "id", w->instance.id);
    json_put_text(machine, "architecture", json_string_value(json_object_get(spec, "architecture")));
    json_put_int(machine, "vcpu", detail->instance.vcpu);
    json_put_int(machine, "memory_mb", (int64_t)detail->instance.memory_mb);
    json_put_text(machine, "firmware", firmware_name(detail->firmware));
    json_put_text(machine, "hardware", detail->machine);
    json_put_text(machine, "guest_os", detail->guest_os);
    json_put(machine, "disks", disks_json(detail));
    json_put(machine, "cards", cards);
    for (size_t i = 0; i < detail->adapter_count; i++) {
        json_t *card = json_object();
        json_put_text(card, "mac", detail->adapters[i].mac);
        json_put_text(card, "network", detail->adapters[i].network);
        json_put_text(card, "model", detail->adapters[i].model);
        json_push(cards, card);
    }
    return machine;
}

static struct error *check_machine(const struct export_work *w, const struct driver_detail *detail)
{
    bool running_asked = json_is_true(json_object_get(w->transfer.request, "running"));
    if (detail->instance.power != DRIVER_POWER_OFF && !running_asked)
        return error_new(ERR_CONFLICT,
                         "instance \"%s\" is not off: stop it, or ask for a point in time of it (running)",
                         w->instance.name);
    for (size_t i = 0; i < detail->disk_count; i++)
        if (!detail->disks[i].removable && detail->disks[i].unreadable)
            return error_new(ERR_UNSUPPORTED, "disk %s cannot be read: %s", detail->disks[i].name,
                             detail->disks[i].unreadable);
    json_t *disks = json_hold(w->job->arena, disks_json(detail));
    if (!json_array_size(disks) || json_array_size(disks) > TRANSFER_DISKS_MAX)
        return error_new(ERR_UNSUPPORTED, "instance \"%s\" has %zu disks; 1 to %d can be exported",
                         w->instance.name, json_array_size(disks), TRANSFER_DISKS_MAX);
    if (w->transfer.machine && !json_equal(disks, json_object_get(w->transfer.machine, "disks")))
        return error_new(ERR_CONFLICT, "the disks are not any more those that copying began with");
    return NULL;
}

struct noting {
    struct export_work *w;
    json_t *machine;
};

static struct error *note_body(struct db *db, void *context)
{
    struct noting *noting = context;
    return transfer_set_machine(db, &noting->w->transfer, noting->machine);
}

static struct error *look(struct export_work *w, struct provider_call *call, bool *ret_running)
{
    struct driver_detail detail;
    struct driver_key key = resource_key(&w->instance);
    TRY(gate_instance_detail(provider_gate(call), &call->call, &key, &detail));
    TRY(check_machine(w, &detail));
    *ret_running = detail.instance.power != DRIVER_POWER_OFF;
    if (w->transfer.machine)
        return NULL;
    struct noting noting = {w, json_hold(w->job->arena, machine_json(w, &detail))};
    TRY(job_transaction(w->job, DB_READ_COMMITTED, note_body, &noting));
    w->transfer.machine = noting.machine;
    return NULL;
}

/* --------------------------------------------------------------------------------------------------- copying
 */

struct copying {
    struct export_work *w;
    struct provider_call *call;
    const char *id; /* of the provider's export */
    struct driver_export export;
};

static const char *state_text(const struct export_work *w, const char *member)
{
    return json_string_value(json_object_get(w->job->state, member));
}

/* A point in time of a running machine is lost with the broker that had it: all is copied anew. */
static struct error *forget_pass(struct export_work *w)
{
    for (size_t i = 0; i < export_disk_count(w); i++)
        TRY(copy_pass_forget(export_manifest_path(w, i)));
    json_put_int(w->job->state, "copied", 0);
    json_put_int(w->job->state, "begun", 0); /* into new files: these have something of the old ones */
    return NULL;
}

static struct error *open_export(struct copying *c, bool running)
{
    struct export_work *w = c->w;
    struct driver_key key = resource_key(&w->instance);
    const char *before = state_text(w, "export");
    if (before && running) {
        TRY(gate_export_close(provider_gate(c->call), &c->call->call, &key, before, false));
        TRY(forget_pass(w));
    }
    c->id = before && !running ? arena_strdup(w->job->arena, before) : id_new_in(w->job->arena);
    json_put_text(w->job->state, "export", c->id);
    json_put_bool(w->job->state, "running", running);
    TRY(job_save(w->job));
    const struct driver_export_spec spec = {.id = c->id, .access = DRIVER_READ, .quiesce = running};
    TRY(gate_export_open(provider_gate(c->call), &c->call->call, &key, &spec, &c->export));
    json_put_bool(w->job->state, "quiesced", c->export.quiesced);
    return NULL;
}

/* The export of that disk of the machine; both sides name them alike. */
static struct error *exported(const struct copying *c, size_t disk, const struct driver_exported_disk **ret)
{
    const json_t *json = json_array_get(json_object_get(c->w->transfer.machine, "disks"), disk);
    const char *name = json_string_value(json_object_get(json, "name"));
    for (size_t i = 0; i < c->export.disk_count; i++)
        if (!strcmp(c->export.disks[i].disk, name)) {
            if ((int64_t)c->export.disks[i].size_bytes != json_integer_value(json_object_get(json, "bytes")))
                break;
            *ret = &c->export.disks[i];
            return NULL;
        }
    return error_new(ERR_CONFLICT, "disk %s is not any more what it was", name);
}

static struct copy_pass pass_of(const struct copying *c, size_t disk, const struct driver_exported_disk *from)
{
    const struct export_work *w = c->w;
    const char *digest = json_string_value(json_object_get(w->transfer.request, "digest"));
    return (struct copy_pass){.source = migration_copy_end(w->job->arena, from),
                              .changes = COPY_ALL,
                              .snapshot = c->id,
                              .label = from->disk,
                              .pass = 1,
                              .algorithm = digest && !strcmp(digest, "sm3") ? COPY_SM3 : COPY_SHA256,
                              .manifest_path = export_manifest_path(w, disk),
                              .target_zero = true};
}

struct taking {
    struct export_work *w;
    uint64_t bytes;
};

static struct error *take_body(struct db *db, void *context)
{
    const struct taking *taking = context;
    const struct federation_services *services = taking->w->job->context;
    return transfer_take_space(db, &taking->w->transfer, (int64_t)taking->bytes, services);
}

/* What is not zero, once more where it is packed. Asked before the first byte. */
static struct error *take_space(struct copying *c)
{
    struct export_work *w = c->w;
    struct taking taking = {w, 0};
    for (size_t i = 0; i < export_disk_count(w); i++) {
        const struct driver_exported_disk *from;
        uint64_t blocks, zeros;
        TRY(exported(c, i, &from));
        struct copy_pass pass = pass_of(c, i, from);
        pass.target = pass.source; /* nothing is opened there */
        TRY(copy_pass_measure(&pass, &blocks, &zeros));
        w->total += from->size_bytes;
        taking.bytes += blocks + blocks / 256 + SLACK;
    }
    taking.bytes *= export_packs(w) ? 2 : 1;
    TRY(job_transaction(w->job, DB_READ_COMMITTED, take_body, &taking));
    return json_integer_value(json_object_get(w->job->state, "copied"))
               ? NULL
               : transfer_folder_fits(w->folder, taking.bytes);
}

static struct error *copy_disk(struct copying *c, size_t disk)
{
    struct export_work *w = c->w;
    const struct driver_exported_disk *from;
    struct copy_result result;
    const char *format = w->transfer.format == TRANSFER_RAW ? "raw" : "qcow2";
    const char *file = export_disk_file(w, disk, w->transfer.format == TRANSFER_RAW ? "raw" : "qcow2");
    TRY(exported(c, disk, &from));
    int64_t begun = json_integer_value(json_object_get(w->job->state, "begun"));
    if (begun <= (int64_t)disk) {
        TRY(copy_pass_forget(export_manifest_path(w, disk)));
        TRY(transfer_disk_make(&w->disk, file, format, from->size_bytes));
        json_put_int(w->job->state, "begun", (int64_t)disk + 1);
        TRY(job_save(w->job));
    }
    struct copy_pass pass = pass_of(c, disk, from);
    TRY_DOING(transfer_disk_fill(&w->disk, file, format, &pass, &result), "could not copy disk %s",
              from->disk);
    w->done_before += from->size_bytes;
    json_put_int(w->job->state, "copied", (int64_t)disk + 1);
    return job_save(w->job);
}

static struct error *copy_disks(struct copying *c)
{
    struct export_work *w = c->w;
    size_t copied = (size_t)json_integer_value(json_object_get(w->job->state, "copied"));
    TRY(take_space(c));
    for (size_t i = 0; i < export_disk_count(w); i++) {
        const struct driver_exported_disk *from;
        TRY(exported(c, i, &from));
        if (i < copied)
            w->done_before += from->size_bytes;
        else
            TRY(copy_disk(c, i));
    }
    return NULL;
}

static struct error *still_off(struct copying *c)
{
    struct driver_detail detail;
    struct driver_key key = resource_key(&c->w->instance);
    TRY(gate_instance_detail(provider_gate(c->call), &c->call->call, &key, &detail));
    return detail.instance.power == DRIVER_POWER_OFF
               ? NULL
               : error_new(ERR_CONFLICT, "instance \"%s\" was started at its provider meanwhile",
                           c->w->instance.name);
}

static struct error *copy_all(struct export_work *w, struct provider_call *call)
{
    struct copying c = {.w = w, .call = call};
    struct driver_key key = resource_key(&w->instance);
    bool running;
    if (!gate_can(provider_gate(call), DRIVER_CAN_DETAIL) ||
        !gate_can(provider_gate(call), DRIVER_CAN_READ_DISKS))
        return error_new(ERR_UNSUPPORTED, "disks on cloud \"%s\" cannot be read", w->instance.cloud);
    TRY(look(w, call, &running));
    TRY(transfer_folder_make(w->job->context, w->folder));
    TRY(open_export(&c, running));
    TRY(export_why(w, copy_disks(&c)));
    if (!running)
        TRY(still_off(&c));
    TRY(gate_export_close(provider_gate(call), &call->call, &key, c.id, false));
    (void)json_object_del(w->job->state, "export"); /* it is closed */
    return NULL;
}

static struct error *copy(struct job *job)
{
    struct export_work w;
    struct provider_call call;
    TRY(export_begin(job, &w));
    w.step = "copying";
    w.to = 60;
    TRY(provider_call_open(job, w.instance.endpoint, NULL, NULL, &call));
    call.call.deadline_us = moment_monotonic() + COPY_US;
    struct error *error = copy_all(&w, &call);
    provider_call_close(&call);
    return error_wrap(error, "could not export instance \"%s\"", w.instance.name);
}

/* Nothing of it is left, here or at the provider. */
static struct error *uncopy(struct job *job)
{
    struct export_work w;
    struct provider_call call;
    const char *id = json_string_value(json_object_get(job->state, "export"));
    struct error *error = export_begin(job, &w);
    if (error && error_code(error) != ERR_DENIED)
        return error;
    error_free(error); /* without a consent it is taken back as well */
    if (strcmp(w.transfer.state, "working") != 0)
        return NULL; /* it is ready, and has been told so */
    if (id) {
        struct driver_key key = resource_key(&w.instance);
        TRY(provider_call_open(job, w.instance.endpoint, NULL, NULL, &call));
        error = gate_export_close(provider_gate(&call), &call.call, &key, id, false);
        provider_call_close(&call);
        if (error && error_code(error) != ERR_NOT_FOUND)
            return error;
        error_free(error); /* the machine is gone, and its export with it */
    }
    return transfer_folder_remove(w.folder);
}

static struct error *failed(struct db *db, struct job *job, const struct error *error)
{
    struct export_work w = {.job = job};
    moment now = clock_now(job->clock);
    TRY(load(db, &w));
    if (!strcmp(w.transfer.state, "working")) {
        TRY(transfer_take_space(db, &w.transfer, 0, job->context));
        TRY(transfer_become(db, &w.transfer, "failed", error_message(error), now));
        TRY(transfer_clean_add(db, job->arena, &w.transfer, now + MOMENT_DAY, now));
    }
    TRY(resource_release(db, &w.instance, w.operation.id, NULL, now));
    return operation_end(db, &w.operation, error, NULL, now);
}

static void progressed(struct job *job, const char *step, size_t done, size_t of,
                       const struct error *retrying)
{
    const char *unit = json_string_value(json_object_get(job->args, "unit"));
    const char *operation = json_string_value(json_object_get(job->args, "operation"));
    if (retrying)
        operation_tell(
            job, unit, operation, 0,
            arena_printf(job->arena, "%s: will be tried again: %s", step, error_message(retrying)));
    else if (done < of)
        operation_tell(job, unit, operation, done == 1 ? 60 : 90, done == 1 ? "packing" : "sealing");
}

static const struct job_step steps[] = {
    {"copy", copy, uncopy},
    {"pack", export_pack, NULL},
    {"seal", export_seal, NULL},
};
const struct job_type export_job = {.name = "export",
                                    .steps = steps,
                                    .step_count = sizeof steps / sizeof *steps,
                                    .max_attempts = 8,
                                    .backoff_us = MOMENT_SECOND,
                                    .backoff_max_us = MOMENT_MINUTE,
                                    .failed = failed,
                                    .progressed = progressed};
