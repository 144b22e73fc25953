/* Kinds of computing: cloud hosts, physical servers, GPUs (items 1001–1012); see kind.h. */
#include "catalog/kind_table.h"

static const char *const host_architectures[] = {"x86", "ARM", "C86", "POWER", NULL};
static const char *const server_architectures[] = {"x86", "ARM", "C86", NULL};

static const struct kind_member instance_members[] = {
    {.name = "vcpu",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 16,
     .change = CHANGE_ANY,
     .clause = "3.2.1.1"},
    {.name = "memory_gb",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 64,
     .change = CHANGE_ANY,
     .clause = "3.2.1.1"},
    {.name = "architecture",
     .want = MEMBER_CHOICE,
     .required = true,
     .choices = host_architectures,
     .clause = "3.1.3"},
    {.name = "image", .want = MEMBER_TEXT, .required = true, .min = 1, .max = 255, .clause = "3.2.1.1"},
    {.name = "zone", .want = MEMBER_NAME, .required = true, .clause = "2.3.2"},
    {.name = "system_disk_gb",
     .want = MEMBER_INT,
     .min = 10,
     .max = 2048,
     .fallback = 40,
     .clause = "3.2.1.4"},
    {.name = "system_disk_performance",
     .want = MEMBER_CHOICE,
     .choices = kind_performances,
     .fallback_text = "standard",
     .clause = "2.3.3"},
    {.name = "user_data", .want = MEMBER_TEXT, .max = KIND_USER_DATA_MAX, .clause = "3.2.1.1"},
};

const struct kind kind_instance = {.name = "instance",
                                   .name_zh = "云主机",
                                   KIND_MEMBERS(instance_members),
                                   .quantities = quantity_instance,
                                   .items = "1001,1002,1011,1012"};

/* A part counts by the piece and only as a part of a rented server; the caps are ours. */
#define PART(member)                                                                              \
    {                                                                                             \
        .name = (member), .want = MEMBER_INT, .max = 64, .change = CHANGE_ANY, .clause = "3.1.3", \
    }

static const struct kind_member server_members[] = {
    {.name = "configuration", .want = MEMBER_INT, .required = true, .min = 1, .max = 2, .clause = "3.1.3"},
    {.name = "architecture",
     .want = MEMBER_CHOICE,
     .required = true,
     .choices = server_architectures,
     .clause = "3.1.3"},
    {.name = "zone", .want = MEMBER_NAME, .required = true, .clause = "2.3.2"},
    /* In principle only where a cloud host cannot carry the system: the order says why. */
    {.name = "reason", .want = MEMBER_TEXT, .required = true, .min = 1, .max = 1000, .clause = "3.1.3"},
    PART("memory_32gb"),
    PART("ssd_480gb"),
    PART("sas_600gb"),
    PART("sata_4tb"),
    {.name = "ssd_512gb", .want = MEMBER_UNPRICED, .what = "a 512 GB SSD", .clause = "3.1.3 against 3.2.1.2"},
    {.name = "sas_900gb",
     .want = MEMBER_UNPRICED,
     .what = "a 900 GB SAS disk",
     .clause = "3.1.3 against 3.2.1.2"},
};

static const struct quantity_rule server_rules[] = {
    {.item = "1003", .when = "configuration", .equals = 1, .clause = "3.1.3: by the server"},
    {.item = "1004", .when = "configuration", .equals = 2, .clause = "3.1.3: by the server"},
    {.item = "1005", .member = "memory_32gb", .optional = true, .clause = "3.1.3: by the module"},
    {.item = "1006", .member = "ssd_480gb", .optional = true, .clause = "3.1.3: by the disk"},
    {.item = "1007", .member = "sas_600gb", .optional = true, .clause = "3.1.3: by the disk"},
    {.item = "1008", .member = "sata_4tb", .optional = true, .clause = "3.1.3: by the disk"},
};

const struct kind kind_server = {.name = "server",
                                 .name_zh = "物理服务器",
                                 KIND_MEMBERS(server_members),
                                 KIND_RULES(server_rules),
                                 .items = "1003,1004,1005,1006,1007,1008",
                                 .external = true};

/* Memory and compute are rented together, and with a cloud host or physical server (3.1.3, 3.2.1.3): all
 * three members are required, and the host cannot be released first. */
static const struct kind_member gpu_members[] = {
    {.name = "memory_gb",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 10000,
     .change = CHANGE_ANY,
     .clause = "3.1.3, 3.2.1.3"},
    {.name = "tflops",
     .want = MEMBER_INT,
     .required = true,
     .min = 1,
     .max = 100000,
     .change = CHANGE_ANY,
     .clause = "3.1.3, 3.2.1.3"},
    {.name = "attach_to", .want = MEMBER_NAME, .required = true, .clause = "3.1.3, 3.2.1.3"},
};

static const struct quantity_rule gpu_rules[] = {
    {.item = "1009", .member = "memory_gb", .clause = "3.1.3, 3.2.1.3: by 1 GB"},
    {.item = "1010", .member = "tflops", .clause = "3.1.3, 3.2.1.3: by 1 TFLOPS of half precision"},
};

static const char *const gpu_owners[] = {"instance", "server", NULL};

const struct kind kind_gpu = {.name = "gpu",
                              .name_zh = "GPU 算力",
                              KIND_MEMBERS(gpu_members),
                              KIND_RULES(gpu_rules),
                              .items = "1009,1010",
                              .owners = gpu_owners,
                              .needs_owner = true,
                              .external = true};
