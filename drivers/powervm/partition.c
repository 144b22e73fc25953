/* See partition.h. */
#include "drivers/powervm/partition.h"

#include <string.h>
#include <strings.h>

#include "drivers/powervm/atom.h"
#include "drivers/powervm/stamp.h"

#define SHARED "PartitionProcessorConfiguration/SharedProcessorConfiguration/"
#define MINIMUM_MEMORY_MB 1024
#define UNCAPPED_WEIGHT "128" /* the HMC's default */

/* What moving asks for. */
static void read_rest(struct arena *arena, const xmlNode *payload, struct partition *ret)
{
    const char *os = atom_text(arena, payload, "OperatingSystemVersion");
    const char *migration = atom_text(arena, payload, "MigrationState");
    int64_t total = atom_micro(payload, "ProgressPartitionDataTotal", 0);
    int64_t left = atom_micro(payload, "ProgressPartitionDataRemaining", 0);
    ret->description = atom_text(arena, payload, "Description");
    ret->mode = atom_text(arena, payload, "CurrentProcessorCompatibilityMode");
    ret->os = os && strcmp(os, "Unknown") != 0 ? os : NULL;
    ret->physical = atom_is(payload, "HasPhysicalIO", "true");
    ret->autostart = atom_is(payload, "PowerOnWithHypervisor", "true");
    ret->stuck = migration && strcmp(migration, "Migration_Failed") == 0;
    bool idle = !migration || strcmp(migration, "Not_Migrating") == 0 ||
                strncmp(migration, "Migration_Success", strlen("Migration_Success")) == 0;
    ret->migrating = !idle || strncasecmp(ret->state, "migrating", strlen("migrating")) == 0;
    ret->percent = total > 0 && left <= total ? (int)((total - left) * 100 / total) : 0;
}

static void read_partition(struct arena *arena, const xmlNode *payload, struct partition *ret)
{
    const xmlNode *processors = atom_child(payload, "PartitionProcessorConfiguration");
    bool dedicated = atom_is(processors, "HasDedicatedProcessors", "true");
    const char *state = atom_text(arena, payload, "PartitionState");
    const char *address = atom_text(arena, payload, "ResourceMonitoringIPAddress");
    *ret = (struct partition){
        .id = atom_text(arena, payload, "PartitionUUID"),
        .name = atom_text(arena, payload, "PartitionName"),
        .system = atom_href_id(arena, payload, "AssociatedManagedSystem"),
        .state = state ? state : "Unknown",
        .address = address && strcmp(address, "0.0.0.0") != 0 ? address : NULL,
        .rmc = atom_is(payload, "ResourceMonitoringControlState", "active"),
        /* what was asked for: an inactive partition's current values may read zero */
        .vcpu = (unsigned)(atom_micro(processors,
                                      dedicated ? "DedicatedProcessorConfiguration/DesiredProcessors"
                                                : "SharedProcessorConfiguration/DesiredVirtualProcessors",
                                      0) /
                           ATOM_MICRO),
        .memory_mb =
            (uint64_t)(atom_micro(payload, "PartitionMemoryConfiguration/DesiredMemory", 0) / ATOM_MICRO)};
    ret->active =
        strcasecmp(ret->state, "not activated") != 0 && strcasecmp(ret->state, "migrating not active") != 0;
    ret->units = atom_micro(processors,
                            dedicated ? "DedicatedProcessorConfiguration/DesiredProcessors"
                                      : "SharedProcessorConfiguration/DesiredProcessingUnits",
                            0);
    read_rest(arena, payload, ret);
    ret->stamp = stamp_of_partition(arena, ret->name);
}

static struct error *checked(struct arena *arena, xmlNode *entry, struct partition *ret_partition)
{
    struct partition partition;
    read_partition(arena, atom_payload(entry), &partition);
    if (!partition.id || !partition.name || !partition.system)
        return error_new(ERR_UNAVAILABLE, "the HMC's answer is not a logical partition");
    *ret_partition = partition;
    return NULL;
}

enum driver_power partition_power(const struct partition *partition)
{
    static const struct {
        const char *state;
        enum driver_power power;
    } states[] = {
        {"running", DRIVER_POWER_ON},
        {"starting", DRIVER_POWER_ON},
        {"open firmware", DRIVER_POWER_ON},
        {"shutting down", DRIVER_POWER_ON},
        {"migrating running", DRIVER_POWER_ON},
        {"hardware discovery", DRIVER_POWER_ON},
        {"resuming", DRIVER_POWER_ON},
        {"not activated", DRIVER_POWER_OFF},
        {"migrating not active", DRIVER_POWER_OFF},
        {"suspended", DRIVER_POWER_SUSPENDED},
        {"suspending", DRIVER_POWER_SUSPENDED},
        {"error", DRIVER_POWER_ERROR},
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (strcasecmp(partition->state, states[i].state) == 0)
            return states[i].power;
    }
    return DRIVER_POWER_UNKNOWN;
}

