/* See powervm.h. The table, and what is about the endpoint as a whole. */
#include "drivers/powervm/powervm.h"

#include "drivers/powervm/atom.h"
#include "drivers/powervm/detail.h"
#include "drivers/powervm/fence.h"
#include "drivers/powervm/instance.h"
#include "drivers/powervm/inventory.h"
#include "drivers/powervm/move.h"
#include "drivers/powervm/session.h"
#include "drivers/powervm/volume.h"
#include "drivers/powervm/watch.h"

#define MAX_SESSIONS 4 /* of one endpoint: sessions are an HMC's scarce resource */

static struct error *ping(struct driver_session *session, const struct driver_call *call)
{
    const char *text = NULL;
    return hmc_quick(session->hmc, call, "ManagedSystem/quick/All", &text);
}

static struct error *about(struct driver_session *session, const struct driver_call *call,
                           struct driver_about *ret_about)
{
    struct arena *arena = call->arena;
    xmlNode *root = NULL;
    TRY(hmc_get(session->hmc, call, "ManagementConsole", &root));
    const xmlNode *entry = atom_first_entry(root);
    const xmlNode *console = atom_payload(entry);
    const char *version = atom_text(arena, console, "BaseVersion");
    const char *pack = atom_text(arena, console, "VersionInfo/ServicePackName");
    const char *id = atom_text(arena, entry, "id");
    if (!version || !id)
        return error_new(ERR_UNAVAILABLE, "the HMC does not tell its version");
    *ret_about = (struct driver_about){
        .product = arena_printf(arena, "IBM HMC %s%s%s", version, pack ? " M" : "", pack ? pack : ""),
        .identity = id};
    return NULL;
}

const struct driver powervm_driver = {
    .abi = DRIVER_ABI,
    .name = "powervm",
    .summary = "IBM Power servers through the REST interface of their HMC",
    .capabilities = DRIVER_CAN_VOLUMES | DRIVER_CAN_WATCH | DRIVER_CAN_RESIZE_RUNNING |
                    DRIVER_CAN_ATTACH_RUNNING | DRIVER_CAN_GROW_ATTACHED | DRIVER_CAN_DETAIL |
                    DRIVER_CAN_FENCE | DRIVER_CAN_MOVE,
    .max_sessions = MAX_SESSIONS,
    .open = powervm_open,
    .close = powervm_close,
    .ping = ping,
    .about = about,
    .inventory = inventory_read,
    .capacity = inventory_capacity,
    .instance_find = instance_find,
    .instance_create = instance_create,
    .instance_start = instance_start,
    .instance_stop = instance_stop,
    .instance_reboot = instance_reboot,
    .instance_resize = instance_resize,
    .instance_delete = instance_delete,
    .volume_find = volume_find,
    .volume_create = volume_create,
    .volume_attach = volume_attach,
    .volume_detach = volume_detach,
    .volume_resize = volume_resize,
    .volume_delete = volume_delete,
    .watch = watch_changes,
    .instance_detail = detail_read,
    .instance_fence = instance_fence,
    .instance_release = instance_release,
    .move_validate = move_validate,
    .move_run = move_run,
    .move_settle = move_settle,
};
