/* Imports through the server and the real job: what was exported comes in on another cloud as an order would,
 * block for block; pieces, offsets, digests; hostile images; what is refused, killed or fails leaves nothing.
 */
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
#include "tests/federation/transfer_scene.h"

#define PIECE 1000000
#define FILE_BYTES ((size_t)64 << 20)

/* What the import is asked for beside its files. */
#define PLACE "\"name\":\"came\",\"system\":\"u001\",\"cloud\":\"d\",\"zone\":\"ext\""
#define SIZE ",\"vcpu\":2,\"memory_gb\":4,\"architecture\":\"x86\",\"firmware\":\"bios\""

struct came {
    const char *name;
    char *bytes;
    size_t length;
};
static struct came files[4];
static size_t file_count;

static void forget_files(void)
{
    while (file_count)
        free(files[--file_count].bytes);
}

static void take_bytes(struct arena *arena, const char *name, const void *bytes, size_t length)
{
    struct came *file = &files[file_count++];
    *file = (struct came){arena_strdup(arena, name), xmalloc(length + 1), length};
    memcpy(file->bytes, bytes, length);
}

static void take_file(struct arena *arena, const char *path, const char *name)
{
    static char bytes[FILE_BYTES];
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t length = fread(bytes, 1, sizeof bytes, file);
    assert_true(length < sizeof bytes);
    assert_int_equal(fclose(file), 0);
    take_bytes(arena, name, bytes, length);
}

static const char *declared(struct arena *arena)
{
    const char *text = "";
    for (size_t i = 0; i < file_count; i++) {
        char digest[DIGEST_HEX];
        digest_sha256(files[i].bytes, files[i].length, digest);
        text = arena_printf(arena, "%s%s{\"name\":\"%s\",\"size\":%zu,\"sha256\":\"%s\"}", text,
                            *text ? "," : "", files[i].name, files[i].length, digest);
    }
    return arena_printf(arena, "\"files\":[%s]", text);
}

/* An export of "web", its files taken, its row and folder gone; the sealed manifest. */
static json_t *exported(struct arena *arena, const char *format)
{
    const char *id;
    json_t *sealed, *file;
    size_t length, i;
    transfer_consent();
    const char *operation = transfer_order(arena, arena_printf(arena, "\"format\":\"%s\"", format), &id);
    assert_string_equal(transfer_await(operation, 0), "succeeded");
    const char *text = transfer_get(arena, id, "manifest.json", &length);
    ok(json_parse_in(arena, text, length, &sealed));
    json_array_foreach (json_object_get(json_object_get(sealed, "manifest"), "files"), i, file) {
        const char *name = desk_text(file, "name"), *bytes = transfer_get(arena, id, name, &length);
        take_bytes(arena, name, bytes, length);
    }
    return sealed;
}

static const char *file_path(struct arena *arena, const char *id, const char *name)
{
    return arena_printf(arena, "/v1/imports/%s/files/%s", id, name);
}

static json_t *send_piece(struct arena *arena, const char *id, const struct came *file, size_t offset,
                          size_t length, int status)
{
    const char *headers[] = {"content-type", "application/octet-stream", "upload-offset",
                             arena_printf(arena, "%zu", offset), NULL};
    return desk_send(arena, ENGINEER, "PATCH", file_path(arena, id, file->name), headers,
                     file->bytes + offset, length, status);
}

static void send_all(struct arena *arena, const char *id)
{
    for (size_t i = 0; i < file_count; i++)
        for (size_t at = 0; at < files[i].length; at += PIECE) {
            size_t left = files[i].length - at, length = left < PIECE ? left : PIECE;
            json_t *answer = send_piece(arena, id, &files[i], at, length, 200);
            assert_int_equal(json_integer_value(json_object_get(answer, "received")), at + length);
        }
}

static const char *declare(struct arena *arena, const char *body)
{
    return desk_text(desk_call(arena, ENGINEER, "POST", "/v1/imports", body, 201), "id");
}

static const char *start(struct arena *arena, const char *id)
{
    json_t *made = desk_call(arena, UNIT, "POST", arena_printf(arena, "/v1/imports/%s:start", id), NULL, 202);
    return desk_text(made, "operation");
}

