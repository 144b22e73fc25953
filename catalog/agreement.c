/* Agreement settings; see agreement.h. */
#include "catalog/agreement.h"

#include <stdint.h>
#include <string.h>

#include "broker/base/json.h"
#include "catalog/pointer.h"

const struct agreement agreement_default;

struct setting {
    const char *name;
    size_t offset;
    const char *const *choices; /* in the order of the enum, the default first, ended by NULL */
    const char *gap;            /* what the procurement text leaves open */
};

static const char *const prorations[] = {"exact", "day", "month", NULL};
static const char *const stopped_instances[] = {"charged", "storage-only", NULL};
static const char *const system_disks[] = {"charged", "included", NULL};
static const char *const small_quantities[] = {"proportional", "whole", NULL};
static const char *const releases[] = {"confirmed", "requested", NULL};
static const char *const expansion_days[] = {"30", "7", "14", "60", "90", NULL};
static const char *const migration_overlaps[] = {"free", "charged", NULL};

static const struct setting settings[] = {
    {"proration", offsetof(struct agreement, proration), prorations,
     "prices are per month; days, hours and changes within a month are not mentioned"},
    {"stopped_instance", offsetof(struct agreement, stopped_instance), stopped_instances,
     "whether a stopped instance pays for CPU and memory is not said; memory is never over-committed "
     "(4.1.2.2)"},
    {"system_disk", offsetof(struct agreement, system_disk), system_disks,
     "whether the system disk is storage of its own or part of the host is not said"},
    {"small_quantity", offsetof(struct agreement, small_quantity), small_quantities,
     "1011 and 1012 may be requested by 1 GB (3.2.1.4, 3.2.1.5) and are priced per 100 GB"},
    {"release", offsetof(struct agreement, release), releases,
     "whether what the provider's operator releases is charged until they confirm it or until it was "
     "requested is not said"},
    {"expansion_days", offsetof(struct agreement, expansion_days), expansion_days,
     "how long the free expansion of at most 20 % is short-term (4.1.2.2, 6) is not said"},
    {"migration_overlap", offsetof(struct agreement, migration_overlap), migration_overlaps,
     "moving between clouds is free (4.1.1, 4.1.3.1); who pays while a machine exists on both is not said "
     "(4.1.3.3)"},
};
#define SETTING_COUNT (sizeof settings / sizeof *settings)

static int *field(struct agreement *agreement, const struct setting *setting)
{
    return (int *)(void *)((char *)agreement + setting->offset);
}

static const struct setting *find(const char *name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (!strcmp(settings[i].name, name))
            return &settings[i];
    return NULL;
}

int agreement_expansion_days(const struct agreement *agreement)
{
    static const int days[] = {30, 7, 14, 60, 90};
    return days[agreement->expansion_days];
}

struct error *agreement_read(const json_t *json, struct agreement *agreement)
{
    struct agreement next = *agreement;
    struct error *errors = NULL;
    const char *name;
    json_t *value;
    if (!json_is_object(json))
        return error_member("", "must be an object of settings");
    json_object_foreach ((json_t *)(uintptr_t)json, name, value) /* read only */
    {
        const struct setting *setting = find(name);
        ARENA_AUTO struct arena *arena = arena_new();
        const char *pointer = pointer_member(arena, "", name);
        int choice = 0;
        if (!setting) {
            error_collect(&errors, pointer, "is not a setting of the agreement");
            continue;
        }
        while (setting->choices[choice] &&
               (!json_is_string(value) || strcmp(setting->choices[choice], json_string_value(value)) != 0))
            choice++;
        if (setting->choices[choice])
            *field(&next, setting) = choice;
        else
            error_collect(&errors, pointer, "must be one of its choices, \"%s\" by default",
                          setting->choices[0]);
    }
    if (!errors)
        *agreement = next;
    return errors;
}

json_t *agreement_json(const struct agreement *agreement)
{
    struct agreement copy = *agreement;
    json_t *json = json_object();
    for (size_t i = 0; i < SETTING_COUNT; i++)
        json_put_text(json, settings[i].name, settings[i].choices[*field(&copy, &settings[i])]);
    return json;
}

json_t *agreement_settings_json(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        json_t *setting = json_object(), *choices = json_array();
        for (const char *const *choice = settings[i].choices; *choice; choice++)
            json_push(choices, json_string(*choice));
        json_put_text(setting, "name", settings[i].name);
        json_put_text(setting, "default", settings[i].choices[0]);
        json_put(setting, "choices", choices);
        json_put_text(setting, "fills", settings[i].gap);
        json_push(list, setting);
    }
    return list;
}
