/* See trial.h. The test's definition is the original's with other files, another network and without the
 * fence, so that it is the same machine. In order: overlays, console log, network, definition. Without a
 * definition what there is may be half made and is made anew. The seed is the original's own, read only, so
 * that the guest does not take itself for a new one. */
#include "drivers/kvm/trial.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/kvm/disk.h"
#include "drivers/kvm/fault.h"
#include "drivers/kvm/instance.h"
#include "drivers/kvm/isolate.h"
#include "drivers/kvm/parts.h"
#include "drivers/kvm/scratch.h"
#include "drivers/kvm/storage.h"
#include "drivers/kvm/xml.h"

/* What the host has one of, and what would lead out of the test. */
static const char *const dropped[] = {
    "/domain/seclabel[@model='" KVM_FENCE_MODEL "']",
    "/domain/os/nvram",
    "/domain/devices/disk/backingStore",
    "/domain/devices/interface/target | /domain/devices/interface/filterref | "
    "/domain/devices/interface/source/@portid | /domain/devices/interface/source/@portgroup",
    "/domain/devices/hostdev | /domain/devices/redirdev | /domain/devices/filesystem",
    "/domain/devices/shmem | /domain/devices/vsock | /domain/devices/tpm",
    "/domain/metadata/y:instance/@move | /domain/metadata/y:instance/@form | "
    "/domain/metadata/y:instance/@export",
};

struct trial {
    struct driver_session *session;
    const struct driver_call *call;
    const struct driver_test_spec *spec;
    struct kvm_domain original; /* its lasting definition */
    const char *text;           /* the same as a document */
    struct kvm_xml *xml;
    virStoragePoolPtr pool; /* of the console log */
};

/* Every domain's lasting definition; one that goes meanwhile is no test any more. */
struct error *kvm_trial_check_none(struct driver_session *session, struct arena *arena, const char *id)
{
    virDomainPtr *domains;
    size_t count;
    TRY(kvm_instance_list(session, arena, &domains, &count));
    for (size_t i = 0; i < count; i++) {
        struct kvm_domain domain;
        struct error *error = kvm_domain_read(session, arena, domains[i], true, &domain);
        if (error && error_code(error) == ERR_NOT_FOUND) {
            error_ignore(error);
            continue;
        }
        TRY(error);
        if (kvm_domain_is(&domain, KVM_STATE_TEST) && domain.mark.of && strcmp(domain.mark.of, id) == 0)
            return error_new(ERR_CONFLICT, "instance %s is being tested: delete test %s first", id,
                             domain.uuid);
    }
    return NULL;
}

/* Where the disk's file is kept; ERR_UNSUPPORTED for one that is not the broker's. */
static struct error *place_of(struct trial *t, const struct kvm_disk *disk, struct kvm_place *ret_place)
{
    struct arena *arena = t->call->arena;
    const char *volume = kvm_disk_volume(arena, disk);
    bool own = kvm_disk_system(arena, disk, t->original.uuid);
    if (!disk->path || (!own && !volume) || !disk->format || strcmp(disk->format, "qcow2") != 0)
        return error_new(ERR_UNSUPPORTED, "disk \"%s\" is no qcow2 file of the broker's", disk->target);
    TRY(kvm_storage_find(t->session, arena, own ? t->original.uuid : volume,
                         own ? KVM_FILE_SYSTEM : KVM_FILE_VOLUME, ret_place));
    return ret_place->volume ? NULL : error_new(ERR_NOT_FOUND, "disk \"%s\" has no file", disk->target);
}

