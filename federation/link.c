/* See link.h. A link lives as long as somebody is on it. */
#include "federation/link.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"

struct shared {
    struct shared *next;
    char *name;
    struct shared *above;
    struct copy_link *link;
    size_t users; /* ways, and links below */
};

struct links {
    pthread_mutex_t mutex;
    struct shared *list;
};

struct link_way {
    struct links *links;
    struct shared *link, *wave; /* wave NULL: none */
    struct copy_link *own;
};

struct links *links_new(void)
{
    struct links *links = xcalloc(1, sizeof *links);
    pthread_mutex_init(&links->mutex, NULL);
    return links;
}

void links_free(struct links *links)
{
    if (!links)
        return;
    pthread_mutex_destroy(&links->mutex);
    free(links);
}

static void set_rate(struct copy_link *link, uint64_t rate, int64_t now)
{
    if (copy_link_rate(link) != rate)
        copy_link_set_rate(link, rate, now);
}

/* Locked, as the next. */
static struct shared *enter(struct links *links, const char *name, struct shared *above, uint64_t rate,
                            int64_t now)
{
    struct shared *shared = links->list;
    while (shared && (shared->above != above || strcmp(shared->name, name) != 0))
        shared = shared->next;
    if (!shared) {
        shared = xcalloc(1, sizeof *shared);
        shared->name = xstrdup(name);
        shared->above = above;
        shared->link = copy_link_under(above ? above->link : NULL, rate);
        shared->next = links->list;
        links->list = shared;
        if (above)
            above->users++;
    }
    shared->users++;
    set_rate(shared->link, rate, now);
    return shared;
}

static void leave(struct links *links, struct shared *shared)
{
    while (shared && !--shared->users) {
        struct shared *above = shared->above, **at = &links->list;
        while (*at != shared)
            at = &(*at)->next;
        *at = shared->next;
        copy_link_free(shared->link);
        free(shared->name);
        free(shared);
        shared = above;
    }
}

struct link_way *link_way_open(struct links *links, const char *link, const char *wave,
                               const struct link_rates *rates, int64_t now)
{
    struct link_way *way = xcalloc(1, sizeof *way);
    way->links = links;
    if (!links) {
        way->own = copy_link_new(rates->move);
        return way;
    }
    pthread_mutex_lock(&links->mutex);
    way->link = enter(links, link, NULL, rates->link, now);
    if (wave)
        way->wave = enter(links, wave, way->link, rates->wave, now);
    pthread_mutex_unlock(&links->mutex);
    way->own = copy_link_under(way->wave ? way->wave->link : way->link->link, rates->move);
    return way;
}

struct copy_link *link_way_link(struct link_way *way)
{
    return way ? way->own : NULL;
}

void link_way_set(struct link_way *way, const struct link_rates *rates, int64_t now)
{
    if (!way)
        return;
    if (way->link)
        set_rate(way->link->link, rates->link, now);
    if (way->wave)
        set_rate(way->wave->link, rates->wave, now);
    set_rate(way->own, rates->move, now);
}

void link_way_close(struct link_way *way)
{
    if (!way)
        return;
    copy_link_free(way->own);
    if (way->links) {
        pthread_mutex_lock(&way->links->mutex);
        leave(way->links, way->wave);
        leave(way->links, way->link);
        pthread_mutex_unlock(&way->links->mutex);
    }
    free(way);
}
