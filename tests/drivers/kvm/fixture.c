/* See fixture.h. */
#include "tests/drivers/kvm/fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"

#define HEAR_US (90 * MOMENT_SECOND)
#define REOPEN_US (30 * MOMENT_SECOND)
#define CONSOLE_BYTES 65536

int fixture_setup(void **state)
{
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    fixture->cloud = kvmcloud_start();
    *state = fixture;
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    kvmcloud_stop(fixture->cloud);
    free(fixture);
    return 0;
}

struct driver_session *fixture_open(struct fixture *fixture)
{
    struct driver_endpoint endpoint = kvmcloud_endpoint(fixture->cloud);
    struct driver_call call = fixture_call(fixture, 20);
    struct driver_session *session = NULL;
    fixture_ok(kvm_driver.open(&endpoint, &call, &session));
    return session;
}

void fixture_reopen(struct fixture *fixture)
{
    kvm_driver.close(fixture->session);
    fixture->session = NULL;
    int64_t until = moment_monotonic() + REOPEN_US;
    while (!fixture->session) {
        assert_true(moment_monotonic() < until);
        struct driver_endpoint endpoint = kvmcloud_endpoint(fixture->cloud);
        struct driver_call call = fixture_call(fixture, 20);
        struct driver_session *session;
        struct error *error = kvm_driver.open(&endpoint, &call, &session);
        if (!error) {
            fixture->session = session;
            return;
        }
        fixture_fails(error, ERR_UNAVAILABLE);
        nanosleep(&(struct timespec){.tv_nsec = 100 * 1000 * 1000}, NULL); /* between two attempts */
    }
}

int fixture_begin(void **state)
{
    struct fixture *fixture = *state;
    fixture->arena = arena_new();
    fixture->session = fixture_open(fixture);
    return 0;
}

static void expect_empty(struct fixture *fixture, const char *pool)
{
    char *path = arena_printf(fixture->arena, "%s/%s", kvmcloud_folder(fixture->cloud), pool);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (strncmp(entry->d_name, "yunqiao-", 8) == 0)
            fail_msg("%s/%s was left behind", path, entry->d_name);
    closedir(folder);
}

int fixture_end(void **state)
{
    struct fixture *fixture = *state;
    struct driver_call call = fixture_call(fixture, 60);
    struct driver_inventory inventory;
    fixture_ok(kvm_driver.inventory(fixture->session, &call, &inventory));
    for (size_t i = 0; i < inventory.instance_count; i++)
        if (inventory.instances[i].id)
            fixture_ok(kvm_driver.instance_delete(fixture->session, &call,
                                                  &(struct driver_key){.id = inventory.instances[i].id}));
    for (size_t i = 0; i < inventory.volume_count; i++)
        if (inventory.volumes[i].id)
            fixture_ok(kvm_driver.volume_delete(fixture->session, &call,
                                                &(struct driver_key){.id = inventory.volumes[i].id}));
    expect_empty(fixture, "standard");
    expect_empty(fixture, "high");
    kvm_driver.close(fixture->session);
    arena_free(fixture->arena);
    return 0;
}

struct driver_call fixture_call(struct fixture *fixture, int seconds)
{
    return (struct driver_call){.arena = fixture->arena,
                                .deadline_us = moment_monotonic() + seconds * MOMENT_SECOND};
}

struct driver_instance_spec fixture_spec(struct fixture *fixture, const char *name)
{
    return (struct driver_instance_spec){.id = id_new_in(fixture->arena),
                                         .name = name,
                                         .architecture = "x86",
                                         .vcpu = 1,
                                         .memory_mb = 1024,
                                         .image = KVMCLOUD_IMAGE,
                                         .system_disk_gb = 1,
                                         .network = KVMCLOUD_NETWORK};
}

struct driver_instance fixture_create(struct fixture *fixture, const struct driver_instance_spec *spec)
{
    struct driver_call call = fixture_call(fixture, 60);
    struct driver_instance instance = {0};
    fixture_ok(kvm_driver.instance_create(fixture->session, &call, spec, &instance));
    return instance;
}

struct driver_instance fixture_find(struct fixture *fixture, const char *id)
{
    struct driver_call call = fixture_call(fixture, 20);
    struct driver_instance instance = {0};
    fixture_ok(kvm_driver.instance_find(fixture->session, &call, &(struct driver_key){.id = id}, &instance));
    return instance;
}

void fixture_ok(struct error *error)
{
    if (!error)
        return;
    fprintf(stderr, "%s: %s\n", error_code_name(error_code(error)), error_message(error));
    error_free(error);
    fail_msg("an operation failed");
}

void fixture_fails(struct error *error, enum error_code code)
{
    if (!error)
        fail_msg("succeeded instead of %s", error_code_name(code));
    enum error_code got = error_code(error);
    if (got != code)
        fprintf(stderr, "%s: %s\n", error_code_name(got), error_message(error));
    error_free(error);
    assert_string_equal(error_code_name(got), error_code_name(code));
}

static unsigned count_of(const char *text, const char *part)
{
    unsigned count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

void fixture_hears(struct fixture *fixture, const char *id, const char *text, unsigned times)
{
    int64_t until = moment_monotonic() + HEAR_US;
    const char *console = "";
    while (moment_monotonic() < until) {
        struct driver_call call = fixture_call(fixture, 20);
        size_t length;
        fixture_ok(kvm_driver.instance_console(fixture->session, &call, &(struct driver_key){.id = id},
                                               CONSOLE_BYTES, &console, &length));
        if (count_of(console, text) >= times)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 200 * 1000 * 1000}, NULL); /* between two looks */
    }
    fail_msg("the guest did not say \"%s\" %u times but:\n%s", text, times, console);
}
