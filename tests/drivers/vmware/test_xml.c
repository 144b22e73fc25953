/* Reading and writing XML: what a hostile or sloppy peer may send is refused or read rightly, and requests
 * are well-formed whatever the values. */
#include "drivers/vmware/xml.h"

#include "tests/drivers/vmware/fixture.h"

static xmlDoc *parsed(const char *text)
{
    xmlDoc *doc = NULL;
    OK(xml_parse(text, strlen(text), &doc));
    return doc;
}

static void refused(const char *text, size_t length, const char *fragment)
{
    xmlDoc *doc = NULL;
    FAILS(xml_parse(text, length, &doc), ERR_UNAVAILABLE, fragment);
    assert_null(doc);
}

static void hostile_documents_are_refused(void **state)
{
    static const char bomb[] =
        "<!DOCTYPE a [<!ENTITY x \"xxxxxxxxxx\"><!ENTITY y \"&x;&x;&x;&x;&x;&x;\">]><a>&y;</a>";
    static const char outside[] = "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>";
    refused(bomb, strlen(bomb), "document type");
    refused(outside, strlen(outside), "document type");
    refused("", 0, "empty");
    refused("<a><b></a>", 10, "not well-formed");
    refused("<a>\xff</a>", 8, "not well-formed");
    refused("<a>&undefined;</a>", 18, "not well-formed");
    size_t depth = 100000;
    char *deep = malloc(depth * 3);
    for (size_t i = 0; i < depth; i++)
        memcpy(deep + i * 3, "<a>", 3);
    refused(deep, depth * 3, "not well-formed");
    free(deep);
}

static void types_are_told_apart(void **state)
{
    /* a reference inside a value: xsi:type under another prefix beside the plain attribute */
    xmlDoc *doc = parsed("<val xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" "
                         "i:type=\"v:ManagedObjectReference\" type=\"HostSystem\">host-9</val>");
    const xmlNode *root = xmlDocGetRootElement(doc);
    assert_string_equal(xml_xsi_type(call.arena, root), "ManagedObjectReference");
    struct moref ref = moref_read(call.arena, root);
    assert_string_equal(ref.type, "HostSystem");
    assert_string_equal(ref.value, "host-9");
    xmlFreeDoc(doc);
}

static void elements_by_local_name(void **state)
{
    xmlDoc *doc = parsed("<p:a xmlns:p=\"urn:x\"> <p:n>1</p:n><!-- --><n>2</n><m/><n><![CDATA[x<y]]></n>"
                         "<big>99999999999999999999</big><no>7x</no><t>true</t></p:a>");
    const xmlNode *root = xmlDocGetRootElement(doc), *n = xml_child(root, "n");
    assert_string_equal(xml_text(n), "1");
    n = xml_next(n);
    assert_int_equal(xml_number(n, -1), 2);
    n = xml_next(n);
    assert_string_equal(xml_text(n), "x<y");
    assert_null(xml_next(n));
    assert_string_equal(xml_child_text(root, "m"), "");
    assert_null(xml_child_text(root, "absent"));
    assert_int_equal(xml_number(xml_child(root, "big"), -1), -1);
    assert_int_equal(xml_number(xml_child(root, "no"), -1), -1);
    assert_int_equal(xml_number(NULL, -1), -1);
    assert_true(xml_true(xml_child(root, "t")));
    assert_null(moref_read(call.arena, xml_child(root, "m")).value);
    xmlFreeDoc(doc);
}

static void requests_hold_any_text(void **state)
{
    static const char nasty[] = "</name><evil a=\"1\">&amp;'\"云桥";
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "Login", (struct moref){"Session\"Manager", "<id>"});
    xml_put(&request, "name", nasty);
    xml_put(&request, "absent", NULL);
    xml_open_as(&request, "spec", "Kind");
    xml_put_number(&request, "number", INT64_MIN);
    xml_close(&request);
    OK(xml_request_end(&request));
    xmlDoc *doc = parsed((const char *)xmlBufferContent(request.buffer));
    const xmlNode *body = xml_child(xmlDocGetRootElement(doc), "Body"), *login = xml_first(body);
    assert_true(xml_is(login, "Login"));
    assert_string_equal(xml_child_text(login, "name"), nasty);
    assert_string_equal(xml_child_text(login, "_this"), "<id>");
    assert_string_equal(xml_type_attribute(call.arena, xml_child(login, "_this")), "Session\"Manager");
    assert_string_equal(xml_xsi_type(call.arena, xml_child(login, "spec")), "Kind");
    assert_int_equal(xml_number(xml_child(xml_child(login, "spec"), "number"), 0), INT64_MIN);
    assert_null(xml_child(login, "absent"));
    assert_null(xml_child(login, "evil"));
    xmlFreeDoc(doc);
}

static int teardown(void **state)
{
    arena_free(call.arena);
    call.arena = NULL;
    return 0;
}

#define TEST(function) cmocka_unit_test_setup(function, renew_call)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hostile_documents_are_refused),
        TEST(types_are_told_apart),
        TEST(elements_by_local_name),
        TEST(requests_hold_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
