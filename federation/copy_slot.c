/* One block on its way: asked from the source, digested, written to the target as bytes and zeros. */
#include <errno.h>
#include <string.h>

#include "broker/base/moment.h"
#include "federation/copy_lane.h"

#define GRAIN                                                                                    \
    UINT64_C(65536) /* zeros are told from bytes by pieces of this, and small gaps are read over \
                     */
#define ALIGN UINT64_C(4096)

static bool all_zero(const uint8_t *bytes, size_t length)
{
    return !bytes[0] && memcmp(bytes, bytes + 1, length - 1) == 0;
}

static uint64_t round_up(uint64_t value, uint64_t grain)
{
    return (value + grain - 1) & ~(grain - 1);
}

static int on_read(void *data, int *number)
{
    struct copy_slot *slot = data;
    slot->reads--;
    slot->lane->reading--;
    slot->lane->read_at = moment_monotonic();
    if (*number && !slot->number) {
        slot->number = *number;
        slot->failed = COPY_SOURCE;
    }
    return 1;
}

/* A server may answer a read in chunks; what they leave out would be whatever the buffer held. */
static int on_chunk(void *data, const void *bytes, size_t length, uint64_t offset, unsigned status,
                    int *number)
{
    struct copy_slot *slot = data;
    if (status == LIBNBD_READ_DATA || status == LIBNBD_READ_HOLE)
        slot->seen += length;
    return 0;
}

static int on_write(void *data, int *number)
{
    struct copy_slot *slot = data;
    slot->writes--;
    slot->lane->writing--;
    slot->lane->write_at = moment_monotonic();
    if (*number && !slot->number) {
        slot->number = *number;
        slot->failed = COPY_TARGET;
    }
    return 1;
}

static struct error *refused(const struct copy_connection *connection, const char *doing, uint64_t offset)
{
    int number = nbd_get_errno();
    struct error *error = copy_connection_failed(connection, number ? number : EIO, doing, offset);
    const char *why = nbd_get_error();
    return error_wrap(error, "%s", why ? why : "libnbd");
}

/* How much of the block has to be read; with `ask`, asks for it. */
static struct error *each_read(struct copy_slot *slot, bool ask, uint64_t *ret_bytes)
{
    struct copy_lane *lane = slot->lane;
    const struct copy_run *run = lane->run;
    struct copy_area piece;
    uint64_t at = slot->start, end = slot->start + slot->length, bytes = 0, zeroed = slot->start;
    uint64_t grain = lane->source->grain > ALIGN ? lane->source->grain : ALIGN;
    if (run->verify) /* the last block as the target counts, with what follows the disk */
        end = round_up(end, run->target_grain);
    while (copy_extents_piece(&run->extents, &at, end, 0, COPY_EXTENT_ZERO, grain, GRAIN, &piece)) {
        bytes += piece.length;
        if (!ask)
            continue;
        memset(slot->buffer + (zeroed - slot->start), 0, piece.start - zeroed);
        zeroed = piece.start + piece.length;
        for (uint64_t done = 0, length; done < piece.length; done += length) {
            nbd_chunk_callback chunk = {.callback = on_chunk, .user_data = slot};
            nbd_completion_callback completion = {.callback = on_read, .user_data = slot};
            length = piece.length - done < run->tuning.request_size ? piece.length - done
                                                                    : run->tuning.request_size;
            slot->reads++;
            if (!lane->reading++)
                lane->read_at = moment_monotonic();
            if (nbd_aio_pread_structured(lane->source->nbd, slot->buffer + (piece.start + done - slot->start),
                                         length, piece.start + done, chunk, completion, 0) < 0)
                return refused(lane->source, "read", piece.start + done);
        }
    }
    if (ask)
        memset(slot->buffer + (zeroed - slot->start), 0, round_up(end, run->target_grain) - zeroed);
    *ret_bytes = bytes;
    return NULL;
}

/* False when the link has no room yet. */
static bool may(struct copy_lane *lane, struct copy_flow *flow, uint64_t bytes)
{
    int64_t wait = copy_flow_take(flow, bytes, moment_monotonic());
    if (wait && wait < lane->wait_us)
        lane->wait_us = wait;
    return !wait;
}

