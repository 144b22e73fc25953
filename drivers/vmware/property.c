/* See property.h. */
#include "drivers/vmware/property.h"

#include <string.h>

#define ATTEMPTS 3 /* a lost session, then a view lost with it */

static void put_sets(struct xml_request *request, const struct property_set *sets, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        xml_open(request, "propSet");
        xml_put(request, "type", sets[i].type);
        for (const char *const *path = sets[i].paths; *path; path++)
            xml_put(request, "pathSet", *path);
        xml_close(request);
    }
}

static void put_traversal(struct xml_request *request, const char *type, const char *path)
{
    xml_open_as(request, "selectSet", "TraversalSpec");
    xml_put(request, "type", type);
    xml_put(request, "path", path);
    xml_put_bool(request, "skip", false);
    xml_close(request);
}

void property_put_view(struct xml_request *request, const struct property_set *sets, size_t count,
                       struct moref view)
{
    put_sets(request, sets, count);
    xml_open(request, "objectSet");
    xml_put_ref(request, "obj", view);
    xml_put_bool(request, "skip", true);
    put_traversal(request, "ContainerView", "view");
    xml_close(request);
}

void property_put_object(struct xml_request *request, const struct property_set *sets, size_t count,
                         struct moref ref, const char *through)
{
    put_sets(request, sets, count);
    xml_open(request, "objectSet");
    xml_put_ref(request, "obj", ref);
    xml_put_bool(request, "skip", false);
    if (through)
        put_traversal(request, ref.type, through);
    xml_close(request);
}

bool property_next(const xmlNode *object, const xmlNode **at, const char **ret_name,
                   const xmlNode **ret_value)
{
    const xmlNode *next = *at ? xml_next(*at) : xml_child(object, "propSet");
    for (; next; next = xml_next(next)) {
        const char *name = xml_child_text(next, "name");
        const xmlNode *value = xml_child(next, "val");
        if (!name || !value)
            continue;
        *at = next;
        *ret_name = name;
        *ret_value = value;
        return true;
    }
    return false;
}

/* Whether the peer hides an object's properties because it has forgotten our session. */
static bool hidden(const xmlNode *object)
{
    const xmlNode *missing = xml_child(object, "missingSet");
    if (!missing)
        return false;
    ARENA_AUTO struct arena *arena = arena_new();
    const char *type = xml_xsi_type(arena, xml_child(xml_child(missing, "fault"), "fault"));
    return type && strcmp(type, "NotAuthenticated") == 0;
}

/* Asks once; *ret_lost when the session turned out to be lost, and then there is no answer. */
static struct error *first_page(struct driver_session *session, const struct driver_call *call,
                                struct xml_request *request, struct session_answer *ret_answer,
                                bool *ret_lost)
{
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    struct error *error = session_call(session, call, request, 0, &answer);
    if (error)
        return error;
    if (hidden(xml_child(xml_child(answer.result, "returnval"), "objects"))) {
        *ret_lost = true;
        return session_login(session, call);
    }
    *ret_answer = answer;
    answer = (struct session_answer){0};
    return NULL;
}

static void visit_page(const struct driver_call *call, const xmlNode *page, property_visitor *visit,
                       void *context)
{
    for (const xmlNode *object = xml_child(page, "objects"); object; object = xml_next(object))
        visit(context, moref_read(call->arena, xml_child(object, "obj")), object);
}

static struct error *further_pages(struct driver_session *session, const struct driver_call *call,
                                   const char *first_token, property_visitor *visit, void *context)
{
    for (char *token = arena_strdup(call->arena, first_token); token;) {
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "ContinueRetrievePropertiesEx", session->property_collector);
        xml_put(&request, "token", token);
        SESSION_ANSWER_AUTO struct session_answer answer = {0};
        unsigned logins = session->logins;
        struct error *error = session_call(session, call, &request, 0, &answer);
        if (error && session->logins != logins)
            return error_recode(error, ERR_UNAVAILABLE, "the session ended between two pages");
        TRY(error);
        const xmlNode *page = xml_child(answer.result, "returnval");
        visit_page(call, page, visit, context);
        token = arena_strdup(call->arena, xml_child_text(page, "token"));
    }
    return NULL;
}

static void begin_retrieve(struct driver_session *session, struct xml_request *request)
{
    xml_request_begin(request, "RetrievePropertiesEx", session->property_collector);
    xml_open(request, "specSet");
}

static void end_retrieve(struct xml_request *request)
{
    xml_close(request);
    xml_open(request, "options");
    xml_put_number(request, "maxObjects", PROPERTY_PAGE);
    xml_close(request);
}

struct error *property_walk(struct driver_session *session, const struct driver_call *call,
                            const struct property_set *sets, size_t count, property_visitor *visit,
                            void *context)
{
    for (int attempt = 1;; attempt++) {
        struct moref view;
        TRY(session_view(session, call, &view));
        XML_REQUEST_AUTO struct xml_request request;
        begin_retrieve(session, &request);
        property_put_view(&request, sets, count, view);
        end_retrieve(&request);
        SESSION_ANSWER_AUTO struct session_answer answer = {0};
        bool lost = false;
        struct error *error = first_page(session, call, &request, &answer, &lost);
        if (error && session->fault == FAULT_OBJECT_NOT_FOUND && attempt < ATTEMPTS) {
            error_free(error);
            session_forget_view(session);
            continue;
        }
        TRY(error);
        if (lost && attempt < ATTEMPTS)
            continue;
        if (lost)
            return error_new(ERR_DENIED, "the provider forgets the session as soon as it is made");
        const xmlNode *page = xml_child(answer.result, "returnval");
        visit_page(call, page, visit, context);
        return further_pages(session, call, xml_child_text(page, "token"), visit, context);
    }
}

struct error *property_ask(struct driver_session *session, const struct driver_call *call, struct moref ref,
                           const char *through, const struct property_set *sets, size_t count,
                           struct session_answer *answer)
{
    for (int attempt = 1; attempt <= ATTEMPTS; attempt++) {
        XML_REQUEST_AUTO struct xml_request request;
        begin_retrieve(session, &request);
        property_put_object(&request, sets, count, ref, through);
        end_retrieve(&request);
        bool lost = false;
        TRY(first_page(session, call, &request, answer, &lost));
        if (!lost)
            return NULL;
    }
    return error_new(ERR_DENIED, "the provider forgets the session as soon as it is made");
}

struct error *property_read(struct driver_session *session, const struct driver_call *call, struct moref ref,
                            const char *through, const struct property_set *sets, size_t count,
                            property_visitor *visit, void *context)
{
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    TRY(property_ask(session, call, ref, through, sets, count, &answer));
    visit_page(call, xml_child(answer.result, "returnval"), visit, context);
    return NULL;
}
