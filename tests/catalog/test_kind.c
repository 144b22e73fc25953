/* Kinds: what a spec may say, what a resize may change, and the quantities that follow. */
#include "catalog/kind.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/json.h"

#define INSTANCE \
    "{\"vcpu\":4,\"memory_gb\":8,\"architecture\":\"x86\",\"image\":\"debian-12\",\"zone\":\"internet\"}"

static json_t *object(struct arena *arena, const char *text)
{
    json_t *json;
    struct error *error = json_parse_in(arena, text, strlen(text), &json);
    assert_null(error);
    return json;
}

static json_t *full(struct arena *arena, const char *kind, const char *text)
{
    json_t *json = NULL;
    struct error *error = kind_read(kind_find(kind), arena, object(arena, text), &json);
    if (error)
        fail_msg("%s", error_message(error));
    return json;
}

/* The error's pointers, comma-joined in the order found; frees it. */
static const char *pointers(struct arena *arena, struct error *error)
{
    size_t count;
    const char *joined = "";
    assert_non_null(error);
    assert_int_equal(error_code(error), ERR_INVALID);
    const struct error_detail *details = error_details(error, &count);
    for (size_t i = 0; i < count; i++)
        joined = arena_printf(arena, "%s%s%s", joined, i ? "," : "", details[i].pointer);
    error_free(error);
    return joined;
}

static void defaults_are_filled_in(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    assert_string_equal(
        json_canonical(arena, full(arena, "instance", INSTANCE)),
        "{\"architecture\":\"x86\",\"image\":\"debian-12\",\"memory_gb\":8,\"system_disk_gb\":40,"
        "\"system_disk_performance\":\"standard\",\"vcpu\":4,\"zone\":\"internet\"}");
    assert_string_equal(json_canonical(arena, full(arena, "address", "{\"zone\":\"internet\"}")),
                        "{\"family\":4,\"zone\":\"internet\"}");
    /* Reading what was read changes nothing. */
    json_t *once = full(arena, "instance", INSTANCE), *twice;
    assert_null(kind_read(kind_find("instance"), arena, once, &twice));
    assert_true(json_equal(once, twice));
}

