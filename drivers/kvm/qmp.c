/* QEMU's monitor through libvirt, see qmp.h. */
#include "drivers/kvm/qmp.h"

#include <libvirt/libvirt-qemu.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "drivers/kvm/fault.h"

static void release_json(void *json)
{
    json_decref(json);
}

static struct error *read_answer(struct arena *arena, const char *command, const char *text,
                                 json_t **ret_answer)
{
    json_t *answer;
    struct error *error = json_parse_in(arena, text, strlen(text), &answer);
    if (error)
        return error_recode(error, ERR_UNAVAILABLE, "QEMU answers %s with no JSON", command);
    const char *class = NULL, *words = NULL;
    if (json_unpack(answer, "{s:{s:s, s:s}}", "error", "class", &class, "desc", &words) == 0)
        return error_new(ERR_CONFLICT, "QEMU refuses %s: %s (%s)", command, words, class);
    if (ret_answer)
        *ret_answer = json_object_get(answer, "return");
    return NULL;
}

struct error *kvm_qmp(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                      const char *command, json_t *arguments, json_t **ret_answer)
{
    json_t *request = json_pack("{s:s}", "execute", command);
    if (arguments)
        json_object_set_new(request, "arguments", arguments);
    arena_defer(arena, release_json, request);
    char *text = json_dumps(request, JSON_COMPACT), *result = NULL;
    if (!text)
        return error_new(ERR_INTERNAL, "the command %s cannot be written", command);
    int done = virDomainQemuMonitorCommand(domain, text, &result, VIR_DOMAIN_QEMU_MONITOR_COMMAND_DEFAULT);
    free(text);
    if (done < 0)
        return kvm_fault(session->connection, "could not tell QEMU to %s", command);
    struct error *error = read_answer(arena, command, result, ret_answer);
    free(result);
    return error;
}

/* A device's name is libvirt's alias, or a path with the alias as one part. */
static bool names(const char *device, const char *alias)
{
    size_t length = strlen(alias);
    for (const char *at = device; (at = strstr(at, alias)); at += length)
        if ((at == device || at[-1] == '/') && (at[length] == '\0' || at[length] == '/'))
            return true;
    return false;
}

struct error *kvm_qmp_node(struct driver_session *session, struct arena *arena, virDomainPtr domain,
                           const char *alias, const char **ret_node)
{
    json_t *blocks, *block;
    size_t i;
    TRY(kvm_qmp(session, arena, domain, "query-block", NULL, &blocks));
    json_array_foreach (blocks, i, block) {
        const char *device = json_string_value(json_object_get(block, "qdev"));
        const char *node =
            json_string_value(json_object_get(json_object_get(block, "inserted"), "node-name"));
        if (!device || !node || !names(device, alias))
            continue;
        *ret_node = arena_strdup(arena, node);
        return NULL;
    }
    return error_new(ERR_UNAVAILABLE, "QEMU has no disk \"%s\"", alias);
}

size_t kvm_qmp_bitmaps(const json_t *nodes, const char *name)
{
    size_t count = 0, i, j;
    json_t *node, *bitmap;
    json_array_foreach (nodes, i, node) {
        json_array_foreach (json_object_get(node, "dirty-bitmaps"), j, bitmap) {
            const char *found = json_string_value(json_object_get(bitmap, "name"));
            count +=
                found && strcmp(found, name) == 0 && !json_is_true(json_object_get(bitmap, "inconsistent"));
        }
    }
    return count;
}
