/* See instance.h. */
#include "drivers/vmware/instance.h"

#include <string.h>

#include "broker/base/moment.h"
#include "drivers/vmware/export.h"
#include "drivers/vmware/fence.h"
#include "drivers/vmware/follow.h"
#include "drivers/vmware/task.h"
#include "drivers/vmware/volume.h"

#define MEMORY_STEP_MB 4 /* vSphere's granularity */

struct error *vmware_instance_find(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, struct driver_instance *ret_instance)
{
    struct machine machine;
    TRY(machine_find(session, call, key, &machine));
    *ret_instance = machine.instance;
    return NULL;
}

/* A method of the machine without further arguments, answered by a task. */
static struct error *simple_task(struct driver_session *session, const struct driver_call *call,
                                 const struct machine *machine, const char *method, const char *step)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, method, machine->ref);
    return task_do(session, call, &request, step);
}

/* Whether the state was other than thought (someone else acted): worth one more look. */
static bool raced(struct error **error, int *attempt)
{
    if (!*error || error_code(*error) != ERR_CONFLICT || *attempt >= SESSION_ATTEMPTS)
        return false;
    error_free(*error);
    *error = NULL;
    ++*attempt;
    return true;
}

/* Brings the power to `wanted` (on or off) by the method of that. */
static struct error *power_to(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, enum driver_power wanted)
{
    bool on = wanted == DRIVER_POWER_ON;
    for (int attempt = 1;;) {
        struct machine machine;
        TRY(machine_find(session, call, key, &machine));
        if (machine.instance.power == wanted)
            return NULL;
        if (on)
            TRY(fence_check(&machine));
        struct error *error = simple_task(session, call, &machine, on ? "PowerOnVM_Task" : "PowerOffVM_Task",
                                          on ? "power on" : "power off");
        if (!error)
            return NULL;
        if (!session_again(session, &error, &attempt) && !raced(&error, &attempt))
            return error;
    }
}

struct error *vmware_instance_start(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key)
{
    return power_to(session, call, key, DRIVER_POWER_ON);
}

static struct error *judge_off(void *context, const xmlNode *value, bool *ret_ended)
{
    const char *state = xml_text(value);
    if (state && machine_power(state) == DRIVER_POWER_OFF)
        *ret_ended = true;
    return NULL;
}

/* Asks the guest and waits; any error means that the power has to be cut. */
static struct error *shut_down(struct driver_session *session, const struct driver_call *call,
                               const struct machine *machine, int64_t grace_us)
{
    static const char *const paths[] = {"runtime.powerState", NULL};
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "ShutdownGuest", machine->ref);
    TRY(session_do(session, call, &request));
    int64_t until = moment_monotonic() + grace_us;
    struct follow follow = {.session = session,
                            .call = call,
                            .ref = machine->ref,
                            .set = {"VirtualMachine", paths},
                            .step = "wait for the guest to shut down",
                            .until_us = until < call->deadline_us ? until : call->deadline_us,
                            .judge = judge_off};
    return follow_until(&follow);
}

struct error *vmware_instance_stop(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, int64_t grace_us)
{
    struct machine machine;
    TRY(machine_find(session, call, key, &machine));
    if (machine.instance.power == DRIVER_POWER_OFF)
        return NULL;
    if (grace_us > 0 && machine.instance.power == DRIVER_POWER_ON) {
        struct error *error = shut_down(session, call, &machine, grace_us);
        if (!error)
            return NULL;
        if (moment_monotonic() >= call->deadline_us)
            return error;
        error_ignore(error); /* no tools, no answer, too slow: the power is cut, as the contract says */
    }
    struct driver_key again = {key->id, machine.ref.value};
    return power_to(session, call, &again, DRIVER_POWER_OFF);
}