/* Declared, sent and started; how it ended. */
static const char *imported(struct arena *arena, const char *more, const char **ret_id)
{
    *ret_id = declare(arena, arena_printf(arena, "{" PLACE "%s}", more));
    send_all(arena, *ret_id);
    return transfer_await(start(arena, *ret_id), 0);
}

static const char *why(struct arena *arena)
{
    char *text = house_text("SELECT coalesce(error, '') FROM transfer WHERE direction = 'import'");
    const char *copy = arena_strdup(arena, text);
    free(text);
    return copy;
}

static const char *made_id(struct arena *arena)
{
    char *text = house_text("SELECT resource_id FROM transfer WHERE direction = 'import'");
    const char *id = arena_strdup(arena, text);
    free(text);
    return id;
}

/* Nothing of it is on cloud d, in no row and no counter, and it is not billed. */
static void nothing_came(struct arena *arena)
{
    char *left = folder_cloud_litter(transfer_scene.d);
    assert_string_equal(left, "");
    free(left);
    const char *const empty[] = {
        "sh", "-c", arena_printf(arena, "test -z \"$(ls '%s' | grep -v lock)\"", transfer_scene.d), NULL};
    assert_int_equal(transfer_do(empty), 0);
    desk_expect("SELECT count(*) FROM resource WHERE cloud_id = 'd' AND state NOT IN ('failed', 'deleted')",
                "0");
    desk_expect("SELECT coalesce(sum(used), 0) FROM quota WHERE cloud_id = 'd'", "0");
    desk_expect("SELECT coalesce(sum(reserved), 0) FROM capacity WHERE cloud_id = 'd'", "0");
    desk_expect("SELECT count(*) FROM usage_interval WHERE cloud_id = 'd'", "0");
}

static void it_came(struct arena *arena, bool on)
{
    const char *id = made_id(arena);
    struct folder_machine machine = folder_cloud_look(transfer_scene.d, id);
    assert_true(machine.there && !machine.fenced && machine.running == on);
    for (size_t i = 0; i < 2; i++) {
        const char *path = arena_printf(arena, "%s/%s-%zu.raw", transfer_scene.d, id, i);
        const char *const argv[] = {"sh",
                                    "-ec", /* the target is larger, in whole gigabytes, and zero there */
                                    arena_printf(arena, "cmp -n %d '%s' '%s/" WEB "-%zu.raw'", WEB_MB << 20,
                                                 path, transfer_scene.c, i),
                                    NULL};
        assert_int_equal(transfer_do(argv), 0);
    }
    desk_expect("SELECT string_agg(kind || ' ' || state || ' ' || power, ',' ORDER BY kind) FROM resource"
                " WHERE cloud_id = 'd' AND state = 'active'",
                on ? "instance active on,volume active none" : "instance active off,volume active none");
    desk_expect("SELECT string_agg(item || '=' || micro, ' ' ORDER BY item, micro) FROM usage_interval WHERE"
                " cloud_id = 'd' AND end_at = 'infinity'",
                "1001=2000000 1002=4000000 1011=10000 1011=100000");
    desk_expect(
        "SELECT string_agg(metric || '=' || used, ' ' ORDER BY metric) FROM quota WHERE cloud_id = 'd'"
        " AND used > 0",
        "instances=1 memory_gb=4 standard_gb=11 vcpu=2");
    desk_expect("SELECT count(*) FROM orders WHERE note = 'import' AND state = 'fulfilled'", "1");
    desk_expect("SELECT state || ' ' || bytes FROM transfer WHERE direction = 'import'", "done 0");
}

static void what_left_comes_in(const char *format, const char *more, bool on)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *id;
    transfer_run();
    json_t *sealed = exported(arena, format);
    const char *ended =
        imported(arena, arena_printf(arena, ",\"manifest\":%s%s", json_canonical(arena, sealed), more), &id);
    if (strcmp(ended, "succeeded") != 0)
        fail_msg("%s: %s", ended, why(arena));
    it_came(arena, on);
    assert_int_not_equal(access(arena_printf(arena, "%s/%s", desk_services()->transfer_dir, id), F_OK), 0);
    forget_files();
}

static void raw_with_a_manifest(void **state)
{
    what_left_comes_in("raw", "", false);
}

static void qcow2_with_a_manifest(void **state)
{
    what_left_comes_in("qcow2", "", false);
}

