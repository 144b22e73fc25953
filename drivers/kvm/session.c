/* Opening and closing of a session, its options, and the point between two steps of an operation. */
#include "drivers/kvm/session.h"

#include <libvirt/virterror.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "drivers/kvm/events.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/host.h"

#define KEEPALIVE_COUNT 3 /* unanswered probes that end a connection */

/* A socket's address holds 107 bytes, of which "/yq-UUID-d.sock" takes 47. */
#define FOLDER_MAX 60

static const char *const accels[] = {"auto", "kvm", "tcg", NULL};
static const char *const clones[] = {"backing", "copy", NULL};

static const struct json_member option_members[] = {
    {JSON_MEMBER(struct kvm_options, standard_pool), .want = JSON_WANT_TEXT, .min = 1, .max = 255},
    {JSON_MEMBER(struct kvm_options, high_pool), .want = JSON_WANT_TEXT, .min = 1, .max = 255},
    {JSON_MEMBER(struct kvm_options, image_pool), .want = JSON_WANT_TEXT, .min = 1, .max = 255},
    {JSON_MEMBER(struct kvm_options, accel), .want = JSON_WANT_CHOICE, .choices = accels},
    {JSON_MEMBER(struct kvm_options, clone), .want = JSON_WANT_CHOICE, .choices = clones},
    {JSON_MEMBER(struct kvm_options, disk_overcommit), .want = JSON_WANT_INT, .min = 100, .max = 1000},
    {JSON_MEMBER(struct kvm_options, memory_reserve_mb), .want = JSON_WANT_INT, .min = 0, .max = 1048576},
    {JSON_MEMBER(struct kvm_options, nbd_folder), .want = JSON_WANT_TEXT, .min = 1, .max = FOLDER_MAX},
    {JSON_MEMBER(struct kvm_options, nbd_host), .want = JSON_WANT_TEXT, .min = 1, .max = 253},
    {JSON_MEMBER(struct kvm_options, nbd_tls), .want = JSON_WANT_TEXT, .min = 1, .max = 4095},
    {JSON_MEMBER(struct kvm_options, nbd_tls_server), .want = JSON_WANT_TEXT, .min = 1, .max = 4095},
    {JSON_MEMBER(struct kvm_options, nbd_port), .want = JSON_WANT_INT, .min = 1, .max = 65535},
    {JSON_MEMBER(struct kvm_options, nbd_ports), .want = JSON_WANT_INT, .min = 1, .max = 65535},
    {JSON_MEMBER(struct kvm_options, move_host), .want = JSON_WANT_TEXT, .min = 1, .max = 253},
    {JSON_MEMBER(struct kvm_options, move_stall_seconds), .want = JSON_WANT_INT, .min = 5, .max = 86400},
};

static const struct json_spec option_spec = JSON_SPEC(struct kvm_options, option_members);

struct error *kvm_options_read(struct arena *arena, const json_t *json, struct kvm_options *ret_options)
{
    struct kvm_options options = {.standard_pool = "standard",
                                  .high_pool = "high",
                                  .image_pool = "images",
                                  .accel = "auto",
                                  .clone = "backing",
                                  .disk_overcommit = 100,
                                  .memory_reserve_mb = 512,
                                  .nbd_folder = "/var/lib/libvirt/qemu",
                                  .nbd_tls_server = "/etc/pki/qemu",
                                  .nbd_port = 10809,
                                  .nbd_ports = 100,
                                  .move_stall_seconds = 60};
    if (json)
        TRY_DOING(json_read(arena, json, &option_spec, &options), "the endpoint's options are wrong");
    if (strcmp(options.standard_pool, options.high_pool) == 0 ||
        strcmp(options.standard_pool, options.image_pool) == 0 ||
        strcmp(options.high_pool, options.image_pool) == 0)
        return error_member("/standard_pool", "the three pools must be different ones");
    if (options.nbd_folder[0] != '/')
        return error_member("/nbd_folder", "must be an absolute path");
    if (options.nbd_port + options.nbd_ports > 65536)
        return error_member("/nbd_ports", "the last port is above 65535");
    const char **const texts[] = {&options.standard_pool,  &options.high_pool, &options.image_pool,
                                  &options.nbd_folder,     &options.nbd_host,  &options.nbd_tls,
                                  &options.nbd_tls_server, &options.move_host};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = arena_strdup(arena, *texts[i]);
    *ret_options = options;
    return NULL;
}

