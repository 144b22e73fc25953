/* See memory_cloud.h. */
#include "tests/broker/control/memory_cloud.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"

#define THINGS_MAX 64
#define OPERATIONS_MAX 32

struct driver_session {
    int number;
};

struct machine {
    char id[37], ref[48], name[64];
    unsigned vcpu;
    uint64_t memory_mb;
    enum driver_power power;
};

struct disk {
    char id[37], ref[48], name[64], machine[37]; /* machine "": attached nowhere */
    unsigned size_gb;
};

struct counter {
    const char *operation;
    int calls;
};

static struct {
    struct machine machines[THINGS_MAX];
    struct disk disks[THINGS_MAX];
    size_t machine_count, disk_count;
    const char *failing, *holding;
    enum error_code code;
    int fails, held;
    bool after, off_only;
    struct counter counters[OPERATIONS_MAX];
} cloud;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void lock(void)
{
    (void)pthread_mutex_lock(&mutex);
}

static void unlock(void)
{
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
}

void memory_cloud_reset(void)
{
    lock();
    memset(&cloud, 0, sizeof cloud);
    unlock();
}

void memory_cloud_fail(const char *operation, enum error_code code, int times, bool after)
{
    lock();
    cloud.failing = operation;
    cloud.code = code;
    cloud.fails = times;
    cloud.after = after;
    unlock();
}

void memory_cloud_hold(const char *operation)
{
    lock();
    cloud.holding = operation;
    cloud.held = 0;
    unlock();
}

void memory_cloud_release(void)
{
    lock();
    cloud.holding = NULL;
    unlock();
}

void memory_cloud_await_held(void)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    (void)pthread_mutex_lock(&mutex);
    int status = 0;
    while (!cloud.held && !status)
        status = pthread_cond_timedwait(&changed, &mutex, &until);
    bool good = cloud.held > 0;
    (void)pthread_mutex_unlock(&mutex);
    if (!good)
        fail_msg("no call of %s came", cloud.holding ? cloud.holding : "anything");
}

void memory_cloud_resize_off_only(void)
{
    lock();
    cloud.off_only = true;
    unlock();
}

static int *counter_of(const char *operation)
{
    size_t i = 0;
    while (cloud.counters[i].operation && strcmp(cloud.counters[i].operation, operation) != 0)
        i++;
    cloud.counters[i].operation = operation;
    return &cloud.counters[i].calls;
}

int memory_cloud_calls(const char *operation)
{
    lock();
    int calls = *counter_of(operation);
    unlock();
    return calls;
}

static struct machine *machine_of(const char *id)
{
    for (size_t i = 0; i < cloud.machine_count; i++)
        if (!strcmp(cloud.machines[i].id, id))
            return &cloud.machines[i];
    return NULL;
}

static struct disk *disk_of(const char *id)
{
    for (size_t i = 0; i < cloud.disk_count; i++)
        if (!strcmp(cloud.disks[i].id, id))
            return &cloud.disks[i];
    return NULL;
}

size_t memory_cloud_machines(void)
{
    lock();
    size_t count = cloud.machine_count;
    unlock();
    return count;
}

size_t memory_cloud_volumes(void)
{
    lock();
    size_t count = cloud.disk_count;
    unlock();
    return count;
}

bool memory_cloud_machine(const char *id, struct driver_instance *ret_machine)
{
    lock();
    const struct machine *machine = machine_of(id);
    if (machine)
        *ret_machine = (struct driver_instance){
            .power = machine->power, .vcpu = machine->vcpu, .memory_mb = machine->memory_mb};
    unlock();
    return machine != NULL;
}

bool memory_cloud_volume(const char *id, unsigned *ret_size_gb, bool *ret_attached)
{
    lock();
    const struct disk *disk = disk_of(id);
    if (disk) {
        *ret_size_gb = disk->size_gb;
        *ret_attached = *disk->machine != '\0';
    }
    unlock();
    return disk != NULL;
}

void memory_cloud_set_power(const char *id, enum driver_power power)
{
    lock();
    machine_of(id)->power = power;
    unlock();
}

/* What every operation does: counted, failed or held as scripted. `effect` under the lock. */
static struct error *act(const char *operation, struct error *(*effect)(void *context), void *context)
{
    struct error *error = NULL;
    lock();
    ++*counter_of(operation);
    bool failing = cloud.fails && !strcmp(cloud.failing, operation);
    if (failing)
        cloud.fails--;
    if (!failing || cloud.after)
        error = effect ? effect(context) : NULL;
    if (failing && !error)
        error = error_new(cloud.code, "the script says so");
    cloud.held += cloud.holding && !strcmp(cloud.holding, operation);
    (void)pthread_cond_broadcast(&changed);
    while (cloud.holding && !strcmp(cloud.holding, operation))
        (void)pthread_cond_wait(&changed, &mutex);
    unlock();
    return error;
}

