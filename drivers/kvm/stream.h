/* Bytes into and out of the volumes of storage pools, over whatever connection the session has. */
#ifndef DRIVERS_KVM_STREAM_H
#define DRIVERS_KVM_STREAM_H

#include "drivers/kvm/session.h"

/* Writes `length` bytes from the volume's start. */
struct error *kvm_stream_upload(struct driver_session *session, virStorageVolPtr volume,
                                const unsigned char *bytes, size_t length) ERROR_MUST_USE;
/* Reads at most `length` bytes from `from` on. */
struct error *kvm_stream_download(struct driver_session *session, virStorageVolPtr volume, uint64_t from,
                                  size_t length, char *bytes, size_t *ret_length) ERROR_MUST_USE;

#endif
