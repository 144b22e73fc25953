/* Whether a move can be, and what it needs on the target; see move.h. */
#include <stdlib.h>
#include <string.h>

#include "drivers/kvm/disk.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/move.h"
#include "drivers/kvm/parts.h"
#include "drivers/kvm/seed.h"
#include "drivers/kvm/shell.h"
#include "drivers/kvm/storage.h"
#include "drivers/kvm/stream.h"
#include "drivers/kvm/xml.h"

/* --- the source --- */

static struct error *read_text(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                               unsigned flags, const char **ret_text)
{
    char *text = virDomainGetXMLDesc(domain, flags | VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE);
    if (!text)
        return kvm_fault(session->connection, "could not read a domain's definition");
    *ret_text = arena_strdup(arena, text);
    free(text);
    return NULL;
}

static const struct driver_shell_disk *given(const struct driver_move_spec *spec, const char *volume_id)
{
    for (size_t i = 0; i < spec->disk_count; i++)
        if (spec->disks[i].volume_id && strcmp(spec->disks[i].volume_id, volume_id) == 0)
            return &spec->disks[i];
    return NULL;
}

static struct error *plan_disk(struct kvm_move *move, struct arena *arena, const struct kvm_disk *disk)
{
    const char *file = kvm_disk_file(disk);
    if (!file && kvm_disk_removable(arena, disk))
        return NULL; /* an empty drive */
    struct kvm_moved_disk moved = {.disk = disk, .high_performance = move->spec->high_performance};
    const char *seed = file ? kvm_storage_id(arena, file, KVM_FILE_SEED) : NULL;
    moved.seed = seed && strcmp(seed, move->id) == 0;
    moved.volume_id = kvm_disk_volume(arena, disk);
    if (!disk->target || !disk->source || strcmp(disk->source, "file") != 0 || !disk->path ||
        (!moved.seed && !moved.volume_id && !kvm_disk_system(arena, disk, move->id)))
        return error_new(ERR_UNSUPPORTED,
                         "disk \"%s\" is none that the broker made and cannot be moved with it",
                         disk->target ? disk->target : "");
    if (moved.volume_id) {
        const struct driver_shell_disk *wanted = given(move->spec, moved.volume_id);
        if (!wanted)
            return error_new(ERR_CONFLICT, "volume %s is attached, and the move does not name it",
                             moved.volume_id);
        moved.high_performance = wanted->high_performance;
    }
    TRY(kvm_disk_size(move->source, move->domain, disk, &moved.bytes));
    move->disks[move->disk_count++] = moved;
    return NULL;
}

static struct error *plan_disks(struct kvm_move *move, struct arena *arena)
{
    struct kvm_domain lasting;
    TRY(kvm_domain_read(move->source, arena, move->domain, true, &lasting));
    if (lasting.fenced)
        return error_new(ERR_CONFLICT, "instance %s is fenced: an earlier move of it has to be settled",
                         move->id);
    for (size_t i = 0; i < lasting.disk_count; i++)
        if (!lasting.disks[i].path || !kvm_domain_disk(&move->live, lasting.disks[i].path, "", ""))
            return error_new(ERR_CONFLICT, "the disks of instance %s change with its next start", move->id);
    move->disks = arena_array(arena, move->live.disk_count + 1, sizeof *move->disks);
    for (size_t i = 0; i < move->live.disk_count; i++)
        TRY(plan_disk(move, arena, &move->live.disks[i]));
    return NULL;
}

static struct error *check_state(struct kvm_move *move)
{
    int state, reason;
    if (virDomainGetState(move->domain, &state, &reason, 0) < 0)
        return kvm_fault(move->source->connection, "could not ask for an instance's state");
    if (!kvm_domain_is(&move->live, KVM_STATE_READY) ||
        (state != VIR_DOMAIN_RUNNING && state != VIR_DOMAIN_BLOCKED))
        return error_new(ERR_CONFLICT, "instance %s does not run", move->id);
    virDomainJobInfo job;
    if (virDomainGetJobInfo(move->domain, &job) == 0 && job.type != VIR_DOMAIN_JOB_NONE)
        return error_new(ERR_CONFLICT, "instance %s is being read or moved", move->id);
    int snapshots = virDomainSnapshotNum(move->domain, 0);
    if (snapshots < 0)
        return kvm_fault(move->source->connection, "could not count the snapshots of an instance");
    return snapshots == 0 ? NULL
                          : error_new(ERR_CONFLICT, "instance %s has %d snapshots, which cannot be moved",
                                      move->id, snapshots);
}