static struct error *make_overlay(struct trial *t, const struct kvm_disk *disk)
{
    struct arena *arena = t->call->arena;
    struct kvm_place place;
    const struct kvm_xml_node *source;
    virStorageVolPtr volume;
    struct kvm_facts facts;
    TRY(place_of(t, disk, &place));
    TRY(kvm_storage_check_room(t->session, arena, place.pool, place.pool_name, place.bytes));
    const struct kvm_new_file file = {.pool = place.pool,
                                      .name = kvm_scratch_overlay(arena, t->spec->id, disk->target),
                                      .format = "qcow2",
                                      .bytes = place.bytes,
                                      .backing = place.path,
                                      .backing_format = "qcow2"};
    TRY(kvm_storage_create(t->session, arena, &file, &volume));
    TRY(kvm_storage_facts(t->session, arena, volume, &facts));
    if (strpbrk(disk->target, "'\""))
        return error_new(ERR_UNSUPPORTED, "a disk of such a name");
    TRY(kvm_xml_node(t->xml, arena,
                     arena_printf(arena, "/domain/devices/disk[target/@dev='%s']/source", disk->target),
                     &source));
    kvm_xml_set(source, "file", facts.path);
    if (!t->pool)
        t->pool = place.pool;
    return NULL;
}

static struct error *make_overlays(struct trial *t)
{
    const struct kvm_domain *original = &t->original;
    for (size_t i = 0; i < original->disk_count; i++) {
        TRY(kvm_step(t->call, 20 + (int)(40 * i / original->disk_count), "lay overlays over the disks"));
        if (kvm_disk_exported(t->call->arena, &original->disks[i]))
            TRY(make_overlay(t, &original->disks[i]));
        else if (!kvm_disk_removable(t->call->arena, &original->disks[i]))
            return error_new(ERR_UNSUPPORTED, "disk \"%s\" is none that a test could have an overlay of",
                             original->disks[i].target ? original->disks[i].target : "");
    }
    return t->pool ? NULL : error_new(ERR_UNSUPPORTED, "an instance without disks");
}

static void set_all(struct trial *t, const char *path, const char *name, const char *value)
{
    size_t count;
    const struct kvm_xml_node *const *nodes = kvm_xml_nodes(t->xml, t->call->arena, NULL, path, &count);
    for (size_t i = 0; i < count; i++)
        kvm_xml_set(nodes[i], name, value);
}

/* Every card goes to the test's own network, under its own address. */
static struct error *isolate(struct trial *t)
{
    struct arena *arena = t->call->arena;
    const char *network;
    size_t all, networked;
    (void)kvm_xml_nodes(t->xml, arena, NULL, "/domain/devices/interface", &all);
    (void)kvm_xml_nodes(t->xml, arena, NULL, "/domain/devices/interface[@type='network']/source", &networked);
    if (all != networked)
        return error_new(ERR_UNSUPPORTED, "a card that hangs on no network of libvirt's");
    if (!all)
        return NULL;
    TRY(kvm_step(t->call, 70, "make a network that leads nowhere"));
    TRY(kvm_isolate_make(t->session, arena, t->spec->id, &network));
    set_all(t, "/domain/devices/interface/source", "network", network);
    return NULL;
}

static struct error *set_text(struct trial *t, const char *path, const char *text)
{
    const struct kvm_xml_node *node;
    TRY(kvm_xml_node(t->xml, t->call->arena, path, &node));
    return kvm_xml_set_text(node, text);
}

static struct error *rename_it(struct trial *t)
{
    const struct kvm_xml_node *mark;
    TRY(set_text(t, "/domain/name", kvm_domain_name(t->call->arena, t->spec->name, t->spec->id)));
    TRY(set_text(t, "/domain/uuid", t->spec->id));
    kvm_xml_drop(t->xml, "/domain/title");
    TRY(kvm_xml_node(t->xml, t->call->arena, "/domain/metadata/y:instance", &mark));
    kvm_xml_set(mark, "name", t->spec->name);
    kvm_xml_set(mark, "state", KVM_STATE_TEST);
    kvm_xml_set(mark, "of", t->original.uuid);
    return NULL;
}

static struct error *make_parsed(struct trial *t, virDomainPtr *ret_domain)
{
    struct arena *arena = t->call->arena;
    const char *console, *text;
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++)
        kvm_xml_drop(t->xml, dropped[i]);
    TRY(rename_it(t));
    TRY(make_overlays(t));
    TRY(kvm_step(t->call, 60, "make the console log"));
    TRY(kvm_parts_console(t->session, t->call, t->pool, t->spec->id, &console));
    set_all(t, "/domain/devices/serial/log | /domain/devices/console/log", "file", console);
    TRY(isolate(t));
    TRY(kvm_step(t->call, 90, "define the test"));
    TRY(kvm_xml_print(t->xml, arena, &text));
    virDomainPtr domain = virDomainDefineXMLFlags(t->session->connection, text, VIR_DOMAIN_DEFINE_VALIDATE);
    if (!domain)
        return kvm_fault(t->session->connection, "could not define the test");
    *ret_domain = kvm_hold_domain(arena, domain);
    return NULL;
}

