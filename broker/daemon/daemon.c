/* The composition root's body; see daemon.h. Nothing here decides anything: it makes the parts and hands each
 * what it needs. */
#include "broker/daemon/daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/auth/auth.h"
#include "broker/base/log.h"
#include "broker/control/fleet.h"
#include "broker/control/operate.h"
#include "broker/control/order.h"
#include "broker/control/sync.h"
#include "broker/daemon/certificate.h"
#include "broker/daemon/maintenance.h"
#include "broker/daemon/routes.h"
#include "broker/daemon/watch.h"
#include "broker/db/embedded.h"
#include "broker/db/migrate.h"
#include "broker/http/server.h"
#include "broker/jobs/job.h"
#include "catalog/document.h"
#include "drivers/kvm/kvm.h"
#include "drivers/powervm/powervm.h"
#include "drivers/vmware/vmware.h"
#include "federation/assess_store.h"
#include "federation/link.h"
#include "federation/migration_job.h"
#include "federation/services.h"
#include "federation/transfer.h"
#include "federation/wave_job.h"
#include "metering/archive.h"

#define SLOW_STOP_US (5 * MOMENT_SECOND)

struct daemon {
    struct settings settings;
    struct arena *arena;
    struct clock *clock;
    struct embedded *embedded;
    const char *conninfo;
    struct db *db; /* of the start alone */
    struct auth *auth;
    struct registry *registry;
    struct fleet *fleet;
    struct federation_services services;
    struct job_runner *runner;
    struct maintenance_settings maintenance_settings;
    struct maintenance *maintenance;
    struct watch *watch;
    struct server *server;
};

static struct error *make_folder(const char *path)
{
    if (mkdir(path, 0711) && errno != EEXIST)
        return error_new(ERR_IO, "could not make %s: %s", path, strerror(errno));
    return NULL;
}

static struct error *open_database(struct daemon *daemon)
{
    const struct settings *settings = &daemon->settings;
    const char *owner = settings->database_owner;
    daemon->conninfo = settings->database;
    if (!settings->database) {
        const struct embedded_options options = {.bin_dir = settings->postgres_bin,
                                                 .user = settings->postgres_user};
        TRY_DOING(embedded_start(settings->data_dir, &options, &daemon->embedded),
                  "could not start the private PostgreSQL cluster");
        daemon->conninfo = embedded_app_conninfo(daemon->embedded);
        owner = embedded_owner_conninfo(daemon->embedded);
    }
    size_t applied = 0;
    if (owner)
        TRY_DOING(migrate(owner, migrations, migration_count, &applied),
                  "could not bring the database up to date");
    else
        TRY(migrate_check(daemon->conninfo, migrations, migration_count));
    log_info("database.ready", LOG_TEXT("kind", daemon->embedded ? "embedded" : "configured"),
             LOG_INT("migrations_applied", (int64_t)applied));
    return db_connect(daemon->conninfo, &daemon->db);
}

static struct error *open_auth(struct daemon *daemon)
{
    moment now = clock_now(daemon->clock);
    bool made = false;
    const char *keys = arena_printf(daemon->arena, "%s/keys", daemon->settings.data_dir);
    TRY_DOING(auth_new(keys, daemon->db, now, &daemon->auth), "could not load the signing keys");
    TRY(auth_bootstrap(daemon->auth, daemon->db, daemon->settings.data_dir, now, &made));
    if (!made && daemon->settings.admin_token)
        TRY(auth_reissue_admin(daemon->auth, daemon->db, daemon->settings.data_dir, now));
    return NULL;
}

/* Exports and imports. */
static struct error *open_transfers(struct daemon *daemon)
{
    const struct settings *settings = &daemon->settings;
    daemon->services.transfer_dir = settings->transfer_dir
                                        ? settings->transfer_dir
                                        : arena_printf(daemon->arena, "%s/exports", settings->data_dir);
    daemon->services.transfer_space = settings->transfer_space_gb * 1000000000;
    daemon->services.transfer_unit_space = settings->transfer_unit_space_gb * 1000000000;
    daemon->services.transfer_keep_us = settings->transfer_keep;
    return transfer_user_find(settings->transfer_user, &daemon->services.transfer_user);
}

