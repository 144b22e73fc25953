/* /v1/imports: a machine declared as files, sent in pieces, each acknowledged once it is on disk, then
 * started as an order is. Nothing that is sent is looked at before that. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/id.h"
#include "broker/control/placement.h"
#include "broker/control/resource.h"
#include "broker/control/view.h"
#include "federation/routes.h"
#include "federation/transfer_folder.h"
#include "federation/transfer_manifest.h"

#define IMPORT "import"
#define BESIDE ((int64_t)64 << 20) /* digests of blocks, and what else lies beside the files */

struct declared {
    const char *name, *sha256, *sm3;
    int64_t size;
};
struct wish {
    const char *unit, *system, *cloud, *zone, *name, *format, *architecture, *firmware, *performance, *mac;
    int64_t vcpu, memory_gb;
    bool start;
    struct json_list files;
    json_t *manifest;
};

static const char *const formats[] = {
#define X(symbol, name, qemu, end) name,
    TRANSFER_FORMATS(X)
#undef X
        NULL};
static const char *const architectures[] = {"x86", "ARM", "C86", "POWER", NULL};
static const char *const firmwares[] = {"bios", "uefi", "uefi-secure", "open", NULL};
static const char *const performances[] = {"standard", "high", NULL};
static const struct json_member file_members[] = {
    {JSON_MEMBER(struct declared, name), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = TRANSFER_NAME_MAX},
    {JSON_MEMBER(struct declared, size), .want = JSON_WANT_INT, .flags = JSON_REQUIRED, .min = 512,
     .max = TRANSFER_FILE_MAX},
    {JSON_MEMBER(struct declared, sha256), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 64,
     .max = 64},
    {JSON_MEMBER(struct declared, sm3), .want = JSON_WANT_TEXT, .min = 64, .max = 64},
};
static const struct json_spec file_spec = JSON_SPEC(struct declared, file_members);
static const struct json_member wish_members[] = {
    {JSON_MEMBER(struct wish, unit), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct wish, system), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct wish, cloud), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct wish, zone), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct wish, name), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct wish, format), .want = JSON_WANT_CHOICE, .choices = formats},
    {JSON_MEMBER(struct wish, vcpu), .want = JSON_WANT_INT, .min = 1, .max = 16},
    {JSON_MEMBER(struct wish, memory_gb), .want = JSON_WANT_INT, .min = 1, .max = 64},
    {JSON_MEMBER(struct wish, architecture), .want = JSON_WANT_CHOICE, .choices = architectures},
    {JSON_MEMBER(struct wish, firmware), .want = JSON_WANT_CHOICE, .choices = firmwares},
    {JSON_MEMBER(struct wish, performance), .want = JSON_WANT_CHOICE, .choices = performances},
    {JSON_MEMBER(struct wish, mac), .want = JSON_WANT_TEXT, .min = 17, .max = 17},
    {JSON_MEMBER(struct wish, start), .want = JSON_WANT_BOOL},
    {JSON_MEMBER(struct wish, files), .want = JSON_WANT_LIST, .min = 1, .max = TRANSFER_DISKS_MAX,
     .spec = &file_spec},
    {JSON_MEMBER(struct wish, manifest), .want = JSON_WANT_ANY},
};
static const struct json_spec wish_spec = JSON_SPEC(struct wish, wish_members);

static const struct db_statement select_system = {"transfer_system",
                                                  "SELECT 1 FROM system WHERE unit_id = $1 AND id = $2"};

static struct error *find_unit(struct http_call *call, struct wish *wish)
{
    if (!wish->unit)
        wish->unit = principal_unit(call->principal);
    if (!wish->unit)
        return error_member("/unit", "is required of a principal without a unit");
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    TRY(db_query(call->db, &select_system, DB_VALUES(db_text(wish->unit), db_text(wish->system)), &rows));
    if (!db_count(rows) || !principal_sees_system(call->principal, wish->unit, wish->system))
        return error_new(ERR_NOT_FOUND, "unit \"%s\" has no system \"%s\"", wish->unit, wish->system);
    return NULL;
}

