/* What an assessment is told: of a machine in vcsim, and of hardware that vcsim does not have, read from its
 * XML. */
#include "tests/drivers/vmware/disks.h"

#include "drivers/vmware/export.h"
#include "drivers/vmware/hardware.h"
#include "drivers/vmware/task.h"
#include "drivers/vmware/tracking.h"

static int setup(void **state)
{
    fixture_start((const char *const[]){"-vm", "1", NULL});
    return 0;
}

static void create(void)
{
    struct driver_instance_spec spec = spec_of(ID_A, "told");
    struct driver_instance instance;
    OK(vmware->instance_create(session, &call, &spec, &instance));
}

static void clean(void)
{
    struct driver_key key = key_of(ID_A);
    OK(vmware->instance_delete(session, &call, &key));
}

static void a_plain_machine(void **state)
{
    create();
    struct driver_detail detail = detail_of(ID_A);
    assert_string_equal(detail.instance.id, ID_A);
    assert_int_equal(detail.instance.power, DRIVER_POWER_ON);
    assert_int_equal(detail.firmware, DRIVER_FIRMWARE_BIOS);
    assert_int_equal(strncmp(detail.machine, "vmx-", 4), 0);
    assert_non_null(detail.guest_os);
    assert_false(detail.fenced);
    assert_true(detail.disk_count >= 1);
    const struct driver_disk *disk = &detail.disks[0];
    assert_true(disk->boot);
    assert_string_equal(disk->format, "vmdk");
    assert_int_equal(disk->ref[0], '[');
    assert_int_equal(disk->size_bytes, 10ull << 30);
    assert_null(disk->unreadable);
    assert_null(disk->untracked);
    for (size_t i = 1; i < detail.disk_count; i++)
        assert_true(detail.disks[i].removable && !detail.disks[i].boot);
    assert_int_equal(detail.adapter_count, 1);
    assert_string_equal(detail.adapters[0].network, "VM Network");
    assert_int_equal(strlen(detail.adapters[0].mac), 17);
    assert_string_equal(detail.adapters[0].model, "vmxnet3");
    struct driver_inventory inventory; /* one that the broker did not make, on a distributed port group */
    OK(vmware->inventory(session, &call, &inventory));
    for (size_t i = 0; i < inventory.instance_count; i++) {
        struct driver_key key = {NULL, inventory.instances[i].ref};
        OK(vmware->instance_detail(session, &call, &key, &detail));
        assert_non_null(detail.adapters[0].network);
        assert_true(inventory.instances[i].id || strstr(detail.adapters[0].network, "DVPG"));
    }
    struct driver_key nobody = key_of(ID_B);
    FAILS(vmware->instance_detail(session, &call, &nobody, &detail), ERR_NOT_FOUND, ID_B);
    clean();
}

/* Attaches a volume in this mode or with this sharing, as an operator might. */
static void attach(const char *mode, const char *sharing)
{
    struct driver_key key = key_of(ID_A), volume = key_of(VOLUME_A);
    struct driver_volume found;
    struct machine machine;
    OK(vmware->volume_find(session, &call, &volume, &found));
    OK(machine_find(session, &call, &key, &machine));
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "ReconfigVM_Task", machine.ref);
    xml_open(&request, "spec");
    xml_open(&request, "deviceChange");
    xml_put(&request, "operation", "add");
    xml_open_as(&request, "device", "VirtualDisk");
    xml_put_number(&request, "key", -1);
    xml_open_as(&request, "backing", "VirtualDiskFlatVer2BackingInfo");
    xml_put(&request, "fileName", found.ref);
    xml_put(&request, "diskMode", mode);
    xml_put(&request, "sharing", sharing);
    xml_close(&request);
    xml_put_number(&request, "controllerKey", machine.controllers[0].key);
    xml_put_number(&request, "unitNumber", 5);
    xml_put_number(&request, "capacityInKB", 1 << 20);
    xml_close(&request);
    xml_close(&request);
    xml_close(&request);
    OK(task_do(session, &call, &request, "attach"));
}

