/* The seed: a small disk image that tells a guest its name and hands it the order's user data, in the layout
 * of cloud-init's NoCloud source (a FAT file system labelled CIDATA with `meta-data` and `user-data`). */
#ifndef DRIVERS_KVM_SEED_H
#define DRIVERS_KVM_SEED_H

#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

#define KVM_SEED_BYTES (256u * 1024)

/* KVM_SEED_BYTES in the arena. user_data may be NULL. ERR_INVALID when the user data does not fit (the gate
 * bounds it far below). */
struct error *kvm_seed_build(struct arena *arena, const char *id, const char *name, const char *user_data,
                             const unsigned char **ret_image) ERROR_MUST_USE;

#endif
