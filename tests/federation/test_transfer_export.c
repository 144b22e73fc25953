/* Exports through the server and the real job: what comes out is what the disks held, sealed; who may; what
 * is refused; what is left. */
#include "federation/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/digest.h"
#include "broker/base/json.h"
#include "federation/services.h"
#include "federation/transfer_manifest.h"
#include "tests/federation/transfer_scene.h"

static const char *path_of(struct arena *arena, const char *name)
{
    return arena_printf(arena, "%s/%s", pg_folder(house.pg), name);
}

/* Fetches a file, holds it against what the manifest says of it, and keeps it. */
static const char *fetched(struct arena *arena, const char *id, const json_t *file)
{
    size_t length;
    char sha256[DIGEST_HEX], sm3[DIGEST_HEX];
    const char *name = desk_text(file, "name"), *path = path_of(arena, name);
    const char *bytes = transfer_get(arena, id, name, &length);
    assert_int_equal(length, json_integer_value(json_object_get(file, "size")));
    digest_sha256(bytes, length, sha256);
    digest_sm3(bytes, length, sm3);
    assert_string_equal(sha256, desk_text(file, "sha256"));
    assert_string_equal(sm3, desk_text(file, "sm3"));
    transfer_save(path, bytes, length);
    return path;
}

static json_t *manifest_of(struct arena *arena, const char *id)
{
    size_t length;
    json_t *sealed;
    const char *bytes = transfer_get(arena, id, "manifest.json", &length);
    ok(json_parse_in(arena, bytes, length, &sealed));
    return sealed;
}

struct reading {
    const json_t *sealed;
    struct arena *arena;
    struct transfer_sealed read;
    bool known;
};

static struct error *read_body(struct db *db, void *context)
{
    struct reading *reading = context;
    return transfer_sealed_read(db, reading->sealed, reading->arena, &reading->read, &reading->known);
}

static struct error *read_sealed(struct reading *reading)
{
    return db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, read_body, reading);
}

static const char *made(struct arena *arena, const char *more)
{
    const char *id, *operation = transfer_order(arena, more, &id);
    const char *state = transfer_await(operation, 0);
    if (strcmp(state, "succeeded") != 0) {
        char *why = house_text("SELECT coalesce(error, '') FROM transfer");
        fail_msg("%s: %s", state, why);
    }
    return id;
}

static void litter(const char *wanted)
{
    char *left = folder_cloud_litter(transfer_scene.c);
    assert_string_equal(left, wanted);
    free(left);
}

static void disks_come_out_as_they_were(const char *format, const char *end)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_consent();
    transfer_run();
    const char *id = made(arena, arena_printf(arena, "\"format\":\"%s\"", format));
    json_t *sealed = manifest_of(arena, id), *manifest = json_object_get(sealed, "manifest");
    const json_t *files = json_object_get(manifest, "files");
    assert_int_equal(json_array_size(files), 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *file = json_array_get(files, i);
        assert_string_equal(desk_text(file, "name"), arena_printf(arena, "web-disk%zu.%s", i + 1, end));
        transfer_same(fetched(arena, id, file), format, transfer_scene.c, WEB, i);
    }
    struct reading reading = {.sealed = sealed, .arena = arena};
    ok(read_sealed(&reading));
    assert_true(reading.known);
    assert_int_equal(reading.read.disk_count, 2);
    assert_int_equal(reading.read.disks[1].bytes, WEB_MB << 20);
    assert_string_equal(desk_text(manifest, "taken"), "off");
    litter("");
    desk_expect("SELECT count(*) FROM resource WHERE operation_id IS NOT NULL", "0");
    desk_expect(
        "SELECT action || ' ' || (details ->> 'digest_sm3' = (SELECT manifest ->> 'digest_sm3' FROM"
        " transfer)) FROM audit WHERE action = 'exports:seal' AND subject = (SELECT id::text FROM transfer)",
        "exports:seal true");
}

static void as_raw(void **state)
{
    disks_come_out_as_they_were("raw", "raw");
}

