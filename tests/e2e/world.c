/* The ground of a test; see world.h. Its life (folder, peers, broker) is here; what tests do in it over and
 * over is in world_use.c. */
#include "tests/e2e/world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <curl/curl.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"
#include "broker/base/money.h"
#include "tests/support/process.h"
#include "tests/support/sql.h"

#define START_SECONDS 120
#define LOG_TAIL 4000
#define POLL_US 20000
#define TOKEN_SECONDS 15552000 /* tests move the clock by months */

static void die(const char *what, const char *detail)
{
    fprintf(stderr, "world: %s: %s\n", what, detail);
    abort();
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status; /* nftw's form */
    (void)type;
    (void)walk;
    return remove(path);
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    char *text = xcalloc(1, 64);
    size_t length = fread(text, 1, 63, file);
    (void)fclose(file); /* read only */
    text[length] = '\0';
    return text;
}

static void write_text(const char *folder, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
        die(path, strerror(errno));
    free(path);
}

static pid_t pid_in(const char *folder, const char *name)
{
    char *path = xasprintf("%s/%s", folder, name);
    char *text = read_text(path);
    long pid = text ? strtol(text, NULL, 10) : 0;
    free(text);
    free(path);
    return pid > 1 ? (pid_t)pid : 0;
}

/* Outlives the test, however that ends, and takes away what it left: first the broker, which would start its
 * PostgreSQL again, then PostgreSQL, then the folder. */
static _Noreturn void be_janitor(const char *folder, int lifeline)
{
    char byte;
    (void)setsid(); /* an interrupt of the terminal ends the test, not this */
    while (read(lifeline, &byte, 1) < 0 && errno == EINTR)
        ;
    static const char *const pids[] = {"broker.pid", "data/pg/postmaster.pid"};
    for (size_t k = 0; k < 2; k++)
        for (int i = 0; i < 500; i++) {
            pid_t pid = pid_in(folder, pids[k]);
            if (!pid || kill(pid, k ? SIGQUIT : SIGKILL) < 0)
                break;
            (void)usleep(POLL_US); /* it is not our child: nothing else tells */
        }
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT); /* what stays is in /tmp */
    _exit(0);
}

static void start_janitor(struct world *world)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        die("pipe", strerror(errno));
    pid_t pid = fork();
    if (pid == 0) {
        for (int fd = 3; fd < 1024; fd++)
            if (fd != ends[0])
                (void)close(fd); /* holds nothing of the test's */
        be_janitor(world->folder, ends[0]);
    }
    (void)close(ends[0]);
    world->lifeline = ends[1];
}

static void write_settings(struct world *world)
{
    char *text =
        xasprintf("data_dir = %s/data\nlisten_port = 0\nport_file = %s/port\nclock_offset = %llds\n%s",
                  world->folder, world->folder, (long long)world->clock_offset_s, world->settings);
    write_text(world->folder, "yunqiaod.conf", text);
    free(text);
}

static void remember_broker(const struct world *world)
{
    char pid[32];
    (void)snprintf(pid, sizeof pid, "%d\n", world->broker ? (int)process_pid(world->broker) : 0);
    write_text(world->folder, "broker.pid", pid);
}

/* The last of what the broker said. */
static void show_log(const struct world *world)
{
    char *path = xasprintf("%s/broker.log", world->folder), text[LOG_TAIL + 1];
    FILE *file = fopen(path, "re");
    size_t length = 0;
    if (file && fseek(file, -LOG_TAIL, SEEK_END) != 0)
        rewind(file); /* shorter than that */
    if (file) {
        length = fread(text, 1, LOG_TAIL, file);
        (void)fclose(file); /* read only */
    }
    fprintf(stderr, "%.*s\n", (int)length, text);
    free(path);
}

void world_restart(struct world *world)
{
    char *port_file = xasprintf("%s/port", world->folder), *port = NULL;
    char *command = xasprintf("exec %s/yunqiaod --config %s/yunqiaod.conf 2>>%s/broker.log", BINARY_DIR,
                              world->folder, world->folder);
    (void)unlink(port_file);
    write_settings(world);
    world->broker = process_start((const char *const[]){"/bin/sh", "-c", command, NULL}, NULL);
    remember_broker(world);
    for (int i = 0; i < START_SECONDS * (int)(MOMENT_SECOND / POLL_US) && !port; i++) {
        int status;
        if (waitpid(process_pid(world->broker), &status, WNOHANG) != 0) {
            show_log(world);
            die("the broker ended while it started", world->folder);
        }
        port = read_text(port_file);
        if (!port)
            (void)usleep(POLL_US); /* a file tells nobody that it came */
    }
    if (!port) {
        show_log(world);
        die("the broker does not answer", world->folder);
    }
    world->port = (int)strtol(port, NULL, 10);
    if (world->client)
        client_at(world->client, world->port);
    free(port);
    free(command);
    free(port_file);
}

