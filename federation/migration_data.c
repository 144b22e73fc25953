/* The data of a move: passes from the source's disks to the target's, the proof, and what they leave behind;
 * see migration_work.h. A pass is planned in the job's state before anything is opened, so that one that was
 * killed goes on under the same names, and the ledger has all of them. */
#include "federation/migration_data.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "broker/base/log.h"
#include "federation/copy_check.h"
#include "federation/migration_work.h"

#define SAMPLE_BLOCKS 4096
#define TELL_US (2 * MOMENT_SECOND)
#define BITMAP_PREFIX "qemu:dirty-bitmap:"

/* Both ends of one pass, opened. */
struct opened {
    struct migration_work *work;
    struct migration_call source, target;
    struct driver_export from, to;
    const char *source_id, *target_id;
    struct link_way *way;
    const char *moment;               /* the source's point in time */
    uint64_t size;                    /* of all disks */
    uint64_t done_before, rest_bytes; /* for the progress of the whole pass: of disks before and after */
    int64_t told_at, copied_us;
    int64_t pass;
};

const char *migration_manifest_path(const struct migration_work *work, size_t disk)
{
    const struct federation_services *services = work->job->context;
    return arena_printf(work->arena, "%s/%s-%zu", services->copy_dir, work->row.id, disk);
}

static const char *state_text(const struct migration_work *work, const char *member)
{
    return json_string_value(json_object_get(work->job->state, member));
}

static struct error *still(struct db *db, struct migration_work *work)
{
    return work->whatever_terms ? migration_follow(db, &work->row) : migration_still(db, &work->row);
}

static struct error *enter_body(struct db *db, void *context)
{
    struct migration_work *work = context;
    const struct migration_row *row = &work->row;
    const struct migration_pass_plan *plan = &work->plan;
    moment now = clock_now(work->job->clock);
    TRY(still(db, work));
    if (plan->source)
        TRY(migration_enter(db, row, "source", "export", plan->source, now));
    if (plan->checkpoint)
        TRY(migration_enter(db, row, "source", "checkpoint", plan->checkpoint, now));
    if (plan->target)
        TRY(migration_enter(db, row, "target", "export", plan->target, now));
    for (size_t i = 0; i < json_array_size(json_object_get(row->shape, "disks")); i++)
        TRY(migration_enter(db, row, "target", "manifest", migration_manifest_path(work, i), now));
    return job_save(work->job);
}

static bool can_track(const struct migration_work *work, const struct migration_call *source)
{
    return work->row.state != MIGRATION_CUTTING_OVER &&
           gate_can(provider_gate(&source->call), DRIVER_CAN_TRACK_CHANGES);
}

/* Names for this pass: those of an attempt that was cut short, or new ones; where what is written is staged,
 * that of the target's export of the passes before. */
static struct error *plan_pass(struct migration_work *work, bool track)
{
    json_t *state = work->job->state, *plan = json_object_get(state, "pass");
    const char *phase = migration_state_name(work->row.state);
    if (!plan || strcmp(json_string_value(json_object_get(plan, "phase")), phase) != 0) {
        json_put_bool(state, "torn", plan || json_is_true(json_object_get(state, "torn")));
        plan = json_object();
        json_put_text(plan, "phase", phase);
        json_put_text(plan, "source", id_new_in(work->arena));
        const char *staged = state_text(work, "staged");
        json_put_text(plan, "target", staged ? staged : id_new_in(work->arena));
        if (track)
            json_put_text(plan, "checkpoint", id_new_in(work->arena));
        json_put(state, "pass", plan);
    }
    work->plan =
        (struct migration_pass_plan){.source = json_string_value(json_object_get(plan, "source")),
                                     .target = json_string_value(json_object_get(plan, "target")),
                                     .checkpoint = json_string_value(json_object_get(plan, "checkpoint")),
                                     .since = state_text(work, "since")};
    return job_transaction(work->job, DB_READ_COMMITTED, enter_body, work);
}