static struct error *open_session(const struct driver_endpoint *endpoint, const struct driver_call *call,
                                  struct driver_session **ret_session)
{
    *ret_session = xcalloc(1, sizeof **ret_session);
    return NULL;
}

static void close_session(struct driver_session *session)
{
    free(session);
}

static struct error *ping(struct driver_session *session, const struct driver_call *call)
{
    return NULL;
}

static struct error *about(struct driver_session *session, const struct driver_call *call,
                           struct driver_about *ret_about)
{
    TRY(act("about", NULL, NULL));
    *ret_about = (struct driver_about){.product = "Memory 1", .identity = "memory"};
    return NULL;
}

static struct error *capacity(struct driver_session *session, const struct driver_call *call,
                              struct driver_capacity *ret_capacity)
{
    TRY(act("capacity", NULL, NULL));
    *ret_capacity = (struct driver_capacity){.cores_total = 16,
                                             .memory_mb_total = 128 * 1024,
                                             .standard_gb_total = 2000,
                                             .high_gb_total = 1000,
                                             .architectures = DRIVER_X86};
    return NULL;
}

/* What an operation works on. */
struct task {
    const struct driver_call *call;
    const char *id, *owner;
    const struct driver_instance_spec *instance;
    const struct driver_volume_spec *volume;
    unsigned vcpu, size_gb;
    uint64_t memory_mb;
    struct driver_instance *ret_instance;
    struct driver_volume *ret_volume;
    struct driver_inventory *ret_inventory;
};

static struct driver_instance tell_machine(const struct driver_call *call, const struct machine *machine)
{
    return (struct driver_instance){.id = *machine->id ? arena_strdup(call->arena, machine->id) : NULL,
                                    .ref = arena_strdup(call->arena, machine->ref),
                                    .name = arena_strdup(call->arena, machine->name),
                                    .power = machine->power,
                                    .vcpu = machine->vcpu,
                                    .memory_mb = machine->memory_mb,
                                    .architecture = "x86"};
}

static struct driver_volume tell_disk(const struct driver_call *call, const struct disk *disk)
{
    const struct machine *machine = *disk->machine ? machine_of(disk->machine) : NULL;
    return (struct driver_volume){.id = arena_strdup(call->arena, disk->id),
                                  .ref = arena_strdup(call->arena, disk->ref),
                                  .name = arena_strdup(call->arena, disk->name),
                                  .size_gb = disk->size_gb,
                                  .instance_ref = machine ? arena_strdup(call->arena, machine->ref) : NULL};
}

static struct error *do_inventory(void *context)
{
    struct task *task = context;
    struct arena *arena = task->call->arena;
    struct driver_inventory all = {
        .instance_count = cloud.machine_count, .volume_count = cloud.disk_count, .image_count = 1};
    all.instances = arena_array(arena, cloud.machine_count, sizeof *all.instances);
    all.volumes = arena_array(arena, cloud.disk_count, sizeof *all.volumes);
    all.images = arena_array(arena, 1, sizeof *all.images);
    for (size_t i = 0; i < cloud.machine_count; i++)
        all.instances[i] = tell_machine(task->call, &cloud.machines[i]);
    for (size_t i = 0; i < cloud.disk_count; i++)
        all.volumes[i] = tell_disk(task->call, &cloud.disks[i]);
    all.images[0] =
        (struct driver_image){.ref = "image-1", .name = "debian", .architecture = "x86", .size_gb = 5};
    *task->ret_inventory = all;
    return NULL;
}

static struct error *inventory(struct driver_session *session, const struct driver_call *call,
                               struct driver_inventory *ret_inventory)
{
    struct task task = {.call = call, .ret_inventory = ret_inventory};
    return act("inventory", do_inventory, &task);
}

static struct error *need_machine(const char *id, struct machine **ret_machine)
{
    struct machine *machine = machine_of(id);
    if (!machine)
        return error_new(ERR_NOT_FOUND, "no machine %s", id);
    *ret_machine = machine;
    return NULL;
}

static struct error *need_disk(const char *id, struct disk **ret_disk)
{
    struct disk *disk = disk_of(id);
    if (!disk)
        return error_new(ERR_NOT_FOUND, "no volume %s", id);
    *ret_disk = disk;
    return NULL;
}

