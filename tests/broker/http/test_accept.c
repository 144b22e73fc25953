/* Media types and entity tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/http/accept.h"
#include "broker/http/response.h"

static void test_accept(void **state)
{
    assert_true(accept_allows(NULL, "application/json"));
    assert_true(accept_allows("", "application/json"));
    assert_true(accept_allows("*/*", "text/csv"));
    assert_true(accept_allows("text/html, application/json;q=0.5", "application/json"));
    assert_true(accept_allows("application/*", "application/json"));
    assert_true(accept_allows("Application/JSON", "application/json; charset=utf-8"));
    assert_true(accept_allows("application/json;q=0, */*", "text/csv"));
    assert_false(accept_allows("application/json;q=0, */*", "application/json"));
    assert_false(accept_allows("application/json;q=0.000", "application/json"));
    assert_true(accept_allows("application/json;q=0.001", "application/json"));
    assert_false(accept_allows("text/html", "application/json"));
    assert_false(accept_allows("text/*", "application/json"));
    assert_false(accept_allows("applicatio/*", "application/json"));
}

static void test_media(void **state)
{
    assert_true(media_is_json("application/json"));
    assert_true(media_is_json("application/json; charset=UTF-8"));
    assert_true(media_is_json("application/json;charset=\"utf-8\""));
    assert_true(media_is_json("application/cloudevents+json"));
    assert_false(media_is_json("application/json; charset=latin1"));
    assert_false(media_is_json("text/json"));
    assert_false(media_is_json("application/jsonx"));

    assert_false(media_is_json(""));
}

static void test_media_of_events(void **state)
{
    assert_int_equal(media_events_of("application/cloudevents+json"), MEDIA_EVENTS_ONE);
    assert_int_equal(media_events_of("Application/CloudEvents+JSON ; charset=utf-8"), MEDIA_EVENTS_ONE);
    assert_int_equal(media_events_of("application/cloudevents-batch+json"), MEDIA_EVENTS_BATCH);
    assert_int_equal(media_events_of("application/x-ndjson"), MEDIA_EVENTS_LINES);
    assert_int_equal(media_events_of("application/x-ndjson; charset=latin1"), MEDIA_EVENTS_NONE);
    assert_int_equal(media_events_of("application/json"), MEDIA_EVENTS_NONE);
    assert_int_equal(media_events_of("application/cloudevents+jsonx"), MEDIA_EVENTS_NONE);
    assert_int_equal(media_events_of(""), MEDIA_EVENTS_NONE);
}

static void test_etags(void **state)
{
    assert_true(etag_listed("\"a\"", "\"a\"", false));
    assert_true(etag_listed("\"b\", \"a\"", "\"a\"", false));
    assert_true(etag_listed("*", "\"a\"", false));
    assert_true(etag_listed("W/\"a\"", "\"a\"", true));
    assert_false(etag_listed("W/\"a\"", "\"a\"", false));
    assert_false(etag_listed("\"ab\"", "\"a\"", true));
    assert_false(etag_listed("a", "\"a\"", true));
    assert_false(etag_listed("\"a", "\"a\"", true));
    assert_false(etag_listed("", "\"a\"", true));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_media),
        cmocka_unit_test(test_media_of_events),
        cmocka_unit_test(test_etags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
