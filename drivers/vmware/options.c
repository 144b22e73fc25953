/* See options.h. */
#include "drivers/vmware/options.h"

#include <string.h>

#define NAME_MAX_LENGTH 80 /* of an entity's name in vSphere */
#define DATASTORES_MAX 64
#define PATH_MAX_LENGTH 64 /* of the staging folder: sockets lie in it, whose paths are short */

#define TEXT(field)                                                                                  \
    {                                                                                                \
        .name = #field, .want = JSON_WANT_TEXT, .offset = offsetof(struct options, field), .min = 1, \
        .max = NAME_MAX_LENGTH                                                                       \
    }
#define TEXTS(field)                                                                                  \
    {                                                                                                 \
        .name = #field, .want = JSON_WANT_TEXTS, .offset = offsetof(struct options, field), .min = 0, \
        .max = DATASTORES_MAX                                                                         \
    }

static const char *const disk_formats[] = {"thin", "thick", NULL};

static const struct json_member option_members[] = {
    TEXT(datacenter),
    TEXT(cluster),
    TEXT(resource_pool),
    TEXT(folder),
    {.name = "volume_folder",
     .want = JSON_WANT_NAME,
     .offset = offsetof(struct options, volume_folder),
     .max = NAME_MAX_LENGTH},
    {.name = "image_folder",
     .want = JSON_WANT_NAME,
     .offset = offsetof(struct options, image_folder),
     .max = NAME_MAX_LENGTH},
    {.name = "disk_format",
     .want = JSON_WANT_CHOICE,
     .offset = offsetof(struct options, disk_format),
     .choices = disk_formats},
    {.name = "staging_folder",
     .want = JSON_WANT_TEXT,
     .offset = offsetof(struct options, staging_folder),
     .min = 1,
     .max = PATH_MAX_LENGTH},
    TEXTS(standard),
    TEXTS(high),
};
static const struct json_spec option_spec = JSON_SPEC(struct options, option_members);

struct error *options_read(struct arena *arena, const json_t *json, struct options *ret_options)
{
    struct options options = {.volume_folder = "yunqiao", .disk_format = "thin"};
    if (json)
        TRY_DOING(json_read(arena, json, &option_spec, &options), "the endpoint's options");
    if (options.staging_folder && options.staging_folder[0] != '/')
        return error_member("/staging_folder", "is an absolute path");
    *ret_options = options;
    return NULL;
}

static bool listed(const struct json_texts *texts, const char *name)
{
    for (size_t i = 0; i < texts->count; i++)
        if (strcmp(texts->items[i], name) == 0)
            return true;
    return false;
}

bool options_high(const struct options *options, const char *datastore)
{
    return listed(&options->high, datastore);
}

bool options_standard(const struct options *options, const char *datastore)
{
    return options->standard.count ? listed(&options->standard, datastore)
                                   : !options_high(options, datastore);
}
