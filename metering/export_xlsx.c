/* XLSX: a workbook with a sheet a view. libxlsxwriter keeps one row in memory and the rest in temporary
 * files; when the workbook is whole it is sent like any other body. See export.h.
 *
 * A spreadsheet's numbers are binary floating point: this is the one place where money becomes that, at the
 * very edge, and only where every fen still has a number of its own (MONEY_EXACT). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xlsxwriter.h>

#include "metering/export.h"
#include "metering/statement.h"

#define ROWS_MAX LXW_ROW_MAX /* of a sheet, the header and the total among them */
#define SHEETS_MAX 64
#define MONEY_EXACT (INT64_C(1) << 53)
#define BATCH 2000 /* lines between looks at whether the caller is still there */
#define PIECE ((size_t)64 * 1024)

enum view { VIEW_UNIT, VIEW_CLOUD, VIEW_PROVIDER, VIEW_ITEM, VIEWS };

/* One statement a view: what of the lines is grouped by is no parameter. */
#define VIEW_SELECT(key)                                                                             \
    DB_STREAM("SELECT l." key ", count(*), sum(l.amount_fen) FILTER (WHERE l.type = 'charge'),"      \
              " sum(l.amount_fen) FILTER (WHERE l.type = 'adjustment'), sum(l.amount_fen),"          \
              " sum(l.list_fen) FILTER (WHERE l.tariff <> 'standard') FROM bill_line l"              \
              " WHERE ($1::text IS NULL OR l.month = $1) AND ($2::text IS NULL OR l.bill_id = $2)"   \
              " AND ($3::text IS NULL OR l.unit_id = $3) AND ($4::text IS NULL OR l.system_id = $4)" \
              " AND ($5::text IS NULL OR l.cloud_id = $5)"                                           \
              " AND ($6::text IS NULL OR l.provider_id = $6) AND ($7::text IS NULL OR l.item = $7)"  \
              " GROUP BY 1 ORDER BY 1")
static const struct db_statement view_statements[VIEWS] = {
    [VIEW_UNIT] = {"export_by_unit", VIEW_SELECT("unit_id")},
    [VIEW_CLOUD] = {"export_by_cloud", VIEW_SELECT("cloud_id")},
    [VIEW_PROVIDER] = {"export_by_provider", VIEW_SELECT("provider_id")},
    [VIEW_ITEM] = {"export_by_item", VIEW_SELECT("item")},
};
static const char *const view_names[VIEWS] = {"By unit", "By cloud", "By provider", "By item"};
static const char *const view_keys[VIEWS] = {"Unit", "Cloud", "Provider", "Item"};

struct sheet {
    lxw_worksheet *sheet;
    const char *name;
    lxw_row_t rows; /* written, with the header */
};

struct xlsx {
    struct http_source source;
    struct arena *arena;
    struct db *db;
    const struct export_filter *filter;
    char path[4096];
    lxw_workbook *book;
    lxw_format *title, *head, *money, *number, *total, *total_money;
    struct sheet overview, views[VIEWS], lines[SHEETS_MAX];
    int64_t view_totals[VIEWS], line_totals[SHEETS_MAX];
    size_t line_sheets;
    struct export_lines *reader;
    enum { SUMMING, READING, CLOSING, SENDING } step;
    int fd;
};

static struct error *failed(lxw_error code)
{
    return error_new(code == LXW_ERROR_MEMORY_MALLOC_FAILED ? ERR_TOO_LARGE : ERR_IO,
                     "could not write the workbook: %s", lxw_strerror(code));
}

#define TRY_XLSX(call)             \
    do {                           \
        lxw_error code_ = (call);  \
        if (code_ != LXW_NO_ERROR) \
            return failed(code_);  \
    } while (0)

static struct error *yuan_of(int64_t fen, double *ret_yuan)
{
    if (fen > MONEY_EXACT || fen < -MONEY_EXACT)
        return error_new(ERR_TOO_LARGE, "an amount is beyond what a spreadsheet's numbers hold to the fen: "
                                        "take csv");
    *ret_yuan = (double)fen / 100;
    return NULL;
}

static struct error *put_money(struct sheet *sheet, lxw_col_t column, int64_t fen, lxw_format *format)
{
    double yuan;
    TRY(yuan_of(fen, &yuan));
    TRY_XLSX(worksheet_write_number(sheet->sheet, sheet->rows, column, yuan, format));
    return NULL;
}

