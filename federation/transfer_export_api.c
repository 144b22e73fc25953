/* /v1/exports: an instance of a unit as files, sealed; fetched in parts. Its unit's consent is asked when it
 * is ordered, while it is copied and when a file is fetched. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/id.h"
#include "broker/control/endpoint.h"
#include "broker/control/resource.h"
#include "broker/control/view.h"
#include "federation/consent.h"
#include "federation/routes.h"
#include "federation/transfer_folder.h"

#define PIECE ((size_t)256 * 1024)
#define EXPORT "export"

struct wish {
    const char *instance, *format, *digest;
    bool running;
};

static const char *const formats[] = {
#define X(symbol, name, qemu, end) name,
    TRANSFER_FORMATS(X)
#undef X
        NULL};
static const char *const digests[] = {"sha256", "sm3", NULL};
static const struct json_member wish_members[] = {
    {JSON_MEMBER(struct wish, instance), .want = JSON_WANT_UUID, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct wish, format), .want = JSON_WANT_CHOICE, .flags = JSON_REQUIRED, .choices = formats},
    {JSON_MEMBER(struct wish, digest), .want = JSON_WANT_CHOICE, .choices = digests},
    {JSON_MEMBER(struct wish, running), .want = JSON_WANT_BOOL},
};
static const struct json_spec wish_spec = JSON_SPEC(struct wish, wish_members);

static struct error *find_instance(struct http_call *call, const struct wish *wish, struct resource *instance)
{
    TRY(resource_load(call->db, call->arena, NULL, wish->instance, "instance", instance));
    if (!principal_sees_system(call->principal, instance->unit, instance->system))
        return error_new(ERR_NOT_FOUND, "no such instance");
    if (instance->state != RESOURCE_ACTIVE || !instance->endpoint)
        return error_new(ERR_CONFLICT, "instance \"%s\" is %s, not active", instance->name,
                         resource_state_name(instance->state));
    if (strcmp(instance->power, "off") != 0 && !wish->running)
        return error_new(ERR_CONFLICT,
                         "instance \"%s\" is not off: stop it, or ask for a point in time of it (running)",
                         instance->name);
    return NULL;
}

static struct error *begin(struct http_call *call, const struct wish *wish, struct resource *instance,
                           struct transfer *export)
{
    struct endpoint_row endpoint;
    TRY(endpoint_load(call->db, call->arena, instance->endpoint, &endpoint));
    const char *site = consent_site(call->arena, instance->cloud, endpoint.site);
    TRY(consent_check(call->db, call->arena, instance->unit, instance->system, instance->id, site,
                      CONSENT_EXPORT, call->now, &export->consent));
    TRY(resource_claim(call->db, instance, export->operation, call->now));
    TRY(operation_start(call->db,
                        &(struct operation_new){.id = export->operation,
                                                .kind = EXPORT,
                                                .unit = instance->unit,
                                                .system = instance->system,
                                                .cloud = instance->cloud,
                                                .provider = instance->provider,
                                                .resource = instance->id,
                                                .principal = export->principal,
                                                .args = call->body},
                        export_job.name, call->now));
    return transfer_insert(call->db, export, call->now);
}

static void audit(const struct transfer *export, struct http_answer *answer)
{
    answer->audit_unit = export->unit;
    answer->audit_cloud = export->cloud;
    answer->audit_subject = export->id;
}

static struct error *add(struct http_call *call, struct http_answer *answer)
{
    struct wish wish = {.running = false};
    struct resource instance;
    TRY(http_read_body(call, &wish_spec, &wish));
    TRY(find_instance(call, &wish, &instance));
    struct transfer export = {.unit = instance.unit,
                              .id = id_new_in(call->arena),
                              .system = instance.system,
                              .cloud = instance.cloud,
                              .provider = instance.provider,
                              .resource = instance.id,
                              .name = instance.name,
                              .is_export = true,
                              .format = transfer_format_find(wish.format),
                              .state = "working",
                              .request = call->body,
                              .operation = id_new_in(call->arena),
                              .principal = principal_id(call->principal)};
    TRY(begin(call, &wish, &instance, &export));
    audit(&export, answer);
    TRY(view_made(call, &transfer_select_one, DB_VALUES(db_text(export.id), db_text(EXPORT)), "such export",
                  202, arena_printf(call->arena, "/v1/operations/%s", export.operation), answer));
    answer->retry_after = 1;
    return NULL;
}

static struct error *check_uuid(const struct http_call *call, const char *name)
{
    const char *text = http_query(call, name);
    return !text || id_valid(text)
               ? NULL
               : error_member(arena_printf(call->arena, "?%s", name), "must be a lower-case UUID");
}

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    TRY(check_uuid(call, "instance"));
    return view_list_by_id(call, &transfer_select_list,
                           DB_VALUES(db_text(EXPORT), db_text(http_query(call, "state")),
                                     db_text(http_query(call, "system")), db_text(http_query(call, "cloud")),
                                     db_text(http_query(call, "instance"))),
                           answer);
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, EXPORT));
    return view_one(call, &transfer_select_one, DB_VALUES(db_text(http_param(call, EXPORT)), db_text(EXPORT)),
                    "such export", answer);
}

static struct error *drop(struct http_call *call, struct http_answer *answer)
{
    struct transfer export;
    TRY(view_id(call, EXPORT));
    TRY(transfer_peek(call->db, call->arena, true, http_param(call, EXPORT), &export));
    TRY(http_if_match(call, view_etag(call->arena, export.version)));
    if (!strcmp(export.state, "working"))
        return error_new(ERR_CONFLICT, "the export is being made: cancel its operation");
    if (!strcmp(export.state, "deleting") || !strcmp(export.state, "deleted"))
        return error_new(ERR_CONFLICT, "the export is %s already", export.state);
    TRY(transfer_clean_now(call->db, &export)); /* the job's row before the export's */
    TRY(transfer_become(call->db, &export, "deleting", NULL, call->now));
    audit(&export, answer);
    answer->retry_after = 1;
    return view_made(call, &transfer_select_one, DB_VALUES(db_text(export.id), db_text(EXPORT)),
                     "such export", 202, NULL, answer);
}

