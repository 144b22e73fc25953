/* The step "make" of the job "import", and its way back; see transfer_import.c. Every effect looks first or
 * is success when it was done already, so the step may begin anew after a crash; the copy goes on where the
 * target was last flushed. */
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "broker/control/provider_call.h"
#include "federation/copy_check.h"
#include "federation/migration_data.h"
#include "federation/transfer_import.h"

#define MAKE_US MOMENT_DAY
#define GIB ((uint64_t)1 << 30)

struct making {
    struct import_work w;
    struct transfer_sealed sealed;
    struct resource *resources; /* the instance, then its volumes in the order of their disks */
    size_t count;
    const char *network;
    struct provider_call call;
    const char *id; /* of the provider's export */
    struct driver_export export;
};

static const struct db_statement select_network = {
    "transfer_network", "SELECT network FROM zone WHERE cloud_id = $1 AND id = $2"};

/* Their names end in the number of the disk: "web-disk3". */
static void sort_volumes(struct making *m)
{
    const struct import_work *w = &m->w;
    for (size_t disk = 1; disk < m->count; disk++) {
        const char *name = arena_printf(w->job->arena, "%s-disk%zu", w->transfer.name, disk + 1);
        for (size_t i = disk; i < m->count; i++)
            if (!strcmp(m->resources[i].name, name)) {
                struct resource found = m->resources[i];
                m->resources[i] = m->resources[disk];
                m->resources[disk] = found;
            }
    }
}

static struct error *load_body(struct db *db, void *context)
{
    struct making *m = context;
    struct arena *arena = m->w.job->arena;
    struct db_rows *rows;
    TRY(import_sealed(db, &m->w, &m->sealed));
    TRY(resource_of_order(db, arena, m->w.unit, m->w.operation.order, &m->resources, &m->count));
    sort_volumes(m);
    TRY(db_query_one(db, &select_network,
                     DB_VALUES(db_text(m->resources[0].cloud), db_text(m->resources[0].zone)), "such zone",
                     &rows));
    m->network = db_get_text(db_hold(arena, rows), 0, 0);
    return NULL;
}

static struct error *mark_body(struct db *db, void *context)
{
    struct making *m = context;
    for (size_t i = 0; i < m->count; i++) {
        if (m->resources[i].state == RESOURCE_REQUESTED)
            TRY(resource_become(db, &m->resources[i], RESOURCE_REQUESTED, RESOURCE_CREATING, NULL,
                                clock_now(m->w.job->clock)));
    }
    return NULL;
}

static struct error *made_body(struct db *db, void *context)
{
    struct making *m = context;
    return resource_made(db, &m->resources[0], m->resources[0].ref, NULL, clock_now(m->w.job->clock));
}

static enum driver_firmware firmware_of(const char *name)
{
    return !name                          ? DRIVER_FIRMWARE_UNKNOWN
           : !strcmp(name, "bios")        ? DRIVER_FIRMWARE_BIOS
           : !strcmp(name, "uefi")        ? DRIVER_FIRMWARE_UEFI
           : !strcmp(name, "uefi-secure") ? DRIVER_FIRMWARE_UEFI_SECURE
           : !strcmp(name, "open")        ? DRIVER_FIRMWARE_OPEN
                                          : DRIVER_FIRMWARE_UNKNOWN;
}

static bool is_high(const struct resource *resource)
{
    const char *member = !strcmp(resource->kind, "instance") ? "system_disk_performance" : "performance";
    const char *text = json_string_value(json_object_get(resource->spec, member));
    return text && !strcmp(text, "high");
}

static uint64_t room_of(const struct resource *resource)
{
    const char *member = !strcmp(resource->kind, "instance") ? "system_disk_gb" : "size_gb";
    return (uint64_t)json_integer_value(json_object_get(resource->spec, member)) * GIB;
}

static struct error *make_shell(struct making *m)
{
    const struct import_work *w = &m->w;
    struct driver_shell_disk disks[TRANSFER_DISKS_MAX];
    struct resource *instance = &m->resources[0];
    struct driver_instance made;
    for (size_t i = 0; i < m->count; i++)
        disks[i] = (struct driver_shell_disk){.volume_id = i ? m->resources[i].id : NULL,
                                              .size_bytes = room_of(&m->resources[i]),
                                              .high_performance = is_high(&m->resources[i]),
                                              .boot = !i};
    const struct driver_shell_spec shell = {
        .id = instance->id,
        .name = instance->name,
        .architecture = json_string_value(json_object_get(instance->spec, "architecture")),
        .vcpu = (unsigned)json_integer_value(json_object_get(instance->spec, "vcpu")),
        .memory_mb = (uint64_t)json_integer_value(json_object_get(instance->spec, "memory_gb")) * 1024,
        .firmware = firmware_of(json_string_value(json_object_get(w->transfer.request, "firmware"))),
        .network = m->network,
        .mac = json_string_value(json_object_get(w->transfer.request, "mac")),
        .disks = disks,
        .disk_count = m->count};
    TRY(gate_instance_prepare(provider_gate(&m->call), &m->call.call, &shell, &made));
    instance->ref = made.ref;
    return job_transaction(w->job, DB_READ_COMMITTED, made_body, m);
}