/* The formula, and the value that it has: a reader that computes nothing shows the same. */
static struct error *put_sum(struct sheet *sheet, lxw_col_t column, const char *formula, int64_t fen,
                             lxw_format *format)
{
    double yuan;
    TRY(yuan_of(fen, &yuan));
    TRY_XLSX(worksheet_write_formula_num(sheet->sheet, sheet->rows, column, formula, format, yuan));
    return NULL;
}

static struct error *put_text(struct sheet *sheet, lxw_col_t column, const char *text, lxw_format *format)
{
    if (*text)
        TRY_XLSX(worksheet_write_string(sheet->sheet, sheet->rows, column, text, format));
    return NULL;
}

struct heading {
    const char *text;
    double width;
};

static struct error *put_heads(struct xlsx *xlsx, struct sheet *sheet, const struct heading *heads)
{
    lxw_col_t column = 0;
    for (; heads[column].text; column++) {
        TRY_XLSX(worksheet_set_column(sheet->sheet, column, column, heads[column].width, NULL));
        TRY(put_text(sheet, column, heads[column].text, xlsx->head));
    }
    sheet->rows++;
    worksheet_freeze_panes(sheet->sheet, sheet->rows, 0);
    worksheet_set_landscape(sheet->sheet);
    worksheet_set_paper(sheet->sheet, 9); /* A4 */
    worksheet_fit_to_pages(sheet->sheet, 1, 0);
    worksheet_repeat_rows(sheet->sheet, 0, 0);
    return NULL;
}

static struct error *add_sheet(struct xlsx *xlsx, const char *name, struct sheet *ret_sheet)
{
    *ret_sheet = (struct sheet){.name = name, .sheet = workbook_add_worksheet(xlsx->book, name)};
    return ret_sheet->sheet ? NULL : failed(LXW_ERROR_MEMORY_MALLOC_FAILED);
}

static lxw_format *format_new(struct xlsx *xlsx, const char *number, bool bold)
{
    lxw_format *format = workbook_add_format(xlsx->book);
    if (!format)
        return NULL; /* plain then */
    if (number)
        format_set_num_format(format, number);
    if (bold)
        format_set_bold(format);
    return format;
}

static struct error *open_book(struct xlsx *xlsx)
{
    const char *folder = getenv("TMPDIR");
    folder = folder && *folder ? folder : "/tmp";
    if (strlen(folder) > sizeof xlsx->path - 32)
        return error_new(ERR_IO, "the name of the folder for temporary files is too long");
    const char *path = arena_printf(xlsx->arena, "%s/yunqiao-export-XXXXXX", folder);
    memcpy(xlsx->path, path, strlen(path) + 1);
    xlsx->fd = mkostemp(xlsx->path, O_CLOEXEC);
    if (xlsx->fd < 0) {
        xlsx->path[0] = '\0';
        return error_new(ERR_IO, "could not make a temporary file in %s: %s", folder, strerror(errno));
    }
    lxw_workbook_options options = {.constant_memory = LXW_TRUE, .tmpdir = arena_strdup(xlsx->arena, folder)};
    xlsx->book = workbook_new_opt(xlsx->path, &options);
    if (!xlsx->book)
        return failed(LXW_ERROR_MEMORY_MALLOC_FAILED);
    xlsx->title = format_new(xlsx, NULL, true);
    xlsx->head = format_new(xlsx, NULL, true);
    xlsx->money = format_new(xlsx, "#,##0.00", false);
    xlsx->number = format_new(xlsx, "#,##0.000000", false);
    xlsx->total = format_new(xlsx, NULL, true);
    xlsx->total_money = format_new(xlsx, "#,##0.00", true);
    if (xlsx->title)
        format_set_font_size(xlsx->title, 16);
    if (xlsx->head) {
        format_set_bg_color(xlsx->head, 0xDCE6F1);
        format_set_bottom(xlsx->head, LXW_BORDER_THIN);
    }
    lxw_format *const totals[] = {xlsx->total, xlsx->total_money};
    for (size_t i = 0; i < 2; i++)
        if (totals[i])
            format_set_top(totals[i], LXW_BORDER_THIN);
    return NULL;
}

