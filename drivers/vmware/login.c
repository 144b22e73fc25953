/* Opening and closing a session: the service's content, the login, the datacenter to work in. See session.h.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/base/moment.h"
#include "drivers/vmware/property.h"
#include "drivers/vmware/session.h"

#define FIRST_SOAP_ACTION "SOAPAction: \"urn:vim25/6.0\"" /* until the peer tells its version */
#define VERSION_MAX 32
#define FOLDERS_MAX 32 /* above the datacenter */
#define LOGOUT_US (2 * MOMENT_SECOND)

static const struct moref service_instance = {"ServiceInstance", "ServiceInstance"};

static struct error *read_content(struct driver_session *session, const struct driver_call *call)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "RetrieveServiceContent", service_instance);
    SESSION_ANSWER_AUTO struct session_answer answer = {0};
    TRY(session_call(session, call, &request, 0, &answer));
    const xmlNode *content = xml_child(answer.result, "returnval"), *about = xml_child(content, "about");
    const struct {
        struct moref *ref;
        const char *name;
    } refs[] = {
        {&session->root_folder, "rootFolder"},          {&session->property_collector, "propertyCollector"},
        {&session->view_manager, "viewManager"},        {&session->session_manager, "sessionManager"},
        {&session->search_index, "searchIndex"},        {&session->file_manager, "fileManager"},
        {&session->disk_manager, "virtualDiskManager"},
    };
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        *refs[i].ref = moref_read(session->arena, xml_child(content, refs[i].name));
        if (!refs[i].ref->value)
            return error_new(ERR_UNAVAILABLE, "the peer is no vSphere: its service has no %s", refs[i].name);
    }
    const char *product = xml_child_text(about, "fullName"),
               *identity = xml_child_text(about, "instanceUuid");
    const char *version = xml_child_text(about, "apiVersion");
    session->product = arena_strdup(session->arena, product ? product : "VMware vSphere");
    session->identity = arena_strdup(session->arena, identity && *identity ? identity : session->url);
    if (version && *version && strlen(version) <= VERSION_MAX &&
        strspn(version, "0123456789.") == strlen(version)) {
        free(session->soap_action);
        session->soap_action = xasprintf("SOAPAction: \"urn:vim25/%s\"", version);
    }
    return NULL;
}

struct datacenters {
    struct driver_session *session;
    struct moref parent;
    size_t seen;
    bool found;
};

static void visit_datacenter(void *data, struct moref ref, const xmlNode *object)
{
    struct datacenters *context = data;
    struct driver_session *session = context->session;
    const xmlNode *at = NULL, *value;
    const char *property, *name = "";
    struct moref folder = {0}, parent = {0};
    if (!ref.value || strcmp(ref.type, "Datacenter") != 0)
        return;
    while (property_next(object, &at, &property, &value)) {
        if (strcmp(property, "name") == 0)
            name = xml_text(value);
        else if (strcmp(property, "vmFolder") == 0)
            folder = moref_read(session->arena, value);
        else if (strcmp(property, "parent") == 0)
            parent = moref_read(session->arena, value);
    }
    context->seen++;
    if (session->options.datacenter && strcmp(name, session->options.datacenter) != 0)
        return;
    context->found = true;
    context->parent = parent;
    session->datacenter = (struct moref){"Datacenter", arena_strdup(session->arena, ref.value)};
    session->datacenter_name = arena_strdup(session->arena, name);
    session->vm_folder = folder;
}

struct step {
    struct arena *arena;
    const char *name;
    struct moref parent;
};

static void visit_step(void *data, struct moref ref, const xmlNode *object)
{
    struct step *step = data;
    const xmlNode *at = NULL, *value;
    const char *property;
    while (property_next(object, &at, &property, &value))
        if (strcmp(property, "name") == 0)
            step->name = arena_strdup(step->arena, xml_text(value));
        else
            step->parent = moref_read(step->arena, value);
}

