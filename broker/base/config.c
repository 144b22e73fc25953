/* Configuration: reading values from a file, the environment and flags; see config.h. The help and the manual
 * are printed by config_help.c. Values are kept as text per option and source, so that a reload applies the
 * same precedence again. */
#include "broker/base/config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"

#define LINE_MAX_BYTES 4096
#define FILE_MAX_LINES 2000

struct config {
    const struct config_table *table;
    struct arena *arena;
    char *file;         /* NULL: none */
    const char **flags; /* per option; NULL: not given */
};

/* Every size and duration unit, with its factor. */
struct unit {
    const char *suffix;
    int64_t factor;
};
static const struct unit duration_units[] = {{"us", 1},       {"ms", 1000},      {"s", 1000000},
                                             {"m", 60000000}, {"h", 3600000000}, {"d", 86400000000},
                                             {NULL, 0}};
static const struct unit size_units[] = {{"", 1},        {"k", 1 << 10}, {"K", 1 << 10},
                                         {"M", 1 << 20}, {"G", 1 << 30}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static struct error *parse_number(const char *text, const struct unit *units, const char *form,
                                  int64_t *ret_value)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (errno || end == text || isspace((unsigned char)*text))
        return error_new(ERR_INVALID, "must be %s", form);
    for (const struct unit *unit = units; unit->suffix; unit++) {
        int64_t value;
        if (strcmp(end, unit->suffix))
            continue;
        if (__builtin_mul_overflow((int64_t)number, unit->factor, &value))
            return error_new(ERR_INVALID, "is too large");
        *ret_value = value;
        return NULL;
    }
    return error_new(ERR_INVALID, "must be %s", form);
}

static struct error *parse_bool(const char *text, bool *ret_value)
{
    static const char *const yes[] = {"yes", "true", "on", "1"}, *const no[] = {"no", "false", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
            *ret_value = !strcmp(text, yes[i]);
            return NULL;
        }
    }
    return error_new(ERR_INVALID, "must be yes or no");
}

static struct error *store(struct config *config, const struct config_option *option, const char *text,
                           char *values)
{
    int64_t number = 0;
    switch (option->type) {
    case CONFIG_TEXT:
        *(const char **)(void *)(values + option->offset) = text ? arena_strdup(config->arena, text) : NULL;
        return NULL;
    case CONFIG_BOOL: {
        bool value = false;
        if (text)
            TRY(parse_bool(text, &value));
        *(bool *)(values + option->offset) = value;
        return NULL;
    }
    case CONFIG_INT:
        if (text)
            TRY(parse_number(text, no_units, "an integer", &number));
        break;
    case CONFIG_DURATION:
        if (text)
            TRY(parse_number(text, duration_units, "a duration such as 250ms, 30s, 5m, 2h or 31d", &number));
        break;
    case CONFIG_SIZE:
        if (text)
            TRY(parse_number(text, size_units, "a size in bytes such as 4096, 64k, 16M or 1G", &number));
        break;
    }
    if (text && (option->min || option->max) && (number < option->min || number > option->max))
        return error_new(ERR_INVALID, "is out of range (%lld to %lld%s)", (long long)option->min,
                         (long long)option->max,
                         option->type == CONFIG_DURATION ? " microseconds"
                         : option->type == CONFIG_SIZE   ? " bytes"
                                                         : "");
    *(int64_t *)(void *)(values + option->offset) = number;
    return NULL;
}

static const struct config_option *find_option(const struct config_table *table, const char *name,
                                               size_t length)
{
    for (size_t i = 0; i < table->count; i++) {
        const char *known = table->options[i].name;
        size_t at = 0;
        while (at < length && known[at] && (known[at] == name[at] || (known[at] == '_' && name[at] == '-')))
            at++;
        if (at == length && !known[at])
            return &table->options[i];
    }
    return NULL;
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    char *end = text + strlen(text);
    while (end > text && isspace((unsigned char)end[-1]))
        *--end = '\0';
    return text;
}

/* Reads `name = value` lines into texts[], one per option. */
static struct error *read_file(struct config *config, const char **texts)
{
    FILE *file = fopen(config->file, "re");
    if (!file)
        return error_new(ERR_IO, "could not open %s: %s", config->file, strerror(errno));
    struct error *error = NULL;
    char line[LINE_MAX_BYTES];
    for (int number = 1; !error && fgets(line, sizeof line, file); number++) {
        bool whole = strlen(line) < sizeof line - 1; /* else the rest would be read as a line of its own */
        char *text = trim(line), *equals = strchr(text, '=');
        if (whole && (!*text || *text == '#'))
            continue;
        const struct config_option *option = NULL;
        if (number > FILE_MAX_LINES || !whole) {
            error = error_new(ERR_TOO_LARGE, "%s:%d: too long", config->file, number);
        } else if (!equals) {
            error = error_new(ERR_INVALID, "%s:%d: not of the form name = value", config->file, number);
        } else {
            *equals = '\0';
            char *name = trim(text);
            option = find_option(config->table, name, strlen(name));
            if (!option)
                error =
                    error_new(ERR_INVALID, "%s:%d: no option is named \"%s\"", config->file, number, name);
        }
        if (option)
            texts[option - config->table->options] = arena_strdup(config->arena, trim(equals + 1));
    }
    if (!error && ferror(file))
        error = error_new(ERR_IO, "could not read %s: %s", config->file, strerror(errno));
    (void)fclose(file); /* it was only read */
    return error;
}