/* What the caller left out is as the manifest has it. */
static struct error *take_manifest(struct http_call *call, struct wish *wish)
{
    struct transfer_sealed sealed;
    bool known;
    if (!wish->manifest)
        return NULL;
    TRY(transfer_sealed_read(call->db, wish->manifest, call->arena, &sealed, &known));
    struct declared *files = arena_array(call->arena, sealed.file_count, sizeof *files);
    for (size_t i = 0; i < sealed.file_count; i++)
        files[i] = (struct declared){.name = sealed.files[i].name,
                                     .sha256 = sealed.files[i].sha256,
                                     .sm3 = sealed.files[i].sm3,
                                     .size = sealed.files[i].size};
    if (wish->files.count || wish->format)
        return error_member("/manifest", "says files and format itself: leave them out");
    wish->files = (struct json_list){files, sealed.file_count};
    wish->format = sealed.format;
    if (!wish->name && name_valid(sealed.name, 63))
        wish->name = sealed.name;
    if (!wish->vcpu)
        wish->vcpu = sealed.vcpu;
    if (!wish->memory_gb)
        wish->memory_gb = (sealed.memory_mb + 1023) / 1024;
    if (!wish->architecture)
        wish->architecture = sealed.architecture;
    if (!wish->firmware)
        wish->firmware = sealed.firmware;
    return NULL;
}

static bool is_hex(const char *text)
{
    return strspn(text, "0123456789abcdef") == DIGEST_HEX - 1 && !text[DIGEST_HEX - 1];
}

static bool is_mac(const char *text)
{
    for (size_t i = 0; i < 17; i++)
        if (i % 3 == 2 ? text[i] != ':' : !text[i] || !strchr("0123456789abcdef", text[i]))
            return false;
    return !text[17] && !strchr("13579bdf", text[1]); /* of one machine, not of a group */
}

static void check_files(struct http_call *call, const struct wish *wish, struct error **errors)
{
    const struct declared *files = wish->files.items;
    for (size_t i = 0; i < wish->files.count; i++) {
        const char *at = arena_printf(call->arena, "/files/%zu", i);
        if (!transfer_name_valid(files[i].name))
            error_collect(errors, arena_printf(call->arena, "%s/name", at),
                          "must be letters, digits, dots, dashes and underscores");
        for (size_t k = 0; k < i; k++)
            if (!strcmp(files[k].name, files[i].name))
                error_collect(errors, arena_printf(call->arena, "%s/name", at), "is there twice");
        if (!is_hex(files[i].sha256) || (files[i].sm3 && !is_hex(files[i].sm3)))
            error_collect(errors, arena_printf(call->arena, "%s/sha256", at),
                          "digests are 64 lower-case hex digits");
    }
    if (wish->format && !strcmp(wish->format, "ova") && wish->files.count > 1)
        error_collect(errors, "/files", "an OVA is one file");
}

static struct error *check_wish(struct http_call *call, const struct wish *wish)
{
    struct error *errors = NULL;
    const char *const needed[][2] = {{"/name", wish->name},
                                     {"/format", wish->format},
                                     {"/architecture", wish->architecture},
                                     {"/files", wish->files.count ? "" : NULL},
                                     {"/vcpu", wish->vcpu ? "" : NULL},
                                     {"/memory_gb", wish->memory_gb ? "" : NULL}};
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (!needed[i][1])
            error_collect(&errors, needed[i][0], "is required without a manifest that says it");
    if (wish->vcpu > 16)
        error_collect(&errors, "/vcpu", "must be 1 to 16 (procurement 3.2.1.1)");
    if (wish->memory_gb > 64)
        error_collect(&errors, "/memory_gb", "must be 1 to 64 (procurement 3.2.1.1)");
    if (wish->mac && principal_unit(call->principal))
        error_collect(&errors, "/mac", "is the platform's to keep: all units share the zone's network");
    else if (wish->mac && !is_mac(wish->mac))
        error_collect(&errors, "/mac", "must be like 52:54:00:12:34:56, of one machine");
    check_files(call, wish, &errors);
    return errors;
}

