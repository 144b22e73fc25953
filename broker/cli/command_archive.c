/* `archive verify`: checks the folder of an archived month without a broker and without its code: the
 * manifest's digests, rows and sums, that lines add up to bills, and that the bills' digests come to the
 * month's, with the signature over it. metering/README.md has the form. See cli.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/buf.h"
#include "broker/base/digest.h"
#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/base/money.h"
#include "broker/cli/commands.h"

#define LINE_MAX ((size_t)64 * 1024)
#define SEALS_MAX ((size_t)512 << 20)

/* What is read of all files. */
struct check {
    struct cli *cli;
    const char *folder, *month;
    struct month of;
    wide usage, lines_usage;
    wide bills_fen, lines_fen;
    char **seals; /* "number digest\n" of each bill */
    size_t seal_count, seal_capacity;
};

struct rows {
    const char *name;
    struct error *(*row)(struct check *check, const json_t *row);
};

static struct error *text_member(const json_t *row, const char *member, const char **ret_text)
{
    *ret_text = json_string_value(json_object_get(row, member));
    return *ret_text ? NULL : error_new(ERR_INVALID, "there is no text \"%s\"", member);
}

static struct error *add(wide *sum, wide value)
{
    return __builtin_add_overflow(*sum, value, sum) ? error_new(ERR_TOO_LARGE, "a sum beyond 128 bits")
                                                    : NULL;
}

static struct error *add_fen(wide *sum, const json_t *row, const char *member)
{
    const json_t *fen = json_object_get(row, member);
    if (!json_is_integer(fen))
        return error_new(ERR_INVALID, "there is no number \"%s\"", member);
    return add(sum, json_integer_value(fen));
}

static struct error *want_month(const struct check *check, const json_t *row)
{
    const char *month;
    TRY(text_member(row, "month", &month));
    return strcmp(month, check->month) ? error_new(ERR_CONFLICT, "it is of %s", month) : NULL;
}

static struct error *usage_row(struct check *check, const json_t *row)
{
    const char *from, *to;
    moment start, end;
    TRY(text_member(row, "start_at", &from));
    TRY(text_member(row, "end_at", &to));
    TRY(moment_parse(from, &start));
    TRY(moment_parse(to, &end));
    if (end <= month_start(check->of) || end > month_end(check->of) || start >= end)
        return error_new(ERR_CONFLICT, "it did not end in %s", check->month);
    return usage_add(&check->usage, json_integer_value(json_object_get(row, "micro")), end - start);
}

static struct error *bill_row(struct check *check, const json_t *row)
{
    const char *number, *digest;
    TRY(want_month(check, row));
    TRY(text_member(row, "number", &number));
    TRY(text_member(row, "digest", &digest));
    if (check->seal_count == check->seal_capacity) {
        check->seal_capacity = check->seal_capacity ? 2 * check->seal_capacity : 1024;
        check->seals = xrealloc(check->seals, check->seal_capacity, sizeof *check->seals);
    }
    check->seals[check->seal_count++] = xasprintf("%s %s\n", number, digest);
    return add_fen(&check->bills_fen, row, "total_fen");
}

static struct error *line_row(struct check *check, const json_t *row)
{
    const char *text;
    wide usage;
    TRY(want_month(check, row));
    TRY(text_member(row, "usage", &text));
    TRY(wide_parse(text, &usage));
    TRY(add(&check->lines_usage, usage));
    return add_fen(&check->lines_fen, row, "amount_fen");
}

static const struct rows files[] = {
    {"usage.jsonl", usage_row}, {"bills.jsonl", bill_row}, {"lines.jsonl", line_row}};

/* ----------------------------------------------------------------------------------------------- reading */

struct reading {
    FILE *stream;
    char *line; /* getline's */
    size_t room;
    int64_t rows, bytes;
    struct digest_sm3 *digest;
};

static struct error *read_row(struct reading *reading, struct check *check, const struct rows *file,
                              size_t length)
{
    json_t *row;
    if (length > LINE_MAX)
        return error_new(ERR_TOO_LARGE, "it is longer than %zu bytes", LINE_MAX);
    digest_sm3_add(reading->digest, reading->line, length);
    reading->bytes += (int64_t)length;
    if (reading->line[length - 1] != '\n')
        return error_new(ERR_CONFLICT, "it does not end");
    TRY(json_parse(reading->line, length - 1, &row));
    struct error *error = file->row(check, row);
    json_decref(row);
    return error;
}

static struct error *read_rows(struct reading *reading, struct check *check, const struct rows *file)
{
    ssize_t length;
    while ((length = getline(&reading->line, &reading->room, reading->stream)) > 0) {
        reading->rows++;
        TRY_DOING(read_row(reading, check, file, (size_t)length), "%s, line %lld", file->name,
                  (long long)reading->rows);
    }
    return ferror(reading->stream) ? error_new(ERR_IO, "could not read %s", file->name) : NULL;
}

