/* See copy_extent.h. */
#include "federation/copy_extent.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"

void copy_extents_init(struct copy_extents *extents, uint64_t size, size_t most)
{
    memset(extents, 0, sizeof *extents);
    extents->size = size;
    extents->most = most ? most : COPY_EXTENTS_MAX;
}

void copy_extents_done(struct copy_extents *extents)
{
    free(extents->extents);
    memset(extents, 0, sizeof *extents);
}

static uint64_t end_of(const struct copy_extents *extents, size_t i)
{
    return i + 1 < extents->count ? extents->extents[i + 1].start : extents->covered;
}

/* Puts [start, …) at the end of a list, joined with an equal neighbour. */
static size_t put(struct copy_extent *list, size_t count, uint64_t start, unsigned flags)
{
    if (count && list[count - 1].flags == flags)
        return count;
    list[count] = (struct copy_extent){start, flags};
    return count + 1;
}

/* Rewrites the list so that no extent begins within a cell of `cell` bytes. A boundary within a cell becomes
 * two, so that the list may even grow when few of them share one. */
static void coarsen(struct copy_extents *extents, uint64_t cell)
{
    const struct copy_extent *from = extents->extents;
    size_t capacity = 2 * extents->count + 1;
    struct copy_extent *list = xmalloc(capacity * sizeof *list);
    size_t count = 0;
    unsigned mixed = COPY_EXTENT_ZERO;
    for (size_t i = 0; i < extents->count; i++) {
        unsigned flags = from[i].flags;
        uint64_t at = from[i].start, end = end_of(extents, i);
        while (at < end) {
            uint64_t cell_start = at & ~(cell - 1), cell_end = cell_start + cell;
            uint64_t whole = end == extents->covered ? end : end & ~(cell - 1);
            if (at == cell_start && whole > at) {
                count = put(list, count, at, flags);
                at = whole;
                continue;
            }
            mixed = (mixed & flags & COPY_EXTENT_ZERO) | ((mixed | flags) & COPY_EXTENT_CHANGED);
            at = end < cell_end ? end : cell_end;
            if (at == cell_end || at == extents->covered) {
                count = put(list, count, cell_start, mixed);
                mixed = COPY_EXTENT_ZERO;
            }
        }
    }
    free(extents->extents);
    extents->extents = list;
    extents->count = count;
    extents->capacity = capacity;
}

/* Room for one more. */
static void make_room(struct copy_extents *extents)
{
    for (uint64_t cell = 65536; extents->count >= extents->most; cell *= 2) {
        coarsen(extents, cell);
        if (extents->count <= extents->most / 2)
            break;
    }
    if (extents->count < extents->capacity)
        return;
    extents->capacity = extents->capacity ? extents->capacity * 2 : 64;
    extents->extents = xrealloc(extents->extents, extents->capacity, sizeof *extents->extents);
}

struct error *copy_extents_add(struct copy_extents *extents, uint64_t start, uint64_t length, unsigned flags)
{
    if (start != extents->covered)
        return error_new(ERR_INVALID, "an extent begins at %" PRIu64 " where one at %" PRIu64 " is due: %s",
                         start, extents->covered, start > extents->covered ? "a gap" : "an overlap");
    if (!length || length > extents->size - start)
        return error_new(ERR_INVALID,
                         "an extent of %" PRIu64 " bytes at %" PRIu64 " of a disk of %" PRIu64 " bytes",
                         length, start, extents->size);
    if (!extents->count || extents->extents[extents->count - 1].flags != flags) {
        make_room(extents);
        extents->count = put(extents->extents, extents->count, start, flags);
    }
    extents->covered += length;
    return NULL;
}

struct error *copy_extents_check(const struct copy_extents *extents)
{
    if (extents->covered != extents->size)
        return error_new(ERR_INVALID, "the extents end at %" PRIu64 " of a disk of %" PRIu64 " bytes: a gap",
                         extents->covered, extents->size);
    return NULL;
}

