/* What is where on a disk: a list of extents that covers it from the first byte to the last, without gap and
 * without overlap. Whoever fills it has to say where each one begins, so that an answer that was cut off or
 * mixed up (a hypervisor that stops after 2000 extents, a server that skips) is an error and never a hole in
 * the copy. Pure. */
#ifndef FEDERATION_COPY_EXTENT_H
#define FEDERATION_COPY_EXTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/base/error.h"

#define COPY_EXTENT_ZERO 1U    /* reads as zeros */
#define COPY_EXTENT_CHANGED 2U /* differs from the last pass */
/* Beyond this many the list is coarsened: neighbours become one that is zero only where all are and changed
 * where any is. Nothing is lost but a little speed. */
#define COPY_EXTENTS_MAX ((size_t)1 << 22)

struct copy_extent {
    uint64_t start; /* its end is the start of the next one, or what is covered */
    unsigned flags;
};

struct copy_extents {
    struct copy_extent *extents;
    size_t count, capacity, most;
    uint64_t covered, size;
};

/* `most` 0 means COPY_EXTENTS_MAX. */
void copy_extents_init(struct copy_extents *extents, uint64_t size, size_t most);
void copy_extents_done(struct copy_extents *extents);
/* ERR_INVALID when `start` is not where the last one ended (gap, overlap, out of order), when it is empty or
 * ends beyond the disk. */
struct error *copy_extents_add(struct copy_extents *extents, uint64_t start, uint64_t length,
                               unsigned flags) ERROR_MUST_USE;
/* ERR_INVALID when the end of the disk was not reached. */
struct error *copy_extents_check(const struct copy_extents *extents) ERROR_MUST_USE;

/* One page of an answer about changed areas (QueryChangedDiskAreas): it speaks about [start, start + length),
 * of which the areas are changed and the rest is not. Areas are in order and do not touch each other's bytes.
 */
struct copy_area {
    uint64_t start, length;
};
struct error *copy_extents_page(struct copy_extents *extents, uint64_t start, uint64_t length,
                                const struct copy_area *areas, size_t count) ERROR_MUST_USE;

/* Both checked lists of the same size laid over each other: ZERO of `content`, CHANGED of `changes`. */
struct error *copy_extents_overlay(const struct copy_extents *content, const struct copy_extents *changes,
                                   struct copy_extents *ret_both) ERROR_MUST_USE;

/* The extent that holds `offset`, which is within what is covered; its bounds in `ret_end`. */
const struct copy_extent *copy_extents_find(const struct copy_extents *extents, uint64_t offset,
                                            uint64_t *ret_end);
/* Over [start, end): ZERO when all of it is, CHANGED when any of it is. */
unsigned copy_extents_flags(const struct copy_extents *extents, uint64_t start, uint64_t end);
/* The next piece at or after *at, before `end`, of extents that have all of `with` and none of `without`;
 * bounds rounded outwards to `grain` (a power of two) and pieces with less than `gap` between them joined;
 * never beyond `end`. False when there is none. *at is where to go on. */
bool copy_extents_piece(const struct copy_extents *extents, uint64_t *at, uint64_t end, unsigned with,
                        unsigned without, uint64_t grain, uint64_t gap, struct copy_area *ret_piece);

#endif