static struct error *check_disks(const struct migration_work *work, const struct driver_export *from,
                                 const struct driver_export *to)
{
    const json_t *disks = json_object_get(work->row.shape, "disks");
    if (from->disk_count != json_array_size(disks) || to->disk_count != from->disk_count)
        return error_new(ERR_INVALID, "copying began with %zu disks; the source shows %zu, the target %zu",
                         json_array_size(disks), from->disk_count, to->disk_count);
    for (size_t i = 0; i < from->disk_count; i++) {
        int64_t bytes = json_integer_value(json_object_get(json_array_get(disks, i), "bytes"));
        if ((uint64_t)bytes != from->disks[i].size_bytes ||
            to->disks[i].size_bytes < from->disks[i].size_bytes)
            return error_new(
                ERR_INVALID, "disk %s had %lld bytes when copying began; it has %llu, its copy %llu",
                from->disks[i].disk, (long long)bytes, (unsigned long long)from->disks[i].size_bytes,
                (unsigned long long)to->disks[i].size_bytes);
    }
    return NULL;
}

/* Where the target has lost what earlier passes, or an earlier attempt at this one, brought over, all of it
 * is copied again: also by an attempt that opens the export when it is whole in itself. */
static struct error *notice_loss(struct opened *o)
{
    struct migration_work *work = o->work;
    const char *lost = NULL;
    for (size_t i = 0; i < o->to.disk_count && !lost; i++)
        lost = o->to.disks[i].full_reason;
    if (!lost)
        return NULL;
    log_warning("migration.copy-lost", LOG_TEXT("migration", work->row.id), LOG_TEXT("why", lost));
    for (size_t i = 0; i < o->to.disk_count; i++)
        TRY(copy_pass_forget(migration_manifest_path(work, i)));
    json_put_text(work->job->state, "lost", lost);
    (void)json_object_del(json_object_get(work->job->state, "pass"), "copied"); /* there or not */
    return job_transaction(work->job, DB_READ_COMMITTED, enter_body, work);
}

/* An export that was lost with its hypervisor's process shows a later moment when it is made anew, under the
 * same id: what was copied before is of another one, and of what the guest wrote in between no list tells. */
static struct error *notice_moment(struct opened *o)
{
    struct migration_work *work = o->work;
    json_t *plan = json_object_get(work->job->state, "pass");
    const char *before = json_string_value(json_object_get(plan, "moment"));
    o->moment = o->from.moment ? o->from.moment : id_new_in(work->arena);
    if (before && !strcmp(before, o->moment))
        return NULL;
    if (before) {
        log_warning("migration.moment-lost", LOG_TEXT("migration", work->row.id));
        json_put_bool(work->job->state, "torn", true);
    }
    json_put_text(plan, "moment", o->moment);
    (void)json_object_del(plan, "copied"); /* there or not */
    return job_transaction(work->job, DB_READ_COMMITTED, enter_body, work);
}

static struct error *open_exports(struct opened *o)
{
    struct migration_work *work = o->work;
    struct driver_key source = migration_key(work, &work->row.source),
                      target = migration_key(work, &work->row.target);
    const struct driver_export_spec read = {.id = work->plan.source,
                                            .access = DRIVER_READ,
                                            .checkpoint = work->plan.checkpoint,
                                            .since = work->plan.since};
    const struct driver_export_spec write = {.id = work->plan.target, .access = DRIVER_WRITE};
    TRY(gate_export_open(provider_gate(&o->source.call), &o->source.call.call, &source, &read, &o->from));
    TRY(gate_export_open(provider_gate(&o->target.call), &o->target.call.call, &target, &write, &o->to));
    TRY(check_disks(work, &o->from, &o->to));
    TRY(notice_moment(o));
    return notice_loss(o);
}

struct copy_end migration_copy_end(struct arena *arena, const struct driver_exported_disk *disk)
{
    return (struct copy_end){.socket = disk->socket,
                             .host = disk->host,
                             .port = disk->host ? arena_printf(arena, "%u", disk->port) : NULL,
                             .export_name = disk->export_name,
                             .tls = disk->host != NULL,
                             .certificates = disk->tls_dir};
}