struct error *copy_extents_page(struct copy_extents *extents, uint64_t start, uint64_t length,
                                const struct copy_area *areas, size_t count)
{
    if (start != extents->covered)
        return error_new(ERR_INVALID,
                         "a page of changed areas begins at %" PRIu64 " where one at %" PRIu64 " is due",
                         start, extents->covered);
    if (!length || length > extents->size - start)
        return error_new(ERR_INVALID,
                         "a page of %" PRIu64 " bytes at %" PRIu64 " of a disk of %" PRIu64 " bytes", length,
                         start, extents->size);
    uint64_t end = start + length;
    for (size_t i = 0; i < count; i++) {
        if (areas[i].start < extents->covered || areas[i].start >= end || !areas[i].length ||
            areas[i].length > end - areas[i].start)
            return error_new(ERR_INVALID,
                             "the changed area of %" PRIu64 " bytes at %" PRIu64
                             " is empty, out of order or outside its page of %" PRIu64 " bytes at %" PRIu64,
                             areas[i].length, areas[i].start, length, start);
        if (areas[i].start > extents->covered)
            TRY(copy_extents_add(extents, extents->covered, areas[i].start - extents->covered, 0));
        TRY(copy_extents_add(extents, areas[i].start, areas[i].length, COPY_EXTENT_CHANGED));
    }
    return extents->covered < end ? copy_extents_add(extents, extents->covered, end - extents->covered, 0)
                                  : NULL;
}

struct error *copy_extents_overlay(const struct copy_extents *content, const struct copy_extents *changes,
                                   struct copy_extents *ret_both)
{
    struct copy_extents both;
    TRY(copy_extents_check(content));
    TRY(copy_extents_check(changes));
    if (content->size != changes->size)
        return error_new(ERR_CONFLICT,
                         "the disk was resized: it has %" PRIu64 " bytes, its changes are of one of %" PRIu64,
                         content->size, changes->size);
    copy_extents_init(&both, content->size, content->most);
    struct error *error = NULL;
    for (size_t i = 0, j = 0; !error && both.covered < both.size;) {
        uint64_t here = end_of(content, i), there = end_of(changes, j), end = here < there ? here : there;
        unsigned flags = (content->extents[i].flags & COPY_EXTENT_ZERO) |
                         (changes->extents[j].flags & COPY_EXTENT_CHANGED);
        error = copy_extents_add(&both, both.covered, end - both.covered, flags);
        i += here == end;
        j += there == end;
    }
    if (error) {
        copy_extents_done(&both);
        return error;
    }
    *ret_both = both;
    return NULL;
}

const struct copy_extent *copy_extents_find(const struct copy_extents *extents, uint64_t offset,
                                            uint64_t *ret_end)
{
    size_t low = 0, high = extents->count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (extents->extents[middle].start <= offset)
            low = middle;
        else
            high = middle;
    }
    *ret_end = end_of(extents, low);
    return &extents->extents[low];
}

unsigned copy_extents_flags(const struct copy_extents *extents, uint64_t start, uint64_t end)
{
    unsigned flags = COPY_EXTENT_ZERO;
    for (uint64_t at = start, next; at < end; at = next) {
        unsigned here = copy_extents_find(extents, at, &next)->flags;
        flags = (flags & here & COPY_EXTENT_ZERO) | ((flags | here) & COPY_EXTENT_CHANGED);
    }
    return flags;
}

bool copy_extents_piece(const struct copy_extents *extents, uint64_t *at, uint64_t end, unsigned with,
                        unsigned without, uint64_t grain, uint64_t gap, struct copy_area *ret_piece)
{
    uint64_t start = UINT64_MAX, until = 0, next;
    for (uint64_t here = *at; here < end; here = next) {
        unsigned flags = copy_extents_find(extents, here, &next)->flags;
        if (next > end)
            next = end;
        if ((flags & with) != with || (flags & without))
            continue;
        uint64_t from = here & ~(grain - 1), to = (next + grain - 1) & ~(grain - 1);
        if (from < *at)
            from = *at;
        if (start == UINT64_MAX)
            start = from;
        else if (from > until && from - until >= gap)
            break;
        until = to < end ? to : end;
    }
    if (start == UINT64_MAX)
        return false;
    *ret_piece = (struct copy_area){start, until - start};
    *at = until;
    return true;
}