/* The datacenter with the folders above it, as its files are asked for: "FOLDER/NAME". */
static struct error *find_path(struct driver_session *session, const struct driver_call *call,
                               struct moref parent)
{
    static const char *const paths[] = {"name", "parent", NULL};
    static const struct property_set set = {"Folder", paths};
    session->datacenter_path = session->datacenter_name;
    for (int depth = 0; parent.value && strcmp(parent.type, "Folder") == 0; depth++) {
        struct step step = {.arena = session->arena};
        if (moref_same(parent, session->root_folder) || depth == FOLDERS_MAX)
            break;
        TRY(property_read(session, call, parent, NULL, &set, 1, visit_step, &step));
        if (step.name)
            session->datacenter_path =
                arena_printf(session->arena, "%s/%s", step.name, session->datacenter_path);
        parent = step.parent;
    }
    return NULL;
}

/* Among those below the root folder and its folders (one level: datacenters in deeper folders are not looked
 * for by name alone, the container view sees them all). */
static struct error *find_datacenter(struct driver_session *session, const struct driver_call *call)
{
    static const char *const paths[] = {"name", "vmFolder", "parent", NULL};
    static const struct property_set set = {"Datacenter", paths};
    struct datacenters context = {.session = session};
    session->datacenter = session->root_folder; /* the view's container until it is known */
    TRY(property_walk(session, call, &set, 1, visit_datacenter, &context));
    session_forget_view(session); /* it goes with the session */
    if (session->options.datacenter && !context.found)
        return error_new(ERR_INVALID, "the provider has no datacenter %s", session->options.datacenter);
    if (!context.found || !session->vm_folder.value)
        return error_new(ERR_INVALID, "the provider has no datacenter");
    if (!session->options.datacenter && context.seen > 1)
        return error_new(ERR_INVALID,
                         "the provider has %zu datacenters: the option \"datacenter\" has to name one",
                         context.seen);
    return find_path(session, call, context.parent);
}

static struct error *start(struct driver_session *session, const struct driver_call *call)
{
    TRY(read_content(session, call));
    TRY(session_login(session, call));
    return find_datacenter(session, call);
}

struct error *vmware_open(const struct driver_endpoint *endpoint, const struct driver_call *call,
                          struct driver_session **ret_session)
{
    if (!endpoint->url || strncmp(endpoint->url, "https://", 8) != 0)
        return error_new(ERR_INVALID, "the URL of a vSphere endpoint starts with https://");
    if (!endpoint->username || !endpoint->password)
        return error_new(ERR_INVALID, "a vSphere endpoint needs a user name and a password");
    struct driver_session *session = xcalloc(1, sizeof *session);
    session->arena = arena_new();
    session->endpoint = *endpoint;
    session->url = endpoint->url;
    session->username = endpoint->username;
    session->password = endpoint->password;
    session->timeout_us = endpoint->timeout_us;
    session->soap_action = xstrdup(FIRST_SOAP_ACTION);
    struct https_options options = {endpoint->ca_file, endpoint->fingerprint, endpoint->timeout_us};
    struct error *error = options_read(session->arena, endpoint->options, &session->options);
    if (!error)
        error = https_open(&options, &session->https);
    if (!error)
        error = start(session, call);
    if (error) {
        vmware_close(session);
        return error_wrap(error, "could not open %s", endpoint->url);
    }
    *ret_session = session;
    return NULL;
}

static void log_out(struct driver_session *session)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + LOGOUT_US};
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "Logout", session->session_manager);
    error_ignore(session_do(session, &call, &request)); /* the peer ends idle sessions itself */
}

void vmware_close(struct driver_session *session)
{
    if (!session)
        return;
    if (session->https && session->cookie)
        log_out(session);
    https_close(session->https);
    watch_forget(session);
    free(session->view);
    free(session->cookie);
    free(session->soap_action);
    arena_free(session->arena);
    free(session);
}