struct error *kvm_step(const struct driver_call *call, int percent, const char *step)
{
    if (moment_monotonic() >= call->deadline_us)
        return error_new(ERR_TIMEOUT, "out of time before: %s", step);
    if (call->progress && !call->progress(call->context, percent, step))
        return error_new(ERR_CANCELLED, "cancelled before: %s", step);
    return NULL;
}

static int give_credentials(virConnectCredentialPtr credentials, unsigned count, void *context)
{
    const struct driver_endpoint *endpoint = context;
    for (unsigned i = 0; i < count; i++) {
        const char *answer = NULL;
        if (credentials[i].type == VIR_CRED_AUTHNAME || credentials[i].type == VIR_CRED_USERNAME)
            answer = endpoint->username;
        else if (credentials[i].type == VIR_CRED_PASSPHRASE || credentials[i].type == VIR_CRED_NOECHOPROMPT)
            answer = endpoint->password;
        if (!answer)
            return -1;
        credentials[i].result = xstrdup(answer); /* libvirt frees it */
        credentials[i].resultlen = (unsigned)strlen(answer);
    }
    return 0;
}

static bool starts_with_one(const char *text, const char *const *words)
{
    for (size_t i = 0; words[i]; i++)
        if (!strncmp(text, words[i], strlen(words[i])))
            return true;
    return false;
}

/* What may be said in a URL, for libvirt does much more than connect when told so there: it runs a local
 * program (command=, the transport ext), goes unencrypted or unverified, or opens another URL (name=). It
 * takes names in any case and unescapes them, so what is not one of these, spelled so, is refused. */
static struct error *check_url(const char *url)
{
    static const char *const transports[] = {
        "qemu:", "qemu+unix:", "qemu+tls:", "qemu+ssh:", "qemu+libssh:", "qemu+libssh2:", NULL};
    static const char *const parameters[] = {
        "socket=", "mode=", "pkipath=", "keyfile=", "known_hosts=", "sshauth=", "no_tty=", NULL};
    if (!starts_with_one(url, transports))
        return error_new(ERR_DENIED, "a KVM endpoint is reached over unix, tls, ssh, libssh or libssh2");
    const char *query = strchr(url, '?');
    for (const char *at = query; at; at = strpbrk(at + 1, "&;"))
        if (!starts_with_one(at + 1, parameters))
            return error_new(ERR_DENIED, "a KVM endpoint's URL takes the parameters socket, mode, pkipath, "
                                         "keyfile, known_hosts, sshauth and no_tty alone");
    return NULL;
}

/* libvirt reads certificates from a folder named in the URL alone. */
static struct error *check_endpoint(const struct driver_endpoint *endpoint)
{
    if (strncmp(endpoint->url, "qemu", 4) != 0 || (endpoint->url[4] != ':' && endpoint->url[4] != '+'))
        return error_new(ERR_INVALID, "a KVM endpoint's URL starts with \"qemu:\" or \"qemu+TRANSPORT:\"");
    if (endpoint->ca_file || endpoint->fingerprint)
        return error_new(ERR_UNSUPPORTED,
                         "libvirt takes its certificates from the folder that pkipath= in the URL "
                         "names; it knows no CA file or fingerprint");
    return check_url(endpoint->url);
}

/* The host named in the URL, without user and port; NULL: none, so that the socket is this machine's. */
static const char *host_of(struct arena *arena, const char *url)
{
    const char *at = strstr(url, "://");
    if (!at)
        return NULL;
    at += 3;
    size_t length = strcspn(at, "/?");
    const char *user = memchr(at, '@', length);
    if (user) {
        length -= (size_t)(user + 1 - at);
        at = user + 1;
    }
    if (length > 0 && *at == '[') { /* an IPv6 address */
        const char *end = memchr(at, ']', length);
        return end ? arena_strndup(arena, at + 1, (size_t)(end - at - 1)) : NULL;
    }
    const char *port = memchr(at, ':', length);
    length = port ? (size_t)(port - at) : length;
    return length ? arena_strndup(arena, at, length) : NULL;
}

