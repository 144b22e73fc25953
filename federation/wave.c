/* Plans of waves; see wave.h. */
#include "federation/wave.h"

#include <string.h>

const char *wave_reason_name(enum wave_reason reason)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        WAVE_REASONS(X)
#undef X
    };
    return names[reason];
}

static struct error *check_host(const struct wave *wave, size_t number)
{
    const struct wave_host *host = &wave->hosts[number];
    if (host->system >= wave->system_count)
        return error_new(ERR_INVALID, "host %s is of no system", host->name);
    if (host->copy_us < 0 || host->cut_us < 0)
        return error_new(ERR_INVALID, "host %s takes less than no time", host->name);
    if (host->use_count > WAVE_USES_MAX)
        return error_new(ERR_INVALID, "host %s uses more than %d resources", host->name, WAVE_USES_MAX);
    for (size_t i = 0; i < host->use_count; i++) {
        if (host->uses[i] >= wave->resource_count)
            return error_new(ERR_INVALID, "host %s uses a resource that there is not", host->name);
        for (size_t k = 0; k < i; k++)
            if (host->uses[k] == host->uses[i])
                return error_new(ERR_INVALID, "host %s uses %s twice", host->name,
                                 wave->resources[host->uses[i]].name);
    }
    return NULL;
}

/* Takes away what waits for nothing any more until nothing changes; what is left waits for itself. */
static struct error *check_circles(const struct wave *wave)
{
    ARENA_AUTO struct arena *arena = arena_new();
    bool *free = arena_array(arena, wave->system_count, sizeof *free), changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < wave->system_count; i++) {
            bool ready = !free[i];
            for (size_t k = 0; ready && k < wave->systems[i].after_count; k++)
                ready = free[wave->systems[i].after[k]];
            free[i] = free[i] || ready;
            changed = changed || ready;
        }
    }
    const char *circle = NULL;
    for (size_t i = 0; i < wave->system_count; i++)
        if (!free[i])
            circle =
                circle ? arena_printf(arena, "%s, %s", circle, wave->systems[i].name) : wave->systems[i].name;
    return circle
               ? error_new(ERR_INVALID, "these systems wait for each other, or for one that does: %s", circle)
               : NULL;
}

static struct error *check_days(const moment *days, size_t count, const char *what)
{
    for (size_t i = 0; i < count; i++)
        if (moment_day_start(days[i]) != days[i] || (i && days[i] <= days[i - 1]))
            return error_new(ERR_INVALID, "%s must be days of Asia/Shanghai, each once, rising", what);
    return NULL;
}

struct error *wave_check(const struct wave *wave)
{
    if (wave->host_count > WAVE_HOSTS_MAX || wave->system_count > WAVE_SYSTEMS_MAX)
        return error_new(ERR_TOO_LARGE, "a wave has at most %d hosts of %d systems", WAVE_HOSTS_MAX,
                         WAVE_SYSTEMS_MAX);
    for (size_t i = 0; i < wave->resource_count; i++)
        if (!wave->resources[i].most || wave->resources[i].kind > WAVE_DATASTORE)
            return error_new(ERR_INVALID, "resource %s has no limit", wave->resources[i].name);
    for (size_t i = 0; i < wave->system_count; i++)
        for (size_t k = 0; k < wave->systems[i].after_count; k++)
            if (wave->systems[i].after[k] >= wave->system_count)
                return error_new(ERR_INVALID, "system %s waits for one that there is not",
                                 wave->systems[i].name);
    for (size_t i = 0; i < wave->host_count; i++)
        TRY(check_host(wave, i));
    for (size_t i = 0; i < wave->window_count; i++)
        if (wave->windows[i].from >= wave->windows[i].to ||
            (i && wave->windows[i].from <= wave->windows[i - 1].to))
            return error_new(ERR_INVALID, "windows must be spans of time, apart, rising");
    TRY(check_days(wave->blackout, wave->blackout_count, "blackout days"));
    TRY(check_days(wave->holidays, wave->holiday_count, "holidays"));
    return check_circles(wave);
}

/* The end of the blackout that touches [from, to), the last of them; 0: none does. */
static moment blackout_end(const struct wave *wave, moment from, moment to)
{
    moment end = 0;
    for (size_t i = 0; i < wave->blackout_count; i++)
        if (wave->blackout[i] < to && wave->blackout[i] + MOMENT_DAY > from)
            end = wave->blackout[i] + MOMENT_DAY;
    return end;
}

/* The first moment from `at` on at which a cut-over fits into one window. A cut-over of no time needs one
 * open all the same. False: never. */