struct error *partition_list(struct driver_session *session, const struct driver_call *call,
                             const struct system *system, struct partitions *ret_partitions)
{
    struct arena *arena = call->arena;
    xmlNode *root = NULL;
    size_t count = 0;
    TRY(hmc_get(session->hmc, call,
                arena_printf(arena, "ManagedSystem/%s/LogicalPartition?group=None", system->id), &root));
    for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry))
        count++;
    struct partitions partitions = {.items = arena_array(arena, count + 1, sizeof *partitions.items)};
    for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry))
        TRY(checked(arena, entry, &partitions.items[partitions.count++]));
    *ret_partitions = partitions;
    return NULL;
}

struct error *partition_get(struct driver_session *session, const struct driver_call *call, const char *id,
                            struct partition *ret_partition)
{
    xmlNode *root = NULL;
    if (!*id || strspn(id, "0123456789abcdefABCDEF-") != strlen(id))
        return error_new(ERR_NOT_FOUND, "\"%s\" is not a partition's id", id);
    TRY(hmc_get(session->hmc, call, arena_printf(call->arena, "LogicalPartition/%s?group=None", id), &root));
    return checked(call->arena, root, ret_partition);
}

struct error *partition_is_here(struct driver_session *session, const struct driver_call *call,
                                const struct partition *partition, bool *ret_here)
{
    struct systems systems;
    *ret_here = session->options.managed_systems.count == 0;
    if (*ret_here)
        return NULL;
    TRY(system_list(session, call, &systems));
    *ret_here = system_find(&systems, partition->system) != NULL;
    return NULL;
}

/* ERR_NOT_FOUND when no system of the options has a partition of this name. */
static struct error *search(struct driver_session *session, const struct driver_call *call, const char *name,
                            struct partition *ret_partition)
{
    xmlNode *root = NULL;
    TRY(hmc_get(session->hmc, call,
                arena_printf(call->arena, "LogicalPartition/search/(PartitionName==%s)?group=None", name),
                &root));
    for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry)) {
        struct partition partition;
        bool here = false;
        TRY(checked(call->arena, entry, &partition));
        TRY(partition_is_here(session, call, &partition, &here));
        if (here) {
            *ret_partition = partition;
            return NULL;
        }
    }
    return error_new(ERR_NOT_FOUND, "no partition is named %s", name);
}

struct error *partition_find(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key, struct partition *ret_partition)
{
    if (key->ref) {
        struct partition hinted;
        struct error *error = partition_get(session, call, key->ref, &hinted);
        if (!error && (!key->id || (hinted.stamp && strcmp(hinted.stamp, key->id) == 0))) {
            bool here = false;
            TRY(partition_is_here(session, call, &hinted, &here));
            if (here) {
                *ret_partition = hinted;
                return NULL;
            }
            if (!key->id)
                return error_new(ERR_NOT_FOUND, "the partition %s is on a system that the options leave out",
                                 hinted.name);
        }
        if (error && (error_code(error) != ERR_NOT_FOUND || !key->id))
            return error;
        error_ignore(error); /* the hint does not hold: look for the stamp */
    }
    if (!key->id)
        return error_new(ERR_NOT_FOUND, "neither an id nor a reference names a partition");
    return search(session, call, stamp_partition(call->arena, key->id), ret_partition);
}

static const char *number(struct arena *arena, uint64_t value)
{
    return arena_printf(arena, "%llu", (unsigned long long)value);
}

static void write_shared(struct atom_writer *writer, struct arena *arena,
                         const struct powervm_options *options, unsigned vcpu)
{
    int64_t most = vcpu > options->max_vcpu ? vcpu : options->max_vcpu;
    atom_open(writer, "SharedProcessorConfiguration");
    atom_leaf(writer, "DesiredProcessingUnits", atom_micro_text(arena, options->units_per_vcpu * vcpu));
    atom_leaf(writer, "DesiredVirtualProcessors", number(arena, vcpu));
    atom_leaf(writer, "MaximumProcessingUnits", atom_micro_text(arena, options->units_per_vcpu * most));
    atom_leaf(writer, "MaximumVirtualProcessors", number(arena, (uint64_t)most));
    atom_leaf(writer, "MinimumProcessingUnits", atom_micro_text(arena, options->units_per_vcpu));
    atom_leaf(writer, "MinimumVirtualProcessors", "1");
    atom_leaf(writer, "SharedProcessorPoolID", "0");
    atom_leaf(writer, "UncappedWeight", UNCAPPED_WEIGHT);
    atom_close(writer);
}

