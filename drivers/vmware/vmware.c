/* The vmware driver's table and the small operations; the others are in the files of their nouns (README.md).
 */
#include "drivers/vmware/vmware.h"

#include "drivers/driver.h"
#include "drivers/vmware/create.h"
#include "drivers/vmware/detail.h"
#include "drivers/vmware/export.h"
#include "drivers/vmware/fence.h"
#include "drivers/vmware/instance.h"
#include "drivers/vmware/inventory.h"
#include "drivers/vmware/prepare.h"
#include "drivers/vmware/session.h"
#include "drivers/vmware/snapshot.h"
#include "drivers/vmware/volume.h"
#include "drivers/vmware/watch.h"

static struct error *vmware_ping(struct driver_session *session, const struct driver_call *call)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CurrentTime", (struct moref){"ServiceInstance", "ServiceInstance"});
    return session_do(session, call, &request);
}

static struct error *vmware_about(struct driver_session *session, const struct driver_call *call,
                                  struct driver_about *ret_about)
{
    ret_about->product = arena_strdup(call->arena, session->product);
    ret_about->identity = arena_strdup(call->arena, session->identity);
    return NULL;
}

const struct driver vmware_driver = {
    .abi = DRIVER_ABI,
    .name = "vmware",
    .summary = "VMware vCenter or ESXi by the vSphere Web Services API",
    .capabilities = DRIVER_CAN_VOLUMES | DRIVER_CAN_WATCH | DRIVER_CAN_ATTACH_RUNNING |
                    DRIVER_CAN_GROW_ATTACHED | DRIVER_CAN_DETAIL | DRIVER_CAN_SNAPSHOT |
                    DRIVER_CAN_READ_DISKS | DRIVER_CAN_TRACK_CHANGES | DRIVER_CAN_WRITE_DISKS |
                    DRIVER_STAGES_WRITES | DRIVER_CAN_FENCE,
    .max_sessions = 8,

    .open = vmware_open,
    .close = vmware_close,
    .ping = vmware_ping,
    .about = vmware_about,
    .inventory = inventory_take,
    .capacity = vmware_inventory_capacity,

    .instance_find = vmware_instance_find,
    .instance_create = vmware_instance_create,
    .instance_start = vmware_instance_start,
    .instance_stop = vmware_instance_stop,
    .instance_reboot = vmware_instance_reboot,
    .instance_resize = vmware_instance_resize,
    .instance_delete = vmware_instance_delete,

    .volume_find = vmware_volume_find,
    .volume_create = vmware_volume_create,
    .volume_attach = vmware_volume_attach,
    .volume_detach = vmware_volume_detach,
    .volume_resize = vmware_volume_resize,
    .volume_delete = vmware_volume_delete,

    .watch = vmware_watch_changes,

    .instance_detail = vmware_instance_detail,
    .snapshot_create = vmware_snapshot_create,
    .snapshot_revert = vmware_snapshot_revert,
    .snapshot_delete = vmware_snapshot_delete,
    .export_open = vmware_export_open,
    .export_close = vmware_export_close,
    .checkpoint_delete = vmware_checkpoint_delete,
    .instance_prepare = vmware_instance_prepare,
    .instance_fence = vmware_instance_fence,
    .instance_release = vmware_instance_release,
};
