/* See session.h. */
#include "drivers/powervm/session.h"

#include <stdlib.h>

#include "drivers/powervm/atom.h"

static const struct json_member pool_members[] = {
    {JSON_MEMBER(struct powervm_pools, standard), .want = JSON_WANT_TEXT, .min = 1, .max = 127},
    {JSON_MEMBER(struct powervm_pools, high), .want = JSON_WANT_TEXT, .min = 1, .max = 127},
};
static const struct json_spec pool_spec = JSON_SPEC(struct powervm_pools, pool_members);

static const struct json_member members[] = {
    {JSON_MEMBER(struct powervm_options, managed_systems), .want = JSON_WANT_TEXTS, .min = 1,
     .max = POWERVM_SYSTEMS_MAX},
    {JSON_MEMBER(struct powervm_options, pools), .want = JSON_WANT_OBJECT, .spec = &pool_spec},
    {JSON_MEMBER(struct powervm_options, units_per_vcpu), .want = JSON_WANT_QUANTITY, .min = 50000,
     .max = 1000000},
    {JSON_MEMBER(struct powervm_options, max_vcpu), .want = JSON_WANT_INT, .min = 1, .max = POWERVM_VCPU_MAX},
    {JSON_MEMBER(struct powervm_options, max_memory_mb), .want = JSON_WANT_INT, .min = 1024,
     .max = POWERVM_MEMORY_MAX_MB},
    {JSON_MEMBER(struct powervm_options, thin), .want = JSON_WANT_BOOL},
};
static const struct json_spec spec = JSON_SPEC(struct powervm_options, members);

static struct error *read_options(struct driver_session *session, const json_t *options)
{
    session->options = (struct powervm_options){.pools = {.standard = "standard", .high = "high"},
                                                .units_per_vcpu = ATOM_MICRO / 4,
                                                .max_vcpu = 16,
                                                .max_memory_mb = 65536,
                                                .thin = true};
    if (!options || json_is_null(options))
        return NULL;
    json_t *kept = json_hold(session->arena, json_deep_copy(options)); /* the texts are borrowed from it */
    TRY_DOING(json_read(session->arena, kept, &spec, &session->options), "options of a powervm endpoint");
    if (session->options.units_per_vcpu % 10000)
        return error_member("/units_per_vcpu", "processing units have at most two decimals");
    return NULL;
}

void powervm_close(struct driver_session *session)
{
    if (!session)
        return;
    hmc_close(session->hmc);
    json_decref(session->seen);
    arena_free(session->arena);
    free(session);
}

struct error *powervm_open(const struct driver_endpoint *endpoint, const struct driver_call *call,
                           struct driver_session **ret_session)
{
    struct driver_session *session = xcalloc(1, sizeof *session);
    session->arena = arena_new();
    session->seen = json_object();
    struct error *error = session->seen ? read_options(session, endpoint->options)
                                        : error_new(ERR_INTERNAL, "no memory for a session");
    if (!error)
        error = hmc_open(endpoint, call, &session->hmc);
    if (error) {
        powervm_close(session);
        return error;
    }
    *ret_session = session;
    return NULL;
}
