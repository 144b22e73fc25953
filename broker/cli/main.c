/* yunqiao: the command line client of the broker. Finds the command in the tables, runs it, and turns its
 * error into one line and an exit code. */
#include <curl/curl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/base/secret.h"
#include "broker/cli/cli.h"

static const char usage[] =
    "yunqiao: client of the Yunqiao multi-cloud broker\n\n"
    "  yunqiao [options] COMMAND [arguments]\n"
    "  yunqiao COMMAND --help       a command's arguments\n\n"
    "Options (anywhere on the line; the environment's name in brackets):\n"
    "  --url URL                    the broker, https://HOST:PORT [YUNQIAO_URL]\n"
    "  --token-file FILE            a file with the token [YUNQIAO_TOKEN_FILE, or YUNQIAO_TOKEN itself]\n"
    "  --ca-file FILE               the broker's certificate or its authority's [YUNQIAO_CA_FILE]\n"
    "  --cert FILE --key FILE       a client certificate instead of a token [YUNQIAO_CERT, YUNQIAO_KEY]\n"
    "  --json                       print the answer as JSON\n"
    "  --wide                       tables with whole cells\n"
    "  --no-wait                    do not follow operations to their end\n"
    "  --help, --version\n\n"
    "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 no broker, 4 not allowed, 5 not found,\n"
    "6 conflict, an operation that failed, or a move or wave that was watched and went another "
    "way.\n\nCommands:\n";

/* How many words of the command the line begins with, skipping flags; 0: another command. */
static int match_words(const struct cli *cli, const char *words, int *ret_indexes)
{
    int count = 0, index = 0;
    while (*words) {
        size_t length = strcspn(words, " ");
        while (index < cli->argc && !strncmp(cli->argv[index], "--", 2))
            index++;
        if (index >= cli->argc || strlen(cli->argv[index]) != length ||
            strncmp(cli->argv[index], words, length))
            return 0;
        ret_indexes[count++] = index++;
        words += length;
        words += *words == ' ';
    }
    return count;
}

/* The command with the most words that match; its words are taken out of the line. */
static const struct cli_command *find_command(struct cli *cli)
{
    const struct cli_command *best = NULL;
    int best_count = 0, best_indexes[8];
    for (const struct cli_command *const *table = cli_command_tables; *table; table++) {
        for (const struct cli_command *command = *table; command->words; command++) {
            int indexes[8], count = match_words(cli, command->words, indexes);
            if (count > best_count) {
                best = command;
                best_count = count;
                memcpy(best_indexes, indexes, sizeof indexes);
            }
        }
    }
    for (int i = best_count; i-- > 0;) {
        memmove(cli->argv + best_indexes[i], cli->argv + best_indexes[i] + 1,
                (size_t)(cli->argc - best_indexes[i] - 1) * sizeof *cli->argv);
        cli->argc--;
    }
    return best;
}

/* Whether the command's words begin with these, word by word. */
static bool begins_with(const struct cli_command *command, int count, char **words)
{
    const char *at = command->words;
    for (int i = 0; i < count; i++) {
        size_t length = strcspn(at, " ");
        if (!length || strlen(words[i]) != length || strncmp(at, words[i], length))
            return false;
        at += length;
        at += *at == ' ';
    }
    return true;
}

/* Without words: everything, a line each; else those commands with their arguments. Returns how many. */
static int print_usage(FILE *out, int count, char **words)
{
    int printed = 0;
    if (!count)
        (void)fputs(usage, out);
    for (const struct cli_command *const *table = cli_command_tables; *table; table++) {
        for (const struct cli_command *command = *table; command->words; command++) {
            if (!begins_with(command, count, words))
                continue;
            printed++;
            if (count)
                (void)fprintf(out, "yunqiao %s%s%s\n    %s\n", command->words, command->arguments ? " " : "",
                              command->arguments ? command->arguments : "", command->help);
            else
                (void)fprintf(out, "  %-22s %.*s\n", command->words, (int)strcspn(command->help, "\n"),
                              command->help);
        }
    }
    return printed;
}

