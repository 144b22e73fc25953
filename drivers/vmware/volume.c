/* See volume.h. */
#include "drivers/vmware/volume.h"

#include <string.h>

#include "drivers/vmware/datastore.h"
#include "drivers/vmware/task.h"

#define KB_PER_GB (INT64_C(1) << 20)
#define UNITS_PER_CONTROLLER 16 /* of SCSI; number 7 is the controller itself */
#define OWN_UNIT 7

static struct driver_volume *add_volume(struct arena *arena, struct driver_volume **volumes, size_t *count)
{
    if (*count == 0 || (*count >= 16 && (*count & (*count - 1)) == 0)) {
        struct driver_volume *wider = arena_array(arena, *count ? *count * 2 : 16, sizeof *wider);
        if (*count)
            memcpy(wider, *volumes, *count * sizeof *wider);
        *volumes = wider;
    }
    return &(*volumes)[(*count)++];
}

static const char *volume_path(const struct driver_session *session, struct arena *arena,
                               const char *datastore, const char *id)
{
    return arena_printf(arena, "[%s] %s/%s.vmdk", datastore, session->options.volume_folder, id);
}

/* The instance that has the volume, by the id in its disks' file names; NULL when none has. */
static const char *attached_to(const struct driver_session *session, struct arena *arena,
                               const struct survey *survey, const char *id, const char *datastore)
{
    size_t length = strlen(datastore);
    for (size_t i = 0; i < survey->attachment_count; i++) {
        const char *file = survey->attachments[i].file;
        const char *other = survey_volume_id(session, arena, file);
        if (other && strcmp(other, id) == 0 && strncmp(file + 1, datastore, length) == 0 &&
            file[length + 1] == ']')
            return survey->attachments[i].instance_ref;
    }
    return NULL;
}

static void put_search(struct xml_request *request)
{
    xml_open(request, "searchSpec");
    xml_open_as(request, "query", "VmDiskFileQuery");
    xml_open(request, "details");
    xml_put_bool(request, "diskType", false);
    xml_put_bool(request, "capacityKb", true);
    xml_put_bool(request, "hardwareVersion", false);
    xml_close(request);
    xml_close(request);
    xml_open(request, "details");
    xml_put_bool(request, "fileType", true);
    xml_put_bool(request, "fileSize", false);
    xml_put_bool(request, "modification", false);
    xml_put_bool(request, "fileOwner", false);
    xml_close(request);
    xml_put(request, "matchPattern", "*.vmdk");
    xml_close(request);
}

struct listing {
    struct driver_volume *volumes;
    size_t count;
};

static struct error *start_search(struct driver_session *session, const struct driver_call *call,
                                  const struct survey_datastore *datastore, struct moref *ret_task)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "SearchDatastore_Task", datastore->browser);
    xml_put(&request, "datastorePath",
            arena_printf(call->arena, "[%s] %s", datastore->name, session->options.volume_folder));
    put_search(&request);
    return error_wrap(task_start(session, call, &request, ret_task), "datastore %s", datastore->name);
}

static struct error *finish_search(struct driver_session *session, const struct driver_call *call,
                                   const struct survey *survey, const struct survey_datastore *datastore,
                                   struct moref task, struct listing *listing)
{
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    const xmlNode *result = NULL;
    struct error *error = task_finish(session, call, task, "search for volumes", &answer, &result);
    if (error && session->fault == FAULT_FILE_NOT_FOUND) {
        error_free(error); /* no volume was ever made there */
        return NULL;
    }
    TRY_DOING(error, "datastore %s", datastore->name);
    for (const xmlNode *file = xml_child(result, "file"); file; file = xml_next(file)) {
        const char *name = xml_child_text(file, "path");
        if (!name)
            continue;
        const char *ref =
            arena_printf(call->arena, "[%s] %s/%s", datastore->name, session->options.volume_folder, name);
        const char *id = survey_volume_id(session, call->arena, ref);
        if (!id || strlen(name) != strlen(id) + strlen(".vmdk"))
            continue; /* not ours, or a snapshot's delta */
        int64_t capacity_kb = xml_number(xml_child(file, "capacityKb"), 0);
        *add_volume(call->arena, &listing->volumes, &listing->count) = (struct driver_volume){
            .id = id,
            .ref = ref,
            .name = arena_strdup(call->arena, name),
            .size_gb = (unsigned)((capacity_kb + KB_PER_GB - 1) / KB_PER_GB),
            .instance_ref = attached_to(session, call->arena, survey, id, datastore->name),
            .pool = datastore->name,
        };
    }
    return NULL;
}

