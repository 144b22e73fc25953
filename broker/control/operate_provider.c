/* The job "operate" at the provider: doing a verb, and looking whether it is done; see operate_work.h. */
#include "broker/control/operate_work.h"

#include <string.h>

#include "broker/base/json.h"
#include "broker/control/provider_call.h"

static void tell(void *context, int percent, const char *step)
{
    struct operate_work *work = context;
    operation_tell(work->job, work->operation.unit, work->operation.id, percent * 9 / 10,
                   step ? step : work->operation.kind);
}

/* To its new size while it is off; then it runs again, also when the resize failed. */
static struct error *resize_stopped(struct operate_work *work, struct provider_call *call,
                                    const struct driver_key *key, unsigned vcpu, uint64_t memory_mb)
{
    struct gate *gate = provider_gate(call);
    tell(work, 20, "stopping to resize");
    TRY(gate_instance_stop(gate, &call->call, key, MOMENT_MINUTE));
    struct error *error = gate_instance_resize(gate, &call->call, key, vcpu, memory_mb);
    if (!error)
        return NULL;
    error_free(gate_instance_start(gate, &call->call, key)); /* the first failure is the one to tell */
    return error;
}

static struct error *resize_instance(struct operate_work *work, struct provider_call *call,
                                     const struct driver_key *key)
{
    const json_t *spec = json_object_get(work->operation.args, "spec");
    unsigned vcpu = (unsigned)json_integer_value(json_object_get(spec, "vcpu"));
    uint64_t memory_mb = (uint64_t)json_integer_value(json_object_get(spec, "memory_gb")) * 1024;
    struct gate *gate = provider_gate(call);
    struct error *error = gate_instance_resize(gate, &call->call, key, vcpu, memory_mb);
    bool restart = json_is_true(json_object_get(work->operation.args, "allow_restart"));
    if (error && error_code(error) == ERR_CONFLICT && restart) {
        error_free(error);
        error = resize_stopped(work, call, key, vcpu, memory_mb);
    } else if (error && error_code(error) == ERR_CONFLICT) {
        return error_wrap(error,
                          "this provider resizes it only while it is stopped: stop it, or allow a restart");
    }
    /* An earlier attempt may have stopped it: what ran runs again. */
    if (error || !restart || strcmp(work->resource.power, "on") != 0)
        return error;
    tell(work, 70, "starting again");
    return gate_instance_start(gate, &call->call, key);
}

static struct error *detach_volume(struct operate_work *work, struct provider_call *call,
                                   const struct driver_key *key)
{
    if (!work->owner.id)
        return NULL;
    struct driver_key owner = resource_key(&work->owner);
    struct error *error = gate_volume_detach(provider_gate(call), &call->call, key, &owner);
    if (work->verb != VERB_DELETE || !error || error_code(error) != ERR_NOT_FOUND)
        return error;
    error_free(error); /* the volume or its instance is gone: deleting goes on */
    return NULL;
}

static struct error *read_console(struct operate_work *work, struct provider_call *call,
                                  const struct driver_key *key)
{
    const char *text;
    size_t length;
    TRY(gate_instance_console(provider_gate(call), &call->call, key, CONSOLE_MAX, &text, &length));
    char *clean = arena_strndup(work->job->arena, text, length);
    for (char *at = clean; *at; at++) /* a guest may print anything; what is kept is plain text */
        if ((unsigned char)*at < 0x20 ? *at != '\n' && *at != '\t' : (unsigned char)*at >= 0x7f)
            *at = ' ';
    json_put_text(work->job->state, "console", clean);
    return job_save(work->job);
}

static struct error *run_instance(struct operate_work *work, struct provider_call *call,
                                  const struct driver_key *key)
{
    struct gate *gate = provider_gate(call);
    switch (work->verb) {
    case VERB_START:
        return gate_instance_start(gate, &call->call, key);
    case VERB_STOP:
        return gate_instance_stop(gate, &call->call, key,
                                  json_integer_value(json_object_get(work->operation.args, "grace_us")));
    case VERB_REBOOT:
        return gate_instance_reboot(gate, &call->call, key);
    case VERB_RESIZE:
        return resize_instance(work, call, key);
    case VERB_DELETE:
        return gate_instance_delete(gate, &call->call, key);
    case VERB_CONSOLE:
        return read_console(work, call, key);
    default:
        return error_new(ERR_INTERNAL, "an instance cannot be %sed", verb_name(work->verb));
    }
}

