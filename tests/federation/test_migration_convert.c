/* Moves whose guest is converted, by the real job over real copies, with converters that are scripts: that do
 * it, fail, hang, are cut short. Never is a target released that is not converted as it was asked, or that an
 * earlier attempt has half converted. */
#include "federation/migration_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/moment.h"
#include "tests/federation/move_scene.h"

#define MARK_AT (1L << 20) /* where the guest's journal does not come */
#define CONVERSION \
    "SELECT conversion ->> 'state' || coalesce(': ' || (conversion ->> 'why'), '') FROM migration"

/* A converter for all disks of its guest; what it does with `$disk` is the test's. */
static void converter(const char *body)
{
    char *path = xasprintf("%s/converter", pg_folder(scene.pg));
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fprintf(file,
                        "#!/bin/bash\nset -e\nhere=%s\necho converting\n"
                        "for disk in $(grep -o 'nbd+unix:[^\"]*' \"$3\"); do\n%s\ndone\n",
                        pg_folder(scene.pg), body) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0700), 0);
    (void)setenv("MOVE_CONVERTER", path, 1);
    char *begun = xasprintf("%s/begun", pg_folder(scene.pg));
    (void)unlink(begun); /* of the test before */
    free(begun);
    free(path);
}

#define CONVERTS "qemu-io -f raw -c \"write -q -P 0x5a 1M 4k\" \"$disk\""
#define SPOILS "qemu-io -f raw -c \"write -q -P 0x66 0 64k\" -c flush \"$disk\"; touch $here/begun"

/* Up to the cut-over, of a guest of this system. */
static pid_t cut_over(const char *guest, const char *mode)
{
    (void)setenv("MOVE_GUEST", guest, 1);
    scene_begin("folder", MIGRATION_WARM, 0);
    char *sql =
        xasprintf("UPDATE migration SET conversion = '{\"mode\": \"%s\", \"state\": \"planned\"}'", mode);
    pg_exec(scene.pg, sql);
    free(sql);
    scene_say(MIGRATION_EVENT_START);
    pid_t broker = scene_broker(0);
    assert_true(scene_await(broker, "synced"));
    scene_say(MIGRATION_EVENT_CUTOVER);
    return broker;
}

static bool converted(const char *folder)
{
    unsigned char byte = 0;
    char *path = xasprintf("%s/%s-0.raw", folder, MOVE_INSTANCE);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    assert_true(fseek(file, MARK_AT, SEEK_SET) == 0 && fread(&byte, 1, 1, file) == 1);
    (void)fclose(file); /* read only */
    free(path);
    return byte == 0x5a;
}

/* Neither manifests nor the converter's own files. */
static void expect_no_files(void)
{
    DIR *dir = opendir(scene.copies);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            fail_msg("%s was left behind", entry->d_name);
    (void)closedir(dir);
}

static void commit(pid_t broker)
{
    for (int i = 0; i < 5; i++)
        scene_guest(); /* it boots from what it finds */
    scene_accept();
    scene_say(MIGRATION_EVENT_COMMIT);
    assert_true(scene_await(broker, "committed"));
    scene_check(true);
    expect_no_files();
    scene_kill(broker);
}

static void a_guest_is_converted(void **state)
{
    converter(CONVERTS);
    pid_t broker = cut_over("debian12", "auto");
    assert_true(scene_await(broker, "holding"));
    assert_true(converted(scene.target));
    assert_false(converted(scene.source));
    scene_expect(CONVERSION, "done");
    scene_expect(
        "SELECT conversion ->> 'log' LIKE 'converting%' AND (conversion ->> 'elapsed_ms')::bigint > 0"
        " FROM migration",
        "t");
    commit(broker);
}

static void one_that_is_not_known_is_skipped(void **state)
{
    converter("exit 1");
    pid_t broker = cut_over("otherGuest", "auto");
    assert_true(scene_await(broker, "holding"));
    scene_expect(CONVERSION, "skipped: the converter does not know the guest's system (otherGuest)");
    commit(broker);
}

static void expect_cancelled(pid_t broker, const char *wanted)
{
    assert_true(scene_await(broker, "cancelled"));
    struct folder_machine source = folder_cloud_look(scene.source, MOVE_INSTANCE);
    assert_true(source.there && source.running && !source.fenced);
    assert_false(folder_cloud_look(scene.target, MOVE_INSTANCE).there);
    scene_expect("SELECT count(*) FROM migration_ledger WHERE removed_at IS NULL", "0");
    for (int i = 0; i < 5; i++)
        scene_guest(); /* it has all that it had */
    expect_no_files();
    scene_expect(CONVERSION, wanted);
    scene_kill(broker);
}

static void without_a_converter(void **state)
{
    (void)setenv("MOVE_CONVERTER", "/nonexistent", 1);
    pid_t broker = cut_over("debian12", "auto");
    assert_true(scene_await(broker, "holding"));
    scene_expect(CONVERSION, "skipped: /nonexistent is not installed");
    commit(broker);
    broker = cut_over("debian12", "required");
    expect_cancelled(broker, "planned");
    scene_expect("SELECT count(*) FROM migration_history WHERE to_state = 'cancelling' AND why LIKE"
                 " '%has to be converted: /nonexistent is not installed%'",
                 "1");
}

/* The source runs again, with all that it had. */
static void one_that_fails(void **state)
{
    converter(SPOILS "; echo no root device; exit 1");
    pid_t broker = cut_over("debian12", "auto");
    char *wanted = xasprintf("failed: %s/converter ended with 1: no root device", pg_folder(scene.pg));
    expect_cancelled(broker, wanted);
    free(wanted);
}

