/* See journal.h. */
#include "tests/support/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "broker/base/arena.h"
#include "broker/base/digest.h"
#include "broker/base/moment.h"
#include "tests/support/process.h"

#define COMMAND_US (60 * MOMENT_SECOND)
#define UPTIME_US 10000 /* what /proc/uptime has */
#define NEAR 100        /* records */
/* Records that a guest may have written where it was, having said no more than half of the line there. */
#define UNSAID 3

/* Runs a shell command and fails the test with what it said unless it works. */
static void shell(struct arena *arena, const char *command)
{
    struct process *process = process_start((const char *const[]){"/bin/sh", "-ec", command, NULL}, NULL);
    const char *said = "";
    for (const char *line; (line = process_line(process, COMMAND_US));)
        said = arena_printf(arena, "%s%s\n", said, line);
    int status;
    if (waitpid(process_pid(process), &status, 0) < 0)
        status = -1;
    (void)process_stop(process);
    if (status != 0)
        fail_msg("%s\nended with %d:\n%s", command, status, said);
}

void journal_format(const char *file)
{
    ARENA_AUTO struct arena *arena = arena_new();
    shell(arena, arena_printf(arena,
                              "exec 2>&1; truncate -s 1G %s.raw; mke2fs -q -t ext4 %s.raw; "
                              "qemu-img convert -q -O qcow2 -o compat=1.1 %s.raw %s; rm %s.raw",
                              file, file, file, file, file));
}

/* Of whole lines. */
static unsigned find_said(const char *console, const char *name, bool first)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *mark = arena_printf(arena, "yunqiao guest %s journal ", name);
    unsigned said = 0;
    for (const char *at = console; (at = strstr(at, mark)) && !(first && said);) {
        char *end;
        at += strlen(mark);
        unsigned long number = strtoul(at, &end, 10);
        if (*end == '\r' || *end == '\n')
            said = (unsigned)number;
    }
    return said;
}

unsigned journal_last(const char *console, const char *name)
{
    return find_said(console, name, false);
}

unsigned journal_first(const char *console, const char *name)
{
    return find_said(console, name, true);
}

struct record {
    char boot[16];
    struct journal_range uptime; /* the hardware clock was read somewhere in it */
    int64_t clock;               /* 0: could not be read */
};

struct records {
    struct record *all; /* record 1 is the first; owned by an arena */
    unsigned count, room;
};

static void add_record(struct arena *arena, struct records *records, const struct record *record)
{
    if (records->count == records->room) {
        struct record *more = arena_array(arena, records->room * 2 + 256, sizeof *more);
        if (records->count)
            memcpy(more, records->all, records->count * sizeof *more);
        records->all = more;
        records->room = records->room * 2 + 256;
    }
    records->all[records->count++] = *record;
}

/* "12.34" as /proc/uptime has it, cut off behind 10 ms. */
static int64_t uptime_us(const char *text)
{
    char *end;
    int64_t whole = strtoll(text, &end, 10);
    if (*end != '.' || strlen(end) != 3)
        fail_msg("\"%s\" is no uptime", text);
    return whole * MOMENT_SECOND + strtoll(end + 1, NULL, 10) * UPTIME_US;
}

static void read_records(FILE *log, const char *name, struct arena *arena, struct records *records)
{
    char line[256], hex[DIGEST_HEX];
    while (fgets(line, sizeof line, log)) {
        struct record record;
        unsigned number;
        long long clock;
        char before[32], after[32], sum[80];
        if (sscanf(line, "%u %15s %31s %lld %31s %79s", &number, record.boot, before, &clock, after, sum) !=
                6 ||
            number != records->count + 1)
            fail_msg("record %u is followed by: %s", records->count, line);
        const char *text =
            arena_printf(arena, "%u %s %s %lld %s %s\n", number, record.boot, before, clock, after, name);
        digest_sha256(text, strlen(text), hex);
        assert_string_equal(sum, hex);
        record.uptime = (struct journal_range){uptime_us(before), uptime_us(after) + UPTIME_US};
        record.clock = clock * MOMENT_SECOND;
        add_record(arena, records, &record);
    }
}

