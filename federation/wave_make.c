/* See wave_api.h. */
#include <stdlib.h>
#include <string.h>

#include "federation/wave_api.h"

struct making {
    struct arena *arena;
    const struct wave_ask *ask;
    struct wave_resource *resources;
    size_t resource_count, resource_room;
    struct wave_system *systems;
    size_t system_count;
    struct wave_host *hosts;
    uint64_t *copied;
    size_t host_count;
    struct error *errors;
};

static const char *text_of(const json_t *json, const char *member)
{
    return json_string_value(json_object_get(json, member));
}

static int64_t number_of(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

/* Beyond WAVE_USES_MAX further datastores do not count. */
static void use(struct making *m, struct wave_host *host, enum wave_reason kind, const char *name,
                int64_t most)
{
    size_t found = 0;
    while (found < m->resource_count &&
           (m->resources[found].kind != kind || strcmp(m->resources[found].name, name) != 0))
        found++;
    for (size_t i = 0; i < host->use_count; i++)
        if (host->uses[i] == found)
            return;
    if (host->use_count == WAVE_USES_MAX)
        return;
    if (found == m->resource_count) {
        if (m->resource_count == m->resource_room) {
            size_t room = m->resource_room ? 2 * m->resource_room : 16;
            struct wave_resource *more = arena_array(m->arena, room, sizeof *more);
            if (m->resource_count)
                memcpy(more, m->resources, m->resource_count * sizeof *more);
            m->resources = more;
            m->resource_room = room;
        }
        m->resources[m->resource_count++] = (struct wave_resource){kind, name, (size_t)most};
    }
    host->uses[host->use_count++] = found;
}

static size_t system_of(struct making *m, const char *name)
{
    size_t found = 0;
    while (found < m->system_count && strcmp(m->systems[found].name, name) != 0)
        found++;
    if (found == m->system_count)
        m->systems[m->system_count++].name = name;
    return found;
}

/* "[datastore] folder/file.vmdk" is on "datastore", "/pool/file" in "/pool". */
static const char *datastore_of(struct arena *arena, const char *ref)
{
    const char *close = *ref == '[' ? strchr(ref, ']') : NULL, *slash = strrchr(ref, '/');
    if (close)
        return arena_strndup(arena, ref + 1, (size_t)(close - ref - 1));
    return slash && slash != ref ? arena_strndup(arena, ref, (size_t)(slash - ref)) : ref;
}

static const char *site_of(struct arena *arena, const json_t *side)
{
    const char *cloud = text_of(side, "cloud"), *site = text_of(side, "site");
    return arena_printf(arena, "%s/%s", cloud ? cloud : "", site ? site : "");
}

static void use_all(struct making *m, struct wave_host *host, const json_t *report, const json_t *source)
{
    const struct wave_limits *limits = &m->ask->limits;
    const char *from = site_of(m->arena, json_object_get(report, "from")),
               *to = site_of(m->arena, json_object_get(report, "to")), *hypervisor = text_of(source, "host");
    const json_t *disk;
    size_t i;
    use(m, host, WAVE_TOTAL, "all", limits->total);
    use(m, host, WAVE_SITE, from, limits->site);
    use(m, host, WAVE_SITE, to, limits->site);
    use(m, host, WAVE_LINK, arena_printf(m->arena, "%s-%s", from, to), limits->link);
    if (hypervisor)
        use(m, host, WAVE_HOST, arena_printf(m->arena, "%s %s", from, hypervisor), limits->host);
    json_array_foreach (json_object_get(source, "disks"), i, disk) {
        const char *ref = text_of(disk, "ref");
        if (ref && !json_is_true(json_object_get(disk, "removable")))
            use(m, host, WAVE_DATASTORE, arena_printf(m->arena, "%s %s", from, datastore_of(m->arena, ref)),
                limits->datastore);
    }
}

static const json_t *preferred_of(const json_t *report)
{
    const char *preferred = text_of(report, "preferred");
    const json_t *method;
    size_t i;
    json_array_foreach (json_object_get(report, "methods"), i, method)
        if (preferred && text_of(method, "method") && !strcmp(text_of(method, "method"), preferred))
            return method;
    return NULL;
}

static void add_host(struct making *m, const struct assessment_host *assessed)
{
    const json_t *report = assessed->report, *method = preferred_of(report);
    struct wave_host *host = &m->hosts[m->host_count++];
    *host = (struct wave_host){.name = assessed->resource,
                               .system = system_of(m, assessed->system),
                               .bytes = (uint64_t)number_of(report, "disk_bytes"),
                               .copy_us = number_of(method, "copy_seconds") * MOMENT_SECOND,
                               .cut_us = number_of(method, "downtime_ms") * 1000};
    use_all(m, host, report, json_object_get(assessed->answers, "source"));
}

static struct wave_host *host_of(struct making *m, const char *instance)
{
    for (size_t i = 0; i < m->host_count; i++)
        if (!strcmp(m->hosts[i].name, instance))
            return &m->hosts[i];
    return NULL;
}

/* Those of the request's order come first, in that order; the others keep theirs. */
static void put_in_order(struct making *m)
{
    const struct json_texts *order = &m->ask->order;
    for (size_t i = order->count; i-- > 0;) {
        struct wave_host *host = host_of(m, order->items[i]), moved;
        if (!host) {
            error_collect(&m->errors, arena_printf(m->arena, "/order/%zu", i),
                          "no machine of it that can move");
            continue;
        }
        moved = *host;
        memmove(m->hosts + 1, m->hosts, (size_t)(host - m->hosts) * sizeof moved);
        m->hosts[0] = moved;
    }
}

static void begin_host(struct wave_host *host, const struct wave_begun *begun, moment now)
{
    host->state = begun->state ? begun->state : begun->ended ? WAVE_DONE : WAVE_RUNNING;
    host->started = begun->started;
    host->ended = begun->ended;
    host->cutting = begun->cutting;
    host->worked_us = begun->worked_us;
    host->cut_us = begun->cut_us ? begun->cut_us : host->cut_us;
    if (begun->left_known)
        host->copy_us = now - begun->started + begun->left_us;
    if (host->state == WAVE_RUNNING && host->cut_us < MOMENT_SECOND)
        host->cut_us = MOMENT_SECOND; /* what runs takes room */
}

static void put_begun(struct making *m, moment now)
{
    const struct wave_begun *begun = m->ask->begun.items;
    for (size_t i = 0; i < m->ask->begun.count; i++) {
        const char *pointer = arena_printf(m->arena, "/begun/%zu", i);
        struct wave_host *host = host_of(m, begun[i].instance);
        if (!host)
            error_collect(&m->errors, pointer, "no machine of it that can move");
        else if (begun[i].started > now || begun[i].ended > now ||
                 (begun[i].ended && begun[i].ended < begun[i].started))
            error_collect(&m->errors, pointer, "it began and ended in this order, and not later than now");
        else if (begun[i].held)
            host->held = true;
        else {
            begin_host(host, &begun[i], now);
            m->copied[host - m->hosts] = (uint64_t)begun[i].copied_bytes;
        }
    }
}

static void put_dependencies(struct making *m)
{
    const struct wave_follows *follows = m->ask->dependencies.items;
    size_t known = m->system_count;
    for (size_t i = 0; i < m->ask->dependencies.count; i++) {
        size_t system = system_of(m, follows[i].system);
        size_t *after = arena_array(m->arena, follows[i].after.count, sizeof *after);
        for (size_t k = 0; k < follows[i].after.count; k++)
            after[k] = system_of(m, follows[i].after.items[k]);
        if (m->systems[system].after)
            error_collect(&m->errors, arena_printf(m->arena, "/dependencies/%zu/system", i),
                          "is named twice");
        m->systems[system].after = after;
        m->systems[system].after_count = follows[i].after.count;
    }
    for (size_t i = known; i < m->system_count; i++)
        error_collect(&m->errors, "/dependencies", "no machine of system %s can move", m->systems[i].name);
}

static int compare_moment(const void *a, const void *b)
{
    const moment *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Sorted, each once. */
static moment *days_of(struct making *m, const char *member, const struct json_texts *texts,
                       size_t *ret_count)
{
    moment *days = arena_array(m->arena, texts->count, sizeof *days);
    size_t count = 0, kept = 0;
    for (size_t i = 0; i < texts->count; i++) {
        struct error *error =
            strlen(texts->items[i]) == strlen("2026-12-01")
                ? moment_parse(arena_printf(m->arena, "%sT00:00:00+08:00", texts->items[i]), &days[count])
                : error_new(ERR_INVALID, "no day");
        if (error)
            error_collect(&m->errors, arena_printf(m->arena, "/%s/%zu", member, i),
                          "must be a day as 2026-12-01");
        count += !error;
        error_free(error);
    }
    if (count)
        qsort(days, count, sizeof *days, compare_moment);
    for (size_t i = 0; i < count; i++)
        if (!kept || days[i] != days[kept - 1])
            days[kept++] = days[i];
    *ret_count = kept;
    return days;
}

static int compare_span(const void *a, const void *b)
{
    const struct wave_span *left = a, *right = b;
    return left->from < right->from ? -1 : left->from > right->from;
}

/* Sorted; what touches or overlaps is one window. */
static struct wave_span *windows_of(struct making *m, size_t *ret_count)
{
    size_t count = m->ask->windows.count, kept = 0;
    struct wave_span *spans = arena_array(m->arena, count, sizeof *spans);
    if (count)
        memcpy(spans, m->ask->windows.items, count * sizeof *spans);
    for (size_t i = 0; i < count; i++)
        if (spans[i].from >= spans[i].to)
            error_collect(&m->errors, arena_printf(m->arena, "/windows/%zu/to", i), "must be after from");
    if (count)
        qsort(spans, count, sizeof *spans, compare_span);
    for (size_t i = 0; i < count; i++) {
        if (kept && spans[i].from <= spans[kept - 1].to) {
            if (spans[i].to > spans[kept - 1].to)
                spans[kept - 1].to = spans[i].to;
            continue;
        }
        spans[kept++] = spans[i];
    }
    *ret_count = kept;
    return spans;
}

struct error *wave_of_assessment(struct arena *arena, const struct wave_ask *ask,
                                 const struct assessment_host *hosts, size_t count, moment now,
                                 struct wave_made *ret_made)
{
    /* Systems are those of the machines and those that the request names. */
    size_t names = count;
    for (size_t i = 0; i < ask->dependencies.count; i++)
        names += 1 + ((const struct wave_follows *)ask->dependencies.items)[i].after.count;
    struct making m = {.arena = arena,
                       .ask = ask,
                       .systems = arena_array(arena, names, sizeof *m.systems),
                       .hosts = arena_array(arena, count + 1, sizeof *m.hosts),
                       .copied = arena_array(arena, count + 1, sizeof *m.copied)};
    struct wave_made made = {.began = ask->began, .left = arena_array(arena, count, sizeof *made.left)};
    for (size_t i = 0; i < count; i++)
        if (json_is_true(json_object_get(hosts[i].report, "movable")))
            add_host(&m, &hosts[i]);
        else
            made.left[made.left_count++] = hosts[i].resource;
    put_in_order(&m);
    put_begun(&m, now);
    put_dependencies(&m);
    made.wave = (struct wave){.systems = m.systems,
                              .hosts = m.hosts,
                              .host_count = m.host_count,
                              .asked = now,
                              .now = ask->not_before > now ? ask->not_before : now};
    made.wave.system_count = m.system_count;
    made.wave.resources = m.resources;
    made.wave.resource_count = m.resource_count;
    made.wave.windows = windows_of(&m, &made.wave.window_count);
    made.wave.blackout = days_of(&m, "blackout_days", &ask->blackout_days, &made.wave.blackout_count);
    made.wave.holidays = days_of(&m, "holidays", &ask->holidays, &made.wave.holiday_count);
    if (m.errors)
        return m.errors;
    TRY(wave_check(&made.wave));
    made.rate = wave_rate(&made.wave, m.copied);
    made.wave.hosts = wave_measured(arena, &made.wave, made.rate);
    *ret_made = made;
    return NULL;
}