static struct error *do_find(void *context)
{
    struct task *task = context;
    struct machine *machine;
    TRY(need_machine(task->id, &machine));
    *task->ret_instance = tell_machine(task->call, machine);
    return NULL;
}

static struct error *instance_find(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, struct driver_instance *ret_instance)
{
    struct task task = {.call = call, .id = key->id, .ret_instance = ret_instance};
    return act("instance_find", do_find, &task);
}

static struct error *do_create(void *context)
{
    struct task *task = context;
    struct machine *machine = machine_of(task->instance->id);
    if (!machine) {
        machine = &cloud.machines[cloud.machine_count++];
        *machine = (struct machine){
            .vcpu = task->instance->vcpu, .memory_mb = task->instance->memory_mb, .power = DRIVER_POWER_ON};
        (void)snprintf(machine->id, sizeof machine->id, "%s", task->instance->id);
        (void)snprintf(machine->ref, sizeof machine->ref, "vm-%s", task->instance->id);
        (void)snprintf(machine->name, sizeof machine->name, "%s", task->instance->name);
    }
    *task->ret_instance = tell_machine(task->call, machine);
    return NULL;
}

static struct error *instance_create(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_instance_spec *spec,
                                     struct driver_instance *ret_instance)
{
    struct task task = {.call = call, .instance = spec, .ret_instance = ret_instance};
    return act("instance_create", do_create, &task);
}

static struct error *do_start(void *context)
{
    struct task *task = context;
    struct machine *machine;
    TRY(need_machine(task->id, &machine));
    machine->power = DRIVER_POWER_ON;
    return NULL;
}

static struct error *instance_start(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key)
{
    struct task task = {.id = key->id};
    return act("instance_start", do_start, &task);
}

static struct error *instance_reboot(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key)
{
    struct task task = {.id = key->id};
    return act("instance_reboot", do_start, &task);
}

static struct error *do_stop(void *context)
{
    struct task *task = context;
    struct machine *machine;
    TRY(need_machine(task->id, &machine));
    machine->power = DRIVER_POWER_OFF;
    return NULL;
}

static struct error *instance_stop(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, int64_t grace_us)
{
    struct task task = {.id = key->id};
    return act("instance_stop", do_stop, &task);
}

static struct error *do_resize(void *context)
{
    struct task *task = context;
    struct machine *machine;
    TRY(need_machine(task->id, &machine));
    if (cloud.off_only && machine->power != DRIVER_POWER_OFF)
        return error_new(ERR_CONFLICT, "it runs");
    machine->vcpu = task->vcpu;
    machine->memory_mb = task->memory_mb;
    return NULL;
}

static struct error *instance_resize(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, unsigned vcpu, uint64_t memory_mb)
{
    struct task task = {.id = key->id, .vcpu = vcpu, .memory_mb = memory_mb};
    return act("instance_resize", do_resize, &task);
}

static struct error *do_delete(void *context)
{
    const struct task *task = context;
    struct machine *machine = machine_of(task->id);
    for (size_t i = 0; i < cloud.disk_count; i++)
        if (!strcmp(cloud.disks[i].machine, task->id))
            *cloud.disks[i].machine = '\0';
    if (machine)
        *machine = cloud.machines[--cloud.machine_count];
    return NULL;
}

static struct error *instance_delete(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key)
{
    struct task task = {.id = key->id};
    return act("instance_delete", do_delete, &task);
}

void memory_cloud_lose(const char *id)
{
    struct task task = {.id = id};
    lock();
    struct error *error = do_delete(&task);
    unlock();
    assert_null(error);
}

void memory_cloud_set_size(const char *id, unsigned vcpu, unsigned memory_mb)
{
    lock();
    machine_of(id)->vcpu = vcpu;
    machine_of(id)->memory_mb = memory_mb;
    unlock();
}

void memory_cloud_set_volume(const char *id, unsigned size_gb)
{
    lock();
    disk_of(id)->size_gb = size_gb;
    unlock();
}

void memory_cloud_intrude(const char *id, const char *ref, unsigned vcpu, unsigned memory_mb)
{
    lock();
    struct machine *machine = &cloud.machines[cloud.machine_count++];
    *machine = (struct machine){.vcpu = vcpu, .memory_mb = memory_mb, .power = DRIVER_POWER_ON};
    (void)snprintf(machine->id, sizeof machine->id, "%s", id ? id : "");
    (void)snprintf(machine->ref, sizeof machine->ref, "%s", ref);
    (void)snprintf(machine->name, sizeof machine->name, "intruder");
    unlock();
}

