/* Money and quantities: integers, products in checked 128 bits, one exact division with one rounding per
 * line.
 *
 * A price or an amount is int64_t fen (1/100 yuan); the procurement allows two decimals and no more
 * (procurement 3.1.3). A quantity is int64_t micro-units: 1e-6 of the item's billing unit (one CPU, 100 GB,
 * one Mb…). Usage is quantity × time in micro-units × microseconds, summed in 128 bits. Nothing here is
 * floating point. */
#ifndef BROKER_BASE_MONEY_H
#define BROKER_BASE_MONEY_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/base/error.h"

typedef __int128 wide; /* micro-units × microseconds, and products of it */

#define QUANTITY_ONE INT64_C(1000000)
#define QUANTITY_MAX INT64_C(1000000000000000) /* 1e9 billing units */
#define MONEY_MAX INT64_C(1000000000000000000) /* 1e16 yuan: sums are refused beyond */
#define PRICE_MAX INT64_C(100000000000)        /* 1e9 yuan a unit and month */

/* "14.02", "14", "0.5": digits, at most two decimals, no sign, no exponent, at most MONEY_MAX; else
 * ERR_INVALID that says which. */
struct error *money_parse(const char *yuan, int64_t *ret_fen) ERROR_MUST_USE;
#define MONEY_TEXT 24
/* "-1234.05": always two decimals, MONEY_TEXT bytes with the end. Returns text. */
char *money_format(int64_t fen, char text[MONEY_TEXT]);
/* ERR_TOO_LARGE beyond ±MONEY_MAX. */
struct error *money_add(int64_t a, int64_t b, int64_t *ret_sum) ERROR_MUST_USE;

#define QUANTITY_TEXT 24
/* "0.5", "16", "1.000001": micro-units as a decimal without trailing zeros. Returns text. */
char *quantity_format(int64_t micro, char text[QUANTITY_TEXT]);
/* "0.5" with at most six decimals, 0..QUANTITY_MAX; else ERR_INVALID. */
struct error *quantity_parse(const char *text, int64_t *ret_micro) ERROR_MUST_USE;

/* *sum += quantity × duration, all ≥ 0; ERR_TOO_LARGE on overflow. */
struct error *usage_add(wide *sum, int64_t quantity_micro, int64_t duration_us) ERROR_MUST_USE;
/* price × usage ÷ (1e6 × length of the month), rounded half up to the fen, once. usage ≥ 0, 0 ≤ price ≤
 * PRICE_MAX. */
struct error *usage_amount(int64_t price_fen, wide usage, int64_t month_us, int64_t *ret_fen) ERROR_MUST_USE;
/* a ÷ b rounded half up, b > 0, a ≥ 0. */
wide wide_divide_half_up(wide a, wide b);

#define WIDE_TEXT 41
/* Decimal, for a numeric column; WIDE_TEXT bytes with the end. Returns text. */
char *wide_format(wide value, char text[WIDE_TEXT]);
/* The integer that wide_format made (numeric columns of scale 0); else ERR_INVALID. */
struct error *wide_parse(const char *text, wide *ret_value) ERROR_MUST_USE;

#endif
