/* Time; see moment.h. Civil dates are computed with the days-from-civil arithmetic of the proleptic Gregorian
 * calendar, so that no environment (TZ, locale, tzdata) can move a billing boundary. */
#include "broker/base/moment.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct clock {
    pthread_mutex_t lock;
    int64_t offset;
    moment latest;
};

struct civil {
    int year, month, day;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t days_from_civil(struct civil date)
{
    int64_t year = date.year - (date.month <= 2);
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static struct civil civil_from_days(int64_t days)
{
    days += 719468;
    int64_t era = floor_div(days, 146097);
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;
    int month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    return (struct civil){.year = (int)(year_of_era + era * 400 + (month <= 2)),
                          .month = month,
                          .day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1)};
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static moment system_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    return (moment)now.tv_sec * MOMENT_SECOND + now.tv_nsec / 1000;
}

struct clock *clock_new(int64_t offset_us)
{
    struct clock *clock = xcalloc(1, sizeof *clock);
    (void)pthread_mutex_init(&clock->lock, NULL); /* default attributes cannot fail on Linux */
    clock->offset = offset_us;
    return clock;
}

void clock_free(struct clock *clock)
{
    if (!clock)
        return;
    (void)pthread_mutex_destroy(&clock->lock);
    free(clock);
}

moment clock_now(struct clock *clock)
{
    (void)pthread_mutex_lock(&clock->lock);
    moment now = system_now() + clock->offset;
    if (now <= clock->latest)
        now = clock->latest;
    clock->latest = now;
    (void)pthread_mutex_unlock(&clock->lock);
    return now;
}

struct error *clock_set_offset(struct clock *clock, int64_t offset_us)
{
    struct error *error = NULL;
    (void)pthread_mutex_lock(&clock->lock);
    if (offset_us < clock->offset)
        error = error_new(ERR_INVALID, "the clock's offset can only grow");
    else
        clock->offset = offset_us;
    (void)pthread_mutex_unlock(&clock->lock);
    return error;
}

int64_t clock_offset(struct clock *clock)
{
    (void)pthread_mutex_lock(&clock->lock);
    int64_t offset = clock->offset;
    (void)pthread_mutex_unlock(&clock->lock);
    return offset;
}

int64_t moment_monotonic(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail with this clock */
    return (int64_t)now.tv_sec * MOMENT_SECOND + now.tv_nsec / 1000;
}

/* Exactly `count` digits at *text, which moves past them. */
static bool take_digits(const char **text, int count, int *ret_value)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        char c = (*text)[i];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *text += count;
    *ret_value = value;
    return true;
}

static bool take_char(const char **text, char wanted)
{
    if (**text != wanted)
        return false;
    ++*text;
    return true;
}

struct error *month_parse(const char *text, struct month *ret_month)
{
    struct month month;
    const char *at = text;
    if (!take_digits(&at, 4, &month.year) || !take_char(&at, '-') || !take_digits(&at, 2, &month.month) ||
        *at || month.month < 1 || month.month > 12 || month.year < 1992 || month.year > 9998)
        return error_new(ERR_INVALID, "not a month like 2026-11");
    *ret_month = month;
    return NULL;
}

void month_format(struct month month, char text[8])
{
    (void)snprintf(text, 8, "%04u-%02u", (unsigned)month.year % 10000, (unsigned)month.month % 100);
}

struct month month_of(moment at)
{
    struct civil date = civil_from_days(floor_div(at + MOMENT_SHANGHAI_OFFSET, MOMENT_DAY));
    return (struct month){date.year, date.month};
}

struct month month_next(struct month month)
{
    return month.month == 12 ? (struct month){month.year + 1, 1}
                             : (struct month){month.year, month.month + 1};
}

struct month month_previous(struct month month)
{
    return month.month == 1 ? (struct month){month.year - 1, 12}
                            : (struct month){month.year, month.month - 1};
}

int month_compare(struct month a, struct month b)
{
    int years = (a.year > b.year) - (a.year < b.year);
    return years ? years : (a.month > b.month) - (a.month < b.month);
}

int month_days(struct month month)
{
    return days_in_month(month.year, month.month);
}

moment month_start(struct month month)
{
    return days_from_civil((struct civil){month.year, month.month, 1}) * MOMENT_DAY - MOMENT_SHANGHAI_OFFSET;
}

moment month_end(struct month month)
{
    return month_start(month_next(month));
}

moment moment_day_start(moment at)
{
    return floor_div(at + MOMENT_SHANGHAI_OFFSET, MOMENT_DAY) * MOMENT_DAY - MOMENT_SHANGHAI_OFFSET;
}

moment moment_add_months(moment at, int months)
{
    moment start = moment_day_start(at);
    struct civil date = civil_from_days(floor_div(at + MOMENT_SHANGHAI_OFFSET, MOMENT_DAY));
    int64_t index = (int64_t)date.year * 12 + date.month - 1 + months;
    date.year = (int)floor_div(index, 12);
    date.month = (int)(index - floor_div(index, 12) * 12) + 1;
    if (date.day > days_in_month(date.year, date.month))
        date.day = days_in_month(date.year, date.month);
    return days_from_civil(date) * MOMENT_DAY - MOMENT_SHANGHAI_OFFSET + (at - start);
}

