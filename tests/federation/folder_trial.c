/* Test boots and consoles of the folder cloud; see folder_cloud.h. A test has copies of the disks, which its
 * guest writes over when it starts: whoever gave it the originals would lose them. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/json.h"
#include "tests/federation/folder_inside.h"

#define RECORD 512

json_t *folder_load(const char *folder, const char *id)
{
    char *path = xasprintf("%s/%s.json", folder, id);
    json_t *machine = json_load_file(path, 0, NULL);
    free(path);
    return machine;
}

bool folder_tested(const char *folder, const char *id)
{
    bool found = false;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length != 41 || strcmp(entry->d_name + 36, ".json") != 0)
            continue;
        char *name = xstrdup(entry->d_name);
        name[36] = '\0';
        json_t *machine = folder_load(folder, name);
        const char *of = json_string_value(json_object_get(machine, "of"));
        found |= of && !strcmp(of, id);
        json_decref(machine);
        free(name);
    }
    if (dir)
        (void)closedir(dir);
    return found;
}

struct error *folder_check_untested(const struct act *act)
{
    return folder_tested(act->session->folder, act->id)
               ? error_new(ERR_CONFLICT, "machine %s is being tested", act->id)
               : NULL;
}

/* Records 1 … n at the beginning of its first disk. */
static long journal(const char *folder, const char *id)
{
    char *path = folder_disk(folder, id, 0, "raw");
    uint64_t record[RECORD / sizeof(uint64_t)];
    long found = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    folder_require(file >= 0, path);
    while (pread(file, record, sizeof record, found * RECORD) == sizeof record &&
           record[0] == (uint64_t)found + 1)
        found++;
    folder_require(!close(file), path);
    free(path);
    return found;
}

void folder_boot_test(struct act *act)
{
    static const char zeros[65536];
    if (!json_object_get(act->machine, "of") || folder_is(act->machine, "running"))
        return;
    long found = journal(act->session->folder, act->id);
    json_put_text(act->machine, "console",
                  arena_printf(act->call->arena, "\033[1mguest\033[0m journal %ld\r\n", found));
    char *path = folder_disk(act->session->folder, act->id, 0, "raw");
    int file = open(path, O_WRONLY | O_CLOEXEC);
    folder_require(file >= 0 && pwrite(file, zeros, sizeof zeros, 0) == sizeof zeros && !close(file), path);
    free(path);
}

static struct error *do_test_create(struct act *act)
{
    const struct driver_key *key = act->in;
    const char *folder = act->session->folder;
    json_t *original = folder_load(folder, key->id);
    bool ready = original && folder_is(original, "fenced") && !folder_is(original, "running");
    struct error *error = !original ? error_new(ERR_NOT_FOUND, "no machine %s", key->id)
                          : !ready  ? error_new(ERR_CONFLICT, "it is not off and fenced")
                                    : NULL;
    if (!error && !act->machine) {
        for (size_t i = 0; i < folder_disks(original); i++) {
            char *from = folder_disk(folder, key->id, i, "raw"), *to = folder_disk(folder, act->id, i, "raw");
            folder_copy(from, to);
            free(from);
            free(to);
        }
        act->machine = json_deep_copy(original);
        json_put_text(act->machine, "of", key->id);
        json_put_bool(act->machine, "fenced", false);
        json_put_int(act->machine, "boots", 0);
        act->changed = true;
    }
    json_decref(original);
    TRY(error);
    *(struct driver_instance *)act->out = folder_tell(act);
    return NULL;
}

struct error *folder_test_create(struct driver_session *session, const struct driver_call *call,
                                 const struct driver_key *key, const struct driver_test_spec *spec,
                                 struct driver_instance *ret_instance)
{
    struct act act = {.session = session,
                      .call = call,
                      .name = "test_create",
                      .id = spec->id,
                      .in = key,
                      .out = ret_instance};
    return folder_run(&act, do_test_create);
}

static struct error *do_console(struct act *act)
{
    TRY(folder_need(act));
    const char *text = json_string_value(json_object_get(act->machine, "console"));
    *(const char **)act->out = arena_strdup(act->call->arena, text ? text : "");
    return NULL;
}

struct error *folder_console(struct driver_session *session, const struct driver_call *call,
                             const struct driver_key *key, size_t limit, const char **ret_text,
                             size_t *ret_length)
{
    const char *text;
    struct act act = {
        .session = session, .call = call, .name = "instance_console", .id = key->id, .out = &text};
    TRY(folder_run(&act, do_console));
    size_t length = strlen(text);
    *ret_length = length < limit ? length : limit;
    *ret_text = text + length - *ret_length;
    return NULL;
}
