/* Reading disks against vcsim: a point in time while the guest goes on writing, checkpoints and what changed
 * since, and what is left when somebody dies or interferes. */
#include "tests/drivers/vmware/disks.h"

#include "drivers/vmware/snapshot.h"
#include "drivers/vmware/task.h"

#include <errno.h>
#include <libnbd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int setup(void **state)
{
    fixture_start((const char *const[]){"-extents-max", "4", NULL});
    return 0;
}

/* A running machine with a disk of 2 GB. */
static struct driver_instance create(const char *id)
{
    struct driver_instance_spec spec = spec_of(id, "source");
    struct driver_instance instance;
    spec.system_disk_gb = 2;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    return instance;
}

static void clean(const char *id)
{
    struct driver_key key = key_of(id);
    OK(vmware->instance_delete(session, &call, &key));
}

static void guest_writes(uint64_t block, const char *text)
{
    vcsim_guest_write(sim, ID_A, 0, block * BLOCK, text, strlen(text));
}

static void expect_changes(const struct driver_exported_disk *disk, const struct driver_extent *expected,
                           size_t count)
{
    if (disk->full_reason)
        fail_msg("everything is to be read: %s", disk->full_reason);
    assert_true(disk->changed_known);
    assert_int_equal(disk->changed_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(disk->changed[i].offset, expected[i].offset);
        assert_int_equal(disk->changed[i].length, expected[i].length);
    }
}

static void a_point_in_time(void **state)
{
    create(ID_A);
    guest_writes(3, "before");
    struct driver_export opened = open_read(ID_A, EXPORT_A, NULL, NULL);
    assert_int_equal(opened.disk_count, 1);
    assert_true(opened.running);
    assert_false(opened.quiesced);
    assert_int_equal(opened.disks[0].size_bytes, 2ull << 30);
    guest_writes(3, "after!");
    char data[6], last[16], zeros[16] = {0};
    disk_read(&opened.disks[0], 3 * BLOCK, data, sizeof data);
    assert_memory_equal(data, "before", 6);
    disk_read(&opened.disks[0], (2ull << 30) - sizeof last, last, sizeof last);
    assert_memory_equal(last, zeros, sizeof last);
    struct driver_export again = open_read(ID_A, EXPORT_A, NULL, NULL); /* open already */
    assert_string_equal(again.disks[0].socket, opened.disks[0].socket);
    assert_string_equal(again.disks[0].disk, detail_of(ID_A).disks[0].name);
    assert_int_equal(vcsim_calls(sim, "CreateSnapshot_Task"), 1);
    struct driver_key key = key_of(ID_A);
    struct driver_export_spec other = {.id = EXPORT_B, .access = DRIVER_READ};
    FAILS(vmware->export_open(session, &call, &key, &other, &again), ERR_BUSY, EXPORT_A);
    struct driver_detail detail = detail_of(ID_A);
    assert_int_equal(detail.snapshot_count, 1);
    assert_null(detail.disks[0].unreadable); /* what holds it is our own */
    close_export(ID_A, EXPORT_A, false);
    close_export(ID_A, EXPORT_A, true); /* not open any more */
    detail = detail_of(ID_A);
    assert_int_equal(detail.snapshot_count, 0);
    assert_int_equal(detail.checkpoint_count, 0);
    assert_int_equal(access(opened.disks[0].socket, F_OK), -1);
    vcsim_guest_read(sim, ID_A, 0, 3 * BLOCK, data, sizeof data);
    assert_memory_equal(data, "after!", 6);
    clean(ID_A);
}

