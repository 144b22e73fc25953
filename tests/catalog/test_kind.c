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

/* Open at the end, for more members. */
#define SERVER \
    "{\"configuration\":1,\"architecture\":\"C86\",\"zone\":\"gov\",\"reason\":\"needs its own HBA\""
#define BACKUP(place, space, covers)                                                           \
    "{\"place\":\"" place "\",\"protected_gb\":250,\"space_gb\":1500,\"space_class\":\"" space \
    "\",\"covers\":\"" covers "\""

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
        /* Physical servers (3.1.3, 3.2.1.2). */
        {"server", "{}", "/configuration,/architecture,/zone,/reason"},
        {"server",
         "{\"configuration\":3,\"architecture\":\"POWER\",\"zone\":\"a\",\"reason\":\"\",\"memory_32gb\":65,"
         "\"ssd_480gb\":-1}",
         "/configuration,/architecture,/reason,/memory_32gb,/ssd_480gb"},
        {"server", SERVER ",\"ssd_512gb\":1,\"sas_900gb\":0}", "/ssd_512gb,/sas_900gb"},
        /* GPU memory and compute only together, and only with a host (3.1.3, 3.2.1.3). */
        {"gpu", "{\"memory_gb\":16,\"attach_to\":\"web\"}", "/tflops"},
        {"gpu", "{\"tflops\":16,\"attach_to\":\"web\"}", "/memory_gb"},
        {"gpu", "{\"memory_gb\":16,\"tflops\":20}", "/attach_to"},
        {"gpu", "{\"memory_gb\":0.5,\"tflops\":0,\"attach_to\":\"web\"}", "/memory_gb,/tflops"},
        {"object-store", "{\"size_gb\":0}", "/size_gb"},
        {"backup-policy", "{\"place\":\"far\"}", "/place,/protected_gb,/space_gb,/space_class"},
        {"backup-policy", BACKUP("local", "standard", "host") "}", "/attach_to"},
        {"backup-policy", BACKUP("remote", "standard", "host") ",\"attach_to\":\"web\"}", "/place"},
        {"load-balancer", "{\"zone\":\"a\",\"backends\":3}", "/backends"},
        {"load-balancer", "{\"zone\":\"a\",\"backends\":[]}", "/backends"},
        {"load-balancer",
         "{\"zone\":\"a\",\"backends\":[\"10.0.0.1\",\"10.0.0.1\",\"10.0.0\",7,\"127.0.0.1\",\"224.0.0.1\","
         "\"fd00::1\",\"fd00:0::1\",\"::ffff:10.0.0.1\",\"::1\"]}",
         "/backends/1,/backends/2,/backends/3,/backends/4,/backends/5,/backends/7,/backends/8,/backends/9"},
        {"remote-account", "{\"accounts\":0}", "/accounts"},
        {"ssl-vpn", "{\"concurrent_users\":0}", "/concurrent_users"},
        {"ipsec-vpn", "{}", "/mbps"},
        {"certificate",
         "{\"domains\":[\"a.example.cn\",\"A.example.cn\",\"a.example.cn\",\"*.example.cn\",\"localhost\","
         "\"-a.cn\",\"a-.cn\",\"a..cn\",\"a.cn.\",\"10.0.0.1\",\"\",\"xn--fiqs8s.cn\"]}",
         "/domains/1,/domains/2,/domains/3,/domains/4,/domains/5,/domains/6,/domains/7,/domains/8,/domains/9,"
         "/domains/10"},
        {"waf", "{\"mbps\":100001}", "/mbps"},
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