static const struct driver_disk *volume_of(const struct driver_detail *detail)
{
    for (size_t i = 0; i < detail->disk_count; i++)
        if (detail->disks[i].volume_id)
            return &detail->disks[i];
    fail_msg("no volume");
    return NULL;
}

static void disks_that_snapshots_leave_out(void **state)
{
    static const struct {
        const char *mode, *sharing, *why;
    } cases[] = {{"independent_persistent", NULL, "independent"},
                 {"persistent", "sharingMultiWriter", "shared"}};
    struct driver_key key = key_of(ID_A), volume = key_of(VOLUME_A);
    struct driver_volume_spec spec = {VOLUME_A, "data", 1, false};
    struct driver_volume made;
    create();
    OK(vmware->volume_create(session, &call, &spec, &made));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        attach(cases[i].mode, cases[i].sharing);
        struct driver_detail detail = detail_of(ID_A);
        assert_non_null(strstr(volume_of(&detail)->unreadable, cases[i].why));
        assert_non_null(strstr(volume_of(&detail)->untracked, cases[i].why));
        assert_int_equal(open_read(ID_A, EXPORT_A, NULL, NULL).disk_count, 1);
        close_export(ID_A, EXPORT_A, false);
        OK(vmware->instance_stop(session, &call, &key, 0));
        detail = detail_of(ID_A); /* off, it is a file like others */
        assert_null(volume_of(&detail)->unreadable);
        assert_non_null(volume_of(&detail)->untracked);
        assert_int_equal(open_read(ID_A, EXPORT_A, NULL, NULL).disk_count, 2);
        close_export(ID_A, EXPORT_A, false);
        OK(vmware->instance_start(session, &call, &key));
        OK(vmware->volume_detach(session, &call, &volume, &key));
    }
    clean();
    OK(vmware->volume_delete(session, &call, &volume));
}

static void snapshots_stand_in_the_way(void **state)
{
    struct driver_key key = key_of(ID_A);
    create();
    OK(vmware->snapshot_create(session, &call, &key, "an-operators", false));
    struct driver_detail detail = detail_of(ID_A);
    assert_int_equal(detail.snapshot_count, 1);
    assert_string_equal(detail.snapshots[0], "an-operators");
    assert_null(detail.disks[0].unreadable); /* it costs a copy, that is all */
    assert_non_null(strstr(detail.disks[0].untracked, "snapshots"));
    clean();
}

#define XSI " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""