void world_kill(struct world *world)
{
    if (kill(process_pid(world->broker), SIGKILL) != 0)
        die("kill", strerror(errno));
    int status = process_stop(world->broker);
    world->broker = NULL;
    remember_broker(world);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        show_log(world);
        die("the broker did not end by the signal", world->folder);
    }
}

long world_logged(const struct world *world, const char *text)
{
    char *path = xasprintf("%s/broker.log", world->folder), *line = NULL;
    FILE *file = fopen(path, "re");
    size_t size = 0;
    long count = 0;
    while (file && getline(&line, &size, file) > 0)
        count += strstr(line, text) != NULL;
    if (file)
        (void)fclose(file); /* read only */
    free(line);
    free(path);
    return count;
}

void world_clock(struct world *world, int64_t offset_s)
{
    long before = world_logged(world, "\"settings.reloaded\"");
    world->clock_offset_s = offset_s;
    write_settings(world);
    if (kill(process_pid(world->broker), SIGHUP) != 0)
        die("SIGHUP", strerror(errno));
    for (int i = 0; i < 60 * (int)(MOMENT_SECOND / POLL_US); i++) {
        if (world_logged(world, "\"settings.reloaded\"") > before)
            return;
        (void)usleep(POLL_US); /* a file tells nobody that it grew */
    }
    show_log(world);
    die("the broker did not take over its settings", world->folder);
}

static void post(struct world *world, const char *path, json_t *body, int status)
{
    API_AUTO struct api_reply reply = api_send(world->client, world->admin, "POST", path, body);
    if (reply.status != status)
        die(path, reply.text);
}

/* A bid of a share of every cap, approved from the present month on. */
static void add_provider(struct world *world, const char *id, int percent)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *item, *prices = json_object();
    size_t index;
    post(world, "/v1/providers", json_pack("{s:s, s:s}", "id", id, "name", id), 201);
    API_AUTO struct api_reply items = api_get(world->client, world->admin, "/v1/catalog/items");
    json_array_foreach (json_object_get(items.json, "items"), index, item) {
        int64_t fen;
        struct error *error = money_parse(json_string_value(json_object_get(item, "cap_yuan")), &fen);
        if (error)
            die("cap_yuan", error_message(error));
        fen = fen * percent / 100;
        json_object_set_new(
            prices, json_string_value(json_object_get(item, "code")),
            json_string(arena_printf(arena, "%lld.%02lld", (long long)fen / 100, (long long)fen % 100)));
    }
    API_AUTO struct api_reply bid =
        api_send(world->client, world->admin, "POST", arena_printf(arena, "/v1/providers/%s/bids", id),
                 json_pack("{s:o}", "prices", prices));
    if (bid.status != 201)
        die("bid", bid.text);
    char month[8];
    month_format(month_of((moment)time(NULL) * MOMENT_SECOND), month);
    post(world, arena_printf(arena, "/v1/bids/%s:approve", api_text(&bid, "id")),
         json_pack("{s:s}", "valid_from", month), 200);
}

static void add_cloud(struct world *world, const char *cloud, const char *provider, const char *network,
                      json_t *endpoint)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *id = arena_printf(arena, "%s-1", cloud);
    const char *zones = arena_printf(arena, "/v1/clouds/%s/zones", cloud);
    post(world, "/v1/clouds",
         json_pack("{s:s, s:s, s:s, s:s}", "id", cloud, "name", cloud, "kind", cloud, "provider", provider),
         201);
    post(world, arena_printf(arena, "/v1/clouds/%s/sites", cloud),
         json_pack("{s:s, s:s}", "id", "site-1", "name", "一号机房"), 201);
    json_object_update_new(endpoint, json_pack("{s:s, s:s, s:s, s:i}", "id", id, "cloud", cloud, "site",
                                               "site-1", "timeout_ms", 10000));
    post(world, "/v1/endpoints", endpoint, 201);
    post(world, zones,
         json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", "extranet", "kind", "extranet", "site", "site-1",
                   "endpoint", id, "network", network),
         201);
    post(world, zones,
         json_pack("{s:s, s:s, s:s, s:s}", "id", "internet", "kind", "internet", "site", "site-1", "pool_v4",
                   "198.51.100.0/24"),
         201);
    API_AUTO struct api_reply capacity =
        api_send(world->client, world->admin, "PUT", arena_printf(arena, "/v1/clouds/%s/capacity", cloud),
                 json_pack("{s:i}", "bandwidth_mbps", 10000));
    if (capacity.status != 204)
        die("capacity", capacity.text);
}

