/* Test boots on a real libvirt: the same machine on overlays and on a network that leads nowhere, not a byte
 * changed below, and nothing left behind wherever the broker died. A killed broker is a child of this very
 * program. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/id.h"
#include "broker/base/moment.h"
#include "drivers/driver_move.h"
#include "tests/drivers/kvm/fixture.h"

#define STEPS_LEAST 6 /* of a test's making; fewer would mean that the loop below ended early */
#define STEPS_MOST 30
#define TEXT 65536

#define KEY(text) (&(const struct driver_key){.id = (text)})

/* An instance that waits: off and fenced, with a volume. */
struct waiting {
    struct driver_instance_spec spec;
    const char *volume;
};

static struct waiting wait_here(struct fixture *f, const char *name)
{
    struct driver_call call = fixture_call(f, 60);
    struct waiting waiting = {.spec = fixture_spec(f, name), .volume = id_new_in(f->arena)};
    const struct driver_volume_spec volume = {.id = waiting.volume, .name = "data", .size_gb = 1};
    struct driver_volume made;
    fixture_create(f, &waiting.spec);
    fixture_ok(kvm_driver.instance_stop(f->session, &call, KEY(waiting.spec.id), 0));
    fixture_ok(kvm_driver.volume_create(f->session, &call, &volume, &made));
    fixture_ok(kvm_driver.volume_attach(f->session, &call, KEY(waiting.volume), KEY(waiting.spec.id)));
    fixture_ok(kvm_driver.instance_fence(f->session, &call, KEY(waiting.spec.id)));
    return waiting;
}

static struct error *test_of(struct fixture *f, const struct waiting *waiting, const char *id)
{
    struct driver_call call = fixture_call(f, 60);
    struct driver_instance made;
    return kvm_driver.test_create(f->session, &call, KEY(waiting->spec.id),
                                  &(const struct driver_test_spec){.id = id, .name = "rehearsal"}, &made);
}

static void end_test(struct fixture *f, const char *id)
{
    struct driver_call call = fixture_call(f, 60);
    for (int i = 0; i < 2; i++)
        fixture_ok(kvm_driver.instance_delete(f->session, &call, KEY(id)));
}

static const char *virsh(struct fixture *f, const char *verb, const char *object)
{
    char *text = arena_alloc(f->arena, TEXT);
    const char *const words[] = {verb, object, NULL};
    if (kvmcloud_virsh(f->cloud, text, TEXT, words) != 0)
        fail_msg("virsh %s %s failed", verb, object ? object : "");
    return text;
}

static const char *shell(struct fixture *f, const char *command)
{
    FILE *pipe = popen(command, "re");
    assert_non_null(pipe);
    char *text = arena_alloc(f->arena, TEXT);
    size_t length = fread(text, 1, TEXT - 1, pipe);
    text[length] = '\0';
    assert_int_equal(pclose(pipe), 0);
    return text;
}

/* The files as they lie there, not what a guest would see of them. */
static const char *digests(struct fixture *f, const struct waiting *waiting)
{
    const char *folder = kvmcloud_folder(f->cloud);
    return shell(f,
                 arena_printf(f->arena,
                              "sha256sum %s/standard/yunqiao-%s-system.qcow2"
                              " %s/standard/yunqiao-%s-seed.img %s/standard/yunqiao-%s.qcow2",
                              folder, waiting->spec.id, folder, waiting->spec.id, folder, waiting->volume));
}

static void expect_nothing_of(struct fixture *f, const char *id)
{
    const char *networks = virsh(f, "net-list", "--all"), *domains = virsh(f, "list", "--all");
    assert_null(strstr(networks, "yunqiao-test-"));
    assert_null(strstr(domains, "rehearsal"));
    /* libvirt itself leaves an empty folder for each network's ports in its volatile state. */
    assert_string_equal(shell(f, arena_printf(f->arena, "find %s -not -path '*/run/network/*' -name '*%s*'",
                                              kvmcloud_folder(f->cloud), id)),
                        "");
}

