/* See pair.h. */
#include "tests/drivers/kvm/pair.h"

#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "tests/support/journal.h"

#define GO_ON_US (90 * MOMENT_SECOND)
#define CONSOLE_BYTES 65536
#define SETTLE_US (120 * MOMENT_SECOND)

static struct kvmcloud *second;

struct kvmcloud *pair_cloud(void)
{
    if (!second)
        second = kvmcloud_start();
    return second;
}

int pair_teardown(void **state)
{
    kvmcloud_stop(second);
    second = NULL;
    return fixture_teardown(state);
}

struct driver_session *pair_open(struct fixture *f)
{
    int64_t until = moment_monotonic() + GO_ON_US;
    for (;;) {
        struct driver_endpoint endpoint = kvmcloud_endpoint(pair_cloud());
        struct driver_call call = fixture_call(f, 20);
        struct driver_session *session;
        struct error *error = kvm_driver.open(&endpoint, &call, &session);
        if (!error)
            return session;
        assert_true(moment_monotonic() < until);
        fixture_fails(error, ERR_UNAVAILABLE);
        nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL); /* between two attempts */
    }
}

static const char *file_of(struct fixture *f, const struct kvmcloud *cloud, const struct journal *journal)
{
    return arena_printf(f->arena, "%s/standard/yunqiao-%s.qcow2", kvmcloud_folder(cloud), journal->volume);
}

struct journal journal_start(struct fixture *f, const char *name)
{
    struct driver_call call = fixture_call(f, 60);
    struct journal journal = {.spec = fixture_spec(f, name), .volume = id_new_in(f->arena)};
    struct driver_volume volume;
    const struct driver_volume_spec spec = {.id = journal.volume, .name = "journal", .size_gb = 1};
    fixture_ok(kvm_driver.volume_create(f->session, &call, &spec, &volume));
    journal_format(file_of(f, f->cloud, &journal));
    /* The guest looks for its journal while it starts: it is stopped in its firmware, and given the disk. */
    fixture_create(f, &journal.spec);
    const struct driver_key instance = {.id = journal.spec.id}, key = {.id = journal.volume};
    fixture_ok(kvm_driver.instance_stop(f->session, &call, &instance, 0));
    fixture_ok(kvm_driver.volume_attach(f->session, &call, &key, &instance));
    fixture_ok(kvm_driver.instance_start(f->session, &call, &instance));
    journal.disks[0] = (struct driver_shell_disk){.size_bytes = UINT64_C(1) << 30, .boot = true};
    journal.disks[1] =
        (struct driver_shell_disk){.size_bytes = UINT64_C(1) << 30, .volume_id = journal.volume};
    return journal;
}

struct driver_move_spec journal_move(struct fixture *f, const struct journal *journal,
                                     struct driver_endpoint *target)
{
    *target = kvmcloud_endpoint(pair_cloud());
    return (struct driver_move_spec){
        .id = id_new_in(f->arena), .target = target, .disks = journal->disks, .disk_count = 2};
}

unsigned journal_said(struct fixture *f, struct driver_session *session, const struct journal *journal)
{
    struct driver_call call = fixture_call(f, 20);
    const char *text;
    size_t length;
    fixture_ok(kvm_driver.instance_console(session, &call, &(struct driver_key){.id = journal->spec.id},
                                           CONSOLE_BYTES, &text, &length));
    return journal_last(text, journal->spec.name);
}

unsigned journal_goes_on(struct fixture *f, struct driver_session *session, const struct journal *journal,
                         unsigned least)
{
    int64_t until = moment_monotonic() + GO_ON_US;
    for (;;) {
        unsigned said = journal_said(f, session, journal);
        if (said > least)
            return said;
        if (moment_monotonic() > until)
            fail_msg("the journal ends at %u, which is not above %u", said, least);
        nanosleep(&(struct timespec){.tv_nsec = 200 * 1000 * 1000}, NULL); /* between two looks */
    }
}

void journal_check(struct fixture *f, const struct kvmcloud *cloud, const struct journal *journal,
                   unsigned said)
{
    (void)journal_verify(file_of(f, cloud, journal), kvmcloud_folder(cloud), journal->spec.name, said);
}