static struct error *start_reading(struct copy_slot *slot, bool *ret_moved)
{
    uint64_t bytes;
    TRY(each_read(slot, false, &bytes));
    if (!may(slot->lane, slot->lane->run->read_flow, bytes))
        return NULL;
    *ret_moved = true;
    slot->seen = 0;
    slot->due = bytes;
    slot->state = SLOT_READING;
    return each_read(slot, true, &bytes);
}

static struct error *send_zeros(struct copy_slot *slot, uint64_t start, uint64_t length)
{
    struct copy_lane *lane = slot->lane;
    slot->zeroed += length;
    for (uint64_t done = 0, piece; done < length; done += piece) {
        nbd_completion_callback completion = {.callback = on_write, .user_data = slot};
        slot->writes++;
        if (!lane->writing++)
            lane->write_at = moment_monotonic();
        if (!copy_connection_send_zeros(lane->target, start + done, length - done, lane->run->allocate,
                                        completion, &piece))
            return refused(lane->target, "write zeros", start + done);
    }
    return NULL;
}

static struct error *send_bytes(struct copy_slot *slot, uint64_t start, uint64_t length)
{
    struct copy_lane *lane = slot->lane;
    slot->written += length;
    for (uint64_t done = 0, piece; done < length; done += piece) {
        nbd_completion_callback completion = {.callback = on_write, .user_data = slot};
        uint64_t most = lane->run->tuning.request_size;
        piece = length - done < most ? length - done : most;
        slot->writes++;
        if (!lane->writing++)
            lane->write_at = moment_monotonic();
        if (nbd_aio_pwrite(lane->target->nbd, slot->buffer + (start + done - slot->start), piece,
                           start + done, completion, 0) < 0)
            return refused(lane->target, "write", start + done);
    }
    return NULL;
}

/* The piece [start, end) of the block in runs of zeros and of bytes; without `send` counts the bytes alone.
 */
static struct error *each_grain(struct copy_slot *slot, uint64_t start, uint64_t end, bool send,
                                uint64_t *bytes)
{
    bool skip = slot->lane->run->skip_zeros;
    for (uint64_t at = start, next; at < end; at = next) {
        uint64_t step = round_up(at + 1, GRAIN);
        next = step < end ? step : end;
        bool zero = all_zero(slot->buffer + (at - slot->start), next - at);
        while (next < end) {
            step = next + GRAIN < end ? next + GRAIN : end;
            if (all_zero(slot->buffer + (next - slot->start), step - next) != zero)
                break;
            next = step;
        }
        if (!zero)
            *bytes += next - at;
        if (send && !zero)
            TRY(send_bytes(slot, at, next - at));
        else if (send && !skip)
            TRY(send_zeros(slot, at, next - at));
    }
    return NULL;
}

/* The block as it has to be written: all of it, or what changed. */
static struct error *each_write(struct copy_slot *slot, bool send, uint64_t *ret_bytes)
{
    const struct copy_run *run = slot->lane->run;
    bool delta = run->changes == COPY_BITMAP || run->changes == COPY_AREAS;
    uint64_t at = slot->start, end = round_up(slot->start + slot->length, run->target_grain), bytes = 0;
    uint64_t grain = run->target_grain > ALIGN ? run->target_grain : ALIGN;
    struct copy_area piece;
    if (!delta)
        TRY(each_grain(slot, at, end, send, &bytes));
    while (delta && copy_extents_piece(&run->extents, &at, slot->start + slot->length, COPY_EXTENT_CHANGED, 0,
                                       grain, 0, &piece)) {
        uint64_t until = piece.start + piece.length;
        if (until == slot->start + slot->length)
            until = end;
        TRY(each_grain(slot, piece.start, until, send, &bytes));
    }
    *ret_bytes = bytes;
    return NULL;
}

static void digest_block(struct copy_slot *slot)
{
    struct copy_run *run = slot->lane->run;
    if (!slot->digested && run->algorithm != COPY_NONE)
        copy_digest_of(slot->lane->digest, slot->buffer, slot->length, slot->digest);
    slot->digested = true;
}

