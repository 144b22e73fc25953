/* Taking flags and arguments out of a command's line; see cli.h. */
#include "broker/cli/cli.h"

#include <string.h>

static void take_out(struct cli *cli, int index, int count)
{
    memmove(cli->argv + index, cli->argv + index + count,
            (size_t)(cli->argc - index - count) * sizeof *cli->argv);
    cli->argc -= count;
}

struct error *cli_argument(struct cli *cli, const char *name, const char **ret_text)
{
    for (int i = 0; i < cli->argc; i++) {
        if (strncmp(cli->argv[i], "--", 2)) {
            *ret_text = cli->argv[i];
            take_out(cli, i, 1);
            return NULL;
        }
    }
    return error_new(ERR_INVALID, "%s is missing", name);
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
        if (!text[2 + length] && i + 1 < cli->argc) {
            const char *value = cli->argv[i + 1];
            take_out(cli, i, 2);
            return value;
        }
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

struct error *cli_end(struct cli *cli)
{
    return cli->argc ? error_new(ERR_INVALID, "\"%s\" is not expected here", cli->argv[0]) : NULL;
}
