/* FOCUS 1.2 (FinOps Open Cost and Usage Specification) as CSV: all mandatory and recommended columns, the
 * conditional ones that apply to us, and x_ columns of our own. README.md says what each holds. A null is an
 * empty cell. See export.h. */
#include <string.h>

#include "metering/export.h"

/* What the specification wants to know of an item and the catalog does not say: its place among the
 * specification's services, and its billing unit in the specification's words. */
static const struct focus_item {
    const char *code, *category, *subcategory, *unit;
} focus_items[] = {
    {"1001", "Compute", "Virtual Machines", "Core"},
    {"1002", "Compute", "Virtual Machines", "GB"},
    {"1003", "Compute", "Virtual Machines", "Server"},
    {"1004", "Compute", "Virtual Machines", "Server"},
    {"1005", "Compute", "Virtual Machines", "Module"},
    {"1006", "Compute", "Virtual Machines", "Disk"},
    {"1007", "Compute", "Virtual Machines", "Disk"},
    {"1008", "Compute", "Virtual Machines", "Disk"},
    {"1009", "Compute", "Other (Compute)", "GB"},
    {"1010", "Compute", "Other (Compute)", "TFLOPS"},
    {"1011", "Storage", "Block Storage", "100 GB"},
    {"1012", "Storage", "Block Storage", "100 GB"},
    {"1013", "Storage", "Object Storage", "TB"},
    {"1014", "Storage", "Backup Storage", "100 GB"},
    {"1015", "Storage", "Backup Storage", "100 GB"},
    {"1016", "Networking", "Network Connectivity", "Mb"},
    {"1017", "Networking", "Network Connectivity", "Address"},
    {"1018", "Networking", "Application Networking", "Address"},
    {"1019", "Identity", "Identity and Access Management", "Account"},
    {"1020", "Networking", "Network Connectivity", "Set"},
    {"1021", "Networking", "Network Connectivity", "Mb"},
    {"1022", "Security", "Secret Management", "Domain"},
    {"1023", "Networking", "Network Security", "Set"},
};
_Static_assert(sizeof focus_items / sizeof *focus_items == ITEM_COUNT, "every priced item");

struct focus_line {
    const struct export_line *export;
    const struct bill_line *line;
    const struct item *item;
    const struct focus_item *focus;
    struct month month; /* of the bill */
    int64_t quantity, hours;
    bool is_free;
};

typedef void put(struct buf *piece, const struct focus_line *of);

static void put_money(struct buf *piece, int64_t fen)
{
    char text[MONEY_TEXT];
    buf_puts(piece, money_format(fen, text));
}

/* Both are whole seconds: months and prices begin so. */
static void put_time(struct buf *piece, moment at)
{
    char text[MOMENT_TEXT];
    moment_format(at, text);
    buf_append(piece, text, 19);
    buf_putc(piece, 'Z');
}

static void put_six(struct buf *piece, int64_t micro)
{
    char text[EXPORT_SIX];
    buf_puts(piece, export_six(micro, text));
}

/* Price × quantity to the last digit, eight decimals: the specification wants them to match. */
static void put_product(struct buf *piece, int64_t fen, int64_t micro)
{
    wide product = (wide)fen * micro;
    char text[WIDE_TEXT];
    const char *digits = wide_format(product < 0 ? -product : product, text);
    size_t length = strlen(digits), whole = length > 8 ? length - 8 : 0;
    if (product < 0)
        buf_putc(piece, '-');
    if (whole)
        buf_append(piece, digits, whole);
    else
        buf_putc(piece, '0');
    buf_putc(piece, '.');
    buf_append(piece, "00000000", 8 - (length - whole));
    buf_append(piece, digits + whole, length - whole);
}

#define PUT(name) static void put_##name(struct buf *piece, const struct focus_line *of)

