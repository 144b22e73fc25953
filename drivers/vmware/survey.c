/* See survey.h. */
#include "drivers/vmware/survey.h"

#include <string.h>

#include "broker/base/id.h"
#include "drivers/vmware/machine.h"
#include "drivers/vmware/property.h"

#define FIRST_ROOM 16
#define UUID_LENGTH 36

static const char *const host_paths[] = {"name",
                                         "summary.hardware.cpuMhz",
                                         "summary.hardware.numCpuCores",
                                         "summary.hardware.memorySize",
                                         "summary.hardware.cpuModel",
                                         "runtime.connectionState",
                                         "runtime.inMaintenanceMode",
                                         NULL};
static const char *const datastore_paths[] = {"name",
                                              "summary.capacity",
                                              "summary.freeSpace",
                                              "summary.uncommitted",
                                              "summary.accessible",
                                              "summary.maintenanceMode",
                                              "browser",
                                              NULL};
static const char *const network_paths[] = {"name", "tag", NULL};
/* A peer may take the most specific set alone, so the narrower ones repeat the wider. */
static const char *const portgroup_paths[] = {"name", "tag", "key", "config.distributedVirtualSwitch", NULL};
static const char *const opaque_paths[] = {"name", "tag", "summary", NULL};
static const char *const switch_paths[] = {"uuid", NULL};
static const char *const compute_paths[] = {"name", "resourcePool", NULL};
static const char *const pool_paths[] = {"name", "owner", NULL};
static const char *const folder_paths[] = {"name", NULL};
static const char *const template_paths[] = {"name", "config.template", NULL};
static const char *const instance_paths[] = {"name",
                                             "config.template",
                                             "runtime.powerState",
                                             "runtime.host",
                                             "config.extraConfig",
                                             "config.hardware.numCPU",
                                             "config.hardware.memoryMB",
                                             "guest.ipAddress",
                                             "layout.disk",
                                             "summary.storage.committed",
                                             "summary.storage.uncommitted",
                                             NULL};

#define COMMON_SETS                                                                         \
    {"HostSystem", host_paths}, {"Datastore", datastore_paths}, {"Network", network_paths}, \
        {"DistributedVirtualPortgroup", portgroup_paths}, {"OpaqueNetwork", opaque_paths},  \
        {"DistributedVirtualSwitch", switch_paths}, {"ComputeResource", compute_paths},     \
        {"ResourcePool", pool_paths},                                                       \
    {                                                                                       \
        "Folder", folder_paths                                                              \
    }

static const struct property_set full_sets[] = {{"VirtualMachine", instance_paths}, COMMON_SETS};
static const struct property_set place_sets[] = {{"VirtualMachine", template_paths}, COMMON_SETS};

struct surveying {
    struct driver_session *session;
    struct arena *arena;
    unsigned what;
    struct survey *survey;
    struct moref *instance_hosts; /* parallel to instances */
    struct moref *host_refs;      /* parallel to hosts */
};

/* Room for one more item; arrays double. */
static void *grow(struct arena *arena, void *array, size_t count, size_t size)
{
    if (count && (count < FIRST_ROOM || (count & (count - 1))))
        return array;
    void *wider = arena_array(arena, count ? count * 2 : FIRST_ROOM, size);
    if (count)
        memcpy(wider, array, count * size);
    return wider;
}

#define ADD(context, field, counter)                                                                 \
    (context->survey->field = grow(context->arena, context->survey->field, context->survey->counter, \
                                   sizeof *context->survey->field),                                  \
     &context->survey->field[context->survey->counter++])

const char *survey_architecture(const char *cpu_model)
{
    return cpu_model && strstr(cpu_model, "Hygon") ? "C86" : "x86";
}

bool survey_in_use(const struct driver_session *session, const struct survey_datastore *datastore)
{
    return datastore->usable && datastore->browser.value &&
           (options_high(&session->options, datastore->name) ||
            options_standard(&session->options, datastore->name));
}

struct error *survey_datastore_for(const struct driver_session *session, const struct survey *survey,
                                   bool high, unsigned size_gb, const struct survey_datastore **ret_datastore)
{
    const struct survey_datastore *best = NULL;
    for (size_t i = 0; i < survey->datastore_count; i++) {
        const struct survey_datastore *d = &survey->datastores[i];
        if (survey_in_use(session, d) && options_high(&session->options, d->name) == high &&
            d->free_bytes >> 30 >= (int64_t)size_gb && (!best || d->free_bytes > best->free_bytes))
            best = d;
    }
    if (!best)
        return error_new(ERR_NO_CAPACITY, "no %s datastore has %u GB free",
                         high ? "high-performance" : "standard", size_gb);
    *ret_datastore = best;
    return NULL;
}

