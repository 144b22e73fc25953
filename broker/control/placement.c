/* The rules of placement; see placement.h. */
#include "broker/control/placement.h"

#include <string.h>

#include "drivers/driver.h"

bool placement_needs_endpoint(const char *kind)
{
    return !strcmp(kind, "instance") || !strcmp(kind, "volume");
}

static bool one_of(const char *text, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(text, *list))
            return true;
    return false;
}

/* Who may use which cloud: government clouds take public institutions alone (procurement 1.1), industry
 * clouds others as well (1.3), and the education commissions use the government cloud (1.3.2.1). */
static void check_tenant(const struct placement_wish *wish, const struct placement_facts *facts,
                         const char *pointer, struct error **errors)
{
    static const char *const industry[] = {"health", "education", NULL};
    static const char *const outside[] = {"hospital", "community", "school", NULL};
    if (strcmp(facts->unit_state, "active"))
        error_collect(errors, pointer, "the unit is suspended");
    if (strcmp(facts->cloud_state, "active"))
        error_collect(errors, pointer, "cloud \"%s\" takes no new orders: it is %s%s%s", wish->cloud,
                      facts->cloud_state, facts->cloud_reason ? ", " : "",
                      facts->cloud_reason ? facts->cloud_reason : "");
    if (!one_of(facts->cloud_kind, industry) && one_of(facts->unit_kind, outside))
        error_collect(errors, pointer,
                      "cloud \"%s\" serves public institutions alone; a %s uses an industry cloud "
                      "(procurement 1.1, 1.3)",
                      wish->cloud, facts->unit_kind);
    if (!strcmp(facts->cloud_kind, "education") && !strcmp(facts->unit_kind, "education-commission"))
        error_collect(errors, pointer,
                      "an education commission uses the government cloud (procurement 1.3.2.1)");
}

/* The medical-insurance enclave takes its own systems, and they live nowhere else (procurement 1.3.1.2).
 * Internet addresses and bandwidth are rented in internet zones (procurement 2.3.2). */
static void check_zone(const struct placement_wish *wish, const struct placement_facts *facts,
                       const char *pointer, struct error **errors)
{
    static const char *const rented[] = {"address", "bandwidth", NULL};
    static const char *const keeps_data[] = {"object-store", "backup-policy", NULL};
    if (!wish->zone && facts->insurance && one_of(wish->kind, keeps_data))
        error_collect(errors, pointer,
                      "needs an insurance zone: data of a medical-insurance system stays there (procurement "
                      "1.3.1.2)");
    if (!wish->zone)
        return;
    if (!facts->zone_kind) {
        error_collect(errors, pointer, "cloud \"%s\" has no zone \"%s\"", wish->cloud, wish->zone);
        return;
    }
    bool enclave = !strcmp(facts->zone_kind, "insurance");
    if (enclave && !facts->insurance)
        error_collect(errors, pointer,
                      "zone \"%s\" is kept for medical-insurance systems (procurement 1.3.1.2)", wish->zone);
    if (!enclave && facts->insurance)
        error_collect(
            errors, pointer,
            "a medical-insurance system is placed in an insurance zone alone (procurement 1.3.1.2)");
    if (one_of(wish->kind, rented) && strcmp(facts->zone_kind, "internet"))
        error_collect(errors, pointer,
                      "Internet addresses and bandwidth are rented in an internet zone (procurement 2.3.2)");
}

static unsigned architecture_bit(const char *name)
{
    static const struct {
        const char *name;
        unsigned bit;
    } table[] = {{"x86", DRIVER_X86}, {"ARM", DRIVER_ARM}, {"C86", DRIVER_C86}, {"POWER", DRIVER_POWER}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name))
            return table[i].bit;
    return 0;
}

static void check_endpoint(const struct placement_wish *wish, const struct placement_facts *facts,
                           const char *pointer, struct error **errors)
{
    if (!facts->zone_kind || !placement_needs_endpoint(wish->kind))
        return;
    if (!facts->endpoint) {
        error_collect(errors, pointer, "zone \"%s\" of cloud \"%s\" has no endpoint yet", wish->zone,
                      wish->cloud);
        return;
    }
    if (!facts->endpoint_enabled)
        error_collect(errors, pointer, "the endpoint of zone \"%s\" is disabled", wish->zone);
    if (strcmp(wish->kind, "instance"))
        return;
    if (facts->architectures && !(facts->architectures & architecture_bit(wish->architecture)))
        error_collect(errors, pointer, "zone \"%s\" has no host of architecture %s", wish->zone,
                      wish->architecture);
    if (wish->imported)
        return;
    if (!facts->image_known)
        error_collect(errors, pointer, "zone \"%s\" has no image \"%s\"", wish->zone, wish->image);
    if (facts->image_architecture && strcmp(facts->image_architecture, wish->architecture))
        error_collect(errors, pointer, "image \"%s\" is for %s, not for %s", wish->image,
                      facts->image_architecture, wish->architecture);
    if (facts->image_size_gb > wish->system_disk_gb)
        error_collect(errors, pointer, "image \"%s\" needs a system disk of at least %lld GB", wish->image,
                      (long long)facts->image_size_gb);
}

void placement_check(const struct placement_wish *wish, const struct placement_facts *facts,
                     const char *pointer, struct error **errors)
{
    check_tenant(wish, facts, pointer, errors);
    check_zone(wish, facts, pointer, errors);
    check_endpoint(wish, facts, pointer, errors);
}
