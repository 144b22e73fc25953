/* See kvmcloud.h. */
#include "tests/support/kvmcloud.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "tests/support/process.h"

#define SCRIPT SOURCE_DIR "/contrib/kvmcloud/kvmcloud"
#define START_US (180 * MOMENT_SECOND) /* building the guest's image and trying KVM included */
#define COMMAND_US (30 * MOMENT_SECOND)
#define ARGUMENTS_MAX 24

struct kvmcloud {
    char folder[32];
    struct process *process;
    struct arena *arena;
    const char *url, *remote_url, *cable; /* the latter of one at an address */
    json_t *options;
};

static void die(const char *what)
{
    fprintf(stderr, "kvmcloud: %s\n", what);
    abort();
}

/* What callers of a host need; nothing for one of this machine. */
static void read_remote(struct kvmcloud *cloud, json_t *told)
{
    json_t *pki = json_object_get(told, "pki");
    if (!pki)
        return;
    cloud->remote_url = json_string_value(json_object_get(told, "remote_url"));
    cloud->cable = json_string_value(json_object_get(told, "cable"));
    if (!cloud->remote_url || !cloud->cable)
        die("it told no address or cable");
    (void)json_object_set(cloud->options, "nbd_tls", pki);
    (void)json_object_set(cloud->options, "nbd_tls_server", pki);
    (void)json_object_set(cloud->options, "move_host", json_object_get(told, "address"));
}

struct kvmcloud *kvmcloud_start(void)
{
    return kvmcloud_start_at(NULL, NULL);
}

struct kvmcloud *kvmcloud_start_at(const char *address, const char *authority)
{
    if (geteuid() != 0) {
        fprintf(stderr, "kvmcloud: skipped: a cloud of its own needs root\n");
        exit(77);
    }
    struct kvmcloud *cloud = xcalloc(1, sizeof *cloud);
    memcpy(cloud->folder, "/tmp/yqkvm.XXXXXX", sizeof "/tmp/yqkvm.XXXXXX");
    if (!mkdtemp(cloud->folder))
        die("no temporary folder");
    /* It removes the folder also when this test is killed. */
    cloud->process =
        process_start((const char *const[]){SCRIPT, "hold", cloud->folder, address, authority, NULL},
                      (const char *const[]){"KVMCLOUD_TEMPORARY=1", NULL});
    const char *line = process_line(cloud->process, START_US);
    if (!line)
        die("it did not come up");
    cloud->arena = arena_new();
    json_t *told;
    struct error *error = json_parse_in(cloud->arena, line, strlen(line), &told);
    if (error)
        die(error_message(error));
    const char *accel, *folder;
    if (json_unpack(told, "{s:s, s:s, s:s}", "url", &cloud->url, "accel", &accel, "nbd_folder", &folder) != 0)
        die("it told no URL, accelerator or folder");
    cloud->options = json_pack("{s:s, s:s}", "accel", accel, "nbd_folder", folder);
    read_remote(cloud, told);
    return cloud;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    return remove(path);
}

void kvmcloud_stop(struct kvmcloud *cloud)
{
    if (!cloud)
        return;
    (void)process_stop(cloud->process);
    (void)nftw(cloud->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    json_decref(cloud->options);
    arena_free(cloud->arena);
    free(cloud);
}

const char *kvmcloud_url(const struct kvmcloud *cloud)
{
    return cloud->url;
}

const char *kvmcloud_cable(const struct kvmcloud *cloud)
{
    return cloud->cable;
}

const char *kvmcloud_folder(const struct kvmcloud *cloud)
{
    return cloud->folder;
}

struct driver_endpoint kvmcloud_endpoint(const struct kvmcloud *cloud)
{
    return (struct driver_endpoint){.id = "kvm-test",
                                    .url = cloud->remote_url ? cloud->remote_url : cloud->url,
                                    .options = cloud->options,
                                    .timeout_us = 10 * MOMENT_SECOND};
}

static int run(const char *const *argv, char *output, size_t size)
{
    struct process *process = process_start(argv, NULL);
    size_t length = 0;
    for (const char *line; (line = process_line(process, COMMAND_US));) {
        int n = output && length < size ? snprintf(output + length, size - length, "%s\n", line) : 0;
        length += n > 0 ? (size_t)n : 0;
    }
    int status;
    if (waitpid(process_pid(process), &status, 0) < 0)
        die("a command was lost");
    (void)process_stop(process);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void kvmcloud_command(const struct kvmcloud *cloud, const char *command)
{
    if (run((const char *const[]){SCRIPT, command, cloud->folder, NULL}, NULL, 0) != 0)
        die(command);
}

int kvmcloud_run(const struct kvmcloud *cloud, char *output, size_t size, const char *script)
{
    if (output && size > 0)
        *output = '\0';
    return run((const char *const[]){SCRIPT, "run", cloud->folder, script, NULL}, output, size);
}

int kvmcloud_virsh(const struct kvmcloud *cloud, char *output, size_t size, const char *const *arguments)
{
    const char *argv[ARGUMENTS_MAX] = {"virsh", "-q", "-c", cloud->url};
    for (size_t i = 0; arguments[i]; i++) {
        if (i + 5 >= ARGUMENTS_MAX)
            die("too many arguments");
        argv[i + 4] = arguments[i];
    }
    if (output && size > 0)
        *output = '\0';
    return run(argv, output, size);
}
