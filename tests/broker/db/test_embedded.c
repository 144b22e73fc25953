/* The embedded cluster's life: made, stopped, started again with its data; adopted from a broker that was
 * killed; recovered when its postmaster was killed; stale pid files; and what it refuses. Brokers that must
 * die are this executable run again with --broker. */
#include "broker/db/embedded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/moment.h"

#define AWAIT_US (60 * MOMENT_SECOND)

static char folder[] = "/tmp/yunqiao-embedded-XXXXXX";
static char *data_dir;
static const struct embedded_options fast = {.unsafe_fast = true, .max_connections = 20};

static struct embedded *start(const char *where)
{
    struct embedded *embedded;
    struct error *error = embedded_start(where, &fast, &embedded);
    if (error)
        fprintf(stderr, "%s\n", error_message(error)); /* cmocka would cut it */
    assert_null(error);
    return embedded;
}

static void refused(const char *where, const struct embedded_options *options, enum error_code code,
                    const char *words)
{
    struct embedded *embedded;
    struct error *error = embedded_start(where, options, &embedded);
    assert_non_null(error);
    if (error_code(error) != code || !strstr(error_message(error), words))
        fprintf(stderr, "%s\n", error_message(error)); /* cmocka would cut it */
    assert_string_equal(error_code_name(error_code(error)), error_code_name(code));
    assert_non_null(strstr(error_message(error), words));
    error_free(error);
}

/* Runs SQL as the owner; the first column of the first row, "" when there is none, NULL when it failed. */
static char *ask(const char *conninfo, const char *sql)
{
    PGconn *conn = PQconnectdb(conninfo);
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    char *answer = NULL;
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        answer = xstrdup(PQntuples(result) ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(conn);
    return answer;
}

static void check(const char *conninfo, const char *sql, const char *wanted)
{
    char *got = ask(conninfo, sql);
    assert_non_null(got);
    assert_string_equal(got, wanted);
    free(got);
}

static void a_moment(void)
{
    struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    (void)nanosleep(&pause, NULL); /* between looks of loops that have a bound */
}

/* Ended; whether its parent, which may be a lazy init, has reaped it does not matter. */
static bool process_is_gone(pid_t pid)
{
    char path[64], text[128];
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        (void)close(fd); /* read only */
    text[length > 0 ? length : 0] = '\0';
    const char *state = strstr(text, ") ");
    return !state || state[2] == 'Z' || state[2] == 'X';
}

static pid_t pid_of_file(void)
{
    char *path = xasprintf("%s/pg/postmaster.pid", data_dir);
    FILE *file = fopen(path, "re");
    free(path);
    char line[32];
    long pid = file && fgets(line, sizeof line, file) ? strtol(line, NULL, 10) : 0;
    if (file)
        (void)fclose(file); /* read only */
    return (pid_t)pid;
}

static void made_stopped_and_started_again(void **state)
{
    (void)state;
    struct embedded *embedded = start(data_dir);
    pid_t pid = embedded_pid(embedded);
    assert_true(pid > 0 && pid == pid_of_file());
    const char *owner = embedded_owner_conninfo(embedded);
    check(owner, "CREATE TABLE kept (n int)", "");
    check(owner, "INSERT INTO kept VALUES (7)", "");
    check(owner, "SHOW listen_addresses", "");
    check(owner, "SHOW server_encoding", "UTF8");
    check(owner, "SELECT current_setting('data_checksums')", "on");
    char *conninfo;
    assert_null(embedded_locate(data_dir, true, &conninfo));
    assert_string_equal(conninfo, owner);
    free(conninfo);
    struct stat status;
    char *socket = xasprintf("%s/socket", data_dir);
    assert_int_equal(stat(socket, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    free(socket);
    if (geteuid() == 0)
        assert_true(status.st_uid != 0);
    embedded_stop(embedded);
    assert_true(process_is_gone(pid));
    char *log = xasprintf("%s/pg.log", data_dir), *old = xasprintf("%s.1", log);
    assert_int_equal(truncate(log, 16 << 20), 0); /* a long log is put aside at the start */
    embedded = start(data_dir);
    check(embedded_owner_conninfo(embedded), "SELECT n FROM kept", "7");
    embedded_stop(embedded);
    assert_int_equal(stat(old, &status), 0);
    assert_true(stat(log, &status) == 0 && status.st_size < 1 << 20);
    free(log);
    free(old);
}

static void one_broker_at_a_time(void **state)
{
    (void)state;
    struct embedded *embedded = start(data_dir);
    refused(data_dir, &fast, ERR_BUSY, "another broker uses");
    check(embedded_owner_conninfo(embedded), "SELECT n FROM kept", "7"); /* and it was left alone */
    embedded_stop(embedded);
}

static _Noreturn void be_broker(const char *where)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* however the test ends */
    struct embedded *embedded;
    struct error *error = embedded_start(where, &fast, &embedded);
    if (error) {
        fprintf(stderr, "%s\n", error_message(error));
        _exit(1);
    }
    printf("ready\n");
    (void)fflush(stdout);
    for (;;)
        (void)pause(); /* until it is killed */
}

/* A broker in a process of its own, once its cluster is up. */
static pid_t spawn_broker(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char flag[] = "--broker", self[] = "test_embedded";
        char *argv[] = {self, flag, data_dir, NULL};
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)execv("/proc/self/exe", argv);
        _exit(127);
    }
    assert_true(pid > 0);
    (void)close(ends[1]);
    char line[16] = "";
    assert_true(read(ends[0], line, sizeof line - 1) > 0);
    assert_string_equal(line, "ready\n");
    (void)close(ends[0]);
    return pid;
}

