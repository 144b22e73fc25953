/* The steps of archiving a month; see archive.h. Points where a crash leaves something else on the disk or in
 * the database are told to tests, which stop there. */
#include "metering/archive.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/json.h"
#include "metering/archive_file.h"
#include "metering/archive_store.h"
#include "metering/bill.h"
#include "metering/partition.h"

struct state {
    struct archive_work *work;
    char month[8];
    struct archive_entry entries[ARCHIVE_FILES];
    struct archive_sums sums;
    char manifest_sm3[DIGEST_HEX];
    const char *folder; /* that is written or read */
};

static void tell(const struct archive_work *work, int point)
{
    if (work->reached)
        work->reached(point, work->given);
}

static struct error *fenced(struct archive_work *work, struct error *(*body)(struct db *db, void *context),
                            void *context)
{
    return work->job ? job_transaction(work->job, DB_READ_COMMITTED, body, context)
                     : db_transaction(work->db, &db_scope_system, DB_READ_COMMITTED, body, context);
}

static struct error *go_on(const struct archive_work *work)
{
    return work->job && job_cancelled(work->job) ? error_new(ERR_CANCELLED, "asked to stop") : NULL;
}

static struct state begin(struct archive_work *work)
{
    struct state state = {.work = work};
    month_format(work->month, state.month);
    return state;
}

/* What goes next; ERR_CONFLICT when nothing may. */
static struct error *next_part(struct db *db, const struct state *state, enum archive_part *ret_part)
{
    const char *why;
    TRY(archive_part_next(db, state->work->arena, state->work->month, ret_part, &why));
    return why ? error_new(ERR_CONFLICT, "%s is not archived now: %s", state->month, why) : NULL;
}

/* ------------------------------------------------------------------------------------------------- export */

/* What the manifest says of the files: rows, bytes and digests of what was written or read, and the
 * database's sums. */
static json_t *files_json(const struct state *state)
{
    const struct archive_sums *sums = &state->sums;
    json_t *files = json_array();
    for (int i = 0; i < ARCHIVE_FILES; i++) {
        json_t *file = json_object();
        json_put_text(file, "name", archive_file_name((enum archive_file)i));
        json_put_int(file, "rows", state->entries[i].rows);
        json_put_int(file, "bytes", state->entries[i].bytes);
        json_put_text(file, "sm3", state->entries[i].sm3);
        if (i != ARCHIVE_FILE_BILLS)
            json_put_text(file, "usage_exact", i == ARCHIVE_FILE_USAGE ? sums->usage : sums->lines_usage);
        if (i != ARCHIVE_FILE_USAGE)
            json_put_text(file, "total_fen", i == ARCHIVE_FILE_BILLS ? sums->bills_fen : sums->lines_fen);
        json_push(files, file);
    }
    return files;
}

static struct error *manifest_text(struct db *db, const struct state *state, const char **ret_text)
{
    struct arena *arena = state->work->arena;
    struct bill_month month;
    TRY(bill_month_get(db, arena, state->work->month, &month));
    json_t *json = json_hold(arena, json_object());
    json_put_int(json, "format", 1);
    json_put_text(json, "month", state->month);
    json_put_text(json, "program", YUNQIAO_VERSION);
    json_put_moment(json, "written_at", state->work->now);
    json_put_moment(json, "closed_at", month.closed_at);
    json_put_text(json, "digest_sm3", month.digest);
    json_put_text(json, "kid", month.kid);
    json_put_text(json, "signature", month.signature);
    json_put(json, "files", files_json(state));
    *ret_text = json_canonical(arena, json);
    return NULL;
}

/* Rows that were written or read are all that there are. */
static struct error *check_rows(const struct state *state)
{
    const struct archive_sums *sums = &state->sums;
    if (state->entries[ARCHIVE_FILE_USAGE].rows != sums->intervals ||
        state->entries[ARCHIVE_FILE_BILLS].rows != sums->bills ||
        state->entries[ARCHIVE_FILE_LINES].rows != sums->lines)
        return error_new(ERR_CONFLICT, "the files of %s do not have as many rows as the database",
                         state->month);
    return NULL;
}

static struct error *write_body(struct db *db, void *context)
{
    struct state *state = context;
    const char *text;
    for (int i = 0; i < ARCHIVE_FILES; i++) {
        TRY(go_on(state->work));
        TRY(archive_file_write(db, state->folder, (enum archive_file)i, state->month, &state->entries[i]));
        tell(state->work, 3 + i);
    }
    TRY(archive_sums(db, state->work->arena, state->month, &state->sums));
    TRY(check_rows(state));
    TRY(manifest_text(db, state, &text));
    return archive_manifest_write(state->folder, text);
}