/* Checks all, and reads the records of it. */
static struct records read_journal(struct arena *arena, const char *file, const char *folder,
                                   const char *name, unsigned said)
{
    struct records records = {0};
    const char *raw = arena_printf(arena, "%s/journal.raw", folder);
    const char *path = arena_printf(arena, "%s/journal.log", folder);
    shell(arena, arena_printf(arena,
                              "exec 2>&1; qemu-img check -q %s; qemu-img convert -O raw %s %s; "
                              "e2fsck -fn %s; debugfs -R 'dump log %s' %s",
                              file, file, raw, raw, path, raw));
    FILE *log = fopen(path, "re");
    assert_non_null(log);
    read_records(log, name, arena, &records);
    (void)fclose(log);
    (void)remove(raw);
    (void)remove(path);
    assert_true(records.count > 0);
    if (records.count < said)
        fail_msg("the guest said that %u records are on its disk, where there are %u", said, records.count);
    return records;
}

unsigned journal_verify(const char *file, const char *folder, const char *name, unsigned said)
{
    ARENA_AUTO struct arena *arena = arena_new();
    return read_journal(arena, file, folder, name, said).count;
}

/* How far the hardware clock is ahead of uptime by the records `first`…`last`, which are of one boot: each
 * says that it is at least and less than something. The two do not run at exactly the same rate, so no more
 * than NEAR records count, and bounds that miss each other say how far apart the rates are. */
static struct journal_range ahead(const struct records *records, unsigned first, unsigned last)
{
    struct journal_range range = {INT64_MIN, INT64_MAX};
    for (unsigned number = first; number <= last; number++) {
        const struct record *record = &records->all[number - 1];
        if (!record->clock)
            continue;
        int64_t least = record->clock - record->uptime.most;
        int64_t most = record->clock + MOMENT_SECOND - record->uptime.least;
        range.least = least > range.least ? least : range.least;
        range.most = most < range.most ? most : range.most;
    }
    assert_true(range.least != INT64_MIN); /* the hardware clock was read once at least */
    return range.least <= range.most ? range : (struct journal_range){range.most, range.least};
}

/* The first record behind `number` that is of another boot, or one behind the end. */
static unsigned boot_end(const struct records *records, unsigned number)
{
    unsigned next = number + 1;
    while (next <= records->count && !strcmp(records->all[next - 1].boot, records->all[number - 1].boot))
        next++;
    return next;
}

static unsigned boot_begin(const struct records *records, unsigned number)
{
    while (number > 1 && !strcmp(records->all[number - 2].boot, records->all[number - 1].boot))
        number--;
    return number;
}

static struct journal_gap find_gap(const struct records *records, unsigned left_at)
{
    /* What it wrote before it was stopped it may not have said. */
    unsigned other = boot_end(records, left_at);
    bool booted = other <= records->count;
    unsigned last = booted ? other - 1 : left_at, next = last + 1;
    unsigned first = boot_begin(records, left_at), settled = booted ? next : next + UNSAID;
    if (settled > records->count)
        fail_msg("%u records are too few to tell what came behind record %u", records->count, left_at);
    unsigned end = boot_end(records, settled) - 1;
    struct journal_range before = ahead(records, last - first > NEAR ? last - NEAR : first, last);
    struct journal_range after = ahead(records, settled, end - settled > NEAR ? settled + NEAR : end);
    const struct journal_range *then = &records->all[last - 1].uptime, *now = &records->all[next - 1].uptime;
    struct journal_gap gap = {.booted = booted, .up_us = now->least};
    gap.last = (struct journal_range){before.least + then->least, before.most + then->most};
    gap.next =
        (struct journal_range){(booted ? after.least : before.least) + now->least, after.most + now->most};
    int64_t phase = booted ? MOMENT_SECOND : 0; /* one machine's hardware clock keeps it where it goes */
    gap.step = (struct journal_range){gap.next.least - gap.last.most - phase,
                                      gap.next.most - gap.last.least + phase};
    if (!booted)
        gap.paused = (struct journal_range){after.least - before.most, after.most - before.least};
    gap.last.most += MOMENT_SECOND;
    gap.next.most += MOMENT_SECOND;
    return gap;
}

unsigned journal_verify_gap(const char *file, const char *folder, const char *name, unsigned said,
                            unsigned left_at, struct journal_gap *ret_gap)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct records records = read_journal(arena, file, folder, name, said);
    assert_true(left_at > 0 && left_at < records.count);
    *ret_gap = find_gap(&records, left_at);
    return records.count;
}
