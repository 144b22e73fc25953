/* Paper: what pages for people share (invoices, reports): one HTML page without script and without anything
 * from elsewhere, A4 when it is printed. Other people's text is always escaped. */
#ifndef METERING_PAPER_H
#define METERING_PAPER_H

#include "broker/base/buf.h"

struct paper {
    const char *title;   /* of the window: plain text */
    const char *heading; /* plain text */
    const char *tagline; /* plain text, under the brand */
    const char *style;   /* rules of this kind of page, after the shared ones; static */
};

/* Up to the end of the header; the body's content follows. */
void paper_begin(struct buf *buf, const struct paper *paper);
/* `note`: plain text of the footer. */
void paper_end(struct buf *buf, const char *note);

/* Escaped; control characters become spaces. */
void paper_text(struct buf *buf, const char *text);
/* `open` and `close` are markup, `inside` is text. */
void paper_element(struct buf *buf, const char *open, const char *inside, const char *close);
/* A term and its description in a <dl>. */
void paper_fact(struct buf *buf, const char *name, const char *value);

#endif
