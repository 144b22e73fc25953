/* Times, months, money, quantities and wide integers: what is taken has one text that means the same. */
#include <string.h>

#include "broker/base/moment.h"
#include "broker/base/money.h"
#include "tests/fuzz/fuzz.h"

static bool taken(struct error *error)
{
    bool good = !error;
    error_free(error);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xmalloc(size + 1), out[64];
    int64_t value, again;
    wide big, bigger;
    struct month month, same;
    memcpy(text, data, size);
    text[size] = '\0';
    if (taken(moment_parse(text, &value))) {
        PROMISE(value >= MOMENT_MIN && value <= MOMENT_MAX);
        moment_format(value, out);
        PROMISE(taken(moment_parse(out, &again)) && again == value);
        if (value < MOMENT_MAX - 40 * MOMENT_DAY) {
            month = month_of(value);
            PROMISE(month.year < 1992 || (month_start(month) <= value && value < month_end(month)));
        }
    }
    if (taken(month_parse(text, &month))) {
        month_format(month, out);
        PROMISE(!strcmp(out, text) && taken(month_parse(out, &same)) && !month_compare(month, same));
    }
    if (taken(money_parse(text, &value)))
        PROMISE(value >= 0 && value <= MONEY_MAX && taken(money_parse(money_format(value, out), &again)) &&
                again == value);
    if (taken(quantity_parse(text, &value)))
        PROMISE(value >= 0 && value <= QUANTITY_MAX &&
                taken(quantity_parse(quantity_format(value, out), &again)) && again == value);
    if (taken(wide_parse(text, &big)))
        PROMISE(taken(wide_parse(wide_format(big, out), &bigger)) && bigger == big);
    free(text);
    return 0;
}
