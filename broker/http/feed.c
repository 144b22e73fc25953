/* The feed of event streams: one thread, one database connection. While somebody listens it looks at the
 * outbox every event_poll_us, and at once when a call of this broker has committed (feed_poke). It does not
 * LISTEN: NOTIFY takes a lock of the whole cluster for the length of every commit, which would put all
 * writers in one line to spare a listener a tenth of a second. It also purges what has had its time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/log.h"
#include "broker/http/idempotency.h"
#include "broker/http/outbox.h"

#define PAGE 256
#define PURGE_EVERY_US (5 * MOMENT_MINUTE)
#define PURGE_BATCH 2000
#define RETRY_US MOMENT_SECOND /* after a failure of the database */

struct feed {
    struct server *server;
    struct db *db;
    pthread_t thread;
    bool running;
    pthread_mutex_t lock;
    pthread_cond_t change;
    struct subscription *arrivals; /* under the lock, with the next two */
    bool poked, stopping;
    struct subscription *list; /* the thread's alone */
    struct event_place at;     /* everything up to here was shown to live subscriptions */
    int64_t purge_at;          /* monotonic */
};

static bool sees(struct subscription *subscription, const struct outbox_event *event)
{
    pthread_mutex_lock(&subscription->lock);
    const struct principal *principal = subscription->principal;
    bool seen = principal_scope(principal)->all;
    if (!seen && event->unit)
        seen = principal_sees_system(principal, event->unit, event->system);
    if (!seen && event->cloud)
        seen = principal_sees_cloud(principal, event->cloud);
    if (!seen && event->provider)
        seen = principal_sees_provider(principal, event->provider);
    pthread_mutex_unlock(&subscription->lock);
    return seen;
}

/* Posts what the subscription may see of the page, in one text. One that is `behind` gets only what fits, and
 * the rest at a later look; a live one for which it does not fit is too slow, and is cut. */
static void show(struct feed *feed, struct subscription *subscription, const struct outbox_page *page,
                 bool behind)
{
    size_t most = feed->server->settings.limits.event_queue;
    size_t pending = __atomic_load_n(&subscription->pending, __ATOMIC_RELAXED);
    struct buf text BUF_AUTO = BUF_INIT(pending < most ? most - pending : 0);
    for (size_t i = 0; i < page->count; i++) {
        const struct outbox_event *event = &page->events[i];
        if (!place_after(event->place, subscription->place))
            continue;
        bool seen = sees(subscription, event);
        if (seen && behind && text.length && text.length + event->length > text.cap)
            break;
        if (seen)
            buf_append(&text, event->text, event->length);
        subscription->place = event->place;
    }
    if (buf_overflowed(&text)) {
        event_post(subscription, NULL, 0, true);
        __atomic_store_n(&subscription->closed, true, __ATOMIC_RELEASE);
    } else if (text.length) {
        char *bytes = text.data;
        size_t length = text.length;
        text.data = NULL;
        event_post(subscription, bytes, length, false);
    }
}

static struct error *tell_gap(struct feed *feed, struct subscription *subscription)
{
    bool there;
    TRY(outbox_has(feed->db, subscription->place, &there));
    if (!there) {
        char *text = xstrdup("event: stream.gap\ndata: {\"reason\":\"events after the given id may have been "
                             "purged\"}\n\n");
        event_post(subscription, text, strlen(text), false);
    }
    return NULL;
}

/* New subscriptions get their place; those that resume behind the others read on their own. */
static struct error *place_new(struct feed *feed)
{
    bool live = false;
    struct event_place head = {0};
    for (struct subscription *one = feed->list; one; one = one->next)
        live = live || one->placed;
    for (struct subscription *one = feed->list; one; one = one->next) {
        if (one->placed)
            continue;
        if (!head.tx)
            TRY(outbox_head(feed->db, &head));
        if (!live)
            feed->at = head;
        live = true;
        if (!one->resumes)
            one->place = head;
        else
            TRY(tell_gap(feed, one));
        one->placed = true;
    }
    return NULL;
}

/* One page for a subscription that is behind, when it has taken most of what it was given. */
static struct error *catch_up(struct feed *feed, struct subscription *one, bool *ret_more)
{
    size_t pending = __atomic_load_n(&one->pending, __ATOMIC_RELAXED);
    if (!place_after(feed->at, one->place))
        return NULL;
    if (pending > feed->server->settings.limits.event_queue / 4)
        return NULL;
    ARENA_AUTO struct arena *arena = arena_new();
    struct outbox_page page;
    TRY(outbox_read(feed->db, arena, one->place, PAGE, &page));
    if (page.count) {
        show(feed, one, &page, true);
        *ret_more = true;
    }
    bool all = !page.count || !place_after(page.events[page.count - 1].place, one->place);
    if (all && page.count < PAGE && place_after(feed->at, one->place))
        one->place = feed->at;
    return NULL;
}

static struct error *look(struct feed *feed, bool *ret_more)
{
    TRY(place_new(feed));
    for (struct subscription *one = feed->list; one; one = one->next)
        TRY(catch_up(feed, one, ret_more));
    ARENA_AUTO struct arena *arena = arena_new();
    struct outbox_page page;
    TRY(outbox_read(feed->db, arena, feed->at, PAGE, &page));
    if (!page.count)
        return NULL;
    for (struct subscription *one = feed->list; one; one = one->next)
        if (!place_after(feed->at, one->place))
            show(feed, one, &page, false);
    feed->at = page.events[page.count - 1].place;
    *ret_more = *ret_more || page.count == PAGE;
    return NULL;
}

