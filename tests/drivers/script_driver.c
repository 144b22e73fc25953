/* The scripted driver of the gate's tests; see script_driver.h. */
#include "tests/drivers/script_driver.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"

struct driver_session {
    int number;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct script script;

void script_reset(void)
{
    (void)pthread_mutex_lock(&mutex);
    script = (struct script){.code = ERR_UNAVAILABLE};
    (void)pthread_mutex_unlock(&mutex);
}

void script_change(void (*change)(struct script *script))
{
    (void)pthread_mutex_lock(&mutex);
    change(&script);
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
}

struct script script_now(void)
{
    (void)pthread_mutex_lock(&mutex);
    struct script copy = script;
    (void)pthread_mutex_unlock(&mutex);
    return copy;
}

static void release(struct script *now)
{
    now->hang = now->hang_close = false;
}

void script_release(void)
{
    script_change(release);
}

bool script_wait(bool (*reached)(const struct script *script))
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    (void)pthread_mutex_lock(&mutex);
    int status = 0;
    while (!reached(&script) && !status)
        status = pthread_cond_timedwait(&changed, &mutex, &until);
    bool good = reached(&script);
    (void)pthread_mutex_unlock(&mutex);
    return good;
}

static struct error *script_open(const struct driver_endpoint *endpoint, const struct driver_call *call,
                                 struct driver_session **ret_session)
{
    struct error *error = NULL;
    bool none;
    (void)pthread_mutex_lock(&mutex);
    script.opens++;
    none = script.broken == BROKEN_NO_SESSION;
    if (script.open_fails) {
        script.open_fails--;
        error = error_new(script.code, "the scripted logon fails");
    } else if (!none) {
        script.sessions++;
        if (script.sessions > script.most_sessions)
            script.most_sessions = script.sessions;
        const char *option =
            endpoint->options ? json_string_value(json_object_get(endpoint->options, "x")) : "";
        (void)snprintf(script.options, sizeof script.options, "%s %s", endpoint->url, option ? option : "");
    }
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
    if (error)
        return error;
    *ret_session = none ? NULL : xcalloc(1, sizeof **ret_session);
    return NULL;
}

static void script_close(struct driver_session *session)
{
    (void)pthread_mutex_lock(&mutex);
    while (script.hang_close)
        (void)pthread_cond_wait(&changed, &mutex);
    script.closes++;
    script.sessions--;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
    free(session);
}

static struct error *script_ping(struct driver_session *session, const struct driver_call *call)
{
    (void)pthread_mutex_lock(&mutex);
    script.pings++;
    bool fails = script.ping_fails;
    (void)pthread_mutex_unlock(&mutex);
    return fails ? error_new(ERR_UNAVAILABLE, "no sign of life") : NULL;
}

/* What every operation does before its own part. */
static struct error *act(const struct driver_call *call, const char *stamp, const char *name)
{
    struct error *error = NULL;
    (void)pthread_mutex_lock(&mutex);
    script.asked++;
    script.running++;
    if (script.running > script.most_running)
        script.most_running = script.running;
    (void)snprintf(script.stamp, sizeof script.stamp, "%s", stamp);
    (void)pthread_cond_broadcast(&changed);
    while (script.hang)
        (void)pthread_cond_wait(&changed, &mutex);
    (void)snprintf(script.name, sizeof script.name, "%s", name); /* after a hang: the arguments still live */
    bool progress = script.progress;
    if (script.fails) {
        script.fails--;
        error = error_new(script.code, "the scripted operation fails");
    }
    (void)pthread_mutex_unlock(&mutex);
    if (progress && !call->progress)
        progress = false;
    for (int percent = 0; !error && progress && percent <= 100; percent += 50)
        if (!call->progress(call->context, percent, "scripted"))
            error = error_new(ERR_CANCELLED, "stopped at %d", percent);
    (void)pthread_mutex_lock(&mutex);
    script.cancelled = error && error_code(error) == ERR_CANCELLED;
    script.running--;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&mutex);
    return error;
}

static enum script_broken broken(void)
{
    return script_now().broken;
}

static struct error *script_about(struct driver_session *session, const struct driver_call *call,
                                  struct driver_about *ret_about)
{
    TRY(act(call, "", ""));
    *ret_about = (struct driver_about){.product = broken() == BROKEN_PRODUCT ? NULL : "Script 1",
                                       .identity = arena_printf(call->arena, "script-%d", 1)};
    return NULL;
}

static struct driver_instance instance_of(const struct driver_call *call, const char *id)
{
    static const char other[] = "00000000-0000-7000-8000-0000000000ff";
    enum script_broken kind = broken();
    return (struct driver_instance){.id = kind == BROKEN_STAMP ? other : arena_strdup(call->arena, id),
                                    .ref = kind == BROKEN_REF ? "" : arena_printf(call->arena, "ref-%s", id),
                                    .name = kind == BROKEN_TEXT ? "\xc3(" : "machine",
                                    .power = kind == BROKEN_POWER ? (enum driver_power)99 : DRIVER_POWER_ON,
                                    .vcpu = 1,
                                    .memory_mb = 1024};
}