static void kill_and_reap(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_killed_brokers_cluster_is_adopted(void **state)
{
    (void)state;
    pid_t broker = spawn_broker();
    pid_t postmaster = pid_of_file();
    kill_and_reap(broker);
    assert_false(process_is_gone(postmaster));
    struct embedded *embedded = start(data_dir);
    assert_int_equal(embedded_pid(embedded), postmaster);
    check(embedded_owner_conninfo(embedded), "SELECT n FROM kept", "7");
    embedded_stop(embedded);
    int64_t end = moment_monotonic() + AWAIT_US; /* its new parent reaps it */
    while (!process_is_gone(postmaster) && moment_monotonic() < end)
        a_moment();
    assert_true(process_is_gone(postmaster));
}

static void a_killed_postmaster_is_started_again(void **state)
{
    (void)state;
    struct embedded *embedded = start(data_dir);
    pid_t before = embedded_pid(embedded);
    check(embedded_owner_conninfo(embedded), "INSERT INTO kept VALUES (8)", "");
    assert_int_equal(kill(before, SIGKILL), 0);
    int64_t end = moment_monotonic() + AWAIT_US;
    while ((embedded_pid(embedded) == before || embedded_pid(embedded) == 0) && moment_monotonic() < end)
        a_moment();
    assert_true(embedded_pid(embedded) > 0 && embedded_pid(embedded) != before);
    check(embedded_owner_conninfo(embedded), "SELECT string_agg(n::text, ' ' ORDER BY n) FROM kept", "7 8");
    embedded_stop(embedded);
}

static void both_killed_is_recovered(void **state)
{
    (void)state;
    pid_t broker = spawn_broker();
    pid_t postmaster = pid_of_file();
    kill_and_reap(broker);
    assert_int_equal(kill(postmaster, SIGKILL), 0);
    struct embedded *embedded = start(data_dir); /* over a stale postmaster.pid, through recovery */
    assert_int_not_equal(embedded_pid(embedded), postmaster);
    check(embedded_owner_conninfo(embedded), "SELECT string_agg(n::text, ' ' ORDER BY n) FROM kept", "7 8");
    embedded_stop(embedded);
}

/* A stale postmaster.pid whose number now belongs to somebody else: that one is not touched. */
static void a_stale_pid_of_another_process(void **state)
{
    (void)state;
    pid_t bystander = fork();
    if (bystander == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            (void)pause();
    }
    assert_true(bystander > 0);
    char *path = xasprintf("%s/pg/postmaster.pid", data_dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct stat owner;
    char *pg = xasprintf("%s/pg", data_dir);
    assert_int_equal(stat(pg, &owner), 0);
    assert_int_equal(fchown(fd, owner.st_uid, owner.st_gid), 0);
    assert_true(dprintf(fd, "%ld\n%s\n1700000000\n5432\n/nowhere\n\n\n", (long)bystander, pg) > 0);
    (void)close(fd);
    struct embedded *embedded = start(data_dir);
    assert_int_not_equal(embedded_pid(embedded), bystander);
    embedded_stop(embedded);
    assert_false(process_is_gone(bystander));
    assert_int_equal(waitpid(bystander, NULL, WNOHANG), 0); /* not even a zombie */
    kill_and_reap(bystander);
    free(path);
    free(pg);
}

static void a_half_made_cluster_is_made_anew(void **state)
{
    (void)state;
    char *where = xasprintf("%s/half", folder), *fresh = xasprintf("%s/pg.new", where);
    char *file = xasprintf("%s/PG_VERSION", fresh);
    assert_int_equal(mkdir(where, 0711), 0);
    assert_int_equal(mkdir(fresh, 0700), 0);
    int fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    struct embedded *embedded = start(where);
    check(embedded_owner_conninfo(embedded), "SELECT 1", "1");
    embedded_stop(embedded);
    free(where);
    free(fresh);
    free(file);
}

static void a_long_path_gets_a_short_socket(void **state)
{
    (void)state;
    char *where =
        xasprintf("%s/a-folder-with-a-name-that-is-so-long-that-no-socket-address-could-ever-hold-its-path-"
                  "not-even-with-one-letter-more",
                  folder);
    struct embedded *embedded = start(where);
    check(embedded_app_conninfo(embedded) ? embedded_owner_conninfo(embedded) : "", "SELECT 1", "1");
    char *socket = ask(embedded_owner_conninfo(embedded), "SHOW unix_socket_directories");
    assert_int_equal(strncmp(socket, "/tmp/yunqiao-", 13), 0);
    embedded_stop(embedded);
    assert_int_equal(rmdir(socket), 0);
    free(socket);
    free(where);
}

static void what_it_refuses(void **state)
{
    (void)state;
    const struct embedded_options no_programs = {.bin_dir = "/nonexistent"};
    const struct embedded_options no_user = {.user = "no-such-user"}, root = {.user = "root"};
    char *where = xasprintf("%s/fresh", folder);
    refused(where, &no_programs, ERR_UNSUPPORTED, "install postgresql");
    refused("/nonexistent/deeper", &fast, ERR_IO, "could not make /nonexistent/deeper");
    if (geteuid() == 0) {
        refused(where, &no_user, ERR_UNSUPPORTED, "no-such-user");
        refused(where, &root, ERR_INVALID, "is root");
        char *closed = xasprintf("%s/closed", folder), *inner = xasprintf("%s/closed/data", folder);
        assert_int_equal(mkdir(closed, 0700), 0);
        refused(inner, &fast, ERR_DENIED, "closed does not let the user postgres pass");
        free(closed);
        free(inner);
    }
    free(where);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status; /* nftw's form */
    (void)type;
    (void)walk;
    return remove(path);
}

static int set_up(void **state)
{
    (void)state;
    char *found;
    struct error *error = embedded_find_binaries(NULL, NULL, &found);
    if (error) {
        fprintf(stderr, "%s\n", error_message(error));
        error_free(error);
        exit(77);
    }
    free(found);
    if (!mkdtemp(folder) || chmod(folder, 0711) < 0)
        return -1;
    data_dir = xasprintf("%s/data", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pid_t left = pid_of_file(); /* a failed test may have left one */
    if (left > 1)
        (void)kill(left, SIGQUIT);
    for (int i = 0; i < 500 && left > 1 && !process_is_gone(left); i++)
        a_moment();
    free(data_dir);
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--broker") == 0)
        be_broker(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_stopped_and_started_again),
        cmocka_unit_test(one_broker_at_a_time),
        cmocka_unit_test(a_killed_brokers_cluster_is_adopted),
        cmocka_unit_test(a_killed_postmaster_is_started_again),
        cmocka_unit_test(both_killed_is_recovered),
        cmocka_unit_test(a_stale_pid_of_another_process),
        cmocka_unit_test(a_half_made_cluster_is_made_anew),
        cmocka_unit_test(a_long_path_gets_a_short_socket),
        cmocka_unit_test(what_it_refuses),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