/* ----------------------------------------------------------------------------------------------------
 * copying
 */

static const char *blocks_of(const struct making *m, size_t disk)
{
    return arena_printf(m->w.job->arena, "%s/.disk%zu.blocks", m->w.folder, disk + 1);
}

static struct error *begin_anew(struct making *m)
{
    for (size_t i = 0; i < m->count; i++)
        TRY(copy_pass_forget(blocks_of(m, i)));
    json_put_int(m->w.job->state, "copied", 0);
    json_put_bool(m->w.job->state, "written", true); /* something of it may be there: zeros are written too */
    return job_save(m->w.job);
}

static struct error *open_export(struct making *m)
{
    json_t *state = m->w.job->state;
    struct driver_key key = resource_key(&m->resources[0]);
    const char *before = json_string_value(json_object_get(state, "export"));
    m->id = before ? arena_strdup(m->w.job->arena, before) : id_new_in(m->w.job->arena);
    json_put_text(state, "export", m->id);
    TRY(job_save(m->w.job));
    const struct driver_export_spec spec = {.id = m->id, .access = DRIVER_WRITE};
    TRY(gate_export_open(provider_gate(&m->call), &m->call.call, &key, &spec, &m->export));
    if (m->export.disk_count != m->count)
        return error_new(ERR_CONFLICT, "the shell has %zu disks, not %zu", m->export.disk_count, m->count);
    for (size_t i = 0; i < m->count; i++)
        if (m->export.disks[i].full_reason)
            return begin_anew(m);
    return NULL;
}

static struct copy_pass pass_of(const struct making *m, size_t disk, const struct transfer_server *server)
{
    const struct transfer_sealed_disk *sealed = disk < m->sealed.disk_count ? &m->sealed.disks[disk] : NULL;
    return (struct copy_pass){.source = {.socket = server->socket},
                              .target = migration_copy_end(m->w.job->arena, &m->export.disks[disk]),
                              .changes = COPY_ALL,
                              .snapshot = m->id,
                              .label = arena_printf(m->w.job->arena, "disk%zu", disk + 1),
                              .pass = 1,
                              .algorithm =
                                  sealed && !strcmp(sealed->algorithm, "sm3") ? COPY_SM3 : COPY_SHA256,
                              .block_size = sealed ? (uint32_t)sealed->block_size : 0,
                              .manifest_path = blocks_of(m, disk),
                              .target_zero = !json_is_true(json_object_get(m->w.job->state, "written")),
                              .progress = import_goes_on,
                              .data = (void *)(uintptr_t)&m->w};
}

/* That what the image holds is what left: the root is over every block. */
static struct error *check_root(const struct making *m, size_t disk, const uint8_t *root)
{
    static const char digits[] = "0123456789abcdef";
    if (disk >= m->sealed.disk_count)
        return NULL;
    const char *wanted = m->sealed.disks[disk].root;
    for (size_t i = 0; i < COPY_DIGEST_SIZE; i++)
        if (wanted[2 * i] != digits[root[i] >> 4] || wanted[2 * i + 1] != digits[root[i] & 15])
            return error_new(ERR_INVALID, "%s does not hold what the manifest was sealed over",
                             m->w.disks[disk].name);
    return NULL;
}

static struct error *prove(struct making *m, size_t disk)
{
    COPY_MANIFEST_AUTO struct copy_manifest *manifest = NULL;
    struct copy_check_result result;
    TRY(copy_manifest_read(blocks_of(m, disk), &manifest));
    const struct copy_check check = {.target = migration_copy_end(m->w.job->arena, &m->export.disks[disk]),
                                     .manifest = manifest,
                                     .progress = import_goes_on,
                                     .data = &m->w};
    return copy_verify(&check, &result);
}

static struct error *fill_disk(struct making *m, size_t disk)
{
    struct transfer_server server;
    struct copy_result result;
    TRY(import_serve(&m->w, &m->w.disks[disk], &server));
    struct copy_pass pass = pass_of(m, disk, &server);
    struct error *error = copy_pass_run(&pass, &result);
    transfer_serve_kill(&server); /* it was only read */
    TRY_DOING(error, "could not copy %s", m->w.disks[disk].name);
    TRY(check_root(m, disk, result.root));
    m->w.done_before += m->w.disks[disk].bytes;
    error = prove(m, disk);
    if (error && error_code(error) == ERR_CONFLICT && result.progress.resumed) {
        /* What an earlier attempt had written is not there: all of it once more. */
        error_free(error);
        TRY(begin_anew(m));
        return error_new(ERR_BUSY, "what was written before is lost");
    }
    TRY_DOING(error, "%s did not arrive as it is", m->w.disks[disk].name);
    m->w.done_before += m->w.disks[disk].bytes;
    json_put_int(m->w.job->state, "copied", (int64_t)disk + 1);
    return job_save(m->w.job);
}

