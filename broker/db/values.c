/* Parameters as PostgreSQL's text input: numbers in scratch space, JSON and arrays on the heap. Columns
 * (column.h) travel as they are. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/buf.h"
#include "broker/db/column.h"
#include "broker/db/session.h"

#define VALUE_MAX (64u << 20) /* bytes of one array parameter */

/* {"a","b \"quoted\" \\ one",NULL}: every item in quotes, so that none is taken for NULL or a delimiter. */
static struct error *array_text(const char *const *items, size_t count, char **ret_text)
{
    BUF_AUTO struct buf text = BUF_INIT(VALUE_MAX);
    buf_putc(&text, '{');
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_putc(&text, ',');
        if (!items[i]) {
            buf_puts(&text, "NULL");
            continue;
        }
        buf_putc(&text, '"');
        for (const char *at = items[i]; *at; at++) {
            if (*at == '"' || *at == '\\')
                buf_putc(&text, '\\');
            buf_putc(&text, *at);
        }
        buf_putc(&text, '"');
    }
    buf_putc(&text, '}');
    return buf_take(&text, "an array parameter", ret_text);
}

static struct error *value_text(struct db_texts *texts, size_t i, const struct db_value *value)
{
    texts->values[i] = NULL;
    texts->lengths[i] = texts->formats[i] = 0;
    switch (value->type) {
    case DB_NULL:
        return NULL;
    case DB_TEXT:
        texts->values[i] = value->text;
        return NULL;
    case DB_BOOL:
        texts->values[i] = value->integer ? "t" : "f";
        return NULL;
    case DB_INT:
        texts->values[i] = wide_format(value->integer, texts->scratch[i]);
        return NULL;
    case DB_WIDE:
        texts->values[i] = wide_format(value->number, texts->scratch[i]);
        return NULL;
    case DB_MOMENT:
        if (value->integer < MOMENT_MIN || value->integer > MOMENT_MAX)
            return error_new(ERR_INTERNAL, "parameter %zu is no moment of the broker's time", i + 1);
        moment_format(value->integer, texts->scratch[i]);
        texts->values[i] = texts->scratch[i];
        return NULL;
    case DB_JSON:
        texts->owned[i] = json_dumps(value->json, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!texts->owned[i])
            return error_new(ERR_INTERNAL, "parameter %zu is no JSON that can be written", i + 1);
        break;
    case DB_TEXTS:
        TRY(array_text(value->texts.items, value->texts.count, &texts->owned[i]));
        break;
    case DB_COLUMN:
        if (buf_overflowed(&value->column->bytes))
            return error_new(ERR_TOO_LARGE, "parameter %zu is too long a column", i + 1);
        texts->values[i] = value->column->bytes.data;
        texts->lengths[i] = (int)db_column_length(value->column); /* DB_COLUMN_BYTES_MAX at most */
        texts->formats[i] = 1;
        return NULL;
    default:
        return error_new(ERR_INTERNAL, "parameter %zu has no known type", i + 1);
    }
    texts->values[i] = texts->owned[i];
    return NULL;
}

struct error *db_texts_make(struct db_texts *texts, const struct db_value *values, size_t count)
{
    memset(texts->owned, 0, sizeof texts->owned);
    if (count > DB_PARAMS_MAX)
        return error_new(ERR_INTERNAL, "%zu parameters, at most %d", count, DB_PARAMS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct error *error = value_text(texts, i, &values[i]);
        if (error) {
            db_texts_done(texts);
            return error;
        }
    }
    return NULL;
}

void db_texts_done(struct db_texts *texts)
{
    for (size_t i = 0; i < DB_PARAMS_MAX; i++)
        free(texts->owned[i]);
}
