/* The rules of fulfilments; see fulfilment.h. */
#include "broker/control/fulfilment.h"

#include "catalog/kind.h"

const char *fulfilment_state_name(enum fulfilment_state state)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        FULFILMENT_STATES(X)
#undef X
    };
    return names[state];
}

bool fulfilment_needed(const struct resource *resource)
{
    const struct kind *kind = kind_find(resource->kind);
    return kind && kind_external(kind);
}

/* 1970-01-01 was a Thursday. */
static bool is_working_day(moment day_start)
{
    int64_t days = (day_start + MOMENT_SHANGHAI_OFFSET) / MOMENT_DAY; /* moments are after 1970 */
    int64_t weekday = (days + 3) % 7;                                 /* 0: Monday */
    return weekday < 5;
}

moment fulfilment_due(moment asked)
{
    moment day = moment_day_start(asked);
    for (int left = FULFILMENT_WORKING_DAYS; left > 0;) {
        day += MOMENT_DAY; /* Asia/Shanghai has no daylight saving */
        left -= is_working_day(day);
    }
    return day + MOMENT_DAY;
}

struct error *fulfilment_refusal(const struct fulfilment_wish *wish, const struct fulfilment *fulfilment)
{
    if (fulfilment->state != FULFILMENT_REFUSED)
        return NULL;
    return error_new(ERR_DENIED, "the provider refused to %s %s \"%s\": %s", wish->verb, wish->resource->kind,
                     wish->resource->name, fulfilment->reason);
}