static struct error *script_inventory(struct driver_session *session, const struct driver_call *call,
                                      struct driver_inventory *ret_inventory)
{
    TRY(act(call, "", ""));
    struct driver_inventory all = {.instance_count = 2};
    if (broken() != BROKEN_LIST)
        all.instances = arena_array(call->arena, 2, sizeof *all.instances);
    for (size_t i = 0; all.instances && i < 2; i++) {
        all.instances[i] = instance_of(call, "00000000-0000-7000-8000-000000000001");
        all.instances[i].id = NULL;
        if (broken() != BROKEN_TWICE)
            all.instances[i].ref = arena_printf(call->arena, "vm-%zu", i);
    }
    *ret_inventory = all;
    return NULL;
}

static struct error *script_capacity(struct driver_session *session, const struct driver_call *call,
                                     struct driver_capacity *ret_capacity)
{
    TRY(act(call, "", ""));
    *ret_capacity = (struct driver_capacity){
        .cores_total = 8, .architectures = broken() == BROKEN_ARCHITECTURES ? 1u << 30 : DRIVER_X86};
    return NULL;
}

static struct error *script_find(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, struct driver_instance *ret_instance)
{
    TRY(act(call, key->id, key->ref ? key->ref : ""));
    if (broken() == BROKEN_CODE)
        return error_new(ERR_QUOTA, "a code outside the contract");
    *ret_instance = instance_of(call, key->id);
    return NULL;
}

static struct error *script_create(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_instance_spec *spec,
                                   struct driver_instance *ret_instance)
{
    TRY(act(call, spec->id, spec->name));
    *ret_instance = instance_of(call, spec->id);
    return NULL;
}

static struct error *script_on(struct driver_session *session, const struct driver_call *call,
                               const struct driver_key *key)
{
    return act(call, key->id, "");
}

static struct error *script_stop(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, int64_t grace_us)
{
    return act(call, key->id, "");
}

static struct error *script_resize(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, unsigned vcpu, uint64_t memory_mb)
{
    return act(call, key->id, "");
}

static struct error *script_console(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key, size_t limit, const char **ret_text,
                                    size_t *ret_length)
{
    TRY(act(call, key->id, ""));
    *ret_text = "hello";
    *ret_length = broken() == BROKEN_LENGTH ? limit + 1 : 5;
    return NULL;
}

static struct error *script_watch(struct driver_session *session, const struct driver_call *call,
                                  struct driver_change **ret_changes, size_t *ret_count)
{
    TRY(act(call, "", ""));
    *ret_changes = NULL;
    *ret_count = 0;
    return NULL;
}

/* --- moving: each writes what it was asked and answers what the test has set --- */

static struct error *asked_move(const struct driver_call *call, const char *stamp, const char *move)
{
    (void)pthread_mutex_lock(&mutex);
    script.left_us = call->deadline_us - moment_monotonic();
    (void)pthread_mutex_unlock(&mutex);
    struct error *error = act(call, stamp, "");
    (void)pthread_mutex_lock(&mutex);
    (void)snprintf(script.move, sizeof script.move, "%s", move);
    (void)pthread_mutex_unlock(&mutex);
    return error;
}

static const char *or_none(const char *text)
{
    return text ? text : "-";
}

static struct error *script_detail(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, struct driver_detail *ret_detail)
{
    TRY(asked_move(call, key->id, "detail"));
    *ret_detail = script_now().detail;
    ret_detail->instance = instance_of(call, key->id);
    return NULL;
}

static struct error *script_snapshot_create(struct driver_session *session, const struct driver_call *call,
                                            const struct driver_key *key, const char *name, bool quiesce)
{
    return asked_move(call, key->id,
                      arena_printf(call->arena, "create %s%s", name, quiesce ? " quiesced" : ""));
}

static struct error *script_snapshot_revert(struct driver_session *session, const struct driver_call *call,
                                            const struct driver_key *key, const char *name)
{
    return asked_move(call, key->id, arena_printf(call->arena, "revert %s", name));
}

static struct error *script_snapshot_delete(struct driver_session *session, const struct driver_call *call,
                                            const struct driver_key *key, const char *name)
{
    return asked_move(call, key->id, arena_printf(call->arena, "delete %s", name));
}

static struct error *script_export_open(struct driver_session *session, const struct driver_call *call,
                                        const struct driver_key *key, const struct driver_export_spec *spec,
                                        struct driver_export *ret_export)
{
    TRY(asked_move(call, key->id,
                   arena_printf(call->arena, "open %s %s %s %s%s", spec->id,
                                spec->access == DRIVER_WRITE ? "write" : "read", or_none(spec->checkpoint),
                                or_none(spec->since), spec->quiesce ? " quiesced" : "")));
    *ret_export = script_now().opened;
    return NULL;
}

