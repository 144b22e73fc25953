/* Time. A moment is microseconds since 1970-01-01T00:00:00Z. Business time comes from one struct clock that
 * is passed in; durations come from the monotonic clock. Asia/Shanghai is used only for period boundaries and
 * display: it has been UTC+08:00 without daylight saving since 1991-09-15, and earlier moments are refused
 * where a period is asked. */
#ifndef BROKER_BASE_MOMENT_H
#define BROKER_BASE_MOMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"

typedef int64_t moment; /* microseconds UTC */

#define MOMENT_SECOND INT64_C(1000000)
#define MOMENT_MINUTE (60 * MOMENT_SECOND)
#define MOMENT_HOUR (60 * MOMENT_MINUTE)
#define MOMENT_DAY (24 * MOMENT_HOUR)
#define MOMENT_SHANGHAI_OFFSET (8 * MOMENT_HOUR)
#define MOMENT_MIN \
    INT64_C(685584000000000) /* 1991-09-23T00:00:00Z, after the last change of the zone's rules */
#define MOMENT_MAX INT64_C(253370764800000000) /* 9999-01-01T00:00:00Z */

/* The broker's clock: the system's plus an offset that can only grow (the `clock_offset` setting, for
 * rehearsals and tests). Never goes backwards within a process. Thread-safe. */
struct clock;
struct clock *clock_new(int64_t offset_us);
void clock_free(struct clock *clock);
moment clock_now(struct clock *clock);
/* ERR_INVALID when smaller than the present offset. */
struct error *clock_set_offset(struct clock *clock, int64_t offset_us) ERROR_MUST_USE;
int64_t clock_offset(struct clock *clock);

/* CLOCK_MONOTONIC in microseconds, for durations and deadlines only. */
int64_t moment_monotonic(void);

/* A calendar month in Asia/Shanghai. */
struct month {
    int year;  /* 1992–9998 */
    int month; /* 1–12 */
};

/* "2026-11", exactly seven characters; else ERR_INVALID. */
struct error *month_parse(const char *text, struct month *ret_month) ERROR_MUST_USE;
/* `text` gets 8 bytes, "2026-11". */
void month_format(struct month month, char text[8]);
struct month month_of(moment at);
struct month month_next(struct month month);
struct month month_previous(struct month month);
int month_compare(struct month a, struct month b);
int month_days(struct month month);
/* Half-open [start, end). */
moment month_start(struct month month);
moment month_end(struct month month);
/* Start of the day in Asia/Shanghai that holds `at`. */
moment moment_day_start(moment at);
/* The same day and time of day `months` later in Asia/Shanghai, the day cut to the month's length. */
moment moment_add_months(moment at, int months);

/* RFC 3339 with any offset and up to 6 fraction digits; else ERR_INVALID. Outside MOMENT_MIN..MOMENT_MAX:
 * ERR_INVALID. */
struct error *moment_parse(const char *text, moment *ret_at) ERROR_MUST_USE;
#define MOMENT_TEXT 28
/* "2026-11-24T03:04:05.123456Z" always with six digits, 28 bytes with the end. */
void moment_format(moment at, char text[MOMENT_TEXT]);
/* "2026-11-24 11:04:05" in Asia/Shanghai, for people; 20 bytes with the end. */
void moment_format_shanghai(moment at, char text[20]);
/* moment_format into an arena. */
const char *moment_text(struct arena *arena, moment at);

#endif
