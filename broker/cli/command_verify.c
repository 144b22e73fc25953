/* `bill verify`: checks a bill without a broker and without its code: every amount from price and usage, the
 * sums, the digest over the canonical text (metering/README.md) and the signature over it. What it reads is
 * what `yunqiao --json bill show` printed, and the public keys that `yunqiao --json key list` printed. See
 * cli.h. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/buf.h"
#include "broker/base/digest.h"
#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/base/money.h"
#include "broker/cli/commands.h"

#define BILL_TEXT_MAX ((size_t)512 << 20)

static struct error *member_text(const json_t *object, const char *member, const char **ret_text)
{
    const char *text = json_string_value(json_object_get(object, member));
    if (!text)
        return error_new(ERR_INVALID, "the bill has no text \"%s\"", member);
    *ret_text = text;
    return NULL;
}

/* A member of the canonical text; what there is none of is empty. */
static void put_member(struct buf *buf, const json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    buf_puts(buf, text ? text : "");
}

/* Of a positive or negative amount. */
static struct error *fen_of(const json_t *object, const char *member, int64_t *ret_fen)
{
    const char *text;
    TRY(member_text(object, member, &text));
    bool negative = *text == '-';
    TRY_DOING(money_parse(text + negative, ret_fen), "\"%s\"", member);
    *ret_fen = negative ? -*ret_fen : *ret_fen;
    return NULL;
}

static struct error *wrong(int64_t number, const char *what)
{
    return error_new(ERR_CONFLICT, "line %lld: %s", (long long)number, what);
}

/* price × usage ÷ (1e6 × the month's microseconds), half up: what the line costs by the list. An adjustment
 * is the difference of two such roundings, so it can be off by a fen from its own. */
static struct error *check_line(const json_t *line, int64_t *sum)
{
    int64_t number = json_integer_value(json_object_get(line, "line")), price, list, amount, expected;
    const char *month_name, *usage_text, *tariff, *type;
    struct month month;
    wide usage;
    TRY(member_text(line, "charge_month", &month_name));
    TRY(member_text(line, "usage_exact", &usage_text));
    TRY(member_text(line, "tariff", &tariff));
    TRY(member_text(line, "type", &type));
    TRY(month_parse(month_name, &month));
    TRY(wide_parse(usage_text, &usage));
    TRY(fen_of(line, "price_yuan", &price));
    TRY(fen_of(line, "list_yuan", &list));
    TRY(fen_of(line, "amount_yuan", &amount));
    bool negative = usage < 0;
    TRY(usage_amount(price, negative ? -usage : usage, month_end(month) - month_start(month), &expected));
    expected = negative ? -expected : expected;
    int64_t off = list > expected ? list - expected : expected - list;
    if (off > (strcmp(type, "adjustment") ? 0 : 1))
        return wrong(number, "the amount is not price times usage");
    if (amount != (strcmp(tariff, "standard") ? 0 : list))
        return wrong(number, "the amount owed does not follow from its tariff");
    return money_add(*sum, amount, sum);
}

static void put_line(struct buf *buf, const json_t *line, bool second)
{
    static const char *const first[] = {"type", "charge_month", "cloud", "system", "item"};
    static const char *const place[] = {"tariff", "industry", "zone", "architecture", "list_yuan"};
    static const char *const rest[] = {"price_yuan", "price_from", "price_to", "usage_exact", "amount_yuan"};
    const json_t *corrects = json_object_get(line, "corrects");
    buf_printf(buf, "%lld|", (long long)json_integer_value(json_object_get(line, "line")));
    for (size_t i = 0; i < sizeof first / sizeof *first; i++, buf_putc(buf, '|'))
        put_member(buf, line, first[i]);
    for (size_t i = 0; second && i < sizeof place / sizeof *place; i++, buf_putc(buf, '|'))
        put_member(buf, line, place[i]);
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++, buf_putc(buf, '|'))
        put_member(buf, line, rest[i]);
    if (corrects)
        buf_printf(buf, "%s|%lld", json_string_value(json_object_get(corrects, "bill")),
                   (long long)json_integer_value(json_object_get(corrects, "line")));
    else
        buf_putc(buf, '|');
    buf_putc(buf, '\n');
}

static struct error *check_digest(const json_t *bill, const json_t *lines)
{
    BUF_AUTO struct buf buf = BUF_INIT(BILL_TEXT_MAX);
    static const char *const head[] = {"number", "unit", "provider", "month", "total_yuan"};
    const char *told;
    char digest[DIGEST_HEX];
    size_t i;
    json_t *line;
    TRY(member_text(bill, "digest_sm3", &told));
    for (i = 0; i < sizeof head / sizeof *head; i++) {
        put_member(&buf, bill, head[i]);
        buf_putc(&buf, i + 1 < sizeof head / sizeof *head ? '|' : '\n');
    }
    bool second = json_integer_value(json_object_get(bill, "digest_version")) > 1;
    json_array_foreach (lines, i, line)
        put_line(&buf, line, second);
    if (buf_overflowed(&buf))
        return error_new(ERR_TOO_LARGE, "the bill is too long");
    digest_sm3(buf_text(&buf), buf.length, digest);
    return strcmp(digest, told)
               ? error_new(ERR_CONFLICT, "the digest is not of this bill: it comes to %s", digest)
               : NULL;
}

