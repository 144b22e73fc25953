/* What a difference means: what would be right, what must change for it, what it costs. Pure; see drift.h. */
#include "broker/control/drift.h"

#include <string.h>

#include "broker/base/json.h"
#include "broker/base/money.h"

#define MB_PER_GB 1024

static bool is(const struct drift *drift, const char *kind)
{
    return !strcmp(drift->kind, kind);
}

static int64_t int_of(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

json_t *drift_expected(struct arena *arena, const char *kind, const struct resource *held)
{
    json_t *json = json_hold(arena, json_object());
    bool all = !strcmp(kind, DRIFT_UNBILLED) || !strcmp(kind, DRIFT_MISBILLED);
    if (!strcmp(kind, DRIFT_MISSING)) {
        json_put_text(json, "name", held->name);
        json_put_text(json, "state", "active");
        return json;
    }
    if (strcmp(held->kind, "instance")) {
        json_put_int(json, "size_gb", int_of(held->spec, "size_gb"));
        return json;
    }
    if (all || !strcmp(kind, DRIFT_POWER))
        json_put_text(json, "power", held->power);
    if (all || !strcmp(kind, DRIFT_SIZE)) {
        json_put_int(json, "vcpu", int_of(held->spec, "vcpu"));
        json_put_int(json, "memory_mb", int_of(held->spec, "memory_gb") * MB_PER_GB);
    }
    return json;
}

json_t *drift_spec(struct arena *arena, const struct resource *held, const json_t *seen, const char **ret_why)
{
    json_t *spec = json_hold(arena, json_deep_copy(held->spec)), *full;
    int64_t memory_mb = int_of(seen, "memory_mb");
    if (held->expansion_base) {
        *ret_why = "a free expansion is under way, and what part would be free cannot be told: resize it";
        return NULL;
    }
    if (memory_mb % MB_PER_GB) {
        *ret_why = arena_printf(arena, "%lld MB of memory are no whole GB", (long long)memory_mb);
        return NULL;
    }
    if (!strcmp(held->kind, "instance")) {
        json_put_int(spec, "vcpu", int_of(seen, "vcpu"));
        json_put_int(spec, "memory_gb", memory_mb / MB_PER_GB);
    } else {
        json_put_int(spec, "size_gb", int_of(seen, "size_gb"));
    }
    struct error *error = kind_read(kind_find(held->kind), arena, spec, &full);
    if (!error)
        return full;
    *ret_why = arena_printf(arena, "no such size can be ordered: %s", error_message(error));
    error_free(error);
    return NULL;
}

static void add_raw(struct drift *drift, const char *item, int64_t micro)
{
    if (micro <= 0 || micro > QUANTITY_MAX)
        return;
    struct item_quantity *right = &drift->right[drift->right_count++];
    *right = (struct item_quantity){.micro = micro, .tariff = TARIFF_STANDARD};
    memcpy(right->item, item, ITEM_CODE);
}

/* CPUs and memory of a machine, whatever they are, for nothing else is known of it; to the micro-unit. */
static void judge_raw(struct drift *drift, const json_t *seen)
{
    add_raw(drift, "1001", int_of(seen, "vcpu") * QUANTITY_ONE);
    add_raw(drift, "1002",
            (int64_t)wide_divide_half_up((wide)int_of(seen, "memory_mb") * QUANTITY_ONE, MB_PER_GB));
}

static struct error *judge_size(struct arena *arena, struct drift *drift, struct resource *as_seen,
                                const struct agreement *agreement)
{
    json_t *spec = drift_spec(arena, as_seen, drift->seen, &drift->none);
    if (!spec)
        return NULL;
    drift->becomes = json_hold(arena, json_object());
    json_put(drift->becomes, "spec", json_incref(spec));
    as_seen->spec = spec;
    return resource_quantities(as_seen, agreement, drift->right, &drift->right_count);
}

static struct error *judge_held(struct arena *arena, struct drift *drift, const struct resource *held,
                                const struct agreement *agreement)
{
    struct resource as_seen = *held;
    if (is(drift, DRIFT_SIZE))
        return judge_size(arena, drift, &as_seen, agreement);
    if (is(drift, DRIFT_MISSING) || is(drift, DRIFT_POWER))
        drift->becomes = json_hold(arena, json_object());
    if (is(drift, DRIFT_MISSING)) {
        json_put_text(drift->becomes, "state", "deleted");
        return NULL;
    }
    if (is(drift, DRIFT_POWER)) {
        as_seen.power = json_string_value(json_object_get(drift->seen, "power"));
        json_put_text(drift->becomes, "power", as_seen.power);
    }
    return resource_quantities(&as_seen, agreement, drift->right, &drift->right_count);
}

static bool same_item(const struct item_quantity *a, const struct item_quantity *b)
{
    return !strcmp(a->item, b->item) && a->tariff == b->tariff;
}

static void find_changes(struct drift *drift)
{
    size_t billed = drift->billed ? drift->billed->count : 0;
    for (size_t i = 0; i < billed; i++) {
        const struct item_quantity *is = &drift->billed->items[i].quantity;
        size_t k = 0;
        while (k < drift->right_count && !(same_item(is, &drift->right[k]) && drift->right[k].micro))
            k++;
        if (k == drift->right_count)
            drift->changes[drift->change_count++] = (struct drift_change){true, *is};
    }
    for (size_t k = 0; k < drift->right_count; k++) {
        const struct item_quantity *right = &drift->right[k];
        size_t i = 0;
        while (i < billed && !(same_item(&drift->billed->items[i].quantity, right) &&
                               drift->billed->items[i].quantity.micro == right->micro))
            i++;
        if (i == billed && right->micro)
            drift->changes[drift->change_count++] = (struct drift_change){false, *right};
    }
}

static json_t *item_json(const struct item_quantity *quantity)
{
    json_t *json = json_object();
    json_put_text(json, "item", quantity->item);
    json_put_text(json, "tariff", tariff_name(quantity->tariff));
    json_put_quantity(json, "quantity", quantity->micro);
    return json;
}

static json_t *change_json(const struct drift *drift, const struct drift_change *change)
{
    json_t *json = item_json(&change->quantity);
    json_put_text(json, "action", change->ends ? "end" : "set");
    json_put_text(json, "resource", drift->resource);
    if (change->ends)
        (void)json_object_del(json, "quantity"); /* it was just put */
    return json;
}

/* What a machine that is not ours is at the moment is no part of the difference, only what it is. */
static const char *fingerprint_of(struct arena *arena, const struct drift *drift)
{
    json_t *json = json_hold(arena, json_object()), *billed = json_array(), *changes = json_array();
    json_put(json, "billed", billed);
    json_put(json, "changes", changes);
    if (drift->expected)
        json_put(json, "expected", json_incref(drift->expected));
    json_t *seen = drift->seen ? json_deep_copy(drift->seen) : json_null();
    if (is(drift, DRIFT_ORPHAN) || is(drift, DRIFT_FOREIGN))
        (void)json_object_del(seen, "state"); /* there or not */
    json_put(json, "seen", seen);
    for (size_t i = 0; drift->billed && i < drift->billed->count; i++) {
        json_t *item = item_json(&drift->billed->items[i].quantity);
        json_put_moment(item, "since", drift->billed->items[i].since);
        json_push(billed, item);
    }
    for (size_t i = 0; i < drift->change_count; i++)
        json_push(changes, change_json(drift, &drift->changes[i]));
    return json_canonical(arena, json);
}

struct error *drift_judge(struct arena *arena, struct drift *drift, const struct resource *held,
                          const struct agreement *agreement)
{
    if (held)
        TRY(judge_held(arena, drift, held, agreement));
    if (is(drift, DRIFT_ORPHAN) || is(drift, DRIFT_FOREIGN)) {
        drift->none = "nothing here says whose it is: it is settled at the provider";
        judge_raw(drift, drift->seen);
    } else if (is(drift, DRIFT_BILLED_GONE) && drift->seen) {
        drift->none = "it is still at the provider, though it has ended here: it is settled there first";
    }
    if (!drift->none)
        find_changes(drift);
    drift->fingerprint = fingerprint_of(arena, drift);
    return NULL;
}

/* Of a whole month, rounded half up to the fen, as a line of a bill; free tariffs are not owed. False: no
 * price. */
static bool month_fen(const struct item_quantity *quantity, const int64_t fen[ITEM_COUNT], int64_t *ret_fen)
{
    int64_t price = fen[item_index(item_find(quantity->item))];
    *ret_fen = quantity->tariff == TARIFF_STANDARD
                   ? (int64_t)wide_divide_half_up((wide)price * quantity->micro, QUANTITY_ONE)
                   : 0;
    return price > 0;
}

json_t *drift_billed_json(struct arena *arena, const struct drift *drift, const int64_t fen[ITEM_COUNT])
{
    if (!drift->billed)
        return NULL;
    json_t *json = json_hold(arena, json_object()), *items = json_array();
    json_put(json, "items", items);
    for (size_t i = 0; i < drift->billed->count; i++) {
        const struct billed_item *billed = &drift->billed->items[i];
        json_t *item = item_json(&billed->quantity);
        int64_t month;
        json_put_moment(item, "since", billed->since);
        if (month_fen(&billed->quantity, fen, &month)) {
            json_put_yuan(item, "price_yuan", fen[item_index(item_find(billed->quantity.item))]);
            json_put_yuan(item, "monthly_yuan", month);
        }
        json_push(items, item);
    }
    return json;
}

/* ≤ 46 items of at most 1e18 / 1e6 × 1e9 fen fit; an item without a price: nothing can be told. */
json_t *drift_stake_json(struct arena *arena, const struct drift *drift, const int64_t fen[ITEM_COUNT])
{
    int64_t billed = 0, right = 0, month;
    if (drift->none && !drift->right_count && !is(drift, DRIFT_BILLED_GONE))
        return NULL;
    for (size_t i = 0; drift->billed && i < drift->billed->count; i++, billed += month)
        if (!month_fen(&drift->billed->items[i].quantity, fen, &month))
            return NULL;
    for (size_t i = 0; i < drift->right_count; i++, right += month)
        if (!month_fen(&drift->right[i], fen, &month))
            return NULL;
    json_t *json = json_hold(arena, json_object());
    json_put_yuan(json, "billed_yuan", billed);
    json_put_yuan(json, "right_yuan", right);
    json_put_yuan(json, "difference_yuan", right - billed);
    return json;
}

json_t *drift_correction_json(struct arena *arena, const struct drift *drift, moment at)
{
    if (drift->none)
        return NULL;
    json_t *json = json_hold(arena, json_object()), *changes = json_array();
    json_put_moment(json, "at", at);
    json_put(json, "changes", changes);
    for (size_t i = 0; i < drift->change_count; i++) {
        json_t *change = change_json(drift, &drift->changes[i]);
        json_put_moment(change, "at", at);
        json_push(changes, change);
    }
    if (drift->becomes)
        json_put(json, "becomes", json_incref(drift->becomes));
    return json;
}
