/* Making an instance: look for the stamp; clone the template, stamped and switched off, or, when the image is
 * a disk's file, copy that and build a machine around it, which a lone ESXi can do too; bring hardware, disk
 * and network to what is wanted; power on, which is the last step, so a machine with the stamp that is off
 * may be half made and one that runs is whole. See create.h. */
#include "drivers/vmware/create.h"

#include <openssl/evp.h>
#include <string.h>

#include "drivers/vmware/datastore.h"
#include "drivers/vmware/fence.h"
#include "drivers/vmware/placement.h"
#include "drivers/vmware/survey.h"
#include "drivers/vmware/task.h"
#include "drivers/vmware/volume.h"

#define KB_PER_GB (INT64_C(1) << 20)
#define NEW_CONTROLLER (-101) /* keys of devices to be made, until the provider gives them theirs */
#define NEW_DISK (-102)
#define USER_DATA_MAX (512u << 10) /* bytes; a VMX file has to carry it in base64 */

/* Parts of the whole operation's progress, in percent. */
#define CLONE_DONE 70
#define FIT_DONE 85

/* A call whose tasks tell their progress as a part, [from, to], of the whole operation's. */
struct part {
    struct driver_call call;
    const struct driver_call *whole;
    int from, to;
};

static bool part_progress(void *context, int percent, const char *step)
{
    const struct part *part = context;
    return part->whole->progress(part->whole->context, part->from + (part->to - part->from) * percent / 100,
                                 step);
}

static void part_begin(struct part *part, const struct driver_call *whole, int from, int to)
{
    *part = (struct part){.call = *whole, .whole = whole, .from = from, .to = to};
    if (whole->progress) {
        part->call.progress = part_progress;
        part->call.context = part;
    }
}

/* "[datastore] FOLDER/NAME.vmdk" in the folder that the endpoint's options set aside for images: nobody may
 * boot from a copy of another's disk by naming its file. */
static bool is_disk_image(const struct driver_session *session, const char *image)
{
    const char *folder = session->options.image_folder, *path = strchr(image, ']');
    if (!folder || image[0] != '[' || !path || path[1] != ' ' ||
        strncmp(path + 2, folder, strlen(folder)) != 0)
        return false;
    const char *rest = path + 2 + strlen(folder);
    size_t length = strlen(rest);
    return rest[0] == '/' && !strchr(rest + 1, '/') && length > 6 && strcmp(rest + length - 5, ".vmdk") == 0;
}

/* Where a new machine goes, and what it is made of. */
static struct error *choose_place(const struct driver_session *session, const struct survey *survey,
                                  const struct driver_instance_spec *spec, struct placement *placement)
{
    TRY(placement_architecture(survey, spec->architecture));
    for (size_t i = 0; i < survey->image_count; i++)
        if (strcmp(survey->images[i].name, spec->image) == 0)
            placement->image = (struct moref){"VirtualMachine", survey->images[i].ref};
    if (!placement->image.value && !is_disk_image(session, spec->image))
        return error_new(ERR_NOT_FOUND, "the provider has no template %s", spec->image);
    TRY(placement_pool(session, survey, &placement->pool));
    TRY(placement_folder(session, survey, &placement->folder));
    const struct survey_datastore *datastore;
    TRY(survey_datastore_for(session, survey, spec->high_performance, spec->system_disk_gb, &datastore));
    placement->datastore = datastore->ref;
    placement->datastore_name = datastore->name;
    return NULL;
}

/* For cloud-init's VMware data source. */
static void put_user_data(struct xml_request *request, struct arena *arena, const char *user_data)
{
    size_t length = strlen(user_data);
    unsigned char *text = arena_alloc(arena, (length + 2) / 3 * 4 + 1);
    EVP_EncodeBlock(text, (const unsigned char *)user_data, (int)length);
    mark_put(request, "guestinfo.userdata", (const char *)text);
    mark_put(request, "guestinfo.userdata.encoding", "base64");
}

