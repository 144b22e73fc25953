/* The fleet of gates; see fleet.h. A small linked list under one lock: a federation has tens of endpoints,
 * not thousands. */
#include "broker/control/fleet.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/base/log.h"
#include "broker/base/secret.h"
#include "broker/control/endpoint.h"

struct lent_gate {
    struct lent_gate *next;
    struct fleet *fleet;
    char *endpoint;
    int64_t version;
    struct gate *gate;
    unsigned users;
    bool retired; /* a newer one took its place; freed with its last user */
};

struct fleet {
    pthread_mutex_t lock;
    const struct registry *registry;
    struct secret_reach reach;
    struct lent_gate *gates;
};

struct fleet *fleet_new(const struct registry *registry, const struct secret_reach *reach)
{
    struct fleet *fleet = xcalloc(1, sizeof *fleet);
    (void)pthread_mutex_init(&fleet->lock, NULL); /* default attributes cannot fail on Linux */
    fleet->registry = registry;
    fleet->reach = *reach;
    return fleet;
}

static void entry_free(struct lent_gate *entry)
{
    gate_free(entry->gate);
    free(entry->endpoint);
    free(entry);
}

void fleet_free(struct fleet *fleet)
{
    if (!fleet)
        return;
    for (struct lent_gate *entry = fleet->gates, *next; entry; entry = next) {
        next = entry->next;
        entry_free(entry);
    }
    (void)pthread_mutex_destroy(&fleet->lock);
    free(fleet);
}

/* The present entry of an endpoint, whatever its version; call with the lock held. */
static struct lent_gate *find_entry(struct fleet *fleet, const char *endpoint)
{
    for (struct lent_gate *entry = fleet->gates; entry; entry = entry->next)
        if (!entry->retired && !strcmp(entry->endpoint, endpoint))
            return entry;
    return NULL;
}

/* `*ret_password` is the caller's, for secret_free. */
static struct error *read_endpoint(struct fleet *fleet, const struct endpoint_row *row,
                                   struct driver_endpoint *ret_endpoint, char **ret_password)
{
    TRY_DOING(endpoint_check_url(row->url), "the URL of endpoint \"%s\"", row->id); /* of older rows */
    char *password = NULL;
    if (row->secret)
        TRY_DOING(secret_reach_check(&fleet->reach, row->secret), "the secret of endpoint \"%s\"", row->id);
    if (row->secret)
        TRY_DOING(secret_read(row->secret, &password), "could not read the secret of endpoint \"%s\"",
                  row->id);
    *ret_endpoint = (struct driver_endpoint){.id = row->id,
                                             .url = row->url,
                                             .username = row->username,
                                             .password = password,
                                             .ca_file = row->ca_file,
                                             .fingerprint = row->fingerprint,
                                             .options = row->options,
                                             .timeout_us = row->timeout_us};
    *ret_password = password;
    return NULL;
}

static struct error *make_gate(struct fleet *fleet, const struct endpoint_row *row, struct gate **ret_gate)
{
    const struct driver *driver = fleet_driver(fleet, row->driver);
    struct driver_endpoint endpoint;
    char *password;
    if (!driver)
        return error_new(ERR_INVALID, "endpoint \"%s\" wants driver \"%s\", which this broker lacks", row->id,
                         row->driver);
    TRY(read_endpoint(fleet, row, &endpoint, &password));
    struct error *error = gate_new(driver, &endpoint, NULL, ret_gate);
    secret_free(password);
    return error;
}

static void forget_password(void *password)
{
    secret_free(password);
}

struct error *fleet_endpoint(struct fleet *fleet, struct db *db, struct arena *arena, const char *endpoint,
                             struct driver_endpoint *ret_endpoint)
{
    struct endpoint_row row;
    char *password;
    TRY(endpoint_load(db, arena, endpoint, &row));
    if (!row.enabled)
        return error_new(ERR_CONFLICT, "endpoint \"%s\" is disabled", endpoint);
    TRY(read_endpoint(fleet, &row, ret_endpoint, &password));
    if (password)
        arena_defer(arena, forget_password, password);
    return NULL;
}

