/* The tables of commands; each ends with {0}. */
#ifndef BROKER_CLI_COMMANDS_H
#define BROKER_CLI_COMMANDS_H

#include "broker/cli/cli.h"

/* That `value` is the signature over `text` of the key `kid`, which is among `keys` as `key list` or the API
 * printed them. */
struct error *cli_check_signature(struct cli *cli, const json_t *keys, const char *kid, const char *value,
                                  const char *text) ERROR_MUST_USE;

/* A move as /v1/migrations tells it, in a few lines; as it came with --json. */
void cli_print_migration(const struct cli *cli, const json_t *migration);

/* `wave watch` (command_wave_watch.c). */
struct error *cli_wave_watch(struct cli *cli, const struct cli_command *command) ERROR_MUST_USE;

extern const struct cli_command list_commands[], make_commands[], operate_commands[], money_commands[],
    statement_commands[], budget_commands[], export_commands[], verify_commands[], archive_commands[],
    usage_commands[], consent_commands[], assess_commands[], wave_commands[], migrate_commands[],
    link_commands[], image_commands[];

#endif