static bool fit_window(const struct wave *wave, moment at, int64_t length, moment *ret_at)
{
    int64_t needed = length ? length : 1;
    size_t window = 0;
    for (;;) {
        while (wave->window_count && window < wave->window_count && (at + needed > wave->windows[window].to))
            window++;
        if (wave->window_count && window == wave->window_count)
            return false;
        if (wave->window_count && at < wave->windows[window].from)
            at = wave->windows[window].from;
        if (wave->window_count && at + needed > wave->windows[window].to)
            continue; /* this one is too short */
        moment end = blackout_end(wave, at, at + needed);
        if (!end) {
            *ret_at = at;
            return true;
        }
        at = end;
    }
}

/* A plan under way. */
struct planning {
    const struct wave *wave;
    struct wave_slot *slots;
    bool *settled;           /* has its slot, or never gets one */
    moment *system_end;      /* of the hosts that have slots */
    size_t *open;            /* hosts of each system without */
    bool *stuck;             /* a host of it is never placed … */
    enum wave_reason *never; /* … because of this */
    struct occupied {
        size_t *hosts; /* that have it at some time */
        size_t count;
        moment first_free; /* the first moment from `now` on at which it is not full */
    } * occupied;          /* of each resource */
};

static size_t load_at(const struct planning *p, size_t resource, moment at, moment *ret_first_end)
{
    const struct occupied *occupied = &p->occupied[resource];
    size_t load = 0;
    moment first = INT64_MAX;
    for (size_t i = 0; i < occupied->count; i++) {
        const struct wave_slot *slot = &p->slots[occupied->hosts[i]];
        if (slot->start > at || slot->end <= at)
            continue;
        load++;
        first = slot->end < first ? slot->end : first;
    }
    *ret_first_end = first;
    return load;
}

/* Whether the resource is full at some moment of [start, end); then no start before *ret_next is any good:
 * until then the move would cover a moment of the latest full time. */
static bool is_full(const struct planning *p, size_t resource, moment start, moment end, moment *ret_next)
{
    size_t most = p->wave->resources[resource].most;
    moment next = 0, first;
    if (load_at(p, resource, start, &first) >= most)
        next = first;
    for (size_t i = 0; i < p->occupied[resource].count; i++) {
        const struct wave_slot *slot = &p->slots[p->occupied[resource].hosts[i]];
        if (slot->start > start && slot->start < end && load_at(p, resource, slot->start, &first) >= most &&
            first > next)
            next = first;
    }
    *ret_next = next;
    return next != 0;
}

static moment ready_at(const struct planning *p, const struct wave_host *host)
{
    const struct wave_system *system = &p->wave->systems[host->system];
    moment ready = p->wave->now;
    for (size_t i = 0; i < system->after_count; i++)
        if (p->system_end[system->after[i]] > ready)
            ready = p->system_end[system->after[i]];
    return ready;
}

/* Load only grows, so this moment only moves on; nothing that uses the resource begins before it. */
static moment first_free(struct planning *p, size_t resource)
{
    struct occupied *occupied = &p->occupied[resource];
    moment next;
    while (load_at(p, resource, occupied->first_free, &next) >= p->wave->resources[resource].most)
        occupied->first_free = next;
    return occupied->first_free;
}

static bool place(struct planning *p, size_t number)
{
    const struct wave_host *host = &p->wave->hosts[number];
    struct wave_slot *slot = &p->slots[number];
    moment start = ready_at(p, host), cut;
    slot->waited_us[WAVE_DEPENDENCY] = start - p->wave->now;
    for (size_t i = 0; i < host->use_count; i++) {
        moment from = first_free(p, host->uses[i]);
        if (from > start) {
            slot->waited_us[p->wave->resources[host->uses[i]].kind] += from - start;
            start = from;
        }
    }
    for (bool moved = true; moved;) {
        moved = false;
        if (!fit_window(p->wave, start + host->copy_us, host->cut_us, &cut))
            return false;
        slot->waited_us[WAVE_WINDOW] += cut - host->copy_us - start;
        start = cut - host->copy_us;
        for (size_t i = 0; i < host->use_count && !moved; i++) {
            moment next;
            if (!is_full(p, host->uses[i], start, cut + host->cut_us, &next))
                continue;
            slot->waited_us[p->wave->resources[host->uses[i]].kind] += next - start;
            start = next;
            moved = true;
        }
    }
    slot->placed = true;
    slot->start = start;
    slot->cut = cut;
    slot->end = cut + host->cut_us;
    return true;
}