static struct error *open_fleet(struct daemon *daemon)
{
    daemon->registry = registry_new();
    TRY(driver_register(daemon->registry, &kvm_driver));
    TRY(driver_register(daemon->registry, &vmware_driver));
    TRY(driver_register(daemon->registry, &powervm_driver));
    daemon->fleet =
        fleet_new(daemon->registry, &(struct secret_reach){.own = daemon->settings.data_dir,
                                                           .within = daemon->settings.secret_dir});
    daemon->services.control = (struct services){
        .metering = {.auth = daemon->auth,
                     .rate_workers = (unsigned)daemon->settings.rate_workers,
                     .archive_dir = daemon->settings.archive_dir ? daemon->settings.archive_dir
                                                                 : arena_printf(daemon->arena, "%s/archive",
                                                                                daemon->settings.data_dir)},
        .auth = daemon->auth,
        .fleet = daemon->fleet,
        .clock = daemon->clock};
    daemon->services.copy_dir = arena_printf(daemon->arena, "%s/copies", daemon->settings.data_dir);
    daemon->services.links = links_new();
    daemon->services.copy_stall_us = daemon->settings.migration_stall;
    daemon->services.migration_approvals = daemon->settings.migration_approvals;
    TRY(open_transfers(daemon));
    daemon->services.conversion = daemon->settings.conversion;
    daemon->services.conversion_program = daemon->settings.conversion_program;
    daemon->services.conversion_timeout_us = daemon->settings.conversion_timeout;
    const char *approvals = daemon->settings.migration_approvals, *conversion = daemon->settings.conversion;
    if (strcmp(conversion, "off") && strcmp(conversion, "auto") && strcmp(conversion, "required"))
        return error_new(ERR_INVALID, "conversion must be off, auto or required, not \"%s\"", conversion);
    if (*daemon->settings.conversion_program != '/')
        return error_new(ERR_INVALID, "conversion_program must be an absolute path, not \"%s\"",
                         daemon->settings.conversion_program);
    if (strcmp(approvals, "none") && strcmp(approvals, "unit") && strcmp(approvals, "unit+platform"))
        return error_new(ERR_INVALID, "migration_approvals must be none, unit or unit+platform, not \"%s\"",
                         approvals);
    return NULL;
}

static struct error *start_work(struct daemon *daemon)
{
    static const struct job_type *const types[] = {&order_job,  &operate_job,       &sync_job, &archive_job,
                                                   &assess_job, &migration_job,     &wave_job, &export_job,
                                                   &import_job, &transfer_clean_job};
    const struct settings *settings = &daemon->settings;
    const struct job_runner_settings runner = {
        .conninfo = daemon->conninfo,
        .types = types,
        .type_count = sizeof types / sizeof *types,
        .workers = (unsigned)settings->job_workers,
        .context = &daemon->services,
        .clock = daemon->clock,
        .lock_path = arena_printf(daemon->arena, "%s/jobs.lock", settings->data_dir)};
    if (settings->job_workers)
        TRY(job_runner_start(&runner, &daemon->runner));
    daemon->maintenance_settings.conninfo = daemon->conninfo;
    daemon->maintenance_settings.auth = daemon->auth;
    daemon->maintenance_settings.metering = &daemon->services.control.metering;
    daemon->maintenance_settings.clock = daemon->clock;
    atomic_store(&daemon->maintenance_settings.sync_interval, settings->sync_interval);
    atomic_store(&daemon->maintenance_settings.close_months, settings->close_months);
    TRY(maintenance_start(&daemon->maintenance_settings, &daemon->maintenance));
    return settings->watch ? watch_start(daemon->conninfo, daemon->fleet, &daemon->watch) : NULL;
}

