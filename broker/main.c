/* yunqiaod: reads its settings, starts the broker, and waits for signals. SIGTERM and SIGINT drain and stop,
 * a second one ends at once; SIGHUP reads the reloadable settings again. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/daemon/daemon.h"

#define DEFAULT_FILE "/etc/yunqiao/yunqiaod.conf"

static int complain(struct error *error)
{
    (void)fprintf(stderr, "yunqiaod: %s\n", error_message(error));
    int code = error_code(error) == ERR_INVALID ? 2 : 1;
    error_free(error);
    return code;
}

/* Blocked in every thread, so that only sigwait sees them. */
static void block_signals(sigset_t *signals)
{
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, signals, NULL); /* the set is valid */
    (void)signal(SIGPIPE, SIG_IGN);
}

static void reload(struct config *config, struct settings *settings, struct daemon *daemon)
{
    struct error *error = config_reload(config, settings);
    if (!error)
        error = daemon_reload(daemon, settings);
    if (error)
        log_error("settings.not-reloaded", LOG_CAUSE(error));
    else
        log_info("settings.reloaded", LOG_INT("clock_offset_us", settings->clock_offset));
    error_free(error);
}

static void wait_for_end(const sigset_t *signals, struct config *config, struct settings *settings,
                         struct daemon *daemon)
{
    int got = 0;
    while (!sigwait(signals, &got) && got == SIGHUP)
        reload(config, settings, daemon);
    log_info("broker.stopping", LOG_INT("signal", got));
    (void)signal(SIGTERM, SIG_DFL); /* a second signal ends at once */
    (void)signal(SIGINT, SIG_DFL);
    (void)pthread_sigmask(SIG_UNBLOCK, signals, NULL);
}

static int run(struct config *config, struct settings *settings)
{
    sigset_t signals;
    enum log_level level;
    struct daemon *daemon;
    struct error *error = log_level_parse(settings->log_level, &level);
    if (error)
        return complain(error);
    log_set_level(level);
    block_signals(&signals);
    error = daemon_start(settings, &daemon);
    if (error)
        return complain(error);
    log_info("broker.ready", LOG_INT("port", daemon_port(daemon)), LOG_INT("pid", getpid()));
    wait_for_end(&signals, config, settings, daemon);
    daemon_stop(daemon);
    log_info("broker.stopped", LOG_INT("pid", getpid()));
    return 0;
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct config *config = NULL;
    enum config_action action;
    char **rest;
    struct error *error =
        config_load(&settings_table, argc, argv, DEFAULT_FILE, &settings, &config, &action, &rest);
    if (!error && *rest)
        error = error_new(ERR_INVALID, "\"%s\" is not an option; --help lists them", *rest);
    if (error) {
        config_free(config);
        return complain(error);
    }
    int code = 0;
    if (action == CONFIG_HELP)
        config_print_help(&settings_table, stdout);
    else if (action == CONFIG_MANUAL)
        config_print_manual(&settings_table, stdout);
    else if (action == CONFIG_VERSION)
        (void)puts("yunqiaod " YUNQIAO_VERSION);
    else
        code = run(config, &settings);
    config_free(config);
    return code;
}