static void add_clouds(struct world *world)
{
    ARENA_AUTO struct arena *arena = arena_new();
    write_text(world->folder, "vcsim.secret", VCSIM_PASSWORD);
    write_text(world->folder, "hmcsim.secret", HMCSIM_PASSWORD);
    add_cloud(world, "health", "provider-health", "VM Network",
              json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:[s], s:[s]}}", "driver", "vmware", "url",
                        vcsim_url(world->vcsim), "username", VCSIM_USER, "secret",
                        arena_printf(arena, "file:%s/vcsim.secret", world->folder), "fingerprint",
                        vcsim_fingerprint(world->vcsim), "options", "standard", "LocalDS_0", "high",
                        "LocalDS_1"));
    struct driver_endpoint hmc = hmcsim_endpoint(world->hmcsim);
    add_cloud(world, "education", "provider-education", "extranet",
              json_pack("{s:s, s:s, s:s, s:s, s:s}", "driver", "powervm", "url", hmc.url, "username",
                        HMCSIM_USER, "secret", arena_printf(arena, "file:%s/hmcsim.secret", world->folder),
                        "fingerprint", hmc.fingerprint));
}

static void add_unit(struct world *world, const char *unit, const char *system)
{
    ARENA_AUTO struct arena *arena = arena_new();
    post(world, "/v1/units", json_pack("{s:s, s:s, s:s}", "id", unit, "name", unit, "kind", "government"),
         201);
    post(world, arena_printf(arena, "/v1/units/%s/systems", unit),
         json_pack("{s:s, s:s, s:b}", "id", system, "name", system, "classified", 0), 201);
}

static void register_all(struct world *world)
{
    add_provider(world, "provider-health", 88);
    add_provider(world, "provider-education", 90);
    add_clouds(world);
    add_unit(world, WORLD_UNIT, WORLD_SYSTEM);
    add_unit(world, WORLD_OTHER_UNIT, WORLD_OTHER_SYSTEM);
    world_principal(
        world, json_pack("{s:s, s:s, s:s}", "id", "operator", "role", "unit-operator", "unit", WORLD_UNIT));
    world_principal(world, json_pack("{s:s, s:s, s:s}", "id", "stranger", "role", "unit-operator", "unit",
                                     WORLD_OTHER_UNIT));
    world_principal(world, json_pack("{s:s, s:s}", "id", "regulator", "role", "regulator"));
    world->operator_ = world_token(world, "operator", TOKEN_SECONDS);
    world->stranger = world_token(world, "stranger", TOKEN_SECONDS);
    world->regulator = world_token(world, "regulator", TOKEN_SECONDS);
    world_await(world, "SELECT count(*) FROM endpoint WHERE synced_at IS NOT NULL", "2", START_SECONDS);
}

struct world *world_start(const struct world_options *options)
{
    struct world *world = xcalloc(1, sizeof *world);
    (void)snprintf(world->folder, sizeof world->folder, "/tmp/yunqiao-e2e-XXXXXX");
    if (!mkdtemp(world->folder) || chmod(world->folder, 0711) != 0) /* the cluster's user passes through */
        die("mkdtemp", strerror(errno));
    (void)signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    start_janitor(world);
    world->settings = xstrdup(options->settings ? options->settings : "");
    world->vcsim = vcsim_start(options->vcsim);
    world->hmcsim = hmcsim_start(options->hmcsim);
    world_restart(world);
    char *ca_file = xasprintf("%s/data/server.crt", world->folder);
    char *token_file = xasprintf("%s/data/admin.token", world->folder);
    FILE *file = fopen(token_file, "re");
    world->admin = xcalloc(1, 4096);
    if (!file || !fgets(world->admin, 4096, file) || fclose(file))
        die("admin.token", strerror(errno));
    world->admin[strcspn(world->admin, "\n")] = '\0';
    world->client = client_new(ca_file, world->port);
    char *first = world->admin;
    world->admin = world_token(world, "admin", TOKEN_SECONDS);
    free(first);
    free(token_file);
    free(ca_file);
    register_all(world);
    return world;
}

void world_stop(struct world *world)
{
    if (!world)
        return;
    sql_end();
    client_free(world->client);
    int status = world->broker ? process_stop(world->broker) : 0;
    world->broker = NULL;
    if (status != 0) { /* sanitizers and leaks speak up here */
        show_log(world);
        die("the broker ended badly",
            WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "by its exit status");
    }
    if (world_logged(world, "(SQLSTATE 42")) { /* a statement that PostgreSQL does not understand */
        show_log(world);
        die("the broker's SQL is wrong", world->folder);
    }
    remember_broker(world);
    hmcsim_stop(world->hmcsim);
    vcsim_stop(world->vcsim);
    (void)close(world->lifeline); /* the janitor removes the folder */
    free(world->settings);
    free(world->admin);
    free(world->operator_);
    free(world->stranger);
    free(world->regulator);
    free(world);
}