/* The text between two words, without either; the test fails when they are not there. */
static const char *between(struct fixture *f, const char *text, const char *from, const char *to)
{
    const char *begin = strstr(text, from), *end = begin ? strstr(begin + strlen(from), to) : NULL;
    if (!end)
        fail_msg("no \"%s…%s\" in %s", from, to, text);
    begin += strlen(from);
    return arena_strndup(f->arena, begin, (size_t)(end - begin));
}

static void test_is_the_same_machine_that_reaches_nothing(void **state)
{
    struct fixture *f = *state;
    struct waiting waiting = wait_here(f, "tested");
    const char *before = digests(f, &waiting), *id = id_new_in(f->arena);
    struct driver_call call = fixture_call(f, 120);
    for (int i = 0; i < 2; i++)
        fixture_ok(test_of(f, &waiting, id));
    const char *original = virsh(f, "dumpxml", waiting.spec.id), *test = virsh(f, "dumpxml", id);
    static const char *const same[][2] = {{"<mac address='", "'"}, {"<memory", "</memory>"},
                                          {"<vcpu", "</vcpu>"},    {"<type arch", "</type>"},
                                          {"<boot order", ">"},    {"<controller type='scsi'", ">"}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_string_equal(between(f, test, same[i][0], same[i][1]),
                            between(f, original, same[i][0], same[i][1]));
    assert_null(strstr(test, "network='" KVMCLOUD_NETWORK "'"));
    const char *network = virsh(f, "net-dumpxml", between(f, test, "<source network='", "'"));
    assert_null(strstr(network, "<forward"));
    assert_null(strstr(network, "<ip"));
    assert_non_null(strstr(network, "<dns enable='no'"));
    fixture_ok(kvm_driver.instance_start(f->session, &call, KEY(id)));
    fixture_hears(f, id, "yunqiao guest tested ready", 1);
    const char *console;
    size_t length;
    fixture_ok(kvm_driver.instance_console(f->session, &call, KEY(id), TEXT, &console, &length));
    assert_non_null(strstr(console, "yunqiao guest tested disk"));
    assert_null(strstr(console, "yunqiao guest tested address")); /* nobody answered its DHCP */
    /* It is no place for others, and what it is a test of stays as it is. */
    struct driver_inventory inventory;
    fixture_ok(kvm_driver.inventory(f->session, &call, &inventory));
    for (size_t i = 0; i < inventory.network_count; i++)
        assert_int_not_equal(strncmp(inventory.networks[i].name, "yunqiao-test-", 13), 0);
    fixture_fails(kvm_driver.instance_release(f->session, &call, KEY(waiting.spec.id)), ERR_CONFLICT);
    fixture_fails(kvm_driver.instance_release(f->session, &call, KEY(id)), ERR_CONFLICT);
    fixture_fails(kvm_driver.instance_fence(f->session, &call, KEY(id)), ERR_CONFLICT);
    end_test(f, id);
    expect_nothing_of(f, id);
    assert_string_equal(digests(f, &waiting), before);
    fixture_ok(kvm_driver.instance_release(f->session, &call, KEY(waiting.spec.id)));
    fixture_ok(kvm_driver.instance_start(f->session, &call, KEY(waiting.spec.id)));
}

/* Its network is transient: the host has started anew, say. */
static void test_network_is_made_again(void **state)
{
    struct fixture *f = *state;
    struct waiting waiting = wait_here(f, "again");
    const char *id = id_new_in(f->arena);
    struct driver_call call = fixture_call(f, 60);
    fixture_ok(test_of(f, &waiting, id));
    (void)virsh(f, "net-destroy", arena_printf(f->arena, "yunqiao-test-%s", id));
    fixture_fails(kvm_driver.instance_start(f->session, &call, KEY(id)), ERR_NOT_FOUND);
    fixture_ok(test_of(f, &waiting, id));
    fixture_ok(kvm_driver.instance_start(f->session, &call, KEY(id)));
    end_test(f, id);
    expect_nothing_of(f, id);
}

static void test_wants_it_off_and_fenced(void **state)
{
    struct fixture *f = *state;
    const char *id = id_new_in(f->arena);
    struct driver_call call = fixture_call(f, 60);
    struct waiting waiting = {.spec = fixture_spec(f, "runs")};
    fixture_fails(test_of(f, &waiting, id), ERR_NOT_FOUND);
    fixture_create(f, &waiting.spec);
    fixture_fails(test_of(f, &waiting, id), ERR_CONFLICT);
    fixture_ok(kvm_driver.instance_stop(f->session, &call, KEY(waiting.spec.id), 0));
    fixture_fails(test_of(f, &waiting, id), ERR_CONFLICT);
    fixture_ok(kvm_driver.instance_fence(f->session, &call, KEY(waiting.spec.id)));
    fixture_fails(test_of(f, &waiting, waiting.spec.id), ERR_EXISTS);
    expect_nothing_of(f, id);
}

/* --- killed --- */

static bool count_down(void *context, int percent, const char *step)
{
    int *left = context;
    if (--*left <= 0)
        (void)kill(getpid(), SIGKILL);
    return true;
}

/* argv: --test URL ACCEL ORIGINAL TEST STEPS. The child's whole life. */
static int be_the_broker(char **argv)
{
    struct arena *arena = arena_new();
    json_t *options = json_pack("{s:s}", "accel", argv[3]);
    const struct driver_endpoint endpoint = {
        .id = "child", .url = argv[2], .options = options, .timeout_us = 10 * MOMENT_SECOND};
    struct driver_call call = {.arena = arena, .deadline_us = moment_monotonic() + 60 * MOMENT_SECOND};
    int left = (int)strtol(argv[6], NULL, 10);
    struct driver_session *session;
    struct driver_instance made;
    struct error *error = kvm_driver.open(&endpoint, &call, &session);
    if (error)
        return 2;
    call.progress = count_down;
    call.context = &left;
    error =
        kvm_driver.test_create(session, &call, KEY(argv[4]),
                               &(const struct driver_test_spec){.id = argv[5], .name = "rehearsal"}, &made);
    int result = error ? 3 : 0;
    error_free(error);
    kvm_driver.close(session);
    json_decref(options);
    arena_free(arena);
    return result;
}

static int broker(struct fixture *f, const char *original, const char *test, int steps)
{
    struct driver_endpoint endpoint = kvmcloud_endpoint(f->cloud);
    const char *accel = json_string_value(json_object_get(endpoint.options, "accel"));
    char program[] = "/proc/self/exe", word[] = "--test";
    char *argv[] = {program,
                    word,
                    arena_strdup(f->arena, endpoint.url),
                    arena_strdup(f->arena, accel),
                    arena_strdup(f->arena, original),
                    arena_strdup(f->arena, test),
                    arena_printf(f->arena, "%d", steps),
                    NULL};
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execv(program, argv);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return status;
}

static void test_killed_between_steps(void **state)
{
    struct fixture *f = *state;
    struct waiting waiting = wait_here(f, "killed");
    const char *before = digests(f, &waiting);
    int steps = 1, status = 0;
    for (; steps <= STEPS_MOST; steps++) {
        const char *id = id_new_in(f->arena);
        status = broker(f, waiting.spec.id, id, steps);
        if (WIFSIGNALED(status))
            assert_int_equal(WTERMSIG(status), SIGKILL);
        else
            assert_int_equal(WEXITSTATUS(status), 0);
        if (steps % 2) /* a repeat finishes it */
            fixture_ok(test_of(f, &waiting, id));
        end_test(f, id);
        expect_nothing_of(f, id);
        if (WIFEXITED(status))
            break;
    }
    assert_in_range(steps, STEPS_LEAST, STEPS_MOST - 1);
    assert_string_equal(digests(f, &waiting), before);
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "--test") == 0)
        return be_the_broker(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_is_the_same_machine_that_reaches_nothing, fixture_begin,
                                        fixture_end),
        cmocka_unit_test_setup_teardown(test_network_is_made_again, fixture_begin, fixture_end),
        cmocka_unit_test_setup_teardown(test_wants_it_off_and_fenced, fixture_begin, fixture_end),
        cmocka_unit_test_setup_teardown(test_killed_between_steps, fixture_begin, fixture_end),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
