/* Calls and answers of a session; see session.h. */
#include "drivers/vmware/session.h"

#include <stdlib.h>
#include <string.h>

void session_answer_done(struct session_answer *answer)
{
    if (answer->doc)
        xmlFreeDoc(answer->doc);
    *answer = (struct session_answer){0};
}

bool session_outcome_unknown(const struct driver_session *session)
{
    return session->fault == FAULT_NONE && https_outcome(session->https) != HTTPS_NOT_SENT;
}

bool session_again(const struct driver_session *session, struct error **error, int *attempt)
{
    if (!*error || error_code(*error) != ERR_UNAVAILABLE || !session_outcome_unknown(session) ||
        *attempt >= SESSION_ATTEMPTS)
        return false;
    error_free(*error);
    *error = NULL;
    ++*attempt;
    return true;
}

/* The cookie of the answer, kept as the header line that sends it back. */
static struct error *keep_cookie(struct driver_session *session)
{
    const char *line = https_header(session->https, "Set-Cookie");
    if (!line)
        return NULL;
    size_t length = strcspn(line, ";");
    if (length == 0 || length > SESSION_COOKIE_MAX)
        return error_new(ERR_UNAVAILABLE, "the peer sets a cookie of %zu bytes", length);
    free(session->cookie);
    session->cookie = xasprintf("Cookie: %.*s", (int)length, line);
    return NULL;
}

static struct error *read_fault(struct driver_session *session, const xmlNode *fault)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const xmlNode *detail = xml_first(xml_child(fault, "detail"));
    const char *type = xml_xsi_type(arena, detail);
    if (!type && detail) { /* the element is called TYPEFault */
        size_t length = strlen((const char *)detail->name);
        if (length > 5 && strcmp((const char *)detail->name + length - 5, "Fault") == 0)
            type = arena_strndup(arena, (const char *)detail->name, length - 5);
    }
    return fault_error(type, xml_child_text(fault, "faultstring"), &session->fault);
}

/* The method's response element, or the fault as an error. */
static struct error *read_answer(struct driver_session *session, const struct https_answer *http, xmlDoc *doc,
                                 xmlNode **ret_result)
{
    const xmlNode *envelope = xmlDocGetRootElement(doc);
    xmlNode *result = NULL;
    if (envelope && xml_is(envelope, "Envelope"))
        result = xml_first(xml_child(envelope, "Body"));
    if (!result)
        return error_new(ERR_UNAVAILABLE, "the answer is no SOAP envelope (HTTP status %d)", http->status);
    if (xml_is(result, "Fault"))
        return read_fault(session, result);
    if (http->status != 200)
        return error_new(ERR_UNAVAILABLE, "the peer answers with HTTP status %d", http->status);
    *ret_result = result;
    return NULL;
}

/* How long the peer may take beyond a round trip, and whether a cancelled call ends the wait at once. */
struct patience {
    int64_t wait_us;
    bool cut;
};

static bool keep_going(void *context)
{
    const struct driver_call *call = context;
    return !call->progress || call->progress(call->context, 0, "waiting");
}

static struct error *send_once(struct driver_session *session, const struct driver_call *call,
                               const struct xml_request *request, struct patience patience,
                               struct session_answer *ret_answer)
{
    struct driver_call asked = *call;
    const char *headers[4] = {"Content-Type: text/xml; charset=utf-8", session->soap_action};
    size_t count = 2;
    if (session->cookie)
        headers[count++] = session->cookie;
    struct https_request http = {
        .method = "POST",
        .url = session->url,
        .headers = headers,
        .header_count = count,
        .body = xmlBufferContent(request->buffer),
        .body_length = (size_t)xmlBufferLength(request->buffer),
        .limit = SESSION_ANSWER_MAX,
        .deadline_us = call->deadline_us,
        .timeout_us = patience.wait_us ? session->timeout_us + patience.wait_us : 0,
        .keep_going = patience.cut ? keep_going : NULL,
        .context = &asked,
    };
    struct https_answer answer;
    session->fault = FAULT_NONE;
    TRY(https_send(session->https, &http, &answer));
    xmlDoc *doc;
    struct error *error = xml_parse(answer.body, answer.length, &doc);
    if (error && answer.status != 200)
        return error_recode(error, ERR_UNAVAILABLE, "HTTP status %d", answer.status);
    TRY(error);
    xmlNode *result = NULL;
    error = read_answer(session, &answer, doc, &result);
    if (!error)
        error = keep_cookie(session);
    if (error) {
        xmlFreeDoc(doc);
        return error;
    }
    *ret_answer = (struct session_answer){doc, result};
    return NULL;
}

static struct error *call_patiently(struct driver_session *session, const struct driver_call *call,
                                    struct xml_request *request, struct patience patience,
                                    struct session_answer *ret_answer)
{
    TRY(xml_request_end(request));
    struct error *error = send_once(session, call, request, patience, ret_answer);
    if (error && session->fault == FAULT_NOT_AUTHENTICATED) {
        error_free(error);
        TRY(session_login(session, call));
        error = send_once(session, call, request, patience, ret_answer);
    }
    return error_wrap(error, "%s", request->method);
}

struct error *session_call(struct driver_session *session, const struct driver_call *call,
                           struct xml_request *request, int64_t wait_us, struct session_answer *ret_answer)
{
    return call_patiently(session, call, request, (struct patience){.wait_us = wait_us}, ret_answer);
}

struct error *session_listen(struct driver_session *session, const struct driver_call *call,
                             struct xml_request *request, int64_t wait_us, struct session_answer *ret_answer)
{
    return call_patiently(session, call, request, (struct patience){wait_us, true}, ret_answer);
}

struct error *session_do(struct driver_session *session, const struct driver_call *call,
                         struct xml_request *request)
{
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    return session_call(session, call, request, 0, &answer);
}

struct error *session_login(struct driver_session *session, const struct driver_call *call)
{
    free(session->cookie); /* a login with a live cookie is refused */
    session->cookie = NULL;
    session_forget_view(session);
    watch_forget(session);
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "Login", session->session_manager);
    xml_put(&request, "userName", session->username);
    xml_put(&request, "password", session->password);
    TRY(xml_request_end(&request));
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    TRY_DOING(send_once(session, call, &request, (struct patience){0}, &answer), "could not log in as %s",
              session->username);
    if (!session->cookie)
        return error_new(ERR_UNAVAILABLE, "could not log in as %s: the peer sets no session cookie",
                         session->username);
    session->logins++;
    return NULL;
}

void session_forget_view(struct driver_session *session)
{
    free(session->view);
    session->view = NULL;
}

struct error *session_view(struct driver_session *session, const struct driver_call *call,
                           struct moref *ret_view)
{
    static const char *const kinds[] = {
        "VirtualMachine",  "HostSystem",   "Datastore", "Network",
        "ComputeResource", "ResourcePool", "Folder",    "DistributedVirtualSwitch",
        "Datacenter"};
    if (!session->view) {
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "CreateContainerView", session->view_manager);
        xml_put_ref(&request, "container", session->datacenter);
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
            xml_put(&request, "type", kinds[i]);
        xml_put_bool(&request, "recursive", true);
        SESSION_ANSWER_AUTO struct session_answer answer = {0};
        TRY(session_call(session, call, &request, 0, &answer));
        const char *view = xml_child_text(answer.result, "returnval");
        if (!view || !*view)
            return error_new(ERR_UNAVAILABLE, "the peer made a view without a name");
        session->view = xstrdup(view);
    }
    *ret_view = (struct moref){"ContainerView", session->view};
    return NULL;
}
