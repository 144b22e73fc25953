/* Reading and writing the HMC's XML: shapes, numbers, round trips, and hostile documents. Given real
 * recordings in the folder that YUNQIAO_HMC_RECORDINGS names (see README.md), the reading is checked on
 * those, too. */
#include "drivers/powervm/atom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/powervm/refusal.h"

#define UOM "xmlns=\"" ATOM_UOM "\""
static const char entry_text[] =
    "\n<entry xmlns=\"http://www.w3.org/2005/Atom\"><id>abc</id>"
    "<etag:etag xmlns:etag=\"" ATOM_UOM "\">-42</etag:etag><content type=\"x\">"
    "<Thing:Thing xmlns:Thing=\"" ATOM_UOM "\" " UOM " schemaVersion=\"V1_0\"><Metadata><Atom/></Metadata>"
    "<Name kb=\"CUR\">  a &amp; b\n </Name><Empty/><Part><Size>12.5</Size></Part>"
    "<Link href=\"https://hmc/rest/api/uom/X/123?group=None\" "
    "rel=\"related\"/><Item>1</Item><Other/><Item>2</Item>"
    "</Thing:Thing></content></entry>";

static xmlNode *parse(struct arena *arena, const char *text)
{
    xmlNode *root = NULL;
    struct error *error = atom_parse(arena, text, strlen(text), &root);
    if (error)
        fail_msg("%s", error_message(error));
    return root;
}

static void test_reading(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    xmlNode *entry = atom_first_entry(parse(arena, entry_text));
    xmlNode *thing = atom_payload(entry);
    assert_string_equal((const char *)thing->name, "Thing");
    assert_string_equal(atom_etag(arena, entry), "-42");
    assert_string_equal(atom_text(arena, thing, "Name"), "a & b");
    assert_null(atom_text(arena, thing, "Empty"));
    assert_null(atom_text(arena, thing, "Part/Nothing"));
    assert_null(atom_text(arena, NULL, "Part"));
    assert_true(atom_is(thing, "Part/Size", "12.5"));
    assert_int_equal(atom_micro(thing, "Part/Size", -1), 12500000);
    assert_string_equal(atom_href_id(arena, thing, "Link"), "123");
    assert_null(atom_href_id(arena, thing, "Part"));
    const xmlNode *item = atom_child(thing, "Item");
    assert_string_equal(atom_text(arena, atom_next(item), ""), "2");
    assert_null(atom_next(atom_next(item)));
    assert_null(atom_next_entry(entry));
    assert_null(atom_first_entry(NULL));
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        int64_t micro;
    } cases[] = {{"0", 0},
                 {"16", 16000000},
                 {"0.05", 50000},
                 {"49.88", 49880000},
                 {"1.", 1000000},
                 {"-1", -7},
                 {"1e3", -7},
                 {"", -7},
                 {"x", -7},
                 {"1.2.3", -7},
                 {"99999999999999999999", -7},
                 {"1.23456789", 1234567}};
    ARENA_AUTO struct arena *arena = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const xmlNode *root = parse(arena, arena_printf(arena, "<a><n>%s</n></a>", cases[i].text));
        assert_int_equal(atom_micro(root, "n", -7), cases[i].micro);
    }
    assert_string_equal(atom_micro_text(arena, 250000), "0.25");
    assert_string_equal(atom_micro_text(arena, 16000000), "16");
    assert_string_equal(atom_micro_text(arena, 100), "0.0001");
}

static void test_changing_and_sending_back(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    xmlNode *thing = atom_payload(parse(arena, entry_text));
    assert_true(atom_set(thing, "Part/Size", "<7>"));
    assert_false(atom_set(thing, "Part/Weight", "7"));
    atom_add(atom_add_part(thing, "More"), "Text", "x & y");
    const char *sent = atom_serialize(arena, thing);
    assert_null(strstr(sent, "entry"));
    const xmlNode *again = parse(arena, sent);
    assert_string_equal((const char *)again->ns->href, ATOM_UOM);
    assert_string_equal(atom_text(arena, again, "Part/Size"), "<7>");
    assert_string_equal(atom_text(arena, again, "More/Text"), "x & y");
    assert_string_equal((const char *)atom_at(again, "More/Text")->ns->href, ATOM_UOM);
}

static void test_writing(void **state)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct atom_writer *writer = atom_writer_new("Thing", ATOM_WEB);
    atom_open(writer, "Part");
    atom_leaf(writer, "Text", "<&>\"'");
    atom_link(writer, "link", "https://hmc/?a=b&c=d");
    atom_close(writer);
    const xmlNode *root = parse(arena, atom_writer_finish(writer, arena));
    assert_string_equal((const char *)root->name, "Thing");
    assert_string_equal((const char *)root->ns->prefix, "Thing");
    assert_string_equal((const char *)root->ns->href, ATOM_WEB);
    assert_string_equal(atom_text(arena, root, "Part/Text"), "<&>\"'");
    assert_string_equal(atom_href(arena, root, "Part/link"), "https://hmc/?a=b&c=d");
    assert_string_equal((const char *)atom_at(root, "Part")->ns->href, ATOM_WEB);
}