static void only_what_changed(void **state)
{
    create(ID_A);
    for (unsigned i = 0; i < 20; i++)
        guest_writes(10 + 2 * i, "first");
    struct driver_export opened = open_read(ID_A, EXPORT_A, POINT_A, NULL);
    guest_writes(100, "while it is read");
    char data[32];
    disk_read(&opened.disks[0], 100 * BLOCK, data, 16);
    assert_int_equal(data[0], 0);
    close_export(ID_A, EXPORT_A, true);
    assert_int_equal(detail_of(ID_A).checkpoint_count, 1);
    assert_string_equal(detail_of(ID_A).checkpoints[0], POINT_A);
    for (unsigned i = 0; i < 11; i++)
        guest_writes(200 + 2 * i, "second"); /* more than fit into an answer, and then again */
    guest_writes(201, "joins its neighbours");
    long asked = vcsim_calls(sim, "QueryChangedDiskAreas");
    opened = open_read(ID_A, EXPORT_B, POINT_B, POINT_A);
    struct driver_extent expected[12] = {{100 * BLOCK, BLOCK}, {200 * BLOCK, 3 * BLOCK}};
    for (size_t i = 2; i < 11; i++)
        expected[i] = (struct driver_extent){(200 + 2 * i) * BLOCK, BLOCK};
    expect_changes(&opened.disks[0], expected, 11);
    assert_true(vcsim_calls(sim, "QueryChangedDiskAreas") - asked >= 3 + 3);
    disk_read(&opened.disks[0], 100 * BLOCK, data, 16);
    assert_memory_equal(data, "while it is read", 16);
    guest_writes(300, "after the second");
    close_export(ID_A, EXPORT_B, true);
    opened = open_read(ID_A, EXPORT_C, NULL, POINT_B);
    expect_changes(&opened.disks[0], (struct driver_extent[]){{300 * BLOCK, BLOCK}}, 1);
    close_export(ID_A, EXPORT_C, true);
    opened = open_read(ID_A, EXPORT_C, NULL, POINT_A); /* the older one is still good */
    assert_int_equal(opened.disks[0].changed_count, 12);
    close_export(ID_A, EXPORT_C, false);
    struct driver_key key = key_of(ID_A);
    OK(vmware->checkpoint_delete(session, &call, &key, POINT_A));
    OK(vmware->checkpoint_delete(session, &call, &key, POINT_A));
    assert_int_equal(detail_of(ID_A).checkpoint_count, 1);
    clean(ID_A);
}

static void holes_are_told(void **state)
{
    create(ID_A);
    char data[BLOCK];
    fill(data, sizeof data, 1);
    vcsim_guest_write(sim, ID_A, 0, 5 * BLOCK, data, sizeof data);
    struct driver_export opened = open_read(ID_A, EXPORT_A, POINT_A, NULL);
    long before = vcsim_calls(sim, "GetFile");
    struct nbd_handle *nbd = disk_connect(&opened.disks[0]);
    static char all[16 << 20];
    for (uint64_t at = 0; at < opened.disks[0].size_bytes; at += sizeof all) {
        assert_int_equal(nbd_pread(nbd, all, sizeof all, at, 0), 0);
        if (at == 0)
            assert_memory_equal(all + 5 * BLOCK, data, sizeof data);
    }
    nbd_close(nbd);
    assert_int_equal(vcsim_calls(sim, "GetFile") - before, 1); /* 2 GB, of which one block is there */
    close_export(ID_A, EXPORT_A, true);
    clean(ID_A);
}

static void expect_everything(const char *since, const char *reason)
{
    struct driver_export opened = open_read(ID_A, EXPORT_C, NULL, since);
    assert_false(opened.disks[0].changed_known);
    assert_non_null(opened.disks[0].full_reason);
    if (!strstr(opened.disks[0].full_reason, reason))
        fail_msg("\"%s\" is not told as: %s", reason, opened.disks[0].full_reason);
    close_export(ID_A, EXPORT_C, false);
}

static void lost_track(void **state)
{
    struct driver_key key = key_of(ID_A);
    create(ID_A);
    open_read(ID_A, EXPORT_A, POINT_A, NULL);
    close_export(ID_A, EXPORT_A, true);
    expect_everything(POINT_B, "not known");
    vcsim_control(sim, "/__inject?method=QueryChangedDiskAreas&kind=fault:FileFault&times=2");
    expect_everything(POINT_A, "FileFault");
    vcsim_control(sim, "/__inject?method=QueryChangedDiskAreas&kind=fault:InvalidArgument&times=2");
    expect_everything(POINT_A, "InvalidArgument");
    /* going back to a snapshot voids what was known */
    OK(vmware->snapshot_create(session, &call, &key, "point", false));
    OK(vmware->instance_stop(session, &call, &key, 0));
    OK(vmware->snapshot_revert(session, &call, &key, "point"));
    OK(vmware->snapshot_delete(session, &call, &key, "point"));
    OK(vmware->instance_start(session, &call, &key));
    expect_everything(POINT_A, "reset");
    clean(ID_A);
}

