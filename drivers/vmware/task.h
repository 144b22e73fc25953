/* Waiting for a vSphere task: one look first, for most are quick; then a property filter of its own that the
 * peer answers when something changed, so that a long task costs no polling. */
#ifndef DRIVERS_VMWARE_TASK_H
#define DRIVERS_VMWARE_TASK_H

#include "drivers/vmware/session.h"

/* The two halves of task_run, for several tasks at once. A task goes on without us: one that is never
 * finished here is not harmed. */
struct error *task_start(struct driver_session *session, const struct driver_call *call,
                         struct xml_request *request, struct moref *ret_task) ERROR_MUST_USE;
struct error *task_finish(struct driver_session *session, const struct driver_call *call, struct moref task,
                          const char *step, struct session_answer *answer,
                          const xmlNode **ret_result) ERROR_MUST_USE;

/* Sends a request whose answer is a task, and waits for its end. The task's own fault becomes the error, with
 * session->fault set. `ret_result`, NULL when not wanted, gets the task's result element, alive as long as
 * `answer`. */
struct error *task_run(struct driver_session *session, const struct driver_call *call,
                       struct xml_request *request, const char *step, struct session_answer *answer,
                       const xmlNode **ret_result) ERROR_MUST_USE;
/* Same when the result is of no interest. */
struct error *task_do(struct driver_session *session, const struct driver_call *call,
                      struct xml_request *request, const char *step) ERROR_MUST_USE;

#endif
