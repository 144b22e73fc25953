/* See detail.h. */
#include "drivers/vmware/detail.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/vmware/export.h"
#include "drivers/vmware/fence.h"
#include "drivers/vmware/hardware.h"
#include "drivers/vmware/property.h"
#include "drivers/vmware/survey.h"

#define TRACKING_VERSION 7 /* of the hardware: the first that can track changes */

static const char *const detail_paths[] = {"config.version",           "config.firmware",
                                           "config.bootOptions",       "config.guestFullName",
                                           "config.hardware",          "capability.changeTrackingSupported",
                                           "guest.toolsRunningStatus", NULL};
static const struct property_set detail_set = {"VirtualMachine", detail_paths};

struct looking {
    struct arena *arena;
    struct driver_detail *detail;
    struct hardware hardware;
    const char *boot_disk; /* first in the boot order; NULL: the firmware's own order */
    bool efi, secure, cannot_track;
};

static void read_boot_options(struct looking *looking, const xmlNode *options)
{
    looking->secure = xml_true(xml_child(options, "efiSecureBootEnabled"));
    for (const xmlNode *entry = xml_child(options, "bootOrder"); entry; entry = xml_next(entry)) {
        const char *key = xml_child_text(entry, "deviceKey"), *type = xml_xsi_type(looking->arena, entry);
        if (!looking->boot_disk && key && type &&
            strcmp(type, "VirtualMachineBootOptionsBootableDiskDevice") == 0)
            looking->boot_disk = arena_strdup(looking->arena, key);
    }
}

static void visit(void *context, struct moref ref, const xmlNode *object)
{
    struct looking *looking = context;
    struct driver_detail *detail = looking->detail;
    const xmlNode *at = NULL, *value;
    const char *name;
    while (property_next(object, &at, &name, &value)) {
        const char *text = xml_text(value);
        if (strcmp(name, "config.version") == 0)
            detail->machine = arena_strdup(looking->arena, text);
        else if (strcmp(name, "config.firmware") == 0)
            looking->efi = strcmp(text, "efi") == 0;
        else if (strcmp(name, "config.bootOptions") == 0)
            read_boot_options(looking, value);
        else if (strcmp(name, "config.guestFullName") == 0)
            detail->guest_os = *text ? arena_strdup(looking->arena, text) : NULL;
        else if (strcmp(name, "config.hardware") == 0)
            hardware_read(looking->arena, value, &looking->hardware);
        else if (strcmp(name, "capability.changeTrackingSupported") == 0)
            looking->cannot_track = !xml_true(value);
        else if (strcmp(name, "guest.toolsRunningStatus") == 0)
            detail->agent = strcmp(text, "guestToolsRunning") == 0;
    }
}

static const char *untracked(const struct looking *looking, const struct hardware_disk *disk, bool held,
                             const struct machine *machine)
{
    const char *version = looking->detail->machine;
    if (disk->physical || !hardware_flat(disk))
        return "not kept as a plain file of a datastore";
    if (hardware_independent(disk))
        return "independent: snapshots leave it out";
    if (disk->shared)
        return "shared with other machines";
    if (looking->cannot_track ||
        (version && strncmp(version, "vmx-", 4) == 0 && strtol(version + 4, NULL, 10) < TRACKING_VERSION))
        return "the machine's hardware version cannot track changes";
    if (held && !disk->change_id && !machine->tracking)
        return "tracking does not begin while the machine has snapshots";
    return NULL;
}

static bool on_high_datastore(const struct driver_session *session, struct arena *arena, const char *file)
{
    const char *end = strstr(file, "] ");
    return file[0] == '[' && end &&
           options_high(&session->options, arena_strndup(arena, file + 1, (size_t)(end - file - 1)));
}