/* A SCSI controller with the disk on it. */
static void put_disk(struct xml_request *request, const char *file)
{
    xml_open(request, "deviceChange");
    xml_put(request, "operation", "add");
    xml_open_as(request, "device", "ParaVirtualSCSIController");
    xml_put_number(request, "key", NEW_CONTROLLER);
    xml_put_number(request, "busNumber", 0);
    xml_put(request, "sharedBus", "noSharing");
    xml_close(request);
    xml_close(request);
    /* the capacity of an existing file is the provider's to know */
    struct machine_disk disk = {.key = NEW_DISK, .controller = NEW_CONTROLLER, .file = file};
    disk_change(request, "add", &disk);
}

/* The whole ConfigSpec of a machine. `folder` and `disk`: for one that is built around a disk's file; NULL
 * for a clone. */
static void put_config(struct xml_request *request, struct arena *arena,
                       const struct driver_instance_spec *spec, const char *folder, const char *disk)
{
    xml_open(request, "config");
    if (disk)
        xml_put(request, "name", placement_name(arena, spec->name, spec->id));
    xml_put(request, "instanceUuid", spec->id);
    if (disk) {
        xml_put(request, "guestId", "otherLinux64Guest");
        xml_open(request, "files");
        xml_put(request, "vmPathName",
                arena_printf(arena, "%s/%s.vmx", folder, placement_name(arena, spec->name, spec->id)));
        xml_close(request);
    }
    xml_put_number(request, "numCPUs", spec->vcpu);
    xml_put_number(request, "numCoresPerSocket", 1);
    xml_put_number(request, "memoryMB", (int64_t)spec->memory_mb);
    xml_put_bool(request, "memoryHotAddEnabled", true);
    xml_put_bool(request, "cpuHotAddEnabled", true);
    if (disk)
        put_disk(request, disk);
    mark_put(request, MACHINE_STAMP, spec->id);
    if (spec->user_data)
        put_user_data(request, arena, spec->user_data);
    xml_close(request);
}

static struct error *clone_template(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_instance_spec *spec,
                                    const struct placement *placement, struct moref *ret_ref)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CloneVM_Task", placement->image);
    xml_put_ref(&request, "folder", placement->folder);
    xml_put(&request, "name", placement_name(call->arena, spec->name, spec->id));
    xml_open(&request, "spec");
    xml_open(&request, "location");
    xml_put_ref(&request, "datastore", placement->datastore);
    xml_put_ref(&request, "pool", placement->pool);
    xml_close(&request);
    xml_put_bool(&request, "template", false);
    put_config(&request, call->arena, spec, NULL, NULL);
    xml_put_bool(&request, "powerOn", false);
    xml_close(&request);
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    const xmlNode *result = NULL;
    struct part part;
    part_begin(&part, call, 0, CLONE_DONE);
    TRY(task_run(session, &part.call, &request, "clone the template", &answer, &result));
    *ret_ref = moref_read(call->arena, result);
    if (!ret_ref->value)
        return error_new(ERR_UNAVAILABLE, "the provider does not name the clone that it made");
    return NULL;
}

static struct error *build(struct driver_session *session, const struct driver_call *call,
                           const struct driver_instance_spec *spec, const struct placement *placement,
                           const char *folder, const char *disk, struct moref *ret_ref)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CreateVM_Task", placement->folder);
    put_config(&request, call->arena, spec, folder, disk);
    xml_put_ref(&request, "pool", placement->pool);
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    const xmlNode *result = NULL;
    TRY(task_run(session, call, &request, "build the machine", &answer, &result));
    *ret_ref = moref_read(call->arena, result);
    if (!ret_ref->value)
        return error_new(ERR_UNAVAILABLE, "the provider does not name the machine that it made");
    return NULL;
}

