/* Live partition mobility: moving a partition to a system of another endpoint, which may be another HMC's or
 * other systems of the same one. Nothing is left on the source: LPM takes definition and mappings along, and
 * the disks stay where they are, in a storage pool that both sides reach. So a moved partition needs no
 * fence, and a rollback is a move back. */
#ifndef DRIVERS_POWERVM_MOVE_H
#define DRIVERS_POWERVM_MOVE_H

#include "drivers/driver_move.h"
#include "drivers/powervm/partition.h"

/* The two ends of a move. */
struct move {
    struct driver_session *source, *target; /* the second is opened for the call */
    bool one_hmc;                           /* both ends are systems of one HMC */
};

/* Opens the session with the target. ERR_INVALID when both are the same systems of one HMC. */
struct error *move_open(struct driver_session *session, const struct driver_call *call,
                        const struct driver_move_spec *spec, struct move *ret_move) ERROR_MUST_USE;
void move_close(struct move *move);

/* move_place.c: the system of the target that can take the partition. ERR_NO_CAPACITY, ERR_UNSUPPORTED,
 * ERR_CONFLICT or ERR_BUSY with the reason of the last system that cannot. */
struct error *move_place(const struct move *move, const struct driver_call *call,
                         const struct partition *partition, const struct driver_move_spec *spec,
                         struct system *ret_system) ERROR_MUST_USE;

/* The contract's operations; see drivers/driver.h. */
struct error *move_validate(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *key, const struct driver_move_spec *spec) ERROR_MUST_USE;
struct error *move_run(struct driver_session *session, const struct driver_call *call,
                       const struct driver_key *key, const struct driver_move_spec *spec,
                       struct driver_move_report *ret_report) ERROR_MUST_USE;
struct error *move_settle(struct driver_session *session, const struct driver_call *call,
                          const struct driver_key *key, const struct driver_move_spec *spec, bool abort,
                          enum driver_side *ret_side) ERROR_MUST_USE;

#endif