static struct error *prepare_body(struct db *db, void *context)
{
    struct state *state = context;
    bool made;
    TRY(next_part(db, state, &state->work->part));
    if (state->work->part != ARCHIVE_USAGE)
        return NULL;
    TRY(partition_make(db, state->work->month, &made));
    return archive_forget(db, state->month);
}

static struct error *put_in_place(struct archive_work *work, const char *beside, const char *final)
{
    TRY(archive_folder_sync(beside));
    tell(work, 6);
    TRY(archive_folder_remove(work->arena, final));
    tell(work, 7);
    if (rename(beside, final))
        return error_new(ERR_IO, "could not rename %s: %s", beside, strerror(errno));
    tell(work, 8);
    TRY(archive_folder_sync(work->dir));
    tell(work, 9);
    return NULL;
}

struct error *archive_export(struct archive_work *work)
{
    struct state state = begin(work);
    const char *beside = arena_printf(work->arena, "%s/.%s.new", work->dir, state.month);
    TRY(fenced(work, prepare_body, &state));
    tell(work, 1);
    if (work->part != ARCHIVE_USAGE)
        return NULL;
    TRY(archive_folder_make(work->dir));
    TRY(archive_folder_remove(work->arena, beside));
    TRY(archive_folder_make(beside));
    tell(work, 2);
    state.folder = beside;
    TRY_DOING(db_transaction(work->db, &db_scope_system, DB_SNAPSHOT, write_body, &state),
              "could not write the archive of %s", state.month);
    return put_in_place(work, beside, arena_printf(work->arena, "%s/%s", work->dir, state.month));
}

/* ------------------------------------------------------------------------------------------------- verify */

static struct error *check_manifest(struct state *state)
{
    const char *text;
    json_t *json, *files;
    struct arena *arena = state->work->arena;
    TRY(archive_manifest_read(arena, state->folder, &text, state->manifest_sm3));
    TRY_DOING(json_parse_in(arena, text, strlen(text), &json), "%s/%s", state->folder, ARCHIVE_MANIFEST);
    files = json_hold(arena, files_json(state));
    const char *month = json_string_value(json_object_get(json, "month"));
    if (!month || strcmp(month, state->month) != 0 || !json_equal(json_object_get(json, "files"), files))
        return error_new(ERR_CONFLICT, "%s/%s does not tell of its files and of the database", state->folder,
                         ARCHIVE_MANIFEST);
    return NULL;
}

/* Usage that was dropped has its rows in the file alone: its digest is the manifest's, which is the one that
 * was verified when they were compared; and the recorded sums are those of that time. */
static struct error *read_dropped(struct db *db, struct state *state)
{
    struct archive archive;
    bool found;
    TRY(archive_file_read(state->folder, ARCHIVE_FILE_USAGE, &state->entries[ARCHIVE_FILE_USAGE]));
    TRY(archive_get(db, state->work->arena, state->work->month, &found, &archive));
    state->sums.intervals = found ? archive.intervals : 0;
    state->sums.usage = found ? archive.usage : "0";
    return NULL;
}

static struct error *compare_body(struct db *db, void *context)
{
    struct state *state = context;
    enum archive_part part;
    TRY(next_part(db, state, &part));
    if (part != state->work->part)
        return error_new(ERR_CONFLICT, "%s was archived further meanwhile", state->month);
    TRY(archive_sums(db, state->work->arena, state->month, &state->sums));
    for (int i = 0; i < ARCHIVE_FILES; i++) {
        TRY(go_on(state->work));
        if (i == ARCHIVE_FILE_USAGE && part == ARCHIVE_BILLS)
            TRY(read_dropped(db, state));
        else
            TRY(archive_file_compare(db, state->folder, (enum archive_file)i, state->month,
                                     &state->entries[i]));
    }
    TRY(check_rows(state));
    return check_manifest(state);
}

static struct error *record_body(struct db *db, void *context)
{
    const struct state *state = context;
    return archive_record(db, state->month, state->manifest_sm3, &state->sums, state->work->now);
}

struct error *archive_verify(struct archive_work *work)
{
    struct state state = begin(work);
    state.folder = arena_printf(work->arena, "%s/%s", work->dir, state.month);
    TRY_DOING(db_transaction(work->db, &db_scope_system, DB_SNAPSHOT, compare_body, &state),
              "could not verify the archive of %s", state.month);
    tell(work, 10);
    TRY(fenced(work, record_body, &state));
    tell(work, 11);
    return NULL;
}

/* --------------------------------------------------------------------------------------------------- drop */

static struct error *drop_body(struct db *db, void *context)
{
    const struct state *state = context;
    return archive_drop_part(db, state->month, state->work->part);
}

struct error *archive_drop(struct archive_work *work)
{
    struct state state = begin(work);
    TRY_DOING(fenced(work, drop_body, &state), "could not drop what is archived of %s", state.month);
    tell(work, 12);
    return NULL;
}
