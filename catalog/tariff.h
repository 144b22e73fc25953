/* Tariffs: how a quantity of an item is charged. What is free is metered and shown all the same, with what it
 * would have cost. */
#ifndef CATALOG_TARIFF_H
#define CATALOG_TARIFF_H

enum tariff {
    TARIFF_STANDARD,  /* at the provider's price */
    TARIFF_EXPANSION, /* free short-term expansion of what a system has (procurement 4.1.2.2, 6) */
    TARIFF_ALLOWANCE, /* the free part of an item, such as the first account of 1019 (3.1.3); made by rating
                         alone */
    TARIFF_MIGRATION, /* the second object of a move between clouds while both exist (4.1.1, 4.1.3) */
    TARIFF_COUNT
};

/* "standard", "expansion", "allowance", "migration". */
const char *tariff_name(enum tariff tariff);
/* TARIFF_COUNT when there is none of that name. */
enum tariff tariff_find(const char *name);

#endif