static const char hardware_text[] =
    "<val" XSI ">"
    "<device xsi:type=\"VirtualLsiLogicController\"><key>1001</key><busNumber>1</busNumber>"
    "<sharedBus>physicalSharing</sharedBus></device>"
    "<device xsi:type=\"VirtualDisk\"><key>2016</key><backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\">"
    "<fileName>[a] q/quorum.vmdk</fileName><diskMode>persistent</diskMode></backing>"
    "<controllerKey>1001</controllerKey><unitNumber>0</unitNumber><capacityInKB>1024</capacityInKB></device>"
    "<device xsi:type=\"VirtualDisk\"><key>3000</key><backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\">"
    "<fileName>[a] m/ide.vmdk</fileName><diskMode>persistent</diskMode></backing>"
    "<controllerKey>200</controllerKey><unitNumber>0</unitNumber><capacityInKB>1</capacityInKB></device>"
    "<device xsi:type=\"VirtualDisk\"><key>2003</key>"
    "<backing xsi:type=\"VirtualDiskRawDiskMappingVer1BackingInfo\"><fileName>[a] m/raw.vmdk</fileName>"
    "<compatibilityMode>physicalMode</compatibilityMode></backing>"
    "<controllerKey>1000</controllerKey><unitNumber>3</unitNumber><capacityInKB>1024</capacityInKB></device>"
    "<device xsi:type=\"VirtualDisk\"><key>2002</key>"
    "<backing xsi:type=\"VirtualDiskRawDiskMappingVer1BackingInfo\"><fileName>[a] m/map.vmdk</fileName>"
    "<compatibilityMode>virtualMode</compatibilityMode></backing>"
    "<controllerKey>1000</controllerKey><unitNumber>2</unitNumber><capacityInKB>1024</capacityInKB></device>"
    "<device xsi:type=\"VirtualDisk\"><key>2000</key><backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\">"
    "<fileName>[a] m/m-000001.vmdk</fileName><diskMode>persistent</diskMode><changeId>52 00/7</changeId>"
    "<parent><fileName>[a] m/m.vmdk</fileName></parent></backing>"
    "<controllerKey>1000</controllerKey><unitNumber>0</unitNumber><capacityInKB>1</capacityInKB>"
    "<capacityInBytes>5000000000</capacityInBytes></device>"
    "<device xsi:type=\"ParaVirtualSCSIController\"><key>1000</key><busNumber>0</busNumber>"
    "<sharedBus>noSharing</sharedBus></device>"
    "<device xsi:type=\"VirtualIDEController\"><key>200</key><busNumber>0</busNumber></device>"
    "<device xsi:type=\"VirtualCdrom\"><key>3002</key><controllerKey>200</controllerKey></device>"
    "<device xsi:type=\"VirtualPCIPassthrough\"><key>13000</key><deviceInfo xsi:type=\"Description\">"
    "<label>PCI device 0</label></deviceInfo></device>"
    "<device xsi:type=\"VirtualSriovEthernetCard\"><key>4000</key><macAddress>00:50:56:AA:BB:CC</macAddress>"
    "</device>"
    "<device xsi:type=\"VirtualSerialPort\"><key>9000</key>"
    "<backing xsi:type=\"VirtualSerialPortURIBackingInfo\"/></device>"
    "<device/><device xsi:type=\"VirtualThingOfTomorrow\"/></val>";

static void all_kinds_of_hardware(void **state)
{
    static const char *const order[] = {"2000", "2002", "2003", "2016", "3000", "3002"};
    static const char *const why[] = {NULL, "not kept as a plain file", "raw device", "shared", NULL};
    xmlDoc *doc;
    struct hardware hardware;
    OK(xml_parse(hardware_text, strlen(hardware_text), &doc));
    hardware_read(call.arena, xmlDocGetRootElement(doc), &hardware);
    xmlFreeDoc(doc);
    assert_int_equal(hardware.disk_count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(hardware.disks[i].name, order[i]);
    for (size_t i = 0; i < 5; i++) {
        const char *reason = export_unreadable(&hardware.disks[i], true);
        assert_int_equal(reason == NULL, why[i] == NULL);
        assert_true(!reason || strstr(reason, why[i]));
    }
    assert_null(export_unreadable(&hardware.disks[3], false));
    assert_true(hardware.disks[0].size_bytes == 5000000000 && hardware.disks[0].delta);
    assert_true(hardware.disks[5].removable);
    assert_int_equal(hardware.passthrough_count, 2);
    assert_string_equal(hardware.passthrough[0], "PCI device 0");
    assert_int_equal(hardware.card_count, 1);
    assert_string_equal(hardware.cards[0].mac, "00:50:56:aa:bb:cc");
    const char *record = tracking_record(call.arena, &hardware), *change;
    uint64_t size;
    assert_string_equal(record, "2000|52 00/7|5000000000;");
    assert_true(tracking_recorded(call.arena, record, "2000", &change, &size));
    assert_string_equal(change, "52 00/7");
    assert_int_equal(size, 5000000000);
    assert_false(tracking_recorded(call.arena, record, "200", &change, &size));
    assert_false(tracking_recorded(call.arena, "2000|nothing more", "2000", &change, &size));
    assert_false(tracking_recorded(call.arena, "", "2000", &change, &size));
}

#define TEST(function) cmocka_unit_test_setup(function, renew_call)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_plain_machine),
        TEST(disks_that_snapshots_leave_out),
        TEST(snapshots_stand_in_the_way),
        TEST(all_kinds_of_hardware),
    };
    return cmocka_run_group_tests(tests, setup, fixture_stop);
}
