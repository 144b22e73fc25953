/* See fence.h. */
#include "drivers/vmware/fence.h"

#include <stdlib.h>

#include "drivers/vmware/task.h"

bool fence_holds(const struct machine *machine)
{
    return machine->marks.fence && machine->cpu_reservation >= FENCE_MHZ;
}

static void put_reservation(struct xml_request *request, int64_t mhz)
{
    xml_open(request, "cpuAllocation");
    xml_put_number(request, "reservation", mhz);
    xml_close(request);
}

void fence_put(struct xml_request *request, struct arena *arena, int64_t before)
{
    put_reservation(request, FENCE_MHZ);
    mark_put(request, MARK_FENCE, arena_printf(arena, "%lld", (long long)before));
}

struct error *fence_check(const struct machine *machine)
{
    if (machine->marks.fence)
        return error_new(ERR_CONFLICT, "the machine %s is fenced", machine->instance.name);
    return NULL;
}

struct error *vmware_instance_fence(struct driver_session *session, const struct driver_call *call,
                                    const struct driver_key *key)
{
    for (int attempt = 1;;) {
        struct machine machine;
        TRY(machine_find(session, call, key, &machine));
        if (machine.instance.power != DRIVER_POWER_OFF)
            return error_new(ERR_CONFLICT, "the machine %s is not off (%s)", machine.instance.name,
                             machine.instance.detail);
        if (fence_holds(&machine))
            return NULL;
        /* An operator may have undone one half of it. */
        int64_t before =
            machine.marks.fence ? strtoll(machine.marks.fence, NULL, 10) : machine.cpu_reservation;
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "ReconfigVM_Task", machine.ref);
        xml_open(&request, "spec");
        fence_put(&request, call->arena, before);
        xml_close(&request);
        struct error *error = task_do(session, call, &request, "fence");
        if (!error) {
            /* Somebody may have started it in between: reservations change on running machines too. */
            TRY(machine_read(session, call, machine.ref, &machine));
            if (machine.instance.power == DRIVER_POWER_OFF)
                return NULL;
            struct driver_key found = {key->id, machine.ref.value};
            TRY(vmware_instance_release(session, call, &found));
            return error_new(ERR_CONFLICT, "the machine %s was started meanwhile", machine.instance.name);
        }
        if (!session_again(session, &error, &attempt))
            return error;
    }
}

struct error *vmware_instance_release(struct driver_session *session, const struct driver_call *call,
                                      const struct driver_key *key)
{
    for (int attempt = 1;;) {
        struct machine machine;
        TRY(machine_find(session, call, key, &machine));
        if (!machine.marks.fence && !machine.marks.shell)
            return NULL;
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "ReconfigVM_Task", machine.ref);
        xml_open(&request, "spec");
        if (machine.marks.fence && machine.cpu_reservation >= FENCE_MHZ)
            put_reservation(&request, strtoll(machine.marks.fence, NULL, 10));
        mark_put(&request, MARK_FENCE, "");
        mark_put(&request, MARK_SHELL, "");
        mark_put(&request, MARK_FILLED_BY, "");
        xml_close(&request);
        struct error *error = task_do(session, call, &request, "release");
        if (!session_again(session, &error, &attempt))
            return error;
    }
}
