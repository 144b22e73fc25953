/* The suite's workbench; see bench.h. */
#include "tests/conformance/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "broker/base/json.h"
#include "broker/base/log.h"
#include "drivers/registry.h"
#include "tests/support/child.h"

#define START_US (300 * MOMENT_SECOND) /* the first start of kvmcloud builds its guest */
#define CALL_US (120 * MOMENT_SECOND)
#define POWER_US (60 * MOMENT_SECOND)

struct arena *arena;
struct cloud cloud;
struct gate *gate;

static struct arena *bench_arena;
static struct cloud second_cloud;
static struct gate *to_second;

void expect_ok(struct error *error, const char *what, const char *file, int line)
{
    if (!error)
        return;
    print_error("%s\n  %s: %s\n", what, error_code_name(error_code(error)), error_message(error));
    error_free(error);
    _fail(file, line);
}

void expect_error(struct error *error, enum error_code code, enum error_code other, const char *what,
                  const char *file, int line)
{
    if (!error) {
        print_error("%s\n  worked where it must be \"%s\"\n", what, error_code_name(code));
        _fail(file, line);
        return;
    }
    bool good = error_code(error) == code || error_code(error) == other;
    if (!good)
        print_error("%s\n  must be \"%s\" but is %s: %s\n", what, error_code_name(code),
                    error_code_name(error_code(error)), error_message(error));
    error_free(error);
    if (!good)
        _fail(file, line);
}

const json_t *cloud_start(struct arena *own, struct cloud *started, const char *const *argv)
{
    const char *line;
    json_t *json;
    started->child = child_start(argv, START_US, &line);
    struct error *error = json_parse_in(own, line, strlen(line), &json);
    if (error) {
        fprintf(stderr, "%s: %s: %s\n", argv[0], line, error_message(error));
        exit(1);
    }
    started->url = arena_strdup(own, json_string_value(json_object_get(json, "url")));
    started->fingerprint = arena_strdup(own, json_string_value(json_object_get(json, "fingerprint")));
    return json;
}

static void cloud_stop(struct cloud *stopped)
{
    child_stop(stopped->child);
    if (stopped->folder) {
        const char *const argv[] = {"rm", "-rf", "--one-file-system", stopped->folder, NULL};
        (void)child_run(argv, START_US); /* a leftover folder is no failure of a driver */
    }
    json_decref(stopped->options);
    *stopped = (struct cloud){.url = NULL};
}

struct driver_endpoint endpoint_of(const struct cloud *of)
{
    return (struct driver_endpoint){.id = "conformance",
                                    .url = of->url,
                                    .username = of->username,
                                    .password = of->password,
                                    .fingerprint = of->fingerprint,
                                    .options = of->options,
                                    .timeout_us = 30 * MOMENT_SECOND};
}

static struct gate *gate_to(const struct cloud *to)
{
    struct gate *made = NULL;
    struct driver_endpoint endpoint = endpoint_of(to);
    OK(gate_new(conformance_peer.driver, &endpoint, &(struct gate_limits){.rate = 100000}, &made));
    return made;
}

int bench_start(void **state)
{
    const char *skip = NULL;
    log_set_level(LOG_ERROR);
    OK(driver_check(conformance_peer.driver));
    bench_arena = arena_new();
    conformance_peer.start(bench_arena, &cloud, &skip);
    if (skip) {
        fprintf(stderr, "skipped: %s\n", skip);
        exit(77);
    }
    gate = gate_to(&cloud);
    return 0;
}

int bench_stop(void **state)
{
    gate_free(gate);
    gate_free(to_second);
    cloud_stop(&cloud);
    cloud_stop(&second_cloud);
    arena_free(bench_arena);
    return 0;
}

struct gate *second_gate(void)
{
    const char *skip = NULL;
    if (!to_second) {
        conformance_peer.start(bench_arena, &second_cloud, &skip);
        to_second = gate_to(&second_cloud);
    }
    return to_second;
}

struct driver_endpoint second_endpoint(void)
{
    (void)second_gate();
    return endpoint_of(&second_cloud);
}

int case_start(void **state)
{
    arena = arena_new();
    return 0;
}

/* Nothing that the broker stamped may be there between two cases. */
static void remove_all(struct gate *from)
{
    struct driver_call call = call_long();
    struct driver_inventory all = inventory_of(from);
    for (size_t i = 0; i < all.instance_count; i++)
        if (all.instances[i].id)
            OK(gate_instance_delete(from, &call, &KEY(all.instances[i].id)));
    for (size_t i = 0; i < all.volume_count; i++)
        if (all.volumes[i].id)
            OK(gate_volume_delete(from, &call, &KEY(all.volumes[i].id)));
}

int case_end(void **state)
{
    remove_all(gate);
    if (to_second)
        remove_all(to_second);
    arena_free(arena);
    return 0;
}

struct driver_call call_long(void)
{
    return (struct driver_call){.arena = arena, .deadline_us = moment_monotonic() + CALL_US};
}

struct driver_instance_spec new_instance(const char *name)
{
    return (struct driver_instance_spec){.id = id_new_in(arena),
                                         .name = name,
                                         .architecture = conformance_peer.architecture,
                                         .vcpu = 1,
                                         .memory_mb = 1024,
                                         .image = cloud.image,
                                         .system_disk_gb = conformance_peer.system_disk_gb,
                                         .network = cloud.network};
}

struct driver_volume_spec new_volume(const char *name, unsigned size_gb)
{
    return (struct driver_volume_spec){.id = id_new_in(arena), .name = name, .size_gb = size_gb};
}

struct driver_instance created(const struct driver_instance_spec *spec)
{
    struct driver_call call = call_long();
    struct driver_instance instance = {.id = NULL};
    OK(gate_instance_create(gate, &call, spec, &instance));
    return instance;
}

struct driver_inventory inventory_of(struct gate *of)
{
    struct driver_call call = call_long();
    struct driver_inventory all = {.host_count = 0};
    OK(gate_inventory(of, &call, &all));
    return all;
}

size_t instances_with(const struct driver_inventory *all, const char *id, struct driver_instance *ret_last)
{
    size_t count = 0;
    for (size_t i = 0; i < all->instance_count; i++) {
        if (!all->instances[i].id || strcmp(all->instances[i].id, id) != 0)
            continue;
        count++;
        *ret_last = all->instances[i];
    }
    return count;
}

size_t volumes_with(const struct driver_inventory *all, const char *id, struct driver_volume *ret_last)
{
    size_t count = 0;
    for (size_t i = 0; i < all->volume_count; i++) {
        if (!all->volumes[i].id || strcmp(all->volumes[i].id, id) != 0)
            continue;
        count++;
        *ret_last = all->volumes[i];
    }
    return count;
}

void wait_for_power(const char *id, enum driver_power power)
{
    struct driver_call call = call_long();
    struct driver_instance instance;
    int64_t until = moment_monotonic() + POWER_US;
    for (;;) {
        OK(gate_instance_find(gate, &call, &KEY(id), &instance));
        if (instance.power == power)
            return;
        if (moment_monotonic() > until)
            fail_msg("instance is in power state %d (\"%s\"), not %d", (int)instance.power,
                     instance.detail ? instance.detail : "", (int)power);
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000},
                        NULL); /* between two looks at the provider */
    }
}