static void read_environment(struct config *config, const char **texts)
{
    for (size_t i = 0; i < config->table->count; i++) {
        char *name = arena_printf(config->arena, "YUNQIAO_%s", config->table->options[i].name);
        for (char *at = name; *at; at++)
            *at = (char)toupper((unsigned char)*at);
        const char *value = getenv(name);
        if (value)
            texts[i] = value;
    }
}

/* All sources in order of precedence into *values; only reloadable options when `reload`. */
static struct error *apply(struct config *config, bool reload, char *values)
{
    size_t count = config->table->count;
    const char **texts = arena_array(config->arena, count, sizeof *texts);
    if (config->file)
        TRY(read_file(config, texts));
    read_environment(config, texts);
    for (size_t i = 0; i < count; i++) {
        const struct config_option *option = &config->table->options[i];
        const char *text = config->flags[i] ? config->flags[i] : texts[i] ? texts[i] : option->fallback;
        if (reload && !option->reloadable)
            continue;
        TRY_DOING(store(config, option, text, values), "option %s", option->name);
    }
    return NULL;
}

/* One flag at argv[*at]; moves *at over its value. */
static struct error *read_flag(struct config *config, int argc, char **argv, int *at)
{
    const char *name = argv[*at] + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    if (length == 6 && !strncmp(name, "config", 6)) {
        const char *file = equals ? equals + 1 : *at + 1 < argc ? argv[++*at] : NULL;
        if (!file)
            return error_new(ERR_INVALID, "--config needs a file");
        config->file = arena_strdup(config->arena, file);
        return NULL;
    }
    const struct config_option *option = find_option(config->table, name, length);
    if (!option)
        return error_new(ERR_INVALID, "no option is named \"%.*s\"; --help lists them", (int)length + 2,
                         argv[*at]);
    const char *value = equals ? equals + 1 : option->type == CONFIG_BOOL ? "yes" : NULL;
    if (!value && *at + 1 < argc)
        value = argv[++*at];
    if (!value)
        return error_new(ERR_INVALID, "--%.*s needs a value", (int)length, name);
    config->flags[option - config->table->options] = arena_strdup(config->arena, value);
    return NULL;
}

static enum config_action action_of(const char *flag)
{
    if (!strcmp(flag, "--help") || !strcmp(flag, "-h"))
        return CONFIG_HELP;
    if (!strcmp(flag, "--manual"))
        return CONFIG_MANUAL;
    return !strcmp(flag, "--version") ? CONFIG_VERSION : CONFIG_RUN;
}

static struct error *read_flags(struct config *config, int argc, char **argv, enum config_action *ret_action,
                                char **rest)
{
    bool flags_over = false;
    for (int at = 1; at < argc; at++) {
        enum config_action action = flags_over ? CONFIG_RUN : action_of(argv[at]);
        if (action != CONFIG_RUN)
            *ret_action = action;
        else if (!flags_over && !strcmp(argv[at], "--"))
            flags_over = true;
        else if (!flags_over && !strncmp(argv[at], "--", 2))
            TRY(read_flag(config, argc, argv, &at));
        else
            *rest++ = argv[at];
    }
    return NULL;
}

struct error *config_load(const struct config_table *table, int argc, char **argv, const char *default_file,
                          void *values, struct config **ret_config, enum config_action *ret_action,
                          char ***ret_rest)
{
    struct config *config = xcalloc(1, sizeof *config);
    config->table = table;
    config->arena = arena_new();
    config->flags = arena_array(config->arena, table->count, sizeof *config->flags);
    char **rest = arena_array(config->arena, (size_t)argc + 1, sizeof *rest);
    enum config_action action = CONFIG_RUN;
    char *fresh = arena_alloc(config->arena, table->size);
    struct error *error = read_flags(config, argc, argv, &action, rest);
    if (!error && !config->file && default_file) {
        FILE *there = fopen(default_file, "re");
        if (there) {
            (void)fclose(there); /* it was only opened to see that it is there */
            config->file = arena_strdup(config->arena, default_file);
        }
    }
    if (!error && action == CONFIG_RUN)
        error = apply(config, false, fresh);
    if (error) {
        config_free(config);
        return error;
    }
    memcpy(values, fresh, table->size);
    *ret_config = config;
    *ret_action = action;
    *ret_rest = rest;
    return NULL;
}

struct error *config_reload(struct config *config, void *values)
{
    char *fresh = arena_alloc(config->arena, config->table->size);
    memcpy(fresh, values, config->table->size);
    TRY(apply(config, true, fresh));
    memcpy(values, fresh, config->table->size);
    return NULL;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    arena_free(config->arena);
    free(config);
}
