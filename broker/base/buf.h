/* Growable buffer with a cap: the one way to build text or bytes of unknown length. Reaching the cap is
 * remembered, not fatal: further appends do nothing and buf_finish (or buf_overflowed) tells. Always ends in
 * a NUL that is not counted. */
#ifndef BROKER_BASE_BUF_H
#define BROKER_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/base/error.h"

struct buf {
    char *data; /* NULL until the first append */
    size_t length;
    size_t capacity;
    size_t cap; /* most bytes of content, without the NUL */
    bool overflowed;
};

#define BUF_INIT(most) ((struct buf){.cap = (most)})

void buf_append(struct buf *buf, const void *bytes, size_t length);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args);
/* Room for `length` more bytes to be written at data + length by the caller, who then calls buf_added; NULL
 * over the cap. */
char *buf_reserve(struct buf *buf, size_t length);
void buf_added(struct buf *buf, size_t length);
/* Drops the first `length` bytes. */
void buf_consume(struct buf *buf, size_t length);
void buf_clear(struct buf *buf);
static inline bool buf_overflowed(const struct buf *buf)
{
    return buf->overflowed;
}
/* The text, "" when empty; owned by the buffer. */
const char *buf_text(const struct buf *buf);
/* Hands the text to the caller, who frees it; ERR_TOO_LARGE when the cap was reached. The buffer is empty
 * afterwards. */
struct error *buf_take(struct buf *buf, const char *what, char **ret_text) ERROR_MUST_USE;
void buf_done(struct buf *buf);
#define BUF_AUTO __attribute__((cleanup(buf_done)))

#endif