/* One line that says what may follow. */
static int no_such_command(struct arena *arena, char **words)
{
    const char *list = "";
    for (const struct cli_command *const *table = cli_command_tables; *table; table++)
        for (const struct cli_command *command = *table; command->words; command++)
            if (begins_with(command, 1, words) && strchr(command->words, ' '))
                list =
                    arena_printf(arena, "%s%s%s", list, *list ? ", " : "", strchr(command->words, ' ') + 1);
    if (*list)
        (void)fprintf(stderr, "yunqiao: %s takes one of: %s\n", words[0], list);
    else
        (void)fprintf(stderr, "yunqiao: there is no command \"%s\"; yunqiao --help lists them\n",
                      cli_safe(arena, words[0], false));
    return CLI_USAGE;
}

/* For the shell's completion: the words of all commands, one a line. */
static void print_words(void)
{
    for (const struct cli_command *const *table = cli_command_tables; *table; table++)
        for (const struct cli_command *command = *table; command->words; command++)
            (void)puts(command->words);
}

static const char *or_environment(const char *flag, const char *name)
{
    const char *value = flag ? flag : getenv(name);
    return value && *value ? value : NULL;
}

static struct error *read_settings(struct cli *cli)
{
    const char *token_file = or_environment(cli_flag(cli, "token-file"), "YUNQIAO_TOKEN_FILE");
    const char *token = or_environment(NULL, "YUNQIAO_TOKEN");
    cli->settings.url = or_environment(cli_flag(cli, "url"), "YUNQIAO_URL");
    cli->settings.ca_file = or_environment(cli_flag(cli, "ca-file"), "YUNQIAO_CA_FILE");
    cli->settings.certificate = or_environment(cli_flag(cli, "cert"), "YUNQIAO_CERT");
    cli->settings.key = or_environment(cli_flag(cli, "key"), "YUNQIAO_KEY");
    cli->json = cli_switch(cli, "json");
    cli->wait = !cli_switch(cli, "no-wait");
    cli->wide = cli_switch(cli, "wide");
    if (cli->valueless)
        return cli_end(cli);
    if (token_file && !cli->settings.certificate) {
        char *text;
        TRY(secret_read(arena_printf(cli->arena, "file:%s", token_file), &text));
        token = arena_strdup(cli->arena, text);
        secret_free(text);
    }
    cli->settings.token = token;
    return NULL;
}

static struct error *connect_client(struct cli *cli)
{
    if (!cli->settings.url)
        return error_new(ERR_INVALID, "which broker? give --url or set YUNQIAO_URL");
    return cli->client ? NULL : client_new(&cli->settings, &cli->client);
}

/* An answer that is not 2xx is an error. */
static struct error *call(struct cli *cli, const struct client_request *request,
                          struct client_answer *ret_answer)
{
    struct client_answer answer = {0};
    TRY(connect_client(cli));
    TRY(client_call(cli->client, request, &answer));
    struct error *error = client_problem(&answer);
    if (error)
        client_answer_done(&answer);
    else
        *ret_answer = answer;
    return error;
}

struct error *cli_call(struct cli *cli, const char *method, const char *path, json_t *body,
                       struct client_answer *ret_answer)
{
    return cli_call_if(cli, method, path, body, NULL, ret_answer);
}

struct error *cli_call_if(struct cli *cli, const char *method, const char *path, json_t *body,
                          const char *etag, struct client_answer *ret_answer)
{
    const struct client_request request = {.method = method, .path = path, .body = body, .if_match = etag};
    struct error *error = call(cli, &request, ret_answer);
    json_decref(body);
    return error;
}

struct error *cli_download(struct cli *cli, const char *path, FILE *out)
{
    struct client_answer answer = {0};
    TRY(connect_client(cli));
    TRY(client_call(cli->client, &(struct client_request){.method = "GET", .path = path, .out = out},
                    &answer));
    struct error *error = client_problem(&answer);
    client_answer_done(&answer);
    if (!error && (fflush(out) || ferror(out)))
        error = error_new(ERR_IO, "could not write what was downloaded");
    return error;
}

struct error *cli_request(struct cli *cli, const struct client_request *request,
                          struct client_answer *ret_answer)
{
    return call(cli, request, ret_answer);
}

struct error *cli_call_lines(struct cli *cli, const char *path, const char *lines,
                             struct client_answer *ret_answer)
{
    const struct client_request request = {.method = "POST", .path = path, .lines = lines};
    return call(cli, &request, ret_answer);
}

