/* GET /v1/months/{month}/lines and GET /v1/bills/{id}/lines: the lines of closed bills as a file. */
#include <string.h>

#include "metering/archive.h"
#include "metering/export.h"
#include "metering/routes.h"

#define PIECE ((size_t)64 * 1024) /* handed over when it is so large, or a portion has ended */

struct text_source {
    struct http_source source;
    const struct export_format *format;
    struct export_lines *lines;
    bool begun, bom;
};

static struct error *text_next(struct http_source *source, struct buf *piece, bool *ret_end)
{
    struct text_source *text = (struct text_source *)source; /* its first member */
    if (!text->begun && text->format->begin)
        text->format->begin(piece, text->bom);
    text->begun = true;
    const struct export_line *line;
    do {
        TRY(export_lines_next(text->lines, &line));
        if (line)
            TRY(text->format->line(piece, line));
    } while (line && piece->length < PIECE && !export_lines_portion(text->lines));
    *ret_end = !line;
    return NULL;
}

static void text_done(struct http_source *source)
{
    export_lines_close(((struct text_source *)source)->lines);
}

static struct error *text_answer(struct http_call *call, const struct export_filter *filter,
                                 const struct export_format *format, bool bom, struct http_answer *ret_answer)
{
    struct text_source *text = arena_alloc(call->arena, sizeof *text);
    *text = (struct text_source){.source = {text_next, text_done}, .format = format, .bom = bom};
    TRY(export_lines_open(call->db, filter, &text->lines));
    ret_answer->source = &text->source;
    ret_answer->content_type = format->content_type;
    return NULL;
}

static struct error *read_bom(const struct http_call *call, bool *ret_bom)
{
    const char *bom = http_query(call, "bom");
    if (bom && strcmp(bom, "true") && strcmp(bom, "false"))
        return error_member("?bom", "true or false is needed");
    *ret_bom = bom && !strcmp(bom, "true");
    return NULL;
}

/* Answers with the lines of the filter in the format that is asked for, as a file `name`. */
static struct error *answer(struct http_call *call, const struct export_filter *filter, const char *name,
                            struct http_answer *ret_answer)
{
    static const struct export_format *const formats[] = {&export_csv, &export_jsonl, &export_focus};
    const char *wanted = http_query(call, "format");
    bool bom;
    TRY(read_bom(call, &bom));
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(wanted ? wanted : "csv", formats[i]->name) != 0)
            continue;
        TRY(text_answer(call, filter, formats[i], bom, ret_answer));
        ret_answer->file_name = arena_printf(call->arena, "%s.%s", name, formats[i]->suffix);
        return NULL;
    }
    if (wanted && strcmp(wanted, "xlsx") == 0) {
        ret_answer->source = export_xlsx_source(call, filter);
        ret_answer->content_type = EXPORT_XLSX_TYPE;
        ret_answer->file_name = arena_printf(call->arena, "%s.xlsx", name);
        return NULL;
    }
    return error_member("?format", "one of csv, jsonl, focus, xlsx is needed");
}

static struct error *export_month(struct http_call *call, struct http_answer *ret_answer)
{
    struct export_filter filter = {
        .month = http_param(call, "month"),
        .unit = http_query(call, "unit"),
        .system = http_query(call, "system"),
        .cloud = http_query(call, "cloud"),
        .provider = http_query(call, "provider"),
        .item = http_query(call, "item"),
    };
    struct month month;
    struct bill_month state;
    TRY(error_recode(month_parse(filter.month, &month), ERR_NOT_FOUND, "no such month"));
    if (filter.item && !item_find(filter.item))
        return error_member("?item", "there is no such item");
    TRY(bill_month_get(call->db, call->arena, month, &state));
    if (!state.closed)
        return error_new(ERR_CONFLICT, "%s is not closed: its bills are not written yet", filter.month);
    TRY(archive_refuse_bills(call->db, month));
    return answer(call, &filter, arena_printf(call->arena, "yunqiao-lines-%s", filter.month), ret_answer);
}

static struct error *export_bill(struct http_call *call, struct http_answer *ret_answer)
{
    struct bill bill;
    TRY(bill_get(call->db, call->arena, http_param(call, "id"), &bill));
    const struct export_filter filter = {.month = bill.month, .bill = bill.id, .unit = bill.unit};
    return answer(call, &filter, bill.number, ret_answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/months/{month}/lines", export_month, "bills:read", HTTP_STREAM,
     "format,bom,unit,system,cloud,provider,item"},
    {"GET", "/v1/bills/{id}/lines", export_bill, "bills:read", HTTP_STREAM, "format,bom"},
};

const struct http_table export_routes = HTTP_TABLE(routes);