static struct error *connect_to(const struct driver_endpoint *endpoint, virConnectPtr *ret_connection)
{
    int types[] = {VIR_CRED_AUTHNAME, VIR_CRED_USERNAME, VIR_CRED_PASSPHRASE, VIR_CRED_NOECHOPROMPT};
    struct driver_endpoint given = *endpoint;
    virConnectAuth auth = {.credtype = types,
                           .ncredtype = sizeof types / sizeof *types,
                           .cb = give_credentials,
                           .cbdata = &given};
    virConnectPtr connection = virConnectOpenAuth(endpoint->url, &auth, 0);
    if (!connection) {
        struct error *error = kvm_fault(NULL, "could not connect");
        if (error_code(error) == ERR_INTERNAL || error_code(error) == ERR_INVALID)
            error = error_recode(error, ERR_UNAVAILABLE, "libvirt is not to be reached");
        return error;
    }
    int64_t seconds = endpoint->timeout_us / MOMENT_SECOND / KEEPALIVE_COUNT;
    if (virConnectSetKeepAlive(connection,
                               seconds < 1    ? 1
                               : seconds > 60 ? 60
                                              : (int)seconds,
                               KEEPALIVE_COUNT) < 0) {
        struct error *error = kvm_fault(connection, "could not keep the connection under watch");
        (void)virConnectClose(connection);
        return error;
    }
    *ret_connection = connection;
    return NULL;
}

struct error *kvm_open(const struct driver_endpoint *endpoint, const struct driver_call *call,
                       struct driver_session **ret_session)
{
    TRY(check_endpoint(endpoint));
    TRY(kvm_events_loop());
    struct arena *arena = arena_new();
    struct driver_session *session = arena_alloc(arena, sizeof *session);
    session->arena = arena;
    session->peer = host_of(arena, endpoint->url);
    session->local = !session->peer;
    struct error *error = kvm_options_read(arena, endpoint->options, &session->options);
    if (!error)
        error = kvm_step(call, 0, "connect");
    if (!error)
        error = connect_to(endpoint, &session->connection);
    if (!error)
        error = kvm_events_new(session->connection, &session->events);
    if (!error)
        error = kvm_step(call, 50, "read capabilities");
    if (!error)
        error = kvm_host_read(session, &session->host);
    if (error) {
        kvm_close(session);
        return error;
    }
    *ret_session = session;
    return NULL;
}

void kvm_close(struct driver_session *session)
{
    if (!session)
        return;
    kvm_events_free(session->events);
    if (session->connection)
        (void)virConnectClose(session->connection);
    arena_free(session->arena);
}

struct error *kvm_ping(struct driver_session *session, const struct driver_call *call)
{
    TRY(kvm_step(call, 0, "ask for the version"));
    unsigned long version;
    if (virConnectGetLibVersion(session->connection, &version) < 0)
        return kvm_fault(session->connection, "no answer");
    return NULL;
}

struct error *kvm_about(struct driver_session *session, const struct driver_call *call,
                        struct driver_about *ret_about)
{
    TRY(kvm_step(call, 0, "ask for versions"));
    unsigned long libvirt, qemu;
    if (virConnectGetLibVersion(session->connection, &libvirt) < 0 ||
        virConnectGetVersion(session->connection, &qemu) < 0)
        return kvm_fault(session->connection, "could not ask for versions");
    ret_about->product =
        arena_printf(call->arena, "libvirt %lu.%lu.%lu / QEMU %lu.%lu.%lu", libvirt / 1000000,
                     libvirt / 1000 % 1000, libvirt % 1000, qemu / 1000000, qemu / 1000 % 1000, qemu % 1000);
    ret_about->identity = arena_strdup(call->arena, session->host.uuid);
    return NULL;
}
