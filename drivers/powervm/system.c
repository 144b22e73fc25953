/* See system.h. A feed of whole managed systems takes a console a minute or more; the quick list takes a
 * moment, so lookups use that one and only measuring reads a system in full. */
#include "drivers/powervm/system.h"

#include <string.h>
#include <strings.h>

#include "drivers/powervm/atom.h"

#define MEMORY "AssociatedSystemMemoryConfiguration/"
#define PROCESSORS "AssociatedSystemProcessorConfiguration/"
#define MIGRATIONS "SystemMigrationInformation/"
#define MODE "SupportedPartitionProcessorCompatibilityModes"

static bool wanted(const struct powervm_options *options, const char *name)
{
    for (size_t i = 0; i < options->managed_systems.count; i++) {
        if (strcmp(options->managed_systems.items[i], name) == 0)
            return true;
    }
    return options->managed_systems.count == 0;
}

struct error *system_list(struct driver_session *session, const struct driver_call *call,
                          struct systems *ret_systems)
{
    struct arena *arena = call->arena;
    const char *text = NULL;
    json_t *list = NULL;
    TRY(hmc_quick(session->hmc, call, "ManagedSystem/quick/All", &text));
    struct error *error = *text ? json_parse_in(arena, text, strlen(text), &list) : NULL;
    if (error || (list && !json_is_array(list)))
        return error_recode(error ? error : error_new(ERR_UNAVAILABLE, "not a list"), ERR_UNAVAILABLE,
                            "the HMC's list of managed systems cannot be read");
    struct systems systems = {.items = arena_array(arena, json_array_size(list) + 1, sizeof *systems.items)};
    size_t index;
    json_t *item;
    json_array_foreach (list, index, item) {
        const char *id = json_string_value(json_object_get(item, "UUID"));
        const char *name = json_string_value(json_object_get(item, "SystemName"));
        const char *state = json_string_value(json_object_get(item, "State"));
        if (id && name && wanted(&session->options, name))
            systems.items[systems.count++] = (struct system){
                .id = id, .name = name, .operating = state && strcasecmp(state, "operating") == 0};
    }
    if (systems.count < session->options.managed_systems.count)
        return error_new(ERR_NOT_FOUND, "of the %zu managed systems in the options the HMC knows %zu",
                         session->options.managed_systems.count, systems.count);
    *ret_systems = systems;
    return NULL;
}

const struct system *system_find(const struct systems *systems, const char *id)
{
    for (size_t i = 0; id && i < systems->count; i++) {
        if (strcasecmp(systems->items[i].id, id) == 0)
            return &systems->items[i];
    }
    return NULL;
}

/* What the Virtual I/O Servers of the system hold. */
static struct error *measure_servers(struct driver_session *session, const struct driver_call *call,
                                     struct system *system)
{
    xmlNode *root = NULL;
    TRY(hmc_get(
        session->hmc, call,
        arena_printf(call->arena, "ManagedSystem/%s/VirtualIOServer?group=None&ignoreError=true", system->id),
        &root));
    for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry)) {
        const xmlNode *server = atom_payload(entry);
        const xmlNode *processors = atom_child(server, "PartitionProcessorConfiguration");
        system->mover = system->mover || atom_is(server, "MoverServicePartition", "true");
        system->memory_mb -= atom_micro(server, "PartitionMemoryConfiguration/CurrentMemory", 0) / ATOM_MICRO;
        system->units -=
            atom_is(processors, "CurrentHasDedicatedProcessors", "true")
                ? atom_micro(processors, "CurrentDedicatedProcessorConfiguration/CurrentProcessors", 0)
                : atom_micro(processors, "CurrentSharedProcessorConfiguration/CurrentProcessingUnits", 0);
    }
    return NULL;
}

static void read_mobility(struct arena *arena, const xmlNode *payload, struct system *system)
{
    const xmlNode *first = atom_at(payload, PROCESSORS MODE);
    size_t count = 0;
    for (const xmlNode *mode = first; mode; mode = atom_next(mode))
        count++;
    system->modes = arena_array(arena, count + 1, sizeof *system->modes);
    system->mode_count = 0;
    for (const xmlNode *mode = first; mode; mode = atom_next(mode)) {
        const char *text = atom_text(arena, mode, "");
        if (text)
            system->modes[system->mode_count++] = text;
    }
    system->mover = false;
    system->active_max = atom_micro(payload, MIGRATIONS "MaximumActiveMigrations", 0) / ATOM_MICRO;
    system->active_now = atom_micro(payload, MIGRATIONS "NumberOfActiveMigrationsInProgress", 0) / ATOM_MICRO;
    system->inactive_max = atom_micro(payload, MIGRATIONS "MaximumInactiveMigrations", 0) / ATOM_MICRO;
    system->inactive_now =
        atom_micro(payload, MIGRATIONS "NumberOfInactiveMigrationsInProgress", 0) / ATOM_MICRO;
}

struct error *system_measure(struct driver_session *session, const struct driver_call *call,
                             struct system *system)
{
    xmlNode *root = NULL;
    TRY(hmc_get(session->hmc, call, arena_printf(call->arena, "ManagedSystem/%s?group=None", system->id),
                &root));
    const xmlNode *payload = atom_payload(root);
    int64_t configurable = atom_micro(payload, MEMORY "ConfigurableSystemMemory", -1);
    int64_t units = atom_micro(payload, PROCESSORS "ConfigurableSystemProcessorUnits", -1);
    if (configurable < 0 || units < 0)
        return error_new(ERR_UNAVAILABLE, "the HMC tells no memory and processors of the system %s",
                         system->name);
    system->operating = atom_is(payload, "State", "operating");
    system->memory_mb = (configurable - atom_micro(payload, MEMORY "MemoryUsedByHypervisor", 0)) / ATOM_MICRO;
    system->memory_free_mb = atom_micro(payload, MEMORY "CurrentAvailableSystemMemory", 0) / ATOM_MICRO;
    system->units = units;
    system->units_free = atom_micro(payload, PROCESSORS "CurrentAvailableSystemProcessorUnits", 0);
    system->region_mb = atom_micro(payload, MEMORY "MemoryRegionSize", 0) / ATOM_MICRO;
    read_mobility(call->arena, payload, system);
    TRY(measure_servers(session, call, system));
    if (system->memory_mb < 0)
        system->memory_mb = 0;
    if (system->units < 0)
        system->units = 0;
    return NULL;
}

struct error *system_networks(struct driver_session *session, const struct driver_call *call,
                              const struct system *system, struct networks *ret_networks)
{
    struct arena *arena = call->arena;
    xmlNode *root = NULL;
    size_t count = 0;
    TRY(hmc_get(session->hmc, call, arena_printf(arena, "ManagedSystem/%s/VirtualNetwork", system->id),
                &root));
    for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry))
        count++;
    struct networks networks = {.items = arena_array(arena, count + 1, sizeof *networks.items)};
    for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry)) {
        const xmlNode *payload = atom_payload(entry);
        struct network network = {.id = atom_text(arena, entry, "id"),
                                  .name = atom_text(arena, payload, "NetworkName"),
                                  .switch_href = atom_href(arena, payload, "AssociatedSwitch"),
                                  .vlan = (unsigned)(atom_micro(payload, "NetworkVLANID", 0) / ATOM_MICRO)};
        if (network.id && network.name && network.switch_href)
            networks.items[networks.count++] = network;
    }
    *ret_networks = networks;
    return NULL;
}