static struct error *check_sums(const json_t *bill, const json_t *lines)
{
    int64_t sum = 0, charges, adjustments, total;
    size_t i;
    json_t *line;
    TRY(fen_of(bill, "charges_yuan", &charges));
    TRY(fen_of(bill, "adjustments_yuan", &adjustments));
    TRY(fen_of(bill, "total_yuan", &total));
    json_array_foreach (lines, i, line) {
        if (json_integer_value(json_object_get(line, "line")) != (json_int_t)i + 1)
            return error_new(ERR_CONFLICT, "line %zu is missing", i + 1);
        TRY(check_line(line, &sum));
    }
    if ((json_int_t)json_array_size(lines) != json_integer_value(json_object_get(bill, "line_count")))
        return error_new(ERR_CONFLICT, "the bill has not all its lines");
    if (sum != total || charges + adjustments != total)
        return error_new(ERR_CONFLICT, "the total is not the sum of the lines");
    return NULL;
}

static bool signature_holds(struct arena *arena, const char *key_text, const char *signature_text,
                            const char *text)
{
    unsigned char *key_bytes, *signature;
    size_t key_size, size;
    struct error *error = base64url_decode(arena, key_text, strlen(key_text), &key_bytes, &key_size);
    if (!error)
        error = base64url_decode(arena, signature_text, strlen(signature_text), &signature, &size);
    if (error) {
        error_free(error);
        return false;
    }
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key_bytes, key_size);
    EVP_MD_CTX *context = key ? EVP_MD_CTX_new() : NULL;
    bool good = context && EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, size, (const unsigned char *)text, strlen(text)) == 1;
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    return good;
}

struct error *cli_check_signature(struct cli *cli, const json_t *keys, const char *kid, const char *value,
                                  const char *text)
{
    const json_t *key;
    const char *public_half = NULL;
    size_t i;
    const json_t *list =
        json_is_array(keys) ? keys : json_object_get(keys, "keys"); /* of key list, or of the API */
    json_array_foreach (list, i, key) {
        const char *id = json_string_value(json_object_get(key, "kid"));
        if (id && !strcmp(id, kid))
            public_half = json_string_value(json_object_get(key, "x"));
    }
    if (!public_half)
        return error_new(ERR_NOT_FOUND, "key %s is not among the keys given", kid);
    if (!signature_holds(cli->arena, public_half, value, text))
        return error_new(ERR_CONFLICT, "the signature is not of what is signed");
    return NULL;
}

static struct error *check_signature(struct cli *cli, const json_t *bill, const json_t *keys)
{
    const json_t *signature = json_object_get(bill, "signature");
    const char *kid, *value, *number, *digest;
    if (!signature)
        return error_new(ERR_CONFLICT, "the bill carries no signature");
    TRY(member_text(signature, "kid", &kid));
    TRY(member_text(signature, "value", &value));
    TRY(member_text(bill, "number", &number));
    TRY(member_text(bill, "digest_sm3", &digest));
    return error_wrap(cli_check_signature(cli, keys, kid, value,
                                          arena_printf(cli->arena, "yunqiao bill|%s|%s", number, digest)),
                      "the bill");
}

static struct error *check_bill(struct cli *cli, const json_t *bill, const json_t *keys)
{
    const json_t *lines = json_object_get(bill, "lines");
    if (!json_is_array(lines))
        return error_new(ERR_INVALID, "not a bill: print one with yunqiao --json bill show");
    if (json_is_true(json_object_get(bill, "partial")))
        return error_new(ERR_INVALID,
                         "a part of a bill, with the lines that one caller may see, cannot be verified");
    TRY(check_sums(bill, lines));
    TRY(check_digest(bill, lines));
    return keys ? check_signature(cli, bill, keys) : NULL;
}

static struct error *verify_bill(struct cli *cli, const struct cli_command *command)
{
    const char *path, *key_path = cli_flag(cli, "keys");
    json_t *bill = NULL, *keys = NULL;
    (void)command;
    TRY(cli_argument(cli, "FILE", &path));
    TRY(cli_end(cli));
    struct error *error = cli_read_file(cli, path, &bill);
    if (!error && key_path)
        error = cli_read_file(cli, key_path, &keys);
    if (!error)
        error = check_bill(cli, bill, keys);
    if (!error)
        (void)printf("%s: %lld lines, %s yuan: amounts, sums and digest are right%s\n",
                     json_string_value(json_object_get(bill, "number")),
                     (long long)json_integer_value(json_object_get(bill, "line_count")),
                     json_string_value(json_object_get(bill, "total_yuan")),
                     keys ? ", and the signature is the broker's"
                          : "; the signature was not checked (--keys FILE)");
    json_decref(bill);
    json_decref(keys);
    return error;
}

const struct cli_command verify_commands[] = {
    {"bill verify", "FILE [--keys FILE]",
     "check a bill that was printed with --json: amounts, sums, digest, signature; needs no broker",
     verify_bill, NULL, NULL, NULL, NULL},
    {0},
};