static struct error *start_server(struct daemon *daemon)
{
    const struct settings *settings = &daemon->settings;
    const char *certificate = settings->certificate, *key = settings->key;
    if (!certificate != !key)
        return error_new(ERR_INVALID, "certificate and key are configured together or not at all");
    if (!certificate) {
        certificate = arena_printf(daemon->arena, "%s/server.crt", settings->data_dir);
        key = arena_printf(daemon->arena, "%s/server.key", settings->data_dir);
        TRY(certificate_ensure(certificate, key, settings->server_names));
    }
    size_t tables, length;
    const char *items;
    struct server_settings server = {.address = settings->listen_address,
                                     .port = (int)settings->listen_port,
                                     .loops = (unsigned)settings->loops,
                                     .workers = (unsigned)settings->workers,
                                     .conninfo = daemon->conninfo,
                                     .certificate_file = certificate,
                                     .key_file = key,
                                     .auth = daemon->auth,
                                     .clock = daemon->clock,
                                     .context = &daemon->services,
                                     .limits.exports = (unsigned)settings->exports};
    server.tables = routes_all(&tables);
    server.table_count = tables;
    TRY(server_new(&server, &daemon->server));
    catalog_items_document(&items, &length);
    TRY(server_document(daemon->server, "/v1/catalog/items", "catalog:read", "application/json", items,
                        length));
    return server_start(daemon->server);
}

/* Written beside and renamed: whoever sees it sees it whole. */
static struct error *write_port(struct daemon *daemon)
{
    const char *path = daemon->settings.port_file;
    if (!path)
        return NULL;
    const char *beside = arena_printf(daemon->arena, "%s.new", path);
    FILE *file = fopen(beside, "we");
    bool good = file && fprintf(file, "%d\n", daemon_port(daemon)) > 0;
    if (file)
        good &= fclose(file) == 0;
    if (!good || rename(beside, path))
        return error_new(ERR_IO, "could not write %s: %s", path, strerror(errno));
    return NULL;
}

struct error *daemon_start(const struct settings *settings, struct daemon **ret_daemon)
{
    struct daemon *daemon = xcalloc(1, sizeof *daemon);
    daemon->settings = *settings;
    daemon->arena = arena_new();
    daemon->clock = clock_new(settings->clock_offset);
    struct error *(*const parts[])(struct daemon *) = {open_database, open_auth,    open_fleet,
                                                       start_work,    start_server, write_port};
    struct error *error = make_folder(settings->data_dir);
    for (size_t i = 0; !error && i < sizeof parts / sizeof *parts; i++)
        error = parts[i](daemon);
    db_close(daemon->db);
    daemon->db = NULL;
    if (error) {
        daemon_stop(daemon);
        return error;
    }
    if (settings->clock_offset)
        log_warning("clock.offset", LOG_INT("offset_us", settings->clock_offset));
    *ret_daemon = daemon;
    return NULL;
}

int daemon_port(const struct daemon *daemon)
{
    return server_port(daemon->server);
}

struct error *daemon_reload(struct daemon *daemon, const struct settings *settings)
{
    enum log_level level;
    TRY(log_level_parse(settings->log_level, &level));
    TRY(clock_set_offset(daemon->clock, settings->clock_offset));
    log_set_level(level);
    atomic_store(&daemon->maintenance_settings.sync_interval, settings->sync_interval);
    atomic_store(&daemon->maintenance_settings.close_months, settings->close_months);
    return server_reload(daemon->server);
}

/* Says which part of a stop took long: whoever stops the broker waits for all of it. */
static void tell_slow(const char *part, int64_t *since)
{
    int64_t now = moment_monotonic();
    if (now - *since > SLOW_STOP_US)
        log_warning("broker.stops-slowly", LOG_TEXT("part", part), LOG_INT("us", now - *since));
    *since = now;
}

void daemon_stop(struct daemon *daemon)
{
    if (!daemon)
        return;
    int64_t since = moment_monotonic(), until = since + daemon->settings.drain;
    if (daemon->server && !server_drain(daemon->server, daemon->settings.drain))
        log_warning("server.cut", LOG_TEXT("why", "calls were still running after the drain"));
    tell_slow("calls", &since);
    watch_stop(daemon->watch);
    tell_slow("watchers", &since);
    job_runner_stop(daemon->runner, until - since); /* what is left of one time for both */
    tell_slow("jobs", &since);
    links_free(daemon->services.links);
    maintenance_stop(daemon->maintenance);
    tell_slow("maintenance", &since);
    server_free(daemon->server);
    fleet_free(daemon->fleet);
    tell_slow("sessions at providers", &since);
    registry_free(daemon->registry);
    auth_free(daemon->auth);
    embedded_stop(daemon->embedded);
    tell_slow("database", &since);
    clock_free(daemon->clock);
    arena_free(daemon->arena);
    free(daemon);
}