static struct error *script_export_close(struct driver_session *session, const struct driver_call *call,
                                         const struct driver_key *key, const char *export_id, bool keep)
{
    return asked_move(call, key->id, arena_printf(call->arena, "close %s%s", export_id, keep ? " kept" : ""));
}

static struct error *script_checkpoint_delete(struct driver_session *session, const struct driver_call *call,
                                              const struct driver_key *key, const char *checkpoint)
{
    return asked_move(call, key->id, arena_printf(call->arena, "forget %s", checkpoint));
}

static struct error *script_prepare(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_shell_spec *spec,
                                    struct driver_instance *ret_instance)
{
    TRY(asked_move(call, spec->id,
                   arena_printf(call->arena, "prepare %s %s %s %zu %s", spec->name, or_none(spec->network),
                                or_none(spec->mac), spec->disk_count, or_none(spec->disks[0].volume_id))));
    *ret_instance = instance_of(call, spec->id);
    ret_instance->power = script_now().shell_power;
    return NULL;
}

static struct error *script_fence(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key)
{
    return asked_move(call, key->id, "fence");
}

static struct error *script_unfence(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key)
{
    return asked_move(call, key->id, "release");
}

static struct error *script_test_create(struct driver_session *session, const struct driver_call *call,
                                        const struct driver_key *key, const struct driver_test_spec *spec,
                                        struct driver_instance *ret_instance)
{
    TRY(asked_move(call, key->id, arena_printf(call->arena, "test %s %s", spec->id, spec->name)));
    *ret_instance = instance_of(call, spec->id);
    return NULL;
}

static const char *move_line(const struct driver_call *call, const char *what,
                             const struct driver_move_spec *spec)
{
    const struct driver_endpoint *target = spec->target;
    const char *option = target->options ? json_string_value(json_object_get(target->options, "x")) : NULL;
    return arena_printf(call->arena, "%s %s to %s %s %s %s, %s, %zu", what, spec->id, target->id, target->url,
                        or_none(target->password), or_none(option), or_none(spec->network), spec->disk_count);
}

static struct error *script_move_validate(struct driver_session *session, const struct driver_call *call,
                                          const struct driver_key *key, const struct driver_move_spec *spec)
{
    return asked_move(call, key->id, move_line(call, "validate", spec));
}

static struct error *script_move_run(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, const struct driver_move_spec *spec,
                                     struct driver_move_report *ret_report)
{
    TRY(asked_move(call, key->id, move_line(call, "run", spec)));
    *ret_report = script_now().moved;
    return NULL;
}

static struct error *script_move_settle(struct driver_session *session, const struct driver_call *call,
                                        const struct driver_key *key, const struct driver_move_spec *spec,
                                        bool abort, enum driver_side *ret_side)
{
    TRY(asked_move(call, key->id, move_line(call, abort ? "abort" : "settle", spec)));
    *ret_side = script_now().side;
    return NULL;
}

#define BASIC                                                                                           \
    .abi = DRIVER_ABI, .summary = "does what a test tells it", .max_sessions = 3, .open = script_open,  \
    .close = script_close, .ping = script_ping, .about = script_about, .inventory = script_inventory,   \
    .capacity = script_capacity, .instance_find = script_find, .instance_create = script_create,        \
    .instance_start = script_on, .instance_stop = script_stop, .instance_reboot = script_on,            \
    .instance_resize = script_resize, .instance_delete = script_on, .instance_console = script_console, \
    .watch = script_watch
#define BASICS (DRIVER_CAN_CONSOLE | DRIVER_CAN_WATCH)

const struct driver script_driver = {.name = "script", .capabilities = BASICS, BASIC};

const struct driver script_mover = {.name = "script",
                                    .capabilities = BASICS | DRIVER_CAN_DETAIL | DRIVER_CAN_SNAPSHOT |
                                                    DRIVER_CAN_READ_DISKS | DRIVER_CAN_TRACK_CHANGES |
                                                    DRIVER_CAN_WRITE_DISKS | DRIVER_CAN_FENCE |
                                                    DRIVER_CAN_MOVE | DRIVER_CAN_TEST,
                                    BASIC,
                                    .instance_detail = script_detail,
                                    .snapshot_create = script_snapshot_create,
                                    .snapshot_revert = script_snapshot_revert,
                                    .snapshot_delete = script_snapshot_delete,
                                    .export_open = script_export_open,
                                    .export_close = script_export_close,
                                    .checkpoint_delete = script_checkpoint_delete,
                                    .instance_prepare = script_prepare,
                                    .instance_fence = script_fence,
                                    .instance_release = script_unfence,
                                    .test_create = script_test_create,
                                    .move_validate = script_move_validate,
                                    .move_run = script_move_run,
                                    .move_settle = script_move_settle};
