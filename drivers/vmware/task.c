/* See task.h. */
#include "drivers/vmware/task.h"

#include <string.h>

#include "drivers/vmware/follow.h"

#define ATTEMPTS 3 /* at a session that is lost while a task runs */

static const char *const task_paths[] = {"info", NULL};
static const struct property_set task_set = {"Task", task_paths};

struct task {
    struct driver_session *session;
    const struct driver_call *call;
    struct moref ref;
    const char *step;
    bool ended;
};

/* What TaskInfo says: ended or not, its fault, its progress told. */
static struct error *judge(void *context, const xmlNode *info, bool *ret_ended)
{
    struct task *task = context;
    const char *state = xml_child_text(info, "state");
    if (!state)
        return error_new(ERR_UNAVAILABLE, "the peer tells of a task without a state");
    if (strcmp(state, "success") == 0) {
        *ret_ended = task->ended = true;
        return NULL;
    }
    if (strcmp(state, "error") == 0) {
        *ret_ended = task->ended = true;
        return fault_localized(xml_child(info, "error"), &task->session->fault);
    }
    if (task->call->progress) {
        int64_t percent = xml_number(xml_child(info, "progress"), 0);
        if (percent < 0 || percent > 100)
            percent = 0;
        if (!task->call->progress(task->call->context, (int)percent, task->step))
            return error_new(ERR_CANCELLED, "asked to stop");
    }
    return NULL;
}

/* Asks the peer to stop; many tasks cannot be, and then it goes on and a repeat of the operation finds its
 * outcome. */
static void cancel(struct task *task)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CancelTask", task->ref);
    error_ignore(
        session_do(task->session, task->call, &request)); /* the caller is told of the cancellation anyway */
}

/* One look. The answer stays with the caller, for the task's result is in it. */
static struct error *look(struct task *task, struct session_answer *answer, const xmlNode **ret_result)
{
    session_answer_done(answer);
    TRY(property_ask(task->session, task->call, task->ref, NULL, &task_set, 1, answer));
    const xmlNode *object = xml_child(xml_child(answer->result, "returnval"), "objects"), *at = NULL, *info;
    const char *name;
    if (!property_next(object, &at, &name, &info))
        return error_new(ERR_UNAVAILABLE, "the peer does not tell the state of its task");
    bool ended = false;
    TRY(judge(task, info, &ended));
    if (ret_result)
        *ret_result = xml_child(info, "result");
    return NULL;
}

static struct error *wait_long(struct task *task)
{
    struct follow follow = {.session = task->session,
                            .call = task->call,
                            .ref = task->ref,
                            .set = task_set,
                            .step = task->step,
                            .until_us = task->call->deadline_us,
                            .judge = judge,
                            .context = task};
    struct error *error = follow_until(&follow);
    if (error && error_code(error) == ERR_CANCELLED && !task->ended)
        cancel(task);
    return error;
}

struct error *task_start(struct driver_session *session, const struct driver_call *call,
                         struct xml_request *request, struct moref *ret_task)
{
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    TRY(session_call(session, call, request, 0, &answer));
    struct moref task = moref_read(call->arena, xml_child(answer.result, "returnval"));
    if (!task.value)
        return error_new(ERR_UNAVAILABLE, "%s: the peer answers without a task", request->method);
    *ret_task = task;
    return NULL;
}

struct error *task_finish(struct driver_session *session, const struct driver_call *call, struct moref ref,
                          const char *step, struct session_answer *answer, const xmlNode **ret_result)
{
    struct task task = {.session = session, .call = call, .ref = ref, .step = step};
    TRY_DOING(look(&task, answer, ret_result), "%s", step);
    if (task.ended)
        return NULL;
    for (int attempt = 1; !task.ended; attempt++) {
        unsigned logins = session->logins;
        struct error *error = wait_long(&task);
        if (!error || task.ended || session->logins == logins || attempt == ATTEMPTS) {
            TRY(error);
            break;
        }
        error_free(error); /* the collector went with the session; the task did not */
        TRY_DOING(look(&task, answer, ret_result), "%s", step);
    }
    return ret_result ? look(&task, answer, ret_result) : NULL; /* the whole result */
}

struct error *task_run(struct driver_session *session, const struct driver_call *call,
                       struct xml_request *request, const char *step, struct session_answer *answer,
                       const xmlNode **ret_result)
{
    struct moref task;
    TRY(task_start(session, call, request, &task));
    return task_finish(session, call, task, step, answer, ret_result);
}

struct error *task_do(struct driver_session *session, const struct driver_call *call,
                      struct xml_request *request, const char *step)
{
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    return task_run(session, call, request, step, &answer, NULL);
}