/* A row of a view: key, name of an item, lines, charges, adjustments, amount, free. */
static struct error *put_group(struct xlsx *xlsx, enum view view, const struct db_rows *rows, size_t row,
                               int64_t sums[4])
{
    struct sheet *sheet = &xlsx->views[view];
    const char *key = db_get_text(rows, row, 0);
    if (sheet->rows >= ROWS_MAX - 1)
        return error_new(ERR_TOO_LARGE, "more rows than a sheet holds: narrow the export or take csv");
    TRY(put_text(sheet, 0, key, NULL));
    TRY(put_text(sheet, 1, view == VIEW_ITEM ? item_find(key)->name : "", NULL));
    TRY_XLSX(worksheet_write_number(sheet->sheet, sheet->rows, 2, (double)db_get_int(rows, row, 1), NULL));
    for (int i = 0; i < 4; i++) {
        wide fen = db_get_wide(rows, row, 2 + i);
        if (fen > MONEY_EXACT || fen < -MONEY_EXACT)
            fen = INT64_MAX; /* refused below */
        TRY(put_money(sheet, (lxw_col_t)(3 + i), (int64_t)fen, xlsx->money));
        TRY(money_add(sums[i], (int64_t)fen, &sums[i]));
    }
    sheet->rows++;
    return NULL;
}

static struct error *put_view_total(struct xlsx *xlsx, enum view view, const int64_t sums[4])
{
    struct sheet *sheet = &xlsx->views[view];
    TRY(put_text(sheet, 0, "Total", xlsx->total));
    for (int i = 0; i < 4; i++)
        TRY(put_sum(
            sheet, (lxw_col_t)(3 + i),
            arena_printf(xlsx->arena, "=SUM(%c2:%c%u)", 'D' + i, 'D' + i, sheet->rows > 1 ? sheet->rows : 2),
            sums[i], xlsx->total_money));
    sheet->rows++;
    xlsx->view_totals[view] = sums[2];
    return NULL;
}

static struct error *sum_view(struct xlsx *xlsx, enum view view)
{
    const struct export_filter *filter = xlsx->filter;
    const struct heading heads[] = {{view_keys[view], 24},
                                    {view == VIEW_ITEM ? "Name" : "", view == VIEW_ITEM ? 40 : 2},
                                    {"Lines", 10},
                                    {"Charges (yuan)", 18},
                                    {"Adjustments (yuan)", 18},
                                    {"Amount (yuan)", 18},
                                    {"Free, by the list (yuan)", 22},
                                    {NULL, 0}};
    TRY(put_heads(xlsx, &xlsx->views[view], heads));
    struct db_stream *stream;
    TRY(db_stream_open(xlsx->db, &view_statements[view],
                       DB_VALUES(db_text(filter->month), db_text(filter->bill), db_text(filter->unit),
                                 db_text(filter->system), db_text(filter->cloud), db_text(filter->provider),
                                 db_text(filter->item)),
                       &stream));
    int64_t sums[4] = {0};
    struct error *error = NULL;
    for (size_t count = 1; count && !error;) {
        struct db_rows *rows = NULL;
        error = db_stream_next(stream, &rows);
        count = error ? 0 : db_count(rows);
        for (size_t i = 0; i < count && !error; i++)
            error = put_group(xlsx, view, rows, i, sums);
        db_rows_free(rows);
    }
    db_stream_close(stream);
    TRY(error);
    return put_view_total(xlsx, view, sums);
}

static struct error *make_sheets(struct xlsx *xlsx)
{
    TRY(open_book(xlsx));
    TRY(add_sheet(xlsx, "Overview", &xlsx->overview));
    for (int view = 0; view < VIEWS; view++)
        TRY(add_sheet(xlsx, view_names[view], &xlsx->views[view]));
    for (int view = 0; view < VIEWS; view++)
        TRY(sum_view(xlsx, (enum view)view));
    return export_lines_open(xlsx->db, xlsx->filter, &xlsx->reader);
}

static const struct heading line_heads[] = {{"Bill", 30},
                                            {"Line", 7},
                                            {"Type", 11},
                                            {"Month of use", 12},
                                            {"Unit", 14},
                                            {"Provider", 18},
                                            {"Cloud", 14},
                                            {"System", 16},
                                            {"Zone", 12},
                                            {"Architecture", 11},
                                            {"Item", 7},
                                            {"Name", 36},
                                            {"Tariff", 11},
                                            {"Price (yuan)", 12},
                                            {"Average quantity", 18},
                                            {"List (yuan)", 14},
                                            {"Amount (yuan)", 16},
                                            {"Corrects", 30},
                                            {"Its line", 8},
                                            {NULL, 0}};
