/* See pg.h. */
#include "tests/support/pg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/log.h"
#include "broker/db/embedded.h"
#include "broker/db/migrate.h"
#include "tests/support/sql.h"

struct pg {
    char *folder;
    char *data_dir;
    struct embedded *embedded;
    pid_t maker;   /* the process that started it: children that fork from it must not stop it */
    pid_t janitor; /* outlives a killed test */
    int lifeline;  /* its pipe: closed when the last of us is gone */
};

static struct pg *started; /* for atexit; one cluster a test executable */

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status; /* nftw's form */
    (void)type;
    (void)walk;
    return remove(path);
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT); /* what stays is in /tmp */
}

static pid_t read_pid(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[32];
    long pid = file && fgets(line, sizeof line, file) ? strtol(line, NULL, 10) : 0;
    if (file)
        (void)fclose(file); /* read only */
    return pid > 1 ? (pid_t)pid : 0;
}

/* Waits for the end of the test however it ends, then kills what it left. */
static _Noreturn void be_janitor(const char *folder, int pipe_end)
{
    char byte, path[512];
    (void)setsid(); /* an interrupt of the terminal ends the test, not this */
    while (read(pipe_end, &byte, 1) < 0 && errno == EINTR)
        ;
    (void)snprintf(path, sizeof path, "%s/data/pg/postmaster.pid", folder);
    for (int i = 0; i < 500; i++) { /* 10 s; a cluster that is just starting writes its pid first */
        pid_t pid = read_pid(path);
        if (!pid || kill(pid, SIGQUIT) < 0)
            break;
        (void)usleep(20000); /* it is not our child: nothing else tells */
    }
    remove_tree(folder);
    _exit(0);
}

static void start_janitor(struct pg *pg)
{
    int ends[2];
    if (pipe(ends) < 0) {
        perror("pipe");
        exit(1);
    }
    pg->janitor = fork();
    if (pg->janitor == 0) {
        (void)close(ends[1]);
        for (int fd = 3; fd < 1024; fd++) {
            if (fd != ends[0])
                (void)close(fd); /* hold nothing of the test's */
        }
        be_janitor(pg->folder, ends[0]);
    }
    (void)close(ends[0]);
    pg->lifeline = ends[1];
    if (fcntl(pg->lifeline, F_SETFD, FD_CLOEXEC) < 0)
        perror("fcntl");
}

static void stop_at_exit(void)
{
    if (started && started->maker == getpid())
        pg_stop(started);
}

static void end_with(struct error *error)
{
    fprintf(stderr, "no PostgreSQL for this test: %s\n", error_message(error));
    int status = error_code(error) == ERR_UNSUPPORTED ? 77 : 1;
    error_free(error);
    exit(status);
}

struct pg *pg_start_empty(void)
{
    const char *base = getenv("TMPDIR");
    struct pg *pg = xcalloc(1, sizeof *pg);
    pg->folder = xasprintf("%s/yunqiao-pg-XXXXXX", base && *base ? base : "/tmp");
    pg->maker = getpid();
    if (!mkdtemp(pg->folder) || chmod(pg->folder, 0711) < 0) { /* the cluster's user passes through */
        perror(pg->folder);
        exit(1);
    }
    pg->data_dir = xasprintf("%s/data", pg->folder);
    start_janitor(pg);
    if (!started)
        (void)atexit(stop_at_exit); /* cannot fail: the first of few */
    started = pg;
    struct embedded_options options = {.unsafe_fast = true, .max_connections = 60};
    struct error *error = embedded_start(pg->data_dir, &options, &pg->embedded);
    if (error)
        end_with(error);
    return pg;
}

struct pg *pg_start(void)
{
    struct pg *pg = pg_start_empty();
    log_set_level(LOG_WARNING); /* a line for each migration helps nobody here */
    struct error *error = migrate(pg_owner_conninfo(pg), migrations, migration_count, NULL);
    if (error)
        end_with(error);
    log_set_level(LOG_INFO);
    return pg;
}

void pg_stop(struct pg *pg)
{
    if (!pg)
        return;
    sql_end();
    embedded_stop(pg->embedded);
    (void)close(pg->lifeline); /* the janitor removes the folder */
    while (waitpid(pg->janitor, NULL, 0) < 0 && errno == EINTR)
        ;
    if (started == pg)
        started = NULL;
    free(pg->folder);
    free(pg->data_dir);
    free(pg);
}

const char *pg_conninfo(const struct pg *pg)
{
    return embedded_app_conninfo(pg->embedded);
}

const char *pg_owner_conninfo(const struct pg *pg)
{
    return embedded_owner_conninfo(pg->embedded);
}

const char *pg_folder(const struct pg *pg)
{
    return pg->folder;
}

pid_t pg_postmaster(const struct pg *pg)
{
    return embedded_pid(pg->embedded);
}

void pg_exec(const struct pg *pg, const char *sql)
{
    free(pg_value(pg, sql));
}

char *pg_value(const struct pg *pg, const char *sql)
{
    return sql_value(pg_owner_conninfo(pg), sql);
}

int64_t pg_number(const struct pg *pg, const char *sql)
{
    char *text = pg_value(pg, sql);
    char *end;
    int64_t number = strtoll(text, &end, 10);
    if (!*text || *end) {
        print_error("%s: \"%s\" is no number\n", sql, text);
        free(text);
        fail();
    }
    free(text);
    return number;
}
