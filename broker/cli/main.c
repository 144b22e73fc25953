/* yunqiao: the command line client of the broker. Finds the command in the tables, runs it, and turns its
 * error into one line and an exit code. */
#include <curl/curl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/secret.h"
#include "broker/cli/cli.h"

static const char usage[] =
    "yunqiao: client of the Yunqiao multi-cloud broker\n\n"
    "  yunqiao [options] COMMAND [arguments]\n\n"
    "Options (anywhere on the line; the environment's name in brackets):\n"
    "  --url URL            the broker, https://HOST:PORT [YUNQIAO_URL]\n"
    "  --token-file FILE    a file with the bearer token [YUNQIAO_TOKEN_FILE, or YUNQIAO_TOKEN itself]\n"
    "  --ca-file FILE       the broker's certificate or its authority's [YUNQIAO_CA_FILE]\n"
    "  --cert FILE --key FILE  a client certificate instead of a token\n"
    "  --json               print the answer as JSON\n"
    "  --no-wait            do not follow operations to their end\n"
    "  --help, --version\n\n"
    "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 no broker, 4 not allowed, 5 not found, 6 "
    "conflict.\n\nCommands:\n";

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

static void print_usage(FILE *out, const char *prefix)
{
    if (!prefix)
        (void)fputs(usage, out);
    for (const struct cli_command *const *table = cli_command_tables; *table; table++)
        for (const struct cli_command *command = *table; command->words; command++)
            if (!prefix || !strncmp(command->words, prefix, strlen(prefix)))
                (void)fprintf(out, "  %s %s\n      %s\n", command->words,
                              command->arguments ? command->arguments : "", command->help);
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
    if (token_file && !cli->settings.certificate) {
        char *text;
        TRY(secret_read(arena_printf(cli->arena, "file:%s", token_file), &text));
        token = arena_strdup(cli->arena, text);
        secret_free(text);
    }
    cli->settings.token = token;
    return NULL;
}

struct error *cli_call(struct cli *cli, const char *method, const char *path, json_t *body,
                       struct client_answer *ret_answer)
{
    struct client_answer answer = {0};
    struct error *error = NULL;
    if (!cli->settings.url)
        error = error_new(ERR_INVALID, "which broker? give --url or set YUNQIAO_URL");
    if (!error && !cli->client)
        error = client_new(&cli->settings, &cli->client);
    if (!error)
        error = client_call(cli->client,
                            &(struct client_request){.method = method, .path = path, .body = body}, &answer);
    json_decref(body);
    TRY(error);
    error = client_problem(&answer);
    if (error)
        client_answer_done(&answer);
    else
        *ret_answer = answer;
    return error;
}

struct error *cli_call_matching(struct cli *cli, const char *method, const char *path, json_t *body,
                                struct client_answer *ret_answer)
{
    struct client_answer present, answer;
    struct error *error = cli_call(cli, "GET", path, NULL, &present);
    if (error) {
        json_decref(body);
        return error;
    }
    const char *etag = arena_strdup(cli->arena, present.etag);
    client_answer_done(&present);
    error = client_call(
        cli->client, &(struct client_request){.method = method, .path = path, .body = body, .if_match = etag},
        &answer);
    json_decref(body);
    TRY(error);
    error = client_problem(&answer);
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

/* One line, and one for every bad member. */
static int complain(struct error *error, bool usage_error)
{
    size_t count;
    const struct error_detail *details = error_details(error, &count);
    (void)fprintf(stderr, "yunqiao: %s\n", error_message(error));
    for (size_t i = 0; i < count; i++)
        (void)fprintf(stderr, "  %s: %s\n", *details[i].pointer ? details[i].pointer : "the body",
                      details[i].message);
    int code = usage_error ? CLI_USAGE : exit_code(error);
    error_free(error);
    return code;
}

static int run(struct cli *cli)
{
    struct error *error = read_settings(cli);
    if (error)
        return complain(error, true);
    const char *first = cli->argc ? cli->argv[0] : NULL;
    const struct cli_command *command = find_command(cli);
    if (!command) {
        if (first)
            (void)fprintf(stderr, "yunqiao: there is no such command; those that begin with \"%s\":\n",
                          first);
        print_usage(stderr, first);
        return CLI_USAGE;
    }
    bool before = cli->client == NULL;
    error = command->run(cli, command);
    return error ? complain(error, before && !cli->client && error_code(error) == ERR_INVALID) : CLI_DONE;
}

int main(int argc, char **argv)
{
    (void)setlocale(LC_ALL, ""); /* without a locale Chinese text is merely aligned by bytes */
    if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
        (void)fprintf(stderr, "yunqiao: libcurl could not be started\n");
        return CLI_REFUSED;
    }
    struct cli cli = {.arena = arena_new(), .argc = argc - 1, .argv = argv + 1};
    int code = CLI_DONE;
    if (cli_switch(&cli, "help") || !cli.argc)
        print_usage(cli.argc ? stdout : argc > 1 ? stdout : stderr, cli.argc ? cli.argv[0] : NULL);
    else if (cli_switch(&cli, "version"))
        (void)puts("yunqiao " YUNQIAO_VERSION);
    else if (cli_switch(&cli, "complete-words"))
        print_words();
    else
        code = run(&cli);
    client_free(cli.client);
    arena_free(cli.arena);
    curl_global_cleanup();
    return code;
}
