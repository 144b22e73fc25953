/* One logged-in session of a vCenter or ESXi: calls with their answers and faults, login and login again when
 * the peer has forgotten us, and the container view that property.c reads the inventory through.
 *
 * A peer tells a lost session in three ways: the fault NotAuthenticated; NotAuthenticated in missingSet of a
 * property answer (property.c); ManagedObjectNotFound for an object that belonged to the session, such as the
 * view. */
#ifndef DRIVERS_VMWARE_SESSION_H
#define DRIVERS_VMWARE_SESSION_H

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/error.h"
#include "drivers/driver.h"
#include "drivers/https.h"
#include "drivers/vmware/fault.h"
#include "drivers/vmware/options.h"
#include "drivers/vmware/xml.h"

#define SESSION_ANSWER_MAX (64u << 20) /* bytes of one answer; pages keep real ones below 4 MB */
#define SESSION_COOKIE_MAX 4096

/* One instance that the watch knows, by reference. */
struct watched {
    const char *ref;
    const char *id; /* NULL: not stamped */
    enum driver_power power;
};

struct driver_session {
    struct arena *arena; /* lives as long as the session: options, service content, placement */
    struct https *https;
    struct driver_endpoint endpoint; /* as given to open */
    const char *url, *username, *password;
    int64_t timeout_us;
    struct options options;

    char *cookie;      /* the whole header line; NULL: not logged in */
    char *soap_action; /* header line with the API version */
    unsigned logins;
    enum fault fault; /* of the last call */

    /* from RetrieveServiceContent */
    struct moref root_folder, property_collector, view_manager, session_manager, search_index, file_manager,
        disk_manager;
    const char *product, *identity;

    struct moref datacenter, vm_folder;
    const char *datacenter_name;
    const char *datacenter_path; /* with the folders above it */
    char *view;                  /* ContainerView over the datacenter; NULL: to be made */

    /* watch.c */
    struct moref watch_collector;
    char *watch_version;
    bool watch_lost; /* a watch was under way and its changes may have been missed */
    struct arena *watch_arena;
    struct watched *watched;
    size_t watched_count, watched_room;
};

/* An answer: the document and the method's response element in it. */
struct session_answer {
    xmlDoc *doc;
    xmlNode *result;
};
void session_answer_done(struct session_answer *answer);
#define SESSION_ANSWER_AUTO __attribute__((cleanup(session_answer_done)))

/* Sends the request (ended here) and reads the answer. Logs in again, once, when the peer says that we are
 * not: the call had no effect then. On an error session->fault tells the fault, FAULT_NONE when it was none.
 * `wait_us`: how long the peer may take beyond the endpoint's round trip (long polls), else 0. */
struct error *session_call(struct driver_session *session, const struct driver_call *call,
                           struct xml_request *request, int64_t wait_us,
                           struct session_answer *ret_answer) ERROR_MUST_USE;
/* session_call for a long poll that changes nothing: when call->progress says so the wait ends within about a
 * second with ERR_CANCELLED. The connection is dropped then. */
struct error *session_listen(struct driver_session *session, const struct driver_call *call,
                             struct xml_request *request, int64_t wait_us,
                             struct session_answer *ret_answer) ERROR_MUST_USE;
/* Same for a call without an answer of interest. */
struct error *session_do(struct driver_session *session, const struct driver_call *call,
                         struct xml_request *request) ERROR_MUST_USE;

/* Whether the call that just failed may nevertheless have had its effect. */
bool session_outcome_unknown(const struct driver_session *session);

/* For operations that read the state, change it, and read again when a change's outcome is unknown: true when
 * `*error` is of that kind and *attempt has not reached SESSION_ATTEMPTS; then the error is freed and the
 * attempt counted. */
#define SESSION_ATTEMPTS 3
bool session_again(const struct driver_session *session, struct error **error, int *attempt);

/* Forgets the cookie and what belonged to it, and logs in. */
struct error *session_login(struct driver_session *session, const struct driver_call *call) ERROR_MUST_USE;

/* Makes the view if there is none. */
struct error *session_view(struct driver_session *session, const struct driver_call *call,
                           struct moref *ret_view) ERROR_MUST_USE;
void session_forget_view(struct driver_session *session);

/* In login.c: the driver's open and close. */
struct error *vmware_open(const struct driver_endpoint *endpoint, const struct driver_call *call,
                          struct driver_session **ret_session) ERROR_MUST_USE;
void vmware_close(struct driver_session *session);

/* In watch.c. */
void watch_forget(struct driver_session *session);

#endif