PUT(billed)
{
    put_money(piece, of->line->amount_fen);
}
PUT(unit)
{
    export_text(piece, of->line->unit);
}
PUT(unit_type)
{
    buf_puts(piece, "Unit");
}
PUT(currency)
{
    buf_puts(piece, "CNY");
}
PUT(period_end)
{
    put_time(piece, month_end(of->month));
}
PUT(period_start)
{
    put_time(piece, month_start(of->month));
}
PUT(category)
{
    buf_puts(piece, "Usage");
}
PUT(class)
{
    if (of->line->adjustment)
        buf_puts(piece, "Correction");
}
PUT(description)
{
    static const char *const notes[TARIFF_COUNT] = {"", ", free short-term expansion", ", free allowance",
                                                    ", free while a migration has it twice"};
    if (!of->line->adjustment && of->line->tariff == TARIFF_STANDARD) {
        export_text(piece, of->item->name_en);
        return;
    }
    BUF_AUTO struct buf text = BUF_INIT(4096);
    buf_puts(&text, of->item->name_en);
    buf_puts(&text, notes[of->line->tariff]);
    if (of->line->corrects_number)
        buf_printf(&text, ", correction of %s line %lld", of->line->corrects_number,
                   (long long)of->line->corrects_line);
    else if (of->line->adjustment)
        buf_puts(&text, ", of a month that was closed without it");
    export_text(piece, buf_text(&text));
}
PUT(frequency)
{
    buf_puts(piece, "Usage-Based");
}
PUT(charge_end)
{
    put_time(piece, of->line->price_to);
}
PUT(charge_start)
{
    put_time(piece, of->line->price_from);
}
PUT(hours)
{
    put_six(piece, of->hours);
}
PUT(hours_unit)
{
    buf_puts(piece, of->focus->unit);
    buf_puts(piece, " Hour");
}
PUT(contracted)
{
    put_product(piece, of->is_free ? 0 : of->line->price_fen, of->quantity);
}
PUT(contracted_price)
{
    put_money(piece, of->is_free ? 0 : of->line->price_fen);
}
PUT(bill)
{
    buf_puts(piece, "YQ");
    buf_append(piece, of->export->month, 4);
    buf_puts(piece, of->export->month + 5);
    buf_putc(piece, '.');
    buf_puts(piece, of->line->provider);
    buf_putc(piece, '.');
    buf_puts(piece, of->line->unit);
}
PUT(provider)
{
    export_text(piece, of->export->provider_name);
}
PUT(list)
{
    put_product(piece, of->line->price_fen, of->quantity);
}
PUT(list_price)
{
    put_money(piece, of->line->price_fen);
}
PUT(pricing)
{
    buf_puts(piece, "Standard");
}
PUT(quantity)
{
    put_six(piece, of->quantity);
}
PUT(quantity_unit)
{
    buf_puts(piece, of->focus->unit);
    buf_puts(piece, " Month");
}
PUT(cloud)
{
    export_text(piece, of->line->cloud);
}
PUT(service_category)
{
    buf_puts(piece, of->focus->category);
}
PUT(service)
{
    export_text(piece, of->item->name_en);
}
PUT(service_subcategory)
{
    buf_puts(piece, of->focus->subcategory);
}
PUT(item)
{
    buf_puts(piece, of->line->item);
}
PUT(price_id)
{
    buf_puts(piece, of->line->provider);
    buf_putc(piece, '.');
    buf_puts(piece, of->line->item);
}
PUT(system)
{
    export_text(piece, of->line->system);
}
PUT(system_type)
{
    buf_puts(piece, "System");
}
PUT(zone)
{
    export_text(piece, of->line->zone);
}
PUT(architecture)
{
    export_text(piece, of->line->architecture);
}
PUT(cap)
{
    put_money(piece, of->item->cap_fen);
}
PUT(corrects)
{
    if (of->line->corrects_number)
        export_text(piece, of->line->corrects_number);
}
PUT(corrects_line)
{
    if (of->line->corrects_number)
        buf_printf(piece, "%lld", (long long)of->line->corrects_line);
}
PUT(industry)
{
    export_text(piece, of->line->industry);
}
PUT(item_name)
{
    export_text(piece, of->item->name);
}
PUT(number)
{
    char text[WIDE_TEXT];
    buf_puts(piece, wide_format(of->export->number, text));
}
PUT(list_rounded)
{
    put_money(piece, of->line->list_fen);
}
PUT(provider_id)
{
    export_text(piece, of->line->provider);
}
PUT(tariff)
{
    buf_puts(piece, tariff_name(of->line->tariff));
}
PUT(usage)
{
    char text[WIDE_TEXT];
    buf_puts(piece, wide_format(of->line->usage, text));
}

