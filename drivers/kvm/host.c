/* Host facts from libvirt's capabilities and node information. */
#include "drivers/kvm/host.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/kvm/fault.h"
#include "drivers/kvm/xml.h"

struct word {
    const char *arch;
    const char *vendor; /* of the processor; NULL: any */
    const char *architecture;
    unsigned bit;
};

/* The first row that fits. Hygon's processors (C86) run x86-64 and are bought as an architecture of their
 * own. */
static const struct word words[] = {
    {"x86_64", "Hygon", "C86", DRIVER_C86}, {"x86_64", NULL, "x86", DRIVER_X86},
    {"aarch64", NULL, "ARM", DRIVER_ARM},   {"ppc64le", NULL, "POWER", DRIVER_POWER},
    {"ppc64", NULL, "POWER", DRIVER_POWER},
};

struct error *kvm_host_parse(struct arena *arena, const char *capabilities, struct kvm_host *ret_host)
{
    XML_AUTO struct kvm_xml *xml = NULL;
    TRY_DOING(kvm_xml_parse(capabilities, "capabilities", &xml), "the host's capabilities cannot be read");
    struct kvm_host host = {
        .uuid = kvm_xml_text(xml, arena, NULL, "/capabilities/host/uuid"),
        .arch = kvm_xml_text(xml, arena, NULL, "/capabilities/host/cpu/arch"),
    };
    if (!host.arch)
        return error_new(ERR_UNAVAILABLE, "the host's capabilities name no architecture");
    const char *vendor = kvm_xml_text(xml, arena, NULL, "/capabilities/host/cpu/vendor");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const struct word *word = &words[i];
        if (strcmp(word->arch, host.arch) != 0 ||
            (word->vendor && (!vendor || strcmp(word->vendor, vendor) != 0)))
            continue;
        host.architecture = word->architecture;
        host.bit = word->bit;
        break;
    }
    size_t count;
    const struct kvm_xml_node *const *guests =
        kvm_xml_nodes(xml, arena, NULL, "/capabilities/guest/arch[domain/@type='kvm']", &count);
    for (size_t i = 0; i < count; i++) {
        const char *name = kvm_xml_text(xml, arena, guests[i], "@name");
        host.kvm = host.kvm || (name && strcmp(name, host.arch) == 0);
    }
    *ret_host = host;
    return NULL;
}

struct error *kvm_host_read(struct driver_session *session, struct kvm_host *ret_host)
{
    char *text = virConnectGetCapabilities(session->connection);
    if (!text)
        return kvm_fault(session->connection, "could not ask for the host's capabilities");
    struct error *error = kvm_host_parse(session->arena, text, ret_host);
    free(text);
    return error;
}

const char *kvm_host_word(const struct kvm_host *host, const char *arch)
{
    if (!arch)
        return NULL;
    if (strcmp(arch, host->arch) == 0)
        return host->architecture;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i].arch, arch) == 0 && !words[i].vendor)
            return words[i].architecture;
    return NULL;
}

struct error *kvm_host_describe(struct driver_session *session, struct arena *arena,
                                struct driver_host *ret_host)
{
    virNodeInfo node;
    if (virNodeGetInfo(session->connection, &node) < 0)
        return kvm_fault(session->connection, "could not ask for the host's processors and memory");
    char *name = virConnectGetHostname(session->connection);
    if (!name)
        return kvm_fault(session->connection, "could not ask for the host's name");
    *ret_host = (struct driver_host){.ref = session->host.uuid ? arena_strdup(arena, session->host.uuid)
                                                               : arena_strdup(arena, name),
                                     .name = arena_strdup(arena, name),
                                     .architecture = session->host.architecture,
                                     .cores = node.nodes * node.sockets * node.cores,
                                     .mhz = node.mhz,
                                     .memory_mb = node.memory / 1024,
                                     .usable = true};
    free(name);
    return NULL;
}
