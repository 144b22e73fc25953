/* Pools and files, see storage.h. */
#include "drivers/kvm/storage.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "drivers/kvm/events.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/xml.h"

#define PREFIX "yunqiao-"
#define UUID_LENGTH 36
#define LOOK_AGAIN_US (MOMENT_SECOND / 5) /* libvirt tells nobody when a volume is made */

static const char *const suffixes[] = {
    [KVM_FILE_SYSTEM] = "-system.qcow2",
    [KVM_FILE_SEED] = "-seed.img",
    [KVM_FILE_CONSOLE] = "-console.log",
    [KVM_FILE_VOLUME] = ".qcow2",
};

const char *kvm_storage_name(struct arena *arena, const char *id, enum kvm_file file)
{
    return arena_printf(arena, PREFIX "%s%s", id, suffixes[file]);
}

const char *kvm_storage_id(struct arena *arena, const char *name, enum kvm_file file)
{
    size_t prefix = strlen(PREFIX);
    if (strncmp(name, PREFIX, prefix) != 0 || strlen(name) != prefix + UUID_LENGTH + strlen(suffixes[file]) ||
        strcmp(name + prefix + UUID_LENGTH, suffixes[file]) != 0)
        return NULL;
    const char *id = arena_strndup(arena, name + prefix, UUID_LENGTH);
    return id_valid(id) ? id : NULL;
}

static void release_domain(void *domain)
{
    (void)virDomainFree(domain);
}

static void release_volume(void *volume)
{
    (void)virStorageVolFree(volume);
}

static void release_pool(void *pool)
{
    (void)virStoragePoolFree(pool);
}

virDomainPtr kvm_hold_domain(struct arena *arena, virDomainPtr domain)
{
    if (domain)
        arena_defer(arena, release_domain, domain);
    return domain;
}

virStorageVolPtr kvm_hold_volume(struct arena *arena, virStorageVolPtr volume)
{
    if (volume)
        arena_defer(arena, release_volume, volume);
    return volume;
}

struct error *kvm_storage_pool(struct driver_session *session, struct arena *arena, const char *name,
                               virStoragePoolPtr *ret_pool)
{
    virStoragePoolPtr pool = virStoragePoolLookupByName(session->connection, name);
    if (!pool)
        return kvm_fault(session->connection, "could not find storage pool \"%s\"", name);
    arena_defer(arena, release_pool, pool);
    *ret_pool = pool;
    return NULL;
}

const char *kvm_storage_pool_name(const struct driver_session *session, bool high_performance)
{
    return high_performance ? session->options.high_pool : session->options.standard_pool;
}

struct error *kvm_storage_lookup(struct driver_session *session, struct arena *arena, virStoragePoolPtr pool,
                                 const char *name, bool refresh, virStorageVolPtr *ret_volume)
{
    virStorageVolPtr volume = virStorageVolLookupByName(pool, name);
    if (!volume && kvm_fault_is(VIR_ERR_NO_STORAGE_VOL) && refresh) {
        /* Refused while a volume is being made; then the list is as new as can be had. */
        (void)virStoragePoolRefresh(pool, 0);
        volume = virStorageVolLookupByName(pool, name);
    }
    if (!volume && !kvm_fault_is(VIR_ERR_NO_STORAGE_VOL))
        return kvm_fault(session->connection, "could not look for \"%s\" in a storage pool", name);
    *ret_volume = kvm_hold_volume(arena, volume);
    return NULL;
}

/* A volume is listed from the moment that it is begun to be made, before its file is there; and until the
 * next refresh, which libvirt refuses while something is made, after its file was taken away. */
static struct error *look_at(struct driver_session *session, struct arena *arena, virStoragePoolPtr pool,
                             const char *name, virStorageVolPtr *ret_volume, struct kvm_facts *ret_facts)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        virStorageVolPtr volume;
        TRY(kvm_storage_lookup(session, arena, pool, name, true, &volume));
        struct error *error = volume ? kvm_storage_facts(session, arena, volume, ret_facts) : NULL;
        if (!error)
            *ret_volume = volume;
        if (!error || error_code(error) != ERR_NOT_FOUND)
            return error;
        error_ignore(error); /* told apart by the refresh */
        (void)virStoragePoolRefresh(pool, 0);
    }
    return error_new(ERR_BUSY, "\"%s\" is being made", name);
}

