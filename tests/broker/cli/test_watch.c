/* `migrate watch` and `wave watch` against a broker that says what it is told to say: how each ending is told
 * to a script; and that the client's table of states is that of the life of a move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/cli/commands.h"
#include "federation/migration.h"
#include "tests/support/process.h"
#include "tests/support/tls_peer.h"

#define RUN_US (20 * MOMENT_SECOND) /* after that it waits for what does not come */
#define ANSWER_MAX ((size_t)64 * 1024)

/* What the broker says, in turn, the last for ever: states with spaces between. One that ends in ! is in the
 * history alone: it came and went between two looks. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *story, *reason, *trouble, *left_for; /* the last: in the history, of what left the way */
static int looks, waiting; /* of a wave, one of whose hosts has failed: how many others wait */
static struct tls_peer *peer;

/* The history up to look number `look`, and the state then. */
static void put_story(json_t *body, int look)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *history = json_object_get(body, "history");
    for (const char *at = story; *at && look >= 0; at += strspn(at, " ")) {
        size_t length = strcspn(at, " !");
        const char *state = arena_strndup(arena, at, length);
        json_t *one = json_pack("{s:s, s:s}", "event", "e", "to", state);
        json_put_text(one, "reason", !strcmp(state, "cancelling") ? left_for : NULL);
        json_array_append_new(history, one);
        at += length;
        if (*at == '!') {
            at++;
            continue;
        }
        json_put_text(body, "state", state);
        look--;
    }
}

static bool answer(struct tls_peer *to, const struct tls_peer_request *request)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *body =
        json_pack("{s:s, s:s, s:[], s:{s:i, s:i}, s:{s:i, s:i, s:i, s:I, s:i}}", "id", "m", "name", "web-1",
                  "history", "sums", "failed", 1, "waiting", waiting, "progress", "pass", 2, "bytes", 1 << 30,
                  "done_bytes", 1 << 29, "bytes_per_second", (json_int_t)150 << 20, "eta_seconds", 20);
    (void)request;
    (void)pthread_mutex_lock(&lock);
    put_story(body, looks++);
    json_put_text(body, "reason", reason);
    json_put_text(body, "error", trouble);
    (void)pthread_mutex_unlock(&lock);
    const char *text = json_canonical(arena, json_hold(arena, body));
    const char *whole = arena_printf(
        arena, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(text), text);
    return tls_peer_write(to, whole, strlen(whole));
}

/* The client's standard error; its exit code must be `code`, and what it said last must hold `says`. */
static void watches(const char *noun, const char *until, int code, const char *says, struct buf *ret_said)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *const argv[] = {"/bin/sh",
                                "-c",
                                "exec \"$0\" \"$@\" 2>&1 >/dev/null",
                                BINARY_DIR "/yunqiao",
                                "--url",
                                arena_printf(arena, "https://localhost:%d", tls_peer_port(peer)),
                                "--ca-file",
                                tls_peer_ca_file(peer),
                                noun,
                                "watch",
                                "m",
                                until ? "--until" : NULL,
                                until,
                                NULL};
    const char *last = "";
    looks = 0; /* nobody asks now */
    struct process *client = process_start(argv, NULL);
    for (const char *line; (line = process_line(client, RUN_US));) {
        last = arena_strdup(arena, line);
        buf_printf(ret_said, "%s\n", line);
    }
    int status = process_stop(client);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != code || !strstr(last, says) ||
        (code != CLI_DONE && strncmp(last, "yunqiao: ", 9) != 0))
        fail_msg("%s, \"%s\" until %s: status 0x%x instead of exit code %d, or not \"%s\":\n%s", noun, story,
                 until ? until : "it rests", (unsigned)status, code, says, buf_text(ret_said));
}

struct ending {
    const char *story, *until;
    int code;
    const char *says;
};

static void expect(const char *noun, const struct ending *endings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        BUF_AUTO struct buf said = BUF_INIT(ANSWER_MAX);
        story = endings[i].story;
        watches(noun, endings[i].until, endings[i].code, endings[i].says, &said);
    }
}
#define EXPECT(noun, ...)                              \
    expect(noun, (const struct ending[]){__VA_ARGS__}, \
           sizeof(const struct ending[]){__VA_ARGS__} / sizeof(const struct ending))

static int set_up(void **state)
{
    (void)state;
    reason = trouble = left_for = NULL;
    waiting = 1;
    return 0;
}

static void until_it_rests(void **state)
{
    (void)state;
    EXPECT("migrate", {"assessed", NULL, 0, "assessed"}, {"copying synced", NULL, 0, "synced"},
           {"holding", NULL, 0, "holding"}, {"committed", NULL, 0, "committed"},
           {"cancelling cancelled", NULL, 6, "the move is cancelled"},
           {"rolled-back", NULL, 6, "the move is rolled-back"}, {"failed", NULL, 6, "the move is failed"});
    EXPECT("wave", {"draft", NULL, 0, "draft"}, {"paused", NULL, 0, "paused"}, {"done", NULL, 0, "done"},
           {"cancelled", NULL, 6, "the wave is cancelled"});
}

