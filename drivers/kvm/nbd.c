/* Places of NBD servers, see nbd.h. */
#include "drivers/kvm/nbd.h"

#include <string.h>
#include <unistd.h>

static const char *socket_of(const struct driver_session *session, struct arena *arena, const char *export_id)
{
    return arena_printf(arena, "%s/yq-%s.sock", session->options.nbd_folder, export_id);
}

struct error *kvm_nbd_at(const struct driver_session *session, struct arena *arena, const char *export_id,
                         unsigned port, struct kvm_nbd *ret_nbd)
{
    if (session->local) {
        *ret_nbd = (struct kvm_nbd){.socket = socket_of(session, arena, export_id)};
        return NULL;
    }
    if (!session->options.nbd_tls)
        return error_new(ERR_UNSUPPORTED,
                         "the disks of a remote host are read and written over TLS alone, and "
                         "the endpoint has no option nbd_tls");
    *ret_nbd = (struct kvm_nbd){.host = session->options.nbd_host ? session->options.nbd_host : session->peer,
                                .port = port};
    return NULL;
}

struct error *kvm_nbd_choose(const struct driver_session *session, struct arena *arena, const char *export_id,
                             unsigned attempt, struct kvm_nbd *ret_nbd)
{
    unsigned start = 0;
    for (const char *c = export_id; *c; c++)
        start = start * 31 + (unsigned char)*c;
    unsigned count = (unsigned)session->options.nbd_ports;
    return kvm_nbd_at(session, arena, export_id,
                      (unsigned)session->options.nbd_port + (start % count + attempt) % count, ret_nbd);
}

bool kvm_nbd_taken(const struct error *error)
{
    return error && strstr(error_message(error), "ddress already in use");
}

void kvm_nbd_write(struct kvm_out *out, const struct kvm_nbd *nbd)
{
    kvm_out_open(out, "server");
    kvm_out_attribute(out, "transport", nbd->socket ? "unix" : "tcp");
    if (nbd->socket) {
        kvm_out_attribute(out, "socket", nbd->socket);
    } else {
        char port[16];
        (void)snprintf(port, sizeof port, "%u", nbd->port);
        kvm_out_attribute(out, "tls", "yes");
        kvm_out_attribute(out, "name", nbd->host);
        kvm_out_attribute(out, "port", port);
    }
    kvm_out_close(out);
}

struct kvm_nbd kvm_nbd_read(struct kvm_xml *xml, struct arena *arena)
{
    return (struct kvm_nbd){.socket = kvm_xml_text(xml, arena, NULL, "/domainbackup/server/@socket"),
                            .host = kvm_xml_text(xml, arena, NULL, "/domainbackup/server/@name"),
                            .port = (unsigned)kvm_xml_number(xml, arena, NULL, "/domainbackup/server/@port")};
}

json_t *kvm_nbd_address(const struct kvm_nbd *nbd)
{
    if (nbd->socket)
        return json_pack("{s:s, s:{s:s}}", "type", "unix", "data", "path", nbd->socket);
    char port[16];
    (void)snprintf(port, sizeof port, "%u", nbd->port);
    return json_pack("{s:s, s:{s:s, s:s}}", "type", "inet", "data", "host", nbd->host, "port", port);
}

void kvm_nbd_tell(const struct driver_session *session, struct arena *arena, const struct kvm_nbd *nbd,
                  struct driver_exported_disk *disk)
{
    disk->socket = arena_strdup(arena, nbd->socket);
    disk->host = nbd->socket ? NULL : arena_strdup(arena, nbd->host);
    disk->port = nbd->socket ? 0 : nbd->port;
    disk->tls_dir = nbd->socket ? NULL : arena_strdup(arena, session->options.nbd_tls);
    disk->export_name = disk->disk;
}

void kvm_nbd_clear(const struct driver_session *session, struct arena *arena, const char *export_id)
{
    if (session->local)
        (void)unlink(
            socket_of(session, arena, export_id)); /* it may be gone, or not the broker's to remove */
}