static void one_that_kills_itself(void **state)
{
    converter(SPOILS "; kill -KILL $$");
    pid_t broker = cut_over("debian12", "auto");
    char *wanted = xasprintf("failed: %s/converter was ended by signal 9: converting", pg_folder(scene.pg));
    expect_cancelled(broker, wanted);
    free(wanted);
}

static void one_that_hangs(void **state)
{
    converter(SPOILS "; sleep 600");
    pid_t broker = cut_over("debian12", "auto");
    char *wanted =
        xasprintf("failed: %s/converter: the conversion took longer than 20 s", pg_folder(scene.pg));
    expect_cancelled(broker, wanted);
    free(wanted);
}

static void await_begun(void)
{
    char *begun = xasprintf("%s/begun", pg_folder(scene.pg));
    for (int i = 0; access(begun, F_OK) != 0; i++) {
        assert_true(i < 6000);
        (void)usleep(10000); /* a file tells nobody that it came */
    }
    free(begun);
}

/* The broker dies while it converts: all is copied again, and converted once more. */
static void cut_short(void **state)
{
    converter("[ -e $here/begun ] || { " SPOILS "; sleep 600; }; " CONVERTS);
    pid_t broker = cut_over("debian12", "auto");
    await_begun();
    scene_kill(broker);
    broker = scene_broker(0);
    assert_true(scene_await(broker, "holding"));
    assert_true(converted(scene.target));
    scene_expect(CONVERSION, "done");
    scene_expect("SELECT string_agg(disk || ' ' || kind || coalesce(' ' || why, ''), ',' ORDER BY pass, disk)"
                 " FROM migration_pass WHERE pass = 3",
                 "sda full a conversion was cut short,sdb full a conversion was cut short");
    commit(broker);
}

/* It failed and was written down, and the broker died before the move was told: the disks are as torn. */
static void failed_and_not_told(void **state)
{
    converter("[ -e $here/begun ] || { " SPOILS "; sleep 600; }; " CONVERTS);
    pid_t broker = cut_over("debian12", "required");
    await_begun();
    scene_kill(broker);
    pg_exec(scene.pg, "UPDATE migration SET conversion = jsonb_set(conversion, '{state}', '\"failed\"')");
    broker = scene_broker(0);
    assert_true(scene_await(broker, "holding"));
    assert_true(converted(scene.target));
    scene_expect(CONVERSION, "done");
    commit(broker);
}

/* Whoever is there to see it dies each time: not for ever. */
static void cut_short_again_and_again(void **state)
{
    converter(SPOILS "; sleep 600");
    pid_t broker = cut_over("debian12", "auto");
    char *begun = xasprintf("%s/begun", pg_folder(scene.pg));
    for (int i = 0; i < 2; i++) {
        await_begun();
        scene_kill(broker);
        assert_int_equal(unlink(begun), 0);
        broker = scene_broker(0);
    }
    free(begun);
    expect_cancelled(broker, "planned");
    scene_expect("SELECT count(*) FROM migration_history WHERE to_state = 'cancelling' AND why LIKE"
                 " '%the conversion was cut short 2 times%'",
                 "1");
}

/* A word while it converts ends it at once. */
static void cancelled_meanwhile(void **state)
{
    converter(SPOILS "; sleep 600");
    pid_t broker = cut_over("debian12", "auto");
    await_begun();
    scene_say(MIGRATION_EVENT_CANCEL);
    expect_cancelled(broker, "running");
}

/* So does a consent that does not count any more. */
static void consent_withdrawn_meanwhile(void **state)
{
    converter(SPOILS "; sleep 600");
    pid_t broker = cut_over("debian12", "auto");
    await_begun();
    scene_withdraw_consent();
    pg_exec(scene.pg, "UPDATE migration SET version = version + 1"); /* as /v1/consents does */
    expect_cancelled(broker, "running");
}

/* Other terms are none of its business: it is not begun anew, nor is anything copied again. */
static void other_terms_meanwhile(void **state)
{
    converter("touch $here/begun; until [ -e $here/go ]; do sleep 0.1; done; " CONVERTS);
    pid_t broker = cut_over("debian12", "auto");
    await_begun();
    pg_exec(scene.pg, "UPDATE migration SET bandwidth = 1000000000, version = version + 1");
    (void)sleep(3); /* it asks each second */
    char *go = xasprintf("%s/go", pg_folder(scene.pg));
    FILE *file = fopen(go, "we");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_true(scene_await(broker, "holding"));
    assert_int_equal(unlink(go), 0);
    free(go);
    assert_true(converted(scene.target));
    scene_expect(CONVERSION, "done");
    scene_expect("SELECT conversion ->> 'attempts' FROM migration", "1");
    scene_expect("SELECT max(pass) FROM migration_pass", "2");
    commit(broker);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_is_converted),
        cmocka_unit_test(one_that_is_not_known_is_skipped),
        cmocka_unit_test(without_a_converter),
        cmocka_unit_test(one_that_fails),
        cmocka_unit_test(one_that_kills_itself),
        cmocka_unit_test(one_that_hangs),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(failed_and_not_told),
        cmocka_unit_test(cut_short_again_and_again),
        cmocka_unit_test(cancelled_meanwhile),
        cmocka_unit_test(consent_withdrawn_meanwhile),
        cmocka_unit_test(other_terms_meanwhile),
    };
    scene_maybe_broker(argc, argv);
    return cmocka_run_group_tests(tests, scene_open, scene_close);
}
