/* What a kind is made of: shared by the tables (kind_compute.c, kind_storage.c, kind_network.c), their reader
 * (kind.c, kind_value.c) and the quantity rules (quantity.c).
 */
#ifndef CATALOG_KIND_TABLE_H
#define CATALOG_KIND_TABLE_H

#include "catalog/kind.h"

#define MEMBER_NAME_MAX 63
#define MEMBER_LIST_MAX 256 /* the most that a list's `max` may be */

enum member_want {
    MEMBER_INT,
    MEMBER_CHOICE,
    MEMBER_NAME,
    MEMBER_TEXT,
    MEMBER_ADDRESSES, /* a list of IP addresses of hosts, each once */
    MEMBER_DOMAINS,   /* a list of domain names in lower case, each once */
    MEMBER_UNPRICED,  /* offered by the text without a priced code: any value is refused, and why */
};
enum member_change { CHANGE_NEVER, CHANGE_ANY, CHANGE_UP };

struct kind_member {
    const char *name;
    enum member_want want;
    bool required;
    enum member_change change; /* by a resize */
    int64_t min, max;          /* MEMBER_INT; of MEMBER_TEXT in bytes; of a list its length */
    int64_t step;              /* 0: 1 */
    int64_t fallback;          /* default of MEMBER_INT; 0: none */
    const char *const *choices;
    const char *fallback_text;
    const char *what;   /* MEMBER_UNPRICED: for people */
    const char *clause; /* of the procurement text */
};

/* One row turns a full spec into a quantity of one item. The rows of a kind are added up. */
struct quantity_rule {
    const char *item;
    const char *member; /* counted: its number, or the length of its list; NULL: one piece */
    int64_t set;        /* one billing unit for each begun `set`; 0: one by one */
    int64_t per;   /* `member` is told in 1/per of the catalog's unit (GB of a TB: 1000); 0: in that unit */
    bool optional; /* nothing is used when `member` is absent */
    const char *when, *is;      /* only while this member reads so */
    int64_t equals;             /* the same for a number: when `is` is NULL */
    const char *unless, *reads; /* not while this member reads so */
    const char *clause;         /* why */
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
    const struct quantity_rule *rules;
    size_t rule_count;
    void (*quantities)(struct quantities *quantities); /* what depends on the agreement; before the rules */
    void (*check)(struct error **errors, const json_t *full); /* members against each other; NULL: nothing */
    const char *items;                                        /* comma-joined codes that it can use */
    const char *const *owners; /* kinds that attach_to may name, as they are looked up; NULL: none */
    bool needs_owner;          /* it is not let go of when its owner ends: its owner cannot end before it */
    bool external;             /* people at the provider make it (broker/control/fulfilment.h) */
};
#define KIND_MEMBERS(table) .members = (table), .member_count = sizeof(table) / sizeof *(table)
#define KIND_RULES(table) .rules = (table), .rule_count = sizeof(table) / sizeof *(table)

extern const char *const kind_performances[]; /* of storage, 2.3.3 */

extern const struct kind kind_instance, kind_server, kind_gpu;
extern const struct kind kind_volume, kind_object_store, kind_backup_policy;
extern const struct kind kind_address, kind_bandwidth, kind_load_balancer, kind_remote_account, kind_ssl_vpn,
    kind_ipsec_vpn, kind_certificate, kind_waf;

void quantity_instance(struct quantities *quantities);

/* Collects what is wrong with one member's value. */
void kind_check_value(struct error **errors, struct arena *arena, const struct kind_member *member,
                      const char *pointer, const json_t *value);

#endif