static struct error *check_devices(struct kvm_move *move, struct arena *arena)
{
    static const char bound[] = "/domain/devices/hostdev | /domain/devices/redirdev | "
                                "/domain/devices/filesystem | /domain/devices/shmem | "
                                "/domain/devices/interface[@type!='network']";
    XML_AUTO struct kvm_xml *xml = NULL;
    TRY(kvm_xml_parse(move->live_text, "domain", &xml));
    size_t count;
    (void)kvm_xml_nodes(xml, arena, NULL, bound, &count);
    if (count)
        return error_new(ERR_UNSUPPORTED, "instance %s holds %zu devices of its host, which stay behind",
                         move->id, count);
    const struct kvm_xml_node *const *cards =
        kvm_xml_nodes(xml, arena, NULL, "/domain/devices/interface/source", &count);
    for (size_t i = 0; i < count; i++) {
        const char *name =
            move->spec->network ? move->spec->network : kvm_xml_text(xml, arena, cards[i], "@network");
        virNetworkPtr network = name ? virNetworkLookupByName(move->target->connection, name) : NULL;
        if (!network)
            return kvm_fault(move->target->connection, "the target has no network \"%s\"", name ? name : "");
        int active = virNetworkIsActive(network);
        (void)virNetworkFree(network);
        if (active != 1)
            return error_new(ERR_CONFLICT, "network \"%s\" of the target is not active", name);
    }
    return NULL;
}

/* --- the target --- */

static struct error *check_machine(struct kvm_move *move, struct arena *arena)
{
    XML_AUTO struct kvm_xml *xml = NULL;
    TRY(kvm_xml_parse(move->live_text, "domain", &xml));
    const char *type = kvm_xml_text(xml, arena, NULL, "/domain/@type");
    const char *arch = kvm_xml_text(xml, arena, NULL, "/domain/os/type/@arch");
    const char *machine = kvm_xml_text(xml, arena, NULL, "/domain/os/type/@machine");
    const struct kvm_host *here = &move->source->host, *there = &move->target->host;
    if (!there->architecture || !here->architecture || strcmp(here->architecture, there->architecture) != 0)
        return error_new(ERR_UNSUPPORTED, "the target runs %s, not %s",
                         there->architecture ? there->architecture : there->arch,
                         here->architecture ? here->architecture : here->arch);
    if (here->uuid && there->uuid && strcmp(here->uuid, there->uuid) == 0)
        return error_new(ERR_CONFLICT, "source and target are the same host");
    if (type && strcmp(type, "kvm") == 0 && !kvm_domain_accelerated(move->target))
        return error_new(ERR_UNSUPPORTED, "the target has no KVM");
    char *text = virConnectGetDomainCapabilities(move->target->connection, NULL, arch, machine, type, 0);
    if (!text)
        return error_recode(
            kvm_fault(move->target->connection, "the target has no machine \"%s\"", machine ? machine : ""),
            ERR_UNSUPPORTED, "the instance cannot run there");
    free(text);
    return NULL;
}

static struct error *check_absent(struct kvm_move *move, struct arena *arena)
{
    virConnectPtr there = move->target->connection;
    virDomainPtr domain = kvm_hold_domain(arena, virDomainLookupByUUIDString(there, move->id));
    if (domain)
        return error_new(ERR_CONFLICT, "the target has an instance %s already", move->id);
    if (!kvm_fault_is(VIR_ERR_NO_DOMAIN))
        return kvm_fault(there, "could not look for the instance on the target");
    domain = kvm_hold_domain(arena, virDomainLookupByName(there, move->live.name));
    if (domain)
        return error_new(ERR_CONFLICT, "the target has another domain named \"%s\"", move->live.name);
    if (!kvm_fault_is(VIR_ERR_NO_DOMAIN))
        return kvm_fault(there, "could not look for the instance's name on the target");
    for (size_t i = 0; i < move->disk_count; i++) {
        struct kvm_place place;
        if (!move->disks[i].volume_id)
            continue;
        TRY(kvm_storage_find(move->target, arena, move->disks[i].volume_id, KVM_FILE_VOLUME, &place));
        if (place.volume)
            return error_new(ERR_CONFLICT, "the target has a volume %s already", move->disks[i].volume_id);
    }
    return NULL;
}