static void as_qcow2(void **state)
{
    disks_come_out_as_they_were("qcow2", "qcow2");
}

static void as_vmdk(void **state)
{
    disks_come_out_as_they_were("vmdk", "vmdk");
}

/* GNU tar and Python's read it as well as our own reader does. */
static void as_ova(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_consent();
    transfer_run();
    const char *id = made(arena, "\"format\":\"ova\",\"digest\":\"sm3\"");
    json_t *manifest = json_object_get(manifest_of(arena, id), "manifest");
    const json_t *disk = json_array_get(json_object_get(json_object_get(manifest, "machine"), "disks"), 1);
    assert_string_equal(desk_text(json_object_get(disk, "content"), "algorithm"), "sm3");
    const char *path = fetched(arena, id, json_array_get(json_object_get(manifest, "files"), 0));
    const char *folder = path_of(arena, "unpacked");
    const char *const script[] = {
        "sh", "-ec",
        arena_printf(
            arena,
            "rm -rf '%s'; mkdir '%s'; tar -C '%s' -xf '%s'; cd '%s'; ls | tr '\\n' ' ' | grep -qx"
            " 'web-disk1.vmdk web-disk2.vmdk web.mf web.ovf '; tar -tf '%s' | head -1 | grep -qx web.ovf;"
            " sed 's/SHA256(\\(.*\\))= \\(.*\\)/\\2  \\1/' web.mf | sha256sum -c --quiet",
            folder, folder, folder, path, folder, path),
        NULL};
    assert_int_equal(transfer_do(script), 0);
    for (size_t i = 0; i < 2; i++)
        transfer_same(arena_printf(arena, "%s/web-disk%zu.vmdk", folder, i + 1), "vmdk", transfer_scene.c,
                      WEB, i);
}

/* What runs is exported as it is at one moment, when that is asked for. */
static void a_running_one_at_a_point_in_time(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_consent();
    folder_cloud_start(transfer_scene.c, WEB);
    pg_exec(house.pg, "UPDATE resource SET power = 'on' WHERE id = '" WEB "'");
    (void)desk_call(arena, ENGINEER, "POST", "/v1/exports", "{\"instance\":\"" WEB "\",\"format\":\"raw\"}",
                    409);
    transfer_run();
    const char *id = made(arena, "\"format\":\"raw\",\"running\":true");
    json_t *manifest = json_object_get(manifest_of(arena, id), "manifest");
    assert_string_equal(desk_text(manifest, "taken"), "crash-consistent");
    transfer_same(fetched(arena, id, json_array_get(json_object_get(manifest, "files"), 0)), "raw",
                  transfer_scene.c, WEB, 0);
    litter("");
}

static void not_without_a_consent(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    static const char body[] = "{\"instance\":\"" WEB "\",\"format\":\"raw\"}";
    for (int who = 0; who < WHO_COUNT; who++)
        (void)desk_call(arena, (enum who)who, "POST", "/v1/exports", body,
                        who == STRANGER || who == PART ? 404 : 403);
    desk_expect("SELECT count(*) FROM transfer", "0");
    desk_expect("SELECT count(*) FROM resource WHERE operation_id IS NOT NULL", "0");
    transfer_consent();
    transfer_run();
    const char *id = made(arena, "\"format\":\"qcow2\"");
    const char *file = arena_printf(arena, "/v1/exports/%s/files/web-disk1.qcow2", id);
    for (int who = 0; who < WHO_COUNT; who++) {
        bool reads = who == UNIT || who == ENGINEER, hidden = who == STRANGER || who == PART;
        (void)desk_call(arena, (enum who)who, "GET", file, NULL, reads ? 200 : hidden ? 404 : 403);
        bool sees = !hidden && who != OTHER_REGULATOR && who != MEMBER;
        (void)desk_call(arena, (enum who)who, "GET", arena_printf(arena, "/v1/exports/%s", id), NULL,
                        who == OPERATOR ? 403
                        : sees          ? 200
                                        : 404);
    }
    /* Withdrawn: what was made is not given out any more. */
    pg_exec(house.pg,
            "UPDATE consent SET withdrawn_at = now(), withdrawn_by = 'x', withdrawal_reason = 'no more',"
            " version = version + 1");
    json_t *problem = desk_call(arena, UNIT, "GET", file, NULL, 403);
    assert_non_null(strstr(desk_text(problem, "detail"), "(letter 7) is withdrawn"));
}

