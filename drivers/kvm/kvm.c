/* The table of the driver `kvm`; the operations are in the files named after their nouns. */
#include "drivers/kvm/kvm.h"

#include "drivers/kvm/checkpoint.h"
#include "drivers/kvm/detail.h"
#include "drivers/kvm/export.h"
#include "drivers/kvm/fence.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/inventory.h"
#include "drivers/kvm/move.h"
#include "drivers/kvm/session.h"
#include "drivers/kvm/shell.h"
#include "drivers/kvm/snapshot.h"
#include "drivers/kvm/trial.h"
#include "drivers/kvm/volume.h"

const struct driver kvm_driver = {
    .abi = DRIVER_ABI,
    .name = "kvm",
    .summary = "QEMU/KVM hosts through libvirt",
    .capabilities = DRIVER_CAN_VOLUMES | DRIVER_CAN_CONSOLE | DRIVER_CAN_WATCH | DRIVER_CAN_ATTACH_RUNNING |
                    DRIVER_CAN_GROW_ATTACHED | DRIVER_CAN_DETAIL | DRIVER_CAN_READ_DISKS |
                    DRIVER_CAN_TRACK_CHANGES | DRIVER_CAN_WRITE_DISKS | DRIVER_CAN_FENCE |
                    DRIVER_CAN_SNAPSHOT | DRIVER_CAN_MOVE | DRIVER_CAN_TEST,
    .max_sessions = 8,
    .open = kvm_open,
    .close = kvm_close,
    .ping = kvm_ping,
    .about = kvm_about,
    .inventory = kvm_inventory,
    .capacity = kvm_capacity,
    .instance_find = kvm_instance_find,
    .instance_create = kvm_instance_create,
    .instance_start = kvm_instance_start,
    .instance_stop = kvm_instance_stop,
    .instance_reboot = kvm_instance_reboot,
    .instance_resize = kvm_instance_resize,
    .instance_delete = kvm_instance_delete,
    .instance_console = kvm_instance_console,
    .volume_find = kvm_volume_find,
    .volume_create = kvm_volume_create,
    .volume_attach = kvm_volume_attach,
    .volume_detach = kvm_volume_detach,
    .volume_resize = kvm_volume_resize,
    .volume_delete = kvm_volume_delete,
    .watch = kvm_watch,
    .instance_detail = kvm_instance_detail,
    .move_validate = kvm_move_validate,
    .move_run = kvm_move_run,
    .move_settle = kvm_move_settle,
    .snapshot_create = kvm_snapshot_create,
    .snapshot_revert = kvm_snapshot_revert,
    .snapshot_delete = kvm_snapshot_delete,
    .export_open = kvm_export_open,
    .export_close = kvm_export_close,
    .checkpoint_delete = kvm_checkpoint_delete,
    .instance_prepare = kvm_instance_prepare,
    .instance_fence = kvm_instance_fence,
    .instance_release = kvm_instance_release,
    .test_create = kvm_test_create,
};