static bool take_fraction(const char **text, int64_t *ret_us)
{
    int64_t value = 0, unit = MOMENT_SECOND / 10;
    if (!take_char(text, '.'))
        return true;
    int digits = 0;
    for (; **text >= '0' && **text <= '9'; ++*text, ++digits, unit /= 10)
        value += (**text - '0') * unit;
    *ret_us = value;
    return digits >= 1 && digits <= 6;
}

static bool take_offset(const char **text, int64_t *ret_us)
{
    if (take_char(text, 'Z') || take_char(text, 'z'))
        return true;
    int sign = **text == '-' ? -1 : 1, hours, minutes;
    if (!take_char(text, '+') && !take_char(text, '-'))
        return false;
    if (!take_digits(text, 2, &hours) || !take_char(text, ':') || !take_digits(text, 2, &minutes) ||
        hours > 23 || minutes > 59)
        return false;
    *ret_us = sign * (hours * MOMENT_HOUR + minutes * MOMENT_MINUTE);
    return true;
}

struct error *moment_parse(const char *text, moment *ret_at)
{
    struct civil date;
    int hour, minute, second;
    int64_t fraction = 0, offset = 0;
    const char *at = text;
    bool good = take_digits(&at, 4, &date.year) && take_char(&at, '-') && take_digits(&at, 2, &date.month) &&
                take_char(&at, '-') && take_digits(&at, 2, &date.day) &&
                (take_char(&at, 'T') || take_char(&at, 't') || take_char(&at, ' ')) &&
                take_digits(&at, 2, &hour) && take_char(&at, ':') && take_digits(&at, 2, &minute) &&
                take_char(&at, ':') && take_digits(&at, 2, &second) && take_fraction(&at, &fraction) &&
                take_offset(&at, &offset) && !*at;
    if (!good || date.month < 1 || date.month > 12 || date.day < 1 ||
        date.day > days_in_month(date.year, date.month) || hour > 23 || minute > 59 || second > 59)
        return error_new(ERR_INVALID, "not a time like 2026-11-24T03:04:05Z");
    moment value = days_from_civil(date) * MOMENT_DAY + hour * MOMENT_HOUR + minute * MOMENT_MINUTE +
                   second * MOMENT_SECOND + fraction - offset;
    if (value < MOMENT_MIN || value > MOMENT_MAX)
        return error_new(ERR_INVALID, "a time outside 1991-09-23 to 9999");
    *ret_at = value;
    return NULL;
}

static void format_parts(moment at, struct civil *ret_date, unsigned clock[3], unsigned *ret_fraction)
{
    int64_t days = floor_div(at, MOMENT_DAY), rest = at - days * MOMENT_DAY;
    *ret_date = civil_from_days(days);
    clock[0] = (unsigned)(rest / MOMENT_HOUR % 24);
    clock[1] = (unsigned)(rest / MOMENT_MINUTE % 60);
    clock[2] = (unsigned)(rest / MOMENT_SECOND % 60);
    *ret_fraction = (unsigned)(rest % MOMENT_SECOND);
}

/* So many digits, and what follows them; the end of that. */
static char *put_digits(char *text, unsigned value, int count, char after)
{
    for (int i = count - 1; i >= 0; i--, value /= 10)
        text[i] = (char)('0' + value % 10);
    text[count] = after;
    return text + count + 1;
}

void moment_format(moment at, char text[MOMENT_TEXT])
{
    struct civil date;
    unsigned clock[3], fraction;
    format_parts(at, &date, clock, &fraction);
    text = put_digits(text, (unsigned)date.year, 4, '-');
    text = put_digits(text, (unsigned)date.month, 2, '-');
    text = put_digits(text, (unsigned)date.day, 2, 'T');
    text = put_digits(text, clock[0], 2, ':');
    text = put_digits(text, clock[1], 2, ':');
    text = put_digits(text, clock[2], 2, '.');
    text = put_digits(text, fraction, 6, 'Z');
    *text = '\0';
}

void moment_format_shanghai(moment at, char text[20])
{
    struct civil date;
    unsigned clock[3], fraction;
    format_parts(at + MOMENT_SHANGHAI_OFFSET, &date, clock, &fraction);
    (void)snprintf(text, 20, "%04u-%02u-%02u %02u:%02u:%02u", (unsigned)date.year % 10000,
                   (unsigned)date.month % 100, (unsigned)date.day % 100, clock[0] % 100, clock[1] % 100,
                   clock[2] % 100);
}

const char *moment_text(struct arena *arena, moment at)
{
    char *text = arena_alloc(arena, MOMENT_TEXT);
    moment_format(at, text);
    return text;
}