#define AMOUNT_COLUMN 16 /* 'Q' */

/* The total below a sheet's lines. */
static struct error *end_line_sheet(struct xlsx *xlsx)
{
    struct sheet *sheet = &xlsx->lines[xlsx->line_sheets - 1];
    TRY(put_text(sheet, 0, "Total", xlsx->total));
    TRY(put_sum(sheet, AMOUNT_COLUMN,
                arena_printf(xlsx->arena, "=SUM(Q2:Q%u)", sheet->rows > 1 ? sheet->rows : 2),
                xlsx->line_totals[xlsx->line_sheets - 1], xlsx->total_money));
    sheet->rows++;
    return NULL;
}

static struct error *begin_line_sheet(struct xlsx *xlsx)
{
    if (xlsx->line_sheets == SHEETS_MAX)
        return error_new(ERR_TOO_LARGE, "more lines than %d sheets hold: narrow the export or take csv",
                         SHEETS_MAX);
    size_t index = xlsx->line_sheets++;
    const char *name = index ? arena_printf(xlsx->arena, "Lines %zu", index + 1) : "Lines";
    TRY(add_sheet(xlsx, name, &xlsx->lines[index]));
    return put_heads(xlsx, &xlsx->lines[index], line_heads);
}

static struct error *put_line_texts(struct sheet *sheet, const struct export_line *export)
{
    const struct bill_line *line = &export->line;
    BUF_AUTO struct buf number = BUF_INIT(4096);
    buf_printf(&number, "YQ%.4s%s.%s.%s", export->month, export->month + 5, line->provider, line->unit);
    const char *const texts[] = {line->adjustment ? "adjustment" : "charge",
                                 line->charge_month,
                                 line->unit,
                                 line->provider,
                                 line->cloud,
                                 line->system,
                                 line->zone,
                                 line->architecture,
                                 line->item,
                                 item_find(line->item)->name,
                                 tariff_name(line->tariff)};
    TRY(put_text(sheet, 0, buf_text(&number), NULL));
    TRY_XLSX(worksheet_write_number(sheet->sheet, sheet->rows, 1, (double)export->number, NULL));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        TRY(put_text(sheet, (lxw_col_t)(2 + i), texts[i], NULL));
    if (!line->corrects_number)
        return NULL;
    TRY(put_text(sheet, 17, line->corrects_number, NULL));
    TRY_XLSX(worksheet_write_number(sheet->sheet, sheet->rows, 18, (double)line->corrects_line, NULL));
    return NULL;
}

static struct error *put_line(struct xlsx *xlsx, const struct export_line *export)
{
    const struct bill_line *line = &export->line;
    if (!xlsx->line_sheets || xlsx->lines[xlsx->line_sheets - 1].rows >= ROWS_MAX - 1) {
        if (xlsx->line_sheets)
            TRY(end_line_sheet(xlsx));
        TRY(begin_line_sheet(xlsx));
    }
    struct sheet *sheet = &xlsx->lines[xlsx->line_sheets - 1];
    int64_t *total = &xlsx->line_totals[xlsx->line_sheets - 1], average;
    struct month month;
    TRY(month_parse(line->charge_month, &month));
    TRY(export_micro(line->usage, month_end(month) - month_start(month), &average));
    TRY(put_line_texts(sheet, export));
    TRY(put_money(sheet, 13, line->price_fen, xlsx->money));
    TRY_XLSX(
        worksheet_write_number(sheet->sheet, sheet->rows, 14, (double)average / QUANTITY_ONE, xlsx->number));
    TRY(put_money(sheet, 15, line->list_fen, xlsx->money));
    TRY(put_money(sheet, AMOUNT_COLUMN, line->amount_fen, xlsx->money));
    TRY(money_add(*total, line->amount_fen, total));
    sheet->rows++;
    return NULL;
}

static struct error *read_some(struct xlsx *xlsx)
{
    for (int i = 0; i < BATCH; i++) {
        const struct export_line *line;
        TRY(export_lines_next(xlsx->reader, &line));
        if (!line) {
            xlsx->step = CLOSING;
            return NULL;
        }
        TRY(put_line(xlsx, line));
    }
    return NULL;
}

