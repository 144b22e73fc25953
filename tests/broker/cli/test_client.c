/* The real client against a real broker: every exit code, tables and JSON, and an order of what the broker
 * fulfils alone (an Internet address and bandwidth) followed to its end. */
#include <fcntl.h>
#include <ftw.h>
#include <locale.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/cli/cli.h"
#include "tests/support/process.h"

#define START_MS 120000
#define RUN_MS 60000
#define WORDS_MAX 40
#define OUTPUT_MAX ((size_t)1024 * 1024)
#define NARROW 120 /* columns that every table fits */

extern char **environ;

static struct arena *arena;
static struct process *broker;
static char folder[] = "/tmp/yunqiao-cli-XXXXXX";
static const char *url, *token_file, *ca_file;

struct outcome {
    int code;
    const char *out, *err;
};

static const char *in_folder(const char *name)
{
    return arena_printf(arena, "%s/%s", folder, name);
}

static const char *read_whole(const char *path)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    char *text = arena_alloc(arena, OUTPUT_MAX + 1);
    size_t length = fread(text, 1, OUTPUT_MAX, file);
    text[length] = '\0';
    fclose(file);
    return text;
}

static void write_whole(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

/* Waits for the child's end; kills it when that does not come. */
static int wait_code(pid_t pid)
{
    int status = -1, handle = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {.fd = handle, .events = POLLIN};
    if (handle < 0 || poll(&ended, 1, RUN_MS) != 1)
        kill(pid, SIGKILL); /* not reaped yet: the id is right */
    close(handle);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs the client with these words as they are. */
static struct outcome run_plain(const char *const *words)
{
    const char *argv[WORDS_MAX] = {BINARY_DIR "/yunqiao"};
    const char *out = in_folder("out"), *err = in_folder("err");
    posix_spawn_file_actions_t actions;
    pid_t pid;
    for (size_t i = 0; words[i]; i++) {
        assert_true(i + 2 < WORDS_MAX);
        argv[i + 1] = words[i];
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    struct outcome outcome = {.code = wait_code(pid)};
    outcome.out = read_whole(out);
    outcome.err = read_whole(err);
    return outcome;
}

/* With the broker's address, its certificate and a token. */
static struct outcome run_as(const char *token, const char *const *words)
{
    const char *all[WORDS_MAX] = {"--url", url, "--ca-file", ca_file, "--token-file", token};
    for (size_t i = 0; words[i]; i++) {
        assert_true(i + 7 < WORDS_MAX);
        all[i + 6] = words[i];
    }
    return run_plain(all);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define RUN(...) run_as(token_file, WORDS(__VA_ARGS__))

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += *text == '\n';
    return count;
}

/* Exits with `code`, prints nothing, and says in one line what is wrong. */
static void complains(struct outcome outcome, int code, const char *what)
{
    if (outcome.code != code || !strstr(outcome.err, what))
        fail_msg("exit %d instead of %d, or not \"%s\": %s", outcome.code, code, what, outcome.err);
    assert_string_equal(outcome.out, "");
    assert_int_equal(count_lines(outcome.err), 1);
    assert_memory_equal(outcome.err, "yunqiao: ", 9);
}

static void succeeds(struct outcome outcome)
{
    if (outcome.code != CLI_DONE)
        fail_msg("exit %d: %s", outcome.code, outcome.err);
}

static json_t *json_of(struct outcome outcome)
{
    json_error_t why;
    succeeds(outcome);
    json_t *json = json_loads(outcome.out, 0, &why);
    assert_non_null(json);
    return json_hold(arena, json);
}

static const char *this_month(void)
{
    struct timespec now;
    char text[8];
    clock_gettime(CLOCK_REALTIME, &now);
    month_format(month_of((moment)now.tv_sec * MOMENT_SECOND), text);
    return arena_strdup(arena, text);
}

static void test_help(void **state)
{
    (void)state;
    struct outcome outcome = run_plain(WORDS("--help"));
    succeeds(outcome);
    assert_non_null(strstr(outcome.out, "\n  catalog items "));
    assert_non_null(strstr(outcome.out, "Exit codes: 0 done"));
    for (const char *at = outcome.out; *at; at += strcspn(at, "\n") + 1)
        assert_true(strcspn(at, "\n") <= NARROW);
    outcome = run_plain(WORDS("instance", "resize", "--help"));
    succeeds(outcome);
    assert_int_equal(count_lines(outcome.out), 2);
    assert_non_null(strstr(outcome.out, "yunqiao instance resize ID [--vcpu N]"));
    outcome = run_plain(WORDS("--complete-words"));
    succeeds(outcome);
    assert_non_null(strstr(outcome.out, "\ncatalog security\n"));
    outcome = run_plain(WORDS("--version"));
    succeeds(outcome);
    assert_memory_equal(outcome.out, "yunqiao 0.", 10);
}

static void test_usage(void **state)
{
    (void)state;
    complains(run_plain(WORDS("whoami")), CLI_USAGE, "which broker?");
    complains(run_plain(WORDS("--json")), CLI_USAGE, "which command?");
    complains(RUN("fly"), CLI_USAGE, "there is no command \"fly\"");
    complains(RUN("fl\x1by"), CLI_USAGE, "there is no command \"fl y\"");
    complains(RUN("volume", "fly"), CLI_USAGE, "volume takes one of: list, show, attach");
    complains(RUN("cloud", "show"), CLI_USAGE, "ID is missing; usage: yunqiao cloud show ID");
    complains(RUN("cloud", "list", "--colour", "red"), CLI_USAGE, "--colour is not a flag of this command");
    complains(RUN("cloud", "list", "gov-a"), CLI_USAGE, "\"gov-a\" is one argument too many");
    complains(RUN("cloud", "list", "--kind"), CLI_USAGE, "--kind needs a value");
    complains(RUN("quota", "set", "u100", "gov-a", "--vcpu", "4x"), CLI_USAGE,
              "--vcpu must be a whole number");
    complains(RUN("order", "--system", "u100001"), CLI_USAGE, "nothing is ordered");
    complains(RUN("order", "--instance", "vcpu"), CLI_USAGE, "\"vcpu\" is not of the form member=value");
    complains(RUN("bid", "submit", "prov-a", "/nowhere"), CLI_USAGE, "could not open /nowhere");
    complains(RUN("api", "POST", "/v1/quotes", "{"), CLI_USAGE, "BODY");
}

/* A port that is taken and where nobody listens. */
static void test_no_broker(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)state;
    assert_int_equal(bind(taken, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(getsockname(taken, (struct sockaddr *)&address, &size), 0);
    const char *nowhere = arena_printf(arena, "https://127.0.0.1:%d", ntohs(address.sin_port));
    complains(run_plain(WORDS("--url", nowhere, "whoami")), CLI_UNREACHABLE, "no answer from");
    close(taken);
    /* A certificate that nobody vouched for is not spoken to. */
    complains(run_plain(WORDS("--url", url, "--token-file", token_file, "whoami")), CLI_UNREACHABLE,
              "certificate");
    complains(run_plain(WORDS("--url", "http://127.0.0.1:1", "whoami")), CLI_UNREACHABLE, "no answer from");
}

static void test_denied(void **state)
{
    (void)state;
    const char *wrong = in_folder("wrong.token");
    write_whole(wrong, "not.a.token\n");
    complains(run_as(wrong, WORDS("whoami")), CLI_DENIED, "(HTTP 401)");
    complains(run_plain(WORDS("--url", url, "--ca-file", ca_file, "whoami")), CLI_DENIED, "(HTTP 401)");
    succeeds(RUN("principal", "add", "watcher", "--role", "auditor"));
    struct outcome issued = RUN("token", "issue", "watcher", "--expires-in", "600");
    succeeds(issued);
    assert_int_equal(count_lines(issued.out), 1);
    write_whole(in_folder("watcher.token"), issued.out);
    json_t *me = json_of(run_as(in_folder("watcher.token"), WORDS("whoami", "--json")));
    assert_string_equal(json_string_value(json_object_get(me, "role")), "auditor");
    complains(
        run_as(in_folder("watcher.token"), WORDS("unit", "add", "u9", "--name", "x", "--kind", "school")),
        CLI_DENIED, "(HTTP 403)");
}

static void test_refusals(void **state)
{
    (void)state;
    complains(RUN("cloud", "show", "nowhere"), CLI_NOT_FOUND, "no such cloud (HTTP 404)");
    complains(RUN("provider", "add", "prov-a", "--name", "again"), CLI_CONFLICT, "(HTTP 409)");
    struct outcome outcome = RUN("unit", "add", "u9", "--kind", "castle");
    assert_int_equal(outcome.code, CLI_REFUSED);
    assert_string_equal(outcome.out, "");
    assert_int_equal(count_lines(outcome.err), 3); /* what, and a line for each bad member */
    assert_non_null(strstr(outcome.err, "\n  /name: "));
    assert_non_null(strstr(outcome.err, "\n  /kind: "));
    complains(RUN("unit", "add", "u9", "--name", "n", "--kind", "castle"), CLI_REFUSED, "/kind: ");
}

static void test_tables(void **state)
{
    (void)state;
    struct outcome outcome = RUN("catalog", "items");
    succeeds(outcome);
    assert_int_equal(count_lines(outcome.out), 24);
    assert_memory_equal(outcome.out, "CODE  NAME ", 11);
    assert_non_null(strstr(outcome.out, "…"));
    for (const char *at = outcome.out; *at; at += strcspn(at, "\n") + 1)
        assert_true(cli_width(arena_strndup(arena, at, strcspn(at, "\n"))) <= NARROW);
    outcome = RUN("catalog", "items", "--wide");
    succeeds(outcome);
    assert_null(strstr(outcome.out, "…"));
    json_t *items = json_of(RUN("catalog", "items", "--json"));
    assert_int_equal(json_array_size(items), 23);
    outcome = RUN("cloud", "list");
    succeeds(outcome);
    assert_string_equal(outcome.out, "CLOUD  NAME      KIND     GROUP       PROVIDER  STATE\n"
                                     "gov-a  政务云甲  service  government  prov-a    active\n");
    outcome = RUN("cloud", "show", "gov-a");
    succeeds(outcome);
    assert_non_null(strstr(outcome.out, "\n  - id:   dc1\n    name: 一号机房\n"));
    assert_null(strstr(outcome.out, "pool_v6")); /* what there is not is not shown, at any depth */
}

static void test_any_call(void **state)
{
    (void)state;
    /* PATCH with If-Match, which the client fetches, and one that needs none */
    json_t *unit = json_of(RUN("api", "PATCH", "/v1/units/u100", "{\"name\": \"统计局\"}"));
    assert_string_equal(json_string_value(json_object_get(unit, "name")), "统计局");
    succeeds(RUN("api", "PATCH", "/v1/units/u100/quotas/gov-a", "{\"addresses\": 5}"));
    struct outcome outcome = RUN("api", "GET", "/v1/openapi.yaml");
    succeeds(outcome);
    assert_memory_equal(outcome.out, "openapi: 3.1.0", 14);
}

static void test_quote(void **state)
{
    (void)state;
    struct outcome outcome = RUN("quote", "--bandwidth", "mbps=10", "--months", "2");
    succeeds(outcome);
    assert_int_equal(count_lines(outcome.out), 2);
    json_t *quotes =
        json_object_get(json_of(RUN("quote", "--bandwidth", "mbps=10", "--months", "2", "--json")), "quotes");
    json_t *lines = json_object_get(json_array_get(quotes, 0), "lines");
    assert_string_equal(json_string_value(json_object_get(json_array_get(lines, 0), "quantity")), "10");
}

static void test_order(void **state)
{
    (void)state;
    struct outcome outcome =
        RUN("order", "--unit", "u100", "--system", "u100001", "--cloud", "gov-a", "--address",
            "name=ip-1,zone=net", "--bandwidth", "name=bw-1,mbps=50,zone=net", "--json");
    json_t *order = json_of(outcome);
    const char *id = json_string_value(json_object_get(order, "id"));
    assert_string_equal(json_string_value(json_object_get(order, "state")), "fulfilled"); /* as it ended */
    assert_non_null(strstr(outcome.err, "100 %")); /* the operation was followed to its end */
    order = json_of(RUN("order", "show", id, "--json"));
    assert_string_equal(json_string_value(json_object_get(order, "state")), "fulfilled");
    outcome = RUN("address", "list");
    succeeds(outcome);
    assert_non_null(strstr(outcome.out, "198.51.100."));
    json_t *usage = json_of(RUN("usage", "list", "--unit", "u100", "--json"));
    assert_int_equal(json_array_size(usage), 2);
    complains(RUN("order", "--unit", "u100", "--system", "u100001", "--cloud", "gov-a", "--bandwidth",
                  "name=bw-2,mbps=5000,zone=net"),
              CLI_CONFLICT, "has 1000 bandwidth_mbps, of which 950 are left");
    complains(RUN("export", this_month(), "--format", "focus", "--output", in_folder("lines.csv")),
              CLI_CONFLICT, "is not closed");
    assert_int_equal(access(in_folder("lines.csv"), F_OK), -1);
    assert_int_equal(access(in_folder("lines.csv.part"), F_OK), -1);
    complains(RUN("export", "--format", "csv"), CLI_USAGE, "MONTH");
    outcome = RUN("statement", this_month());
    succeeds(outcome);
    assert_non_null(strstr(outcome.out, "\nu100  gov-a  prov-a "));
    /* give the address back, and look the operation up */
    json_t *address = json_array_get(json_of(RUN("address", "list", "--json")), 0);
    id = json_string_value(json_object_get(address, "id"));
    json_t *operation = json_of(RUN("address", "delete", id, "--json"));
    assert_string_equal(json_string_value(json_object_get(operation, "state")), "succeeded");
    complains(RUN("operation", "retry", json_string_value(json_object_get(operation, "id"))), CLI_CONFLICT,
              "only a failed or cancelled operation is tried again");
    succeeds(RUN("audit", "verify"));
}

/* Cases come from inventories, which this broker takes none of; the word on one is in tests/e2e. */
static void test_drift(void **state)
{
    static const char nothing[] = "00000000-0000-4000-8000-000000000000";
    (void)state;
    assert_int_equal(json_array_size(json_of(RUN("drift", "list", "--state", "refused", "--json"))), 0);
    complains(RUN("drift", "list", "--state", "dismissed"), CLI_REFUSED, "must be open, refused or resolved");
    complains(RUN("drift", "show", nothing), CLI_NOT_FOUND, "no such drift");
    complains(RUN("drift", "accept", nothing, "--reason", "r"), CLI_NOT_FOUND, "no such drift");
    complains(RUN("drift", "refuse", nothing, "--reason", "r", "--case-version", "1"), CLI_NOT_FOUND,
              "no such drift");
    complains(RUN("drift", "refuse", nothing, "--case-version", "1"), CLI_REFUSED, "reason");
    complains(RUN("drift", "adopt", nothing), CLI_USAGE, "drift takes one of: list, show, accept, refuse");
}

/* The list of open fulfilments once it has `wanted` rows. */
static json_t *await_fulfilments(size_t wanted)
{
    int64_t until = moment_monotonic() + RUN_MS * (MOMENT_SECOND / 1000);
    json_t *list;
    do
        list = json_of(RUN("fulfilment", "list", "--cloud", "gov-a", "--json"));
    while (json_array_size(list) != wanted && moment_monotonic() < until);
    assert_int_equal(json_array_size(list), wanted);
    return list;
}

/* Ordered by the unit, done by the provider's operator. */
static void test_fulfilment(void **state)
{
    (void)state;
    json_t *order = json_of(RUN("order", "--no-wait", "--unit", "u100", "--system", "u100001", "--cloud",
                                "gov-a", "--server",
                                "name=db-1,configuration=2,architecture=ARM,zone=net,reason=its own HBA,"
                                "sata_4tb=2",
                                "--certificate", "name=www,domains=www.example.cn+m.example.cn", "--json"));
    const char *id = json_string_value(json_object_get(order, "id"));
    json_t *list = await_fulfilments(2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *one = json_array_get(list, i);
        const char *key = json_string_value(json_object_get(one, "id"));
        if (!strcmp(json_string_value(json_object_get(one, "kind")), "certificate"))
            assert_int_equal(json_array_size(json_object_get(json_object_get(one, "spec"), "domains")), 2);
        complains(RUN("fulfilment", "complete", key), CLI_REFUSED, "reference");
        succeeds(RUN("fulfilment", "complete", key, "--reference", "R-1", "--address", "10.20.0.7"));
        complains(RUN("fulfilment", "refuse", key, "--reason", "too late"), CLI_CONFLICT,
                  "not open any more");
    }
    order = json_of(RUN("order", "show", id, "--json"));
    succeeds(RUN("operation", "wait", json_string_value(json_object_get(order, "operation"))));
    struct outcome outcome = RUN("resource", "list", "--kind", "server");
    succeeds(outcome);
    assert_non_null(strstr(outcome.out, "db-1"));
    assert_non_null(strstr(outcome.out, "active"));
    const json_t *server = json_array_get(json_of(RUN("resource", "list", "--kind", "server", "--json")), 0);
    succeeds(RUN("resource", "delete", "--no-wait", json_string_value(json_object_get(server, "id"))));
    list = await_fulfilments(1);
    outcome = RUN("fulfilment", "list");
    succeeds(outcome);
    assert_memory_equal(outcome.out, "FULFILMENT ", 11);
    for (const char *at = outcome.out; *at; at += strcspn(at, "\n") + 1)
        assert_true(cli_width(arena_strndup(arena, at, strcspn(at, "\n"))) <= NARROW);
    succeeds(RUN("fulfilment", "refuse", json_string_value(json_object_get(json_array_get(list, 0), "id")),
                 "--reason", "still under lease"));
    (void)await_fulfilments(0);
}

static const char *usage_event(const char *id, const char *cloud)
{
    char at[MOMENT_TEXT];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    moment_format((moment)now.tv_sec * MOMENT_SECOND, at);
    return arena_printf(arena,
                        "{\"specversion\":\"1.0\",\"type\":\"cn.yunqiao.usage.state.v1\",\"source\":"
                        "\"/providers/prov-a/m\",\"id\":\"%s\",\"subject\":\"waf-1\",\"time\":\"%s\","
                        "\"data\":{\"unit\":\"u100\",\"system\":\"u100001\",\"cloud\":\"%s\",\"items\":"
                        "[{\"item\":\"1023\",\"quantity\":\"1\"}]}}\n",
                        id, at, cloud);
}

/* More than a batch of lines, with one that is bad; the same again; and one JSON text. */
/* The digest is made of the file here; a unit's administrator alone gives and withdraws. */
static void test_consent(void **state)
{
    (void)state;
    const char *letter = in_folder("letter"), *token = in_folder("owner.token");
    write_whole(letter, "abc"); /* the vector of GB/T 32905 */
    succeeds(RUN("principal", "add", "owner", "--role", "unit-admin", "--unit", "u100"));
    struct outcome issued = RUN("token", "issue", "owner", "--expires-in", "600");
    succeeds(issued);
    write_whole(token, issued.out);
#define GIVE(...)                                                                                         \
    WORDS("consent", "give", "--unit", "u100", "--reference", "17", "--signer", "王芳", "--post", "主任", \
          "--systems", "u100001", "--from", "gov-a/dc1", "--to", "gov-a", "--valid-until",                \
          "2090-01-01T00:00:00Z", "--json", __VA_ARGS__)
    complains(run_as(token, GIVE("--algorithm", "md5", "--document", letter)), CLI_USAGE, "sm3 or sha256");
    complains(run_as(token, GIVE("--algorithm", "sm3")), CLI_USAGE, "one of them");
    complains(run_as(token_file, GIVE("--document", letter)), CLI_DENIED, "(HTTP 403)");
    json_t *made = json_of(run_as(token, GIVE("--document", letter)));
    json_t *document = json_object_get(made, "document");
    assert_string_equal(json_string_value(json_object_get(document, "digest")),
                        "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
    const char *id = json_string_value(json_object_get(made, "id"));
    struct outcome list = RUN("consent", "list", "--state", "in-force");
    succeeds(list);
    assert_non_null(strstr(list.out, id));
    succeeds(run_as(token, WORDS("consent", "withdraw", id, "--reason", "put off")));
    json_t *gone = json_of(RUN("consent", "show", id, "--json"));
    assert_string_equal(json_string_value(json_object_get(gone, "state")), "withdrawn");
    complains(run_as(token, WORDS("consent", "withdraw", id, "--reason", "again")), CLI_CONFLICT,
              "withdrawn already");
}

static void test_usage_report(void **state)
{
    (void)state;
    const char *file = in_folder("usage.ndjson");
    FILE *out = fopen(file, "we");
    assert_non_null(out);
    for (int i = 0; i < 1200; i++)
        assert_true(fputs(usage_event(arena_printf(arena, "e%d", i), i == 1100 ? "moon" : "gov-a"), out) >=
                    0);
    assert_int_equal(fclose(out), 0);
    struct outcome outcome = RUN("usage", "report", file, "--json");
    assert_int_equal(outcome.code, CLI_REFUSED);
    assert_non_null(strstr(outcome.err, "/1100/data/cloud: must be a cloud of the provider that reports"));
    assert_non_null(strstr(outcome.out, "\"accepted\": 1199"));
    outcome = RUN("usage", "report", file);
    assert_non_null(strstr(outcome.out, "1199"));
    assert_int_equal(
        json_array_size(json_of(RUN("usage", "events", "--source", "/providers/prov-a/m", "--json"))), 1199);
    outcome = RUN("usage", "report", file, "--atomic");
    assert_int_equal(outcome.code, CLI_REFUSED);
    assert_non_null(strstr(outcome.err, "after 1000 events: /100/data/cloud: must be a cloud"));
    write_whole(file, arena_printf(arena, "[\n%s]\n", usage_event("x", "gov-a")));
    json_t *told = json_of(RUN("usage", "report", file, "--json"));
    assert_int_equal(json_integer_value(json_object_get(told, "accepted")), 1);
    assert_int_equal(json_array_size(json_of(RUN("usage", "list", "--resource", "prov-a/waf-1", "--json"))),
                     1);
    write_whole(file, "[");
    complains(RUN("usage", "report", file), CLI_USAGE, "not JSON");
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

/* Until the broker has moved its port file into the folder; false when it ends before. */
static bool wait_for_port(int notices)
{
    int64_t until = moment_monotonic() + START_MS * (MOMENT_SECOND / 1000);
    union {
        struct inotify_event event;
        char bytes[4096];
    } got;
    int ended = (int)syscall(SYS_pidfd_open, process_pid(broker), 0);
    bool alive = ended >= 0;
    while (alive && access(in_folder("port"), R_OK)) {
        struct pollfd ready[] = {{.fd = notices, .events = POLLIN}, {.fd = ended, .events = POLLIN}};
        int left = (int)((until - moment_monotonic()) / (MOMENT_SECOND / 1000));
        alive = left > 0 && poll(ready, 2, left) > 0 && !ready[1].revents &&
                read(notices, got.bytes, sizeof got.bytes) > 0;
    }
    close(ended);
    return alive;
}

static void register_places(void)
{
    succeeds(RUN("provider", "add", "prov-a", "--name", "市云 A"));
    succeeds(RUN("cloud", "add", "gov-a", "--name", "政务云甲", "--kind", "service", "--provider", "prov-a"));
    succeeds(RUN("site", "add", "gov-a", "dc1", "--name", "一号机房"));
    succeeds(RUN("zone", "add", "gov-a", "net", "--kind", "internet", "--site", "dc1", "--pool-v4",
                 "198.51.100.0/24"));
    succeeds(RUN("capacity", "set", "gov-a", "--bandwidth-mbps", "1000"));
    succeeds(RUN("unit", "add", "u100", "--name", "x", "--kind", "government"));
    succeeds(RUN("system", "add", "u100", "u100001", "--name", "门户", "--non-classified"));
}

/* Every item at its cap. */
static void register_prices(void)
{
    json_t *prices = json_hold(arena, json_object()), *item;
    size_t i;
    json_array_foreach (json_of(RUN("catalog", "items", "--json")), i, item)
        json_put_text(prices, json_string_value(json_object_get(item, "code")),
                      json_string_value(json_object_get(item, "cap_yuan")));
    write_whole(in_folder("prices.json"), json_canonical(arena, prices));
    json_t *bid = json_of(RUN("bid", "submit", "prov-a", in_folder("prices.json"), "--json"));
    assert_string_equal(json_string_value(json_object_get(bid, "weighted_total_yuan")), "79.0430");
    succeeds(RUN("bid", "approve", json_string_value(json_object_get(bid, "id")), "--from", this_month()));
}

static int set_up(void **state)
{
    (void)state;
    arena = arena_new();
    if (!setlocale(LC_CTYPE, "C.UTF-8") || !mkdtemp(folder) ||
        chmod(folder, 0711)) /* PostgreSQL's user passes */
        return -1;
    unsetenv("YUNQIAO_URL");
    unsetenv("YUNQIAO_TOKEN");
    unsetenv("YUNQIAO_TOKEN_FILE");
    unsetenv("YUNQIAO_CA_FILE");
    int notices = inotify_init1(IN_CLOEXEC);
    if (notices < 0 || inotify_add_watch(notices, folder, IN_MOVED_TO) < 0)
        return -1;
    const char *data = in_folder("data");
    broker = process_start(WORDS(BINARY_DIR "/yunqiaod", "--data-dir", data, "--listen-port", "0",
                                 "--port-file", in_folder("port"), "--log-level", "warning", "--watch=no"),
                           NULL);
    bool ready = wait_for_port(notices);
    close(notices);
    if (!ready)
        return -1;
    url = arena_printf(arena, "https://127.0.0.1:%d", (int)strtol(read_whole(in_folder("port")), NULL, 10));
    token_file = arena_printf(arena, "%s/admin.token", data);
    ca_file = arena_printf(arena, "%s/server.crt", data);
    register_places();
    register_prices();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    int status = process_stop(broker);
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_free(arena);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1; /* the sanitizers speak at its end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),       cmocka_unit_test(test_usage),
        cmocka_unit_test(test_no_broker),  cmocka_unit_test(test_denied),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_tables),
        cmocka_unit_test(test_any_call),   cmocka_unit_test(test_quote),
        cmocka_unit_test(test_order),      cmocka_unit_test(test_drift),
        cmocka_unit_test(test_fulfilment), cmocka_unit_test(test_usage_report),
        cmocka_unit_test(test_consent),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
