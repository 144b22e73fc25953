/* Cases about the endpoint as a whole: what it says of itself, who may log on, what it offers, what changes.
 */
#include <pthread.h>

#include "tests/conformance/bench.h"
#include "tests/conformance/cases.h"

void about_names_the_product(void **state)
{
    struct driver_call call = call_long();
    struct driver_about about, again;
    OK(gate_ping(gate, &call));
    OK(gate_about(gate, &call, &about));
    OK(gate_about(gate, &call, &again));
    assert_string_equal(about.product, again.product);
    assert_string_equal(about.identity, again.identity);
}

static unsigned architecture_bit(void)
{
    static const struct {
        const char *name;
        unsigned bit;
    } known[] = {{"x86", DRIVER_X86}, {"ARM", DRIVER_ARM}, {"C86", DRIVER_C86}, {"POWER", DRIVER_POWER}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, conformance_peer.architecture) == 0)
            return known[i].bit;
    return 0;
}

void capacity_is_sane_and_follows(void **state)
{
    struct driver_call call = call_long();
    struct driver_capacity before, with, after;
    struct driver_instance_spec spec = new_instance("capacity");
    OK(gate_capacity(gate, &call, &before));
    assert_true(before.cores_total > 0);
    assert_true(before.memory_mb_total >= spec.memory_mb);
    assert_true(before.memory_mb_allocated <= before.memory_mb_total);
    assert_true(before.standard_gb_total > 0);
    assert_true(before.architectures & architecture_bit());
    spec.vcpu = 2;
    spec.memory_mb = 2048;
    created(&spec);
    OK(gate_capacity(gate, &call, &with));
    assert_int_equal(with.cores_total, before.cores_total);
    assert_int_equal(with.vcpu_allocated, before.vcpu_allocated + 2);
    assert_int_equal(with.memory_mb_allocated, before.memory_mb_allocated + 2048);
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0)); /* allocated, running or not */
    wait_for_power(spec.id, DRIVER_POWER_OFF);
    OK(gate_capacity(gate, &call, &after));
    assert_int_equal(after.vcpu_allocated, with.vcpu_allocated);
    OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
    OK(gate_capacity(gate, &call, &after));
    assert_int_equal(after.vcpu_allocated, before.vcpu_allocated);
    assert_int_equal(after.memory_mb_allocated, before.memory_mb_allocated);
}

void inventory_offers_places(void **state)
{
    struct driver_inventory all = inventory_of(gate);
    bool usable = false, standard = false, image = false, network = false;
    for (size_t i = 0; i < all.host_count; i++)
        usable |= all.hosts[i].usable && all.hosts[i].cores > 0 && all.hosts[i].memory_mb >= 1024;
    for (size_t i = 0; i < all.pool_count; i++)
        standard |= !all.pools[i].high_performance && all.pools[i].total_gb > 0;
    for (size_t i = 0; i < all.image_count; i++)
        image |= strcmp(all.images[i].name, cloud.image) == 0;
    for (size_t i = 0; i < all.network_count; i++)
        network |= strcmp(all.networks[i].name, cloud.network) == 0;
    assert_true(usable);
    assert_true(standard);
    assert_true(image);
    assert_true(network);
}

static size_t foreign_instances(void)
{
    struct driver_inventory all = inventory_of(gate);
    size_t count = 0;
    for (size_t i = 0; i < all.instance_count; i++)
        count += !all.instances[i].id;
    return count;
}

/* What others made is listed, without a stamp, and nothing that the broker does changes it. */
void foreign_instances_have_no_stamp(void **state)
{
    struct driver_instance_spec spec = new_instance("not-foreign");
    if (conformance_peer.make_foreign)
        conformance_peer.make_foreign(arena, &cloud);
    size_t foreign = foreign_instances();
    assert_true(foreign > 0 || !conformance_peer.has_foreign);
    created(&spec);
    assert_int_equal(foreign_instances(), foreign);
    struct driver_call call = call_long();
    OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
    assert_int_equal(foreign_instances(), foreign);
}

/* References, names and the peers' own identities may be the same in both. */
void clouds_do_not_see_each_other(void **state)
{
    struct gate *second = second_gate();
    struct driver_call call = call_long();
    struct driver_instance_spec spec = new_instance("here");
    struct driver_instance found, instance = created(&spec);
    const struct driver_key hinted = {.id = spec.id, .ref = instance.ref};
    struct driver_inventory there = inventory_of(second);
    assert_int_equal(instances_with(&there, spec.id, &found), 0);
    FAILS(gate_instance_find(second, &call, &hinted, &found), ERR_NOT_FOUND);
    FAILS(gate_instance_stop(second, &call, &hinted, 0), ERR_NOT_FOUND);
    OK(gate_instance_delete(second, &call, &hinted));
    OK(gate_instance_find(gate, &call, &hinted, &found));
    assert_string_equal(found.ref, instance.ref);
    wait_for_power(spec.id, DRIVER_POWER_ON);
}

