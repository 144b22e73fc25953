/* The service catalog's rows: 23 priced items 1001–1023 (procurement 3.1.3), 17 free base security services
 * 2001–2017 (3.1.4) and the extended services without a price (3.1.5). They are data (data/catalog_*.csv),
 * embedded in the binary, read once, immutable and safe for any thread. */
#ifndef CATALOG_ITEM_H
#define CATALOG_ITEM_H

#include <stddef.h>
#include <stdint.h>

#define ITEM_COUNT 23
#define ITEM_CODE 5 /* "1001" and the end */

struct item {
    char code[ITEM_CODE];
    const char *service_class, *subclass, *name, *name_en, *note;
    int64_t billing_quantity; /* how many of `unit` one price buys: 100 of GB for 1011 */
    const char *unit;         /* "CPU", "GB", "Mb" */
    int64_t cap_fen;          /* highest price a month, in fen */
    int64_t weight_percent;
    int64_t free_micro; /* of what a system has of it on a cloud at any time, this much is free (micro-units);
                           0: none */
    const char *free_clause; /* the procurement's clause that says so; NULL: none */
};

/* One of the base security services: part of every cloud, never charged (procurement 3.1.4, 3.2.2). */
struct security_item {
    char code[ITEM_CODE];
    const char *service_class, *name, *content, *name_en;
};

/* One of the extended services: neither code nor cap in the source; known by its place in the table, from 1.
 */
struct extended_item {
    int number;
    const char *category, *subclass, *name, *note, *name_en;
};

/* NULL when no priced item has the code. */
const struct item *item_find(const char *code);
size_t item_count(void); /* ITEM_COUNT */
const struct item *item_at(size_t index);
size_t item_index(const struct item *item);

size_t security_item_count(void);
const struct security_item *security_item_at(size_t index);
size_t extended_item_count(void);
const struct extended_item *extended_item_at(size_t index);

/* Σ price × weight of all items, in 1/10000 yuan and thus exact: fen × percent (procurement 3.1.3: the caps
 * give 79.0430). `fen` has ITEM_COUNT prices in catalog order, each ≤ PRICE_MAX. */
int64_t item_weighted_total(const int64_t fen[ITEM_COUNT]);
#define WEIGHTED_TEXT 24
/* "79.0430". Returns text. */
char *item_weighted_format(int64_t total, char text[WEIGHTED_TEXT]);

#endif
