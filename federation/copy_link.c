/* See copy_link.h. Start-time fair queueing: each flow has a tag, the bytes that it was given; of the flows
 * that wait, the one with the lowest tag goes first; who was idle begins at the tag of who was served last,
 * so that nobody saves up. A flow that was told to come back and does not (it ended, it is slow) loses its
 * place after GRACE. */
#include "federation/copy_link.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "broker/base/arena.h"

#define BURST_NS INT64_C(100000000) /* what an idle link saves up: more than GRACE, or waiting would cost */
#define DEBT_NS 1e17                /* three years */
#define GRACE_US INT64_C(50000)
#define TURN_US INT64_C(2000) /* ask again when somebody else is first */

struct copy_flow {
    struct copy_link *link;
    struct copy_flow *next;
    uint64_t tag;
    bool waiting;
    int64_t expires;         /* µs: until when its place is kept */
    struct copy_flow *above; /* on the link above */
    uint64_t credit;         /* given here, and refused above until now */
};

struct copy_link {
    pthread_mutex_t mutex;
    struct copy_link *above;
    uint64_t rate;
    int64_t free_at; /* ns: when all that was given is sent */
    uint64_t tag;
    struct copy_flow *flows;
};

struct copy_link *copy_link_new(uint64_t bytes_per_second)
{
    struct copy_link *link = xcalloc(1, sizeof *link);
    pthread_mutex_init(&link->mutex, NULL);
    link->rate = bytes_per_second;
    return link;
}

struct copy_link *copy_link_under(struct copy_link *above, uint64_t bytes_per_second)
{
    struct copy_link *link = copy_link_new(bytes_per_second);
    link->above = above;
    return link;
}

void copy_link_free(struct copy_link *link)
{
    if (!link)
        return;
    pthread_mutex_destroy(&link->mutex);
    free(link);
}

void copy_link_set_rate(struct copy_link *link, uint64_t bytes_per_second, int64_t now)
{
    pthread_mutex_lock(&link->mutex);
    int64_t now_ns = now * 1000;
    if (link->free_at > now_ns && link->rate) { /* what was given and is not sent yet goes at the new rate */
        double owed = (double)(link->free_at - now_ns) * (double)link->rate;
        double time = bytes_per_second ? owed / (double)bytes_per_second : 0;
        link->free_at = now_ns + (int64_t)(time < DEBT_NS ? time : DEBT_NS);
    }
    link->rate = bytes_per_second;
    pthread_mutex_unlock(&link->mutex);
}

uint64_t copy_link_rate(struct copy_link *link)
{
    pthread_mutex_lock(&link->mutex);
    uint64_t rate = link->rate;
    pthread_mutex_unlock(&link->mutex);
    return rate;
}

struct copy_flow *copy_link_join(struct copy_link *link)
{
    if (!link)
        return NULL;
    struct copy_flow *flow = xcalloc(1, sizeof *flow);
    flow->link = link;
    flow->above = copy_link_join(link->above);
    pthread_mutex_lock(&link->mutex);
    flow->next = link->flows;
    link->flows = flow;
    pthread_mutex_unlock(&link->mutex);
    return flow;
}

void copy_flow_leave(struct copy_flow *flow)
{
    if (!flow)
        return;
    struct copy_link *link = flow->link;
    copy_flow_leave(flow->above);
    pthread_mutex_lock(&link->mutex);
    for (struct copy_flow **at = &link->flows; *at; at = &(*at)->next)
        if (*at == flow) {
            *at = flow->next;
            break;
        }
    pthread_mutex_unlock(&link->mutex);
    free(flow);
}

static int64_t wait_for(struct copy_flow *flow, int64_t wait, int64_t now)
{
    if (wait > COPY_LINK_WAIT_MAX)
        wait = COPY_LINK_WAIT_MAX;
    flow->waiting = true;
    flow->expires = now + wait + GRACE_US;
    return wait;
}

static bool somebody_is_first(const struct copy_flow *flow, int64_t now)
{
    for (const struct copy_flow *other = flow->link->flows; other; other = other->next)
        if (other != flow && other->waiting && other->expires >= now && other->tag < flow->tag)
            return true;
    return false;
}

static int64_t take(struct copy_flow *flow, uint64_t bytes, int64_t now)
{
    struct copy_link *link = flow->link;
    int64_t now_ns = now * 1000;
    if (!flow->waiting && flow->tag < link->tag)
        flow->tag = link->tag;
    if (link->rate && link->free_at > now_ns)
        return wait_for(flow, (link->free_at - now_ns) / 1000 + 1, now);
    if (link->rate && somebody_is_first(flow, now))
        return wait_for(flow, TURN_US, now);
    flow->waiting = false;
    if (flow->tag > link->tag)
        link->tag = flow->tag;
    flow->tag += bytes;
    if (link->rate) {
        if (link->free_at < now_ns - BURST_NS)
            link->free_at = now_ns - BURST_NS;
        link->free_at += (int64_t)((double)bytes * 1e9 / (double)link->rate);
    }
    return 0;
}

/* What this link gave and the one above refuses stays given: it is not counted again when the flow comes back
 * for it, in this thread or in another of its pass. */
int64_t copy_flow_take(struct copy_flow *flow, uint64_t bytes, int64_t now)
{
    if (!flow || !bytes)
        return 0;
    pthread_mutex_t *mutex = &flow->link->mutex;
    pthread_mutex_lock(mutex);
    bool given = flow->credit >= bytes;
    if (given)
        flow->credit -= bytes;
    int64_t wait = given ? 0 : take(flow, bytes, now);
    pthread_mutex_unlock(mutex);
    if (wait || !flow->above)
        return wait;
    wait = copy_flow_take(flow->above, bytes, now);
    if (!wait)
        return 0;
    pthread_mutex_lock(mutex);
    flow->credit += bytes;
    pthread_mutex_unlock(mutex);
    return wait;
}