/* Each of the other kinds, with the item and the clause that says how it counts (3.1.3). */
static void every_kind_counts_by_its_clause(void **state)
{
    static const struct {
        const char *kind, *spec, *used, *whole; /* whole: under small_quantity "whole"; NULL: the same */
    } cases[] = {
        {"server", SERVER "}", "1003=1000000", NULL},
        {"server",
         "{\"configuration\":2,\"architecture\":\"x86\",\"zone\":\"gov\",\"reason\":\"r\",\"memory_32gb\":4,"
         "\"ssd_480gb\":2,\"sas_600gb\":0,\"sata_4tb\":1}",
         "1004=1000000,1005=4000000,1006=2000000,1008=1000000", NULL},
        {"server", SERVER ",\"sas_600gb\":64}", "1003=1000000,1007=64000000", NULL},
        {"gpu", "{\"memory_gb\":24,\"tflops\":125,\"attach_to\":\"web\"}", "1009=24000000,1010=125000000",
         NULL},
        {"object-store", "{\"size_gb\":1}", "1013=1000", "1013=1000000"},
        {"object-store", "{\"size_gb\":2500}", "1013=2500000", "1013=3000000"},
        {"object-store", "{\"size_gb\":10000000}", "1013=10000000000", NULL},
        {"backup-policy", BACKUP("local", "standard", "data") "}", "1014=2500000,1011=15000000",
         "1014=3000000,1011=15000000"},
        {"backup-policy", BACKUP("remote", "high", "data") "}", "1015=2500000,1012=15000000",
         "1015=3000000,1012=15000000"},
        {"backup-policy", BACKUP("remote", "static", "data") "}", "1015=2500000,1013=1500000",
         "1015=3000000,1013=2000000"},
        /* The backup of a cloud host is in 1001 and 1002, its space is not. */
        {"backup-policy", BACKUP("local", "standard", "host") ",\"attach_to\":\"web\"}", "1011=15000000",
         NULL},
        {"load-balancer", "{\"zone\":\"a\",\"backends\":[\"10.0.0.1\",\"10.0.0.2\",\"fd00::1\"]}",
         "1018=3000000", NULL},
        {"remote-account", "{\"accounts\":1}", "1019=1000000", NULL},
        {"remote-account", "{\"accounts\":3}", "1019=3000000", NULL},
        {"ssl-vpn", "{\"concurrent_users\":1}", "1020=1000000", NULL},
        {"ssl-vpn", "{\"concurrent_users\":10}", "1020=1000000", NULL},
        {"ssl-vpn", "{\"concurrent_users\":11}", "1020=2000000", NULL},
        {"ipsec-vpn", "{\"mbps\":20}", "1021=20000000", NULL},
        {"certificate", "{\"domains\":[\"a.example.cn\",\"xn--fiqs8s.cn\"]}", "1022=2000000", NULL},
        {"waf", "{\"mbps\":200}", "1023=1000000", NULL},
        {"waf", "{\"mbps\":250}", "1023=2000000", NULL},
    };
    struct agreement whole = agreement_default;
    whole.small_quantity = SMALL_WHOLE;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        assert_string_equal(used(arena, cases[i].kind, cases[i].spec, &agreement_default, false),
                            cases[i].used);
        assert_string_equal(used(arena, cases[i].kind, cases[i].spec, &whole, true),
                            cases[i].whole ? cases[i].whole : cases[i].used);
    }
}

/* All 23 items belong to a kind, and a kind says the items that its rules can use. */
static void every_priced_item_has_a_kind(void **state)
{
    for (size_t i = 0; i < item_count(); i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        bool found = false;
        for (size_t k = 0; k < kind_count(); k++) {
            json_t *json = json_hold(arena, kind_json(kind_at(k))), *items = json_object_get(json, "items");
            for (size_t n = 0; n < json_array_size(items); n++)
                found = found || !strcmp(json_string_value(json_array_get(items, n)), item_at(i)->code);
        }
        if (!found)
            fail_msg("no kind uses item %s", item_at(i)->code);
    }
}