/* Reads one file and compares it with what the manifest says of it. */
static struct error *check_file(struct check *check, const struct rows *file, const json_t *told)
{
    char sm3[DIGEST_HEX];
    const char *path = arena_printf(check->cli->arena, "%s/%s", check->folder, file->name);
    struct reading reading = {.stream = fopen(path, "re")};
    if (!reading.stream)
        return error_new(ERR_NOT_FOUND, "could not open %s: %s", path, strerror(errno));
    reading.digest = digest_sm3_begin();
    struct error *error = read_rows(&reading, check, file);
    digest_sm3_end(reading.digest, sm3);
    (void)fclose(reading.stream); /* it was only read */
    free(reading.line);
    TRY(error);
    const char *wanted = json_string_value(json_object_get(told, "sm3"));
    if (!wanted || strcmp(wanted, sm3) != 0)
        return error_new(ERR_CONFLICT, "%s is not what the manifest says: its SM3 is %s", file->name, sm3);
    if (reading.rows != json_integer_value(json_object_get(told, "rows")) ||
        reading.bytes != json_integer_value(json_object_get(told, "bytes")))
        return error_new(ERR_CONFLICT, "%s has not as many rows or bytes as the manifest says", file->name);
    return NULL;
}

static struct error *check_sum(const json_t *told, const char *member, wide found)
{
    char text[WIDE_TEXT];
    const char *wanted = json_string_value(json_object_get(told, member));
    wide_format(found, text);
    if (!wanted || strcmp(wanted, text) != 0)
        return error_new(ERR_CONFLICT, "%s of %s is not what the manifest says: it comes to %s", member,
                         json_string_value(json_object_get(told, "name")), text);
    return NULL;
}

static int compare_text(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The month's digest is over those of its bills, by the bytes of their numbers. */
static struct error *check_month(struct check *check, const json_t *manifest)
{
    BUF_AUTO struct buf buf = BUF_INIT(SEALS_MAX);
    char digest[DIGEST_HEX];
    const char *told;
    TRY(text_member(manifest, "digest_sm3", &told));
    if (check->seal_count)
        qsort(check->seals, check->seal_count, sizeof *check->seals, compare_text);
    for (size_t i = 0; i < check->seal_count; i++)
        buf_puts(&buf, check->seals[i]);
    if (buf_overflowed(&buf))
        return error_new(ERR_TOO_LARGE, "too many bills");
    digest_sm3(buf_text(&buf), buf.length, digest);
    return strcmp(digest, told)
               ? error_new(ERR_CONFLICT, "the bills are not those of the month's digest: they come to %s",
                           digest)
               : NULL;
}

static struct error *check_signature(const struct check *check, const json_t *manifest, const json_t *keys)
{
    const char *kid, *value, *digest;
    TRY(text_member(manifest, "kid", &kid));
    TRY(text_member(manifest, "signature", &value));
    TRY(text_member(manifest, "digest_sm3", &digest));
    return cli_check_signature(check->cli, keys, kid, value,
                               arena_printf(check->cli->arena, "yunqiao month|%s|%s", check->month, digest));
}

static struct error *check_all(struct check *check, const json_t *manifest, const json_t *keys)
{
    const json_t *told = json_object_get(manifest, "files");
    if (json_integer_value(json_object_get(manifest, "format")) != 1 || json_array_size(told) != 3)
        return error_new(ERR_INVALID, "not a manifest of an archive");
    TRY(text_member(manifest, "month", &check->month));
    TRY(month_parse(check->month, &check->of));
    for (size_t i = 0; i < 3; i++) {
        const json_t *file = json_array_get(told, i);
        const char *name = json_string_value(json_object_get(file, "name"));
        if (!name || strcmp(name, files[i].name) != 0)
            return error_new(ERR_INVALID, "not a manifest of an archive");
        TRY(check_file(check, &files[i], file));
    }
    TRY(check_sum(json_array_get(told, 0), "usage_exact", check->usage));
    TRY(check_sum(json_array_get(told, 1), "total_fen", check->bills_fen));
    TRY(check_sum(json_array_get(told, 2), "usage_exact", check->lines_usage));
    TRY(check_sum(json_array_get(told, 2), "total_fen", check->lines_fen));
    if (check->bills_fen != check->lines_fen)
        return error_new(ERR_CONFLICT, "the lines do not add up to the bills");
    TRY(check_month(check, manifest));
    return keys ? check_signature(check, manifest, keys) : NULL;
}

static struct error *verify_archive(struct cli *cli, const struct cli_command *command)
{
    struct check check = {.cli = cli};
    const char *key_path = cli_flag(cli, "keys");
    json_t *manifest = NULL, *keys = NULL;
    (void)command;
    TRY(cli_argument(cli, "FOLDER", &check.folder));
    TRY(cli_end(cli));
    struct error *error =
        cli_read_file(cli, arena_printf(cli->arena, "%s/manifest.json", check.folder), &manifest);
    if (!error && key_path)
        error = cli_read_file(cli, key_path, &keys);
    if (!error)
        error = check_all(&check, manifest, keys);
    if (!error)
        (void)printf(
            "%s: %zu bills: files, sums and the month's digest are right%s\n", check.month, check.seal_count,
            keys ? ", and the signature is the broker's" : "; the signature was not checked (--keys FILE)");
    for (size_t i = 0; i < check.seal_count; i++)
        free(check.seals[i]);
    free(check.seals);
    json_decref(manifest);
    json_decref(keys);
    return error;
}

const struct cli_command archive_commands[] = {
    {"archive verify", "FOLDER [--keys FILE]",
     "check an archived month's folder: digests, rows, sums, signature; needs no broker", verify_archive,
     NULL, NULL, NULL, NULL},
    {0},
};