static void settle(struct planning *p, size_t number)
{
    const struct wave_slot *slot = &p->slots[number];
    const struct wave_host *host = &p->wave->hosts[number];
    size_t system = host->system;
    for (size_t i = 0; slot->end > slot->start && i < host->use_count; i++) {
        struct occupied *occupied = &p->occupied[host->uses[i]];
        occupied->hosts[occupied->count++] = number;
    }
    p->settled[number] = true;
    p->open[system]--;
    if (!slot->placed) {
        p->stuck[system] = true;
        p->never[system] = slot->never;
    } else if (slot->end > p->system_end[system])
        p->system_end[system] = slot->end;
}

/* What has begun is where it is: it ends as predicted, at the first window from now on. */
static void place_begun(struct planning *p)
{
    for (size_t i = 0; i < p->wave->host_count; i++) {
        const struct wave_host *host = &p->wave->hosts[i];
        struct wave_slot *slot = &p->slots[i];
        p->open[host->system]++;
        if (host->state == WAVE_WAITING)
            continue;
        slot->placed = true;
        slot->start = host->started;
        slot->end = host->ended;
        slot->cut = host->ended - host->cut_us;
        if (host->state == WAVE_LOST) {
            slot->placed = false;
            slot->never = WAVE_MOVE;
            slot->end = slot->start;
        } else if (host->state == WAVE_RUNNING && host->cutting) {
            slot->cut = p->wave->asked;
            slot->end = p->wave->asked + host->cut_us;
        } else if (host->state == WAVE_RUNNING) {
            moment cut = host->started + host->copy_us;
            cut = cut > p->wave->now ? cut : p->wave->now;
            slot->placed = fit_window(p->wave, cut, host->cut_us, &slot->cut);
            slot->end = slot->placed ? slot->cut + host->cut_us : INT64_MAX / 2;
            slot->never = WAVE_WINDOW;
        }
    }
    for (size_t i = 0; i < p->wave->host_count; i++)
        if (p->wave->hosts[i].state != WAVE_WAITING)
            settle(p, i);
}

/* *ret_stuck: something that it waits for is never over. */
static bool is_ready(const struct planning *p, size_t number, bool *ret_stuck, enum wave_reason *ret_never)
{
    const struct wave_system *system = &p->wave->systems[p->wave->hosts[number].system];
    bool ready = true;
    *ret_stuck = false;
    for (size_t i = 0; i < system->after_count; i++) {
        ready = ready && !p->open[system->after[i]];
        if (!p->stuck[system->after[i]])
            continue;
        *ret_never = *ret_stuck && *ret_never == WAVE_MOVE ? WAVE_MOVE : p->never[system->after[i]];
        *ret_stuck = true;
    }
    return ready;
}

/* The first in the wanted order that may be placed now; those that are held come after all others. */
static bool next_host(const struct planning *p, size_t *ret_number, bool *ret_stuck,
                      enum wave_reason *ret_never)
{
    for (int held = 0; held < 2; held++)
        for (size_t i = 0; i < p->wave->host_count; i++)
            if (!p->settled[i] && p->wave->hosts[i].held == (held == 1) &&
                is_ready(p, i, ret_stuck, ret_never)) {
                *ret_number = i;
                return true;
            }
    return false;
}

void wave_plan(struct arena *arena, const struct wave *wave, struct wave_slot **ret_slots)
{
    struct planning p = {.wave = wave,
                         .slots = arena_array(arena, wave->host_count, sizeof *p.slots),
                         .settled = arena_array(arena, wave->host_count, sizeof *p.settled),
                         .system_end = arena_array(arena, wave->system_count, sizeof *p.system_end),
                         .open = arena_array(arena, wave->system_count, sizeof *p.open),
                         .stuck = arena_array(arena, wave->system_count, sizeof *p.stuck),
                         .never = arena_array(arena, wave->system_count, sizeof *p.never),
                         .occupied = arena_array(arena, wave->resource_count, sizeof *p.occupied)};
    for (size_t i = 0; i < wave->resource_count; i++)
        p.occupied[i] = (struct occupied){.hosts = arena_array(arena, wave->host_count, sizeof(size_t)),
                                          .first_free = wave->now};
    place_begun(&p);
    size_t next;
    bool stuck;
    enum wave_reason never;
    while (next_host(&p, &next, &stuck, &never)) {
        /* One that has no window stays without a slot, and so does what waits for it. */
        if (stuck || !place(&p, next))
            p.slots[next].never = stuck ? never : WAVE_WINDOW;
        settle(&p, next);
    }
    *ret_slots = p.slots;
}