static struct error *fill(struct making *m)
{
    struct import_work *w = &m->w;
    struct driver_key key = resource_key(&m->resources[0]);
    for (size_t i = 0; i < m->count; i++)
        w->total += 2 * w->disks[i].bytes; /* written, and read back */
    TRY(open_export(m));
    size_t copied = (size_t)json_integer_value(json_object_get(w->job->state, "copied"));
    for (size_t i = 0; i < m->count; i++) {
        if (i < copied)
            w->done_before += 2 * w->disks[i].bytes;
        else
            TRY(fill_disk(m, i));
    }
    struct error *error = gate_export_close(provider_gate(&m->call), &m->call.call, &key, m->id, true);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error);
        TRY(begin_anew(m));
        return error_new(ERR_BUSY, "what was written before is lost");
    }
    TRY(error);
    json_put_bool(w->job->state, "filled", true);
    (void)json_object_del(w->job->state, "export"); /* it is closed */
    return job_save(w->job);
}

static struct error *make_all(struct making *m)
{
    struct gate *gate = provider_gate(&m->call);
    struct driver_key key = resource_key(&m->resources[0]);
    json_t *state = m->w.job->state;
    if (!gate_can(gate, DRIVER_CAN_WRITE_DISKS) || !gate_can(gate, DRIVER_CAN_FENCE))
        return error_new(ERR_UNSUPPORTED, "disks on cloud \"%s\" cannot be written", m->w.transfer.cloud);
    if (!json_is_true(json_object_get(state, "filled"))) {
        TRY(make_shell(m));
        TRY(fill(m));
    }
    key = resource_key(&m->resources[0]);
    TRY(gate_instance_release(gate, &m->call.call, &key));
    if (json_is_true(json_object_get(m->w.transfer.request, "start"))) {
        TRY(gate_instance_start(gate, &m->call.call, &key));
        json_put_bool(state, "on", true);
    }
    return NULL;
}

static struct error *open_making(struct job *job, struct making *m)
{
    *m = (struct making){.network = NULL};
    TRY(import_begin(job, &m->w));
    TRY(import_read_found(&m->w));
    return job_transaction(job, DB_READ_COMMITTED, load_body, m);
}

struct error *import_make(struct job *job)
{
    struct making m;
    TRY(open_making(job, &m));
    m.w.step = "copying";
    m.w.from = 20;
    m.w.to = 95;
    TRY(job_transaction(job, DB_READ_COMMITTED, mark_body, &m));
    TRY(provider_call_open(job, m.resources[0].endpoint, NULL, NULL, &m.call));
    m.call.call.deadline_us = moment_monotonic() + MAKE_US;
    struct error *error = make_all(&m);
    provider_call_close(&m.call);
    return error_wrap(error, "could not make instance \"%s\"", m.w.transfer.name);
}

/* ------------------------------------------------------------------------------------------------ the way
 * back
 */

static struct error *gone_is_good(struct error *error)
{
    if (!error || error_code(error) != ERR_NOT_FOUND)
        return error;
    error_free(error);
    return NULL;
}

static struct error *remove_all(struct making *m)
{
    struct gate *gate = provider_gate(&m->call);
    const struct driver_call *call = &m->call.call;
    struct driver_key key = resource_key(&m->resources[0]);
    const char *id = json_string_value(json_object_get(m->w.job->state, "export"));
    if (id)
        TRY(gone_is_good(gate_export_close(gate, call, &key, id, false)));
    TRY(gone_is_good(gate_instance_delete(gate, call, &key)));
    for (size_t i = 1; i < m->count && gate_can(gate, DRIVER_CAN_VOLUMES); i++)
        TRY(gone_is_good(gate_volume_delete(gate, call, &(struct driver_key){.id = m->resources[i].id})));
    return NULL;
}

struct error *import_unmake(struct job *job)
{
    struct making m;
    TRY(open_making(job, &m));
    if (strcmp(m.w.transfer.state, "working") != 0)
        return NULL; /* it is done, and the machine its unit's */
    for (size_t i = 0; i < m.count; i++) {
        TRY(copy_pass_forget(blocks_of(&m, i)));
        TRY(transfer_file_remove(m.w.folder, strrchr(blocks_of(&m, i), '/') + 1));
    }
    TRY(provider_call_open(job, m.resources[0].endpoint, NULL, NULL, &m.call));
    struct error *error = remove_all(&m);
    provider_call_close(&m.call);
    return error;
}
