/* The tables of commands; each ends with {0}. */
#ifndef BROKER_CLI_COMMANDS_H
#define BROKER_CLI_COMMANDS_H

#include "broker/cli/cli.h"

extern const struct cli_command list_commands[], make_commands[], operate_commands[], money_commands[],
    statement_commands[], budget_commands[], export_commands[], verify_commands[], usage_commands[];

#endif
