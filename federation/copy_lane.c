/* The loop of a lane: take every slot as far as it gets, then wait for either side. */
#include "federation/copy_lane.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "broker/base/moment.h"

#define LOOK_US INT64_C(100000) /* how late a lane notices that it is to stop or to flush */
#define DRAIN_US (2 * MOMENT_SECOND)

static int on_flushed(void *data, int *number)
{
    struct copy_lane *lane = data;
    lane->flush_number = *number;
    lane->flushing = false;
    lane->writing--;
    lane->write_at = moment_monotonic();
    return 1;
}

/* Sends a flush when one is wanted; tells of its answer. */
static struct error *look_after_flush(struct copy_lane *lane, bool *sent)
{
    if (*sent && !lane->flushing) {
        *sent = false;
        if (lane->flush_number)
            return copy_connection_failed(lane->target, lane->flush_number, "flush", 0);
        copy_run_flushed(lane->run);
    }
    if (!lane->first || !lane->target || *sent || !copy_run_flush_wanted(lane->run))
        return NULL;
    nbd_completion_callback completion = {.callback = on_flushed, .user_data = lane};
    lane->flushing = *sent = true;
    if (!lane->writing++)
        lane->write_at = moment_monotonic();
    if (nbd_aio_flush(lane->target->nbd, completion, 0) < 0)
        return copy_connection_failed(lane->target, nbd_get_errno(), "flush", 0);
    return NULL;
}

static struct error *look_for_stall(const struct copy_lane *lane, int64_t now)
{
    int64_t most = lane->run->tuning.stall_us;
    if (lane->reading && now - lane->read_at > most)
        return copy_stalled(lane->source->side, "a read", most);
    if (lane->writing && now - lane->write_at > most)
        return copy_stalled(COPY_TARGET, "a write", most);
    return NULL;
}

static struct error *wait_for_sides(struct copy_lane *lane)
{
    struct copy_connection *sides[] = {lane->source, lane->target};
    struct pollfd ready[2];
    nfds_t count = lane->target ? 2 : 1;
    for (nfds_t i = 0; i < count; i++)
        ready[i] =
            (struct pollfd){.fd = nbd_aio_get_fd(sides[i]->nbd), .events = copy_connection_events(sides[i])};
    struct timespec most = {.tv_nsec = (long)lane->wait_us * 1000};
    int got = ppoll(ready, count, &most, NULL);
    if (got < 0 && errno != EINTR)
        return error_new(ERR_IO, "could not poll: %s", strerror(errno));
    for (nfds_t i = 0; i < count && got > 0; i++)
        if (ready[i].revents)
            TRY(copy_connection_notify(sides[i], ready[i].revents));
    return NULL;
}

static bool idle(const struct copy_lane *lane)
{
    for (size_t i = 0; i < lane->slot_count; i++)
        if (lane->slots[i].state != SLOT_FREE)
            return false;
    return lane->no_more && !lane->flushing;
}

static struct error *run(struct copy_lane *lane)
{
    bool sent = false;
    for (;;) {
        lane->wait_us = LOOK_US;
        for (size_t i = 0; i < lane->slot_count; i++)
            TRY(copy_slot_advance(&lane->slots[i]));
        TRY(look_after_flush(lane, &sent));
        if (atomic_load(&lane->run->stop) || (idle(lane) && !sent))
            return NULL;
        TRY(look_for_stall(lane, moment_monotonic()));
        TRY(wait_for_sides(lane));
    }
}

/* Takes what answers still come before the connections are closed: a server that is cut off in the middle of
 * several answers may fall (nbdkit 1.32 does), and others may be using it. */
static void drain(struct copy_lane *lane)
{
    int64_t until = moment_monotonic() + DRAIN_US;
    struct error *error = NULL;
    lane->wait_us = LOOK_US;
    while (!error && (lane->reading || lane->writing) && moment_monotonic() < until)
        error = wait_for_sides(lane);
    error_free(error); /* the lane has failed already, or was told to stop */
}

void *copy_lane_main(void *data)
{
    struct copy_lane *lane = data;
    struct error *error = run(lane);
    if (error)
        atomic_store(&lane->run->stop, true);
    drain(lane);
    copy_run_fail(lane->run, error);
    return NULL;
}
