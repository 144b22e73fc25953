/* Where the disks of an instance are served: on a unix socket of the host where that is the broker's own,
 * else on a port behind TLS. */
#ifndef DRIVERS_KVM_NBD_H
#define DRIVERS_KVM_NBD_H

#include <jansson.h>

#include "drivers/driver_move.h"
#include "drivers/kvm/session.h"
#include "drivers/kvm/xml.h"

struct kvm_nbd {
    const char *socket; /* NULL: host and port */
    const char *host;
    unsigned port;
};

#define KVM_NBD_ATTEMPTS 8 /* ports tried, one after another */

/* A place for this export; another port for each attempt. ERR_UNSUPPORTED when the endpoint is remote and has
 * no client certificates. */
struct error *kvm_nbd_choose(const struct driver_session *session, struct arena *arena, const char *export_id,
                             unsigned attempt, struct kvm_nbd *ret_nbd) ERROR_MUST_USE;
/* The place that is on that port; 0: the socket. */
struct error *kvm_nbd_at(const struct driver_session *session, struct arena *arena, const char *export_id,
                         unsigned port, struct kvm_nbd *ret_nbd) ERROR_MUST_USE;
/* Whether libvirt or QEMU failed because somebody listens there already. */
bool kvm_nbd_taken(const struct error *error);

/* As <server> of a backup; and read from one. */
void kvm_nbd_write(struct kvm_out *out, const struct kvm_nbd *nbd);
struct kvm_nbd kvm_nbd_read(struct kvm_xml *xml, struct arena *arena);
/* As QEMU's "addr"; a new reference. */
json_t *kvm_nbd_address(const struct kvm_nbd *nbd);

/* Fills socket, host, port, tls_dir and export_name of a disk. */
void kvm_nbd_tell(const struct driver_session *session, struct arena *arena, const struct kvm_nbd *nbd,
                  struct driver_exported_disk *disk);
/* Takes the socket's name away where the broker may; a name that stays is used again by QEMU. */
void kvm_nbd_clear(const struct driver_session *session, struct arena *arena, const char *export_id);

#endif