static void until_a_state(void **state)
{
    (void)state;
    EXPECT("migrate", {"synced", "synced", 0, "synced"}, {"testing synced", "synced", 0, "synced"},
           {"cancelled", "cancelled", 0, "cancelled"},
           {"holding rolled-back", "rolled-back", 0, "rolled-back"}, {"failed", "failed", 0, "failed"},
           {"committing committed", "committed", 0, "committed"},
           {"cancelling verifying holding", "holding", 0, "holding"});
    EXPECT("wave", {"done", "done", 0, "done"}, {"paused running", "running", 0, "running"},
           {"cancelled", "cancelled", 0, "cancelled"});
}

static void that_does_not_come(void **state)
{
    (void)state;
    EXPECT("migrate",
           {"rolling-back failed", "rolled-back", 6,
            "the move is failed, and rolled-back does not come without another word"},
           {"failed", "committed", 6, "the move is failed"},
           {"failed", "holding", 6, "the move is failed, and holding does not come"},
           {"verifying rolling-back", "holding", 6,
            "the move is rolling-back, and holding does not come any more"},
           {"rolled-back", "holding", 6, "the move is rolled-back"},
           {"cancelling cancelled", "synced", 6, "the move is cancelling"},
           {"cancelled", "holding", 6, "the move is cancelled"},
           {"committing", "rolled-back", 6, "the move is committing"},
           {"verifying", "cancelled", 6, "the move is verifying, and cancelled does not come any more"},
           {"committed", "failed", 6, "the move is committed"},
           {"cutting-over", "testing", 6, "the move is cutting-over, and testing does not come"});
    EXPECT("wave", {"done", "paused", 6, "the wave is done, and paused does not come any more"},
           {"running cancelled", "done", 6, "the wave is cancelled"},
           {"cancelled", "draft", 6, "the wave is cancelled"});
}

static void that_was_passed(void **state)
{
    (void)state;
    EXPECT("migrate", {"holding", "synced", 0, "holding"}, {"synced", "copying", 0, "synced"},
           {"approved copying! synced", "copying", 0, "synced"}, {"committed", "committing", 0, "committed"},
           {"verifying holding! committing", "holding", 0, "committing"},
           {"synced testing! synced", "testing", 0, "synced"},
           {"testing! synced! cutting-over", "testing", 0, "cutting-over"},
           {"holding rolling-back! rolled-back", "rolling-back", 0, "rolled-back"},
           {"copying cancelling! cancelled", "cancelling", 0, "cancelled"});
    EXPECT("wave", {"done", "running", 0, "done"}, {"running", "draft", 0, "running"});
}

static void that_there_is_not(void **state)
{
    (void)state;
    unsigned before = tls_peer_requests(peer);
    static const char *const nouns[] = {"migrate", "wave"}, *const lists[] = {
                                                                "assessed, consented, approved, ",
                                                                "draft, running, paused, "};
    story = "copying";
    for (size_t i = 0; i < 2; i++) {
        BUF_AUTO struct buf said = BUF_INIT(ANSWER_MAX);
        watches(nouns[i], "holdign", CLI_USAGE, "there is no state \"holdign\"", &said);
        assert_non_null(strstr(buf_text(&said), lists[i]));
        assert_ptr_equal(strchr(buf_text(&said), '\n') + 1, buf_text(&said) + strlen(buf_text(&said)));
    }
    assert_int_equal(tls_peer_requests(peer), before); /* nothing was sent */
}

static void with_failed_hosts_alone(void **state)
{
    (void)state;
    EXPECT("wave", {"running done", NULL, 0, "done"});
    waiting = 0;
    EXPECT("wave", {"running", NULL, 6, "the wave is running: 1 of its hosts failed, and nothing else"},
           {"running", "done", 6, "the wave is running, and done does not come without another word: 1 of"},
           {"running", "running", 0, "running"}, {"paused", NULL, 0, "paused"});
}

/* That of the state before what stands in the way, and this before that of the history; on the one line, with
 * nothing that drives a terminal. */
static void with_the_reason(void **state)
{
    (void)state;
    left_for = "the disk is full";
    EXPECT("migrate", {"cancelling! cancelled", NULL, 6, "the move is cancelled: the disk is full"});
    trouble = "the host \x1b[2J is away";
    EXPECT("migrate", {"failed", "committed", 6, "another word: the host  [2J is away"});
    reason = "no space left";
    EXPECT("migrate", {"cancelled", NULL, 6, "the move is cancelled: no space left"});
    EXPECT("wave", {"cancelled", NULL, 6, "the wave is cancelled: no space left"});
}

