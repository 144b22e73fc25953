/* See machine.h. */
#include "drivers/vmware/machine.h"

#include <string.h>

#include "broker/base/id.h"
#include "drivers/vmware/property.h"
#include "drivers/vmware/survey.h"

static const char *const machine_paths[] = {
    "name",
    "runtime.powerState",
    "runtime.host",
    "config.template",
    "config.extraConfig",
    "config.hardware",
    "guest.ipAddress",
    "config.cpuHotAddEnabled",
    "config.memoryHotAddEnabled",
    "config.changeTrackingEnabled",
    "config.cpuAllocation.reservation",
    NULL,
};
static const char *const host_paths[] = {"name", "summary.hardware.cpuModel", NULL};
static const struct property_set machine_sets[] = {{"VirtualMachine", machine_paths},
                                                   {"HostSystem", host_paths}};

enum driver_power machine_power(const char *state)
{
    if (strcmp(state, "poweredOn") == 0)
        return DRIVER_POWER_ON;
    if (strcmp(state, "poweredOff") == 0)
        return DRIVER_POWER_OFF;
    if (strcmp(state, "suspended") == 0)
        return DRIVER_POWER_SUSPENDED;
    return DRIVER_POWER_UNKNOWN;
}

const char *machine_stamp(struct arena *arena, const xmlNode *extra_config)
{
    const char *stamp = NULL;
    for (const xmlNode *option = xml_child(extra_config, "OptionValue"); option; option = xml_next(option)) {
        const char *key = xml_child_text(option, "key");
        if (key && strcmp(key, MACHINE_STAMP) == 0)
            stamp = xml_child_text(option, "value");
    }
    return stamp && id_valid(stamp) ? arena_strdup(arena, stamp) : NULL;
}

static unsigned to_unsigned(const xmlNode *node)
{
    int64_t number = xml_number(node, 0);
    return number < 0 || number > UINT32_MAX ? 0 : (unsigned)number;
}

void machine_property(struct driver_instance *instance, struct arena *arena, const char *name,
                      const xmlNode *value)
{
    if (strcmp(name, "name") == 0) {
        if (*xml_text(value)) /* a machine that is being made may have none yet */
            instance->name = arena_strdup(arena, xml_text(value));
    } else if (strcmp(name, "runtime.powerState") == 0) {
        instance->detail = arena_strdup(arena, xml_text(value));
        instance->power = machine_power(instance->detail);
    } else if (strcmp(name, "config.extraConfig") == 0) {
        instance->id = machine_stamp(arena, value);
    } else if (strcmp(name, "config.hardware.numCPU") == 0) {
        instance->vcpu = to_unsigned(value);
    } else if (strcmp(name, "config.hardware.memoryMB") == 0) {
        instance->memory_mb = to_unsigned(value);
    } else if (strcmp(name, "guest.ipAddress") == 0) {
        if (*xml_text(value))
            instance->address = arena_strdup(arena, xml_text(value));
    }
}

static bool ends_in_delta(const char *file)
{
    /* A snapshot's disk is called NAME-000001.vmdk. */
    size_t length = strlen(file);
    if (length < 12 || strcmp(file + length - 5, ".vmdk") != 0 || file[length - 12] != '-')
        return false;
    return strspn(file + length - 11, "0123456789") == 6;
}

static void read_disk(struct machine *machine, struct arena *arena, const xmlNode *device)
{
    if (machine->disk_count == MACHINE_DEVICES_MAX)
        return;
    const xmlNode *backing = xml_child(device, "backing");
    struct machine_disk *disk = &machine->disks[machine->disk_count++];
    disk->key = xml_number(xml_child(device, "key"), 0);
    disk->controller = xml_number(xml_child(device, "controllerKey"), 0);
    disk->unit = xml_number(xml_child(device, "unitNumber"), 0);
    disk->capacity_kb = xml_number(xml_child(device, "capacityInKB"), 0);
    disk->file = arena_strdup(arena, xml_child_text(backing, "fileName"));
    if (!disk->file)
        disk->file = "";
    disk->mode = arena_strdup(arena, xml_child_text(backing, "diskMode"));
    disk->label = arena_strdup(arena, xml_child_text(xml_child(device, "deviceInfo"), "label"));
    disk->base = !ends_in_delta(disk->file);
}

static void read_card(struct machine *machine, struct arena *arena, const xmlNode *device, const char *type)
{
    if (machine->card_count == MACHINE_DEVICES_MAX)
        return;
    const xmlNode *backing = xml_child(device, "backing");
    struct machine_card *card = &machine->cards[machine->card_count++];
    card->type = type;
    card->key = xml_number(xml_child(device, "key"), 0);
    card->controller = xml_number(xml_child(device, "controllerKey"), 0);
    card->unit = xml_number(xml_child(device, "unitNumber"), 0);
    card->label = arena_strdup(arena, xml_child_text(xml_child(device, "deviceInfo"), "label"));
    card->network = arena_strdup(arena, xml_child_text(backing, "deviceName"));
    card->portgroup = arena_strdup(arena, xml_child_text(xml_child(backing, "port"), "portgroupKey"));
    card->opaque = arena_strdup(arena, xml_child_text(backing, "opaqueNetworkId"));
}