static void test_hostile_documents(void **state)
{
    static const char *const texts[] = {
        "",
        "<a>",
        "not xml",
        "<a>\x01</a>",
        "<a><b></a></b>",
        "<a>&undefined;</a>",
        "<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
    };
    ARENA_AUTO struct arena *arena = arena_new();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        xmlNode *root = NULL;
        struct error *error = atom_parse(arena, texts[i], strlen(texts[i]), &root);
        assert_non_null(error);
        assert_int_equal(error_code(error), ERR_UNAVAILABLE);
        error_free(error);
    }
    char *deep = arena_alloc(arena, 3 * 100000 + 1);
    for (size_t i = 0; i < 100000; i++)
        memcpy(deep + 3 * i, "<a>", 3);
    xmlNode *root = NULL;
    struct error *error = atom_parse(arena, deep, strlen(deep), &root);
    assert_non_null(error);
    error_free(error);
}

static void test_refusals(void **state)
{
    assert_int_equal(refusal_code(500, "REST0126", "HSCL05DE exists"), ERR_EXISTS);
    assert_int_equal(refusal_code(500, "REST0126", "HSCL03EC memory"), ERR_NO_CAPACITY);
    assert_int_equal(refusal_code(500, "REST0126", "something"), ERR_INVALID);
    assert_int_equal(refusal_code(500, NULL, NULL), ERR_UNAVAILABLE);
    assert_int_equal(refusal_code(0, NULL, "HSCL3205 busy"), ERR_BUSY);
    assert_int_equal(refusal_code(0, NULL, NULL), ERR_INTERNAL);
    assert_int_equal(refusal_code(404, "REST029B", "gone"), ERR_NOT_FOUND);
    assert_int_equal(refusal_code(403, NULL, NULL), ERR_DENIED);
    assert_int_equal(refusal_code(406, NULL, "<html>"), ERR_UNSUPPORTED);
}

static xmlNode *read_recording(struct arena *arena, const char *name)
{
    const char *path = arena_printf(arena, "%s/%s", getenv("YUNQIAO_HMC_RECORDINGS"), name);
    FILE *stream = fopen(path, "r");
    if (!stream)
        fail_msg("%s cannot be read", path);
    enum { MOST = 4 * 1024 * 1024 };
    char *text = arena_alloc(arena, MOST + 1);
    size_t length = fread(text, 1, MOST, stream);
    fclose(stream);
    xmlNode *root = NULL;
    struct error *error = atom_parse(arena, text, length, &root);
    if (error)
        fail_msg("%s: %s", name, error_message(error));
    return root;
}

static void test_recordings_of_a_real_console(void **state)
{
    if (!getenv("YUNQIAO_HMC_RECORDINGS")) {
        print_message("YUNQIAO_HMC_RECORDINGS names no folder of recordings: skipped\n");
        skip();
    }
    ARENA_AUTO struct arena *arena = arena_new();
    xmlNode *entry = atom_first_entry(read_recording(arena, "3-lpar.xml"));
    xmlNode *partition = atom_payload(entry);
    assert_string_equal(atom_text(arena, partition, "PartitionState"), "running");
    assert_int_equal(strlen(atom_text(arena, partition, "PartitionUUID")), 36);
    assert_int_equal(atom_micro(partition, "PartitionMemoryConfiguration/DesiredMemory", -1),
                     4096 * ATOM_MICRO);
    assert_int_equal(
        atom_micro(partition,
                   "PartitionProcessorConfiguration/SharedProcessorConfiguration/DesiredProcessingUnits", -1),
        930000);
    assert_int_equal(strlen(atom_href_id(arena, partition, "AssociatedManagedSystem")), 36);
    assert_string_equal(atom_etag(arena, entry), "-1911778802");
    const xmlNode *again = parse(arena, atom_serialize(arena, partition));
    assert_string_equal(atom_text(arena, again, "PartitionName"),
                        atom_text(arena, partition, "PartitionName"));
    size_t systems = 0, mappings = 0;
    for (entry = atom_first_entry(read_recording(arena, "managed-systems.xml")); entry;
         entry = atom_next_entry(entry)) {
        const xmlNode *memory = atom_child(atom_payload(entry), "AssociatedSystemMemoryConfiguration");
        assert_true(atom_micro(memory, "ConfigurableSystemMemory", -1) > 0);
        assert_int_equal(atom_micro(memory, "MemoryRegionSize", -1), 256 * ATOM_MICRO);
        systems++;
    }
    assert_true(systems >= 2);
    const xmlNode *server = atom_payload(atom_first_entry(read_recording(arena, "2-vios.xml")));
    for (const xmlNode *item = atom_at(server, "VirtualSCSIMappings/VirtualSCSIMapping"); item;
         item = atom_next(item)) {
        assert_true(atom_micro(item, "ServerAdapter/VirtualSlotNumber", -1) > 0);
        mappings++;
    }
    assert_true(mappings > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_changing_and_sending_back),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_hostile_documents),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_recordings_of_a_real_console),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