struct error *kvm_storage_find(struct driver_session *session, struct arena *arena, const char *id,
                               enum kvm_file file, struct kvm_place *ret_place)
{
    struct kvm_place place = {.name = kvm_storage_name(arena, id, file)};
    for (int high = 0; high <= 1; high++) {
        const char *name = kvm_storage_pool_name(session, high);
        virStoragePoolPtr pool;
        struct error *error = kvm_storage_pool(session, arena, name, &pool);
        if (error && error_code(error) == ERR_NOT_FOUND) {
            error_ignore(error); /* a host need not have both */
            continue;
        }
        TRY(error);
        if (virStoragePoolIsActive(pool) != 1)
            return error_new(ERR_UNAVAILABLE, "storage pool \"%s\" is not active", name);
        virStorageVolPtr volume;
        struct kvm_facts facts;
        TRY(look_at(session, arena, pool, place.name, &volume, &facts));
        if (!volume)
            continue;
        place.volume = volume;
        place.pool = pool;
        place.pool_name = name;
        place.path = facts.path;
        place.bytes = facts.bytes;
        break;
    }
    *ret_place = place;
    return NULL;
}

/* Whether it is gone; libvirt refuses while the volume is being made. */
static struct error *try_delete(struct driver_session *session, struct arena *arena, const char *id,
                                enum kvm_file file, bool *ret_gone)
{
    struct kvm_place place;
    struct error *error = kvm_storage_find(session, arena, id, file, &place);
    if (error && error_code(error) == ERR_BUSY) {
        error_ignore(error); /* the caller waits */
        *ret_gone = false;
        return NULL;
    }
    TRY(error);
    *ret_gone =
        !place.volume || virStorageVolDelete(place.volume, 0) == 0 || kvm_fault_is(VIR_ERR_NO_STORAGE_VOL);
    if (*ret_gone || kvm_fault_is(VIR_ERR_OPERATION_INVALID))
        return NULL;
    return kvm_fault(session->connection, "could not delete \"%s\"", place.name);
}

struct error *kvm_storage_delete(struct driver_session *session, const struct driver_call *call,
                                 const char *id, enum kvm_file file)
{
    int64_t until = moment_monotonic() + KVM_STORAGE_WAIT_US;
    for (;;) {
        uint64_t seen = kvm_events_seen(session->events);
        bool gone;
        TRY(try_delete(session, call->arena, id, file, &gone));
        if (gone)
            return NULL;
        int64_t now = moment_monotonic();
        if (now >= until)
            return error_new(ERR_BUSY, "\"%s\" is still being made", kvm_storage_name(call->arena, id, file));
        if (now >= call->deadline_us)
            return error_new(ERR_TIMEOUT, "out of time while \"%s\" is still being made",
                             kvm_storage_name(call->arena, id, file));
        kvm_events_wait(session->events, seen, now + LOOK_AGAIN_US);
    }
}

static struct error *describe(struct arena *arena, const struct kvm_new_file *file, const char **ret_text)
{
    struct kvm_out *out = kvm_out_new();
    kvm_out_open(out, "volume");
    kvm_out_leaf(out, "name", file->name);
    kvm_out_number(out, "capacity", "bytes", file->bytes);
    kvm_out_number(out, "allocation", "bytes", 0);
    kvm_out_open(out, "target");
    kvm_out_open(out, "format");
    kvm_out_attribute(out, "type", file->format);
    kvm_out_close(out);
    if (strcmp(file->format, "qcow2") == 0)
        kvm_out_leaf(out, "compat", "1.1");
    kvm_out_close(out);
    if (file->backing) {
        kvm_out_open(out, "backingStore");
        kvm_out_leaf(out, "path", file->backing);
        kvm_out_open(out, "format");
        kvm_out_attribute(out, "type", file->backing_format);
        kvm_out_close(out);
        kvm_out_close(out);
    }
    kvm_out_close(out);
    return kvm_out_finish(out, arena, ret_text);
}

struct error *kvm_storage_create(struct driver_session *session, struct arena *arena,
                                 const struct kvm_new_file *file, virStorageVolPtr *ret_volume)
{
    const char *text;
    TRY(describe(arena, file, &text));
    virStorageVolPtr volume = virStorageVolCreateXML(file->pool, text, 0);
    if (!volume)
        return kvm_fault(session->connection, "could not make \"%s\"", file->name);
    *ret_volume = kvm_hold_volume(arena, volume);
    return NULL;
}

