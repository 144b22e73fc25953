/* The command line client: what every command gets, and the table of commands. Each command is words ("bid
 * submit"), then its own arguments and --flags. Results go to standard output (tables for people, --json for
 * programs), everything else to standard error. */
#ifndef BROKER_CLI_CLI_H
#define BROKER_CLI_CLI_H

#include "broker/base/arena.h"
#include "broker/cli/client.h"

struct cli {
    struct arena *arena;
    struct client *client; /* connected when first needed: cli_call */
    struct client_settings settings;
    bool json; /* print the answer as it came */
    bool wait; /* follow operations to their end */
    int argc;  /* after the command's words */
    char **argv;
};

/* Exit codes, documented in the README. */
enum cli_exit {
    CLI_DONE = 0,
    CLI_REFUSED = 1,
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3,
    CLI_DENIED = 4,
    CLI_NOT_FOUND = 5,
    CLI_CONFLICT = 6
};

struct cli_column {
    const char *title;
    const char *member; /* path in the row: "spec.vcpu"; several joined by + are shown with a space between */
    bool right;         /* numbers */
};

struct cli_command {
    const char *words;
    const char *arguments; /* "ID --name NAME" */
    const char *help;
    struct error *(*run)(struct cli *cli, const struct cli_command *command);
    const char *path;                 /* of a listing or a single thing; {} is the next argument */
    const struct cli_column *columns; /* of a listing, ended by {0} */
    const char *filters;              /* query members that may be given as flags, comma-joined */
    const char *verb;                 /* of an operation */
};

extern const struct cli_command *const cli_command_tables[]; /* each ended by {0}, the list by NULL */

/* The next argument that is not a flag, or ERR_INVALID "… is missing". */
struct error *cli_argument(struct cli *cli, const char *name, const char **ret_text) ERROR_MUST_USE;
/* --name VALUE or --name=VALUE anywhere in the arguments; NULL when absent. It is taken out. */
const char *cli_flag(struct cli *cli, const char *name);
/* All values of a flag that may be repeated. */
size_t cli_flags(struct cli *cli, const char *name, const char ***ret_values);
/* --name without a value. */
bool cli_switch(struct cli *cli, const char *name);
/* ERR_INVALID when arguments are left. */
struct error *cli_end(struct cli *cli) ERROR_MUST_USE;

/* Calls; an answer that is not 2xx is an error. `body` is consumed. */
struct error *cli_call(struct cli *cli, const char *method, const char *path, json_t *body,
                       struct client_answer *ret_answer) ERROR_MUST_USE;
/* With the ETag that a GET of `path` gives now. */
struct error *cli_call_matching(struct cli *cli, const char *method, const char *path, json_t *body,
                                struct client_answer *ret_answer) ERROR_MUST_USE;

/* Prints what came: JSON as it is with --json, else as "member: value" lines. */
void cli_print(const struct cli *cli, const json_t *json);
void cli_print_table(const json_t *items, const struct cli_column *columns);
/* Column widths as a terminal shows them: Chinese characters are two wide. */
int cli_width(const char *text);

/* Follows an operation until it ends: a progress bar on a terminal, else a line for every change.
 * ERR_CONFLICT when it failed or was cancelled. *ret_operation (may be NULL): the ended operation, the
 * caller's. */
struct error *cli_follow(struct cli *cli, const char *operation, json_t **ret_operation) ERROR_MUST_USE;
/* After a call that was answered by 202: follows with --wait, else prints. */
struct error *cli_accepted(struct cli *cli, struct client_answer *answer) ERROR_MUST_USE;

/* The runners that tables use. */
struct error *cli_list(struct cli *cli, const struct cli_command *command) ERROR_MUST_USE;
struct error *cli_show(struct cli *cli, const struct cli_command *command) ERROR_MUST_USE;

#endif
