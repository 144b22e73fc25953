/* The rules of FOCUS 1.2 that apply to an export of ours, written from the specification and not from the
 * exporter: every mandatory column, type, null and allowed value, and what columns say about each other. */
#ifndef TESTS_METERING_FOCUS_H
#define TESTS_METERING_FOCUS_H

#include "broker/base/money.h"
#include "tests/metering/table.h"

/* Fails the test at the first breach, saying row, column and rule. */
void focus_check(const struct table *table);
/* The decimal as an integer of 1e-8; fails the test when it is not a decimal of at most eight. */
wide focus_decimal(const char *text);

#endif
