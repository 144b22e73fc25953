/* Names of tariffs; see tariff.h. */
#include "catalog/tariff.h"

#include <string.h>

static const char *const names[TARIFF_COUNT] = {"standard", "expansion", "allowance", "migration"};

const char *tariff_name(enum tariff tariff)
{
    return names[tariff];
}

enum tariff tariff_find(const char *name)
{
    enum tariff tariff = TARIFF_STANDARD;
    while (tariff < TARIFF_COUNT && strcmp(names[tariff], name) != 0)
        tariff++;
    return tariff;
}