/* As of an order, so that nobody sends a terabyte in vain; asked again when it is started. */
static struct error *check_place(struct http_call *call, const struct wish *wish, const char **ret_provider)
{
    const struct placement_wish place = {.kind = "instance",
                                         .cloud = wish->cloud,
                                         .zone = wish->zone,
                                         .architecture = wish->architecture,
                                         .imported = true};
    struct placement_facts facts;
    struct error *errors = NULL;
    bool found;
    TRY(placement_load(call->db, call->arena, wish->unit, wish->system, &place, &found, &facts));
    if (!found)
        return error_member("/cloud", "no cloud is named \"%s\"", wish->cloud);
    placement_check(&place, &facts, "/zone", &errors);
    *ret_provider = facts.provider;
    return errors;
}

static json_t *request_json(struct http_call *call, const struct wish *wish)
{
    json_t *request = json_hold(call->arena, json_object());
    json_put_text(request, "zone", wish->zone);
    json_put_int(request, "vcpu", wish->vcpu);
    json_put_int(request, "memory_gb", wish->memory_gb);
    json_put_text(request, "architecture", wish->architecture);
    json_put_text(request, "firmware", wish->firmware);
    json_put_text(request, "performance", wish->performance);
    json_put_text(request, "mac", wish->mac);
    json_put_bool(request, "start", wish->start);
    return request;
}

static void audit(const struct transfer *import, struct http_answer *answer)
{
    answer->audit_unit = import->unit;
    answer->audit_cloud = import->cloud;
    answer->audit_subject = import->id;
}

static struct error *answer_one(struct http_call *call, const char *id, int status, const char *location,
                                struct http_answer *answer)
{
    return view_made(call, &transfer_select_one, DB_VALUES(db_text(id), db_text(IMPORT)), "such import",
                     status, location, answer);
}

static struct error *insert(struct http_call *call, const struct wish *wish, struct transfer *import)
{
    const struct federation_services *services = call->context;
    const struct declared *files = wish->files.items;
    int64_t bytes = BESIDE;
    TRY(transfer_insert(call->db, import, call->now));
    for (size_t i = 0; i < wish->files.count; i++) {
        const struct transfer_file file = {
            .name = files[i].name, .size = files[i].size, .sha256 = files[i].sha256, .sm3 = files[i].sm3};
        TRY(transfer_add_file(call->db, import, i + 1, &file));
        bytes += files[i].size; /* at most TRANSFER_FILES_MAX × TRANSFER_FILE_MAX */
    }
    TRY(transfer_take_space(call->db, import, bytes, services));
    return transfer_clean_add(call->db, call->arena, import, call->now + services->transfer_keep_us,
                              call->now);
}

static struct error *add(struct http_call *call, struct http_answer *answer)
{
    struct wish wish = {.start = false};
    struct transfer import = {
        .id = id_new_in(call->arena), .state = "uploading", .principal = principal_id(call->principal)};
    TRY(http_read_body(call, &wish_spec, &wish));
    TRY(find_unit(call, &wish));
    TRY(take_manifest(call, &wish));
    TRY(check_wish(call, &wish));
    TRY(check_place(call, &wish, &import.provider));
    import.unit = wish.unit;
    import.system = wish.system;
    import.cloud = wish.cloud;
    import.name = wish.name;
    import.format = transfer_format_find(wish.format);
    import.request = request_json(call, &wish);
    import.manifest = wish.manifest;
    TRY(insert(call, &wish, &import));
    audit(&import, answer);
    return answer_one(call, import.id, 201, arena_printf(call->arena, "/v1/imports/%s", import.id), answer);
}

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    return view_list_by_id(call, &transfer_select_list,
                           DB_VALUES(db_text(IMPORT), db_text(http_query(call, "state")),
                                     db_text(http_query(call, "system")), db_text(http_query(call, "cloud")),
                                     db_text(NULL)),
                           answer);
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, IMPORT));
    return view_one(call, &transfer_select_one, DB_VALUES(db_text(http_param(call, IMPORT)), db_text(IMPORT)),
                    "such import", answer);
}

