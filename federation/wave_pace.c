/* What the contract asks of a wave, and what was measured; see wave.h. */
#include <string.h>

#include "broker/base/money.h"
#include "federation/wave.h"

/* 1970-01-01 was a Thursday; Saturday and Sunday of Asia/Shanghai are 2 and 3 days after one. */
static bool is_working_day(const struct wave *wave, moment day)
{
    int64_t since = (day + MOMENT_SHANGHAI_OFFSET) / MOMENT_DAY % 7;
    if (since == 2 || since == 3)
        return false;
    for (size_t i = 0; i < wave->holiday_count; i++)
        if (wave->holidays[i] == day)
            return false;
    return true;
}

moment wave_working_days(const struct wave *wave, moment began, size_t days)
{
    moment day = moment_day_start(began);
    while (days) {
        day += MOMENT_DAY;
        days -= is_working_day(wave, day);
    }
    return day + MOMENT_DAY;
}

/* Hosts of the system that have ended by then, by the plan or in fact. */
static size_t ended_by(const struct wave *wave, const struct wave_slot *slots, size_t system, moment at)
{
    size_t count = 0;
    for (size_t i = 0; i < wave->host_count; i++)
        count += wave->hosts[i].system == system && slots[i].placed && slots[i].end <= at;
    return count;
}

static size_t hosts_due(const struct wave_pace *pace, size_t days)
{
    if (!pace->by_rate)
        return days >= WAVE_FEW_DAYS ? pace->hosts : 0;
    return days * WAVE_HOSTS_A_DAY < pace->hosts ? days * WAVE_HOSTS_A_DAY : pace->hosts;
}

static enum wave_reason longest_wait(const struct wave *wave, const struct wave_slot *slots, size_t system)
{
    wide waited[WAVE_REASON_COUNT] = {0};
    int longest = WAVE_WINDOW; /* of what is never placed: no window is long enough */
    bool held = false;
    for (size_t i = 0; i < wave->host_count; i++) {
        if (wave->hosts[i].system != system)
            continue;
        if (!slots[i].placed)
            return slots[i].never;
        held = held || wave->hosts[i].held;
        for (int k = 0; k < WAVE_REASON_COUNT; k++)
            waited[k] += slots[i].waited_us[k];
    }
    if (held)
        return WAVE_PAPERS;
    for (int k = 0; k < WAVE_REASON_COUNT; k++)
        if (waited[k] > waited[longest])
            longest = k;
    return (enum wave_reason)longest;
}

/* Each working day's end asks for its hosts; the first one that does not have them is when it is late. */
static void weigh_days(const struct wave *wave, const struct wave_slot *slots, size_t system, moment began,
                       struct wave_pace *pace)
{
    size_t last = pace->by_rate ? (pace->hosts + WAVE_HOSTS_A_DAY - 1) / WAVE_HOSTS_A_DAY : WAVE_FEW_DAYS;
    for (size_t days = 1; days <= last; days++) {
        moment end = wave_working_days(wave, began, days);
        size_t due = hosts_due(pace, days);
        if (end <= wave->asked)
            pace->expected = due;
        if (!pace->late && ended_by(wave, slots, system, end) < due) {
            pace->late = true;
            pace->late_at = end;
        }
    }
    pace->due = wave_working_days(wave, began, last);
}

void wave_pace(const struct wave *wave, const struct wave_slot *slots, size_t system, moment began,
               struct wave_pace *ret_pace)
{
    struct wave_pace pace = {.placed = true};
    for (size_t i = 0; i < wave->host_count; i++) {
        if (wave->hosts[i].system != system)
            continue;
        pace.hosts++;
        pace.bytes += wave->hosts[i].bytes;
        pace.done += wave->hosts[i].state == WAVE_DONE;
        pace.placed = pace.placed && slots[i].placed;
        if (slots[i].placed && slots[i].end > pace.forecast)
            pace.forecast = slots[i].end;
    }
    pace.by_rate = pace.hosts >= WAVE_FEW_HOSTS || pace.bytes > WAVE_LARGE_BYTES;
    weigh_days(wave, slots, system, began, &pace);
    pace.reason = longest_wait(wave, slots, system);
    *ret_pace = pace;
}

int64_t wave_rate(const struct wave *wave, const uint64_t *copied)
{
    wide bytes = 0, time = 0;
    for (size_t i = 0; i < wave->host_count; i++) {
        const struct wave_host *host = &wave->hosts[i];
        moment end = host->state == WAVE_DONE ? host->ended - host->cut_us : wave->asked;
        if (host->state == WAVE_WAITING || host->state == WAVE_LOST || !copied[i] || end <= host->started)
            continue;
        bytes += copied[i];
        time += host->worked_us ? host->worked_us : end - host->started;
    }
    wide rate = time ? bytes * MOMENT_SECOND / time : 0;
    return rate > INT64_MAX ? INT64_MAX : (int64_t)rate;
}

const struct wave_host *wave_measured(struct arena *arena, const struct wave *wave, int64_t rate)
{
    struct wave_host *hosts = arena_array(arena, wave->host_count, sizeof *hosts);
    if (wave->host_count)
        memcpy(hosts, wave->hosts, wave->host_count * sizeof *hosts);
    for (size_t i = 0; rate > 0 && i < wave->host_count; i++) {
        wide us = ((wide)hosts[i].bytes * MOMENT_SECOND + rate - 1) / rate;
        if (hosts[i].state == WAVE_WAITING)
            hosts[i].copy_us = us > INT64_MAX / 8 ? INT64_MAX / 8 : (int64_t)us;
    }
    return hosts;
}