void journal_stop(struct fixture *f, struct driver_session *session, const struct journal *journal)
{
    struct driver_call call = fixture_call(f, 90);
    fixture_ok(kvm_driver.instance_stop(session, &call, &(struct driver_key){.id = journal->spec.id},
                                        60 * MOMENT_SECOND));
    unsigned said = journal_said(f, session, journal);
    journal_check(f, session == f->session ? f->cloud : pair_cloud(), journal, said);
}

void pair_expect_empty(struct fixture *f)
{
    static const char *const pools[] = {"standard", "high"};
    for (size_t i = 0; i < 2; i++) {
        char *path = arena_printf(f->arena, "%s/%s", kvmcloud_folder(pair_cloud()), pools[i]);
        DIR *folder = opendir(path);
        assert_non_null(folder);
        for (struct dirent *entry; (entry = readdir(folder));)
            if (entry->d_name[0] != '.')
                fail_msg("%s/%s was left behind", path, entry->d_name);
        closedir(folder);
    }
    char names[256];
    assert_int_equal(kvmcloud_virsh(pair_cloud(), names, sizeof names,
                                    (const char *const[]){"list", "--all", "--name", NULL}),
                     0);
    assert_string_equal(names[0] == '\n' ? names + 1 : names, "");
}

void pair_clear(struct fixture *f, struct driver_session *session, const struct journal *journal)
{
    struct driver_call call = fixture_call(f, 60);
    fixture_ok(kvm_driver.instance_delete(session, &call, &(struct driver_key){.id = journal->spec.id}));
    fixture_ok(kvm_driver.volume_delete(session, &call, &(struct driver_key){.id = journal->volume}));
}

enum driver_power pair_power(struct fixture *f, struct driver_session *session, const char *id)
{
    struct driver_call call = fixture_call(f, 20);
    struct driver_instance instance;
    struct error *error = kvm_driver.instance_find(session, &call, &(struct driver_key){.id = id}, &instance);
    if (!error)
        return instance.power;
    fixture_fails(error, ERR_NOT_FOUND);
    return DRIVER_POWER_UNKNOWN;
}

bool pair_fenced(struct fixture *f, struct driver_session *session, const char *id)
{
    struct driver_call call = fixture_call(f, 20);
    struct driver_detail detail;
    fixture_ok(kvm_driver.instance_detail(session, &call, &(struct driver_key){.id = id}, &detail));
    return detail.fenced;
}

enum driver_side pair_settle(struct fixture *f, const struct driver_key *key,
                             const struct driver_move_spec *spec)
{
    int64_t until = moment_monotonic() + SETTLE_US;
    for (;;) {
        struct driver_call call = fixture_call(f, 60);
        enum driver_side side;
        struct error *error = kvm_driver.move_settle(f->session, &call, key, spec, true, &side);
        if (!error)
            return side;
        if (moment_monotonic() > until ||
            (error_code(error) != ERR_UNAVAILABLE && error_code(error) != ERR_BUSY))
            fixture_ok(error);
        error_free(error);
        nanosleep(&(struct timespec){.tv_nsec = 200 * 1000 * 1000}, NULL); /* between two attempts */
    }
}

/* The process whose command line has "guest=NAME-": the test's own guest, by its id. */
static void kill_qemu(const char *name, bool incoming, int signal)
{
    char wanted[96];
    (void)snprintf(wanted, sizeof wanted, "guest=%s-", name);
    DIR *folder = opendir("/proc");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char path[300];
        static char line[65536];
        memset(line, 0, sizeof line);
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        (void)snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        FILE *file = fopen(path, "re");
        size_t length = file ? fread(line, 1, sizeof line - 1, file) : 0;
        for (size_t i = 0; i < length; i++)
            line[i] = line[i] ? line[i] : ' ';
        if (file)
            (void)fclose(file);
        /* The target's has the same name and waits with -incoming. */
        if (strstr(line, wanted) && (strstr(line, " -incoming ") != NULL) == incoming)
            (void)kill((pid_t)strtol(entry->d_name, NULL, 10), signal);
    }
    closedir(folder);
}

void pair_kill_source(const char *name)
{
    kill_qemu(name, false, SIGKILL);
}

void pair_kill_target(const char *name)
{
    kill_qemu(name, true, SIGKILL);
}

void pair_stop_target(const char *name)
{
    kill_qemu(name, true, SIGSTOP);
}
