/* The fence, see fence.h. It is a part of the lasting definition, beside autostart being off: libvirt refuses
 * to start a domain whose security label is of a model that the host has not, whoever asks. */
#include "drivers/kvm/fence.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/kvm/fault.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/trial.h"
#include "drivers/kvm/xml.h"

static struct error *change(struct arena *arena, const char *text, bool fenced, const char *move,
                            const char **ret_text)
{
    const struct kvm_xml_node *mark;
    XML_AUTO struct kvm_xml *xml = NULL;
    TRY(kvm_xml_parse(text, "domain", &xml));
    kvm_xml_drop(xml, "/domain/seclabel[@model='" KVM_FENCE_MODEL "']");
    kvm_xml_drop(xml, "/domain/metadata/y:instance/@move");
    TRY(kvm_xml_node(xml, arena, "/domain/metadata/y:instance", &mark));
    if (move)
        kvm_xml_set(mark, "move", move);
    if (fenced) {
        const struct kvm_xml_node *root;
        const char *fence;
        TRY(kvm_xml_node(xml, arena, "/domain", &root));
        TRY(kvm_domain_fence(arena, &fence));
        TRY(kvm_xml_add(xml, root, fence));
    } else {
        kvm_xml_set(mark, "state", KVM_STATE_READY);
    }
    return kvm_xml_print(xml, arena, ret_text);
}

static struct error *redefine(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                              bool fenced, const char *move)
{
    char *text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (!text)
        return kvm_fault(session->connection, "could not read a domain's definition");
    const char *changed;
    struct error *error = change(arena, text, fenced, move, &changed);
    free(text);
    TRY(error);
    virDomainPtr defined = virDomainDefineXMLFlags(session->connection, changed, 0);
    if (!defined)
        return kvm_fault(session->connection, "could not change a domain's definition");
    (void)virDomainFree(defined);
    return NULL;
}

struct error *kvm_fence_set(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                            bool fenced, const char *move)
{
    struct kvm_domain lasting;
    TRY(kvm_domain_read(session, arena, domain, true, &lasting));
    if (fenced && virDomainSetAutostart(domain, 0) < 0)
        return kvm_fault(session->connection, "could not keep instance %s from starting with its host",
                         lasting.uuid);
    if (lasting.fenced != fenced || (!fenced && !kvm_domain_is(&lasting, KVM_STATE_READY)))
        TRY(redefine(session, arena, domain, fenced, move));
    if (!fenced && virDomainSetAutostart(domain, 1) < 0)
        return kvm_fault(session->connection, "could not have instance %s started with its host",
                         lasting.uuid);
    return NULL;
}

/* A released one would be an instance for good, on overlays. */
static struct error *check_no_test(const struct kvm_domain *definition)
{
    return kvm_domain_is(definition, KVM_STATE_TEST)
               ? error_new(ERR_CONFLICT, "instance %s is a test boot", definition->uuid)
               : NULL;
}

struct error *kvm_instance_fence(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain definition;
    TRY(kvm_instance_get(session, call, key, &domain, &definition));
    enum driver_power power;
    TRY(check_no_test(&definition));
    TRY(kvm_instance_power(session, domain, &definition, &power, NULL));
    if (power != DRIVER_POWER_OFF)
        return error_new(ERR_CONFLICT, "instance %s runs: stop it first", definition.uuid);
    TRY(kvm_step(call, 30, "fence the instance"));
    TRY(kvm_fence_set(session, call->arena, domain, true, NULL));
    /* Started between the look and the fence: then it runs, and only its next start is barred. */
    TRY(kvm_domain_read(session, call->arena, domain, false, &definition));
    TRY(kvm_instance_power(session, domain, &definition, &power, NULL));
    return power == DRIVER_POWER_OFF
               ? NULL
               : error_new(ERR_CONFLICT, "instance %s was started meanwhile: stop it", definition.uuid);
}

struct error *kvm_instance_release(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain definition;
    TRY(kvm_instance_get(session, call, key, &domain, &definition));
    if (definition.mark.form && strcmp(definition.mark.form, "write") == 0)
        return error_new(ERR_CONFLICT, "the disks of instance %s are being written: close export %s first",
                         definition.uuid, definition.mark.export_id ? definition.mark.export_id : "");
    if (kvm_domain_is(&definition, KVM_STATE_MOVING))
        return error_new(ERR_CONFLICT, "instance %s is on its way here: settle the move first",
                         definition.uuid);
    TRY(check_no_test(&definition));
    TRY(kvm_trial_check_none(session, call->arena, definition.uuid));
    TRY(kvm_step(call, 30, "release the instance"));
    return kvm_fence_set(session, call->arena, domain, false, NULL);
}