static void drop_closed(struct feed *feed)
{
    for (struct subscription **at = &feed->list; *at;) {
        struct subscription *one = *at;
        if (__atomic_load_n(&one->closed, __ATOMIC_ACQUIRE)) {
            *at = one->next;
            subscription_unref(one);
        } else {
            at = &one->next;
        }
    }
}

/* Whole batches are followed by more at the next turn, so nobody waits long for a purge. */
static struct error *purge(struct feed *feed)
{
    if (moment_monotonic() < feed->purge_at)
        return NULL;
    const struct server_settings *settings = &feed->server->settings;
    moment now = clock_now(settings->clock);
    int64_t events, keys;
    TRY(outbox_purge(feed->db, now - settings->limits.event_keep_us, PURGE_BATCH, &events));
    TRY(idempotency_purge(feed->db, now - settings->limits.key_us, PURGE_BATCH, &keys));
    bool more = events == PURGE_BATCH || keys == PURGE_BATCH;
    feed->purge_at = moment_monotonic() + (more ? MOMENT_SECOND : PURGE_EVERY_US);
    return NULL;
}

/* With the lock held. */
static void take_arrivals(struct feed *feed)
{
    while (feed->arrivals) {
        struct subscription *one = feed->arrivals;
        feed->arrivals = one->next;
        one->next = feed->list;
        feed->list = one;
    }
}

/* With the lock held: until there may be something to do. */
static void wait_change(struct feed *feed, int64_t wait_us)
{
    int64_t until = moment_monotonic() + wait_us;
    struct timespec at = {.tv_sec = until / MOMENT_SECOND, .tv_nsec = until % MOMENT_SECOND * 1000};
    int status = 0;
    while (!feed->poked && !feed->stopping && !feed->arrivals && status != ETIMEDOUT)
        status = pthread_cond_timedwait(&feed->change, &feed->lock, &at);
    feed->poked = false;
}

static void *run(void *argument)
{
    struct feed *feed = argument;
    int64_t poll = feed->server->settings.limits.event_poll_us;
    int64_t wait = 0;
    pthread_mutex_lock(&feed->lock);
    for (;;) {
        if (wait)
            wait_change(feed, wait);
        if (feed->stopping)
            break;
        take_arrivals(feed);
        pthread_mutex_unlock(&feed->lock);
        drop_closed(feed);
        bool more = false;
        struct error *error = feed->list ? look(feed, &more) : NULL;
        if (!error)
            error = purge(feed);
        if (error)
            log_error("http.feed", LOG_CAUSE(error));
        wait = error ? RETRY_US : more ? 0 : feed->list ? poll : MOMENT_SECOND;
        error_free(error);
        pthread_mutex_lock(&feed->lock);
    }
    pthread_mutex_unlock(&feed->lock);
    return NULL;
}

struct error *feed_start(struct server *server, struct feed **ret_feed)
{
    struct feed *feed = xcalloc(1, sizeof *feed);
    feed->server = server;
    feed->purge_at = moment_monotonic() + PURGE_EVERY_US;
    pthread_mutex_init(&feed->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&feed->change, &monotonic);
    pthread_condattr_destroy(&monotonic);
    struct error *error = db_connect(server->settings.conninfo, &feed->db);
    int failed = error ? 0 : pthread_create(&feed->thread, NULL, run, feed);
    if (failed)
        error = error_new(ERR_IO, "could not start the feed's thread: %s", strerror(failed));
    feed->running = !error;
    if (error) {
        feed_free(feed);
        return error;
    }
    *ret_feed = feed;
    return NULL;
}

void feed_subscribe(struct feed *feed, struct subscription *subscription)
{
    __atomic_add_fetch(&subscription->refs, 1, __ATOMIC_RELAXED);
    pthread_mutex_lock(&feed->lock);
    subscription->next = feed->arrivals;
    feed->arrivals = subscription;
    pthread_cond_signal(&feed->change);
    pthread_mutex_unlock(&feed->lock);
}

void feed_poke(struct feed *feed)
{
    if (!feed || !__atomic_load_n(&feed->server->events, __ATOMIC_RELAXED))
        return;
    pthread_mutex_lock(&feed->lock);
    feed->poked = true;
    pthread_cond_signal(&feed->change);
    pthread_mutex_unlock(&feed->lock);
}

void feed_stop(struct feed *feed)
{
    if (!feed || !feed->running)
        return;
    pthread_mutex_lock(&feed->lock);
    feed->stopping = true;
    pthread_cond_signal(&feed->change);
    pthread_mutex_unlock(&feed->lock);
    pthread_join(feed->thread, NULL);
    feed->running = false;
}

void feed_free(struct feed *feed)
{
    if (!feed)
        return;
    take_arrivals(feed);
    while (feed->list) {
        struct subscription *one = feed->list;
        feed->list = one->next;
        subscription_unref(one);
    }
    db_close(feed->db);
    pthread_cond_destroy(&feed->change);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}
