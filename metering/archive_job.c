/* The job "archive": one part of one month; see archive.h. */
#include "broker/base/json.h"
#include "broker/base/log.h"
#include "metering/archive.h"
#include "metering/services.h"

/* The part that the first step found is kept for the others: a job that died after its drop drops nothing
 * else when it goes on. */
static struct error *run(struct job *job, struct error *(*step)(struct archive_work *work))
{
    const struct metering_services *services = job->context;
    struct archive_work work = {
        .db = job->db,
        .arena = job->arena,
        .dir = services->archive_dir,
        .now = clock_now(job->clock),
        .part = (enum archive_part)json_integer_value(json_object_get(job->state, "part")),
        .job = job};
    const char *month = json_string_value(json_object_get(job->args, "month"));
    TRY(month_parse(month ? month : "", &work.month));
    if (!work.dir)
        return error_new(ERR_UNSUPPORTED, "this broker has no archive_dir");
    TRY(step(&work));
    json_put_int(job->state, "part", work.part);
    return NULL;
}

static struct error *export_step(struct job *job)
{
    return run(job, archive_export);
}

static struct error *verify_step(struct job *job)
{
    return run(job, archive_verify);
}

static struct error *drop_step(struct job *job)
{
    TRY(run(job, archive_drop));
    log_info("month.archived", LOG_TEXT("month", json_string_value(json_object_get(job->args, "month"))),
             LOG_TEXT("dropped", json_integer_value(json_object_get(job->state, "part")) == ARCHIVE_USAGE
                                     ? "usage"
                                     : "bills"));
    return NULL;
}

static const struct job_step steps[] = {
    {"export", export_step, NULL}, {"verify", verify_step, NULL}, {"drop", drop_step, NULL}};
const struct job_type archive_job = {.name = "archive",
                                     .steps = steps,
                                     .step_count = sizeof steps / sizeof *steps,
                                     .max_attempts = 10,
                                     .backoff_us = MOMENT_SECOND,
                                     .backoff_max_us = 5 * MOMENT_MINUTE};

static const struct db_statement failed_lately = {
    "archive_failed", "SELECT EXISTS (SELECT FROM job WHERE type = 'archive' AND state = 'failed'"
                      " AND ended_at > clock_timestamp() - interval '1 hour')"};

struct error *archive_add_due(struct db *db)
{
    DB_ROWS_AUTO struct db_rows *rows = NULL;
    char id[37];
    struct month month;
    bool found;
    TRY(archive_due(db, &found, &month));
    if (!found)
        return NULL;
    TRY(db_query(db, &failed_lately, DB_NO_VALUES, &rows));
    if (db_get_bool(rows, 0, 0))
        return NULL;
    struct error *error = archive_add_job(db, month, id);
    if (error && error_code(error) == ERR_EXISTS) {
        error_ignore(error); /* one is under way */
        return NULL;
    }
    return error;
}

struct error *archive_add_job(struct db *db, struct month month, char ret_id[37])
{
    ARENA_AUTO struct arena *arena = arena_new();
    char text[8];
    json_t *args = json_hold(arena, json_object());
    month_format(month, text);
    json_put_text(args, "month", text);
    return job_add(db, archive_job.name, NULL, "archive", args, 0, ret_id);
}
