/* See focus.h. */
#include "tests/metering/focus.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum type { STRING, DECIMAL, TIME };
struct rule {
    const char *column;
    enum type type;
    bool mandatory, nullable;
    const char *allowed; /* '|' joined; NULL: anything */
};

#define CATEGORIES                                                                                          \
    "AI and Machine Learning|Analytics|Business Applications|Compute|Databases|Developer Tools|Multicloud|" \
    "Identity|Integration|Internet of Things|Management and Governance|Media|Migration|Mobile|Networking|"  \
    "Security|Storage|Web|Other"
/* "Parent: child" of those that our items can have. */
#define SUBCATEGORIES                                                                                    \
    "Compute: Virtual Machines|Compute: Other (Compute)|Storage: Block Storage|Storage: Object Storage|" \
    "Storage: Backup Storage|Networking: Network Connectivity|Networking: Application Networking|"       \
    "Networking: Network Security|Identity: Identity and Access Management|Security: Secret Management"

static const struct rule rules[] = {
    {"BilledCost", DECIMAL, true, false, NULL},
    {"BillingAccountId", STRING, true, false, NULL},
    {"BillingAccountName", STRING, true, true, NULL},
    {"BillingCurrency", STRING, true, false, "CNY"},
    {"BillingPeriodEnd", TIME, true, false, NULL},
    {"BillingPeriodStart", TIME, true, false, NULL},
    {"ChargeCategory", STRING, true, false, "Usage|Purchase|Tax|Credit|Adjustment"},
    {"ChargeClass", STRING, true, true, "Correction"},
    {"ChargeDescription", STRING, true, true, NULL},
    {"ChargePeriodEnd", TIME, true, false, NULL},
    {"ChargePeriodStart", TIME, true, false, NULL},
    {"ContractedCost", DECIMAL, true, false, NULL},
    {"EffectiveCost", DECIMAL, true, false, NULL},
    {"InvoiceIssuerName", STRING, true, false, NULL},
    {"ListCost", DECIMAL, true, false, NULL},
    {"PricingQuantity", DECIMAL, true, true, NULL},
    {"PricingUnit", STRING, true, true, NULL},
    {"ProviderName", STRING, true, false, NULL},
    {"PublisherName", STRING, true, false, NULL},
    {"ServiceCategory", STRING, true, false, CATEGORIES},
    {"ServiceName", STRING, true, false, NULL},
    {"AvailabilityZone", STRING, false, true, NULL},
    {"BillingAccountType", STRING, false, false, NULL},
    {"ChargeFrequency", STRING, false, false, "One-Time|Recurring|Usage-Based"},
    {"ConsumedQuantity", DECIMAL, false, true, NULL},
    {"ConsumedUnit", STRING, false, true, NULL},
    {"ContractedUnitPrice", DECIMAL, false, true, NULL},
    {"InvoiceId", STRING, false, true, NULL},
    {"ListUnitPrice", DECIMAL, false, true, NULL},
    {"PricingCategory", STRING, false, true, "Standard|Dynamic|Committed|Other"},
    {"RegionId", STRING, false, true, NULL},
    {"RegionName", STRING, false, true, NULL},
    {"ServiceSubcategory", STRING, false, false, NULL},
    {"SkuId", STRING, false, true, NULL},
    {"SkuMeter", STRING, false, true, NULL},
    {"SkuPriceId", STRING, false, true, NULL},
    {"SubAccountId", STRING, false, true, NULL},
    {"SubAccountName", STRING, false, true, NULL},
    {"SubAccountType", STRING, false, true, NULL},
};
#define RULES (sizeof rules / sizeof *rules)

wide focus_decimal(const char *text)
{
    wide value = 0;
    int decimals = -1;
    const char *at = text + (*text == '-');
    if (!isdigit((unsigned char)*at))
        fail_msg("\"%s\" is no decimal", text);
    for (; *at; at++) {
        if (*at == '.' && decimals < 0 && at[1]) {
            decimals = 0;
            continue;
        }
        if (!isdigit((unsigned char)*at) || (decimals >= 0 && ++decimals > 8))
            fail_msg("\"%s\" is no decimal", text);
        value = value * 10 + (*at - '0');
    }
    for (int i = decimals < 0 ? 0 : decimals; i < 8; i++)
        value *= 10;
    return *text == '-' ? -value : value;
}

static bool listed(const char *list, const char *value)
{
    size_t length = strlen(value);
    for (const char *at = list; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (strcspn(at, "|") == length && !strncmp(at, value, length))
            return true;
    return false;
}

/* "2026-06-30T16:00:00Z". */
static bool is_time(const char *text)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    if (strlen(text) != sizeof form - 1)
        return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != form[i])
            return false;
    return true;
}

