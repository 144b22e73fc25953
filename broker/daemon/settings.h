/* The daemon's settings: one table that the file, the environment and the flags fill, and that --help and the
 * manual print. */
#ifndef BROKER_DAEMON_SETTINGS_H
#define BROKER_DAEMON_SETTINGS_H

#include "broker/base/config.h"

struct settings {
    const char *data_dir, *secret_dir, *archive_dir;
    const char *database, *database_owner;
    const char *postgres_bin, *postgres_user;
    const char *listen_address;
    int64_t listen_port;
    const char *certificate, *key, *server_names;
    const char *port_file;
    int64_t loops, workers, exports, job_workers, rate_workers;
    const char *log_level;
    int64_t clock_offset;
    int64_t sync_interval;
    bool watch;
    bool close_months;
    int64_t drain;
    bool admin_token;
    const char *migration_approvals;
    const char *transfer_dir, *transfer_user;
    int64_t transfer_space_gb, transfer_unit_space_gb, transfer_keep;
    int64_t migration_stall;
    const char *conversion, *conversion_program;
    int64_t conversion_timeout;
};

extern const struct config_table settings_table;

#endif
