/* A machine without a template, its disks empty, fenced from its first moment: one CreateVM_Task makes all of
 * it, volumes included, so there is no half of it to clean up. See prepare.h. */
#include "drivers/vmware/prepare.h"

#include <string.h>

#include "drivers/vmware/datastore.h"
#include "drivers/vmware/fence.h"
#include "drivers/vmware/placement.h"
#include "drivers/vmware/task.h"
#include "drivers/vmware/volume.h"

#define KB 1024
#define GB (UINT64_C(1) << 30)
#define UNITS 15              /* disks on one controller */
#define OWN_UNIT 7            /* of the controller itself */
#define CONTROLLER_KEY (-101) /* and downwards */
#define DISK_KEY (-201)
#define CARD_KEY (-301)

/* Both Linux and Windows come with its driver. */
#define CONTROLLER_TYPE "VirtualLsiLogicSASController"

struct planning {
    struct driver_session *session;
    const struct driver_call *call;
    const struct driver_shell_spec *spec;
    struct placement placement;
    const char *name;
    const char *home;   /* "[datastore] NAME", where the machine lives */
    const char **files; /* of each disk */
};

static bool in_class(const struct driver_shell_disk *disk, bool high)
{
    return disk->high_performance == high;
}

/* The datastore of a class, with room for all disks of it. */
static struct error *choose_datastore(const struct planning *planning, const struct survey *survey, bool high,
                                      const struct survey_datastore **ret_datastore)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < planning->spec->disk_count; i++)
        if (in_class(&planning->spec->disks[i], high))
            bytes += planning->spec->disks[i].size_bytes;
    uint64_t gb = bytes / GB + (bytes % GB != 0);
    if (gb > UINT32_MAX)
        return error_new(ERR_NO_CAPACITY, "disks of %llu GB", (unsigned long long)gb);
    return survey_datastore_for(planning->session, survey, high, (unsigned)gb, ret_datastore);
}

static struct error *choose_files(struct planning *planning, const struct survey *survey)
{
    struct arena *arena = planning->call->arena;
    const struct driver_shell_spec *spec = planning->spec;
    const char *volumes = planning->session->options.volume_folder;
    planning->files = arena_array(arena, spec->disk_count, sizeof *planning->files);
    for (size_t i = 0; i < spec->disk_count; i++) {
        const struct driver_shell_disk *disk = &spec->disks[i];
        const struct survey_datastore *datastore;
        TRY(choose_datastore(planning, survey, disk->high_performance, &datastore));
        const char *folder = disk->volume_id ? volumes : planning->name;
        planning->files[i] =
            disk->volume_id
                ? arena_printf(arena, "[%s] %s/%s.vmdk", datastore->name, folder, disk->volume_id)
                : arena_printf(arena, "[%s] %s/%s_%zu.vmdk", datastore->name, folder, planning->name, i);
        if (disk->boot)
            planning->home = arena_printf(arena, "[%s] %s", datastore->name, planning->name);
        TRY(datastore_folder(planning->session, planning->call,
                             arena_printf(arena, "[%s] %s", datastore->name, folder)));
    }
    return NULL;
}

static struct error *check_volumes(const struct planning *planning, const struct survey *survey)
{
    struct driver_volume *volumes;
    size_t count;
    TRY(volume_list(planning->session, planning->call, survey, &volumes, &count));
    for (size_t i = 0; i < planning->spec->disk_count; i++)
        for (size_t v = 0; planning->spec->disks[i].volume_id && v < count; v++)
            if (strcmp(volumes[v].id, planning->spec->disks[i].volume_id) == 0)
                return error_new(ERR_EXISTS, "there is a volume %s already", volumes[v].id);
    return NULL;
}

