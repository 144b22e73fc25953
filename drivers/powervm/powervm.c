/* See powervm.h. Sessions, and the table. */
#include "drivers/powervm/powervm.h"

#include <stdlib.h>

#include "drivers/powervm/atom.h"
#include "drivers/powervm/instance.h"
#include "drivers/powervm/inventory.h"
#include "drivers/powervm/volume.h"
#include "drivers/powervm/watch.h"

#define MAX_SESSIONS 4 /* of one endpoint: sessions are an HMC's scarce resource */

static void close_session(struct driver_session *session)
{
    if (!session)
        return;
    hmc_close(session->hmc);
    json_decref(session->seen);
    arena_free(session->arena);
    free(session);
}

static struct error *open_session(const struct driver_endpoint *endpoint, const struct driver_call *call,
                                  struct driver_session **ret_session)
{
    struct driver_session *session = xcalloc(1, sizeof *session);
    session->arena = arena_new();
    session->seen = json_object();
    struct error *error = session->seen ? session_options(session, endpoint->options)
                                        : error_new(ERR_INTERNAL, "no memory for a session");
    if (!error)
        error = hmc_open(endpoint, call, &session->hmc);
    if (error) {
        close_session(session);
        return error;
    }
    *ret_session = session;
    return NULL;
}

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
                    DRIVER_CAN_ATTACH_RUNNING | DRIVER_CAN_GROW_ATTACHED,
    .max_sessions = MAX_SESSIONS,
    .open = open_session,
    .close = close_session,
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
};