const char *survey_volume_id(const struct driver_session *session, struct arena *arena, const char *file)
{
    const char *path = strstr(file, "] ");
    size_t folder = strlen(session->options.volume_folder);
    if (file[0] != '[' || !path || strncmp(path + 2, session->options.volume_folder, folder) != 0 ||
        path[2 + folder] != '/')
        return NULL;
    const char *name = path + 2 + folder + 1;
    if (strlen(name) < UUID_LENGTH + 5 || strcmp(name + strlen(name) - 5, ".vmdk") != 0 ||
        (name[UUID_LENGTH] != '.' && name[UUID_LENGTH] != '-'))
        return NULL;
    const char *id = arena_strndup(arena, name, UUID_LENGTH);
    return id_valid(id) ? id : NULL;
}

static void visit_host(struct surveying *context, struct moref ref, const xmlNode *object)
{
    struct arena *arena = context->arena;
    context->host_refs =
        grow(arena, context->host_refs, context->survey->host_count, sizeof *context->host_refs);
    context->host_refs[context->survey->host_count] = ref;
    struct driver_host *host = ADD(context, hosts, host_count);
    *host = (struct driver_host){.ref = ref.value, .name = ref.value, .architecture = "x86"};
    bool connected = false, maintenance = false;
    const xmlNode *at = NULL, *value;
    const char *name;
    while (property_next(object, &at, &name, &value)) {
        if (strcmp(name, "name") == 0)
            host->name = arena_strdup(arena, xml_text(value));
        else if (strcmp(name, "summary.hardware.cpuMhz") == 0)
            host->mhz = (unsigned)xml_number(value, 0);
        else if (strcmp(name, "summary.hardware.numCpuCores") == 0)
            host->cores = (unsigned)xml_number(value, 0);
        else if (strcmp(name, "summary.hardware.memorySize") == 0)
            host->memory_mb = (uint64_t)xml_number(value, 0) >> 20;
        else if (strcmp(name, "summary.hardware.cpuModel") == 0)
            host->architecture = survey_architecture(xml_text(value));
        else if (strcmp(name, "runtime.connectionState") == 0)
            connected = strcmp(xml_text(value), "connected") == 0;
        else if (strcmp(name, "runtime.inMaintenanceMode") == 0)
            maintenance = xml_true(value);
    }
    host->usable = connected && !maintenance;
}

static void visit_datastore(struct surveying *context, struct moref ref, const xmlNode *object)
{
    struct survey_datastore *datastore = ADD(context, datastores, datastore_count);
    *datastore = (struct survey_datastore){.ref = ref, .name = ref.value, .usable = true};
    const xmlNode *at = NULL, *value;
    const char *name;
    while (property_next(object, &at, &name, &value)) {
        if (strcmp(name, "name") == 0)
            datastore->name = arena_strdup(context->arena, xml_text(value));
        else if (strcmp(name, "summary.capacity") == 0)
            datastore->total_bytes = xml_number(value, 0);
        else if (strcmp(name, "summary.freeSpace") == 0)
            datastore->free_bytes = xml_number(value, 0);
        else if (strcmp(name, "summary.uncommitted") == 0)
            datastore->promised_bytes = xml_number(value, 0);
        else if (strcmp(name, "summary.accessible") == 0)
            datastore->usable = datastore->usable && xml_true(value);
        else if (strcmp(name, "summary.maintenanceMode") == 0)
            datastore->usable = datastore->usable && strcmp(xml_text(value), "normal") == 0;
        else if (strcmp(name, "browser") == 0)
            datastore->browser = moref_read(context->arena, value);
    }
    if (datastore->free_bytes < 0 || datastore->free_bytes > datastore->total_bytes)
        datastore->free_bytes = datastore->free_bytes < 0 ? 0 : datastore->total_bytes;
}

static bool uplink_tag(const xmlNode *tags)
{
    for (const xmlNode *tag = xml_child(tags, "Tag"); tag; tag = xml_next(tag)) {
        const char *key = xml_child_text(tag, "key");
        if (key && strcmp(key, "SYSTEM/DVS.UPLINKPG") == 0)
            return true;
    }
    return false;
}

static void visit_network(struct surveying *context, struct moref ref, const xmlNode *object)
{
    struct arena *arena = context->arena;
    struct survey_network *network = ADD(context, networks, network_count);
    *network = (struct survey_network){.ref = ref, .name = ref.value};
    const xmlNode *at = NULL, *value;
    const char *name;
    while (property_next(object, &at, &name, &value)) {
        if (strcmp(name, "name") == 0) {
            network->name = arena_strdup(arena, xml_text(value));
        } else if (strcmp(name, "tag") == 0) {
            network->uplink = uplink_tag(value);
        } else if (strcmp(name, "key") == 0) {
            network->portgroup = arena_strdup(arena, xml_text(value));
        } else if (strcmp(name, "config.distributedVirtualSwitch") == 0) {
            network->dvs = moref_read(arena, value);
        } else if (strcmp(name, "summary") == 0) {
            network->opaque_id = arena_strdup(arena, xml_child_text(value, "opaqueNetworkId"));
            network->opaque_type = arena_strdup(arena, xml_child_text(value, "opaqueNetworkType"));
        }
    }
}

