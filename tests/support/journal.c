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

static unsigned check_records(FILE *log, const char *name)
{
    char line[256], hex[DIGEST_HEX];
    unsigned count = 0;
    while (fgets(line, sizeof line, log)) {
        unsigned number;
        char uptime[32], sum[80], text[128];
        if (sscanf(line, "%u %31s %79s", &number, uptime, sum) != 3 || number != count + 1)
            fail_msg("record %u is followed by: %s", count, line);
        int length = snprintf(text, sizeof text, "%u %s %s\n", number, uptime, name);
        digest_sha256(text, (size_t)length, hex);
        assert_string_equal(sum, hex);
        count++;
    }
    return count;
}

unsigned journal_verify(const char *file, const char *folder, const char *name, unsigned said)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *raw = arena_printf(arena, "%s/journal.raw", folder);
    const char *log = arena_printf(arena, "%s/journal.log", folder);
    shell(arena, arena_printf(arena,
                              "exec 2>&1; qemu-img check -q %s; qemu-img convert -O raw %s %s; "
                              "e2fsck -fn %s; debugfs -R 'dump log %s' %s",
                              file, file, raw, raw, log, raw));
    FILE *records = fopen(log, "re");
    assert_non_null(records);
    unsigned count = check_records(records, name);
    (void)fclose(records);
    (void)remove(raw);
    (void)remove(log);
    assert_true(count > 0);
    if (count < said)
        fail_msg("the guest said that %u records are on its disk, where there are %u", said, count);
    return count;
}