static const struct db_statement set_progress = {
    "migration_set_progress", "UPDATE migration SET progress = $3 WHERE unit_id = $1 AND id = $2"};

struct telling {
    const struct opened *opened;
    const json_t *progress;
    struct link_rates rates;
};

static struct error *progress_body(struct db *db, void *context)
{
    struct telling *telling = context;
    const struct migration_work *work = telling->opened->work;
    TRY(db_run(db, &set_progress,
               DB_VALUES(db_text(work->row.unit), db_text(work->row.id), db_json(telling->progress)), NULL));
    return migration_rates(db, work, &telling->rates);
}

/* For people: one that is lost is told again in two seconds. And what the link carries since. */
static void tell(struct opened *o, const struct copy_progress *p)
{
    uint64_t done = o->done_before + p->done,
             left = o->rest_bytes + (p->total > p->done ? p->total - p->done : 0);
    json_t *json = json_object();
    json_put_int(json, "pass", o->pass);
    json_put_int(json, "bytes", (int64_t)(done + left));
    json_put_int(json, "done_bytes", (int64_t)done);
    json_put_int(json, "bytes_per_second", (int64_t)p->rate);
    if (p->rate)
        json_put_int(json, "eta_seconds", (int64_t)(left / p->rate));
    struct telling telling = {.opened = o, .progress = json};
    struct error *error =
        db_transaction(o->work->job->db, &db_scope_system, DB_READ_COMMITTED, progress_body, &telling);
    if (!error)
        link_way_set(o->way, &telling.rates, moment_monotonic());
    error_free(error);
    json_decref(json);
}

static bool copying(void *data, const struct copy_progress *progress)
{
    struct opened *o = data;
    int64_t now = moment_monotonic();
    if (now - o->told_at >= TELL_US) {
        o->told_at = now;
        tell(o, progress);
    }
    return migration_goes_on(o->work);
}

/* What the provider says has changed, as the copy engine takes it. */
static struct error *read_areas(const struct driver_exported_disk *disk, struct copy_extents *areas)
{
    struct copy_area *list = xcalloc(disk->changed_count + 1, sizeof *list);
    for (size_t i = 0; i < disk->changed_count; i++)
        list[i] = (struct copy_area){disk->changed[i].offset, disk->changed[i].length};
    struct error *error = copy_extents_page(areas, 0, disk->size_bytes, list, disk->changed_count);
    free(list);
    return error;
}

static void choose_changes(const struct migration_work *work, const struct driver_exported_disk *disk,
                           const struct copy_extents *areas, struct copy_pass *pass,
                           struct migration_passed *passed)
{
    passed->kind = "full";
    passed->why = state_text(work, "lost");
    if (passed->why)
        pass->last = NULL;
    if (!pass->last)
        return; /* the first of all */
    passed->kind = "changed";
    if (work->plan.since && disk->dirty_context) {
        size_t prefix =
            strncmp(disk->dirty_context, BITMAP_PREFIX, strlen(BITMAP_PREFIX)) ? 0 : strlen(BITMAP_PREFIX);
        pass->changes = COPY_BITMAP;
        pass->bitmap = disk->dirty_context + prefix;
    } else if (work->plan.since && disk->changed_known) {
        pass->changes = COPY_AREAS;
        pass->areas = areas;
    } else if (json_is_true(json_object_get(work->job->state, "torn"))) {
        /* What the target holds is not what the last manifest says of it. */
        pass->last = NULL;
        passed->kind = "full";
        passed->why = "an earlier pass was cut short, and the provider does not tell what changed";
    } else {
        pass->changes = COPY_COMPARE;
        passed->kind = "compared";
        passed->why = disk->full_reason ? disk->full_reason : "the provider does not tell what changed";
    }
}