/* A failure that a repeat would meet again. */
static bool lasting(const struct error *error)
{
    switch (error_code(error)) {
    case ERR_INVALID:
    case ERR_DENIED:
    case ERR_NO_CAPACITY:
    case ERR_UNSUPPORTED:
    case ERR_NOT_FOUND:
        return true;
    default:
        return false;
    }
}

/* A machine around a copy of the image's disk. */
static struct error *build_around(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_instance_spec *spec, const struct placement *placement,
                                  struct moref *ret_ref)
{
    const char *name = placement_name(call->arena, spec->name, spec->id);
    const char *folder = arena_printf(call->arena, "[%s] %s", placement->datastore_name, name);
    const char *disk = arena_printf(call->arena, "%s/%s.vmdk", folder, name);
    TRY(datastore_folder(session, call, folder));
    struct part part;
    part_begin(&part, call, 0, CLONE_DONE);
    TRY(datastore_copy_disk(session, &part.call, spec->image, disk));
    struct error *error = build(session, call, spec, placement, folder, disk, ret_ref);
    if (error && lasting(error)) /* if this fails too, a repeat overwrites the file */
        error_ignore(datastore_delete_disk(session, call, disk));
    return error;
}

/* The machine's first card on the wanted network; a card when it has none. */
static void put_card(struct xml_request *request, const struct machine *machine,
                     const struct placement *placement)
{
    const struct machine_card *card = machine->card_count ? &machine->cards[0] : NULL;
    xml_open(request, "deviceChange");
    xml_put(request, "operation", card ? "edit" : "add");
    xml_open_as(request, "device", card ? card->type : "VirtualVmxnet3");
    xml_put_number(request, "key", card ? card->key : -1);
    if (card) {
        xml_open_as(request, "deviceInfo", "Description");
        xml_put(request, "label", card->label ? card->label : "");
        xml_put(request, "summary", "");
        xml_close(request);
    }
    placement_put_network(request, placement);
    xml_open(request, "connectable");
    xml_put_bool(request, "startConnected", true);
    xml_put_bool(request, "allowGuestControl", true);
    xml_put_bool(request, "connected", false);
    xml_close(request);
    if (card) {
        xml_put_number(request, "controllerKey", card->controller);
        xml_put_number(request, "unitNumber", card->unit);
    }
    xml_close(request);
    xml_close(request);
}

static bool on_network(const struct machine *machine, const struct survey_network *network)
{
    if (!machine->card_count)
        return false;
    const struct machine_card *card = &machine->cards[0];
    const char *has = network->portgroup   ? card->portgroup
                      : network->opaque_id ? card->opaque
                                           : card->network;
    const char *wants = network->portgroup   ? network->portgroup
                        : network->opaque_id ? network->opaque_id
                                             : network->name;
    return has && strcmp(has, wants) == 0;
}

/* Brings a machine that is off to what is wanted, in one change; none when nothing differs. */
static struct error *fit(struct driver_session *session, const struct driver_call *call,
                         const struct driver_instance_spec *spec, const struct placement *placement,
                         const struct machine *machine)
{
    if (!machine->disk_count)
        return error_new(ERR_INVALID, "the image %s has no disk", spec->image);
    struct machine_disk disk = machine->disks[0];
    int64_t wanted_kb = spec->system_disk_gb * KB_PER_GB;
    if (disk.capacity_kb > wanted_kb)
        return error_new(ERR_INVALID, "the image %s has a disk of %lld GB, more than the %u GB wanted",
                         spec->image, (long long)((disk.capacity_kb + KB_PER_GB - 1) / KB_PER_GB),
                         spec->system_disk_gb);
    bool hardware = machine->instance.vcpu != spec->vcpu || machine->instance.memory_mb != spec->memory_mb ||
                    !machine->cpu_hot || !machine->memory_hot;
    bool grow = disk.capacity_kb < wanted_kb, move = !on_network(machine, placement->network);
    if (!hardware && !grow && !move)
        return NULL;
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "ReconfigVM_Task", machine->ref);
    xml_open(&request, "spec");
    if (hardware) {
        xml_put_number(&request, "numCPUs", spec->vcpu);
        xml_put_number(&request, "numCoresPerSocket", 1);
        xml_put_number(&request, "memoryMB", (int64_t)spec->memory_mb);
        xml_put_bool(&request, "memoryHotAddEnabled", true);
        xml_put_bool(&request, "cpuHotAddEnabled", true);
    }
    if (grow) {
        disk.capacity_kb = wanted_kb;
        disk_change(&request, "edit", &disk);
    }
    if (move)
        put_card(&request, machine, placement);
    xml_close(&request);
    struct part part;
    part_begin(&part, call, CLONE_DONE, FIT_DONE);
    return task_do(session, &part.call, &request, "fit the hardware");
}