struct error *volume_list(struct driver_session *session, const struct driver_call *call,
                          const struct survey *survey, struct driver_volume **ret_volumes, size_t *ret_count)
{
    struct listing listing = {0};
    struct moref *tasks = arena_array(call->arena, survey->datastore_count + 1, sizeof *tasks);
    for (size_t i = 0; i < survey->datastore_count; i++)
        if (survey_in_use(session, &survey->datastores[i]))
            TRY(start_search(session, call, &survey->datastores[i], &tasks[i]));
    for (size_t i = 0; i < survey->datastore_count; i++)
        if (tasks[i].value)
            TRY(finish_search(session, call, survey, &survey->datastores[i], tasks[i], &listing));
    *ret_volumes = listing.volumes;
    *ret_count = listing.count;
    return NULL;
}

/* With the survey that it was found in, for what the caller does next. */
static struct error *find_in(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key, struct survey *survey,
                             struct driver_volume *ret_volume)
{
    struct driver_volume *volumes;
    size_t count;
    TRY(survey_take(session, call, SURVEY_INSTANCES, survey));
    TRY(volume_list(session, call, survey, &volumes, &count));
    for (size_t i = 0; i < count; i++) {
        if (key->id ? strcmp(volumes[i].id, key->id) != 0 : strcmp(volumes[i].ref, key->ref) != 0)
            continue;
        *ret_volume = volumes[i];
        return NULL;
    }
    return error_new(ERR_NOT_FOUND, "there is no volume %s", key->id ? key->id : key->ref);
}

struct error *vmware_volume_find(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, struct driver_volume *ret_volume)
{
    struct survey survey;
    return find_in(session, call, key, &survey, ret_volume);
}

static struct error *create_disk(struct driver_session *session, const struct driver_call *call,
                                 const char *path, int64_t capacity_kb)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CreateVirtualDisk_Task", session->disk_manager);
    xml_put(&request, "name", path);
    xml_put_ref(&request, "datacenter", session->datacenter);
    xml_open_as(&request, "spec", "FileBackedVirtualDiskSpec");
    bool thin = strcmp(session->options.disk_format, "thin") == 0;
    xml_put(&request, "diskType", thin ? "thin" : "eagerZeroedThick");
    xml_put(&request, "adapterType", "lsiLogic");
    xml_put_number(&request, "capacityKb", capacity_kb);
    xml_close(&request);
    struct error *error = task_do(session, call, &request, "create the volume");
    if (error && session->fault == FAULT_FILE_EXISTS) {
        error_free(error); /* an earlier attempt made it: the name is the broker's id */
        error = NULL;
    }
    return error;
}

struct error *vmware_volume_create(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_volume_spec *spec, struct driver_volume *ret_volume)
{
    if (spec->size_gb == 0)
        return error_new(ERR_INVALID, "a volume has at least 1 GB");
    struct driver_key key = {spec->id, NULL};
    for (int attempt = 1;;) {
        struct survey survey;
        struct error *error = find_in(session, call, &key, &survey, ret_volume);
        if (!error || error_code(error) != ERR_NOT_FOUND)
            return error;
        error_free(error);
        const struct survey_datastore *place;
        TRY(survey_datastore_for(session, &survey, spec->high_performance, spec->size_gb, &place));
        const char *path = volume_path(session, call->arena, place->name, spec->id);
        error = datastore_folder(
            session, call, arena_printf(call->arena, "[%s] %s", place->name, session->options.volume_folder));
        if (!error)
            error = create_disk(session, call, path, spec->size_gb * KB_PER_GB);
        if (!error) {
            *ret_volume = (struct driver_volume){.id = arena_strdup(call->arena, spec->id),
                                                 .ref = path,
                                                 .name = strrchr(path, '/') + 1,
                                                 .size_gb = spec->size_gb,
                                                 .pool = place->name};
            return NULL;
        }
        if (!session_again(session, &error, &attempt))
            return error;
    }
}

