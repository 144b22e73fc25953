/* What a vCenter may send: any bytes as XML, walked with the functions that the driver reads with. */
#include "drivers/vmware/xml.h"
#include "tests/fuzz/fuzz.h"

static void walk(struct arena *arena, const xmlNode *node, int depth)
{
    for (; node && depth < 64; node = xml_next(node)) {
        PROMISE(xml_text(node));
        (void)xml_number(node, -1);
        (void)xml_true(node);
        (void)xml_xsi_type(arena, node);
        (void)xml_child_text(node, "name");
        struct moref ref = moref_read(arena, node);
        PROMISE(moref_same(ref, ref) || !ref.value || !ref.type);
        walk(arena, xml_first(node), depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    xmlDoc *doc = NULL;
    struct error *error = xml_parse((const char *)data, size, &doc);
    PROMISE(error || doc);
    if (!error)
        walk(arena, xmlDocGetRootElement(doc), 0);
    error_free(error);
    xmlFreeDoc(doc);
    arena_free(arena);
    return 0;
}