static struct error *log_on(const struct driver_endpoint *endpoint)
{
    struct gate *other;
    struct driver_call call = call_long();
    OK(gate_new(conformance_peer.driver, endpoint, &(struct gate_limits){.attempts = 1}, &other));
    struct error *error = gate_ping(other, &call);
    gate_free(other);
    return error;
}

void wrong_password_is_denied(void **state)
{
    struct driver_endpoint endpoint = endpoint_of(&cloud);
    if (!endpoint.password)
        return; /* a socket's permissions are its password */
    endpoint.password = "not-the-password";
    FAILS(log_on(&endpoint), ERR_DENIED);
    OK(gate_ping(gate, &(struct driver_call){.arena = arena, .deadline_us = call_long().deadline_us}));
}

void wrong_certificate_is_denied(void **state)
{
    struct driver_endpoint endpoint = endpoint_of(&cloud);
    if (!endpoint.fingerprint)
        return; /* no certificate on this transport */
    char *other = arena_strdup(arena, endpoint.fingerprint);
    other[0] = other[0] == 'a' ? 'b' : 'a';
    endpoint.fingerprint = other;
    FAILS(log_on(&endpoint), ERR_DENIED);
    endpoint.fingerprint = NULL; /* self-signed, and no CA knows it */
    FAILS(log_on(&endpoint), ERR_DENIED);
}

void unknown_option_is_invalid(void **state)
{
    struct driver_endpoint endpoint = endpoint_of(&cloud);
    json_t *options = endpoint.options ? json_deep_copy(endpoint.options) : json_object();
    assert_int_equal(json_object_set_new(options, "no_such_option", json_true()), 0);
    endpoint.options = options;
    struct error *error = log_on(&endpoint);
    json_decref(options);
    FAILS(error, ERR_INVALID);
}

void nobody_there_is_unavailable(void **state)
{
    struct driver_endpoint endpoint = endpoint_of(&cloud);
    endpoint.url = conformance_peer.refused_url;
    FAILS(log_on(&endpoint), ERR_UNAVAILABLE);
}

struct worker {
    pthread_t thread;
    struct driver_instance_spec spec;
    struct error *error;
};

/* Its own arena: the case's is the main thread's. */
static void *create_and_resize(void *argument)
{
    struct worker *worker = argument;
    struct arena *own = arena_new();
    struct driver_call call = {.arena = own, .deadline_us = call_long().deadline_us};
    struct driver_instance instance;
    const struct driver_key key = {.id = worker->spec.id};
    worker->error = gate_instance_create(gate, &call, &worker->spec, &instance);
    if (!worker->error)
        worker->error = gate_instance_stop(gate, &call, &key, 0);
    if (!worker->error)
        worker->error = gate_instance_resize(gate, &call, &key, 2, 2048);
    arena_free(own);
    return NULL;
}

void sessions_work_at_once(void **state)
{
    struct worker workers[3];
    for (size_t i = 0; i < 3; i++)
        workers[i].spec = new_instance("at-once"); /* one name for all: the id tells them apart */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, create_and_resize, &workers[i]), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    struct driver_inventory all = inventory_of(gate);
    for (size_t i = 0; i < 3; i++) {
        struct driver_instance instance;
        OK(workers[i].error);
        assert_int_equal(instances_with(&all, workers[i].spec.id, &instance), 1);
        assert_int_equal(instance.vcpu, 2);
        assert_int_equal(instance.memory_mb, 2048);
        assert_int_equal(instance.power, DRIVER_POWER_OFF);
    }
}

/* Reads changes until one says so of this instance; at most 60 s. */
static bool seen(const char *id, bool gone, enum driver_power power)
{
    int64_t until = moment_monotonic() + 60 * MOMENT_SECOND;
    while (moment_monotonic() < until) {
        struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + 2 * MOMENT_SECOND};
        struct driver_change *changes;
        size_t count;
        OK(gate_watch(gate, &call, &changes, &count));
        for (size_t i = 0; i < count; i++)
            if (changes[i].id && strcmp(changes[i].id, id) == 0 && changes[i].gone == gone &&
                (gone || changes[i].power == power))
                return true;
    }
    return false;
}

void watch_tells_changes(void **state)
{
    if (!gate_can(gate, DRIVER_CAN_WATCH))
        return;
    struct driver_call call = call_long(), soon = {.arena = arena};
    struct driver_change *changes;
    size_t count;
    soon.deadline_us = moment_monotonic() + MOMENT_SECOND;
    OK(gate_watch(gate, &soon, &changes, &count)); /* from here on nothing is missed */
    struct driver_instance_spec spec = new_instance("watched");
    created(&spec);
    assert_true(seen(spec.id, false, DRIVER_POWER_ON));
    OK(gate_instance_stop(gate, &call, &KEY(spec.id), 0));
    assert_true(seen(spec.id, false, DRIVER_POWER_OFF));
    OK(gate_instance_delete(gate, &call, &KEY(spec.id)));
    assert_true(seen(spec.id, true, DRIVER_POWER_UNKNOWN));
}
