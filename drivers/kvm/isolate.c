/* See isolate.h. No forwarding, no address of the host (so no IPv6 either, which libvirt turns off then), no
 * DHCP, no DNS, and nobody else on it: what the guest sends ends in the bridge. */
#include "drivers/kvm/isolate.h"

#include <string.h>

#include "drivers/kvm/fault.h"
#include "drivers/kvm/xml.h"

#define PREFIX "yunqiao-test-"

static const char *name_of(struct arena *arena, const char *id)
{
    return arena_printf(arena, PREFIX "%s", id);
}

bool kvm_isolate_is(const char *name)
{
    return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

static struct error *describe(struct arena *arena, const char *id, const char **ret_text)
{
    struct kvm_out *out = kvm_out_new();
    kvm_out_open(out, "network");
    kvm_out_leaf(out, "name", name_of(arena, id));
    kvm_out_leaf(out, "uuid", id);
    kvm_out_open(out, "bridge");
    kvm_out_attribute(out, "stp", "off");
    kvm_out_attribute(out, "delay", "0");
    kvm_out_close(out);
    kvm_out_open(out, "dns");
    kvm_out_attribute(out, "enable", "no");
    kvm_out_close(out);
    kvm_out_close(out);
    return kvm_out_finish(out, arena, ret_text);
}

struct error *kvm_isolate_make(struct driver_session *session, struct arena *arena, const char *id,
                               const char **ret_name)
{
    const char *text;
    virNetworkPtr network = virNetworkLookupByUUIDString(session->connection, id);
    if (!network && !kvm_fault_is(VIR_ERR_NO_NETWORK))
        return kvm_fault(session->connection, "could not look for the network of test %s", id);
    if (!network) {
        TRY(describe(arena, id, &text));
        network = virNetworkCreateXML(session->connection, text);
    }
    if (!network)
        return kvm_fault(session->connection, "could not make an isolated network for test %s", id);
    bool ours = kvm_isolate_is(virNetworkGetName(network));
    (void)virNetworkFree(network);
    if (!ours)
        return error_new(ERR_EXISTS, "a network that is not the broker's has the id %s", id);
    *ret_name = name_of(arena, id);
    return NULL;
}

struct error *kvm_isolate_remove(struct driver_session *session, struct arena *arena, const char *id)
{
    virNetworkPtr network = virNetworkLookupByUUIDString(session->connection, id);
    if (!network) /* a daemon that has no networks at all has not this one */
        return kvm_fault_is(VIR_ERR_NO_NETWORK) || kvm_fault_is(VIR_ERR_NO_SUPPORT)
                   ? NULL
                   : kvm_fault(session->connection, "could not look for the network of test %s", id);
    struct error *error = NULL;
    if (strcmp(virNetworkGetName(network), name_of(arena, id)) == 0 && virNetworkDestroy(network) < 0 &&
        !kvm_fault_is(VIR_ERR_NO_NETWORK))
        error = kvm_fault(session->connection, "could not remove the network of test %s", id);
    (void)virNetworkFree(network);
    return error;
}