static struct error *power_on(struct driver_session *session, const struct driver_call *call,
                              const struct machine *machine)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "PowerOnVM_Task", machine->ref);
    struct part part;
    part_begin(&part, call, FIT_DONE, 100);
    return task_do(session, &part.call, &request, "power on");
}

static void remove_half(struct driver_session *session, const struct driver_call *call,
                        const struct machine *machine)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "Destroy_Task", machine->ref);
    /* If this fails too the broker's own clean-up meets the stamped machine again. */
    error_ignore(task_do(session, call, &request, "remove the half-made machine"));
}

static struct error *finish(struct driver_session *session, const struct driver_call *call,
                            const struct driver_instance_spec *spec, const struct placement *placement,
                            struct machine *machine)
{
    if (machine->instance.power == DRIVER_POWER_ON)
        return NULL;
    struct error *error = fit(session, call, spec, placement, machine);
    if (!error)
        error = power_on(session, call, machine);
    if (error && lasting(error))
        remove_half(session, call, machine);
    TRY(error);
    return machine_read(session, call, machine->ref, machine);
}

static struct error *create_once(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_instance_spec *spec, struct machine *machine)
{
    struct driver_key key = {spec->id, NULL};
    struct error *error = machine_find(session, call, &key, machine);
    if (!error && machine->instance.power == DRIVER_POWER_ON)
        return NULL;
    bool found = !error;
    if (error && error_code(error) != ERR_NOT_FOUND)
        return error;
    error_free(error);
    if (found)
        TRY(fence_check(machine));
    struct survey survey;
    struct placement placement = {0};
    TRY(survey_take(session, call, 0, &survey));
    TRY(placement_network(&survey, spec->network, &placement));
    if (!found) {
        struct moref ref = {0};
        TRY(choose_place(session, &survey, spec, &placement));
        TRY(placement.image.value ? clone_template(session, call, spec, &placement, &ref)
                                  : build_around(session, call, spec, &placement, &ref));
        TRY(machine_read(session, call, ref, machine));
    }
    return finish(session, call, spec, &placement, machine);
}

struct error *vmware_instance_create(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_instance_spec *spec,
                                     struct driver_instance *ret_instance)
{
    if (spec->user_data && strlen(spec->user_data) > USER_DATA_MAX)
        return error_new(ERR_INVALID, "user data is over %u bytes", USER_DATA_MAX);
    for (int attempt = 1;;) {
        struct machine machine;
        struct error *error = create_once(session, call, spec, &machine);
        if (!error) {
            *ret_instance = machine.instance;
            return NULL;
        }
        if (error_code(error) == ERR_EXISTS && session->fault == FAULT_DUPLICATE_NAME)
            /* The name holds the id: an earlier clone of ours is still under way and has no stamp to be found
             * by. */
            return error_recode(error, ERR_BUSY, "an earlier attempt is still being made");
        if (!session_again(session, &error, &attempt))
            return error_wrap(error, "could not create the instance %s", spec->name);
    }
}
