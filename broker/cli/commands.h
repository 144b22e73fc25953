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

/* Whether its rate is that of a pass that runs; in other states it is what the last pass left behind. */
bool cli_migration_copies(const json_t *migration);

/* ERR_INVALID with the list of states when there is no state of that name. */
struct error *cli_migration_check_state(struct arena *arena, const char *name) ERROR_MUST_USE;
/* What becomes of waiting until a move is in the state `until`:
 *
 * - reached: it is there, or further on its way assessed, consented, approved, copying, synced, cutting-over,
 *   verifying, holding, committing, committed (testing: when it was tested; synced is still to come while it
 *   is tested); rolled-back counts for rolling-back, cancelled for cancelling
 * - comes: it may still be reached, by itself or by a word that is not said yet
 * - lost: it has failed, has ended, or went where no way leads there any more
 *
 * Without `until`: reached when it waits for a word or is committed, lost when it has failed or came to
 * nothing. `seen`: how many transitions of its history there were at the first look. */
enum cli_awaited { CLI_AWAITED_COMES, CLI_AWAITED_REACHED, CLI_AWAITED_LOST };
enum cli_awaited cli_migration_awaited(const json_t *migration, const char *until, size_t seen);
/* ERR_CONFLICT of a lost one: its state, and why. */
struct error *cli_migration_lost(const json_t *migration, const char *until) ERROR_MUST_USE;

/* `wave watch` (command_wave_watch.c). */
struct error *cli_wave_watch(struct cli *cli, const struct cli_command *command) ERROR_MUST_USE;

extern const struct cli_command list_commands[], make_commands[], operate_commands[], money_commands[],
    statement_commands[], budget_commands[], export_commands[], verify_commands[], archive_commands[],
    usage_commands[], consent_commands[], assess_commands[], wave_commands[], migrate_commands[],
    link_commands[], image_commands[];

#endif