static void vmdk_with_a_manifest(void **state)
{
    what_left_comes_in("vmdk", ",\"start\":true", true);
}

static void ova_with_a_manifest(void **state)
{
    what_left_comes_in("ova", ",\"start\":true", true);
}

/* From somewhere else: no manifest, the OVF is shown. */
static void ova_from_elsewhere(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *id;
    transfer_run();
    (void)exported(arena, "ova");
    const char *ended =
        imported(arena, arena_printf(arena, SIZE ",\"format\":\"ova\",%s", declared(arena)), &id);
    if (strcmp(ended, "succeeded") != 0)
        fail_msg("%s: %s", ended, why(arena));
    it_came(arena, false);
    json_t *import = desk_call(arena, UNIT, "GET", arena_printf(arena, "/v1/imports/%s", id), NULL, 200);
    const json_t *ovf = json_object_get(json_object_get(import, "found"), "ovf");
    assert_string_equal(desk_text(ovf, "name"), "web");
    assert_int_equal(json_integer_value(json_object_get(ovf, "vcpu")), 2);
    forget_files();
}

static void pieces_and_offsets(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    static char bytes[3 << 20];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 31 + i / 4096);
    take_bytes(arena, "disk.raw", bytes, sizeof bytes);
    const char *id =
        declare(arena, arena_printf(arena, "{" PLACE SIZE ",\"format\":\"raw\",%s}", declared(arena)));
    const char *path = file_path(arena, id, "disk.raw");
    static const char *const no_offset[] = {"content-type", "application/octet-stream", NULL};
    (void)desk_send(arena, ENGINEER, "PATCH", path, no_offset, bytes, 100, 428);
    (void)send_piece(arena, id, files, 0, 1000, 200);
    (void)send_piece(arena, id, files, 0, 1000, 409);    /* again */
    (void)send_piece(arena, id, files, 2000, 1000, 409); /* a gap */
    json_t *now = desk_call(arena, ENGINEER, "GET", path, NULL, 200);
    assert_int_equal(json_integer_value(json_object_get(now, "received")), 1000);
    (void)desk_call(arena, ENGINEER, "HEAD", path, NULL, 200);
    (void)desk_call(arena, UNIT, "POST", arena_printf(arena, "/v1/imports/%s:start", id), NULL,
                    409); /* not whole */
    (void)desk_call(arena, ENGINEER, "POST", arena_printf(arena, "/v1/imports/%s:start", id), NULL, 403);
    (void)send_piece(arena, id, files, 1000, sizeof bytes - 1000, 200);
    (void)desk_call(arena, ENGINEER, "GET", path, NULL, 200);
    const struct came beyond = {"disk.raw", files->bytes, files->length};
    const char *headers[] = {"content-type", "application/octet-stream", "upload-offset",
                             arena_printf(arena, "%zu", sizeof bytes), NULL};
    (void)desk_send(arena, ENGINEER, "PATCH", path, headers, beyond.bytes, 1, 422); /* longer than declared */
    (void)desk_send(arena, STRANGER, "PATCH", path, headers, beyond.bytes, 1, 404);
    (void)desk_send(arena, ENGINEER, "PATCH", file_path(arena, id, "other"), headers, beyond.bytes, 1, 404);
    /* What is on disk is what came. */
    transfer_save(arena_printf(arena, "%s/wanted", pg_folder(house.pg)), bytes, sizeof bytes);
    const char *const argv[] = {"cmp", arena_printf(arena, "%s/wanted", pg_folder(house.pg)),
                                arena_printf(arena, "%s/%s/disk.raw", desk_services()->transfer_dir, id),
                                NULL};
    assert_int_equal(transfer_do(argv), 0);
    forget_files();
}