struct error *partition_create(struct driver_session *session, const struct driver_call *call,
                               const struct system *system, const struct driver_instance_spec *spec,
                               struct partition *ret_partition)
{
    struct arena *arena = call->arena;
    const struct powervm_options *options = &session->options;
    struct atom_writer *writer = atom_writer_new("LogicalPartition", ATOM_UOM);
    atom_open(writer, "PartitionMemoryConfiguration");
    atom_leaf(writer, "DesiredMemory", number(arena, spec->memory_mb));
    atom_leaf(writer, "MaximumMemory", number(arena, (uint64_t)options->max_memory_mb));
    atom_leaf(writer, "MinimumMemory", number(arena, MINIMUM_MEMORY_MB));
    atom_close(writer);
    atom_leaf(writer, "PartitionName", stamp_partition(arena, spec->id));
    atom_open(writer, "PartitionProcessorConfiguration");
    atom_leaf(writer, "HasDedicatedProcessors", "false");
    write_shared(writer, arena, options, spec->vcpu);
    atom_leaf(writer, "SharingMode", "uncapped");
    atom_close(writer);
    atom_leaf(writer, "PartitionType", "AIX/Linux");
    atom_leaf(writer, "Description", arena_printf(arena, "yunqiao %s %s", spec->name, spec->id));
    xmlNode *root = NULL;
    TRY_DOING(hmc_put(session->hmc, call,
                      arena_printf(arena, "ManagedSystem/%s/LogicalPartition", system->id),
                      "LogicalPartition", atom_writer_finish(writer, arena), &root),
              "could not create a partition on %s", system->name);
    return checked(arena, root, ret_partition);
}

struct error *partition_connect(struct driver_session *session, const struct driver_call *call,
                                const struct partition *partition, const struct network *network)
{
    struct arena *arena = call->arena;
    const char *path = arena_printf(arena, "LogicalPartition/%s/ClientNetworkAdapter", partition->id);
    xmlNode *root = NULL;
    TRY(hmc_get(session->hmc, call, path, &root));
    for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry)) {
        if (atom_micro(atom_payload(entry), "PortVLANID", -1) == network->vlan * ATOM_MICRO)
            return NULL;
    }
    struct atom_writer *writer = atom_writer_new("ClientNetworkAdapter", ATOM_UOM);
    atom_leaf(writer, "UseNextAvailableSlotID", "true");
    atom_leaf(writer, "PortVLANID", number(arena, network->vlan));
    atom_open(writer, "AssociatedVirtualSwitch");
    atom_link(writer, "link", network->switch_href);
    atom_close(writer);
    return error_wrap(
        hmc_put(session->hmc, call, path, "ClientNetworkAdapter", atom_writer_finish(writer, arena), &root),
        "could not connect the partition to the network %s", network->name);
}

struct words {
    const char *description;
    bool autostart;
};

static struct error *edit_words(void *context, struct arena *arena, xmlNode *payload, bool *ret_changed)
{
    const struct words *words = context;
    const char *autostart = words->autostart ? "true" : "false";
    *ret_changed = !atom_is(payload, "Description", words->description);
    if (*ret_changed && !atom_set(payload, "Description", words->description))
        return error_new(ERR_UNSUPPORTED, "the HMC keeps no description of partitions");
    if (atom_at(payload, "PowerOnWithHypervisor") && !atom_is(payload, "PowerOnWithHypervisor", autostart)) {
        *ret_changed = true;
        (void)atom_set(payload, "PowerOnWithHypervisor", autostart); /* it is there: looked up just now */
    }
    return NULL;
}

struct error *partition_describe(struct driver_session *session, const struct driver_call *call,
                                 const struct partition *partition, const char *description, bool autostart)
{
    struct words words = {.description = description, .autostart = autostart};
    return hmc_update(session->hmc, call,
                      arena_printf(call->arena, "LogicalPartition/%s?group=None", partition->id),
                      "LogicalPartition", edit_words, &words);
}

struct size {
    unsigned vcpu;
    uint64_t memory_mb;
    int64_t units;
};

