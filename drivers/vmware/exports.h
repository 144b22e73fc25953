/* The exports that this process serves: what has to live beyond the call and the session that opened them.
 * An export is claimed before anything is made for it, so two callers do not make it twice. */
#ifndef DRIVERS_VMWARE_EXPORTS_H
#define DRIVERS_VMWARE_EXPORTS_H

#include "drivers/driver_move.h"
#include "drivers/nbd_server.h"
#include "drivers/vmware/machine.h"

struct served_export {
    struct arena *arena; /* all of it */
    const char *id;
    const char *url;      /* of the endpoint: the same stamp may live on two */
    const char *instance; /* reference */
    enum driver_access access;
    const char *record; /* of the checkpoint that closing with `keep` writes down; NULL: none */
    const char *checkpoint;
    bool copied;                     /* copies of disks were made for it at the provider */
    struct driver_endpoint endpoint; /* a copy of its own, for the readers */
    struct driver_export result;
    struct nbd_server **servers; /* of each disk */
    size_t server_count;
    bool ready;
    struct served_export *next;
};

/* The export when it is served already, with its result copied into the arena and *ret_new NULL; else a new
 * one in *ret_new, claimed, to be published or dropped. ERR_BUSY when it is being opened or another one of
 * the instance is open. */
struct error *exports_claim(const struct driver_session *session, struct arena *arena,
                            const struct machine *machine, const char *id, enum driver_access access,
                            struct driver_export *ret_result, struct served_export **ret_new) ERROR_MUST_USE;
/* It is served from now on; its result is copied into the arena. */
void exports_publish(struct served_export *export, struct arena *arena, struct driver_export *ret_result);
/* Takes it out of the list, stops its servers and frees it; staging files stay. NULL is accepted. */
void exports_drop(struct served_export *export);
/* The caller closes it and drops it in the end; until then its claim stands. NULL when it is not served here,
 * ERR_BUSY while somebody else opens or closes it. */
struct error *exports_take(const struct driver_session *session, const char *id,
                           struct served_export **ret_export) ERROR_MUST_USE;
/* Whether this process serves it, or is about to. */
bool exports_serves(const struct driver_session *session, const char *id);
/* Stops its servers: nobody reads or writes any more. */
void exports_stop(struct served_export *export);

#endif
