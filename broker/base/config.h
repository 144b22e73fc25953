/* Configuration: one table of options, read from defaults, then a file, then the environment, then flags;
 * --help and the manual are made from the same table.
 *
 * File: `name = value` lines, # comments. Environment: YUNQIAO_NAME. Flags: --name=value or --name value; a
 * boolean may stand alone. Underscores in names are dashes in flags and capitals in the environment. Unknown
 * names are errors. */
#ifndef BROKER_BASE_CONFIG_H
#define BROKER_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/base/error.h"

enum config_type {
    CONFIG_TEXT,     /* const char * */
    CONFIG_INT,      /* int64_t, min..max */
    CONFIG_BOOL,     /* bool: yes/no, true/false, on/off */
    CONFIG_DURATION, /* int64_t microseconds from "250ms", "30s", "5m", "2h", "31d"; min..max in microseconds
                      */
    CONFIG_SIZE,     /* int64_t bytes from "64k", "16M", "1G"; min..max */
};

struct config_option {
    const char *name; /* "listen_port" */
    enum config_type type;
    size_t offset;
    const char *fallback; /* NULL: none (NULL text, 0) */
    int64_t min, max;
    bool reloadable;
    const char *argument; /* "PORT" in --help */
    const char *help;     /* one or two sentences */
};

struct config_table {
    const char *program;
    const char *summary;
    const struct config_option *options;
    size_t count;
    size_t size; /* of the struct that the offsets are in */
};

struct config; /* keeps what was read: strings live as long as it */

/* Fills *values. `--config FILE` names the file; `default_file` is read when it exists and no flag names one.
 * `--help`,
 * `--manual` and `--version` are reported in *ret_action for the caller to print. Arguments that are not
 * flags are left in *ret_rest. */
enum config_action { CONFIG_RUN, CONFIG_HELP, CONFIG_MANUAL, CONFIG_VERSION };
struct error *config_load(const struct config_table *table, int argc, char **argv, const char *default_file,
                          void *values, struct config **ret_config, enum config_action *ret_action,
                          char ***ret_rest) ERROR_MUST_USE;
/* Reads file and environment again under the same flags; copies only reloadable options into *values. On an
 * error nothing changes. */
struct error *config_reload(struct config *config, void *values) ERROR_MUST_USE;
void config_free(struct config *config);

void config_print_help(const struct config_table *table, FILE *out);
/* A manual page in roff. */
void config_print_manual(const struct config_table *table, FILE *out);

#endif
