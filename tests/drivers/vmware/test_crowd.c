/* Several sessions of one endpoint at work at once, through the gate, as the broker's workers are: each
 * instance ends as asked, none is made twice, and the gate finds every result as the contract promises it. */
#include "tests/drivers/vmware/fixture.h"

#include <pthread.h>

#include "drivers/gate.h"

#define WORKERS 4
#define EACH 8

static struct gate *gate;

static int setup(void **state)
{
    sim = vcsim_start((const char *const[]){"-vm", "5", NULL});
    renew_call(NULL);
    struct driver_endpoint endpoint = vcsim_endpoint(sim);
    struct gate_limits limits = {.rate = 10000, .sessions = WORKERS};
    OK(gate_new(vmware, &endpoint, &limits, &gate));
    return 0;
}

static int teardown(void **state)
{
    gate_free(gate);
    return fixture_stop(state);
}

static const char *worker_id(struct arena *arena, int worker, int index)
{
    return arena_printf(arena, "018f3b5e-00%02x-7000-8000-0000000000%02x", (unsigned)worker, (unsigned)index);
}

static struct error *life(int worker, int index, struct driver_call *own)
{
    const char *id = worker_id(own->arena, worker, index);
    struct driver_instance_spec spec = spec_of(id, arena_printf(own->arena, "w%d-%d", worker, index));
    struct driver_instance instance;
    struct driver_key key = key_of(id), volume = key_of(id);
    struct driver_volume_spec disk = {id, "data", 1, false};
    struct driver_volume made;
    TRY(gate_instance_create(gate, own, &spec, &instance));
    TRY(gate_instance_create(gate, own, &spec, &instance));
    TRY(gate_volume_create(gate, own, &disk, &made));
    TRY(gate_volume_attach(gate, own, &volume, &key));
    TRY(gate_instance_stop(gate, own, &key, 0));
    TRY(gate_instance_resize(gate, own, &key, 1, 1024));
    TRY(gate_instance_start(gate, own, &key));
    if (index % 2)
        return NULL;
    TRY(gate_instance_delete(gate, own, &key));
    return gate_volume_delete(gate, own, &volume);
}

static void *work(void *number)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct driver_call own = {.arena = arena, .deadline_us = moment_monotonic() + 100 * MOMENT_SECOND};
    for (int i = 0; i < EACH; i++) {
        struct error *error = life(*(int *)number, i, &own);
        if (error)
            return error;
    }
    return NULL;
}

static void workers_do_not_collide(void **state)
{
    pthread_t threads[WORKERS];
    int numbers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, work, &numbers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        void *error;
        assert_int_equal(pthread_join(threads[i], &error), 0);
        OK(error);
    }
    call.deadline_us = moment_monotonic() + 30 * MOMENT_SECOND;
    struct driver_inventory inventory;
    OK(gate_inventory(gate, &call, &inventory));
    size_t stamped = 0, attached = 0;
    for (size_t i = 0; i < inventory.instance_count; i++)
        if (inventory.instances[i].id) {
            stamped++;
            assert_int_equal(inventory.instances[i].power, DRIVER_POWER_ON);
            assert_int_equal(inventory.instances[i].vcpu, 1);
            assert_int_equal(inventory.instances[i].memory_mb, 1024);
        }
    for (size_t i = 0; i < inventory.volume_count; i++)
        attached += inventory.volumes[i].instance_ref != NULL;
    assert_int_equal(stamped, WORKERS * EACH / 2);
    assert_int_equal(inventory.volume_count, WORKERS * EACH / 2);
    assert_int_equal(attached, WORKERS * EACH / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup(workers_do_not_collide, renew_call)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