static void read_hardware(struct machine *machine, struct arena *arena, const xmlNode *hardware)
{
    static const char *const scsi[] = {"ParaVirtualSCSIController", "VirtualLsiLogicController",
                                       "VirtualLsiLogicSASController", "VirtualBusLogicController"};
    static const char *const cards[] = {
        "VirtualVmxnet3", "VirtualVmxnet2", "VirtualVmxnet",           "VirtualE1000",
        "VirtualE1000e",  "VirtualPCNet32", "VirtualSriovEthernetCard"};
    machine->instance.vcpu = to_unsigned(xml_child(hardware, "numCPU"));
    machine->instance.memory_mb = to_unsigned(xml_child(hardware, "memoryMB"));
    machine->disks = arena_array(arena, MACHINE_DEVICES_MAX, sizeof *machine->disks);
    machine->controllers = arena_array(arena, MACHINE_DEVICES_MAX, sizeof *machine->controllers);
    machine->cards = arena_array(arena, MACHINE_DEVICES_MAX, sizeof *machine->cards);
    for (const xmlNode *d = xml_child(hardware, "device"); d; d = xml_next(d)) {
        const char *type = xml_xsi_type(arena, d);
        if (!type)
            continue;
        if (strcmp(type, "VirtualDisk") == 0)
            read_disk(machine, arena, d);
        for (size_t i = 0; i < sizeof scsi / sizeof *scsi; i++)
            if (strcmp(type, scsi[i]) == 0 && machine->controller_count < MACHINE_DEVICES_MAX)
                machine->controllers[machine->controller_count++].key = xml_number(xml_child(d, "key"), 0);
        for (size_t i = 0; i < sizeof cards / sizeof *cards; i++)
            if (strcmp(type, cards[i]) == 0)
                read_card(machine, arena, d, type);
    }
}

struct reading {
    struct arena *arena;
    struct machine *machine;
    bool found;
};

static void visit(void *context, struct moref ref, const xmlNode *object)
{
    struct reading *reading = context;
    struct machine *machine = reading->machine;
    const xmlNode *at = NULL, *value;
    const char *name;
    if (ref.value && strcmp(ref.type, "HostSystem") == 0) {
        while (property_next(object, &at, &name, &value))
            if (strcmp(name, "name") == 0)
                machine->instance.host = arena_strdup(reading->arena, xml_text(value));
            else
                machine->instance.architecture = survey_architecture(xml_text(value));
        return;
    }
    reading->found = true;
    while (property_next(object, &at, &name, &value)) {
        machine_property(&machine->instance, reading->arena, name, value);
        if (strcmp(name, "config.hardware") == 0)
            read_hardware(machine, reading->arena, value);
        else if (strcmp(name, "config.extraConfig") == 0)
            marks_read(reading->arena, value, &machine->marks);
        else if (strcmp(name, "config.changeTrackingEnabled") == 0)
            machine->tracking = xml_true(value);
        else if (strcmp(name, "config.cpuAllocation.reservation") == 0)
            machine->cpu_reservation = xml_number(value, 0);
        else if (strcmp(name, "config.template") == 0)
            machine->template = xml_true(value);
        else if (strcmp(name, "config.cpuHotAddEnabled") == 0)
            machine->cpu_hot = xml_true(value);
        else if (strcmp(name, "config.memoryHotAddEnabled") == 0)
            machine->memory_hot = xml_true(value);
        else if (strcmp(name, "runtime.host") == 0)
            machine->host = moref_read(reading->arena, value);
    }
}

struct error *machine_read(struct driver_session *session, const struct driver_call *call, struct moref ref,
                           struct machine *ret_machine)
{
    struct machine machine = {.ref = ref,
                              .instance = {.ref = ref.value, .name = ref.value, .architecture = "x86"}};
    struct reading reading = {call->arena, &machine, false};
    TRY(property_read(session, call, ref, "runtime.host", machine_sets, 2, visit, &reading));
    if (!reading.found)
        return error_new(ERR_NOT_FOUND, "the provider knows no machine %s", ref.value);
    *ret_machine = machine;
    return NULL;
}

static struct error *find_by_stamp(struct driver_session *session, const struct driver_call *call,
                                   const char *id, struct moref *ret_ref)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "FindByUuid", session->search_index);
    xml_put_ref(&request, "datacenter", session->datacenter);
    xml_put(&request, "uuid", id);
    xml_put_bool(&request, "vmSearch", true);
    xml_put_bool(&request, "instanceUuid", true);
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    TRY(session_call(session, call, &request, 0, &answer));
    *ret_ref = moref_read(call->arena, xml_child(answer.result, "returnval"));
    return NULL;
}

static bool wanted(const struct machine *machine, const struct driver_key *key)
{
    if (machine->template)
        return false;
    return !key->id || (machine->instance.id && strcmp(machine->instance.id, key->id) == 0);
}

struct error *machine_find(struct driver_session *session, const struct driver_call *call,
                           const struct driver_key *key, struct machine *ret_machine)
{
    struct machine machine;
    if (key->ref) {
        struct error *error =
            machine_read(session, call, (struct moref){"VirtualMachine", key->ref}, &machine);
        if (error && error_code(error) != ERR_NOT_FOUND)
            return error;
        if (!error && wanted(&machine, key)) {
            *ret_machine = machine;
            return NULL;
        }
        error_free(error); /* a stale hint */
    }
    if (key->id) {
        struct moref ref = {0};
        TRY(find_by_stamp(session, call, key->id, &ref));
        if (ref.value) {
            TRY(machine_read(session, call, ref, &machine));
            if (wanted(&machine, key)) {
                *ret_machine = machine;
                return NULL;
            }
        }
    }
    return error_new(ERR_NOT_FOUND, "there is no machine with the stamp %s", key->id ? key->id : key->ref);
}