static void what_is_missing_is_said_with_its_reason(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *json;
    size_t count;
    struct error *error =
        kind_read(kind_find("server"), arena, object(arena, SERVER ",\"ssd_512gb\":1}"), &json);
    const struct error_detail *details = error_details(error, &count);
    assert_int_equal(count, 1);
    assert_non_null(strstr(details[0].message, "512 GB SSD has no priced code"));
    error_free(error);
}

static void owners_are_the_kinds_table(void **state)
{
    const struct kind *gpu = kind_find("gpu"), *volume = kind_find("volume");
    assert_string_equal(kind_owner(gpu, 0), "instance");
    assert_string_equal(kind_owner(gpu, 1), "server");
    assert_null(kind_owner(gpu, 2));
    assert_null(kind_owner(gpu, 3));
    assert_null(kind_owner(kind_find("waf"), 0));
    assert_true(kind_needs_owner(gpu) && !kind_needs_owner(volume));
    assert_true(kind_external(gpu) && !kind_external(volume));
}

static void lists_and_crossed_members_change_too(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    json_t *next = NULL;
    json_t *balancer = full(arena, "load-balancer", "{\"zone\":\"a\",\"backends\":[\"10.0.0.1\"]}");
    assert_null(kind_change(kind_find("load-balancer"), arena, balancer,
                            object(arena, "{\"backends\":[\"10.0.0.1\",\"10.0.0.2\"]}"), &next));
    assert_int_equal(json_array_size(json_object_get(next, "backends")), 2);
    assert_string_equal(pointers(arena, kind_change(kind_find("load-balancer"), arena, balancer,
                                                    object(arena, "{\"backends\":[\"x\"]}"), &next)),
                        "/backends/0");
    json_t *server = full(arena, "server", SERVER "}");
    assert_null(kind_change(kind_find("server"), arena, server, object(arena, "{\"sata_4tb\":2}"), &next));
    assert_string_equal(pointers(arena, kind_change(kind_find("server"), arena, server,
                                                    object(arena, "{\"configuration\":2}"), &next)),
                        "/configuration");
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
        agreement_read(object(arena, "{\"expansion_days\":\"30\",\"proration\":\"day\",\"release\":"
                                     "\"confirmed\",\"small_quantity\":\"whole\",\"migration_overlap\":"
                                     "\"charged\"}"),
                       &agreement));
    assert_int_equal(agreement.proration, PRORATION_DAY);
    assert_int_equal(agreement.small_quantity, SMALL_WHOLE);
    assert_int_equal(agreement.system_disk, SYSTEM_DISK_CHARGED);
    assert_int_equal(agreement.migration_overlap, OVERLAP_CHARGED);
    assert_string_equal(
        pointers(arena, agreement_read(object(arena, "{\"proration\":\"week\",\"x\":1,\"system_disk\":3}"),
                                       &agreement)),
        "/proration,/x,/system_disk");
    assert_int_equal(agreement.proration, PRORATION_DAY);
    json_t *json = json_hold(arena, agreement_json(&agreement));
    assert_string_equal(json_canonical(arena, json),
                        "{\"expansion_days\":\"30\",\"migration_overlap\":\"charged\","
                        "\"proration\":\"day\","
                        "\"release\":\"confirmed\",\"small_quantity\":\"whole\","
                        "\"stopped_instance\":\"charged\","
                        "\"system_disk\":\"charged\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(every_violation_is_named),
        cmocka_unit_test(limits_are_inclusive),
        cmocka_unit_test(a_resize_changes_what_it_may),
        cmocka_unit_test(quantities_follow_the_rules),
        cmocka_unit_test(a_spec_that_was_not_read_is_refused),
        cmocka_unit_test(agreements_are_read_strictly),
        cmocka_unit_test(every_kind_counts_by_its_clause),
        cmocka_unit_test(every_priced_item_has_a_kind),
        cmocka_unit_test(what_is_missing_is_said_with_its_reason),
        cmocka_unit_test(owners_are_the_kinds_table),
        cmocka_unit_test(lists_and_crossed_members_change_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