static struct error *drop(struct http_call *call, struct http_answer *answer)
{
    struct transfer import;
    TRY(view_id(call, IMPORT));
    TRY(transfer_peek(call->db, call->arena, false, http_param(call, IMPORT), &import));
    TRY(http_if_match(call, view_etag(call->arena, import.version)));
    if (!strcmp(import.state, "working"))
        return error_new(ERR_CONFLICT, "the import is being made: cancel its operation");
    if (!strcmp(import.state, "deleting") || !strcmp(import.state, "deleted"))
        return error_new(ERR_CONFLICT, "the import is %s already", import.state);
    TRY(transfer_clean_now(call->db, &import)); /* the job's row before the import's */
    TRY(transfer_become(call->db, &import, "deleting", NULL, call->now));
    audit(&import, answer);
    answer->retry_after = 1;
    return answer_one(call, import.id, 202, NULL, answer);
}

/* -------------------------------------------------------------------------------------------------------
 * files
 */

static struct error *answer_file(struct http_call *call, const struct transfer_file *file,
                                 struct http_answer *answer)
{
    (void)call;
    json_t *body = json_object();
    json_put_text(body, "name", file->name);
    json_put_int(body, "size", file->size);
    json_put_text(body, "sha256", file->sha256);
    json_put_text(body, "sm3", file->sm3);
    json_put_int(body, "received", file->received);
    answer->body = body;
    return NULL;
}

static struct error *get_file(struct http_call *call, struct http_answer *answer)
{
    struct transfer import;
    struct transfer_file *files;
    size_t count;
    TRY(view_id(call, IMPORT));
    TRY(transfer_peek(call->db, call->arena, false, http_param(call, IMPORT), &import));
    TRY(transfer_files(call->db, call->arena, &import, &files, &count));
    for (size_t i = 0; i < count; i++)
        if (!strcmp(files[i].name, http_param(call, "name")))
            return answer_file(call, &files[i], answer);
    return error_new(ERR_NOT_FOUND, "no such file");
}

static struct error *read_offset(const struct http_call *call, int64_t *ret_offset)
{
    const char *text = http_header(call, "upload-offset");
    size_t digits = text ? strspn(text, "0123456789") : 0;
    int64_t offset = 0;
    if (!digits || text[digits] || digits > 15)
        return error_new(ERR_PRECONDITION_REQUIRED,
                         "send Upload-Offset: the number of bytes that were received before (GET tells it)");
    for (size_t i = 0; i < digits; i++)
        offset = offset * 10 + (text[i] - '0');
    *ret_offset = offset;
    return NULL;
}

/* On disk when it returns. */
static struct error *write_piece(int fd, const char *name, int64_t offset, const char *bytes, size_t length)
{
    while (length) {
        ssize_t count = pwrite(fd, bytes, length, (off_t)offset);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return transfer_io_error("write", name);
        bytes += count;
        offset += count;
        length -= (size_t)count;
    }
    return fdatasync(fd) ? transfer_io_error("write", name) : NULL;
}

static struct error *keep_piece(struct http_call *call, const struct transfer *import,
                                const struct transfer_file *file, const char *bytes, size_t length)
{
    int fd;
    const char *folder = transfer_folder(call->context, import->id, call->arena);
    TRY(transfer_folder_make(call->context, folder));
    TRY(transfer_folder_fits(folder, length));
    TRY(transfer_file_open(call->context, folder, file->name, &fd));
    struct error *error = write_piece(fd, file->name, file->received, bytes, length);
    if (!error && file->received + (int64_t)length == file->size && ftruncate(fd, file->size))
        error = transfer_io_error("write", file->name); /* of an attempt that was longer */
    (void)close(fd);                                    /* it was synced */
    return error;
}

