/* Structured logging: one line of JSON per event on standard error:
 * {"at":…,"level":…,"event":"http.request","status":200}. Thread-safe; one write(2) per line. Never give it
 * secrets or whole bodies. */
#ifndef BROKER_BASE_LOG_H
#define BROKER_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "broker/base/error.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log_field {
    const char *name;
    const char *text; /* when not NULL */
    int64_t integer;
};

#define LOG_TEXT(field, value) ((struct log_field){.name = (field), .text = (value) ? (value) : "-"})
#define LOG_INT(field, value) ((struct log_field){.name = (field), .integer = (value)})
#define LOG_CAUSE(error) \
    LOG_TEXT("error", error_message(error)), LOG_TEXT("code", error_code_name(error_code(error)))

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count);

#define LOG_FIELDS(...)                      \
    (const struct log_field[]){__VA_ARGS__}, \
        sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)
#define log_debug(event, ...) log_write(LOG_DEBUG, event, LOG_FIELDS(__VA_ARGS__))
#define log_info(event, ...) log_write(LOG_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_warning(event, ...) log_write(LOG_WARNING, event, LOG_FIELDS(__VA_ARGS__))
#define log_error(event, ...) log_write(LOG_ERROR, event, LOG_FIELDS(__VA_ARGS__))

/* Events below it are dropped; LOG_INFO at start. */
void log_set_level(enum log_level level);
struct error *log_level_parse(const char *name, enum log_level *ret_level) ERROR_MUST_USE;

#endif