static void every_violation_is_named(void **state)
{
    static const struct {
        const char *kind, *spec, *pointers;
    } cases[] = {
        {"instance", "{}", "/vcpu,/memory_gb,/architecture,/image,/zone"},
        {"instance",
         "{\"vcpu\":17,\"memory_gb\":0,\"architecture\":\"MIPS\",\"image\":\"\",\"zone\":7,\"extra/~\":1}",
         "/extra~1~0,/vcpu,/memory_gb,/architecture,/image,/zone"},
        {"instance",
         "{\"vcpu\":1.5,\"memory_gb\":\"8\",\"architecture\":\"ARM\",\"image\":\"a\",\"zone\":\"b\",\"system_"
         "disk_gb\":9,"
         "\"system_disk_performance\":null,\"user_data\":5}",
         "/vcpu,/memory_gb,/system_disk_gb,/system_disk_performance,/user_data"},
        {"volume", "{\"size_gb\":65537,\"performance\":\"normal\",\"attach_to\":\"a_b\"}",
         "/size_gb,/performance,/attach_to"},
        {"address", "{\"zone\":\"internet\",\"family\":5}", "/family"},
        {"bandwidth", "{\"mbps\":100001}", "/mbps"},
        {"bandwidth", "[]", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        json_t *json = NULL,
               *spec = json_hold(arena, json_loads(cases[i].spec, JSON_REJECT_DUPLICATES, NULL));
        struct error *error = kind_read(kind_find(cases[i].kind), arena, spec, &json);
        assert_string_equal(pointers(arena, error), cases[i].pointers);
        assert_null(json);
    }
    assert_null(kind_find("server-of-dreams"));
}

static void limits_are_inclusive(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    full(arena, "instance",
         "{\"vcpu\":16,\"memory_gb\":64,\"architecture\":\"POWER\",\"image\":\"a\",\"zone\":\"b\",\"system_"
         "disk_gb\":2048}");
    full(arena, "volume", "{\"size_gb\":65536,\"performance\":\"high\"}");
    full(arena, "address", "{\"zone\":\"internet\",\"family\":6}");
    full(arena, "bandwidth", "{\"mbps\":100000}");
    char *data = malloc(KIND_USER_DATA_MAX + 2);
    memset(data, 'x', KIND_USER_DATA_MAX + 1);
    data[KIND_USER_DATA_MAX + 1] = '\0';
    json_t *spec = object(arena, INSTANCE), *read;
    json_put(spec, "user_data", json_stringn(data, KIND_USER_DATA_MAX));
    assert_null(kind_read(kind_find("instance"), arena, spec, &read));
    json_put(spec, "user_data", json_string(data));
    assert_string_equal(pointers(arena, kind_read(kind_find("instance"), arena, spec, &read)), "/user_data");
    free(data);
}

static void a_resize_changes_what_it_may(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct kind *instance = kind_find("instance"), *volume = kind_find("volume");
    json_t *old = full(arena, "instance", INSTANCE), *next = NULL;
    assert_null(kind_change(instance, arena, old, object(arena, "{\"vcpu\":2,\"memory_gb\":64}"), &next));
    assert_int_equal(json_integer_value(json_object_get(next, "vcpu")), 2);
    assert_int_equal(json_integer_value(json_object_get(next, "memory_gb")), 64);
    assert_string_equal(json_string_value(json_object_get(next, "image")), "debian-12");
    assert_int_equal(json_integer_value(json_object_get(old, "vcpu")), 4);
    assert_string_equal(
        pointers(arena,
                 kind_change(instance, arena, old,
                             object(arena, "{\"image\":\"b\",\"zone\":\"c\",\"x\":1,\"vcpu\":99}"), &next)),
        "/image,/zone,/x,/vcpu");
    assert_string_equal(pointers(arena, kind_change(instance, arena, old, object(arena, "{}"), &next)), "");

    json_t *disk = full(arena, "volume", "{\"size_gb\":100,\"performance\":\"high\"}");
    assert_null(kind_change(volume, arena, disk, object(arena, "{\"size_gb\":101}"), &next));
    assert_null(kind_change(volume, arena, disk, object(arena, "{\"size_gb\":100}"), &next));
    assert_string_equal(
        pointers(arena, kind_change(volume, arena, disk, object(arena, "{\"size_gb\":99}"), &next)),
        "/size_gb");
}

/* "1001=4000000,…" */
static const char *used(struct arena *arena, const char *kind, const char *spec,
                        const struct agreement *agreement, bool stopped)
{
    struct item_quantity list[KIND_ITEMS_MAX];
    size_t count = 0;
    const char *text = "";
    assert_null(kind_usage(kind_find(kind), full(arena, kind, spec), agreement, stopped, list, &count));
    for (size_t i = 0; i < count; i++)
        text = arena_printf(arena, "%s%s%s=%lld", text, i ? "," : "", list[i].item, (long long)list[i].micro);
    return text;
}

static void quantities_follow_the_rules(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const struct agreement usual = agreement_default;
    struct agreement other = agreement_default;
    assert_string_equal(used(arena, "instance", INSTANCE, &usual, false),
                        "1001=4000000,1002=8000000,1011=400000");
    assert_string_equal(used(arena, "instance", INSTANCE, &usual, true),
                        "1001=4000000,1002=8000000,1011=400000");
    other.stopped_instance = STOPPED_STORAGE_ONLY;
    assert_string_equal(used(arena, "instance", INSTANCE, &other, true), "1011=400000");
    assert_string_equal(used(arena, "instance", INSTANCE, &other, false),
                        "1001=4000000,1002=8000000,1011=400000");
    other.system_disk = SYSTEM_DISK_INCLUDED;
    assert_string_equal(used(arena, "instance", INSTANCE, &other, true), "");
    assert_string_equal(used(arena, "volume", "{\"size_gb\":1,\"performance\":\"standard\"}", &usual, false),
                        "1011=10000");
    assert_string_equal(used(arena, "volume", "{\"size_gb\":500,\"performance\":\"high\"}", &usual, false),
                        "1012=5000000");
    other = agreement_default;
    other.small_quantity = SMALL_WHOLE;
    assert_string_equal(used(arena, "volume", "{\"size_gb\":1,\"performance\":\"standard\"}", &other, false),
                        "1011=1000000");
    assert_string_equal(
        used(arena, "volume", "{\"size_gb\":100,\"performance\":\"standard\"}", &other, false),
        "1011=1000000");
    assert_string_equal(
        used(arena, "volume", "{\"size_gb\":101,\"performance\":\"standard\"}", &other, false),
        "1011=2000000");
    assert_string_equal(used(arena, "address", "{\"zone\":\"internet\",\"family\":6}", &usual, true),
                        "1017=1000000");
    assert_string_equal(used(arena, "bandwidth", "{\"mbps\":10}", &usual, false), "1016=10000000");
}

static void a_spec_that_was_not_read_is_refused(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct item_quantity list[KIND_ITEMS_MAX];
    size_t count;
    struct error *error = kind_quantities(kind_find("volume"), object(arena, "{}"), list, &count);
    assert_non_null(error);
    assert_int_equal(error_code(error), ERR_INTERNAL);
    error_free(error);
}

static void agreements_are_read_strictly(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct agreement agreement = agreement_default;
    assert_null(
        agreement_read(object(arena, "{\"proration\":\"day\",\"small_quantity\":\"whole\"}"), &agreement));
    assert_int_equal(agreement.proration, PRORATION_DAY);
    assert_int_equal(agreement.small_quantity, SMALL_WHOLE);
    assert_int_equal(agreement.system_disk, SYSTEM_DISK_CHARGED);
    assert_string_equal(
        pointers(arena, agreement_read(object(arena, "{\"proration\":\"week\",\"x\":1,\"system_disk\":3}"),
                                       &agreement)),
        "/proration,/x,/system_disk");
    assert_int_equal(agreement.proration, PRORATION_DAY);
    json_t *json = json_hold(arena, agreement_json(&agreement));
    assert_string_equal(
        json_canonical(arena, json),
        "{\"proration\":\"day\",\"small_quantity\":\"whole\",\"stopped_instance\":\"charged\","
        "\"system_disk\":\"charged\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_filled_in),       cmocka_unit_test(every_violation_is_named),
        cmocka_unit_test(limits_are_inclusive),         cmocka_unit_test(a_resize_changes_what_it_may),
        cmocka_unit_test(quantities_follow_the_rules),  cmocka_unit_test(a_spec_that_was_not_read_is_refused),
        cmocka_unit_test(agreements_are_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
