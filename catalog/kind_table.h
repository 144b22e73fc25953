/* What a kind is made of: shared by kind.c (the tables and their reader) and quantity.c (the quantity rules).
 */
#ifndef CATALOG_KIND_TABLE_H
#define CATALOG_KIND_TABLE_H

#include "catalog/kind.h"

#define MEMBER_NAME_MAX 63

enum member_want { MEMBER_INT, MEMBER_CHOICE, MEMBER_NAME, MEMBER_TEXT };
enum member_change { CHANGE_NEVER, CHANGE_ANY, CHANGE_UP };

struct kind_member {
    const char *name;
    enum member_want want;
    bool required;
    enum member_change change; /* by a resize */
    int64_t min, max;          /* MEMBER_INT; of MEMBER_TEXT in bytes */
    int64_t step;              /* 0: 1 */
    int64_t fallback;          /* default of MEMBER_INT; 0: none */
    const char *const *choices;
    const char *fallback_text;
    const char *clause; /* of the procurement text */
};

/* Collects quantities; `failed` keeps the first error, after which nothing is added. */
struct quantities {
    const json_t *full;
    const struct agreement *agreement;
    bool stopped;
    struct item_quantity *list;
    size_t count;
    struct error *failed;
};

struct kind {
    const char *name, *name_zh;
    const struct kind_member *members;
    size_t member_count;
    void (*quantities)(struct quantities *quantities);
    const char *items; /* comma-joined codes that it can use */
};

void quantity_instance(struct quantities *quantities);
void quantity_volume(struct quantities *quantities);
void quantity_address(struct quantities *quantities);
void quantity_bandwidth(struct quantities *quantities);

#endif
