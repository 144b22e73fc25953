/* The command line client: what every command gets, and the table of commands. Each command is words ("bid
 * submit"), then its own arguments and --flags. Results go to standard output (tables for people, --json for
 * programs), everything else to standard error. */
#ifndef BROKER_CLI_CLI_H
#define BROKER_CLI_CLI_H

#include <stdio.h>

#include "broker/base/arena.h"
#include "broker/cli/client.h"

struct cli {
    struct arena *arena;
    struct client *client; /* connected when first needed: cli_call */
    struct client_settings settings;
    bool json;             /* print the answer as it came */
    bool wait;             /* follow operations to their end */
    bool wide;             /* tables with whole cells */
    const char *valueless; /* a flag that stood without its value; NULL: none */
    int argc;              /* after the command's words */
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
    int most;           /* columns that a cell is cut at without --wide; 0: 40 */
};

struct cli_command {
    const char *words;
    const char *arguments; /* "ID --name NAME" */
    const char *help;      /* a line; what follows it is printed for this command's --help alone */
    struct error *(*run)(struct cli *cli, const struct cli_command *command);
    const char *path;                 /* of a listing or a single thing; {} is the next argument */
    const struct cli_column *columns; /* of a listing, ended by {0} */
    const char *filters;              /* query members that may be given as flags, comma-joined */
    const char *verb;                 /* of an operation */
};

extern const struct cli_command *const cli_command_tables[]; /* each ended by {0}, the list by NULL */

/* The next argument that is not a flag, or ERR_INVALID "… is missing". */
struct error *cli_argument(struct cli *cli, const char *name, const char **ret_text) ERROR_MUST_USE;
/* --name VALUE or --name=VALUE anywhere in the arguments; NULL when absent. It is taken out. A value that
 * begins with -- is given with =. */
const char *cli_flag(struct cli *cli, const char *name);
/* All values of a flag that may be repeated. */
size_t cli_flags(struct cli *cli, const char *name, const char ***ret_values);
/* --name without a value. */
bool cli_switch(struct cli *cli, const char *name);
/* A flag that holds a whole number; *ret_found false when it is absent. ERR_INVALID when it is something
 * else. */
struct error *cli_number(struct cli *cli, const char *name, bool *ret_found,
                         int64_t *ret_value) ERROR_MUST_USE;
/* "memory_gb" → "memory-gb": the flag that stands for a member. */
const char *cli_flag_of(struct cli *cli, const char *member);
/* A text flag as a member of the body; absent flags leave it out. */
void cli_put_flag(struct cli *cli, json_t *body, const char *member);
/* "a,b" as a list of texts. */
void cli_put_list(struct cli *cli, json_t *body, const char *member);
/* A JSON file of at most 64 MiB; "-": standard input. *ret_json is the caller's. */
struct error *cli_read_file(struct cli *cli, const char *path, json_t **ret_json) ERROR_MUST_USE;
/* ERR_INVALID when arguments are left. */
struct error *cli_end(struct cli *cli) ERROR_MUST_USE;

/* Calls; an answer that is not 2xx is an error. `body` is consumed. */
struct error *cli_call(struct cli *cli, const char *method, const char *path, json_t *body,
                       struct client_answer *ret_answer) ERROR_MUST_USE;
/* The same with If-Match; `etag` with its quotes. */
struct error *cli_call_if(struct cli *cli, const char *method, const char *path, json_t *body,
                          const char *etag, struct client_answer *ret_answer) ERROR_MUST_USE;
/* Any call; an answer that is not 2xx is an error. */
struct error *cli_request(struct cli *cli, const struct client_request *request,
                          struct client_answer *ret_answer) ERROR_MUST_USE;
/* A GET whose answer is written to `out` as it comes, whatever its size. On an error a part may have been
 * written. */
struct error *cli_download(struct cli *cli, const char *path, FILE *out) ERROR_MUST_USE;
/* POST of NDJSON; the answer as with cli_call. */
struct error *cli_call_lines(struct cli *cli, const char *path, const char *lines,
                             struct client_answer *ret_answer) ERROR_MUST_USE;
/* When the broker asks for If-Match (428), once more with the ETag that a GET of `path` gives now. */
struct error *cli_call_matching(struct cli *cli, const char *method, const char *path, json_t *body,
                                struct client_answer *ret_answer) ERROR_MUST_USE;

/* All pages of a GET as one answer: the list of the first is extended by the others. *ret_body is the
 * caller's. */
struct error *cli_call_pages(struct cli *cli, const char *path, json_t **ret_body) ERROR_MUST_USE;
/* The list of an answer: its one array, whatever its name; NULL when there is none. */
json_t *cli_list_of(const json_t *body);

/* Prints what came: JSON as it is with --json, else as indented "member: value" lines. */
void cli_print(const struct cli *cli, const json_t *json);
void cli_print_table(const struct cli *cli, const json_t *items, const struct cli_column *columns);

/* Column widths as a terminal shows them: Chinese characters are two wide. */
int cli_width(const char *text);
/* Without what would drive a terminal or disguise the text: controls and direction marks become spaces, bytes
 * that are not text "?". `lines` keeps line ends and tabs. In the arena. */
const char *cli_safe(struct arena *arena, const char *text, bool lines);
/* At most `most` columns, the last of them … when it was longer. */
const char *cli_cut(struct arena *arena, const char *text, int most);
/* "2026-11-24T03:04:05.123456Z" → "2026-11-24 03:04:05Z"; other text as it is. */
const char *cli_short_moment(struct arena *arena, const char *text);

/* "1.5 GiB"; "12 min", at least seconds; a bar of so many cells in brackets. In the arena. */
const char *cli_size(struct arena *arena, int64_t bytes);
const char *cli_span(struct arena *arena, int64_t seconds);
const char *cli_bar(struct arena *arena, int64_t done, int64_t all, int cells);

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