static void fill_disks(const struct driver_session *session, struct arena *arena,
                       const struct looking *looking, const struct machine *machine, bool held)
{
    struct driver_detail *detail = looking->detail;
    const struct hardware *hardware = &looking->hardware;
    bool running = machine->instance.power != DRIVER_POWER_OFF;
    const struct hardware_disk *boot =
        looking->boot_disk ? hardware_disk(hardware, looking->boot_disk) : NULL;
    if (!boot && hardware->disk_count && !hardware->disks[0].removable)
        boot = &hardware->disks[0];
    detail->disks = arena_array(arena, hardware->disk_count + 1, sizeof *detail->disks);
    detail->disk_count = hardware->disk_count;
    for (size_t i = 0; i < hardware->disk_count; i++) {
        const struct hardware_disk *disk = &hardware->disks[i];
        detail->disks[i] = (struct driver_disk){
            .name = disk->name,
            .volume_id = disk->removable ? NULL : survey_volume_id(session, arena, disk->file),
            .ref = *disk->file ? disk->file : NULL,
            .format = disk->removable ? NULL : "vmdk",
            .size_bytes = disk->size_bytes,
            .boot = disk == boot,
            .high_performance = on_high_datastore(session, arena, disk->file),
            .removable = disk->removable,
            .unreadable = disk->removable ? NULL : export_unreadable(disk, running),
            .untracked = disk->removable ? NULL : untracked(looking, disk, held, machine)};
    }
}

/* Networks are told by name; a distributed port group is known by its key alone. */
static struct error *fill_adapters(struct driver_session *session, const struct driver_call *call,
                                   const struct looking *looking)
{
    struct driver_detail *detail = looking->detail;
    const struct hardware *hardware = &looking->hardware;
    struct survey survey = {0};
    bool keyed = false;
    for (size_t i = 0; i < hardware->card_count; i++)
        keyed = keyed || hardware->cards[i].portgroup || hardware->cards[i].opaque;
    if (keyed)
        TRY(survey_take(session, call, 0, &survey));
    detail->adapters = arena_array(call->arena, hardware->card_count + 1, sizeof *detail->adapters);
    for (size_t i = 0; i < hardware->card_count; i++) {
        const struct hardware_card *card = &hardware->cards[i];
        const char *network = card->network;
        for (size_t n = 0; n < survey.network_count; n++) {
            const struct survey_network *known = &survey.networks[n];
            if ((card->portgroup && known->portgroup && strcmp(card->portgroup, known->portgroup) == 0) ||
                (card->opaque && known->opaque_id && strcmp(card->opaque, known->opaque_id) == 0))
                network = known->name;
        }
        detail->adapters[detail->adapter_count++] = (struct driver_adapter){network, card->mac, card->model};
    }
    return NULL;
}

static void fill_names(struct arena *arena, struct driver_detail *detail, const struct snapshots *snapshots,
                       const struct machine *machine)
{
    const struct marks *marks = &machine->marks;
    detail->snapshots = arena_array(arena, snapshots->count + 1, sizeof *detail->snapshots);
    for (size_t i = 0; i < snapshots->count; i++)
        detail->snapshots[detail->snapshot_count++] = snapshots->items[i].name;
    detail->checkpoints = arena_array(arena, marks->checkpoint_count + 1, sizeof *detail->checkpoints);
    for (size_t i = 0; i < marks->checkpoint_count; i++)
        detail->checkpoints[detail->checkpoint_count++] = marks->checkpoints[i].id;
}

struct error *vmware_instance_detail(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, struct driver_detail *ret_detail)
{
    struct machine machine;
    struct snapshots *snapshots;
    struct driver_detail detail = {0};
    struct looking looking = {.arena = call->arena, .detail = &detail};
    TRY(machine_find(session, call, key, &machine));
    TRY(snapshots_read(session, call, machine.ref, &snapshots));
    TRY(property_read(session, call, machine.ref, NULL, &detail_set, 1, visit, &looking));
    bool held = false;
    for (size_t i = 0; i < snapshots->count; i++)
        held = held || !export_snapshot(&snapshots->items[i]);
    detail.instance = machine.instance;
    detail.firmware = !looking.efi     ? DRIVER_FIRMWARE_BIOS
                      : looking.secure ? DRIVER_FIRMWARE_UEFI_SECURE
                                       : DRIVER_FIRMWARE_UEFI;
    detail.fenced = fence_holds(&machine);
    detail.passthrough = looking.hardware.passthrough;
    detail.passthrough_count = looking.hardware.passthrough_count;
    fill_disks(session, call->arena, &looking, &machine, held);
    TRY(fill_adapters(session, call, &looking));
    fill_names(call->arena, &detail, snapshots, &machine);
    *ret_detail = detail;
    return NULL;
}