static const struct {
    const char *name;
    put *put;
} columns[] = {
    {"AvailabilityZone", put_zone},
    {"BilledCost", put_billed},
    {"BillingAccountId", put_unit},
    {"BillingAccountName", put_unit},
    {"BillingAccountType", put_unit_type},
    {"BillingCurrency", put_currency},
    {"BillingPeriodEnd", put_period_end},
    {"BillingPeriodStart", put_period_start},
    {"ChargeCategory", put_category},
    {"ChargeClass", put_class},
    {"ChargeDescription", put_description},
    {"ChargeFrequency", put_frequency},
    {"ChargePeriodEnd", put_charge_end},
    {"ChargePeriodStart", put_charge_start},
    {"ConsumedQuantity", put_hours},
    {"ConsumedUnit", put_hours_unit},
    {"ContractedCost", put_contracted},
    {"ContractedUnitPrice", put_contracted_price},
    {"EffectiveCost", put_billed},
    {"InvoiceId", put_bill},
    {"InvoiceIssuerName", put_provider},
    {"ListCost", put_list},
    {"ListUnitPrice", put_list_price},
    {"PricingCategory", put_pricing},
    {"PricingQuantity", put_quantity},
    {"PricingUnit", put_quantity_unit},
    {"ProviderName", put_provider},
    {"PublisherName", put_provider},
    {"RegionId", put_cloud},
    {"RegionName", put_cloud},
    {"ServiceCategory", put_service_category},
    {"ServiceName", put_service},
    {"ServiceSubcategory", put_service_subcategory},
    {"SkuId", put_item},
    {"SkuMeter", put_service},
    {"SkuPriceId", put_price_id},
    {"SubAccountId", put_system},
    {"SubAccountName", put_system},
    {"SubAccountType", put_system_type},
    {"x_Architecture", put_architecture},
    {"x_CapUnitPrice", put_cap},
    {"x_CorrectsInvoiceId", put_corrects},
    {"x_CorrectsLine", put_corrects_line},
    {"x_Industry", put_industry},
    {"x_ItemName", put_item_name},
    {"x_Line", put_number},
    {"x_ListCostRounded", put_list_rounded},
    {"x_ProviderId", put_provider_id},
    {"x_System", put_system},
    {"x_Tariff", put_tariff},
    {"x_UsageExact", put_usage},
    {"x_Zone", put_zone},
};
#define COLUMNS (sizeof columns / sizeof *columns)

static void begin(struct buf *piece, bool bom)
{
    if (bom)
        buf_puts(piece, "\xef\xbb\xbf");
    for (size_t i = 0; i < COLUMNS; i++)
        buf_printf(piece, "%s%s", i ? "," : "", columns[i].name);
    buf_puts(piece, "\r\n");
}

static struct error *line(struct buf *piece, const struct export_line *export)
{
    const struct bill_line *line = &export->line;
    struct focus_line of = {.export = export,
                            .line = line,
                            .item = item_find(line->item),
                            .is_free = line->tariff != TARIFF_STANDARD};
    struct month charged;
    of.focus = &focus_items[item_index(of.item)];
    TRY(month_parse(export->month, &of.month));
    TRY(month_parse(line->charge_month, &charged));
    TRY(export_micro(line->usage, month_end(charged) - month_start(charged), &of.quantity));
    TRY(export_micro(line->usage, MOMENT_HOUR, &of.hours));
    for (size_t i = 0; i < COLUMNS; i++) {
        if (i)
            buf_putc(piece, ',');
        columns[i].put(piece, &of);
    }
    buf_puts(piece, "\r\n");
    return NULL;
}

const struct export_format export_focus = {"focus", "focus.csv", "text/csv; charset=utf-8", begin, line};
