/* What a vim25 fault means to the broker: the one table from fault types to error codes. */
#ifndef DRIVERS_VMWARE_FAULT_H
#define DRIVERS_VMWARE_FAULT_H

#include <libxml/tree.h>

#include "broker/base/error.h"

/* The few that the driver itself acts on. */
enum fault {
    FAULT_NONE,
    FAULT_OTHER,
    FAULT_NOT_AUTHENTICATED,
    FAULT_OBJECT_NOT_FOUND,
    FAULT_METHOD_NOT_FOUND,
    FAULT_FILE_NOT_FOUND,
    FAULT_FILE_EXISTS,
    FAULT_DUPLICATE_NAME,
    FAULT_TOOLS,     /* VMware Tools do not run in the guest, or are too old */
    FAULT_QUIESCE,   /* the guest could not hold its file systems still */
    FAULT_FILE,      /* of a query of changes: the disk's tracking was reset or is off */
    FAULT_ARGUMENT,  /* of the same: such a changeId or offset is none of the disk's */
    FAULT_NOT_FOUND, /* what an argument names */
};

/* An error that names the type and what the peer says. `type` as in xsi:type; `message` may be NULL or "". */
struct error *fault_error(const char *type, const char *message, enum fault *ret_fault) ERROR_MUST_USE;
/* From a LocalizedMethodFault (in a task, in missingSet): <fault xsi:type=…/> and <localizedMessage/>. */
struct error *fault_localized(const xmlNode *node, enum fault *ret_fault) ERROR_MUST_USE;

#endif
