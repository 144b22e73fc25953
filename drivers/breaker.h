/* The gate's circuit breaker and rate limit: two small pure state machines over a time that is passed in
 * (monotonic microseconds), so that drivers/gate.c can hold them under its lock and tests can walk them
 * without waiting. Not thread-safe. */
#ifndef DRIVERS_BREAKER_H
#define DRIVERS_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/gate.h"

/* closed → open after `failures` in a row, or → denied after one refused logon; both → half-open when their
 * time is over and a caller asks; half-open → closed when that caller's call worked, back (for twice the
 * time, at most open_max_us) when it did not. */
struct breaker {
    unsigned limit;
    int64_t open_us, open_max_us, denied_us;

    enum gate_state state;
    int64_t since, until; /* until: when open or denied may be tried */
    int64_t pause;        /* how long the present pause is; 0 when closed */
    unsigned failures;
    char *last_error; /* owned */
    int64_t last_error_at;
};

enum breaker_outcome {
    BREAKER_WORKED, /* the endpoint answered, whatever it said */
    BREAKER_FAILED, /* unavailable or out of time */
    BREAKER_DENIED, /* the logon was refused */
    BREAKER_SILENT, /* says nothing about the endpoint: cancelled, refused by the gate… */
};

void breaker_init(struct breaker *breaker, const struct gate_limits *limits, int64_t now);
void breaker_done(struct breaker *breaker);
/* Whether a call would be let through, without counting as the one that tries. */
bool breaker_peek(const struct breaker *breaker, int64_t now);
/* Whether this call may go. *ret_probe: it is the one that tries, and breaker_tell must follow. */
bool breaker_ask(struct breaker *breaker, int64_t now, bool *ret_probe);
/* What came of a call that was let through; `message` for the two failing outcomes, copied. */
void breaker_tell(struct breaker *breaker, int64_t now, bool probe, enum breaker_outcome outcome,
                  const char *message);
/* Microseconds until the next call may try, at least 1 while calls are refused; 0 when closed. */
int64_t breaker_retry_in(const struct breaker *breaker, int64_t now);

/* Token bucket: `rate` a second, at most `burst` saved up; starts full. Counts in millionths of a token. */
struct bucket {
    int64_t rate, most, level;
    int64_t at;
};

void bucket_init(struct bucket *bucket, unsigned rate, unsigned burst, int64_t now);
/* 0: a token was taken. Else the microseconds until there will be one. */
int64_t bucket_take(struct bucket *bucket, int64_t now);

#endif
