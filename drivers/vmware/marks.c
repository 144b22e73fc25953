/* See marks.h. */
#include "drivers/vmware/marks.h"

#include <string.h>

#include "broker/base/id.h"

static void read_checkpoint(struct arena *arena, struct marks *marks, const char *id, const char *record)
{
    if (!id_valid(id) || marks->checkpoint_count == MARKS_CHECKPOINTS_MAX)
        return;
    if (!marks->checkpoints)
        marks->checkpoints = arena_array(arena, MARKS_CHECKPOINTS_MAX, sizeof *marks->checkpoints);
    marks->checkpoints[marks->checkpoint_count++] =
        (struct mark_checkpoint){arena_strdup(arena, id), arena_strdup(arena, record)};
}

void marks_read(struct arena *arena, const xmlNode *extra_config, struct marks *ret_marks)
{
    struct marks marks = {0};
    for (const xmlNode *option = xml_child(extra_config, "OptionValue"); option; option = xml_next(option)) {
        const char *key = xml_child_text(option, "key"), *value = xml_child_text(option, "value");
        if (!key || !value || !*value)
            continue;
        if (strcmp(key, MARK_FENCE) == 0)
            marks.fence = arena_strdup(arena, value);
        else if (strcmp(key, MARK_SHELL) == 0)
            marks.shell = arena_strdup(arena, value);
        else if (strcmp(key, MARK_FILLED_BY) == 0)
            marks.filled_by = arena_strdup(arena, value);
        else if (strncmp(key, MARK_CHECKPOINT, strlen(MARK_CHECKPOINT)) == 0)
            read_checkpoint(arena, &marks, key + strlen(MARK_CHECKPOINT), value);
    }
    *ret_marks = marks;
}

const char *marks_checkpoint(const struct marks *marks, const char *id)
{
    for (size_t i = 0; i < marks->checkpoint_count; i++)
        if (strcmp(marks->checkpoints[i].id, id) == 0)
            return marks->checkpoints[i].record;
    return NULL;
}

void mark_put(struct xml_request *request, const char *key, const char *value)
{
    xml_open_as(request, "extraConfig", "OptionValue");
    xml_put(request, "key", key);
    xml_open_as(request, "value", "xsd:string");
    if (!request->failed && xmlTextWriterWriteString(request->writer, (const xmlChar *)value) < 0)
        request->failed = true;
    xml_close(request);
    xml_close(request);
}
