/* GET /v1/bills/{id}/invoice. */
#include <stdlib.h>
#include <string.h>

#include "catalog/provider.h"
#include "metering/invoice.h"
#include "metering/routes.h"

static struct error *find_lines(struct http_call *call, struct invoice *invoice, struct bill *bill)
{
    struct provider provider;
    struct bill_line *lines;
    int64_t *numbers;
    TRY(bill_get(call->db, call->arena, http_param(call, "id"), bill));
    if (bill->line_count > INVOICE_LINES)
        return error_new(ERR_TOO_LARGE, "a bill of %lld lines is no invoice for people: export its lines",
                         (long long)bill->line_count);
    TRY(bill_lines(call->db, call->arena, bill, 0, INVOICE_LINES, &lines, &numbers, &invoice->count));
    TRY(provider_get(call->db, call->arena, bill->provider, &provider));
    invoice->bill = bill;
    invoice->lines = lines;
    invoice->numbers = numbers;
    invoice->provider_name = provider.name;
    return NULL;
}

static struct error *get_invoice(struct http_call *call, struct http_answer *ret_answer)
{
    struct bill bill;
    struct invoice invoice = {.bill = NULL};
    const char *format = http_query(call, "format");
    bool html = format && !strcmp(format, "html");
    if (format && !html && strcmp(format, "text") != 0)
        return error_member("?format", "text or html is needed");
    TRY(find_lines(call, &invoice, &bill));
    BUF_AUTO struct buf buf = BUF_INIT(INVOICE_MAX);
    TRY(html ? invoice_html(&invoice, &buf) : invoice_text(&invoice, &buf));
    char *text;
    size_t length = buf.length;
    TRY(buf_take(&buf, "the invoice", &text));
    arena_defer(call->arena, free, text);
    *ret_answer = (struct http_answer){
        .status = 200,
        .content_type = html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8",
        .bytes = text,
        .length = length,
    };
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/bills/{id}/invoice", get_invoice, "bills:read", 0, "format"},
};

const struct http_table invoice_routes = HTTP_TABLE(routes);
