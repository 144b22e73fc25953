/* Commands that fetch files: exports and invoices. A file is written beside its name and renamed when it is
 * whole, so that nobody takes a part for all of it. See cli.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/json.h"
#include "broker/cli/commands.h"

static struct error *fetch_file(struct cli *cli, const char *path, const char *name)
{
    const char *part = arena_printf(cli->arena, "%s.part", name);
    FILE *out = fopen(part, "we");
    if (!out)
        return error_new(ERR_IO, "could not write %s: %s", part, strerror(errno));
    struct error *error = cli_download(cli, path, out);
    if (fclose(out) && !error)
        error = error_new(ERR_IO, "could not write %s: %s", part, strerror(errno));
    if (!error && rename(part, name))
        error = error_new(ERR_IO, "could not name %s: %s", name, strerror(errno));
    if (error)
        (void)unlink(part); /* the error says enough */
    return error;
}

/* To --output FILE, or to standard output. */
static struct error *fetch(struct cli *cli, const char *path, const char *name)
{
    TRY(cli_end(cli));
    return name ? fetch_file(cli, path, name) : cli_download(cli, path, stdout);
}

/* PATH/{}SUFFIX with the argument, and the flags named in `members` as its query. */
static struct error *run(struct cli *cli, const char *what, const char *before, const char *after,
                         const char *members)
{
    const char *id, *name = cli_flag(cli, "output");
    char *rest = arena_strdup(cli->arena, members), *member;
    bool bom = cli_switch(cli, "bom");
    const char *query = bom ? "?bom=true" : "";
    while ((member = strsep(&rest, ","))) {
        const char *value = cli_flag(cli, member);
        if (value)
            query = arena_printf(cli->arena, "%s%c%s=%s", query, *query ? '&' : '?', member,
                                 client_escape(cli->arena, value));
    }
    TRY(cli_argument(cli, what, &id));
    return fetch(
        cli, arena_printf(cli->arena, "%s%s%s%s", before, client_escape(cli->arena, id), after, query), name);
}

static struct error *export_month(struct cli *cli, const struct cli_command *command)
{
    (void)command;
    return run(cli, "MONTH", "/v1/months/", "/lines", "format,unit,system,cloud,provider,item");
}

static struct error *export_bill(struct cli *cli, const struct cli_command *command)
{
    (void)command;
    return run(cli, "BILL", "/v1/bills/", "/lines", "format");
}

static struct error *invoice(struct cli *cli, const struct cli_command *command)
{
    (void)command;
    return run(cli, "BILL", "/v1/bills/", "/invoice", "format");
}

const struct cli_command export_commands[] = {
    {"export",
     "MONTH [--format csv|jsonl|focus|xlsx] [--bom] [--unit|--system|--cloud|--provider|--item ID] "
     "[--output FILE]",
     "the lines of a closed month's bills as a file", export_month, NULL, NULL, NULL, NULL},
    {"bill export", "BILL [--format csv|jsonl|focus|xlsx] [--bom] [--output FILE]",
     "the lines of one bill as a file", export_bill, NULL, NULL, NULL, NULL},
    {"bill invoice", "BILL [--format text|html] [--output FILE]", "a bill to read or to print", invoice, NULL,
     NULL, NULL, NULL},
    {0},
};