static void in_parts(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_consent();
    transfer_run();
    const char *id = made(arena, "\"format\":\"raw\"");
    const char *path = arena_printf(arena, "/v1/exports/%s/files/web-disk2.raw", id);
    static char whole[WEB_MB << 20];
    size_t length, done = 0;
    memcpy(whole, transfer_get(arena, id, "web-disk2.raw", &length), sizeof whole);
    assert_int_equal(length, sizeof whole);
    const char *etag = arena_strdup(arena, desk_header("etag"));
    while (done < sizeof whole) {
        const char *range = arena_printf(arena, "bytes=%zu-%zu", done, done + 334566);
        const char *const headers[] = {"range", range, "if-range", etag, NULL};
        (void)desk_send(arena, ENGINEER, "GET", path, headers, NULL, 0, 206);
        const char *bytes = desk_body(&length);
        assert_memory_equal(bytes, whole + done, length);
        done += length;
    }
    const char *const beyond[] = {"range", arena_printf(arena, "bytes=%d-", WEB_MB << 20), NULL};
    (void)desk_send(arena, ENGINEER, "GET", path, beyond, NULL, 0, 416);
    (void)desk_call(arena, ENGINEER, "GET", arena_printf(arena, "/v1/exports/%s/files/nothing", id), NULL,
                    404);
    (void)desk_call(arena, ENGINEER, "GET", arena_printf(arena, "/v1/exports/%s/files/..", id), NULL, 404);
}

static void what_does_not_fit_is_refused(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *id, *operation;
    transfer_consent();
    desk_services()->transfer_space = 5000000;
    transfer_run();
    operation = transfer_order(arena, "\"format\":\"raw\"", &id);
    assert_string_equal(transfer_await(operation, 0), "failed");
    desk_services()->transfer_space = 1000000000;
    char *why = house_text("SELECT error FROM transfer");
    assert_non_null(strstr(why, "space for exports and imports"));
    free(why);
    desk_expect("SELECT state || ' ' || bytes FROM transfer", "failed 0");
    desk_expect("SELECT count(*) FROM resource WHERE operation_id IS NOT NULL", "0");
    litter("");
    assert_int_not_equal(access(arena_printf(arena, "%s/%s", desk_services()->transfer_dir, id), F_OK), 0);
}

static void it_is_deleted_and_it_expires(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_consent();
    transfer_run();
    for (int by_time = 0; by_time < 2; by_time++) {
        const char *id = made(arena, "\"format\":\"qcow2\"");
        const char *path = arena_printf(arena, "/v1/exports/%s", id);
        const char *folder = arena_printf(arena, "%s/%s", desk_services()->transfer_dir, id);
        assert_int_equal(access(folder, F_OK), 0);
        if (by_time) {
            pg_exec(house.pg,
                    "UPDATE transfer SET expires_at = now() - interval '1 second' WHERE state = 'ready';"
                    "SELECT job_wake(cleaner_id) FROM transfer WHERE state = 'ready'");
        } else {
            (void)desk_call(arena, ENGINEER, "DELETE", path, NULL, 428);
            (void)desk_call(arena, ENGINEER, "GET", path, NULL, 200);
            desk_match = arena_strdup(arena, desk_header("etag"));
            (void)desk_call(arena, ENGINEER, "DELETE", path, NULL, 202);
            desk_match = NULL;
        }
        for (int i = 0; i < 2000 && !access(folder, F_OK); i++)
            (void)usleep(5000);
        assert_int_not_equal(access(folder, F_OK), 0);
        (void)desk_call(arena, ENGINEER, "GET", arena_printf(arena, "%s/files/manifest.json", path), NULL,
                        409);
        assert_int_equal(desk_count(arena, ENGINEER, "/v1/exports?state=ready", "exports"), 0);
    }
}

