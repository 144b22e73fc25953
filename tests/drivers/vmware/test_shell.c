/* Fences, machines that wait for their disks, and writing those, against vcsim. */
#include "tests/drivers/vmware/disks.h"

#include <dirent.h>
#include <jansson.h>
#include <libnbd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/arena.h"

#define MB (1u << 20)

static char staging[] = "/tmp/yunqiao-staging-XXXXXX";
static json_t *options;

static int setup(void **state)
{
    fixture_start(NULL);
    vmware->close(session);
    if (!mkdtemp(staging))
        return -1;
    options = json_pack("{s:s}", "staging_folder", staging);
    struct driver_endpoint endpoint = vcsim_endpoint(sim);
    endpoint.options = options;
    OK(vmware->open(&endpoint, &call, &session));
    return 0;
}

static int teardown(void **state)
{
    fixture_stop(state);
    json_decref(options);
    return rmdir(staging); /* nothing is left in it */
}

static size_t staged(void)
{
    size_t count = 0;
    DIR *list = opendir(staging);
    for (const struct dirent *entry; (entry = readdir(list));)
        count += entry->d_name[0] != '.';
    closedir(list);
    return count;
}

static const struct driver_shell_disk two_disks[] = {
    {.size_bytes = 8 * MB, .boot = true},
    {.volume_id = VOLUME_A, .size_bytes = 3 * MB + 512},
};

static struct driver_shell_spec shell_of(const char *id)
{
    return (struct driver_shell_spec){.id = id,
                                      .name = "moved",
                                      .architecture = "x86",
                                      .vcpu = 2,
                                      .memory_mb = 2048,
                                      .firmware = DRIVER_FIRMWARE_UEFI,
                                      .network = "VM Network",
                                      .mac = "52:54:00:12:34:56",
                                      .disks = two_disks,
                                      .disk_count = 2};
}

static struct driver_instance prepare(const struct driver_shell_spec *spec)
{
    struct driver_instance instance;
    OK(vmware->instance_prepare(session, &call, spec, &instance));
    return instance;
}

static struct driver_export open_write(const char *export_id)
{
    struct driver_key key = key_of(ID_A);
    struct driver_export_spec spec = {.id = export_id, .access = DRIVER_WRITE};
    struct driver_export opened;
    OK(vmware->export_open(session, &call, &key, &spec, &opened));
    return opened;
}

static void clean(void)
{
    struct driver_key key = key_of(ID_A), volume = key_of(VOLUME_A);
    OK(vmware->instance_delete(session, &call, &key));
    OK(vmware->volume_delete(session, &call, &volume));
}

static void power_on_by_hand(enum error_code code, const char *fragment)
{
    /* as an operator would: by another session that knows nothing of our marks */
    struct driver_endpoint endpoint = vcsim_endpoint(sim);
    struct driver_session *other;
    OK(vmware->open(&endpoint, &call, &other));
    struct driver_key key = key_of(ID_A);
    FAILS(vmware->instance_start(other, &call, &key), code, fragment);
    vmware->close(other);
}

static void a_fence_holds(void **state)
{
    struct driver_key key = key_of(ID_A);
    struct driver_instance_spec spec = spec_of(ID_A, "fenced");
    struct driver_instance instance;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    FAILS(vmware->instance_fence(session, &call, &key), ERR_CONFLICT, "not off");
    OK(vmware->instance_stop(session, &call, &key, 0));
    vcsim_control(sim, "/__inject?method=ReconfigVM_Task&kind=drop-after");
    OK(vmware->instance_fence(session, &call, &key));
    OK(vmware->instance_fence(session, &call, &key));
    assert_true(detail_of(ID_A).fenced);
    FAILS(vmware->instance_start(session, &call, &key), ERR_CONFLICT, "fenced");
    FAILS(vmware->instance_create(session, &call, &spec, &instance), ERR_CONFLICT, "fenced");
    power_on_by_hand(ERR_CONFLICT, "fenced");
    char *path = xasprintf("/__power-on?vm=%s", ID_A);
    assert_string_equal(vcsim_control(sim, path), "InsufficientCpuResourcesFault");
    OK(vmware->instance_find(session, &call, &key, &instance));
    assert_int_equal(instance.power, DRIVER_POWER_OFF);
    /* it is a machine like others otherwise */
    struct driver_export opened = open_read(ID_A, EXPORT_A, POINT_A, NULL);
    assert_int_equal(opened.disk_count, 1);
    close_export(ID_A, EXPORT_A, true);
    OK(vmware->checkpoint_delete(session, &call, &key, POINT_A));
    vcsim_control(sim, "/__inject?method=ReconfigVM_Task&kind=drop-after");
    OK(vmware->instance_release(session, &call, &key));
    OK(vmware->instance_release(session, &call, &key));
    assert_false(detail_of(ID_A).fenced);
    OK(vmware->instance_start(session, &call, &key));
    free(path);
    clean();
}

