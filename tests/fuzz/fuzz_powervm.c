/* What an HMC may send: any bytes as Atom, read with the functions that the driver reads with. */
#include "drivers/powervm/atom.h"
#include "tests/fuzz/fuzz.h"

static void read_payload(struct arena *arena, xmlNode *payload)
{
    int64_t micro = atom_micro(payload, "Value", -1);
    PROMISE(micro == -1 || (micro >= 0 && micro <= INT64_C(1000000000000) * ATOM_MICRO));
    (void)atom_text(arena, payload, "PartitionName");
    (void)atom_text(arena, payload, "A/B");
    (void)atom_href_id(arena, payload, "Link");
    (void)atom_href(arena, payload, "Link");
    (void)atom_is(payload, "PartitionState", "running");
    if (payload) {
        (void)atom_set(payload, "Value", "1");
        const char *text = atom_serialize(arena, payload);
        PROMISE(text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    xmlNode *root = NULL;
    struct error *error = atom_parse(arena, (const char *)data, size, &root);
    if (!error) {
        for (xmlNode *entry = atom_first_entry(root); entry; entry = atom_next_entry(entry)) {
            (void)atom_etag(arena, entry);
            read_payload(arena, atom_payload(entry));
        }
    }
    error_free(error);
    arena_free(arena);
    return 0;
}