static void visit_place(struct surveying *context, struct survey_place *place, struct moref ref,
                        const xmlNode *object)
{
    *place = (struct survey_place){.ref = ref, .name = ref.value};
    const xmlNode *at = NULL, *value;
    const char *name;
    while (property_next(object, &at, &name, &value)) {
        if (strcmp(name, "name") == 0)
            place->name = arena_strdup(context->arena, xml_text(value));
        else if (strcmp(name, "resourcePool") == 0)
            place->pool = moref_read(context->arena, value);
        else if (strcmp(name, "owner") == 0)
            place->owner = moref_read(context->arena, value);
    }
}

static void visit_disks(struct surveying *context, struct moref ref, const xmlNode *layout)
{
    for (const xmlNode *disk = xml_first(layout); disk; disk = xml_next(disk))
        for (const xmlNode *file = xml_child(disk, "diskFile"); file; file = xml_next(file)) {
            if (!survey_volume_id(context->session, context->arena, xml_text(file)))
                continue;
            struct survey_attachment *attachment = ADD(context, attachments, attachment_count);
            attachment->file = arena_strdup(context->arena, xml_text(file));
            attachment->instance_ref = ref.value;
        }
}

static void visit_machine(struct surveying *context, struct moref ref, const xmlNode *object)
{
    struct driver_instance instance = {.ref = ref.value, .name = ref.value, .architecture = "x86"};
    struct moref host = {0};
    bool template = false;
    int64_t bytes = 0;
    const xmlNode *at = NULL, *value;
    const char *name;
    while (property_next(object, &at, &name, &value)) {
        if (strcmp(name, "config.template") == 0)
            template = xml_true(value);
        else if (strcmp(name, "runtime.host") == 0)
            host = moref_read(context->arena, value);
        else if (strcmp(name, "layout.disk") == 0)
            visit_disks(context, ref, value);
        else if (strncmp(name, "summary.storage.", 16) == 0)
            bytes += xml_number(value, 0);
        else
            machine_property(&instance, context->arena, name, value);
    }
    if (template) {
        struct driver_image *image = ADD(context, images, image_count);
        *image = (struct driver_image){.ref = ref.value, .name = instance.name, .architecture = "x86"};
        image->size_gb = (unsigned)((bytes + (INT64_C(1) << 30) - 1) >> 30);
    } else if (context->what & SURVEY_INSTANCES) {
        size_t count = context->survey->instance_count;
        context->instance_hosts = grow(context->arena, context->instance_hosts, count, sizeof host);
        context->instance_hosts[count] = host;
        *ADD(context, instances, instance_count) = instance;
    }
}

static void visit(void *data, struct moref ref, const xmlNode *object)
{
    struct surveying *context = data;
    if (!ref.value)
        return;
    if (strcmp(ref.type, "VirtualMachine") == 0)
        visit_machine(context, ref, object);
    else if (strcmp(ref.type, "HostSystem") == 0)
        visit_host(context, ref, object);
    else if (strcmp(ref.type, "Datastore") == 0)
        visit_datastore(context, ref, object);
    else if (strcmp(ref.type, "Network") == 0 || strcmp(ref.type, "DistributedVirtualPortgroup") == 0 ||
             strcmp(ref.type, "OpaqueNetwork") == 0)
        visit_network(context, ref, object);
    else if (strstr(ref.type, "DistributedVirtualSwitch"))
        *ADD(context, switches, switch_count) = (struct survey_switch){
            ref, arena_strdup(context->arena, xml_text(xml_child(xml_child(object, "propSet"), "val")))};
    else if (strcmp(ref.type, "ComputeResource") == 0 || strcmp(ref.type, "ClusterComputeResource") == 0)
        visit_place(context, ADD(context, computes, compute_count), ref, object);
    else if (strcmp(ref.type, "ResourcePool") == 0 || strcmp(ref.type, "VirtualApp") == 0)
        visit_place(context, ADD(context, pools, pool_count), ref, object);
    else if (strcmp(ref.type, "Folder") == 0)
        visit_place(context, ADD(context, folders, folder_count), ref, object);
}

/* Instances got only the reference of their host: now its name and architecture. */
static void name_hosts(struct surveying *context)
{
    const struct survey *survey = context->survey;
    for (size_t i = 0; i < survey->instance_count; i++)
        for (size_t h = 0; h < survey->host_count; h++)
            if (moref_same(context->instance_hosts[i], context->host_refs[h])) {
                survey->instances[i].host = survey->hosts[h].name;
                survey->instances[i].architecture = survey->hosts[h].architecture;
                break;
            }
}

const struct property_set *survey_sets(unsigned what, size_t *ret_count)
{
    bool full = what & SURVEY_INSTANCES;
    *ret_count = full ? sizeof full_sets / sizeof *full_sets : sizeof place_sets / sizeof *place_sets;
    return full ? full_sets : place_sets;
}

struct error *survey_take(struct driver_session *session, const struct driver_call *call, unsigned what,
                          struct survey *ret_survey)
{
    struct survey survey = {0};
    struct surveying context = {.session = session, .arena = call->arena, .what = what, .survey = &survey};
    size_t count;
    const struct property_set *sets = survey_sets(what, &count);
    TRY(property_walk(session, call, sets, count, visit, &context));
    name_hosts(&context);
    *ret_survey = survey;
    return NULL;
}