struct error *vmware_instance_reboot(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key)
{
    struct machine machine;
    TRY(machine_find(session, call, key, &machine));
    if (machine.instance.power != DRIVER_POWER_ON)
        return error_new(ERR_CONFLICT, "the machine %s does not run (%s)", machine.instance.name,
                         machine.instance.detail);
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "RebootGuest", machine.ref);
    struct error *error = session_do(session, call, &request);
    if (!error)
        return NULL;
    if (session->fault != FAULT_TOOLS && session->fault != FAULT_METHOD_NOT_FOUND &&
        error_code(error) != ERR_UNSUPPORTED)
        return error;
    error_free(error); /* the guest cannot be asked */
    return simple_task(session, call, &machine, "ResetVM_Task", "reset");
}

static struct error *check_resize(const struct machine *machine, unsigned vcpu, uint64_t memory_mb)
{
    const struct driver_instance *now = &machine->instance;
    if (now->power == DRIVER_POWER_OFF)
        return NULL;
    if (vcpu != now->vcpu && (vcpu < now->vcpu || !machine->cpu_hot))
        return error_new(ERR_CONFLICT, "the CPU count of %s can only be changed while it is off%s", now->name,
                         machine->cpu_hot ? " or raised" : "");
    if (memory_mb != now->memory_mb && (memory_mb < now->memory_mb || !machine->memory_hot))
        return error_new(ERR_CONFLICT, "the memory of %s can only be changed while it is off%s", now->name,
                         machine->memory_hot ? " or raised" : "");
    return NULL;
}

struct error *vmware_instance_resize(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key, unsigned vcpu, uint64_t memory_mb)
{
    if (vcpu == 0 || memory_mb == 0 || memory_mb % MEMORY_STEP_MB || memory_mb > INT32_MAX ||
        vcpu > INT32_MAX)
        return error_new(ERR_INVALID, "a machine has at least one CPU and memory in steps of %d MB",
                         MEMORY_STEP_MB);
    for (int attempt = 1;;) {
        struct machine machine;
        TRY(machine_find(session, call, key, &machine));
        if (machine.instance.vcpu == vcpu && machine.instance.memory_mb == memory_mb)
            return NULL;
        TRY(check_resize(&machine, vcpu, memory_mb));
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "ReconfigVM_Task", machine.ref);
        xml_open(&request, "spec");
        if (machine.instance.vcpu != vcpu)
            xml_put_number(&request, "numCPUs", vcpu);
        if (machine.instance.memory_mb != memory_mb)
            xml_put_number(&request, "memoryMB", (int64_t)memory_mb);
        xml_close(&request);
        struct error *error = task_do(session, call, &request, "resize");
        if (!error)
            return NULL;
        if (!session_again(session, &error, &attempt))
            return error;
    }
}

static struct error *delete_once(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, bool *ret_gone)
{
    struct machine machine;
    struct error *error = machine_find(session, call, key, &machine);
    if (error && error_code(error) == ERR_NOT_FOUND)
        *ret_gone = true;
    TRY(error);
    if (machine.instance.power != DRIVER_POWER_OFF) {
        struct driver_key found = {key->id, machine.ref.value};
        TRY(power_to(session, call, &found, DRIVER_POWER_OFF));
    }
    TRY(export_sweep(session, call, &machine));
    TRY(machine_read(session, call, machine.ref, &machine)); /* its disks as they are without */
    if (!machine.marks.shell)                                /* a shell's volumes go with it */
        TRY(volume_detach_all(session, call, &machine));
    return simple_task(session, call, &machine, "Destroy_Task", "delete");
}

struct error *vmware_instance_delete(struct driver_session *session, const struct driver_call *call,
                                     const struct driver_key *key)
{
    for (int attempt = 1;;) {
        bool gone = false;
        struct error *error = delete_once(session, call, key, &gone);
        if (!error)
            return NULL;
        if (gone) {
            error_free(error); /* which is what was asked for */
            return NULL;
        }
        if (error_code(error) == ERR_NOT_FOUND && attempt < SESSION_ATTEMPTS) {
            error_free(error); /* perhaps it went while we were at it: the next look tells */
            attempt++;
            continue;
        }
        if (!session_again(session, &error, &attempt))
            return error;
    }
}