/* -------------------------------------------------------------------------------------------------------
 * files
 */

struct part {
    struct http_source source;
    int fd;
    uint64_t at, left;
    const char *name;
};

static struct error *part_next(struct http_source *source, struct buf *piece, bool *ret_end)
{
    struct part *part = (struct part *)source; /* its first member */
    size_t wanted = part->left < PIECE ? (size_t)part->left : PIECE;
    char *room = buf_reserve(piece, wanted);
    if (!room)
        return error_new(ERR_INTERNAL, "a piece of a file is too long");
    ssize_t count = pread(part->fd, room, wanted, (off_t)part->at);
    if (count < 0 && errno == EINTR)
        return NULL; /* nothing yet */
    if (count < 0)
        return transfer_io_error("read", part->name);
    if (!count && part->left)
        return error_new(ERR_IO, "%s is shorter than it was", part->name);
    buf_added(piece, (size_t)count);
    part->at += (uint64_t)count;
    part->left -= (uint64_t)count;
    *ret_end = !part->left;
    return NULL;
}

static void part_done(struct http_source *source)
{
    (void)close(((struct part *)source)->fd); /* it was only read */
}

static struct error *open_part(struct http_call *call, const struct transfer *export, const char *name,
                               struct part **ret_part)
{
    const char *folder = transfer_folder(call->context, export->id, call->arena);
    struct part *part = arena_alloc(call->arena, sizeof *part);
    *part = (struct part){.source = {part_next, part_done}, .name = name};
    part->fd = open(arena_printf(call->arena, "%s/%s", folder, name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (part->fd < 0 && errno == ENOENT)
        return error_new(ERR_BUSY, "the file is with another broker, or is being removed");
    if (part->fd < 0)
        return transfer_io_error("open", name);
    *ret_part = part;
    return NULL;
}

static struct error *find_file(struct http_call *call, const struct transfer *export,
                               struct transfer_file *ret_file)
{
    struct transfer_file *files;
    size_t count;
    TRY(transfer_files(call->db, call->arena, export, &files, &count));
    for (size_t i = 0; i < count; i++)
        if (!strcmp(files[i].name, http_param(call, "name"))) {
            *ret_file = files[i];
            return NULL;
        }
    return error_new(ERR_NOT_FOUND, "no such file");
}

static struct error *fetch(struct http_call *call, struct http_answer *answer)
{
    struct transfer export;
    struct transfer_file file;
    struct part *part;
    uint64_t from, length;
    TRY(view_id(call, EXPORT));
    TRY(transfer_peek(call->db, call->arena, true, http_param(call, EXPORT), &export));
    if (strcmp(export.state, "ready") != 0)
        return error_new(ERR_CONFLICT, "the export is %s, not ready", export.state);
    TRY(transfer_consented(call->db, &export, call->now));
    TRY(find_file(call, &export, &file));
    http_range(call, file.sha256, (uint64_t)file.size, answer, &from, &length);
    answer->etag = file.sha256;
    if (answer->status == 416)
        return NULL;
    TRY(open_part(call, &export, file.name, &part));
    part->at = from;
    part->left = length;
    answer->source = &part->source;
    answer->file_name = file.name;
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/exports", list, "exports:read", 0, "state,system,cloud,instance,page_size,page_token"},
    {"POST", "/v1/exports", add, "exports:write", HTTP_KEYED, NULL},
    {"GET", "/v1/exports/{export}", get, "exports:read", 0, NULL},
    {"DELETE", "/v1/exports/{export}", drop, "exports:write", HTTP_CONDITIONAL | HTTP_NO_BODY, NULL},
    {"GET", "/v1/exports/{export}/files/{name}", fetch, "exports:download", HTTP_STREAM, NULL},
};
const struct http_table transfer_export_routes = HTTP_TABLE(routes);