static void a_rate_while_bytes_go(void **state)
{
    static const char *const with[] = {"copying", "testing", "cutting-over"}, *const without[] = {
                                                                                  "synced", "verifying",
                                                                                  "holding", "rolling-back",
                                                                                  "cancelling"};
    (void)state;
    for (size_t i = 0; i < sizeof with / sizeof *with; i++) {
        BUF_AUTO struct buf said = BUF_INIT(ANSWER_MAX);
        story = with[i];
        watches("migrate", with[i], 0, "150.0 MiB/s  20 s left", &said);
    }
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        BUF_AUTO struct buf said = BUF_INIT(ANSWER_MAX);
        story = without[i];
        watches("migrate", without[i], 0, "pass 2  512.0 MiB of 1.0 GiB", &said);
        assert_null(strstr(buf_text(&said), "/s"));
        assert_null(strstr(buf_text(&said), "left"));
    }
}

/* --------------------------------------------------------------------------------------- the life of a move
 */

/* All that may hold does. */
static const struct migration_facts good = {.method = MIGRATION_WARM,
                                            .assessed = true,
                                            .planned = true,
                                            .way_back = true,
                                            .consented = true,
                                            .approved = true,
                                            .window = true,
                                            .accepted = true,
                                            .clean = true,
                                            .copied = true,
                                            .test_passed = true,
                                            .source = {.known = true, .there = true, .fenced = true},
                                            .target = {.known = true, .there = true}};

#define SET(state) (1u << (unsigned)(state))

/* What `from` may come to, over all but `without`; a failed one to nothing. A cancellation that comes too
 * late is that of a cut-over, so it leads around nothing. */
static unsigned reach(enum migration_state from, unsigned without)
{
    unsigned reached = 0, looked_at = 0;
    for (unsigned open = SET(from) & ~without; open; open = reached & ~looked_at & ~without)
        for (int state = 0; state < MIGRATION_STATE_COUNT; state++) {
            if (!(open & SET(state)))
                continue;
            looked_at |= SET(state);
            for (int event = 0; state != MIGRATION_FAILED && event < MIGRATION_EVENT_COUNT; event++) {
                enum migration_state to = MIGRATION_STATE_COUNT;
                if (!migration_allows((enum migration_state)state, (enum migration_event)event) ||
                    (without && event == MIGRATION_EVENT_TOO_LATE))
                    continue;
                assert_null(
                    migration_next((enum migration_state)state, (enum migration_event)event, &good, &to));
                reached |= SET(to);
            }
        }
    return reached;
}

/* For each state and each that is awaited: it is waited for only when it may come, lost only when it may not,
 * and passed only when no way leads around it. */
static void as_moves_live(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    (void)state;
    for (int now = 0; now < MIGRATION_STATE_COUNT; now++) {
        const char *name = migration_state_name((enum migration_state)now);
        json_t *move = json_hold(arena, json_pack("{s:s}", "state", name));
        assert_null(cli_migration_check_state(arena, name));
        for (int wanted = 0; wanted < MIGRATION_STATE_COUNT; wanted++) {
            const char *until = migration_state_name((enum migration_state)wanted);
            bool comes = reach((enum migration_state)now, 0) & SET(wanted), good_so = true;
            bool around = now == MIGRATION_ASSESSED || reach(MIGRATION_ASSESSED, SET(wanted)) & SET(now);
            switch (cli_migration_awaited(move, until, 0)) {
            case CLI_AWAITED_COMES:
                good_so = comes;
                break;
            case CLI_AWAITED_LOST:
                good_so = !comes;
                break;
            case CLI_AWAITED_REACHED:
                good_so = now == wanted || !around ||
                          (wanted == MIGRATION_CANCELLING && now == MIGRATION_CANCELLED); /* at once */
                break;
            }
            if (!good_so)
                fail_msg("%s awaited of a move that is %s", until, name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(until_it_rests, set_up),
        cmocka_unit_test_setup(until_a_state, set_up),
        cmocka_unit_test_setup(that_does_not_come, set_up),
        cmocka_unit_test_setup(that_was_passed, set_up),
        cmocka_unit_test_setup(that_there_is_not, set_up),
        cmocka_unit_test_setup(with_failed_hosts_alone, set_up),
        cmocka_unit_test_setup(with_the_reason, set_up),
        cmocka_unit_test_setup(a_rate_while_bytes_go, set_up),
        cmocka_unit_test(as_moves_live),
    };
    static const char *const names[] = {"YUNQIAO_URL", "YUNQIAO_TOKEN", "YUNQIAO_TOKEN_FILE",
                                        "YUNQIAO_CA_FILE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        (void)unsetenv(names[i]);
    peer = tls_peer_start(answer);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tls_peer_stop(peer);
    return failed;
}
