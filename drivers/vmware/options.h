/* The endpoint's options: where in the inventory the broker works. README.md says what each means. */
#ifndef DRIVERS_VMWARE_OPTIONS_H
#define DRIVERS_VMWARE_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/base/json.h"

struct options {
    const char *datacenter;     /* NULL: the only one */
    const char *cluster;        /* cluster or standalone host for new instances; NULL: the first by name */
    const char *resource_pool;  /* NULL: the cluster's root pool */
    const char *folder;         /* VM folder for new instances; NULL: the datacenter's */
    const char *volume_folder;  /* folder on each datastore that holds volumes */
    const char *image_folder;   /* folder on datastores whose VMDK files may be images; NULL: none may */
    const char *disk_format;    /* "thin" or "thick" */
    const char *staging_folder; /* of the broker's host, for disks that are to be uploaded and for sockets;
                                   NULL: one below the system's temporary folder */
    struct json_texts standard; /* datastores for standard disks; empty: all that are not in high */
    struct json_texts high;
};

/* Text is borrowed from `json`. ERR_INVALID for unknown members. `json` may be NULL. */
struct error *options_read(struct arena *arena, const json_t *json,
                           struct options *ret_options) ERROR_MUST_USE;

/* Storage class of a datastore: in use at all, and for which disks. */
bool options_high(const struct options *options, const char *datastore);
bool options_standard(const struct options *options, const char *datastore);

#endif
