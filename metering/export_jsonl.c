/* JSON lines: an object a line, the members of GET /v1/bills/{id} with those of the bill. See export.h. */
#include "metering/export.h"
#include "metering/line_json.h"

static int append(const char *bytes, size_t length, void *context)
{
    buf_append(context, bytes, length);
    return 0;
}

static struct error *line(struct buf *piece, const struct export_line *export)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *json = json_object();
    json_put_text(json, "bill", export->bill);
    json_put_text(json, "month", export->month);
    json_put_text(json, "unit", export->line.unit);
    json_put_text(json, "provider", export->line.provider);
    struct error *error = line_json_put(arena, json, &export->line, export->number);
    if (!error && json_dump_callback(json, append, piece, JSON_COMPACT))
        error = error_new(ERR_INTERNAL, "a line is not JSON");
    json_decref(json);
    buf_putc(piece, '\n');
    return error;
}

const struct export_format export_jsonl = {"jsonl", "jsonl", "application/jsonl", NULL, line};
