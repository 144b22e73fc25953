/* See line_json.h. */
#include "metering/line_json.h"

#include "broker/base/json.h"
#include "metering/statement.h"

struct error *line_json_put(struct arena *arena, json_t *json, const struct bill_line *line, int64_t number)
{
    struct month month;
    char usage[WIDE_TEXT];
    TRY(month_parse(line->charge_month, &month));
    json_put_int(json, "line", number);
    json_put_text(json, "type", line->adjustment ? "adjustment" : "charge");
    json_put_text(json, "charge_month", line->charge_month);
    json_put_text(json, "cloud", line->cloud);
    json_put_text(json, "system", line->system);
    json_put_text(json, "item", line->item);
    json_put_text(json, "item_name", item_find(line->item)->name);
    json_put_text(json, "tariff", tariff_name(line->tariff));
    json_put_text(json, "industry", *line->industry ? line->industry : NULL);
    json_put_text(json, "zone", *line->zone ? line->zone : NULL);
    json_put_text(json, "architecture", *line->architecture ? line->architecture : NULL);
    json_put_yuan(json, "price_yuan", line->price_fen);
    json_put_moment(json, "price_from", line->price_from);
    json_put_moment(json, "price_to", line->price_to);
    json_put_text(json, "average_quantity", statement_average(arena, line->usage, month));
    json_put_text(json, "usage_unit_hours", statement_unit_hours(arena, line->usage));
    json_put_text(json, "usage_exact", wide_format(line->usage, usage)); /* micro-units × microseconds */
    json_put_yuan(json, "list_yuan", line->list_fen);
    json_put_yuan(json, "amount_yuan", line->amount_fen);
    if (line->corrects_number) {
        json_t *corrects = json_object();
        json_put_text(corrects, "bill", line->corrects_number);
        json_put_int(corrects, "line", line->corrects_line);
        json_put(json, "corrects", corrects);
    }
    return NULL;
}