static struct error *send_piece(struct http_call *call, struct http_answer *answer)
{
    struct transfer import;
    struct transfer_file file;
    int64_t offset;
    size_t length;
    const char *bytes = http_bytes(call, &length);
    TRY(view_id(call, IMPORT));
    TRY(read_offset(call, &offset));
    TRY(transfer_load(call->db, call->arena, NULL, false, http_param(call, IMPORT), &import));
    TRY(transfer_load_file(call->db, call->arena, &import, http_param(call, "name"), &file));
    if (strcmp(import.state, "uploading") != 0 && strcmp(import.state, "failed") != 0)
        return error_new(ERR_CONFLICT, "the import is %s: nothing is taken any more", import.state);
    if (offset != file.received)
        return error_new(ERR_CONFLICT, "%s has %lld bytes: go on from there, not from %lld", file.name,
                         (long long)file.received, (long long)offset);
    if (!length)
        return error_new(ERR_INVALID, "a piece has at least one byte");
    if ((int64_t)length > file.size - file.received)
        return error_new(ERR_INVALID, "%s was declared with %lld bytes; this goes beyond", file.name,
                         (long long)file.size);
    TRY(keep_piece(call, &import, &file, bytes, length));
    file.received += (int64_t)length;
    TRY(transfer_set_received(call->db, &import, file.name, file.received));
    audit(&import, answer);
    return answer_file(call, &file, answer);
}

static struct error *check_whole(struct http_call *call, const struct transfer *import)
{
    struct transfer_file *files;
    size_t count;
    TRY(transfer_files(call->db, call->arena, import, &files, &count));
    for (size_t i = 0; i < count; i++)
        if (files[i].received != files[i].size)
            return error_new(ERR_CONFLICT, "%s is not whole: %lld of %lld bytes have come", files[i].name,
                             (long long)files[i].received, (long long)files[i].size);
    return NULL;
}

static struct error *start(struct http_call *call, struct http_answer *answer)
{
    struct transfer import;
    const char *operation = id_new_in(call->arena);
    TRY(view_id(call, IMPORT));
    TRY(transfer_load(call->db, call->arena, NULL, false, http_param(call, IMPORT), &import));
    if (strcmp(import.state, "uploading") != 0 && strcmp(import.state, "failed") != 0)
        return error_new(ERR_CONFLICT, "the import is %s", import.state);
    TRY(check_whole(call, &import));
    TRY(operation_start(call->db,
                        &(struct operation_new){.id = operation,
                                                .kind = IMPORT,
                                                .unit = import.unit,
                                                .system = import.system,
                                                .cloud = import.cloud,
                                                .provider = import.provider,
                                                .principal = principal_id(call->principal),
                                                .args = import.request},
                        import_job.name, call->now));
    TRY(transfer_become(call->db, &import, "working", NULL, call->now));
    TRY(transfer_set_operation(call->db, &import, operation));
    audit(&import, answer);
    answer->retry_after = 1;
    return answer_one(call, import.id, 202, arena_printf(call->arena, "/v1/operations/%s", operation),
                      answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/imports", list, "imports:read", 0, "state,system,cloud,page_size,page_token"},
    {"POST", "/v1/imports", add, "imports:write", HTTP_KEYED, NULL},
    {"GET", "/v1/imports/{import}", get, "imports:read", 0, NULL},
    {"DELETE", "/v1/imports/{import}", drop, "imports:write", HTTP_CONDITIONAL | HTTP_NO_BODY, NULL},
    {"POST", "/v1/imports/{import}:start", start, "orders:write", HTTP_NO_BODY, NULL},
    {"GET", "/v1/imports/{import}/files/{name}", get_file, "imports:read", 0, NULL},
    {"PATCH", "/v1/imports/{import}/files/{name}", send_piece, "imports:write", HTTP_BYTES, NULL},
};
const struct http_table transfer_import_routes = HTTP_TABLE(routes);