static void a_seal_is_broken_by_any_change(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_consent();
    transfer_run();
    json_t *sealed = manifest_of(arena, made(arena, "\"format\":\"raw\""));
    struct reading reading = {.sealed = sealed, .arena = arena};
    json_t *machine = json_object_get(json_object_get(sealed, "manifest"), "machine");
    json_put_int(machine, "vcpu", 3);
    refused(read_sealed(&reading), ERR_INVALID);
    /* With the digest made right again it is the signature that does not hold. */
    char digest[DIGEST_HEX];
    const char *text = json_canonical(arena, json_object_get(sealed, "manifest"));
    digest_sm3(text, strlen(text), digest);
    json_put_text(sealed, "digest_sm3", digest);
    struct error *error = read_sealed(&reading);
    assert_non_null(error);
    assert_non_null(strstr(error_message(error), "signed"));
    error_free(error);
    json_put_text(json_object_get(sealed, "signature"), "kid", "another");
    ok(read_sealed(&reading)); /* of a key that is not this broker's: nobody here can tell */
    assert_false(reading.known);
}

/* At every boundary with the provider, and again at random while it copies and packs. */
static void killed_and_gone_on(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    int died = 0;
    for (int boundary = 1;; boundary++) {
        transfer_reset(state);
        transfer_consent();
        const char *id, *operation = transfer_order(arena, "\"format\":\"ova\"", &id);
        pid_t broker = transfer_broker(boundary);
        const char *ended = transfer_await(operation, broker);
        bool killed = !strcmp(ended, "died");
        if (killed) {
            died++;
            pg_exec(house.pg, "UPDATE job SET run_at = now() WHERE state = 'running'");
            broker = transfer_broker(0);
            ended = transfer_await(operation, broker);
        }
        assert_string_equal(ended, "succeeded");
        transfer_kill(broker);
        litter("");
        desk_expect("SELECT state || ' ' || (SELECT count(*) FROM transfer_file) FROM transfer", "ready 2");
        if (!killed)
            break;
    }
    assert_true(died >= 4);
}

static void killed_at_any_time(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_consent();
    const char *id, *operation = transfer_order(arena, "\"format\":\"ova\"", &id);
    const char *ended = "died";
    for (unsigned ms = 40; strcmp(ended, "succeeded") != 0; ms += 120) {
        pid_t broker = transfer_broker(0);
        if (ms < 1500) {
            (void)usleep(ms * 1000);
            transfer_kill(broker);
            char *now = house_text("SELECT state FROM operation WHERE kind = 'export'");
            ended = !strcmp(now, "succeeded") ? "succeeded" : "died";
            free(now);
        } else {
            ended = transfer_await(operation, broker);
            transfer_kill(broker);
            assert_string_equal(ended, "succeeded");
        }
    }
    json_t *manifest = json_object_get(manifest_of(arena, id), "manifest");
    const char *path = fetched(arena, id, json_array_get(json_object_get(manifest, "files"), 0));
    const char *const unpack[] = {"tar", "-C", pg_folder(house.pg), "-xf", path, NULL};
    assert_int_equal(transfer_do(unpack), 0);
    transfer_same(path_of(arena, "web-disk1.vmdk"), "vmdk", transfer_scene.c, WEB, 0);
    transfer_same(path_of(arena, "web-disk2.vmdk"), "vmdk", transfer_scene.c, WEB, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, transfer_reset, transfer_rest)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(as_raw),
        TEST(as_qcow2),
        TEST(as_vmdk),
        TEST(as_ova),
        TEST(a_running_one_at_a_point_in_time),
        TEST(not_without_a_consent),
        TEST(in_parts),
        TEST(what_does_not_fit_is_refused),
        TEST(it_is_deleted_and_it_expires),
        TEST(a_seal_is_broken_by_any_change),
        TEST(killed_and_gone_on),
        TEST(killed_at_any_time),
    };
    transfer_maybe_broker(argc, argv);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, transfer_open, transfer_close);
}
