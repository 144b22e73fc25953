/* Commands about reported usage; see cli.h. `usage report` sends CloudEvents from a file of lines (NDJSON, of
 * any length, in batches) or of one JSON text (an event or an array of events). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/buf.h"
#include "broker/base/json.h"
#include "broker/cli/commands.h"

#define BATCH_EVENTS 1000
#define BATCH_BYTES ((size_t)900 * 1024) /* the broker takes bodies of 1 MiB */
#define JSON_BYTES ((size_t)64 * 1024 * 1024)
#define SHOWN 20 /* rejected events that are told one by one */

struct sending {
    struct cli *cli;
    const char *path;
    struct buf lines; /* of the batch */
    int64_t held, sent;
    int64_t accepted, duplicates, quarantined, rejected;
    json_t *told; /* rejected ones, by their index in the file */
};

static int64_t number(const json_t *answer, const char *member)
{
    return json_integer_value(json_object_get(answer, member));
}

static struct error *flush(struct sending *sending)
{
    struct client_answer answer;
    size_t i;
    json_t *entry;
    if (!sending->held)
        return NULL;
    TRY(cli_call_lines(sending->cli, sending->path, buf_text(&sending->lines), &answer));
    sending->accepted += number(answer.body, "accepted");
    sending->duplicates += number(answer.body, "duplicates");
    sending->quarantined += number(answer.body, "quarantined");
    json_array_foreach (json_object_get(answer.body, "rejected"), i, entry) {
        json_put_int(entry, "index", number(entry, "index") + sending->sent);
        if (sending->rejected++ < SHOWN || sending->cli->json)
            json_push(sending->told, json_incref(entry));
    }
    client_answer_done(&answer);
    sending->sent += sending->held;
    sending->held = 0;
    buf_clear(&sending->lines);
    return NULL;
}

static struct error *add(struct sending *sending, const char *line, size_t length)
{
    while (length && strchr(" \t\r\n", line[length - 1]))
        length--;
    if (!length)
        return NULL;
    if (length >= BATCH_BYTES)
        return error_new(ERR_TOO_LARGE, "event %lld is longer than %zu bytes",
                         (long long)(sending->sent + sending->held), BATCH_BYTES);
    if (sending->held == BATCH_EVENTS || sending->lines.length + length >= BATCH_BYTES)
        TRY(flush(sending));
    buf_append(&sending->lines, line, length);
    buf_putc(&sending->lines, '\n');
    sending->held++;
    return NULL;
}

static struct error *add_json(struct sending *sending, const json_t *event)
{
    char *text = json_dumps(event, JSON_COMPACT | JSON_ENCODE_ANY);
    struct error *error = text ? add(sending, text, strlen(text)) : error_new(ERR_INVALID, "not JSON");
    free(text);
    return error;
}

/* The file is one JSON text that begins with `begin`. */
static struct error *send_text(struct sending *sending, FILE *file, const char *begin, size_t length)
{
    BUF_AUTO struct buf text = BUF_INIT(JSON_BYTES);
    char piece[65536];
    json_t *json, *event;
    size_t i, got;
    struct error *error = NULL;
    buf_append(&text, begin, length);
    while (!buf_overflowed(&text) && (got = fread(piece, 1, sizeof piece, file)) > 0)
        buf_append(&text, piece, got);
    if (buf_overflowed(&text))
        return error_new(ERR_TOO_LARGE, "it is longer than %zu bytes", JSON_BYTES);
    TRY(json_parse(text.data, text.length, &json));
    if (json_is_array(json))
        json_array_foreach (json, i, event)
            error = error ? error : add_json(sending, event);
    else
        error = add_json(sending, json);
    json_decref(json);
    return error;
}

static bool is_event(const char *line, size_t length)
{
    json_t *json = NULL;
    struct error *error = json_parse(line, length, &json);
    bool object = !error && json_is_object(json);
    error_ignore(error); /* then the file is no list of lines, or its first line is bad: told as JSON */
    json_decref(json);
    return object;
}

static struct error *send_file(struct sending *sending, FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    bool first = true;
    struct error *error = NULL;
    while (!error && (length = getline(&line, &room, file)) >= 0) {
        if (first && (size_t)length == strspn(line, " \t\r\n"))
            continue;
        if (first && !is_event(line, (size_t)length)) {
            error = send_text(sending, file, line, (size_t)length);
            break;
        }
        first = false;
        error = add(sending, line, (size_t)length);
    }
    free(line);
    if (!error && ferror(file))
        error = error_new(ERR_INVALID, "it could not be read");
    return error ? error : flush(sending);
}

static struct error *tell(struct sending *sending)
{
    struct error *error = NULL;
    size_t i;
    const json_t *entry;
    json_t *body = json_object();
    json_put_int(body, "accepted", sending->accepted);
    json_put_int(body, "duplicates", sending->duplicates);
    json_put_int(body, "quarantined", sending->quarantined);
    if (sending->cli->json)
        json_put(body, "rejected", json_incref(sending->told));
    else
        json_put_int(body, "rejected", sending->rejected);
    cli_print(sending->cli, body);
    json_decref(body);
    if (!sending->rejected)
        return NULL;
    error = error_new(ERR_INVALID, "%lld events were rejected", (long long)sending->rejected);
    json_array_foreach (sending->told, i, entry) {
        const json_t *problem = json_object_get(entry, "problem"),
                     *bad = json_array_get(json_object_get(problem, "errors"), 0);
        const char *detail = json_string_value(json_object_get(bad, "detail"));
        const char *pointer = json_string_value(json_object_get(bad, "pointer"));
        if (!detail)
            detail = json_string_value(json_object_get(problem, "detail"));
        error_add_detail(error,
                         arena_printf(sending->cli->arena, "/%lld%s", (long long)number(entry, "index"),
                                      pointer ? pointer : ""),
                         "%s", detail ? detail : "refused");
    }
    return error;
}

static struct error *report(struct cli *cli, const struct cli_command *command)
{
    const char *path;
    bool atomic = cli_switch(cli, "atomic");
    struct sending sending = {.cli = cli,
                              .path = atomic ? "/v1/usage?atomic=true" : command->path,
                              .lines = BUF_INIT(BATCH_BYTES + 65536),
                              .told = json_hold(cli->arena, json_array())};
    TRY(cli_argument(cli, "FILE", &path));
    TRY(cli_end(cli));
    FILE *file = strcmp(path, "-") ? fopen(path, "re") : stdin;
    if (!file)
        return error_new(ERR_INVALID, "could not open %s: %s", path, strerror(errno));
    struct error *error = send_file(&sending, file);
    if (file != stdin)
        (void)fclose(file); /* it was only read */
    buf_done(&sending.lines);
    if (error && sending.sent)
        return error_wrap(error, "after %lld events", (long long)sending.sent);
    TRY_DOING(error, "could not send %s", path);
    return tell(&sending);
}

const struct cli_command usage_commands[] = {
    {"usage report", "FILE [--atomic]",
     "send usage as CloudEvents: NDJSON or one JSON text; - is standard input", report, "/v1/usage", NULL,
     NULL, NULL},
    {0},
};
