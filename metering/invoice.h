/* Invoices: a bill for people, as plain text for a terminal and as HTML that prints well on A4. Pure, of a
 * bill and its lines. */
#ifndef METERING_INVOICE_H
#define METERING_INVOICE_H

#include "broker/base/buf.h"
#include "metering/bill.h"

/* Lines of an invoice; a bill with more is to be exported. */
#define INVOICE_LINES 5000
#define INVOICE_MAX ((size_t)16 * 1024 * 1024)

struct invoice {
    const struct bill *bill;
    const struct bill_line *lines;
    const int64_t *numbers; /* of each line on the bill */
    size_t count;
    const char *provider_name;
};

struct error *invoice_text(const struct invoice *invoice, struct buf *buf) ERROR_MUST_USE;
struct error *invoice_html(const struct invoice *invoice, struct buf *buf) ERROR_MUST_USE;

/* "壹万零贰拾叁元肆角伍分": an amount in the numerals that Chinese bookkeeping writes so that nobody can
 * change them; below zero it begins with 负. */
#define INVOICE_CAPITALS 256
const char *invoice_capitals(int64_t fen, char text[INVOICE_CAPITALS]);

/* What both forms say of a line, in the words of people. */
#define INVOICE_NOTE 512
void invoice_note(const struct bill_line *line, char note[INVOICE_NOTE]);
/* An item's name without the conditions that the catalog has in brackets behind it. */
#define INVOICE_NAME 512
const char *invoice_name(const struct item *item, char name[INVOICE_NAME]);
/* "100 GB", "台". */
const char *invoice_unit(const struct item *item, char text[64]);

#endif