static void what_is_declared_badly(void **state)
{
    static const char good[] = "\"files\":[{\"name\":\"a\",\"size\":512,\"sha256\":"
                               "\"66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0\"}]";
    static const struct {
        const char *from, *to, *pointer;
    } cases[] = {
        {"\"a\"", "\"../a\"", "/files/0/name"},
        {"66c7", "66C7", "/files/0/sha256"},
        {"512", "5", "/files/0/size"},
        {"\"files\"", "\"start\":true,\"x\"", "/x"},
    };
    ARENA_AUTO struct arena *arena = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *at = strstr(good, cases[i].from);
        const char *body = arena_printf(arena, "{" PLACE SIZE ",\"format\":\"raw\",%.*s%s%s}",
                                        (int)(at - good), good, cases[i].to, at + strlen(cases[i].from));
        json_t *problem = desk_call(arena, ENGINEER, "POST", "/v1/imports", body, 422);
        const char *text = json_canonical(arena, problem);
        if (!strstr(text, arena_printf(arena, "\"pointer\":\"%s\"", cases[i].pointer)))
            fail_msg("no %s in %s", cases[i].pointer, text);
    }
    (void)desk_call(arena, ENGINEER, "POST", "/v1/imports",
                    arena_printf(arena, "{" PLACE ",\"format\":\"raw\",%s}", good),
                    422); /* no size of the machine */
    (void)desk_call(
        arena, ENGINEER, "POST", "/v1/imports",
        arena_printf(arena,
                     "{\"name\":\"came\",\"system\":\"u001\",\"cloud\":\"x\",\"zone\":\"ext\"" SIZE
                     ",\"format\":\"raw\",%s}",
                     good),
        422);
    (void)desk_call(
        arena, ENGINEER, "POST", "/v1/imports",
        arena_printf(arena,
                     "{\"name\":\"came\",\"system\":\"u001\",\"cloud\":\"d\",\"zone\":\"medical\"" SIZE
                     ",\"format\":\"raw\",%s}",
                     good),
        422); /* kept for systems of its own */
    (void)desk_call(arena, STRANGER, "POST", "/v1/imports",
                    arena_printf(arena, "{\"unit\":\"u\"," PLACE SIZE ",\"format\":\"raw\",%s}", good), 404);
    (void)desk_call(arena, OPERATOR, "POST", "/v1/imports", "{}", 403);
    desk_services()->transfer_space = 1000;
    json_t *full = desk_call(arena, ENGINEER, "POST", "/v1/imports",
                             arena_printf(arena, "{" PLACE SIZE ",\"format\":\"raw\",%s}", good), 409);
    assert_non_null(strstr(desk_text(full, "detail"), "space for exports and imports"));
    desk_services()->transfer_space = 1000000000;
    desk_services()->transfer_unit_space = 1000;
    full = desk_call(arena, ENGINEER, "POST", "/v1/imports",
                     arena_printf(arena, "{" PLACE SIZE ",\"format\":\"raw\",%s}", good), 409);
    assert_non_null(strstr(desk_text(full, "detail"), "unit's space for exports and imports"));
    desk_services()->transfer_unit_space = 1000000000;
    desk_expect("SELECT count(*) FROM transfer", "0");
    /* What the unit has already counts, and then what units have that he does not see. */
    (void)declare(arena, arena_printf(arena, "{" PLACE SIZE ",\"format\":\"raw\",%s}", good));
    desk_services()->transfer_unit_space = pg_number(house.pg, "SELECT sum(bytes) + 1 FROM transfer");
    full = desk_call(arena, ENGINEER, "POST", "/v1/imports",
                     arena_printf(arena, "{" PLACE SIZE ",\"format\":\"raw\",%s}", good), 409);
    assert_non_null(strstr(desk_text(full, "detail"), "(transfer_unit_space_gb) its others have"));
    desk_services()->transfer_unit_space = 1000000000;
    pg_exec(house.pg,
            "INSERT INTO transfer SELECT (jsonb_populate_record(t, jsonb_build_object('unit_id', 'v',"
            " 'id', gen_random_uuid(), 'bytes', 990000000))).* FROM transfer t");
    full = desk_call(arena, ENGINEER, "POST", "/v1/imports",
                     arena_printf(arena, "{" PLACE SIZE ",\"format\":\"raw\",%s}", good), 409);
    assert_non_null(strstr(desk_text(full, "detail"), "space for exports and imports"));
}

