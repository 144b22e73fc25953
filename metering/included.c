/* Free base security services on bills and statements; see included.h. */
#include "metering/included.h"

#include "broker/base/json.h"
#include "catalog/item.h"

void included_put(json_t *body)
{
    json_t *included = json_object(), *services = json_array();
    for (size_t i = 0; i < security_item_count(); i++) {
        const struct security_item *item = security_item_at(i);
        json_t *service = json_object();
        json_put_text(service, "code", item->code);
        json_put_text(service, "name", item->name);
        json_put_text(service, "name_en", item->name_en);
        json_push(services, service);
    }
    json_put_yuan(included, "amount_yuan", 0);
    json_put_text(included, "clause", "3.2.2");
    json_put(included, "services", services);
    json_put(body, "included_services", included);
}