void disk_change(struct xml_request *request, const char *operation, const struct machine_disk *disk)
{
    xml_open(request, "deviceChange");
    xml_put(request, "operation", operation);
    xml_open_as(request, "device", "VirtualDisk");
    xml_put_number(request, "key", disk->key);
    xml_open_as(request, "deviceInfo", "Description"); /* an edit without it upsets some peers */
    xml_put(request, "label", disk->label ? disk->label : "");
    xml_put(request, "summary", "");
    xml_close(request);
    xml_open_as(request, "backing", "VirtualDiskFlatVer2BackingInfo");
    xml_put(request, "fileName", disk->file);
    xml_put(request, "diskMode", disk->mode && *disk->mode ? disk->mode : "persistent");
    xml_close(request);
    xml_put_number(request, "controllerKey", disk->controller);
    xml_put_number(request, "unitNumber", disk->unit);
    xml_put_number(request, "capacityInKB", disk->capacity_kb);
    xml_close(request);
    xml_close(request);
}

static struct error *reconfigure(struct driver_session *session, const struct driver_call *call,
                                 const struct machine *machine, const char *operation,
                                 const struct machine_disk *disks, size_t count, const char *step)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "ReconfigVM_Task", machine->ref);
    xml_open(&request, "spec");
    for (size_t i = 0; i < count; i++)
        disk_change(&request, operation, &disks[i]);
    xml_close(&request);
    return task_do(session, call, &request, step);
}

/* A free place on a SCSI controller of the machine. */
static bool find_slot(const struct machine *machine, struct machine_disk *disk)
{
    for (size_t c = 0; c < machine->controller_count; c++) {
        bool taken[UNITS_PER_CONTROLLER] = {[OWN_UNIT] = true};
        for (size_t i = 0; i < machine->disk_count; i++)
            if (machine->disks[i].controller == machine->controllers[c].key && machine->disks[i].unit >= 0 &&
                machine->disks[i].unit < UNITS_PER_CONTROLLER)
                taken[machine->disks[i].unit] = true;
        for (int unit = 0; unit < UNITS_PER_CONTROLLER; unit++)
            if (!taken[unit]) {
                disk->controller = machine->controllers[c].key;
                disk->unit = unit;
                return true;
            }
    }
    return false;
}

static const struct machine_disk *find_disk(const struct driver_session *session, struct arena *arena,
                                            const struct machine *machine, const char *id)
{
    for (size_t i = 0; i < machine->disk_count; i++) {
        const char *other = survey_volume_id(session, arena, machine->disks[i].file);
        if (other && strcmp(other, id) == 0)
            return &machine->disks[i];
    }
    return NULL;
}

static struct error *attach_once(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *volume_key, const struct driver_key *instance_key)
{
    struct survey survey;
    struct driver_volume volume;
    struct machine machine;
    TRY(find_in(session, call, volume_key, &survey, &volume));
    TRY(machine_find(session, call, instance_key, &machine));
    if (find_disk(session, call->arena, &machine, volume.id))
        return NULL;
    if (volume.instance_ref)
        return error_new(ERR_CONFLICT, "the volume %s is attached to another machine (%s)", volume.id,
                         volume.instance_ref);
    struct machine_disk disk = {
        .key = -1, .file = volume.ref, .mode = "persistent", .capacity_kb = volume.size_gb * KB_PER_GB};
    if (!find_slot(&machine, &disk))
        return error_new(ERR_CONFLICT, "the machine %s has no free SCSI slot", machine.instance.name);
    return reconfigure(session, call, &machine, "add", &disk, 1, "attach the volume");
}

struct error *vmware_volume_attach(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume, const struct driver_key *instance)
{
    for (int attempt = 1;;) {
        struct error *error = attach_once(session, call, volume, instance);
        if (!session_again(session, &error, &attempt))
            return error;
    }
}

static struct error *not_a_delta(const struct machine *machine, const struct machine_disk *disk)
{
    if (disk->base)
        return NULL;
    return error_new(ERR_CONFLICT, "the machine %s has snapshots, which hold on to the volume",
                     machine->instance.name);
}

static const char *key_id(const struct driver_session *session, struct arena *arena,
                          const struct driver_key *key)
{
    return key->id ? key->id : key->ref ? survey_volume_id(session, arena, key->ref) : NULL;
}