static struct error *make(struct trial *t, virDomainPtr *ret_domain)
{
    TRY(kvm_instance_check_memory(t->session, t->call->arena, t->original.memory_mb));
    TRY(kvm_step(t->call, 10, "clear what an earlier attempt left"));
    TRY(kvm_parts_delete(t->session, t->call, t->spec->id));
    TRY(kvm_xml_parse(t->text, "domain", &t->xml));
    struct error *error = make_parsed(t, ret_domain);
    kvm_xml_free(t->xml);
    return error;
}

/* It waits for its cut-over, and nobody has its disks open. */
static struct error *look_at_original(struct trial *t, const struct driver_key *key)
{
    virDomainPtr domain;
    struct kvm_domain live;
    enum driver_power power;
    TRY(kvm_instance_get(t->session, t->call, key, &domain, &live));
    TRY(kvm_instance_check_served(&live));
    TRY(kvm_instance_power(t->session, domain, &live, &power, NULL));
    TRY(kvm_domain_read(t->session, t->call->arena, domain, true, &t->original));
    if (power != DRIVER_POWER_OFF || !t->original.fenced)
        return error_new(ERR_CONFLICT, "instance %s has to be off and fenced to be tested", live.uuid);
    char *text = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
    if (!text)
        return kvm_fault(t->session->connection, "could not read a domain's definition");
    t->text = arena_strdup(t->call->arena, text);
    free(text);
    return NULL;
}

/* After a failure that a repeat would only meet again. */
static struct error *clear(struct trial *t, struct error *error)
{
    struct driver_call quiet = *t->call;
    quiet.progress = NULL;
    struct error *second =
        kvm_instance_delete(t->session, &quiet, &(const struct driver_key){.id = t->spec->id});
    if (!second)
        return error;
    error = error_wrap(error, "something was left behind (%s)", error_message(second));
    error_free(second);
    return error;
}

/* The one that is there. */
static struct error *take_up(struct trial *t, virDomainPtr domain, struct driver_instance *ret_instance)
{
    struct kvm_domain definition;
    const char *network;
    size_t cards;
    TRY(kvm_domain_read(t->session, t->call->arena, domain, true, &definition));
    if (!kvm_domain_is(&definition, KVM_STATE_TEST))
        return error_new(ERR_EXISTS, "there is an instance %s already, and it is no test", t->spec->id);
    XML_AUTO struct kvm_xml *xml = NULL;
    TRY(kvm_xml_parse(t->text, "domain", &xml));
    (void)kvm_xml_nodes(xml, t->call->arena, NULL, "/domain/devices/interface", &cards);
    if (cards)
        TRY(kvm_isolate_make(t->session, t->call->arena, t->spec->id, &network));
    return kvm_instance_describe(t->session, t->call->arena, domain, &definition, ret_instance);
}

struct error *kvm_test_create(struct driver_session *session, const struct driver_call *call,
                              const struct driver_key *key, const struct driver_test_spec *spec,
                              struct driver_instance *ret_instance)
{
    struct trial t = {.session = session, .call = call, .spec = spec};
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain =
        kvm_hold_domain(call->arena, virDomainLookupByUUIDString(session->connection, spec->id));
    if (!domain && !kvm_fault_is(VIR_ERR_NO_DOMAIN))
        return kvm_fault(session->connection, "could not look up test %s", spec->id);
    TRY(look_at_original(&t, key));
    if (!domain) {
        struct error *error = make(&t, &domain);
        if (error && !kvm_fault_heals(error))
            error = clear(&t, error);
        TRY_DOING(error, "could not make a test of instance %s", t.original.uuid);
    }
    return take_up(&t, domain, ret_instance);
}
