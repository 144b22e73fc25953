/* Circuit breaker and token bucket; see breaker.h. */
#include "drivers/breaker.h"

#include <stdlib.h>

#include "broker/base/arena.h"

#define TOKEN INT64_C(1000000)
/* While another caller tries, the rest look again after this. */
#define PROBE_US INT64_C(1000000)

const char *gate_state_name(enum gate_state state)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        GATE_STATES(X)
#undef X
    };
    return (size_t)state < sizeof names / sizeof *names ? names[state] : "unknown";
}

void breaker_init(struct breaker *breaker, const struct gate_limits *limits, int64_t now)
{
    *breaker = (struct breaker){.limit = limits->breaker_failures,
                                .open_us = limits->breaker_open_us,
                                .open_max_us = limits->breaker_open_max_us,
                                .denied_us = limits->denied_us,
                                .state = GATE_CLOSED,
                                .since = now};
}

void breaker_done(struct breaker *breaker)
{
    free(breaker->last_error);
    breaker->last_error = NULL;
}

static void enter(struct breaker *breaker, enum gate_state state, int64_t now)
{
    if (breaker->state != state)
        breaker->since = now;
    breaker->state = state;
}

/* Refuses calls for `first` at the first time, then for twice as long as the time before. */
static void shut(struct breaker *breaker, enum gate_state state, int64_t first, int64_t now)
{
    int64_t pause = breaker->pause ? breaker->pause * 2 : first;
    if (pause > breaker->open_max_us)
        pause = breaker->open_max_us > first ? breaker->open_max_us : first;
    breaker->pause = pause;
    breaker->until = now + pause;
    enter(breaker, state, now);
}

bool breaker_peek(const struct breaker *breaker, int64_t now)
{
    switch (breaker->state) {
    case GATE_CLOSED:
        return true;
    case GATE_OPEN:
    case GATE_DENIED:
        return now >= breaker->until;
    case GATE_HALF_OPEN:
        break;
    }
    return false;
}

bool breaker_ask(struct breaker *breaker, int64_t now, bool *ret_probe)
{
    if (!breaker_peek(breaker, now))
        return false;
    *ret_probe = breaker->state != GATE_CLOSED;
    if (*ret_probe)
        enter(breaker, GATE_HALF_OPEN, now);
    return true;
}

static void remember(struct breaker *breaker, const char *message, int64_t now)
{
    free(breaker->last_error);
    breaker->last_error = xstrdup(message);
    breaker->last_error_at = now;
}

void breaker_tell(struct breaker *breaker, int64_t now, bool probe, enum breaker_outcome outcome,
                  const char *message)
{
    switch (outcome) {
    case BREAKER_WORKED:
        breaker->failures = 0;
        breaker->pause = 0;
        enter(breaker, GATE_CLOSED, now);
        return;
    case BREAKER_FAILED:
        remember(breaker, message, now);
        breaker->failures++;
        if (probe || (breaker->state == GATE_CLOSED && breaker->failures >= breaker->limit))
            shut(breaker, GATE_OPEN, breaker->open_us, now);
        return;
    case BREAKER_DENIED:
        remember(breaker, message, now);
        breaker->failures++;
        if (probe || breaker->state != GATE_DENIED)
            shut(breaker, GATE_DENIED, breaker->denied_us, now);
        return;
    case BREAKER_SILENT:
        if (probe) {
            breaker->until = now;
            enter(breaker, GATE_OPEN, now);
        }
        return;
    }
}

int64_t breaker_retry_in(const struct breaker *breaker, int64_t now)
{
    if (breaker->state == GATE_CLOSED)
        return 0;
    int64_t left = breaker->state == GATE_HALF_OPEN ? PROBE_US : breaker->until - now;
    return left > 1 ? left : 1;
}

void bucket_init(struct bucket *bucket, unsigned rate, unsigned burst, int64_t now)
{
    *bucket = (struct bucket){
        .rate = rate, .most = (int64_t)burst * TOKEN, .level = (int64_t)burst * TOKEN, .at = now};
}

int64_t bucket_take(struct bucket *bucket, int64_t now)
{
    /* A pause long enough to fill it needs no product, which might overflow. */
    int64_t passed = now > bucket->at ? now - bucket->at : 0;
    if (passed >= bucket->most / bucket->rate + 1)
        bucket->level = bucket->most;
    else if (bucket->level + passed * bucket->rate < bucket->most)
        bucket->level += passed * bucket->rate;
    else
        bucket->level = bucket->most;
    bucket->at = now;
    if (bucket->level >= TOKEN) {
        bucket->level -= TOKEN;
        return 0;
    }
    return (TOKEN - bucket->level + bucket->rate - 1) / bucket->rate;
}