static struct error *instance_console(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_key *key, size_t limit, const char **ret_text,
                                      size_t *ret_length)
{
    TRY(act("instance_console", NULL, NULL));
    *ret_text = "secret of the guest";
    *ret_length = strlen(*ret_text);
    return NULL;
}

static struct error *do_volume_find(void *context)
{
    struct task *task = context;
    struct disk *disk = NULL;
    TRY(need_disk(task->id, &disk));
    *task->ret_volume = tell_disk(task->call, disk);
    return NULL;
}

static struct error *volume_find(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, struct driver_volume *ret_volume)
{
    struct task task = {.call = call, .id = key->id, .ret_volume = ret_volume};
    return act("volume_find", do_volume_find, &task);
}

static struct error *do_volume_create(void *context)
{
    struct task *task = context;
    struct disk *disk = disk_of(task->volume->id);
    if (!disk) {
        disk = &cloud.disks[cloud.disk_count++];
        *disk = (struct disk){.size_gb = task->volume->size_gb};
        (void)snprintf(disk->id, sizeof disk->id, "%s", task->volume->id);
        (void)snprintf(disk->ref, sizeof disk->ref, "disk-%s", task->volume->id);
        (void)snprintf(disk->name, sizeof disk->name, "%s", task->volume->name);
    }
    *task->ret_volume = tell_disk(task->call, disk);
    return NULL;
}

static struct error *volume_create(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_volume_spec *spec, struct driver_volume *ret_volume)
{
    struct task task = {.call = call, .volume = spec, .ret_volume = ret_volume};
    return act("volume_create", do_volume_create, &task);
}

static struct error *do_attach(void *context)
{
    struct task *task = context;
    struct disk *disk;
    struct machine *machine;
    TRY(need_disk(task->id, &disk));
    TRY(need_machine(task->owner, &machine));
    if (*disk->machine && strcmp(disk->machine, machine->id) != 0)
        return error_new(ERR_CONFLICT, "attached elsewhere");
    memcpy(disk->machine, machine->id, sizeof disk->machine);
    return NULL;
}

static struct error *volume_attach(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume, const struct driver_key *instance)
{
    struct task task = {.id = volume->id, .owner = instance->id};
    return act("volume_attach", do_attach, &task);
}

static struct error *do_detach(void *context)
{
    struct task *task = context;
    struct disk *disk = NULL;
    TRY(need_disk(task->id, &disk));
    *disk->machine = '\0';
    return NULL;
}

static struct error *volume_detach(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume, const struct driver_key *instance)
{
    struct task task = {.id = volume->id, .owner = instance->id};
    return act("volume_detach", do_detach, &task);
}

static struct error *do_volume_resize(void *context)
{
    struct task *task = context;
    struct disk *disk;
    TRY(need_disk(task->id, &disk));
    if (task->size_gb < disk->size_gb)
        return error_new(ERR_INVALID, "a volume only grows");
    disk->size_gb = task->size_gb;
    return NULL;
}

static struct error *volume_resize(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume, unsigned size_gb)
{
    struct task task = {.id = volume->id, .size_gb = size_gb};
    return act("volume_resize", do_volume_resize, &task);
}

static struct error *do_volume_delete(void *context)
{
    struct task *task = context;
    struct disk *disk = disk_of(task->id);
    if (disk && *disk->machine)
        return error_new(ERR_CONFLICT, "attached");
    if (disk)
        *disk = cloud.disks[--cloud.disk_count];
    return NULL;
}

static struct error *volume_delete(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *volume)
{
    struct task task = {.id = volume->id};
    return act("volume_delete", do_volume_delete, &task);
}

const struct driver memory_driver = {.abi = DRIVER_ABI,
                                     .name = "memory",
                                     .summary = "a provider in memory",
                                     .capabilities = DRIVER_CAN_VOLUMES | DRIVER_CAN_CONSOLE,
                                     .max_sessions = 4,
                                     .open = open_session,
                                     .close = close_session,
                                     .ping = ping,
                                     .about = about,
                                     .inventory = inventory,
                                     .capacity = capacity,
                                     .instance_find = instance_find,
                                     .instance_create = instance_create,
                                     .instance_start = instance_start,
                                     .instance_stop = instance_stop,
                                     .instance_reboot = instance_reboot,
                                     .instance_resize = instance_resize,
                                     .instance_delete = instance_delete,
                                     .instance_console = instance_console,
                                     .volume_find = volume_find,
                                     .volume_create = volume_create,
                                     .volume_attach = volume_attach,
                                     .volume_detach = volume_detach,
                                     .volume_resize = volume_resize,
                                     .volume_delete = volume_delete};