static struct error *run_volume(struct operate_work *work, struct provider_call *call,
                                const struct driver_key *key)
{
    struct gate *gate = provider_gate(call);
    switch (work->verb) {
    case VERB_ATTACH: {
        struct driver_key owner = resource_key(&work->owner);
        return gate_volume_attach(gate, &call->call, key, &owner);
    }
    case VERB_DETACH:
        return detach_volume(work, call, key);
    case VERB_RESIZE:
        return gate_volume_resize(gate, &call->call, key,
                                  (unsigned)json_integer_value(json_object_get(
                                      json_object_get(work->operation.args, "spec"), "size_gb")));
    case VERB_DELETE:
        TRY(detach_volume(work, call, key));
        return gate_volume_delete(gate, &call->call, key);
    default:
        return error_new(ERR_INTERNAL, "a volume cannot be %sed", verb_name(work->verb));
    }
}

struct error *operate_run(struct operate_work *work)
{
    struct provider_call call;
    struct driver_key key = resource_key(&work->resource);
    tell(work, 1, work->operation.kind);
    TRY(provider_call_open(work->job, work->resource.endpoint, tell, work, &call));
    struct error *error = !strcmp(work->resource.kind, "instance") ? run_instance(work, &call, &key)
                                                                   : run_volume(work, &call, &key);
    provider_call_close(&call);
    return error_wrap(error, "could not %s %s \"%s\"", work->operation.kind, work->resource.kind,
                      work->resource.name);
}

/* Whether the machine is as the verb wants it; of a reboot nobody can tell. */
static bool instance_is_so(const struct operate_work *work, const struct driver_instance *seen)
{
    const json_t *spec = json_object_get(work->operation.args, "spec");
    switch (work->verb) {
    case VERB_START:
        return seen->power == DRIVER_POWER_ON;
    case VERB_STOP:
        return seen->power == DRIVER_POWER_OFF;
    case VERB_RESIZE:
        return seen->vcpu == json_integer_value(json_object_get(spec, "vcpu")) &&
               (int64_t)seen->memory_mb == json_integer_value(json_object_get(spec, "memory_gb")) * 1024;
    default:
        return false;
    }
}

static bool volume_is_so(const struct operate_work *work, const struct driver_volume *seen)
{
    const json_t *spec = json_object_get(work->operation.args, "spec");
    switch (work->verb) {
    case VERB_ATTACH:
        return seen->instance_ref && work->owner.ref && !strcmp(seen->instance_ref, work->owner.ref);
    case VERB_DETACH:
        return !seen->instance_ref;
    case VERB_RESIZE:
        return seen->size_gb == json_integer_value(json_object_get(spec, "size_gb"));
    default:
        return false;
    }
}

static struct error *look_at(struct operate_work *work, struct provider_call *call, struct operate_seen *seen)
{
    struct driver_key key = resource_key(&work->resource);
    struct driver_instance instance;
    struct driver_volume volume;
    bool is_instance = !strcmp(work->resource.kind, "instance");
    struct error *error = is_instance ? gate_instance_find(provider_gate(call), &call->call, &key, &instance)
                                      : gate_volume_find(provider_gate(call), &call->call, &key, &volume);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error);
        seen->done = work->verb == VERB_DELETE;
        return NULL;
    }
    TRY(error);
    seen->done = is_instance ? instance_is_so(work, &instance) : volume_is_so(work, &volume);
    seen->detached = !is_instance && !volume.instance_ref;
    if (is_instance && (instance.power == DRIVER_POWER_ON || instance.power == DRIVER_POWER_OFF))
        seen->power = resource_power_name(instance.power);
    return NULL;
}

struct error *operate_look(struct operate_work *work, struct operate_seen *ret_seen)
{
    struct provider_call call;
    struct operate_seen seen = {0};
    TRY(provider_call_open(work->job, work->resource.endpoint, NULL, NULL, &call));
    struct error *error = look_at(work, &call, &seen);
    provider_call_close(&call);
    if (!error)
        *ret_seen = seen;
    return error;
}