static const char *hex(struct arena *arena, const uint8_t *bytes, size_t count)
{
    char *text = arena_alloc(arena, 2 * count + 1);
    for (size_t i = 0; i < count; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return text;
}

/* ERR_NOT_FOUND is no manifest: then everything is copied. One that cannot be trusted likewise. */
static struct copy_manifest *last_manifest(const char *path)
{
    struct copy_manifest *manifest = NULL;
    struct error *error = copy_manifest_read(path, &manifest);
    error_free(error);
    return error ? NULL : manifest;
}

static struct copy_tuning tuning_of(const struct migration_work *work)
{
    const struct federation_services *services = work->job->context;
    return (struct copy_tuning){.stall_us = services->copy_stall_us};
}

static struct error *copy_disk(struct opened *o, size_t i, struct migration_passed *passed)
{
    struct migration_work *work = o->work;
    const struct driver_exported_disk *disk = &o->from.disks[i];
    const char *path = migration_manifest_path(work, i);
    COPY_MANIFEST_AUTO struct copy_manifest *last = o->pass > 1 ? last_manifest(path) : NULL;
    struct copy_extents areas;
    struct copy_result result;
    struct copy_pass pass = {.source = migration_copy_end(work->arena, disk),
                             .target = migration_copy_end(work->arena, &o->to.disks[i]),
                             .changes = COPY_ALL,
                             .last = last,
                             .snapshot = o->moment,
                             .label = disk->disk,
                             .pass = (uint32_t)o->pass,
                             .algorithm = COPY_SHA256,
                             .manifest_path = path,
                             .target_zero =
                                 o->pass == 1 && !json_is_true(json_object_get(work->job->state, "torn")),
                             .tuning = tuning_of(work),
                             .progress = copying,
                             .data = o};
    *passed = (struct migration_passed){.disk = disk->disk, .quiesced = o->from.quiesced};
    copy_extents_init(&areas, disk->size_bytes, 0);
    struct error *error = disk->changed_known ? read_areas(disk, &areas) : NULL;
    choose_changes(work, disk, &areas, &pass, passed);
    pass.source.link = link_way_link(o->way);
    if (!error)
        error = copy_pass_run(&pass, &result);
    copy_extents_done(&areas);
    TRY_DOING(error, "could not copy disk %s", disk->disk);
    passed->disk_bytes = disk->size_bytes;
    passed->read_bytes = result.progress.read;
    passed->written_bytes = result.progress.written;
    passed->elapsed_us = result.progress.elapsed_us;
    passed->digest = hex(work->arena, result.root, sizeof result.root);
    o->done_before += result.progress.total;
    return NULL;
}

/* What became of a disk, in the plan of the pass: after a crash it is not copied again. */
static struct error *note_copied(struct opened *o, const struct migration_passed *passed)
{
    json_t *plan = json_object_get(o->work->job->state, "pass"), *copied = json_object_get(plan, "copied");
    json_t *disk = json_object();
    json_put_text(disk, "disk", passed->disk);
    json_put_text(disk, "kind", passed->kind);
    json_put_text(disk, "why", passed->why);
    json_put_int(disk, "read", (int64_t)passed->read_bytes);
    json_put_int(disk, "written", (int64_t)passed->written_bytes);
    json_put_int(disk, "elapsed", passed->elapsed_us);
    json_put_text(disk, "digest", passed->digest);
    if (!copied) {
        copied = json_array();
        json_put(plan, "copied", copied);
    }
    json_push(copied, disk);
    return job_transaction(o->work->job, DB_READ_COMMITTED, enter_body, o->work);
}

static uint64_t number_of(const json_t *object, const char *member)
{
    return (uint64_t)json_integer_value(json_object_get(object, member));
}

/* An earlier attempt at this very pass has copied it, from the same point in time, and its manifest is here.
 */
static bool was_copied(const struct opened *o, size_t i, struct migration_passed *passed)
{
    const struct migration_work *work = o->work;
    const struct driver_exported_disk *disk = &o->from.disks[i];
    const json_t *copied = json_object_get(json_object_get(work->job->state, "pass"), "copied");
    const json_t *found = json_array_get(copied, i); /* in the order of the disks */
    const char *name = json_string_value(json_object_get(found, "disk"));
    const char *digest = json_string_value(json_object_get(found, "digest"));
    if (!name || !digest || strcmp(name, disk->disk) != 0)
        return false;
    COPY_MANIFEST_AUTO struct copy_manifest *manifest = last_manifest(migration_manifest_path(work, i));
    uint8_t root[COPY_DIGEST_SIZE];
    if (!manifest || copy_manifest_pass(manifest) != (uint32_t)o->pass)
        return false;
    copy_manifest_root(manifest, root);
    if (strcmp(hex(work->arena, root, sizeof root), digest) != 0)
        return false;
    *passed = (struct migration_passed){.disk = disk->disk,
                                        .kind = json_string_value(json_object_get(found, "kind")),
                                        .why = json_string_value(json_object_get(found, "why")),
                                        .digest = digest,
                                        .quiesced = o->from.quiesced,
                                        .disk_bytes = disk->size_bytes,
                                        .read_bytes = number_of(found, "read"),
                                        .written_bytes = number_of(found, "written"),
                                        .elapsed_us = (int64_t)number_of(found, "elapsed")};
    return true;
}

static struct error *copy_disks(struct opened *o)
{
    struct migration_work *work = o->work;
    work->passed = arena_array(work->arena, o->from.disk_count, sizeof *work->passed);
    for (size_t i = 0; i < o->from.disk_count; i++)
        o->size += o->from.disks[i].size_bytes;
    o->rest_bytes = o->pass == 1 ? o->size : 0; /* what changed on a disk shows when it is its turn */
    for (size_t i = 0; i < o->from.disk_count; i++) {
        if (o->pass == 1)
            o->rest_bytes -= o->from.disks[i].size_bytes;
        if (was_copied(o, i, &work->passed[i]))
            continue;
        TRY(copy_disk(o, i, &work->passed[i]));
        o->copied_us += work->passed[i].elapsed_us;
        TRY(note_copied(o, &work->passed[i]));
    }
    work->passed_count = o->from.disk_count;
    return NULL;
}

/* Calls at an end have their time from now on: a pass itself takes as long as it takes, and is watched for
 * stalls. */
static void give_time(struct opened *o)
{
    o->source.call.call.deadline_us = o->target.call.call.deadline_us =
        moment_monotonic() + MIGRATION_CALL_US;
}

static struct error *close_exports(struct opened *o)
{
    struct migration_work *work = o->work;
    struct driver_key source = migration_key(work, &work->row.source),
                      target = migration_key(work, &work->row.target);
    if (!work->plan.stays)
        TRY(gate_export_close(provider_gate(&o->target.call), &o->target.call.call, &target,
                              work->plan.target, true));
    TRY(gate_export_close(provider_gate(&o->source.call), &o->source.call.call, &source, work->plan.source,
                          work->plan.checkpoint != NULL));
    /* The new checkpoint takes the place of the one before. */
    if (!work->plan.checkpoint || !work->plan.since)
        return NULL;
    return gate_checkpoint_delete(provider_gate(&o->source.call), &o->source.call.call, &source,
                                  work->plan.since);
}

static struct error *make_folder(const struct migration_work *work)
{
    const struct federation_services *services = work->job->context;
    if (mkdir(services->copy_dir, 0700) && errno != EEXIST)
        return error_new(ERR_IO, "could not make %s: %s", services->copy_dir, strerror(errno));
    return NULL;
}

static struct error *pass_between(struct opened *o)
{
    struct migration_work *work = o->work;
    int64_t began = moment_monotonic();
    TRY(make_folder(work));
    if (work->facts.torn)
        json_put_text(work->job->state, "lost", "a conversion was cut short");
    TRY(plan_pass(work, can_track(work, &o->source)));
    work->plan.stays = work->row.state != MIGRATION_CUTTING_OVER &&
                       gate_can(provider_gate(&o->target.call), DRIVER_STAGES_WRITES);
    TRY(migration_clear_others(work));
    TRY(open_exports(o));
    TRY(copy_disks(o));
    give_time(o);
    TRY(close_exports(o));
    work->around_us = moment_monotonic() - began - o->copied_us;
    return NULL;
}

static struct error *run_pass(struct migration_work *work)
{
    struct opened o = {.work = work, .pass = work->row.passes + 1};
    work->whatever_terms = true;
    TRY(migration_call_open(work, &work->row.source, &o.source));
    struct error *error = migration_call_open(work, &work->row.target, &o.target);
    if (!error) {
        give_time(&o);
        error = migration_way_open(work, &o.way);
        if (!error)
            error = pass_between(&o);
        work->to_upload = work->plan.stays ? o.size : 0;
        link_way_close(o.way);
        migration_call_close(&o.target);
    }
    migration_call_close(&o.source);
    return error;
}

/* Every block, or a sample of them, has the digest that was read from the source. One that has not is not
 * read again: the service is down meanwhile, and what was written wrong once is no disk to live on. */
static struct error *prove_disk(struct opened *o, size_t i)
{
    struct migration_work *work = o->work;
    struct copy_check_result result;
    COPY_MANIFEST_AUTO struct copy_manifest *manifest = NULL;
    TRY(copy_manifest_read(migration_manifest_path(work, i), &manifest));
    struct copy_check check = {.target = migration_copy_end(work->arena, &o->to.disks[i]),
                               .manifest = manifest,
                               .sample = !strcmp(work->row.proof, "sampled") ? SAMPLE_BLOCKS : 0,
                               .seed = (uint64_t)work->row.passes,
                               .tuning = tuning_of(work),
                               .progress = copying,
                               .data = o};
    check.target.link = link_way_link(o->way); /* what is read back comes over it too */
    struct error *error =
        error_wrap(copy_verify(&check, &result), "disk %zu does not read back as it was copied", i);
    if (error && error_code(error) == ERR_CONFLICT) {
        work->found = MIGRATION_EVENT_BROKEN;
        work->found_why = arena_strdup(work->arena, error_message(error));
        error_free(error);
        return NULL;
    }
    TRY(error);
    o->done_before += o->to.disks[i].size_bytes;
    return NULL;
}

static struct error *prove_opened(struct opened *o)
{
    struct migration_work *work = o->work;
    struct gate *gate = provider_gate(&o->target.call);
    struct driver_key key = migration_key(work, &work->row.target);
    const struct driver_export_spec read = {.id = work->plan.target, .access = DRIVER_READ};
    TRY(gate_export_open(gate, &o->target.call.call, &key, &read, &o->to));
    for (size_t i = 0; i < o->to.disk_count; i++)
        o->rest_bytes += o->to.disks[i].size_bytes;
    for (size_t i = 0; i < o->to.disk_count && o->work->found == MIGRATION_EVENT_COUNT; i++) {
        o->rest_bytes -= o->to.disks[i].size_bytes;
        TRY(prove_disk(o, i));
    }
    give_time(o);
    return gate_export_close(gate, &o->target.call.call, &key, work->plan.target, false);
}

static struct error *prove(struct migration_work *work)
{
    struct opened o = {.work = work, .pass = work->row.passes};
    work->whatever_terms = true;
    const char *id = state_text(work, "proof");
    if (!id)
        json_put_text(work->job->state, "proof", id_new_in(work->arena));
    work->plan = (struct migration_pass_plan){.target = state_text(work, "proof")};
    TRY(job_transaction(work->job, DB_READ_COMMITTED, enter_body, work));
    TRY(migration_call_open(work, &work->row.target, &o.target));
    give_time(&o);
    struct error *error = migration_way_open(work, &o.way);
    if (!error)
        error = prove_opened(&o);
    link_way_close(o.way);
    migration_call_close(&o.target);
    return error;
}

struct error *migration_perform_data(struct migration_work *work, enum migration_effect effect)
{
    switch (effect) {
    case MIGRATION_PASS:
    case MIGRATION_LAST_PASS:
        return run_pass(work);
    case MIGRATION_PROVE:
        return prove(work);
    case MIGRATION_CONVERT:
        return migration_convert(work);
    default:
        return migration_clear(work, effect);
    }
}