struct error *kvm_storage_copy(struct driver_session *session, struct arena *arena,
                               const struct kvm_new_file *file, virStorageVolPtr image,
                               virStorageVolPtr *ret_volume)
{
    const char *text;
    TRY(describe(arena, file, &text));
    virStorageVolPtr volume = virStorageVolCreateXMLFrom(file->pool, text, image, 0);
    if (!volume)
        return kvm_fault(session->connection, "could not copy an image to \"%s\"", file->name);
    kvm_hold_volume(arena, volume);
    virStorageVolInfo info;
    if (virStorageVolGetInfo(volume, &info) < 0 ||
        (info.capacity < file->bytes && virStorageVolResize(volume, file->bytes, 0) < 0))
        return kvm_fault(session->connection, "could not bring \"%s\" to its size", file->name);
    *ret_volume = volume;
    return NULL;
}

struct error *kvm_storage_facts(struct driver_session *session, struct arena *arena, virStorageVolPtr volume,
                                struct kvm_facts *ret_facts)
{
    virStorageVolInfo info;
    if (virStorageVolGetInfo(volume, &info) < 0)
        return kvm_fault(session->connection, "could not ask for a volume's size");
    char *text = virStorageVolGetXMLDesc(volume, 0);
    if (!text)
        return kvm_fault(session->connection, "could not read a volume's description");
    XML_AUTO struct kvm_xml *xml = NULL;
    struct error *error = kvm_xml_parse(text, "volume", &xml);
    free(text);
    TRY(error);
    struct kvm_facts facts = {
        .path = kvm_xml_text(xml, arena, NULL, "/volume/target/path"),
        .name = arena_strdup(arena, virStorageVolGetName(volume)),
        .format = kvm_xml_text(xml, arena, NULL, "/volume/target/format/@type"),
        .bytes = info.capacity,
    };
    if (!facts.path || !facts.name)
        return error_new(ERR_UNAVAILABLE, "a volume's description has no path or name");
    if (!facts.format)
        facts.format = "raw";
    *ret_facts = facts;
    return NULL;
}

struct error *kvm_storage_list(struct driver_session *session, struct arena *arena, virStoragePoolPtr pool,
                               virStorageVolPtr **ret_volumes, size_t *ret_count)
{
    virStorageVolPtr *list;
    int count = virStoragePoolListAllVolumes(pool, &list, 0);
    if (count < 0)
        return kvm_fault(session->connection, "could not list a storage pool");
    virStorageVolPtr *volumes = arena_array(arena, (size_t)count + 1, sizeof *volumes);
    for (int i = 0; i < count; i++)
        volumes[i] = kvm_hold_volume(arena, list[i]);
    free(list);
    *ret_volumes = volumes;
    *ret_count = (size_t)count;
    return NULL;
}

struct error *kvm_storage_room(struct driver_session *session, struct arena *arena, virStoragePoolPtr pool,
                               struct kvm_room *ret_room)
{
    virStoragePoolInfo info;
    if (virStoragePoolGetInfo(pool, &info) < 0)
        return kvm_fault(session->connection, "could not ask for a storage pool's room");
    virStorageVolPtr *volumes;
    size_t count;
    TRY(kvm_storage_list(session, arena, pool, &volumes, &count));
    struct kvm_room room = {.total = info.capacity, .free = info.available};
    for (size_t i = 0; i < count; i++) {
        virStorageVolInfo volume;
        if (virStorageVolGetInfo(volumes[i], &volume) == 0)
            room.promised += volume.capacity;
        else if (!kvm_fault_is(VIR_ERR_NO_STORAGE_VOL)) /* gone since it was listed */
            return kvm_fault(session->connection, "could not ask for a volume's size");
    }
    *ret_room = room;
    return NULL;
}

struct error *kvm_storage_check_room(struct driver_session *session, struct arena *arena,
                                     virStoragePoolPtr pool, const char *name, uint64_t bytes)
{
    struct kvm_room room;
    TRY(kvm_storage_room(session, arena, pool, &room));
    uint64_t percent = (uint64_t)session->options.disk_overcommit;
    uint64_t most = room.total / 100 * percent;
    if (room.promised > most || bytes > most - room.promised)
        return error_new(ERR_NO_CAPACITY,
                         "storage pool \"%s\" has promised %u of %u GB and cannot promise %u more", name,
                         kvm_storage_gb(room.promised), (unsigned)(most / KVM_GIB), kvm_storage_gb(bytes));
    return NULL;
}

unsigned kvm_storage_gb(uint64_t bytes)
{
    return (unsigned)(bytes / KVM_GIB + (bytes % KVM_GIB != 0));
}
