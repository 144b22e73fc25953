/* Exports of a machine's disks and their checkpoints; the contracts are those of drivers/driver_move.h.
 *
 * Reading stands on a snapshot that is named after the export, so that it is found again whoever made it, and
 * whose description tells the checkpoint and the process that serves it. Writing is staged in files of the
 * broker's host (staging.h) and uploaded when the export is closed. */
#ifndef DRIVERS_VMWARE_EXPORT_H
#define DRIVERS_VMWARE_EXPORT_H

#include "drivers/driver_move.h"
#include "drivers/vmware/exports.h"
#include "drivers/vmware/hardware.h"
#include "drivers/vmware/snapshot.h"

#define EXPORT_SNAPSHOT "yunqiao-export-" /* and the export's id */

struct error *vmware_export_open(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_export_spec *spec,
                                 struct driver_export *ret_export) ERROR_MUST_USE;
struct error *vmware_export_close(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *export_id,
                                  bool keep) ERROR_MUST_USE;
struct error *vmware_checkpoint_delete(struct driver_session *session, const struct driver_call *call,
                                       const struct driver_key *key, const char *checkpoint) ERROR_MUST_USE;

/* Why a disk's content cannot be had; NULL: it can. */
const char *export_unreadable(const struct hardware_disk *disk, bool running);
bool export_snapshot(const struct snapshot *snapshot);
/* The export's id in the name of its snapshot. */
const char *export_id_of(const struct snapshot *snapshot);
/* Where a disk is copied to when its own file does not have the content in one piece: beside it. */
const char *export_copy_path(struct arena *arena, const char *export_id, const char *disk, const char *file);
/* Removes the copies that were made for an export, and its snapshot when there is one. */
struct error *export_drop(struct driver_session *session, const struct driver_call *call,
                          const struct machine *machine, const char *export_id,
                          const struct snapshot *snapshot) ERROR_MUST_USE;
/* Removes the snapshots that exports left on the machine, whosever they are, and their copies. */
struct error *export_sweep(struct driver_session *session, const struct driver_call *call,
                           const struct machine *machine) ERROR_MUST_USE;

/* One reconfiguration that writes marks: pairs of key and value. */
struct error *export_mark(struct driver_session *session, const struct driver_call *call,
                          const struct machine *machine, const char *key, const char *value) ERROR_MUST_USE;

/* In export_read.c and export_write.c: the two halves of open and close. `export` is claimed; it may be NULL
 * in close, when this process does not serve it. */
struct error *export_read_open(struct driver_session *session, const struct driver_call *call,
                               const struct machine *machine, const struct driver_export_spec *spec,
                               struct served_export *export) ERROR_MUST_USE;
struct error *export_read_close(struct driver_session *session, const struct driver_call *call,
                                const struct machine *machine, const char *id,
                                const struct served_export *export, bool keep) ERROR_MUST_USE;
struct error *export_write_open(struct driver_session *session, const struct driver_call *call,
                                const struct machine *machine, const struct driver_export_spec *spec,
                                struct served_export *export) ERROR_MUST_USE;
struct error *export_write_close(struct driver_session *session, const struct driver_call *call,
                                 const struct machine *machine, const char *id, bool keep) ERROR_MUST_USE;
/* Whether the machine's mark names this export as one for writing. */
bool export_writes(const struct machine *machine, const char *id);
/* Removes what was staged for it, whatever its disks. */
void export_write_forget(struct driver_session *session, struct arena *arena, const char *id);

#endif