static struct error *check_capacity(struct kvm_move *move, struct arena *arena)
{
    struct driver_shell_disk *wanted = arena_array(arena, move->disk_count + 1, sizeof *wanted);
    for (size_t i = 0; i < move->disk_count; i++)
        wanted[i] = (struct driver_shell_disk){.size_bytes = move->disks[i].bytes,
                                               .high_performance = move->disks[i].high_performance};
    TRY(kvm_shell_check_room(move->target, arena, wanted, move->disk_count));
    return kvm_instance_check_memory(move->target, arena, move->live.memory_mb);
}

struct error *kvm_move_plan(struct kvm_move *move, const struct driver_call *call,
                            const struct driver_key *key)
{
    TRY(kvm_instance_get(move->source, call, key, &move->domain, &move->live));
    TRY(kvm_instance_check_served(&move->live));
    move->id = move->live.uuid;
    TRY(check_state(move));
    TRY(read_text(move->source, call->arena, move->domain, 0, &move->live_text));
    TRY(read_text(move->source, call->arena, move->domain, VIR_DOMAIN_XML_INACTIVE, &move->lasting_text));
    TRY(plan_disks(move, call->arena));
    TRY(check_machine(move, call->arena));
    TRY(check_devices(move, call->arena));
    TRY(check_absent(move, call->arena));
    return check_capacity(move, call->arena);
}

/* --- preparing --- */

static const char *record_name(struct arena *arena, const struct driver_move_spec *spec)
{
    return arena_printf(arena, "yunqiao-%s.move", spec->id);
}

static struct error *pool_of(struct driver_session *target, struct arena *arena, bool high_performance,
                             virStoragePoolPtr *ret_pool)
{
    return kvm_storage_pool(target, arena, kvm_storage_pool_name(target, high_performance), ret_pool);
}

/* The empty file that says that files of this move are here; NULL: it is not there. */
static struct error *find_record(struct driver_session *target, struct arena *arena,
                                 const struct driver_move_spec *spec, virStorageVolPtr *ret_volume)
{
    virStoragePoolPtr pool;
    TRY(pool_of(target, arena, spec->high_performance, &pool));
    return kvm_storage_lookup(target, arena, pool, record_name(arena, spec), true, ret_volume);
}

static struct error *copy_seed(struct kvm_move *move, const struct driver_call *call,
                               struct kvm_moved_disk *disk)
{
    struct kvm_place here;
    TRY(kvm_storage_find(move->source, call->arena, move->id, KVM_FILE_SEED, &here));
    if (!here.volume || here.bytes > 4 * KVM_SEED_BYTES)
        return error_new(ERR_UNAVAILABLE, "the seed of instance %s is in no pool", move->id);
    char *bytes = arena_alloc(call->arena, (size_t)here.bytes);
    size_t length;
    TRY(kvm_stream_download(move->source, here.volume, 0, (size_t)here.bytes, bytes, &length));
    struct kvm_new_file file = {.name = here.name, .format = "raw", .bytes = here.bytes};
    TRY(pool_of(move->target, call->arena, disk->high_performance, &file.pool));
    virStorageVolPtr volume;
    TRY(kvm_storage_create(move->target, call->arena, &file, &volume));
    TRY(kvm_stream_upload(move->target, volume, (const unsigned char *)bytes, length));
    struct kvm_facts facts;
    TRY(kvm_storage_facts(move->target, call->arena, volume, &facts));
    disk->path = facts.path;
    return NULL;
}

static struct error *make_files(struct kvm_move *move, const struct driver_call *call)
{
    virStoragePoolPtr pool;
    virStorageVolPtr record;
    TRY(pool_of(move->target, call->arena, move->spec->high_performance, &pool));
    const struct kvm_new_file mark = {
        .pool = pool, .name = record_name(call->arena, move->spec), .format = "raw"};
    TRY(kvm_storage_create(move->target, call->arena, &mark, &record));
    for (size_t i = 0; i < move->disk_count; i++) {
        struct kvm_moved_disk *disk = &move->disks[i];
        if (disk->seed) {
            TRY_DOING(copy_seed(move, call, disk), "could not copy the seed");
            continue;
        }
        virStoragePoolPtr where;
        TRY(pool_of(move->target, call->arena, disk->high_performance, &where));
        const char *name = kvm_storage_name(call->arena, disk->volume_id ? disk->volume_id : move->id,
                                            disk->volume_id ? KVM_FILE_VOLUME : KVM_FILE_SYSTEM);
        TRY(kvm_parts_disk(move->target, call, where, name, disk->bytes, &disk->path));
    }
    return kvm_parts_console(move->target, call, pool, move->id, &move->console);
}

