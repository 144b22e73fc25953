/* One look over the whole inventory in one paged retrieval, whatever its size: what the driver's inventory,
 * capacity, placement and volumes all start from. */
#ifndef DRIVERS_VMWARE_SURVEY_H
#define DRIVERS_VMWARE_SURVEY_H

#include "drivers/vmware/property.h"

struct survey_datastore {
    struct moref ref, browser;
    const char *name;
    int64_t total_bytes, free_bytes;
    int64_t promised_bytes; /* thin disks may still grow by this */
    bool usable;
};

struct survey_network {
    struct moref ref;
    const char *name;
    const char *portgroup; /* key, of a distributed one */
    struct moref dvs;
    const char *opaque_id, *opaque_type;
    bool uplink; /* of a switch, not for guests */
};

struct survey_switch {
    struct moref ref;
    const char *uuid;
};

/* A ComputeResource (cluster or standalone host), ResourcePool or Folder. */
struct survey_place {
    struct moref ref, pool, owner;
    const char *name;
};

/* A machine's disk that is a volume of the broker. */
struct survey_attachment {
    const char *file; /* "[datastore] folder/ID.vmdk" */
    const char *instance_ref;
};

struct survey {
    struct driver_host *hosts;
    struct survey_datastore *datastores;
    struct survey_network *networks;
    struct survey_switch *switches;
    struct survey_place *computes, *pools, *folders;
    struct driver_image *images;
    struct driver_instance *instances; /* without SURVEY_INSTANCES: none */
    struct survey_attachment *attachments;
    size_t host_count, datastore_count, network_count, switch_count, compute_count, pool_count, folder_count,
        image_count, instance_count, attachment_count;
};

#define SURVEY_INSTANCES 1u /* instances and attachments too */

/* What survey_take asks for: the properties of each kind. */
const struct property_set *survey_sets(unsigned what, size_t *ret_count);

struct error *survey_take(struct driver_session *session, const struct driver_call *call, unsigned what,
                          struct survey *ret_survey) ERROR_MUST_USE;

/* Whether the broker keeps disks there: reachable and named by the options. */
bool survey_in_use(const struct driver_session *session, const struct survey_datastore *datastore);
/* The datastore of the class with the most room; ERR_NO_CAPACITY when none has that much. */
struct error *survey_datastore_for(const struct driver_session *session, const struct survey *survey,
                                   bool high, unsigned size_gb,
                                   const struct survey_datastore **ret_datastore) ERROR_MUST_USE;

/* "C86" for Hygon processors, else "x86". */
const char *survey_architecture(const char *cpu_model);
/* The volume's id in "[datastore] FOLDER/ID.vmdk" or a snapshot's delta of it; NULL for other files. */
const char *survey_volume_id(const struct driver_session *session, struct arena *arena, const char *file);

#endif