static void prepared_once(void **state)
{
    struct driver_shell_spec spec = shell_of(ID_A);
    struct driver_key key = key_of(ID_A);
    struct driver_instance made = prepare(&spec), again = prepare(&spec);
    assert_string_equal(made.ref, again.ref);
    assert_int_equal(made.power, DRIVER_POWER_OFF);
    assert_int_equal(made.vcpu, 2);
    assert_int_equal(made.memory_mb, 2048);
    assert_string_equal(made.id, ID_A);
    struct driver_detail detail = detail_of(ID_A);
    assert_true(detail.fenced);
    assert_int_equal(detail.firmware, DRIVER_FIRMWARE_UEFI);
    assert_int_equal(detail.adapter_count, 1);
    assert_string_equal(detail.adapters[0].mac, "52:54:00:12:34:56");
    assert_string_equal(detail.adapters[0].network, "VM Network");
    assert_string_equal(detail.adapters[0].model, "vmxnet3");
    assert_int_equal(detail.disks[0].size_bytes, 8 * MB);
    assert_true(detail.disks[0].boot);
    assert_null(detail.disks[0].volume_id);
    assert_int_equal(detail.disks[1].size_bytes, 3 * MB + 1024); /* rounded up to KB */
    assert_string_equal(detail.disks[1].volume_id, VOLUME_A);
    assert_false(detail.disks[1].boot);
    FAILS(vmware->instance_start(session, &call, &key), ERR_CONFLICT, "fenced");
    struct driver_key volume = key_of(VOLUME_A);
    struct driver_volume found;
    OK(vmware->volume_find(session, &call, &volume, &found));
    OK(vmware->instance_delete(session, &call, &key)); /* unreleased: its volumes go too */
    FAILS(vmware->volume_find(session, &call, &volume, &found), ERR_NOT_FOUND, VOLUME_A);
    struct driver_instance_spec other = spec_of(ID_A, "here");
    OK(vmware->instance_create(session, &call, &other, &made));
    FAILS(vmware->instance_prepare(session, &call, &spec, &made), ERR_EXISTS, ID_A);
    OK(vmware->instance_delete(session, &call, &key));
    struct driver_volume_spec taken = {VOLUME_A, "data", 1, false};
    OK(vmware->volume_create(session, &call, &taken, &found));
    FAILS(vmware->instance_prepare(session, &call, &spec, &made), ERR_EXISTS, VOLUME_A);
    clean();
}

static void prepared_as_wanted(void **state)
{
    struct driver_shell_disk many[16] = {{.size_bytes = MB}};
    for (size_t i = 0; i < 16; i++)
        many[i] = (struct driver_shell_disk){.size_bytes = (i + 1) * MB, .boot = i == 2};
    struct driver_shell_spec spec = shell_of(ID_A);
    spec.disks = many;
    spec.disk_count = 16;
    spec.network = NULL;
    spec.firmware = DRIVER_FIRMWARE_BIOS;
    vcsim_control(sim, "/__inject?method=CreateVM_Task&kind=drop-after");
    prepare(&spec);
    struct driver_detail detail = detail_of(ID_A);
    assert_int_equal(detail.adapter_count, 0);
    assert_int_equal(detail.firmware, DRIVER_FIRMWARE_BIOS);
    size_t disks = 0;
    for (size_t i = 0; i < detail.disk_count; i++) {
        if (detail.disks[i].removable)
            continue;
        assert_int_equal(detail.disks[i].size_bytes, (disks + 1) * MB); /* in the order asked for */
        assert_int_equal(detail.disks[i].boot, disks == 2);
        disks++;
    }
    assert_int_equal(disks, 16);
    clean();
    spec.firmware = DRIVER_FIRMWARE_OPEN;
    struct driver_instance instance;
    FAILS(vmware->instance_prepare(session, &call, &spec, &instance), ERR_UNSUPPORTED, "Power");
    spec.firmware = DRIVER_FIRMWARE_UEFI_SECURE;
    spec.architecture = "POWER";
    FAILS(vmware->instance_prepare(session, &call, &spec, &instance), ERR_NO_CAPACITY, "POWER");
    spec.architecture = "x86";
    prepare(&spec);
    assert_int_equal(detail_of(ID_A).firmware, DRIVER_FIRMWARE_UEFI_SECURE);
    clean();
}