/* Every view's total from its own sheet: they must be one number, and a reader can see that they are. */
static struct error *put_overview(struct xlsx *xlsx)
{
    struct sheet *sheet = &xlsx->overview;
    const char *formula = "=";
    int64_t total = 0;
    TRY_XLSX(worksheet_set_column(sheet->sheet, 0, 0, 24, NULL));
    TRY_XLSX(worksheet_set_column(sheet->sheet, 1, 1, 24, NULL));
    TRY(put_text(sheet, 0, "Yunqiao 云桥 bills", xlsx->title));
    sheet->rows++;
    TRY(put_text(sheet, 0, "Month", NULL));
    TRY(put_text(sheet, 1, xlsx->filter->month, NULL));
    sheet->rows += 2;
    TRY(put_text(sheet, 0, "Total of", xlsx->head));
    TRY(put_text(sheet, 1, "Amount (yuan)", xlsx->head));
    sheet->rows++;
    for (int view = 0; view < VIEWS; view++) {
        TRY(put_text(sheet, 0, view_names[view], NULL));
        TRY(put_sum(sheet, 1,
                    arena_printf(xlsx->arena, "='%s'!F%u", view_names[view], xlsx->views[view].rows),
                    xlsx->view_totals[view], xlsx->money));
        sheet->rows++;
    }
    for (size_t i = 0; i < xlsx->line_sheets; i++) {
        formula = arena_printf(xlsx->arena, "%s%s'%s'!Q%u", formula, i ? "+" : "", xlsx->lines[i].name,
                               xlsx->lines[i].rows);
        TRY(money_add(total, xlsx->line_totals[i], &total));
    }
    TRY(put_text(sheet, 0, "Lines", xlsx->total));
    TRY(put_sum(sheet, 1, formula, total, xlsx->total_money));
    for (int view = 0; view < VIEWS; view++)
        if (xlsx->view_totals[view] != total)
            return error_new(ERR_INTERNAL, "the sheet \"%s\" and the lines have other totals",
                             view_names[view]);
    return NULL;
}

static struct error *close_book(struct xlsx *xlsx)
{
    export_lines_close(xlsx->reader);
    xlsx->reader = NULL;
    if (!xlsx->line_sheets)
        TRY(begin_line_sheet(xlsx));
    TRY(end_line_sheet(xlsx));
    TRY(put_overview(xlsx));
    lxw_workbook *book = xlsx->book;
    xlsx->book = NULL; /* freed by this, whatever it says */
    TRY_XLSX(workbook_close(book));
    close(xlsx->fd);
    xlsx->fd = open(xlsx->path, O_RDONLY | O_CLOEXEC);
    if (xlsx->fd < 0)
        return error_new(ERR_IO, "could not read the workbook: %s", strerror(errno));
    xlsx->step = SENDING;
    return NULL;
}

static struct error *send_some(struct xlsx *xlsx, struct buf *piece, bool *ret_end)
{
    char *room = buf_reserve(piece, PIECE);
    ssize_t length = room ? read(xlsx->fd, room, PIECE) : -1;
    if (length < 0)
        return error_new(ERR_IO, "could not read the workbook: %s", strerror(errno));
    buf_added(piece, (size_t)length);
    *ret_end = length == 0;
    return NULL;
}

static struct error *next(struct http_source *source, struct buf *piece, bool *ret_end)
{
    struct xlsx *xlsx = (struct xlsx *)source; /* its first member */
    switch (xlsx->step) {
    case SUMMING:
        xlsx->step = READING;
        return make_sheets(xlsx);
    case READING:
        return read_some(xlsx);
    case CLOSING:
        return close_book(xlsx);
    case SENDING:
        break;
    }
    return send_some(xlsx, piece, ret_end);
}

static void done(struct http_source *source)
{
    struct xlsx *xlsx = (struct xlsx *)source;
    export_lines_close(xlsx->reader);
    if (xlsx->book)
        lxw_workbook_free(xlsx->book);
    if (xlsx->fd >= 0)
        close(xlsx->fd);
    if (xlsx->path[0])
        (void)unlink(xlsx->path); /* nothing more can be done about it */
}

struct http_source *export_xlsx_source(struct http_call *call, const struct export_filter *filter)
{
    struct xlsx *xlsx = arena_alloc(call->arena, sizeof *xlsx);
    struct export_filter *copy = arena_alloc(call->arena, sizeof *copy);
    *copy = *filter;
    xlsx->source = (struct http_source){next, done};
    xlsx->arena = call->arena;
    xlsx->db = call->db;
    xlsx->filter = copy;
    xlsx->fd = -1;
    return &xlsx->source;
}
