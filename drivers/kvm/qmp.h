/* QEMU's own monitor, for what libvirt has no function for. */
#ifndef DRIVERS_KVM_QMP_H
#define DRIVERS_KVM_QMP_H

#include <jansson.h>

#include "drivers/kvm/session.h"

/* Runs `command` with `arguments` (a reference that is taken; NULL: none). *ret_answer lives in the arena and
 * may be NULL to the caller's wish. ERR_CONFLICT when QEMU refuses, with its class and words. */
struct error *kvm_qmp(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                      const char *command, json_t *arguments, json_t **ret_answer) ERROR_MUST_USE;

/* QEMU's name of the node behind a device, by libvirt's alias of it. */
struct error *kvm_qmp_node(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                           const char *alias, const char **ret_node) ERROR_MUST_USE;
/* How many disks have a usable bitmap of this name; `nodes` is what query-named-block-nodes told. */
size_t kvm_qmp_bitmaps(const json_t *nodes, const char *name);

#endif
