/* What most commands are: a list, a single thing, a verb on one; and `api` for everything else. See cli.h. */
#include <stdio.h>
#include <string.h>

#include "broker/base/json.h"
#include "broker/cli/cli.h"

#define PAGES_MAX 10000

/* `{}` in a path stands for the next argument. */
static struct error *fill_path(struct cli *cli, const struct cli_command *command, const char **ret_path)
{
    const char *pattern = command->path, *path = "", *hole;
    while ((hole = strstr(pattern, "{}"))) {
        const char *argument;
        TRY(cli_argument(cli, command->arguments, &argument));
        path = arena_printf(cli->arena, "%s%.*s%s", path, (int)(hole - pattern), pattern,
                            client_escape(cli->arena, argument));
        pattern = hole + 2;
    }
    *ret_path = arena_printf(cli->arena, "%s%s", path, pattern);
    return NULL;
}

/* The flags named in `filters` become query members. */
static const char *add_filters(struct cli *cli, const char *path, const char *filters)
{
    char *rest = arena_strdup(cli->arena, filters ? filters : ""), *name;
    while ((name = strsep(&rest, ","))) {
        const char *value = *name ? cli_flag(cli, cli_flag_of(cli, name)) : NULL;
        if (value)
            path = arena_printf(cli->arena, "%s%c%s=%s", path, strchr(path, '?') ? '&' : '?', name,
                                client_escape(cli->arena, value));
    }
    return path;
}

json_t *cli_list_of(const json_t *body)
{
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)body, name, value) /* jansson only reads here */
        if (json_is_array(value))
            return value;
    return NULL;
}

struct error *cli_call_pages(struct cli *cli, const char *path, json_t **ret_body)
{
    json_t *body = NULL;
    const char *at = path;
    for (int page = 0; page < PAGES_MAX; page++) {
        struct client_answer answer;
        TRY(cli_call(cli, "GET", at, NULL, &answer));
        const char *token =
            arena_strdup(cli->arena, json_string_value(json_object_get(answer.body, "next_page_token")));
        if (!body)
            body = json_hold(cli->arena, json_incref(answer.body));
        else if (cli_list_of(body) && cli_list_of(answer.body))
            (void)json_array_extend(cli_list_of(body), cli_list_of(answer.body)); /* both are arrays */
        client_answer_done(&answer);
        if (!token) {
            (void)json_object_del(body, "next_page_token"); /* of the first page, when there was one */
            *ret_body = json_incref(body);
            return NULL;
        }
        at = arena_printf(cli->arena, "%s%cpage_token=%s", path, strchr(path, '?') ? '&' : '?',
                          client_escape(cli->arena, token));
    }
    return error_new(ERR_TOO_LARGE, "more than %d pages: narrow the list", PAGES_MAX);
}

struct error *cli_list(struct cli *cli, const struct cli_command *command)
{
    const char *path;
    TRY(fill_path(cli, command, &path));
    path = add_filters(cli, path, command->filters);
    TRY(cli_end(cli));
    json_t *body;
    TRY(cli_call_pages(cli, path, &body));
    if (cli->json)
        cli_print(cli, cli_list_of(body));
    else
        cli_print_table(cli, cli_list_of(body), command->columns);
    json_decref(body);
    return NULL;
}

struct error *cli_show(struct cli *cli, const struct cli_command *command)
{
    const char *path;
    struct client_answer answer;
    TRY(fill_path(cli, command, &path));
    path = add_filters(cli, path, command->filters);
    TRY(cli_end(cli));
    TRY(cli_call(cli, "GET", path, NULL, &answer));
    cli_print(cli, answer.body);
    client_answer_done(&answer);
    return NULL;
}