static void a_false_seal_is_refused(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_run();
    json_t *sealed = exported(arena, "raw");
    json_t *manifest = json_object_get(sealed, "manifest");
    json_put_int(json_object_get(manifest, "machine"), "vcpu", 1);
    const char *body = arena_printf(arena, "{" PLACE ",\"manifest\":%s}", json_canonical(arena, sealed));
    (void)desk_call(arena, ENGINEER, "POST", "/v1/imports", body, 422);
    char digest[DIGEST_HEX];
    const char *text = json_canonical(arena, manifest);
    digest_sm3(text, strlen(text), digest);
    json_put_text(sealed, "digest_sm3", digest);
    body = arena_printf(arena, "{" PLACE ",\"manifest\":%s}", json_canonical(arena, sealed));
    json_t *problem = desk_call(arena, ENGINEER, "POST", "/v1/imports", body, 422);
    assert_non_null(strstr(json_canonical(arena, problem), "signed"));
    desk_expect("SELECT count(*) FROM transfer WHERE direction = 'import'", "0");
    forget_files();
}

/* Sealed by a key that is not this broker's: its files are as declared, and their content is what it says, or
 * nothing comes. */
static void what_another_broker_sealed(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char digest[DIGEST_HEX];
    const char *id;
    transfer_run();
    json_t *sealed = exported(arena, "qcow2"), *manifest = json_object_get(sealed, "manifest");
    json_t *disk = json_array_get(json_object_get(json_object_get(manifest, "machine"), "disks"), 1);
    json_t *content = json_object_get(disk, "content");
    const char *root = arena_strdup(arena, desk_text(content, "root"));
    for (int good = 0; good < 2; good++) {
        char *changed = arena_strdup(arena, root);
        changed[7] = changed[7] == '0' ? '1' : '0';
        json_put_text(content, "root", good ? root : changed);
        const char *text = json_canonical(arena, manifest);
        digest_sm3(text, strlen(text), digest);
        json_put_text(sealed, "digest_sm3", digest);
        json_put_text(json_object_get(sealed, "signature"), "kid", "of-another-broker");
        const char *ended =
            imported(arena, arena_printf(arena, ",\"manifest\":%s", json_canonical(arena, sealed)), &id);
        if (good) {
            assert_string_equal(ended, "succeeded");
            break;
        }
        assert_string_equal(ended, "failed");
        assert_non_null(strstr(why(arena), "does not hold what the manifest was sealed over"));
        nothing_came(arena);
        pg_exec(house.pg, "DELETE FROM transfer_file; DELETE FROM transfer");
    }
    it_came(arena, false);
    forget_files();
}

static void absurd_sizes_are_refused(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char digest[DIGEST_HEX];
    transfer_run();
    json_t *sealed = exported(arena, "raw"), *manifest = json_object_get(sealed, "manifest"), *file;
    size_t i;
    json_array_foreach (json_object_get(manifest, "files"), i, file)
        json_put_int(file, "size", INT64_MAX);
    const char *text = json_canonical(arena, manifest);
    digest_sm3(text, strlen(text), digest);
    json_put_text(sealed, "digest_sm3", digest);
    json_put_text(json_object_get(sealed, "signature"), "kid", "of-another-broker");
    (void)desk_call(arena, ENGINEER, "POST", "/v1/imports",
                    arena_printf(arena, "{" PLACE ",\"manifest\":%s}", json_canonical(arena, sealed)), 422);
    forget_files();
}

/* Once it is there and billed, nothing that happens to its files takes it back. */
static void what_is_done_stays(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_run();
    json_t *sealed = exported(arena, "raw");
    const char *id =
        declare(arena, arena_printf(arena, "{" PLACE ",\"manifest\":%s}", json_canonical(arena, sealed)));
    send_all(arena, id);
    const char *folder = arena_printf(arena, "%s/%s/kept", desk_services()->transfer_dir, id);
    const char *const argv[] = {"mkdir", folder, NULL}; /* which the folder is not emptied of */
    assert_int_equal(transfer_do(argv), 0);
    assert_string_equal(transfer_await(start(arena, id), 0), "succeeded");
    it_came(arena, false);
    for (int i = 0;
         pg_number(house.pg, "SELECT count(*) FROM job WHERE type = 'import' AND state = 'done'") < 1; i++) {
        assert_true(i < 1000); /* it is over, and not tried again until it turns round */
        (void)usleep(10000);
    }
    it_came(arena, false);
    const char *const gone[] = {"rmdir", folder, NULL};
    assert_int_equal(transfer_do(gone), 0);
    forget_files();
}

