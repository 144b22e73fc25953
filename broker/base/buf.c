/* Growable capped buffer; see buf.h. */
#include "broker/base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"

char *buf_reserve(struct buf *buf, size_t length)
{
    if (buf->overflowed || length > buf->cap - buf->length) {
        buf->overflowed = true;
        return NULL;
    }
    size_t need = buf->length + length + 1;
    if (need > buf->capacity) {
        size_t capacity = buf->capacity ? buf->capacity : 128;
        while (capacity < need)
            capacity *= 2;
        if (capacity > buf->cap + 1)
            capacity = buf->cap + 1;
        buf->data = xrealloc(buf->data, capacity, 1);
        buf->capacity = capacity;
        buf->data[buf->length] = '\0';
    }
    return buf->data + buf->length;
}

void buf_added(struct buf *buf, size_t length)
{
    buf->length += length;
    buf->data[buf->length] = '\0';
}

void buf_append(struct buf *buf, const void *bytes, size_t length)
{
    char *room = buf_reserve(buf, length);
    if (!room || !length)
        return;
    memcpy(room, bytes, length);
    buf_added(buf, length);
}

void buf_puts(struct buf *buf, const char *text)
{
    buf_append(buf, text, strlen(text));
}

void buf_putc(struct buf *buf, char c)
{
    buf_append(buf, &c, 1);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    char *room = length < 0 ? NULL : buf_reserve(buf, (size_t)length);
    if (!room) {
        buf->overflowed = true;
        return;
    }
    (void)vsnprintf(room, (size_t)length + 1, format, args); /* the length was just measured */
    buf_added(buf, (size_t)length);
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(buf, format, args);
    va_end(args);
}

void buf_consume(struct buf *buf, size_t length)
{
    if (!length)
        return;
    memmove(buf->data, buf->data + length, buf->length - length);
    buf->length -= length;
    buf->data[buf->length] = '\0';
}

void buf_clear(struct buf *buf)
{
    buf->length = 0;
    buf->overflowed = false;
    if (buf->data)
        buf->data[0] = '\0';
}

const char *buf_text(const struct buf *buf)
{
    return buf->data ? buf->data : "";
}

struct error *buf_take(struct buf *buf, const char *what, char **ret_text)
{
    if (buf->overflowed)
        return error_new(ERR_TOO_LARGE, "%s is longer than %zu bytes", what, buf->cap);
    *ret_text = buf->data ? buf->data : xstrdup("");
    *buf = BUF_INIT(buf->cap);
    return NULL;
}

void buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = BUF_INIT(buf->cap);
}