static struct error *read_etag(struct cli *cli, const char *path, const char **ret_etag)
{
    struct client_answer present;
    TRY(cli_call(cli, "GET", path, NULL, &present));
    *ret_etag = arena_strdup(cli->arena, present.etag);
    client_answer_done(&present);
    return NULL;
}

struct error *cli_call_matching(struct cli *cli, const char *method, const char *path, json_t *body,
                                struct client_answer *ret_answer)
{
    struct client_answer answer;
    struct client_request request = {
        .method = method, .path = path, .body = body ? json_hold(cli->arena, body) : NULL};
    TRY(connect_client(cli));
    TRY(client_call(cli->client, &request, &answer));
    if (answer.status == 428) {
        client_answer_done(&answer);
        TRY(read_etag(cli, path, &request.if_match));
        TRY(client_call(cli->client, &request, &answer));
    }
    struct error *error = client_problem(&answer);
    if (error)
        client_answer_done(&answer);
    else
        *ret_answer = answer;
    return error;
}

static int exit_code(const struct error *error)
{
    switch (error_code(error)) {
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
        return CLI_UNREACHABLE;
    case ERR_UNAUTHENTICATED:
    case ERR_DENIED:
        return CLI_DENIED;
    case ERR_NOT_FOUND:
        return CLI_NOT_FOUND;
    case ERR_CONFLICT:
        return CLI_CONFLICT;
    default:
        return CLI_REFUSED;
    }
}

/* One line, and one for every bad member, unless the first says it all. */
static int complain(struct cli *cli, struct error *error, bool usage_error)
{
    size_t count;
    const struct error_detail *details = error_details(error, &count);
    (void)fprintf(stderr, "yunqiao: %s\n", cli_safe(cli->arena, error_message(error), false));
    bool told = count == 1 && strstr(error_message(error), details[0].message);
    for (size_t i = 0; i < count && !told; i++)
        (void)fprintf(stderr, "  %s: %s\n",
                      *details[i].pointer ? cli_safe(cli->arena, details[i].pointer, false) : "the body",
                      cli_safe(cli->arena, details[i].message, false));
    int code = usage_error ? CLI_USAGE : exit_code(error);
    error_free(error);
    return code;
}

/* The same, and how the command is meant, on one line. */
static struct error *with_usage(struct error *error, const struct cli_command *command)
{
    struct error *told = error_new(ERR_INVALID, "%s; usage: yunqiao %s %s", error_message(error),
                                   command->words, command->arguments);
    error_free(error);
    return told;
}

static int run(struct cli *cli)
{
    struct error *error = read_settings(cli);
    if (error)
        return complain(cli, error, true);
    const struct cli_command *command = find_command(cli);
    if (!command && !cli->argc)
        return complain(cli, error_new(ERR_INVALID, "which command? yunqiao --help lists them"), true);
    if (!command)
        return no_such_command(cli->arena, cli->argv);
    error = command->run(cli, command);
    bool usage_error = error && !cli->client && error_code(error) == ERR_INVALID;
    if (usage_error && cli->settings.url && command->arguments)
        error = with_usage(error, command);
    return error ? complain(cli, error, usage_error) : CLI_DONE;
}

/* Output is UTF-8 whatever the locale, so that widths and what is safe are known. */
static void set_locale(void)
{
    (void)setlocale(LC_ALL, ""); /* NULL leaves "C", which the next lines mend */
    if (MB_CUR_MAX == 1)
        (void)setlocale(LC_CTYPE, "C.UTF-8"); /* without it widths are counted in bytes */
}

int main(int argc, char **argv)
{
    set_locale();
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
        (void)fprintf(stderr, "yunqiao: libcurl could not be started\n");
        return CLI_REFUSED;
    }
    struct cli cli = {.arena = arena_new(), .argc = argc - 1, .argv = argv + 1};
    int code = CLI_DONE;
    if (cli_switch(&cli, "help"))
        code = print_usage(stdout, cli.argc, cli.argv) ? CLI_DONE : no_such_command(cli.arena, cli.argv);
    else if (cli_switch(&cli, "version"))
        (void)puts("yunqiao " YUNQIAO_VERSION);
    else if (cli_switch(&cli, "complete-words"))
        print_words();
    else
        code = run(&cli);
    if (fflush(stdout) && !code)
        code = CLI_REFUSED; /* what was asked for did not arrive */
    client_free(cli.client);
    arena_free(cli.arena);
    curl_global_cleanup();
    return code;
}