static struct error *edit_size(void *context, struct arena *arena, xmlNode *payload, bool *ret_changed)
{
    const struct size *size = context;
    struct partition now;
    read_partition(arena, payload, &now);
    if (now.vcpu == size->vcpu && now.memory_mb == size->memory_mb) {
        *ret_changed = false;
        return NULL;
    }
    if (now.active && !now.rmc)
        return error_new(ERR_CONFLICT,
                         "the partition %s runs without an RMC connection: stop it to change its size",
                         now.name);
    if (size->vcpu * ATOM_MICRO > atom_micro(payload, SHARED "MaximumVirtualProcessors", INT64_MAX) ||
        (int64_t)size->memory_mb * ATOM_MICRO >
            atom_micro(payload, "PartitionMemoryConfiguration/MaximumMemory", INT64_MAX))
        return error_new(ERR_INVALID,
                         "%u vCPU and %llu MB are over the maximum that the partition %s was made with",
                         size->vcpu, (unsigned long long)size->memory_mb, now.name);
    bool set =
        atom_set(payload, "PartitionMemoryConfiguration/DesiredMemory", number(arena, size->memory_mb)) &&
        atom_set(payload, SHARED "DesiredVirtualProcessors", number(arena, size->vcpu)) &&
        atom_set(payload, SHARED "DesiredProcessingUnits", atom_micro_text(arena, size->units));
    return set ? NULL
               : error_new(ERR_UNSUPPORTED,
                           "the partition %s has dedicated processors, which are not resized", now.name);
}

struct error *partition_resize(struct driver_session *session, const struct driver_call *call,
                               const struct partition *partition, unsigned vcpu, uint64_t memory_mb)
{
    struct size size = {
        .vcpu = vcpu, .memory_mb = memory_mb, .units = session->options.units_per_vcpu * vcpu};
    return hmc_update(session->hmc, call,
                      arena_printf(call->arena, "LogicalPartition/%s?group=None", partition->id),
                      "LogicalPartition", edit_size, &size);
}

/* Waits until a partition that is being started, by us or by somebody else, is up. A PowerOn that ended well
 * may still have left it in an error. */
static struct error *settle(struct driver_session *session, const struct driver_call *call,
                            const struct partition *partition)
{
    for (int64_t pause = HMC_POLL_MIN_US;;) {
        ARENA_AUTO struct arena *scratch = arena_new();
        struct driver_call look = *call;
        struct partition now;
        look.arena = scratch;
        TRY(partition_get(session, &look, partition->id, &now));
        if (partition_power(&now) == DRIVER_POWER_ERROR)
            return error_new(ERR_INTERNAL, "the partition %s is in the state \"%s\" after its power-on",
                             now.name, now.state);
        if (strcasecmp(now.state, "starting") != 0)
            return NULL;
        if (!hmc_pause(call, &pause))
            return error_new(ERR_TIMEOUT, "the partition %s has not started in time", now.name);
        TRY(hmc_progress(session->hmc, call, 90, "starting"));
    }
}

struct error *partition_power_on(struct driver_session *session, const struct driver_call *call,
                                 const struct partition *partition)
{
    const struct hmc_parameter parameters[] = {{"force", "false"}, {"novsi", "true"}, {"bootmode", "norm"}};
    struct error *error = NULL;
    if (!partition->active)
        error = hmc_job(session->hmc, call, "LogicalPartition", partition->id, "PowerOn", parameters, 3);
    if (error && hmc_refused_with(error, "HSCL3681")) {
        error_ignore(error); /* on already */
        error = NULL;
    }
    if (error)
        return error_wrap(error, "could not power on %s", partition->name);
    return settle(session, call, partition);
}

struct error *partition_power_off(struct driver_session *session, const struct driver_call *call,
                                  const struct partition *partition, bool orderly, bool restart)
{
    const struct hmc_parameter parameters[] = {{"operation", orderly ? "osshutdown" : "shutdown"},
                                               {"immediate", orderly ? "false" : "true"},
                                               {"restart", restart ? "true" : "false"}};
    if (!partition->active)
        return NULL;
    struct error *error =
        hmc_job(session->hmc, call, "LogicalPartition", partition->id, "PowerOff", parameters, 3);
    if (error && !restart && hmc_refused_with(error, "HSCL1558")) {
        error_ignore(error); /* off already */
        return NULL;
    }
    return error_wrap(error, "could not power off %s", partition->name);
}

struct error *partition_delete(struct driver_session *session, const struct driver_call *call,
                               const struct partition *partition)
{
    return error_wrap(
        hmc_delete(session->hmc, call, arena_printf(call->arena, "LogicalPartition/%s", partition->id)),
        "could not delete the partition %s", partition->name);
}
