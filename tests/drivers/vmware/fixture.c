/* See fixture.h. */
#include "tests/drivers/vmware/fixture.h"

struct vcsim *sim;
struct driver_session *session;
struct driver_call call;
const struct driver *const vmware = &vmware_driver;

void expect_success(struct error *error, const char *file, int line)
{
    if (!error)
        return;
    print_error("%s\n", error_message(error));
    error_free(error);
    _fail(file, line);
}

void expect_error(struct error *error, enum error_code code, const char *fragment, const char *file, int line)
{
    if (!error) {
        print_error("no error where one was due: %s\n", fragment);
        _fail(file, line);
    }
    bool good = error_code(error) == code && strstr(error_message(error), fragment);
    if (!good)
        print_error("%s is not %s with \"%s\": %s\n", error_code_name(error_code(error)),
                    error_code_name(code), fragment, error_message(error));
    error_free(error);
    if (!good)
        _fail(file, line);
}

int renew_call(void **state)
{
    if (sim)
        vcsim_control(sim, "/__reset");
    if (call.arena)
        arena_reset(call.arena);
    else
        call.arena = arena_new();
    call.deadline_us = moment_monotonic() + 30 * MOMENT_SECOND;
    call.progress = NULL;
    return 0;
}

void fixture_start(const char *const *arguments)
{
    sim = vcsim_start(arguments);
    renew_call(NULL);
    struct driver_endpoint endpoint = vcsim_endpoint(sim);
    static char url[256], fingerprint[65];
    snprintf(url, sizeof url, "%s", endpoint.url);
    snprintf(fingerprint, sizeof fingerprint, "%s", endpoint.fingerprint);
    endpoint.url = url;
    endpoint.fingerprint = fingerprint;
    OK(vmware->open(&endpoint, &call, &session));
}

int fixture_stop(void **state)
{
    if (session)
        vmware->close(session);
    session = NULL;
    vcsim_stop(sim);
    sim = NULL;
    arena_free(call.arena);
    call.arena = NULL;
    return 0;
}

struct driver_instance_spec spec_of(const char *id, const char *name)
{
    return (struct driver_instance_spec){
        .id = id,
        .name = name,
        .architecture = "x86",
        .vcpu = 2,
        .memory_mb = 2048,
        .image = VCSIM_TEMPLATE,
        .system_disk_gb = 10,
        .network = "VM Network",
    };
}

struct driver_key key_of(const char *id)
{
    return (struct driver_key){id, NULL};
}