static struct error *adapt_disks(const struct kvm_move *move, struct arena *arena, struct kvm_xml *xml)
{
    for (size_t i = 0; i < move->disk_count; i++) {
        const struct kvm_xml_node *source;
        const char *path =
            arena_printf(arena, "/domain/devices/disk[target/@dev='%s']/source", move->disks[i].disk->target);
        TRY(kvm_xml_node(xml, arena, path, &source));
        kvm_xml_set(source, "file", move->disks[i].path);
    }
    return NULL;
}

/* One of the source's definitions as it is on the target. */
static struct error *adapt(const struct kvm_move *move, struct arena *arena, const char *text,
                           const char **ret_text)
{
    XML_AUTO struct kvm_xml *xml = NULL;
    TRY(kvm_xml_parse(text, "domain", &xml));
    kvm_xml_drop(xml, "/domain/devices/disk/backingStore | /domain/devices/disk/mirror");
    kvm_xml_drop(xml, "/domain/seclabel[@model='" KVM_FENCE_MODEL "']");
    kvm_xml_drop(xml, "/domain/metadata/y:instance/@export");
    kvm_xml_drop(xml, "/domain/devices/interface/source/@portid | /domain/devices/interface/source/@bridge");
    TRY(adapt_disks(move, arena, xml));
    size_t count;
    const struct kvm_xml_node *const *nodes =
        kvm_xml_nodes(xml, arena, NULL, "/domain/devices/interface/source", &count);
    for (size_t i = 0; move->spec->network && i < count; i++)
        kvm_xml_set(nodes[i], "network", move->spec->network);
    nodes =
        kvm_xml_nodes(xml, arena, NULL, "/domain/devices/serial/log | /domain/devices/console/log", &count);
    for (size_t i = 0; i < count; i++)
        kvm_xml_set(nodes[i], "file", move->console);
    const struct kvm_xml_node *mark;
    TRY(kvm_xml_node(xml, arena, "/domain/metadata/y:instance", &mark));
    kvm_xml_set(mark, "state", KVM_STATE_MOVING);
    kvm_xml_set(mark, "move", move->spec->id);
    return kvm_xml_print(xml, arena, ret_text);
}

struct error *kvm_move_prepare(struct kvm_move *move, const struct driver_call *call)
{
    TRY(kvm_step(call, 1, "clear what an earlier attempt left on the target"));
    TRY(kvm_move_clear(move->target, call, move->id, move->spec));
    TRY(kvm_parts_delete(move->target, call, move->id));
    TRY(kvm_step(call, 2, "make the disks on the target"));
    TRY_DOING(make_files(move, call), "could not make the disks on the target");
    TRY(adapt(move, call->arena, move->live_text, &move->arriving));
    return adapt(move, call->arena, move->lasting_text, &move->staying);
}

struct error *kvm_move_forget(struct driver_session *target, const struct driver_call *call,
                              const struct driver_move_spec *spec)
{
    virStorageVolPtr record;
    TRY(find_record(target, call->arena, spec, &record));
    if (record && virStorageVolDelete(record, 0) < 0 && !kvm_fault_is(VIR_ERR_NO_STORAGE_VOL))
        return kvm_fault(target->connection, "could not delete \"%s\"", record_name(call->arena, spec));
    return NULL;
}

struct error *kvm_move_clear(struct driver_session *target, const struct driver_call *call, const char *id,
                             const struct driver_move_spec *spec)
{
    virStorageVolPtr record;
    TRY(find_record(target, call->arena, spec, &record));
    if (!record)
        return NULL;
    for (size_t i = 0; i < spec->disk_count; i++)
        if (spec->disks[i].volume_id)
            TRY(kvm_storage_delete(target, call, spec->disks[i].volume_id, KVM_FILE_VOLUME));
    TRY(kvm_parts_delete(target, call, id));
    return kvm_move_forget(target, call, spec);
}