/* One bit: the file has to be sent again, and then it comes. */
static void a_broken_byte_is_refused(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *id;
    transfer_run();
    json_t *sealed = exported(arena, "qcow2");
    files[1].bytes[files[1].length / 2] ^= 1;
    const char *ended =
        imported(arena, arena_printf(arena, ",\"manifest\":%s", json_canonical(arena, sealed)), &id);
    assert_string_equal(ended, "failed");
    assert_non_null(strstr(why(arena), "web-disk2.qcow2 is not the file that was declared"));
    nothing_came(arena);
    files[1].bytes[files[1].length / 2] ^= 1;
    json_t *now = desk_call(arena, ENGINEER, "GET", file_path(arena, id, "web-disk2.qcow2"), NULL, 200);
    assert_int_equal(json_integer_value(json_object_get(now, "received")), 0);
    for (size_t at = 0; at < files[1].length; at += PIECE)
        (void)send_piece(arena, id, &files[1], at,
                         files[1].length - at < PIECE ? files[1].length - at : PIECE, 200);
    assert_string_equal(transfer_await(start(arena, id), 0), "succeeded");
    it_came(arena, false);
    forget_files();
}

/* Whole in themselves, or refused: none of them makes the broker read what is not theirs. */
static void hostile_images(void **state)
{
    static const struct {
        const char *format, *command, *why;
    } cases[] = {
        {"qcow2", "qemu-img create -q -f qcow2 -b /etc/passwd -F raw i 1M", "backing file"},
        {"qcow2", "truncate -s 1M d; qemu-img create -q -f qcow2 -o data_file=d,data_file_raw=on i 1M",
         "another file"},
        {"vmdk",
         "qemu-img create -q -f vmdk -o subformat=monolithicFlat x.vmdk 1M; cp x.vmdk i; truncate -s 1024 i",
         "descriptor"},
        {"raw", "qemu-img create -q -f qcow2 i 1M; truncate -s 196601 i", "whole sectors"},
        {"qcow2", "qemu-img create -q -f vmdk i 1M", "no qcow2"},
        {"ova", "echo x > a.ovf; tar --format=ustar -cf i a.ovf", "well-formed"},
        {"ova", "ln -sf /etc/passwd a.ovf; tar --format=ustar -cf i a.ovf", "no regular file"},
        /* Our eyes see nothing wrong, QEMU does: its first table is at no whole cluster. */
        {"qcow2",
         "qemu-img create -q -f qcow2 i 1M; printf '\\000\\000\\000\\000\\000\\000\\000\\001' | dd of=i bs=1 "
         "seek=40"
         " conv=notrunc status=none",
         "qemu-img failed"},
    };
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_run();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *folder = arena_printf(arena, "%s/hostile%zu", pg_folder(house.pg), i), *id;
        const char *const argv[] = {
            "sh", "-ec", arena_printf(arena, "mkdir '%s'; cd '%s'; %s", folder, folder, cases[i].command),
            NULL};
        assert_int_equal(transfer_do(argv), 0);
        take_file(arena, arena_printf(arena, "%s/i", folder), "image");
        const char *ended = imported(
            arena, arena_printf(arena, SIZE ",\"format\":\"%s\",%s", cases[i].format, declared(arena)), &id);
        assert_string_equal(ended, "failed");
        if (!strstr(why(arena), cases[i].why))
            fail_msg("\"%s\" was wanted, not: %s", cases[i].why, why(arena));
        nothing_came(arena);
        forget_files();
        pg_exec(house.pg, "DELETE FROM transfer_file; DELETE FROM transfer");
    }
}

/* The provider refuses at some point: shell, room and rows are gone, and it may be started again. */
static void what_fails_leaves_nothing(void **state)
{
    static const char *const operations[] = {"instance_prepare", "export_open", "export_close",
                                             "instance_release"};
    ARENA_AUTO struct arena *arena = arena_new();
    const char *id = NULL;
    transfer_run();
    json_t *sealed = exported(arena, "qcow2");
    const char *body = arena_printf(arena, ",\"manifest\":%s", json_canonical(arena, sealed));
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        folder_cloud_fail(operations[i], ERR_DENIED, 1, true);
        const char *ended = id ? transfer_await(start(arena, id), 0) : imported(arena, body, &id);
        assert_string_equal(ended, "failed");
        assert_non_null(strstr(why(arena), "the script says so"));
        nothing_came(arena);
    }
    pg_exec(house.pg, "UPDATE capacity SET total = 1 WHERE endpoint_id = 'd-ext' AND metric = 'vcpu'");
    assert_string_equal(transfer_await(start(arena, id), 0), "failed");
    assert_non_null(strstr(why(arena), "vcpu"));
    nothing_came(arena);
    pg_exec(house.pg, "UPDATE capacity SET total = 64 WHERE endpoint_id = 'd-ext' AND metric = 'vcpu'");
    assert_string_equal(transfer_await(start(arena, id), 0), "succeeded");
    it_came(arena, false);
    forget_files();
}