/* Unlinks a retired entry that nobody uses; call with the lock held, free what it returns without. */
static struct lent_gate *unlink_idle(struct fleet *fleet, struct lent_gate *entry)
{
    if (!entry->retired || entry->users)
        return NULL;
    for (struct lent_gate **at = &fleet->gates; *at; at = &(*at)->next) {
        if (*at == entry) {
            *at = entry->next;
            return entry;
        }
    }
    return NULL;
}

static struct lent_gate *add_entry(struct fleet *fleet, const struct endpoint_row *row, struct gate *gate)
{
    struct lent_gate *entry = xcalloc(1, sizeof *entry);
    *entry = (struct lent_gate){.next = fleet->gates,
                                .fleet = fleet,
                                .endpoint = xstrdup(row->id),
                                .version = row->version,
                                .gate = gate,
                                .users = 1};
    fleet->gates = entry;
    return entry;
}

struct error *fleet_borrow(struct fleet *fleet, struct db *db, const char *endpoint,
                           struct lent_gate **ret_lent)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct endpoint_row row;
    TRY(endpoint_load(db, arena, endpoint, &row));
    if (!row.enabled)
        return error_new(ERR_CONFLICT, "endpoint \"%s\" is disabled", endpoint);
    struct lent_gate *idle = NULL, *found;
    struct error *error = NULL;
    (void)pthread_mutex_lock(&fleet->lock);
    found = find_entry(fleet, endpoint);
    if (found && found->version < row.version) { /* a row read before a change brings no old gate back */
        found->retired = true;
        idle = unlink_idle(fleet, found);
        found = NULL;
    }
    if (found) {
        found->users++;
    } else {
        struct gate *gate;
        error = make_gate(fleet, &row, &gate); /* nothing is opened yet: quick */
        if (!error)
            found = add_entry(fleet, &row, gate);
    }
    (void)pthread_mutex_unlock(&fleet->lock);
    if (idle)
        entry_free(idle);
    if (!error)
        *ret_lent = found;
    return error;
}

void fleet_return(struct lent_gate *lent)
{
    if (!lent)
        return;
    struct fleet *fleet = lent->fleet;
    (void)pthread_mutex_lock(&fleet->lock);
    lent->users--;
    struct lent_gate *idle = unlink_idle(fleet, lent);
    (void)pthread_mutex_unlock(&fleet->lock);
    if (idle)
        entry_free(idle);
}

struct gate *lent_gate(const struct lent_gate *lent)
{
    return lent->gate;
}

const struct secret_reach *fleet_reach(const struct fleet *fleet)
{
    return &fleet->reach;
}

const struct driver *fleet_driver(const struct fleet *fleet, const char *name)
{
    return driver_find(fleet->registry, name);
}

json_t *fleet_status(struct fleet *fleet, struct arena *arena, const char *endpoint)
{
    (void)pthread_mutex_lock(&fleet->lock);
    struct lent_gate *entry = find_entry(fleet, endpoint);
    if (entry)
        entry->users++;
    (void)pthread_mutex_unlock(&fleet->lock);
    if (!entry)
        return NULL;
    struct gate_status status;
    gate_status(entry->gate, arena, &status);
    json_t *json = json_object();
    json_put_text(json, "state", gate_state_name(status.state));
    json_put_int(json, "failures", status.failures);
    json_put_int(json, "retry_in_ms", status.retry_in_us / 1000);
    json_put_int(json, "sessions", status.sessions);
    json_put_int(json, "busy", status.busy);
    json_put_int(json, "hung", status.hung);
    json_put_int(json, "calls", (int64_t)status.calls);
    json_put_int(json, "errors", (int64_t)status.errors);
    json_put_text(json, "last_error", status.last_error);
    fleet_return(entry);
    return json;
}
