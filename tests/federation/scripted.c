/* See scripted.h. */
#include "tests/federation/scripted.h"

#include "tests/broker/control/memory_cloud.h"

static const struct driver_detail *described;
static const struct driver_inventory *stocked;
static const char *failing;

void scripted_detail(const struct driver_detail *detail)
{
    described = detail;
}

void scripted_inventory(const struct driver_inventory *inventory)
{
    stocked = inventory;
}

void scripted_fail(const char *message)
{
    failing = message;
}

static struct error *detail(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *key, struct driver_detail *ret_detail)
{
    static struct driver_disk disk = {
        .name = "sda", .ref = "/disk", .format = "qcow2", .size_bytes = UINT64_C(20) << 30, .boot = true};
    static struct driver_adapter adapter = {.network = "n", .mac = "52:54:00:00:00:01", .model = "virtio"};
    static const struct driver_detail plain = {.firmware = DRIVER_FIRMWARE_BIOS,
                                               .guest_os = "debian12",
                                               .disks = &disk,
                                               .disk_count = 1,
                                               .adapters = &adapter,
                                               .adapter_count = 1,
                                               .agent = true};
    if (failing)
        return error_new(ERR_DENIED, "%s", failing);
    struct driver_instance instance;
    TRY(memory_driver.instance_find(session, call, key, &instance));
    *ret_detail = described ? *described : plain;
    ret_detail->instance = instance;
    return NULL;
}

static struct error *inventory(struct driver_session *session, const struct driver_call *call,
                               struct driver_inventory *ret_inventory)
{
    static struct driver_host host = {
        .ref = "h", .name = "h1", .architecture = "x86", .cores = 32, .memory_mb = 131072, .usable = true};
    static struct driver_pool pool = {.ref = "p", .name = "std", .total_gb = 4000, .free_gb = 2000};
    static struct driver_network network = {.ref = "n", .name = "n"};
    static const struct driver_inventory plain = {.hosts = &host,
                                                  .host_count = 1,
                                                  .pools = &pool,
                                                  .pool_count = 1,
                                                  .networks = &network,
                                                  .network_count = 1};
    struct driver_inventory all;
    TRY(memory_driver.inventory(session, call, &all));
    const struct driver_inventory *stock = stocked ? stocked : &plain;
    all.hosts = stock->hosts;
    all.host_count = stock->host_count;
    all.pools = stock->pools;
    all.pool_count = stock->pool_count;
    all.networks = stock->networks;
    all.network_count = stock->network_count;
    *ret_inventory = all;
    return NULL;
}

static struct error *never(void)
{
    return error_new(ERR_UNSUPPORTED, "the provider in memory has no contents");
}

static struct error *export_open(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_export_spec *spec,
                                 struct driver_export *ret_export)
{
    return never();
}

static struct error *export_close(struct driver_session *session, const struct driver_call *call,
                                  const struct driver_key *key, const char *export_id, bool keep)
{
    return never();
}

static struct error *forget(struct driver_session *session, const struct driver_call *call,
                            const struct driver_key *key, const char *checkpoint)
{
    return never();
}

static struct error *prepare(struct driver_session *session, const struct driver_call *call,
                             const struct driver_shell_spec *spec, struct driver_instance *ret_instance)
{
    return never();
}

static struct error *fence(struct driver_session *session, const struct driver_call *call,
                           const struct driver_key *key)
{
    return never();
}

const struct driver *scripted_driver(void)
{
    static struct driver driver;
    driver = memory_driver;
    driver.name = "scripted";
    driver.capabilities |= DRIVER_CAN_DETAIL | DRIVER_CAN_READ_DISKS | DRIVER_CAN_WRITE_DISKS |
                           DRIVER_CAN_TRACK_CHANGES | DRIVER_CAN_FENCE;
    driver.instance_detail = detail;
    driver.inventory = inventory;
    driver.export_open = export_open;
    driver.export_close = export_close;
    driver.checkpoint_delete = forget;
    driver.instance_prepare = prepare;
    driver.instance_fence = fence;
    driver.instance_release = fence;
    return &driver;
}