/* At every boundary with the provider. */
static void killed_and_gone_on(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_run();
    json_t *sealed = exported(arena, "ova");
    transfer_rest(state);
    const char *body =
        arena_printf(arena, "{" PLACE ",\"start\":true,\"manifest\":%s}", json_canonical(arena, sealed));
    int died = 0;
    for (int boundary = 1;; boundary++) {
        transfer_reset(state);
        const char *id = declare(arena, body);
        send_all(arena, id);
        const char *operation = start(arena, id);
        pid_t broker = transfer_broker(boundary);
        const char *ended = transfer_await(operation, broker);
        bool killed = !strcmp(ended, "died");
        if (killed) {
            died++;
            pg_exec(house.pg, "UPDATE job SET run_at = now() WHERE state = 'running'");
            broker = transfer_broker(0);
            ended = transfer_await(operation, broker);
        }
        if (strcmp(ended, "succeeded") != 0)
            fail_msg("boundary %d: %s: %s", boundary, ended, why(arena));
        transfer_kill(broker);
        it_came(arena, true);
        if (!killed)
            break;
    }
    print_message("killed at %d boundaries\n", died);
    assert_true(died >= 8);
    forget_files();
}

static void it_is_deleted_and_it_expires(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    transfer_run();
    take_bytes(arena, "disk.raw", "0123456789abcdef", 16);
    files[0].bytes = xrealloc(files[0].bytes, 512, 1);
    files[0].length = 512;
    memset(files[0].bytes, 'x', 512);
    for (int by_time = 0; by_time < 2; by_time++) {
        const char *id =
            declare(arena, arena_printf(arena, "{" PLACE SIZE ",\"format\":\"raw\",%s}", declared(arena)));
        const char *path = arena_printf(arena, "/v1/imports/%s", id);
        const char *folder = arena_printf(arena, "%s/%s", desk_services()->transfer_dir, id);
        send_all(arena, id);
        assert_int_equal(access(folder, F_OK), 0);
        if (by_time) {
            pg_exec(house.pg,
                    "UPDATE transfer SET expires_at = now() - interval '1 second' WHERE state = 'uploading';"
                    "SELECT job_wake(cleaner_id) FROM transfer WHERE state = 'uploading'");
        } else {
            (void)desk_call(arena, ENGINEER, "GET", path, NULL, 200);
            desk_match = arena_strdup(arena, desk_header("etag"));
            (void)desk_call(arena, ENGINEER, "DELETE", path, NULL, 202);
            desk_match = NULL;
        }
        for (int i = 0; i < 2000 && !access(folder, F_OK); i++)
            (void)usleep(5000);
        assert_int_not_equal(access(folder, F_OK), 0);
        (void)send_piece(arena, id, files, 512, 0, 409);
    }
    forget_files();
}

static int rest(void **state)
{
    forget_files();
    return transfer_rest(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, transfer_reset, rest)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(raw_with_a_manifest),      TEST(qcow2_with_a_manifest),     TEST(vmdk_with_a_manifest),
        TEST(ova_with_a_manifest),      TEST(ova_from_elsewhere),        TEST(pieces_and_offsets),
        TEST(what_is_declared_badly),   TEST(a_false_seal_is_refused),   TEST(what_another_broker_sealed),
        TEST(absurd_sizes_are_refused), TEST(what_is_done_stays),        TEST(a_broken_byte_is_refused),
        TEST(hostile_images),           TEST(what_fails_leaves_nothing), TEST(it_is_deleted_and_it_expires),
        TEST(killed_and_gone_on),
    };
    transfer_maybe_broker(argc, argv);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, transfer_open, transfer_close);
}
