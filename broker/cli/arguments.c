/* Taking flags and arguments out of a command's line; see cli.h. */
#include "broker/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/buf.h"
#include "broker/base/json.h"

#define FILE_MAX_BYTES ((size_t)64 << 20)

static void take_out(struct cli *cli, int index, int count)
{
    memmove(cli->argv + index, cli->argv + index + count,
            (size_t)(cli->argc - index - count) * sizeof *cli->argv);
    cli->argc -= count;
}

/* Flags of commands that stand without a value. */
static bool is_switch(const char *text)
{
    static const char *const names[] = {"enclave", "non-classified", "insurance", "allow-restart"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(text + 2, names[i]))
            return true;
    return false;
}

struct error *cli_argument(struct cli *cli, const char *name, const char **ret_text)
{
    for (int i = 0; i < cli->argc; i++) {
        if (strncmp(cli->argv[i], "--", 2)) {
            *ret_text = cli->argv[i];
            take_out(cli, i, 1);
            return NULL;
        }
        if (!strchr(cli->argv[i], '=') && !is_switch(cli->argv[i]))
            i++; /* the flag's value */
    }
    return cli->valueless ? cli_end(cli) : error_new(ERR_INVALID, "%s is missing", name);
}

const char *cli_flag(struct cli *cli, const char *name)
{
    size_t length = strlen(name);
    for (int i = 0; i < cli->argc; i++) {
        const char *text = cli->argv[i];
        if (strncmp(text, "--", 2) || strncmp(text + 2, name, length))
            continue;
        if (text[2 + length] == '=') {
            take_out(cli, i, 1);
            return text + 3 + length;
        }
        if (!text[2 + length] && i + 1 < cli->argc && strncmp(cli->argv[i + 1], "--", 2) != 0) {
            const char *value = cli->argv[i + 1];
            take_out(cli, i, 2);
            return value;
        }
        if (!text[2 + length])
            cli->valueless = name;
    }
    return NULL;
}

size_t cli_flags(struct cli *cli, const char *name, const char ***ret_values)
{
    const char **values = arena_array(cli->arena, (size_t)cli->argc + 1, sizeof *values), *value;
    size_t count = 0;
    while ((value = cli_flag(cli, name)))
        values[count++] = value;
    *ret_values = values;
    return count;
}

bool cli_switch(struct cli *cli, const char *name)
{
    for (int i = 0; i < cli->argc; i++) {
        if (!strncmp(cli->argv[i], "--", 2) && !strcmp(cli->argv[i] + 2, name)) {
            take_out(cli, i, 1);
            return true;
        }
    }
    return false;
}

struct error *cli_number(struct cli *cli, const char *name, bool *ret_found, int64_t *ret_value)
{
    const char *text = cli_flag(cli, name);
    char *end;
    *ret_found = text != NULL;
    if (!text)
        return NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end || end == text)
        return error_new(ERR_INVALID, "--%s must be a whole number, not \"%s\"", name, text);
    *ret_value = value;
    return NULL;
}

const char *cli_flag_of(struct cli *cli, const char *member)
{
    char *flag = arena_strdup(cli->arena, member);
    for (char *at = flag; *at; at++)
        *at = *at == '_' ? '-' : *at;
    return flag;
}

void cli_put_flag(struct cli *cli, json_t *body, const char *member)
{
    json_put_text(body, member, cli_flag(cli, cli_flag_of(cli, member)));
}

void cli_put_list(struct cli *cli, json_t *body, const char *member)
{
    const char *text = cli_flag(cli, member);
    if (!text)
        return;
    json_t *list = json_array();
    char *rest = arena_strdup(cli->arena, text), *item;
    while ((item = strsep(&rest, ",")))
        json_push(list, json_string(item));
    json_put(body, member, list);
}

struct error *cli_read_file(struct cli *cli, const char *path, json_t **ret_json)
{
    FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
    if (!file)
        return error_new(ERR_INVALID, "could not open %s: %s", path, strerror(errno));
    BUF_AUTO struct buf text = BUF_INIT(FILE_MAX_BYTES);
    char piece[1 << 16];
    for (size_t length; !buf_overflowed(&text) && (length = fread(piece, 1, sizeof piece, file));)
        buf_append(&text, piece, length);
    bool failed = ferror(file) != 0;
    if (file != stdin)
        (void)fclose(file); /* it was only read */
    if (failed)
        return error_new(ERR_INVALID, "could not read %s", path);
    if (buf_overflowed(&text))
        return error_new(ERR_TOO_LARGE, "%s is longer than %zu bytes", path, FILE_MAX_BYTES);
    TRY_DOING(json_parse(buf_text(&text), text.length, ret_json), "could not read %s", path);
    return NULL;
}

struct error *cli_end(struct cli *cli)
{
    if (cli->valueless)
        return error_new(ERR_INVALID, "--%s needs a value", cli->valueless);
    if (!cli->argc)
        return NULL;
    const char *text = cli->argv[0];
    return strncmp(text, "--", 2)
               ? error_new(ERR_INVALID, "\"%s\" is one argument too many", text)
               : error_new(ERR_INVALID, "%.*s is not a flag of this command", (int)strcspn(text, "="), text);
}