static void a_map_with_a_gap_is_no_map(void **state)
{
    struct driver_key key = key_of(ID_A);
    struct driver_export_spec spec = {.id = EXPORT_B, .access = DRIVER_READ, .since = POINT_A};
    struct driver_export opened;
    create(ID_A);
    open_read(ID_A, EXPORT_A, POINT_A, NULL);
    close_export(ID_A, EXPORT_A, true);
    guest_writes(1, "x");
    vcsim_control(sim, "/__extents?max=4&gap=65536");
    FAILS(vmware->export_open(session, &call, &key, &spec, &opened), ERR_UNAVAILABLE, "where 0 was asked");
    vcsim_control(sim, "/__extents?max=4");
    opened = open_read(ID_A, EXPORT_B, NULL, POINT_A); /* a repeat stands on the same snapshot */
    expect_changes(&opened.disks[0], (struct driver_extent[]){{BLOCK, BLOCK}}, 1);
    assert_int_equal(detail_of(ID_A).snapshot_count, 1);
    close_export(ID_A, EXPORT_B, false);
    clean(ID_A);
}

static void a_session_ends_in_the_middle(void **state)
{
    create(ID_A);
    guest_writes(1, "one");
    vcsim_control(sim, "/__expire");
    struct driver_export opened = open_read(ID_A, EXPORT_A, POINT_A, NULL);
    struct nbd_handle *nbd = disk_connect(&opened.disks[0]);
    char data[3];
    assert_int_equal(nbd_pread(nbd, data, 3, BLOCK, 0), 0);
    vcsim_control(sim, "/__inject?method=GetFile&kind=expire");
    assert_int_equal(nbd_pread(nbd, data, 3, BLOCK, 0), 0);
    assert_memory_equal(data, "one", 3);
    vcsim_control(sim, "/__inject?method=GetFile&kind=drop");
    assert_int_equal(nbd_pread(nbd, data, 3, BLOCK, 0), 0);
    vcsim_control(sim, "/__inject?method=GetFile&kind=truncate");
    assert_int_equal(nbd_pread(nbd, data, 3, BLOCK, 0), 0);
    assert_memory_equal(data, "one", 3);
    vcsim_control(sim, "/__inject?method=GetFile&kind=refuse&times=9");
    assert_int_equal(nbd_pread(nbd, data, 3, BLOCK, 0), -1);
    assert_int_equal(nbd_get_errno(), EIO);
    vcsim_control(sim, "/__reset");
    assert_int_equal(nbd_pread(nbd, data, 3, BLOCK, 0), 0); /* the connection bore it */
    nbd_close(nbd);
    vcsim_control(sim, "/__expire");
    close_export(ID_A, EXPORT_A, true);
    for (unsigned i = 0; i < 9; i++)
        guest_writes(10 + 2 * i, "two");
    vcsim_control(sim, "/__inject?method=QueryChangedDiskAreas&kind=expire&after=3");
    opened = open_read(ID_A, EXPORT_B, NULL, POINT_A);
    assert_int_equal(opened.disks[0].changed_count, 9);
    vcsim_control(sim, "/__inject?method=RemoveSnapshot_Task&kind=drop-after");
    close_export(ID_A, EXPORT_B, false);
    vcsim_control(sim, "/__inject?method=CreateSnapshot_Task&kind=drop-after");
    open_read(ID_A, EXPORT_B, NULL, NULL);
    close_export(ID_A, EXPORT_B, false);
    assert_int_equal(detail_of(ID_A).snapshot_count, 0);
    clean(ID_A);
}

static void a_refused_logon_is_not_repeated(void **state)
{
    create(ID_A);
    struct driver_export opened = open_read(ID_A, EXPORT_A, NULL, NULL);
    struct nbd_handle *nbd = disk_connect(&opened.disks[0]);
    char data[3];
    assert_int_equal(nbd_pread(nbd, data, 3, 0, 0), 0);
    vcsim_control(sim, "/__inject?method=Login&kind=fault:InvalidLogin&times=1");
    vcsim_control(sim, "/__inject?method=GetFile&kind=expire");
    long logins = vcsim_calls(sim, "Login");
    for (int i = 0; i < 5; i++)
        assert_int_equal(nbd_pread(nbd, data, 3, 0, 0), -1);
    assert_int_equal(vcsim_calls(sim, "Login"), logins + 1);
    nbd_close(nbd);
    close_export(ID_A, EXPORT_A, false);
    clean(ID_A);
}

