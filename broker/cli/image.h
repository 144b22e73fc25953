/* What the commands about machines as files share (command_image.c, command_import.c). */
#ifndef BROKER_CLI_IMAGE_H
#define BROKER_CLI_IMAGE_H

#include <stdint.h>

#include "broker/base/digest.h"
#include "broker/cli/cli.h"

struct image_digests {
    int64_t size;
    char sha256[DIGEST_HEX], sm3[DIGEST_HEX];
};
struct error *image_digest(const char *path, struct image_digests *ret_digests) ERROR_MUST_USE;
/* "" when there is none. */
const char *image_text(const json_t *json, const char *member);
/* On a terminal alone. */
void image_bar(const char *what, const char *name, int64_t done, int64_t size);

struct error *image_import(struct cli *cli, const struct cli_command *command) ERROR_MUST_USE;

#endif
