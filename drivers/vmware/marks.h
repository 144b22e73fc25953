/* What the driver keeps of its own at the provider, in a machine's extraConfig, so that it outlives the
 * broker: fence, shell, checkpoints. The stamp (machine.h) is another one. */
#ifndef DRIVERS_VMWARE_MARKS_H
#define DRIVERS_VMWARE_MARKS_H

#include <libxml/tree.h>

#include "broker/base/arena.h"
#include "drivers/vmware/xml.h"

#define MARK_FENCE "yunqiao.fence"            /* the CPU reservation that the machine had, in MHz */
#define MARK_SHELL "yunqiao.shell"            /* MARK_EMPTY or MARK_FILLED, until the release */
#define MARK_FILLED_BY "yunqiao.fill"         /* id of the last export whose disks were made lasting */
#define MARK_CHECKPOINT "yunqiao.checkpoint." /* and its id: what tracking said of each disk */

#define MARK_EMPTY "empty"
#define MARK_FILLED "filled"
#define MARKS_CHECKPOINTS_MAX 64 /* that are read of one machine */

struct mark_checkpoint {
    const char *id;
    const char *record; /* tracking.h */
};

struct marks {
    const char *fence; /* NULL: not fenced */
    const char *shell; /* NULL: no shell, or released */
    const char *filled_by;
    struct mark_checkpoint *checkpoints;
    size_t checkpoint_count;
};

/* From an extraConfig value. */
void marks_read(struct arena *arena, const xmlNode *extra_config, struct marks *ret_marks);
/* Its record; NULL when there is none of this id. */
const char *marks_checkpoint(const struct marks *marks, const char *id);

/* Writes one <extraConfig> of a ConfigSpec; an empty value removes the key. */
void mark_put(struct xml_request *request, const char *key, const char *value);

#endif