struct progress {
    int calls, last;
    bool backwards;
};

static bool on_progress(void *context, int percent, const char *step)
{
    struct progress *progress = context;
    progress->backwards = progress->backwards || percent < progress->last;
    progress->last = percent;
    progress->calls++;
    return true;
}

static void written_uploaded_and_started(void **state)
{
    struct driver_shell_spec spec = shell_of(ID_A);
    struct driver_key key = key_of(ID_A);
    static char content[8 * MB], back[MB];
    fill(content, sizeof content, 5);
    memset(content + 2 * MB, 0, 3 * MB);
    prepare(&spec);
    struct driver_export opened = open_write(EXPORT_A);
    assert_int_equal(opened.disk_count, 2);
    assert_false(opened.running);
    disk_read(&opened.disks[0], 0, back, MB);
    assert_int_equal(back[0], 0);
    for (size_t at = 0; at < sizeof content; at += MB)
        disk_write(&opened.disks[0], at, content + at, MB);
    disk_write(&opened.disks[1], 3 * MB, "volume", 6);
    vcsim_control(sim, "/__expire");
    call.progress = on_progress;
    struct progress progress = {0};
    call.context = &progress;
    close_export(ID_A, EXPORT_A, true);
    call.progress = NULL;
    assert_false(progress.backwards);
    assert_true(progress.calls > 0 && progress.last <= 100);
    close_export(ID_A, EXPORT_A, true); /* done already */
    assert_int_equal(staged(), 0);
    OK(vmware->instance_release(session, &call, &key));
    OK(vmware->instance_start(session, &call, &key));
    for (size_t at = 0; at < sizeof content; at += sizeof back) {
        vcsim_guest_read(sim, ID_A, 0, at, back, sizeof back);
        assert_memory_equal(back, content + at, sizeof back);
    }
    vcsim_guest_read(sim, ID_A, 1, 3 * MB, back, 6);
    assert_memory_equal(back, "volume", 6);
    opened = open_read(ID_A, EXPORT_B, NULL, NULL); /* and read back as any machine's */
    disk_read(&opened.disks[0], MB, back, MB);
    assert_memory_equal(back, content + MB, MB);
    close_export(ID_A, EXPORT_B, false);
    OK(vmware->instance_delete(session, &call, &key));
    struct driver_key volume = key_of(VOLUME_A);
    struct driver_volume found;
    OK(vmware->volume_find(session, &call, &volume, &found)); /* released: kept */
    clean();
}

static void a_second_pass_keeps_the_first(void **state)
{
    struct driver_shell_spec spec = shell_of(ID_A);
    char data[16];
    prepare(&spec);
    struct driver_export opened = open_write(EXPORT_A);
    disk_write(&opened.disks[0], 0, "first pass", 10);
    close_export(ID_A, EXPORT_A, true);
    opened = open_write(EXPORT_B);
    disk_read(&opened.disks[0], 0, data, 10);
    assert_memory_equal(data, "first pass", 10);
    disk_write(&opened.disks[0], 6, "time", 4);
    close_export(ID_A, EXPORT_B, true);
    opened = open_write(EXPORT_C);
    disk_write(&opened.disks[0], 0, "thrown away", 11);
    close_export(ID_A, EXPORT_C, false);
    vcsim_guest_read(sim, ID_A, 0, 0, data, 11);
    assert_memory_equal(data, "first time", 11);
    clean();
}