static struct error *start_writing(struct copy_slot *slot, bool *ret_moved)
{
    struct copy_run *run = slot->lane->run;
    uint64_t bytes = 0;
    if (slot->job.zero) {
        *ret_moved = true;
        slot->state = SLOT_WRITING;
        return run->skip_zeros ? NULL
                               : send_zeros(slot, slot->start, round_up(slot->length, run->target_grain));
    }
    if (run->write_flow)
        TRY(each_write(slot, false, &bytes));
    if (!may(slot->lane, run->write_flow, bytes))
        return NULL;
    *ret_moved = true;
    slot->state = SLOT_WRITING;
    TRY(each_write(slot, true, &bytes));
    digest_block(slot); /* while the writes are under way */
    return NULL;
}

/* The block has been read: what has to be done with it. */
static struct error *was_read(struct copy_slot *slot)
{
    struct copy_run *run = slot->lane->run;
    if (slot->number)
        return copy_connection_failed(slot->lane->source, slot->number, "read", slot->start);
    if (slot->seen != slot->due)
        return error_new(ERR_UNAVAILABLE, "the %s left out part of an answer near byte %llu",
                         copy_side_name(slot->lane->source->side), (unsigned long long)slot->start);
    slot->state = SLOT_WANTS_WRITE;
    if (!run->verify && run->changes != COPY_COMPARE)
        return NULL;
    digest_block(slot);
    bool same = memcmp(slot->digest, copy_manifest_get(run->last, slot->job.first), COPY_DIGEST_SIZE) == 0;
    uint64_t padding = round_up(slot->length, run->target_grain) - slot->length;
    if (run->verify && (!same || (padding && !all_zero(slot->buffer + slot->length, padding))))
        copy_run_mismatch(run, slot->start);
    if (run->verify || same)
        slot->state = SLOT_WRITING; /* with nothing to wait for */
    return NULL;
}

static void claim(struct copy_slot *slot)
{
    struct copy_run *run = slot->lane->run;
    if (slot->lane->no_more || !copy_run_claim(run, &slot->job)) {
        slot->lane->no_more = true;
        return;
    }
    slot->start = copy_job_start(&run->plan, &slot->job);
    slot->length = copy_job_length(&run->plan, &slot->job);
    slot->written = slot->zeroed = slot->due = 0;
    slot->number = 0;
    slot->digested = false;
    slot->state = slot->job.zero ? SLOT_WANTS_WRITE : SLOT_WANTS_READ;
    if (slot->job.zero && run->verify) { /* the target says that it is zeros: so must the manifest */
        slot->state = SLOT_WRITING;
        for (uint64_t i = 0; i < slot->job.count; i++)
            if (!copy_manifest_is_zero(run->last, slot->job.first + i))
                copy_run_mismatch(run, slot->start + i * run->shape.block_size);
    }
}

static struct error *was_written(struct copy_slot *slot)
{
    if (slot->number)
        return copy_connection_failed(slot->lane->target, slot->number, "write", slot->start);
    copy_run_settle(slot->lane->run, &slot->job, slot->job.zero ? NULL : slot->digest, slot->due,
                    slot->written, slot->zeroed);
    slot->state = SLOT_FREE;
    return NULL;
}

struct error *copy_slot_advance(struct copy_slot *slot)
{
    for (bool moved = true; moved;) {
        moved = false;
        switch (slot->state) {
        case SLOT_FREE:
            claim(slot);
            moved = slot->state != SLOT_FREE;
            break;
        case SLOT_WANTS_READ:
            TRY(start_reading(slot, &moved));
            break;
        case SLOT_READING:
            if ((moved = !slot->reads))
                TRY(was_read(slot));
            break;
        case SLOT_WANTS_WRITE:
            TRY(start_writing(slot, &moved));
            break;
        case SLOT_WRITING:
            if ((moved = !slot->writes))
                TRY(was_written(slot));
            break;
        }
    }
    return NULL;
}
