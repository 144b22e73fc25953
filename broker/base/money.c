/* Money and quantities; see money.h. */
#include "broker/base/money.h"

#include <stdio.h>
#include <string.h>

#define WIDE_MAX ((wide)(~(unsigned __int128)0 >> 1))

/* Digits with at most `decimals` after a point, as an integer scaled by 10^decimals, at most `most`. */
static struct error *parse_decimal(const char *text, int decimals, int64_t most, int64_t *ret_value)
{
    wide value = 0;
    int after = -1;
    size_t length = strlen(text);
    if (!length || length > 40 || text[0] == '.' || text[length - 1] == '.')
        return error_new(ERR_INVALID, "not a decimal number");
    for (const char *at = text; *at; at++) {
        if (*at == '.' && after < 0) {
            after = 0;
            continue;
        }
        if (*at < '0' || *at > '9')
            return error_new(ERR_INVALID, "not a decimal number");
        if (after >= 0 && ++after > decimals)
            return error_new(ERR_INVALID, "more than %d decimals", decimals);
        value = value * 10 + (*at - '0');
        if (value > most)
            return error_new(ERR_INVALID, "too large");
    }
    for (int i = after < 0 ? 0 : after; i < decimals; i++)
        value *= 10;
    if (value > most)
        return error_new(ERR_INVALID, "too large");
    *ret_value = (int64_t)value;
    return NULL;
}

struct error *money_parse(const char *yuan, int64_t *ret_fen)
{
    return parse_decimal(yuan, 2, MONEY_MAX, ret_fen);
}

char *money_format(int64_t fen, char text[MONEY_TEXT])
{
    uint64_t left = fen < 0 ? -(uint64_t)fen : (uint64_t)fen;
    char digits[MONEY_TEXT]; /* 20 digits, sign and point fit; backwards, for exports write millions of these
                              */
    size_t count = 0, at = 0;
    while (left || count < 4) {
        digits[count++] = (char)('0' + left % 10);
        left /= 10;
        if (count == 2)
            digits[count++] = '.';
    }
    if (fen < 0)
        text[at++] = '-';
    while (count)
        text[at++] = digits[--count];
    text[at] = '\0';
    return text;
}

struct error *money_add(int64_t a, int64_t b, int64_t *ret_sum)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum) || sum > MONEY_MAX || sum < -MONEY_MAX)
        return error_new(ERR_TOO_LARGE, "an amount beyond 1e16 yuan");
    *ret_sum = sum;
    return NULL;
}

char *quantity_format(int64_t micro, char text[QUANTITY_TEXT])
{
    uint64_t size = micro < 0 ? -(uint64_t)micro : (uint64_t)micro;
    int length = snprintf(text, QUANTITY_TEXT, "%s%llu.%06llu", micro < 0 ? "-" : "",
                          (unsigned long long)(size / 1000000), (unsigned long long)(size % 1000000));
    while (text[length - 1] == '0')
        text[--length] = '\0';
    if (text[length - 1] == '.')
        text[--length] = '\0';
    return text;
}

struct error *quantity_parse(const char *text, int64_t *ret_micro)
{
    return parse_decimal(text, 6, QUANTITY_MAX, ret_micro);
}

struct error *usage_add(wide *sum, int64_t quantity_micro, int64_t duration_us)
{
    wide product, total;
    if (quantity_micro < 0 || duration_us < 0)
        return error_new(ERR_INTERNAL, "negative usage");
    if (__builtin_mul_overflow((wide)quantity_micro, (wide)duration_us, &product) ||
        __builtin_add_overflow(*sum, product, &total))
        return error_new(ERR_TOO_LARGE, "usage beyond 128 bits");
    *sum = total;
    return NULL;
}

wide wide_divide_half_up(wide a, wide b)
{
    wide quotient = a / b, rest = a % b;
    return quotient + (rest >= b - rest);
}

struct error *usage_amount(int64_t price_fen, wide usage, int64_t month_us, int64_t *ret_fen)
{
    wide product;
    if (price_fen < 0 || price_fen > PRICE_MAX || usage < 0 || month_us <= 0)
        return error_new(ERR_INTERNAL, "a price, usage or month out of range");
    if (__builtin_mul_overflow((wide)price_fen, usage, &product))
        return error_new(ERR_TOO_LARGE, "an amount beyond 128 bits");
    wide amount = wide_divide_half_up(product, (wide)QUANTITY_ONE * month_us);
    if (amount > MONEY_MAX)
        return error_new(ERR_TOO_LARGE, "an amount beyond 1e16 yuan");
    *ret_fen = (int64_t)amount;
    return NULL;
}

char *wide_format(wide value, char text[WIDE_TEXT])
{
    char digits[WIDE_TEXT];
    size_t count = 0, at = 0;
    unsigned __int128 size = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    while (size > UINT64_MAX) { /* divisions of 128 bits are slow: no more of them than needed */
        digits[count++] = (char)('0' + (int)(size % 10));
        size /= 10;
    }
    uint64_t left = (uint64_t)size;
    do {
        digits[count++] = (char)('0' + left % 10);
        left /= 10;
    } while (left);
    if (value < 0)
        text[at++] = '-';
    while (count)
        text[at++] = digits[--count];
    text[at] = '\0';
    return text;
}

struct error *wide_parse(const char *text, wide *ret_value)
{
    bool negative = *text == '-';
    wide value = 0; /* counted down from zero: that side reaches one further */
    const char *at = text + negative;
    if (!*at)
        return error_new(ERR_INVALID, "not an integer");
    for (; *at; at++) {
        if (*at < '0' || *at > '9')
            return error_new(ERR_INVALID, "not an integer");
        if (__builtin_mul_overflow(value, (wide)10, &value) ||
            __builtin_sub_overflow(value, (wide)(*at - '0'), &value))
            return error_new(ERR_TOO_LARGE, "an integer beyond 128 bits");
    }
    if (!negative && value < -WIDE_MAX)
        return error_new(ERR_TOO_LARGE, "an integer beyond 128 bits");
    *ret_value = negative ? value : -value;
    return NULL;
}
