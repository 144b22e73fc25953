/* Kinds of storage: volumes, object storage, backup policies (items 1011–1015); see kind.h. */
#include <string.h>

#include "catalog/kind_table.h"

const char *const kind_performances[] = {"standard", "high", NULL};
static const char *const backup_places[] = {"local", "remote", NULL};
static const char *const backup_covers[] = {"data", "host", NULL};
static const char *const space_classes[] = {"standard", "high", "static", NULL};
static const char *const only_instance[] = {"instance", NULL};

static const struct kind_member volume_members[] = {
    {.name = "size_gb",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 65536,
     .change = CHANGE_UP,
     .clause = "3.2.1.4"},
    {.name = "performance",
     .want = MEMBER_CHOICE,
     .required = true,
     .choices = kind_performances,
     .clause = "2.3.3"},
    {.name = "attach_to", .want = MEMBER_NAME, .clause = "3.2.1.4"},
    {.name = "zone", .want = MEMBER_NAME, .clause = "2.3.2"},
};

/* A volume keeps its space whether attached or not; one volume of several machines is one quantity (3.2.1.4).
 * 1 GB is 1/100 of a unit unless the agreement settles otherwise (small_quantity). IOPS grow with capacity
 * and have no price. */
static const struct quantity_rule volume_rules[] = {
    {.item = "1011",
     .member = "size_gb",
     .when = "performance",
     .is = "standard",
     .clause = "3.1.3, 3.2.1.4: by 100 GB, requested by 1 GB"},
    {.item = "1012",
     .member = "size_gb",
     .when = "performance",
     .is = "high",
     .clause = "3.1.3, 3.2.1.5: by 100 GB, requested by 1 GB"},
};

const struct kind kind_volume = {.name = "volume",
                                 .name_zh = "云硬盘",
                                 KIND_MEMBERS(volume_members),
                                 KIND_RULES(volume_rules),
                                 .items = "1011,1012",
                                 .owners = only_instance};

static const struct kind_member object_store_members[] = {
    {.name = "size_gb",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 10000000,
     .change = CHANGE_ANY,
     .clause = "3.1.3, 3.2.1.6"},
    {.name = "zone", .want = MEMBER_NAME, .clause = "2.3.2"},
};

/* The text prices 1 TB and says neither in which steps it is requested nor how many GB a TB has. Here 1 TB is
 * 1000 GB, as in the catalog's own names of disks (4 TB, 480 GB); 1 GB is 1/1000 of a unit unless the
 * agreement settles otherwise (small_quantity). */
#define GB_OF_TB 1000

static const struct quantity_rule object_store_rules[] = {
    {.item = "1013", .member = "size_gb", .per = GB_OF_TB, .clause = "3.1.3: by 1 TB"},
};

const struct kind kind_object_store = {.name = "object-store",
                                       .name_zh = "静态存储",
                                       KIND_MEMBERS(object_store_members),
                                       KIND_RULES(object_store_rules),
                                       .items = "1013",
                                       .external = true};

/* The service is charged by the data it protects, the space by itself, and the text names neither item nor
 * class for the space: whoever orders says both, so that no default decides about money. */
static const struct kind_member backup_policy_members[] = {
    {.name = "place", .want = MEMBER_CHOICE, .required = true, .choices = backup_places, .clause = "3.2.1.8"},
    {.name = "protected_gb",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 10000000,
     .change = CHANGE_ANY,
     .clause = "3.2.1.8"},
    {.name = "space_gb",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 10000000,
     .change = CHANGE_ANY,
     .clause = "3.1.3, 3.2.1.8"},
    {.name = "space_class",
     .want = MEMBER_CHOICE,
     .required = true,
     .choices = space_classes,
     .clause = "3.1.3, 3.2.1.8"},
    {.name = "covers",
     .want = MEMBER_CHOICE,
     .choices = backup_covers,
     .fallback_text = "data",
     .clause = "3.1.3, 3.2.1.8"},
    {.name = "attach_to", .want = MEMBER_NAME, .clause = "3.1.3"},
    {.name = "zone", .want = MEMBER_NAME, .clause = "2.3.2"},
};

/* 3.1.3, the note of 1001 and 1002: backup of a cloud host is part of the host's price, its space is not. So
 * it belongs to an instance and stays local: off-site backup is a service of its own, 1015. */
static void check_backup_policy(struct error **errors, const json_t *full)
{
    const char *covers = json_string_value(json_object_get(full, "covers"));
    const char *place = json_string_value(json_object_get(full, "place"));
    if (!covers || strcmp(covers, "host") != 0)
        return;
    if (!json_object_get(full, "attach_to"))
        error_collect(errors, "/attach_to",
                      "is required when covers is \"host\": the instance whose price includes its backup "
                      "(procurement 3.1.3)");
    if (place && strcmp(place, "local") != 0)
        error_collect(errors, "/place",
                      "must be local when covers is \"host\": off-site backup is item 1015 of its own "
                      "(procurement 3.1.3)");
}

static const struct quantity_rule backup_policy_rules[] = {
    {.item = "1014",
     .member = "protected_gb",
     .when = "place",
     .is = "local",
     .unless = "covers",
     .reads = "host",
     .clause = "3.1.3: local, by 100 GB of protected data; of a cloud host it is in 1001 and 1002"},
    {.item = "1015",
     .member = "protected_gb",
     .when = "place",
     .is = "remote",
     .clause = "3.1.3: off-site, by 100 GB of protected data"},
    {.item = "1011",
     .member = "space_gb",
     .when = "space_class",
     .is = "standard",
     .clause = "3.1.3: the space is charged by itself"},
    {.item = "1012",
     .member = "space_gb",
     .when = "space_class",
     .is = "high",
     .clause = "3.1.3: the space is charged by itself"},
    {.item = "1013",
     .member = "space_gb",
     .per = GB_OF_TB,
     .when = "space_class",
     .is = "static",
     .clause = "3.1.3: the space is charged by itself"},
};

const struct kind kind_backup_policy = {.name = "backup-policy",
                                        .name_zh = "备份策略",
                                        KIND_MEMBERS(backup_policy_members),
                                        KIND_RULES(backup_policy_rules),
                                        .check = check_backup_policy,
                                        .items = "1011,1012,1013,1014,1015",
                                        .owners = only_instance,
                                        .external = true};