/* Runs as another broker: opens the export and waits to be killed. */
static pid_t other_broker(const char *export_id)
{
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct driver_endpoint endpoint = vcsim_endpoint(sim);
        struct driver_session *own;
        struct driver_key key = key_of(ID_A);
        struct driver_export_spec spec = {
            .id = export_id, .access = DRIVER_READ, .checkpoint = POINT_A, .since = NULL};
        struct driver_export opened;
        struct error *error = vmware->open(&endpoint, &call, &own);
        if (!error)
            error = vmware->export_open(own, &call, &key, &spec, &opened);
        char answer = error ? 'n' : 'y';
        if (write(ready[1], &answer, 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    char answer = 0;
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    close(ready[0]);
    close(ready[1]);
    return child;
}

static void kill_broker(pid_t child)
{
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void orphans_are_cleared(void **state)
{
    struct driver_key key = key_of(ID_A);
    struct driver_export_spec spec = {.id = EXPORT_B, .access = DRIVER_READ};
    struct driver_export opened;
    create(ID_A);
    pid_t child = other_broker(EXPORT_A);
    FAILS(vmware->export_open(session, &call, &key, &spec, &opened), ERR_BUSY, EXPORT_A);
    kill_broker(child);
    open_read(ID_A, EXPORT_B, NULL, NULL); /* by the next opening */
    assert_int_equal(detail_of(ID_A).snapshot_count, 1);
    close_export(ID_A, EXPORT_B, false);
    kill_broker(other_broker(EXPORT_A));
    close_export(ID_A, EXPORT_C, false); /* by any closing */
    assert_int_equal(detail_of(ID_A).snapshot_count, 0);
    /* the same export is made anew on the same moment, and its checkpoint is not lost */
    guest_writes(1, "early");
    kill_broker(other_broker(EXPORT_A));
    guest_writes(1, "late!");
    opened = open_read(ID_A, EXPORT_A, POINT_A, NULL);
    char data[5];
    disk_read(&opened.disks[0], BLOCK, data, 5);
    assert_memory_equal(data, "early", 5);
    close_export(ID_A, EXPORT_A, true);
    opened = open_read(ID_A, EXPORT_B, NULL, POINT_A);
    expect_changes(&opened.disks[0], (struct driver_extent[]){{BLOCK, BLOCK}}, 1);
    close_export(ID_A, EXPORT_B, false);
    /* closed by somebody who never served it, the checkpoint is read from the snapshot */
    OK(vmware->checkpoint_delete(session, &call, &key, POINT_A));
    kill_broker(other_broker(EXPORT_A));
    close_export(ID_A, EXPORT_A, true);
    assert_int_equal(detail_of(ID_A).checkpoint_count, 1);
    assert_int_equal(detail_of(ID_A).snapshot_count, 0);
    clean(ID_A);
}

static void somebody_removes_the_snapshot(void **state)
{
    struct driver_key key = key_of(ID_A);
    create(ID_A);
    open_read(ID_A, EXPORT_A, POINT_A, NULL);
    char name[64];
    snprintf(name, sizeof name, "yunqiao-export-%s", EXPORT_A);
    OK(vmware->snapshot_delete(session, &call, &key, name));
    close_export(ID_A, EXPORT_A, true);
    assert_int_equal(detail_of(ID_A).checkpoint_count, 1); /* this process knew it */
    open_read(ID_A, EXPORT_B, NULL, NULL);
    clean(ID_A); /* with an export open on it */
    close_export(ID_A, EXPORT_B, true);
    struct driver_export_spec spec = {.id = EXPORT_B, .access = DRIVER_READ};
    struct driver_export opened;
    FAILS(vmware->export_open(session, &call, &key, &spec, &opened), ERR_NOT_FOUND, ID_A);
}

static void file_systems_are_held_still(void **state)
{
    struct driver_key key = key_of(ID_A);
    struct driver_export_spec spec = {.id = EXPORT_A, .access = DRIVER_READ, .quiesce = true};
    struct driver_export opened;
    create(ID_A);
    OK(vmware->export_open(session, &call, &key, &spec, &opened));
    assert_true(opened.quiesced);
    close_export(ID_A, EXPORT_A, false);
    vcsim_control(sim, "/__inject?method=CreateSnapshot_Task&kind=fault:ApplicationQuiesceFault");
    OK(vmware->export_open(session, &call, &key, &spec, &opened)); /* crash-consistent is no error */
    assert_false(opened.quiesced);
    close_export(ID_A, EXPORT_A, false);
    clean(ID_A);
}

static void what_others_left_is_merged_first(void **state)
{
    struct driver_key key = key_of(ID_A);
    struct machine machine;
    struct snapshots *left;
    create(ID_A);
    OK(vmware->snapshot_create(session, &call, &key, "unmerged", false));
    guest_writes(4, "in a delta");
    OK(machine_find(session, &call, &key, &machine));
    OK(snapshots_read(session, &call, machine.ref, &left));
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "RemoveSnapshot_Task", left->items[0].ref);
    xml_put_bool(&request, "removeChildren", false);
    xml_put_bool(&request, "consolidate", false);
    OK(task_do(session, &call, &request, "remove"));
    long copies = vcsim_calls(sim, "CopyVirtualDisk_Task");
    struct driver_export opened = open_read(ID_A, EXPORT_A, NULL, NULL);
    assert_int_equal(vcsim_calls(sim, "ConsolidateVMDisks_Task"), 1);
    assert_int_equal(vcsim_calls(sim, "CopyVirtualDisk_Task"), copies);
    char data[10];
    disk_read(&opened.disks[0], 4 * BLOCK, data, 10);
    assert_memory_equal(data, "in a delta", 10);
    close_export(ID_A, EXPORT_A, false);
    clean(ID_A);
}

static void a_datacenter_in_a_folder(void **state)
{
    struct vcsim *nested = vcsim_start((const char *const[]){"-dc-folder", "1", "-vm", "1", NULL});
    struct driver_endpoint endpoint = vcsim_endpoint(nested);
    struct driver_session *other;
    struct driver_inventory inventory;
    OK(vmware->open(&endpoint, &call, &other));
    OK(vmware->inventory(other, &call, &inventory));
    assert_int_equal(inventory.instance_count, 1);
    vcsim_guest_write(nested, inventory.instances[0].ref, 0, 0, "nested", 6);
    struct driver_key key = {NULL, inventory.instances[0].ref};
    struct driver_export_spec spec = {.id = EXPORT_A, .access = DRIVER_READ};
    struct driver_export opened;
    OK(vmware->export_open(other, &call, &key, &spec, &opened));
    char data[6];
    disk_read(&opened.disks[0], 0, data, 6);
    assert_memory_equal(data, "nested", 6);
    OK(vmware->export_close(other, &call, &key, EXPORT_A, false));
    vmware->close(other);
    vcsim_stop(nested);
}

static void a_locked_disk_is_copied(void **state)
{
    create(ID_A);
    guest_writes(2, "locked");
    long copies = vcsim_calls(sim, "CopyVirtualDisk_Task"),
         deleted = vcsim_calls(sim, "DeleteVirtualDisk_Task");
    vcsim_control(sim, "/__inject?method=HeadFile&kind=status:500");
    struct driver_export opened = open_read(ID_A, EXPORT_A, NULL, NULL);
    assert_int_equal(vcsim_calls(sim, "CopyVirtualDisk_Task"), copies + 1);
    char data[6];
    disk_read(&opened.disks[0], 2 * BLOCK, data, 6);
    assert_memory_equal(data, "locked", 6);
    close_export(ID_A, EXPORT_A, false);
    assert_int_equal(vcsim_calls(sim, "DeleteVirtualDisk_Task"), deleted + 1);
    clean(ID_A);
}

static void volumes_are_read_too(void **state)
{
    struct driver_key key = key_of(ID_A), volume = key_of(VOLUME_A);
    struct driver_volume_spec spec = {VOLUME_A, "data", 1, false};
    struct driver_volume made;
    create(ID_A);
    OK(vmware->volume_create(session, &call, &spec, &made));
    OK(vmware->volume_attach(session, &call, &volume, &key));
    vcsim_guest_write(sim, ID_A, 1, 0, "volume", 6);
    struct driver_detail detail = detail_of(ID_A);
    struct driver_export opened = open_read(ID_A, EXPORT_A, POINT_A, NULL);
    assert_int_equal(opened.disk_count, 2);
    assert_string_equal(detail.disks[1].volume_id, VOLUME_A);
    assert_string_equal(opened.disks[1].disk, detail.disks[1].name);
    assert_int_equal(opened.disks[1].size_bytes, 1ull << 30);
    char data[6];
    disk_read(&opened.disks[1], 0, data, 6);
    assert_memory_equal(data, "volume", 6);
    FAILS(vmware->volume_detach(session, &call, &volume, &key), ERR_CONFLICT, "snapshots");
    close_export(ID_A, EXPORT_A, true);
    OK(vmware->volume_resize(session, &call, &volume, 2)); /* of another size, everything has to be read */
    opened = open_read(ID_A, EXPORT_A, NULL, POINT_A);
    assert_true(opened.disks[0].changed_known);
    assert_string_equal(opened.disks[1].full_reason, "resized");
    close_export(ID_A, EXPORT_A, false);
    clean(ID_A);
    OK(vmware->volume_delete(session, &call, &volume));
}

static void snapshots(void **state)
{
    struct driver_key key = key_of(ID_A);
    create(ID_A);
    long deleted = vcsim_calls(sim, "DeleteVirtualDisk_Task");
    long copies = vcsim_calls(sim, "CopyVirtualDisk_Task");
    guest_writes(0, "kept");
    OK(vmware->snapshot_create(session, &call, &key, "before", true));
    OK(vmware->snapshot_create(session, &call, &key, "before", false)); /* there already */
    assert_int_equal(detail_of(ID_A).snapshot_count, 1);
    assert_string_equal(detail_of(ID_A).snapshots[0], "before");
    guest_writes(0, "lost");
    struct driver_export opened = open_read(ID_A, EXPORT_A, NULL, NULL); /* a copy of what are two files */
    assert_int_equal(vcsim_calls(sim, "CopyVirtualDisk_Task"), copies + 1);
    guest_writes(0, "more");
    char data[4];
    disk_read(&opened.disks[0], 0, data, 4);
    assert_memory_equal(data, "lost", 4);
    close_export(ID_A, EXPORT_A, false);
    assert_int_equal(detail_of(ID_A).snapshot_count, 1);
    assert_int_equal(vcsim_calls(sim, "DeleteVirtualDisk_Task"), deleted + 1);
    FAILS(vmware->snapshot_revert(session, &call, &key, "before"), ERR_CONFLICT, "not off");
    OK(vmware->instance_stop(session, &call, &key, 0));
    FAILS(vmware->snapshot_revert(session, &call, &key, "other"), ERR_NOT_FOUND, "other");
    OK(vmware->snapshot_revert(session, &call, &key, "before"));
    vcsim_guest_read(sim, ID_A, 0, 0, data, 4);
    assert_memory_equal(data, "kept", 4);
    OK(vmware->snapshot_delete(session, &call, &key, "before"));
    OK(vmware->snapshot_delete(session, &call, &key, "before"));
    opened = open_read(ID_A, EXPORT_A, NULL, NULL); /* it is off */
    assert_false(opened.running);
    disk_read(&opened.disks[0], 0, data, 4);
    assert_memory_equal(data, "kept", 4);
    close_export(ID_A, EXPORT_A, true);
    clean(ID_A);
}

#define TEST(function) cmocka_unit_test_setup(function, renew_call)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_point_in_time),
        TEST(only_what_changed),
        TEST(holes_are_told),
        TEST(lost_track),
        TEST(a_map_with_a_gap_is_no_map),
        TEST(a_session_ends_in_the_middle),
        TEST(a_refused_logon_is_not_repeated),
        TEST(orphans_are_cleared),
        TEST(somebody_removes_the_snapshot),
        TEST(file_systems_are_held_still),
        TEST(what_others_left_is_merged_first),
        TEST(a_datacenter_in_a_folder),
        TEST(a_locked_disk_is_copied),
        TEST(volumes_are_read_too),
        TEST(snapshots),
    };
    return cmocka_run_group_tests(tests, setup, fixture_stop);
}