static void check_cell(const struct rule *rule, size_t row, const char *cell)
{
    const char *breach = NULL;
    if (!*cell)
        breach = rule->nullable ? NULL : "may not be null";
    else if (rule->type == DECIMAL)
        (void)focus_decimal(cell);
    else if (rule->type == TIME && !is_time(cell))
        breach = "is no UTC time";
    else if (rule->allowed && !listed(rule->allowed, cell))
        breach = "is not an allowed value";
    if (breach)
        fail_msg("row %zu, %s: \"%s\" %s", row, rule->column, cell, breach);
}

static const char *of(const struct table *table, size_t row, const char *column)
{
    return table_cell(table, row, column);
}

static wide number(const struct table *table, size_t row, const char *column)
{
    return focus_decimal(table_cell(table, row, column));
}

static void both_or_neither(const struct table *table, size_t row, const char *a, const char *b)
{
    if (!*of(table, row, a) != !*of(table, row, b))
        fail_msg("row %zu: one of %s and %s is null alone", row, a, b);
}

/* Prices have two decimals and quantities six, so that nothing is lost here. */
static void product(const struct table *table, size_t row, const char *price, const char *cost)
{
    const wide one = 100000000;
    assert_true(number(table, row, price) >= 0);
    if (number(table, row, price) * number(table, row, "PricingQuantity") != number(table, row, cost) * one)
        fail_msg("row %zu: %s × PricingQuantity is not %s", row, price, cost);
}

static void check_row(const struct table *table, size_t row)
{
    bool correction = *of(table, row, "ChargeClass");
    bool usage = !strcmp(of(table, row, "ChargeCategory"), "Usage");
    assert_true(strcmp(of(table, row, "BillingPeriodStart"), of(table, row, "BillingPeriodEnd")) < 0);
    assert_true(strcmp(of(table, row, "ChargePeriodStart"), of(table, row, "ChargePeriodEnd")) < 0);
    /* A correction is of a billing period before; any other charge lies within its own. */
    if (correction)
        assert_true(strcmp(of(table, row, "ChargePeriodEnd"), of(table, row, "BillingPeriodStart")) <= 0);
    else
        assert_true(strcmp(of(table, row, "ChargePeriodStart"), of(table, row, "BillingPeriodStart")) >= 0 &&
                    strcmp(of(table, row, "ChargePeriodEnd"), of(table, row, "BillingPeriodEnd")) <= 0);
    if (usage && !correction) {
        static const char *const needed[] = {"PricingQuantity", "ListUnitPrice",   "ContractedUnitPrice",
                                             "SkuId",           "PricingCategory", "SkuPriceId",
                                             "ConsumedQuantity"};
        for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
            assert_true(*of(table, row, needed[i]) != '\0');
        product(table, row, "ListUnitPrice", "ListCost");
        product(table, row, "ContractedUnitPrice", "ContractedCost");
    }
    both_or_neither(table, row, "PricingQuantity", "PricingUnit");
    both_or_neither(table, row, "ConsumedQuantity", "ConsumedUnit");
    both_or_neither(table, row, "RegionId", "RegionName");
    both_or_neither(table, row, "SubAccountId", "SubAccountName");
    both_or_neither(table, row, "SubAccountId", "SubAccountType");
    char pair[200];
    size_t length = strlen(of(table, row, "ServiceCategory"));
    assert_true(length + strlen(of(table, row, "ServiceSubcategory")) + 3 < sizeof pair);
    memcpy(pair, of(table, row, "ServiceCategory"), length);
    memcpy(pair + length, ": ", 2);
    memcpy(pair + length + 2, of(table, row, "ServiceSubcategory"),
           strlen(of(table, row, "ServiceSubcategory")) + 1);
    if (!listed(SUBCATEGORIES, pair))
        fail_msg("row %zu: %s", row, pair);
}

void focus_check(const struct table *table)
{
    for (size_t column = 0; column < table->columns; column++) {
        const char *name = table->cells[column];
        bool known = !strncmp(name, "x_", 2);
        for (size_t i = 0; i < RULES; i++)
            known = known || !strcmp(rules[i].column, name);
        if (!known)
            fail_msg("%s is neither a column of FOCUS 1.2 nor begins with x_", name);
        for (size_t other = 0; other < column; other++)
            assert_string_not_equal(table->cells[other], name);
    }
    for (size_t i = 0; i < RULES; i++) {
        bool there = false;
        for (size_t column = 0; column < table->columns; column++)
            there = there || !strcmp(table->cells[column], rules[i].column);
        if (!there && rules[i].mandatory)
            fail_msg("the mandatory column %s is missing", rules[i].column);
        for (size_t row = 0; there && row < table->rows; row++)
            check_cell(&rules[i], row, table_cell(table, row, rules[i].column));
    }
    for (size_t row = 0; row < table->rows; row++)
        check_row(table, row);
}
