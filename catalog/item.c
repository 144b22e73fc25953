/* The catalog's rows, read once from the embedded tables; see item.h. A table that does not read is a broken
 * build: the process ends and says what is wrong. */
#include "catalog/item.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/base/money.h"
#include "catalog/csv.h"

extern const unsigned char catalog_priced_csv[], catalog_security_csv[], catalog_extended_csv[],
    catalog_allowances_csv[];
extern const size_t catalog_priced_csv_size, catalog_security_csv_size, catalog_extended_csv_size,
    catalog_allowances_csv_size;

static struct {
    struct arena *arena;
    struct item *items;
    struct security_item *security;
    size_t security_count;
    struct extended_item *extended;
    size_t extended_count;
} catalog;
static pthread_once_t catalog_once = PTHREAD_ONCE_INIT;

static _Noreturn void broken(const char *table, size_t row, const char *what)
{
    (void)fprintf(stderr, "catalog: %s, row %zu: %s\n", table, row, what); /* nothing else is left to do */
    abort();
}

static struct csv load(const char *table, const unsigned char *bytes, size_t size)
{
    struct csv csv;
    struct error *error = csv_parse(catalog.arena, (const char *)bytes, size, &csv);
    if (error)
        broken(table, 0, error_message(error));
    return csv;
}

static const char *cell(const struct csv *csv, const char *table, size_t row, const char *column)
{
    const char *text = csv_cell(csv, row, column);
    if (!text)
        broken(table, row, column);
    return text;
}

static void copy_code(char code[ITEM_CODE], const char *table, size_t row, const char *text)
{
    if (strlen(text) != ITEM_CODE - 1)
        broken(table, row, "a code has four digits");
    memcpy(code, text, ITEM_CODE);
}

static int64_t whole(const char *table, size_t row, const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || *end || value < 1)
        broken(table, row, "not a positive whole number");
    return value;
}

static void load_priced(void)
{
    static const char table[] = "catalog_priced.csv";
    struct csv csv = load(table, catalog_priced_csv, catalog_priced_csv_size);
    if (csv.rows != ITEM_COUNT)
        broken(table, csv.rows, "not 23 items");
    catalog.items = arena_array(catalog.arena, csv.rows, sizeof *catalog.items);
    for (size_t row = 0; row < csv.rows; row++) {
        struct item *item = &catalog.items[row];
        copy_code(item->code, table, row, cell(&csv, table, row, "code"));
        item->service_class = cell(&csv, table, row, "service_class");
        item->subclass = cell(&csv, table, row, "subclass");
        item->name = cell(&csv, table, row, "item");
        item->name_en = cell(&csv, table, row, "name_en");
        item->note = cell(&csv, table, row, "note");
        item->unit = cell(&csv, table, row, "billing_unit");
        item->billing_quantity = whole(table, row, cell(&csv, table, row, "billing_quantity"));
        item->weight_percent = whole(table, row, cell(&csv, table, row, "weight_percent"));
        struct error *error = money_parse(cell(&csv, table, row, "cap_price_yuan"), &item->cap_fen);
        if (error || item->cap_fen > PRICE_MAX)
            broken(table, row, "cap_price_yuan");
        if (QUANTITY_ONE % item->billing_quantity)
            broken(table, row, "a billing quantity that micro-units cannot divide");
    }
}

/* What of an item is free for each system: "free_quantity" of its billing unit. */
static void load_allowances(void)
{
    static const char table[] = "catalog_allowances.csv";
    struct csv csv = load(table, catalog_allowances_csv, catalog_allowances_csv_size);
    for (size_t row = 0; row < csv.rows; row++) {
        const char *code = cell(&csv, table, row, "code");
        size_t i = 0;
        while (i < ITEM_COUNT && strcmp(catalog.items[i].code, code) != 0)
            i++;
        if (i == ITEM_COUNT)
            broken(table, row, "no such item");
        if (strcmp(cell(&csv, table, row, "scope"), "system") != 0)
            broken(table, row, "the scope of an allowance is a system");
        catalog.items[i].free_micro =
            whole(table, row, cell(&csv, table, row, "free_quantity")) * QUANTITY_ONE;
        catalog.items[i].free_clause = cell(&csv, table, row, "clause");
    }
}

static void load_security(void)
{
    static const char table[] = "catalog_security.csv";
    struct csv csv = load(table, catalog_security_csv, catalog_security_csv_size);
    catalog.security_count = csv.rows;
    catalog.security = arena_array(catalog.arena, csv.rows, sizeof *catalog.security);
    for (size_t row = 0; row < csv.rows; row++) {
        struct security_item *item = &catalog.security[row];
        copy_code(item->code, table, row, cell(&csv, table, row, "code"));
        item->service_class = cell(&csv, table, row, "service_class");
        item->name = cell(&csv, table, row, "catalog_name");
        item->content = cell(&csv, table, row, "content");
        item->name_en = cell(&csv, table, row, "name_en");
    }
}

static void load_extended(void)
{
    static const char table[] = "catalog_extended.csv";
    struct csv csv = load(table, catalog_extended_csv, catalog_extended_csv_size);
    catalog.extended_count = csv.rows;
    catalog.extended = arena_array(catalog.arena, csv.rows, sizeof *catalog.extended);
    for (size_t row = 0; row < csv.rows; row++) {
        struct extended_item *item = &catalog.extended[row];
        item->number = (int)row + 1;
        item->category = cell(&csv, table, row, "category");
        item->subclass = cell(&csv, table, row, "subclass");
        item->name = cell(&csv, table, row, "item");
        item->note = cell(&csv, table, row, "note");
        item->name_en = cell(&csv, table, row, "name_en");
    }
}

static void load_all(void)
{
    catalog.arena = arena_new();
    load_priced();
    load_allowances();
    load_security();
    load_extended();
}

static void ready(void)
{
    if (pthread_once(&catalog_once, load_all))
        broken("catalog", 0, "pthread_once failed");
}

const struct item *item_find(const char *code)
{
    ready();
    for (size_t i = 0; i < ITEM_COUNT; i++)
        if (!strcmp(catalog.items[i].code, code))
            return &catalog.items[i];
    return NULL;
}

size_t item_count(void)
{
    return ITEM_COUNT;
}

const struct item *item_at(size_t index)
{
    ready();
    return &catalog.items[index];
}

size_t item_index(const struct item *item)
{
    ready();
    return (size_t)(item - catalog.items);
}

size_t security_item_count(void)
{
    ready();
    return catalog.security_count;
}

const struct security_item *security_item_at(size_t index)
{
    ready();
    return &catalog.security[index];
}

size_t extended_item_count(void)
{
    ready();
    return catalog.extended_count;
}

const struct extended_item *extended_item_at(size_t index)
{
    ready();
    return &catalog.extended[index];
}

int64_t item_weighted_total(const int64_t fen[ITEM_COUNT])
{
    int64_t total = 0;
    for (size_t i = 0; i < ITEM_COUNT; i++)
        total += fen[i] * item_at(i)->weight_percent; /* ≤ 23 × 1e11 × 100 */
    return total;
}

char *item_weighted_format(int64_t total, char text[WEIGHTED_TEXT])
{
    (void)snprintf(text, WEIGHTED_TEXT, "%lld.%04lld", (long long)(total / 10000),
                   (long long)(total % 10000)); /* 19 digits and a point fit */
    return text;
}