static struct error *plan(struct planning *planning)
{
    const struct driver_shell_spec *spec = planning->spec;
    struct survey survey;
    TRY(survey_take(planning->session, planning->call, 0, &survey));
    TRY(placement_architecture(&survey, spec->architecture));
    TRY(placement_pool(planning->session, &survey, &planning->placement.pool));
    TRY(placement_folder(planning->session, &survey, &planning->placement.folder));
    if (spec->network)
        TRY(placement_network(&survey, spec->network, &planning->placement));
    TRY(check_volumes(planning, &survey));
    planning->name = placement_name(planning->call->arena, spec->name, spec->id);
    return choose_files(planning, &survey);
}

static void put_controllers(struct xml_request *request, size_t disks)
{
    for (size_t i = 0; i * UNITS < disks; i++) {
        xml_open(request, "deviceChange");
        xml_put(request, "operation", "add");
        xml_open_as(request, "device", CONTROLLER_TYPE);
        xml_put_number(request, "key", CONTROLLER_KEY - (int64_t)i);
        xml_put_number(request, "busNumber", (int64_t)i);
        xml_put(request, "sharedBus", "noSharing");
        xml_close(request);
        xml_close(request);
    }
}

/* The place of disk `index`: in order, leaving out that of the controller. */
static int64_t unit_of(size_t index)
{
    int64_t unit = (int64_t)(index % UNITS);
    return unit < OWN_UNIT ? unit : unit + 1;
}

static void put_disks(struct xml_request *request, const struct planning *planning)
{
    bool thin = strcmp(planning->session->options.disk_format, "thin") == 0;
    for (size_t i = 0; i < planning->spec->disk_count; i++) {
        xml_open(request, "deviceChange");
        xml_put(request, "operation", "add");
        xml_put(request, "fileOperation", "create");
        xml_open_as(request, "device", "VirtualDisk");
        xml_put_number(request, "key", DISK_KEY - (int64_t)i);
        xml_open_as(request, "backing", "VirtualDiskFlatVer2BackingInfo");
        xml_put(request, "fileName", planning->files[i]);
        xml_put(request, "diskMode", "persistent");
        xml_put_bool(request, "thinProvisioned", thin);
        if (!thin)
            xml_put_bool(request, "eagerlyScrub", true); /* they read as zeros */
        xml_close(request);
        xml_put_number(request, "controllerKey", CONTROLLER_KEY - (int64_t)(i / UNITS));
        xml_put_number(request, "unitNumber", unit_of(i));
        xml_put_number(request, "capacityInKB",
                       (int64_t)((planning->spec->disks[i].size_bytes + KB - 1) / KB));
        xml_close(request);
        xml_close(request);
    }
}

static void put_card(struct xml_request *request, const struct planning *planning)
{
    xml_open(request, "deviceChange");
    xml_put(request, "operation", "add");
    xml_open_as(request, "device", "VirtualVmxnet3");
    xml_put_number(request, "key", CARD_KEY);
    placement_put_network(request, &planning->placement);
    xml_open(request, "connectable");
    xml_put_bool(request, "startConnected", true);
    xml_put_bool(request, "allowGuestControl", true);
    xml_put_bool(request, "connected", false);
    xml_close(request);
    if (planning->spec->mac) {
        xml_put(request, "addressType", "manual");
        xml_put(request, "macAddress", planning->spec->mac);
    }
    xml_close(request);
    xml_close(request);
}

/* The order of members is that of VirtualMachineConfigSpec. */
static void put_config(struct xml_request *request, const struct planning *planning)
{
    const struct driver_shell_spec *spec = planning->spec;
    struct arena *arena = planning->call->arena;
    bool efi = spec->firmware == DRIVER_FIRMWARE_UEFI || spec->firmware == DRIVER_FIRMWARE_UEFI_SECURE;
    xml_open(request, "config");
    xml_put(request, "name", planning->name);
    xml_put(request, "instanceUuid", spec->id);
    xml_put(request, "guestId", "otherLinux64Guest");
    xml_open(request, "files");
    xml_put(request, "vmPathName", arena_printf(arena, "%s/%s.vmx", planning->home, planning->name));
    xml_close(request);
    xml_put_number(request, "numCPUs", spec->vcpu);
    xml_put_number(request, "numCoresPerSocket", 1);
    xml_put_number(request, "memoryMB", (int64_t)spec->memory_mb);
    xml_put_bool(request, "memoryHotAddEnabled", true);
    xml_put_bool(request, "cpuHotAddEnabled", true);
    put_controllers(request, spec->disk_count);
    put_disks(request, planning);
    if (spec->network)
        put_card(request, planning);
    fence_put(request, arena, 0);
    mark_put(request, MACHINE_STAMP, spec->id);
    mark_put(request, MARK_SHELL, MARK_EMPTY);
    if (efi) {
        xml_open(request, "bootOptions");
        xml_put_bool(request, "efiSecureBootEnabled", spec->firmware == DRIVER_FIRMWARE_UEFI_SECURE);
        xml_close(request);
    }
    xml_put(request, "firmware", efi ? "efi" : "bios");
    xml_close(request);
}