static struct error *detach_once(struct driver_session *session, const struct driver_call *call,
                                 const char *id, const struct driver_key *instance)
{
    struct machine machine;
    TRY(machine_find(session, call, instance, &machine));
    const struct machine_disk *disk = find_disk(session, call->arena, &machine, id);
    if (!disk)
        return NULL;
    TRY(not_a_delta(&machine, disk));
    return reconfigure(session, call, &machine, "remove", disk, 1, "detach the volume");
}

struct error *vmware_volume_detach(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume, const struct driver_key *instance)
{
    const char *id = key_id(session, call->arena, volume);
    if (!id)
        return error_new(ERR_INVALID, "%s is no volume of the broker", volume->ref ? volume->ref : "nothing");
    for (int attempt = 1;;) {
        struct error *error = detach_once(session, call, id, instance);
        if (error && error_code(error) == ERR_NOT_FOUND) {
            error_free(error); /* with the machine gone, nothing is attached to it */
            return NULL;
        }
        if (!session_again(session, &error, &attempt))
            return error;
    }
}

struct error *volume_detach_all(struct driver_session *session, const struct driver_call *call,
                                const struct machine *machine)
{
    struct machine_disk disks[MACHINE_DEVICES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < machine->disk_count; i++) {
        if (!survey_volume_id(session, call->arena, machine->disks[i].file))
            continue;
        TRY(not_a_delta(machine, &machine->disks[i]));
        disks[count++] = machine->disks[i];
    }
    return count ? reconfigure(session, call, machine, "remove", disks, count, "detach the volumes") : NULL;
}

static struct error *grow_detached(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_volume *volume, unsigned size_gb)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "ExtendVirtualDisk_Task", session->disk_manager);
    xml_put(&request, "name", volume->ref);
    xml_put_ref(&request, "datacenter", session->datacenter);
    xml_put_number(&request, "newCapacityKb", size_gb * KB_PER_GB);
    xml_put_bool(&request, "eagerZero", false);
    return task_do(session, call, &request, "grow the volume");
}

static struct error *grow_attached(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_volume *volume, unsigned size_gb)
{
    struct machine machine;
    TRY(machine_read(session, call, (struct moref){"VirtualMachine", volume->instance_ref}, &machine));
    const struct machine_disk *disk = find_disk(session, call->arena, &machine, volume->id);
    if (!disk)
        return error_new(ERR_BUSY, "the volume %s has just been detached", volume->id);
    TRY(not_a_delta(&machine, disk));
    if (disk->capacity_kb >= size_gb * KB_PER_GB)
        return NULL;
    struct machine_disk grown = *disk;
    grown.capacity_kb = size_gb * KB_PER_GB;
    return reconfigure(session, call, &machine, "edit", &grown, 1, "grow the volume");
}

struct error *vmware_volume_resize(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, unsigned size_gb)
{
    for (int attempt = 1;;) {
        struct survey survey;
        struct driver_volume volume;
        TRY(find_in(session, call, key, &survey, &volume));
        if (volume.size_gb == size_gb)
            return NULL;
        if (volume.size_gb > size_gb)
            return error_new(ERR_INVALID, "the volume has %u GB already and can only grow", volume.size_gb);
        struct error *error = volume.instance_ref ? grow_attached(session, call, &volume, size_gb)
                                                  : grow_detached(session, call, &volume, size_gb);
        if (!session_again(session, &error, &attempt))
            return error;
    }
}

struct error *vmware_volume_delete(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key)
{
    for (int attempt = 1;;) {
        struct survey survey;
        struct driver_volume volume;
        struct error *error = find_in(session, call, key, &survey, &volume);
        if (error && error_code(error) == ERR_NOT_FOUND) {
            error_free(error); /* gone already */
            return NULL;
        }
        TRY(error);
        if (volume.instance_ref)
            return error_new(ERR_CONFLICT, "the volume %s is attached to %s", volume.id, volume.instance_ref);
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "DeleteVirtualDisk_Task", session->disk_manager);
        xml_put(&request, "name", volume.ref);
        xml_put_ref(&request, "datacenter", session->datacenter);
        error = task_do(session, call, &request, "delete the volume");
        if (error && session->fault == FAULT_FILE_NOT_FOUND && attempt < SESSION_ATTEMPTS) {
            error_free(error);
            attempt++;
            continue;
        }
        if (!session_again(session, &error, &attempt))
            return error;
    }
}