static void failures_of_the_upload(void **state)
{
    struct driver_shell_spec spec = shell_of(ID_A);
    struct driver_key key = key_of(ID_A);
    char data[6];
    prepare(&spec);
    struct driver_export opened = open_write(EXPORT_A);
    disk_write(&opened.disks[0], 0, "staged", 6);
    vcsim_control(sim, "/__inject?method=PutFile&kind=refuse");
    FAILS(vmware->export_close(session, &call, &key, EXPORT_A, true), ERR_UNAVAILABLE, "503");
    opened = open_write(EXPORT_A); /* goes on with what was staged */
    assert_null(opened.disks[0].full_reason);
    disk_read(&opened.disks[0], 0, data, 6);
    assert_memory_equal(data, "staged", 6);
    vcsim_control(sim, "/__inject?method=PutFile&kind=refuse&after=1");
    FAILS(vmware->export_close(session, &call, &key, EXPORT_A, true), ERR_UNAVAILABLE, "disk");
    vcsim_control(sim, "/__inject?method=PutFile&kind=expire");
    close_export(ID_A, EXPORT_A, true);
    vcsim_guest_read(sim, ID_A, 0, 0, data, 6);
    assert_memory_equal(data, "staged", 6);
    /* staging that was lost is told, when it is opened and when it is closed */
    opened = open_write(EXPORT_B);
    struct driver_export_spec other = {.id = EXPORT_C, .access = DRIVER_WRITE};
    FAILS(vmware->export_open(session, &call, &key, &other, &opened), ERR_BUSY, EXPORT_B);
    char path[128];
    snprintf(path, sizeof path, "%s/%s-%s.raw", staging, EXPORT_B, opened.disks[0].disk);
    assert_int_equal(unlink(path), 0);
    FAILS(vmware->export_close(session, &call, &key, EXPORT_B, true), ERR_NOT_FOUND, "lost");
    opened = open_write(EXPORT_B);
    assert_string_equal(opened.disks[0].full_reason, "what was written before is lost");
    assert_null(opened.disks[1].full_reason);
    close_export(ID_A, EXPORT_B, false);
    assert_int_equal(staged(), 0);
    FAILS(vmware->export_close(session, &call, &key, EXPORT_C, true), ERR_NOT_FOUND, EXPORT_C);
    clean();
}

/* Another broker writes and is killed; what it wrote and flushed is there when the export is opened again. */
static void staged_content_outlives_the_broker(void **state)
{
    struct driver_shell_spec spec = shell_of(ID_A);
    int ready[2];
    char answer = 0, data[6];
    prepare(&spec);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct driver_endpoint endpoint = vcsim_endpoint(sim);
        endpoint.options = options;
        struct driver_session *own;
        struct driver_key key = key_of(ID_A);
        struct driver_export_spec write_spec = {.id = EXPORT_A, .access = DRIVER_WRITE};
        struct driver_export opened;
        struct error *error = vmware->open(&endpoint, &call, &own);
        if (!error)
            error = vmware->export_open(own, &call, &key, &write_spec, &opened);
        if (!error)
            disk_write(&opened.disks[0], 5 * MB, "killed", 6);
        if (write(ready[1], error ? "n" : "y", 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    struct driver_export opened = open_write(EXPORT_A);
    assert_null(opened.disks[0].full_reason);
    disk_read(&opened.disks[0], 5 * MB, data, 6);
    assert_memory_equal(data, "killed", 6);
    close_export(ID_A, EXPORT_A, true);
    vcsim_guest_read(sim, ID_A, 0, 5 * MB, data, 6);
    assert_memory_equal(data, "killed", 6);
    assert_int_equal(staged(), 0); /* the dead one's sockets are gone too */
    clean();
}

static void what_may_not_be_written(void **state)
{
    struct driver_key key = key_of(ID_A);
    struct driver_instance_spec spec = spec_of(ID_A, "runs");
    struct driver_instance instance;
    struct driver_export_spec write = {.id = EXPORT_A, .access = DRIVER_WRITE};
    struct driver_export opened;
    spec.system_disk_gb = 2;
    OK(vmware->instance_create(session, &call, &spec, &instance));
    FAILS(vmware->export_open(session, &call, &key, &write, &opened), ERR_CONFLICT, "not off");
    OK(vmware->instance_stop(session, &call, &key, 0));
    FAILS(vmware->export_open(session, &call, &key, &write, &opened), ERR_CONFLICT, "not fenced");
    clean();
    struct driver_shell_disk huge = {.size_bytes = UINT64_C(900) << 30, .boot = true};
    struct driver_shell_spec shell = shell_of(ID_A);
    shell.disks = &huge;
    shell.disk_count = 1;
    struct error *error = vmware->instance_prepare(session, &call, &shell, &instance);
    if (error) { /* no datastore here is that large */
        FAILS(error, ERR_NO_CAPACITY, "GB free");
    } else {
        FAILS(vmware->export_open(session, &call, &key, &write, &opened), ERR_NO_CAPACITY, staging);
        assert_int_equal(staged(), 0);
    }
    clean();
}

#define TEST(function) cmocka_unit_test_setup(function, renew_call)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_fence_holds),
        TEST(prepared_once),
        TEST(prepared_as_wanted),
        TEST(written_uploaded_and_started),
        TEST(a_second_pass_keeps_the_first),
        TEST(failures_of_the_upload),
        TEST(staged_content_outlives_the_broker),
        TEST(what_may_not_be_written),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
