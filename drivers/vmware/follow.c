/* See follow.h. */
#include "drivers/vmware/follow.h"

#include <string.h>

#include "broker/base/moment.h"

#define WAIT_MAX_SECONDS 20            /* of one WaitForUpdatesEx */
#define CLEANUP_US (2 * MOMENT_SECOND) /* for removing the collector when the call's own time is over */

static struct error *judge_changes(const struct follow *follow, const xmlNode *object, bool *ret_ended)
{
    for (const xmlNode *change = xml_child(object, "changeSet"); change; change = xml_next(change)) {
        const char *name = xml_child_text(change, "name");
        if (name && strcmp(name, follow->set.paths[0]) == 0)
            TRY(follow->judge(follow->context, xml_child(change, "val"), ret_ended));
    }
    return NULL;
}

static struct error *wait_once(const struct follow *follow, struct moref collector, const char **version,
                               bool *ret_ended)
{
    int64_t left = follow->until_us - moment_monotonic();
    if (left <= 0)
        return error_new(ERR_TIMEOUT, "out of time");
    int64_t seconds = left / MOMENT_SECOND;
    seconds = seconds > WAIT_MAX_SECONDS ? WAIT_MAX_SECONDS : seconds < 1 ? 1 : seconds;
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "WaitForUpdatesEx", collector);
    xml_put(&request, "version", *version);
    xml_open(&request, "options");
    xml_put_number(&request, "maxWaitSeconds", seconds);
    xml_close(&request);
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    TRY(session_call(follow->session, follow->call, &request, seconds * MOMENT_SECOND, &answer));
    const xmlNode *set = xml_child(answer.result, "returnval");
    const char *next = xml_child_text(set, "version");
    if (next)
        *version = arena_strdup(follow->call->arena, next);
    for (const xmlNode *filter = xml_child(set, "filterSet"); filter; filter = xml_next(filter))
        for (const xmlNode *object = xml_child(filter, "objectSet"); object; object = xml_next(object))
            TRY(judge_changes(follow, object, ret_ended));
    return NULL;
}

static struct error *make_collector(const struct follow *follow, struct moref *ret_collector)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CreatePropertyCollector", follow->session->property_collector);
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    TRY(session_call(follow->session, follow->call, &request, 0, &answer));
    *ret_collector = moref_read(follow->call->arena, xml_child(answer.result, "returnval"));
    if (!ret_collector->value)
        return error_new(ERR_UNAVAILABLE, "the peer made a property collector without a name");
    return NULL;
}

static struct error *wait_filtered(const struct follow *follow, struct moref collector)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CreateFilter", collector);
    xml_open(&request, "spec");
    property_put_object(&request, &follow->set, 1, follow->ref, NULL);
    xml_close(&request);
    xml_put_bool(&request, "partialUpdates", false);
    TRY(session_do(follow->session, follow->call, &request));
    const char *version = "";
    for (bool ended = false; !ended;)
        TRY(wait_once(follow, collector, &version, &ended));
    return NULL;
}

struct error *follow_until(const struct follow *follow)
{
    struct driver_session *session = follow->session;
    struct moref collector;
    TRY_DOING(make_collector(follow, &collector), "%s", follow->step);
    unsigned logins = session->logins;
    struct error *error = wait_filtered(follow, collector);
    if (error && session->logins != logins)
        return error_recode(error, ERR_UNAVAILABLE, "%s: the session ended meanwhile", follow->step);

    struct driver_call cleanup = {.arena = follow->call->arena,
                                  .deadline_us = moment_monotonic() + CLEANUP_US};
    enum fault fault = session->fault;
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "DestroyPropertyCollector", collector);
    error_ignore(session_do(session, &cleanup, &request)); /* it goes with the session at the latest */
    session->fault = fault;
    return error_wrap(error, "%s", follow->step);
}
