/* Structured logging; see log.h. */
#include "broker/base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/buf.h"
#include "broker/base/moment.h"

#define LINE_MAX_BYTES 16384

static atomic_int threshold = LOG_INFO;

static const char *const level_names[] = {"debug", "info", "warning", "error"};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&threshold, (int)level, memory_order_relaxed);
}

struct error *log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (!strcmp(name, level_names[i])) {
            *ret_level = (enum log_level)i;
            return NULL;
        }
    }
    return error_new(ERR_INVALID, "a log level is debug, info, warning or error");
}

/* Bytes above 0x7f pass: texts are UTF-8, and a broken one only hurts its own line. */
static void put_quoted(struct buf *line, const char *text)
{
    buf_putc(line, '"');
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            buf_putc(line, '\\');
            buf_putc(line, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(line, "\\u%04x", c);
        } else {
            buf_putc(line, (char)c);
        }
    }
    buf_putc(line, '"');
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    if ((int)level < atomic_load_explicit(&threshold, memory_order_relaxed))
        return;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    char at[MOMENT_TEXT];
    moment_format((moment)now.tv_sec * MOMENT_SECOND + now.tv_nsec / 1000, at);
    BUF_AUTO struct buf line = BUF_INIT(LINE_MAX_BYTES);
    buf_printf(&line, "{\"at\":\"%s\",\"level\":\"%s\",\"event\":", at, level_names[level]);
    put_quoted(&line, event);
    for (size_t i = 0; i < count; i++) {
        size_t before = line.length;
        buf_putc(&line, ',');
        put_quoted(&line, fields[i].name);
        buf_putc(&line, ':');
        if (fields[i].text)
            put_quoted(&line, fields[i].text);
        else
            buf_printf(&line, "%lld", (long long)fields[i].integer);
        if (buf_overflowed(&line) ||
            line.length > LINE_MAX_BYTES - 32) { /* a field that does not fit is dropped whole */
            line.length = before;
            line.overflowed = false;
            buf_puts(&line, ",\"cut\":1");
            break;
        }
    }
    buf_puts(&line, "}\n");
    for (size_t done = 0; done < line.length;) {
        ssize_t wrote = write(STDERR_FILENO, line.data + done, line.length - done);
        if (wrote <= 0)
            return; /* nowhere left to say it */
        done += (size_t)wrote;
    }
}
