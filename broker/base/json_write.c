/* See json_write.h. */
#include "broker/base/json_write.h"

#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/base/money.h"

/* A value follows: what it is called, and a comma unless it is the first. */
static void lead(struct buf *buf, const char *name)
{
    char last = buf->length ? buf->data[buf->length - 1] : '[';
    if (last != '{' && last != '[')
        buf_putc(buf, ',');
    if (!name)
        return;
    buf_putc(buf, '"');
    buf_puts(buf, name);
    buf_append(buf, "\":", 2);
}

void json_write_object(struct buf *buf, const char *name)
{
    lead(buf, name);
    buf_putc(buf, '{');
}

void json_write_object_end(struct buf *buf)
{
    buf_putc(buf, '}');
}

void json_write_array(struct buf *buf, const char *name)
{
    lead(buf, name);
    buf_putc(buf, '[');
}

void json_write_array_end(struct buf *buf)
{
    buf_putc(buf, ']');
}

/* Whether it stands between quotes as it is: no character to escape, and UTF-8, of which jansson judges. */
static bool as_it_is(const char *text)
{
    bool ascii = true;
    for (const char *at = text; *at; at++) {
        unsigned char c = (unsigned char)*at;
        if (c < 0x20 || c == '"' || c == '\\')
            return false;
        ascii = ascii && c < 0x80;
    }
    json_t *checked = ascii ? NULL : json_string(text);
    bool good = ascii || checked;
    json_decref(checked);
    return good;
}

/* What is not UTF-8 loses every byte beyond ASCII, as in json_put_text. */
static void write_by_tree(struct buf *buf, const char *text)
{
    json_t *holder = json_object();
    if (!holder)
        abort(); /* out of memory */
    json_put_text(holder, "text", text);
    char *dumped = json_dumps(json_object_get(holder, "text"), JSON_ENCODE_ANY);
    if (!dumped)
        abort(); /* out of memory: json_put_text made it whole */
    buf_puts(buf, dumped);
    free(dumped);
    json_decref(holder);
}

void json_write_text(struct buf *buf, const char *name, const char *text)
{
    if (!text)
        return;
    lead(buf, name);
    if (!as_it_is(text)) {
        write_by_tree(buf, text);
        return;
    }
    buf_putc(buf, '"');
    buf_puts(buf, text);
    buf_putc(buf, '"');
}

void json_write_int(struct buf *buf, const char *name, int64_t value)
{
    char text[WIDE_TEXT];
    lead(buf, name);
    buf_puts(buf, wide_format(value, text));
}

void json_write_yuan(struct buf *buf, const char *name, int64_t fen)
{
    char text[MONEY_TEXT];
    json_write_text(buf, name, money_format(fen, text));
}

void json_write_members(struct buf *buf, const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    if (!text)
        abort(); /* out of memory: the caller made it whole */
    size_t length = strlen(text);
    if (length > 2) { /* more than braces */
        lead(buf, NULL);
        buf_append(buf, text + 1, length - 2);
    }
    free(text);
}