static struct error *make(struct planning *planning, struct moref *ret_ref)
{
    TRY(plan(planning));
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CreateVM_Task", planning->placement.folder);
    put_config(&request, planning);
    xml_put_ref(&request, "pool", planning->placement.pool);
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    const xmlNode *result = NULL;
    TRY(task_run(planning->session, planning->call, &request, "prepare the machine", &answer, &result));
    *ret_ref = moref_read(planning->call->arena, result);
    if (!ret_ref->value)
        return error_new(ERR_UNAVAILABLE, "the provider does not name the machine that it made");
    return NULL;
}

/* Firmware starts from the first disk of itself; another one has to be named, by the key that the provider
 * gave it. */
static struct error *set_boot_disk(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_shell_spec *spec, const struct machine *machine)
{
    size_t boot = 0;
    while (boot < spec->disk_count && !spec->disks[boot].boot)
        boot++;
    if (boot == 0 || boot == spec->disk_count)
        return NULL;
    const struct machine_disk *disk = NULL;
    for (size_t i = 0; i < machine->disk_count; i++)
        if (machine->disks[i].unit == unit_of(boot) && boot < UNITS)
            disk = &machine->disks[i];
    if (!disk)
        return error_new(ERR_UNSUPPORTED, "the boot disk is none of the first %d", UNITS);
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "ReconfigVM_Task", machine->ref);
    xml_open(&request, "spec");
    xml_open(&request, "bootOptions");
    xml_open_as(&request, "bootOrder", "VirtualMachineBootOptionsBootableDiskDevice");
    xml_put_number(&request, "deviceKey", disk->key);
    xml_close(&request);
    xml_close(&request);
    xml_close(&request);
    return task_do(session, call, &request, "name the boot disk");
}

static struct error *prepare_once(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_shell_spec *spec, struct machine *machine)
{
    struct driver_key key = {spec->id, NULL};
    struct planning planning = {.session = session, .call = call, .spec = spec};
    struct error *error = machine_find(session, call, &key, machine);
    if (!error && (!machine->marks.fence || !machine->marks.shell))
        return error_new(ERR_EXISTS, "there is a machine with the stamp %s already", spec->id);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        struct moref ref = {0};
        error_free(error);
        TRY(make(&planning, &ref));
        error = machine_read(session, call, ref, machine);
    }
    TRY(error);
    return set_boot_disk(session, call, spec, machine);
}

struct error *vmware_instance_prepare(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_shell_spec *spec,
                                      struct driver_instance *ret_instance)
{
    if (spec->firmware == DRIVER_FIRMWARE_OPEN)
        return error_new(ERR_UNSUPPORTED, "no x86 machine has the firmware of Power");
    for (int attempt = 1;;) {
        struct machine machine;
        struct error *error = prepare_once(session, call, spec, &machine);
        if (!error) {
            *ret_instance = machine.instance;
            return NULL;
        }
        if (error_code(error) == ERR_EXISTS && session->fault == FAULT_DUPLICATE_NAME)
            return error_recode(error, ERR_BUSY, "an earlier attempt is still being made");
        if (!session_again(session, &error, &attempt))
            return error_wrap(error, "could not prepare the instance %s", spec->name);
    }
}
