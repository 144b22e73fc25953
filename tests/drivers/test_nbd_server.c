/* The NBD server against libnbd as its client, and against a client that breaks the protocol. The backend is
 * memory that notes what it is asked. */
#include "drivers/nbd_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <libnbd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/base/arena.h"

#define SIZE (3u << 20)
#define HOLE_FROM (1u << 20) /* the middle third reads as zeros */
#define HOLE_TO (2u << 20)

static char folder[] = "/tmp/yunqiao-nbd-XXXXXX", path[64];
static char disk[SIZE];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int opened, closed, flushed;
static uint64_t bad_from = UINT64_MAX; /* reading this byte fails */

static struct error *open_it(void *context, void **ret_handle)
{
    pthread_mutex_lock(&mutex);
    opened++;
    pthread_mutex_unlock(&mutex);
    *ret_handle = context;
    return NULL;
}

static void close_it(void *handle)
{
    pthread_mutex_lock(&mutex);
    closed++;
    pthread_mutex_unlock(&mutex);
}

static struct error *read_it(void *handle, uint64_t offset, void *data, size_t length)
{
    if (offset <= bad_from && bad_from < offset + length)
        return error_new(ERR_UNAVAILABLE, "a bad block");
    memcpy(data, (char *)handle + offset, length);
    return NULL;
}

static struct error *write_it(void *handle, uint64_t offset, const void *data, size_t length)
{
    memcpy((char *)handle + offset, data, length);
    return NULL;
}

static struct error *zero_it(void *handle, uint64_t offset, uint64_t length)
{
    memset((char *)handle + offset, 0, length);
    return NULL;
}

static struct error *flush_it(void *handle)
{
    flushed++;
    return NULL;
}

static struct error *extent_of_it(void *handle, uint64_t offset, uint64_t length, bool *ret_zero,
                                  uint64_t *ret_length)
{
    uint64_t end = offset < HOLE_FROM ? HOLE_FROM : offset < HOLE_TO ? HOLE_TO : SIZE;
    *ret_zero = offset >= HOLE_FROM && offset < HOLE_TO;
    *ret_length = end - offset < length ? end - offset : length;
    return NULL;
}

static struct nbd_server *start(bool writable)
{
    struct nbd_backend backend = {.name = "memory",
                                  .size = SIZE,
                                  .context = disk,
                                  .open = open_it,
                                  .close = close_it,
                                  .read = read_it,
                                  .extent = extent_of_it};
    if (writable) {
        backend.write = write_it;
        backend.zero = zero_it;
        backend.flush = flush_it;
    }
    struct nbd_server *server;
    struct error *error = nbd_server_start(path, &backend, &server);
    if (error)
        fail_msg("%s", error_message(error));
    return server;
}

static struct nbd_handle *connect_with(bool structured, bool contexts)
{
    struct nbd_handle *nbd = nbd_create();
    assert_int_equal(nbd_set_request_structured_replies(nbd, structured), 0);
    if (contexts)
        assert_int_equal(nbd_add_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION), 0);
    if (nbd_connect_unix(nbd, path) != 0)
        fail_msg("%s", nbd_get_error());
    return nbd;
}

static int set_up(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/disk.sock", folder);
    for (size_t i = 0; i < SIZE; i++)
        disk[i] = (char)(i * 31 + i / 4096);
    memset(disk + HOLE_FROM, 0, HOLE_TO - HOLE_FROM);
    return 0;
}

static int tear_down(void **state)
{
    return rmdir(folder); /* no socket is left */
}

static void reads_and_refuses_to_write(void **state)
{
    struct nbd_server *server = start(false);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    static char data[SIZE];
    for (int structured = 0; structured < 2; structured++) {
        struct nbd_handle *nbd = connect_with(structured, false);
        assert_int_equal(nbd_get_size(nbd), SIZE);
        assert_int_equal(nbd_is_read_only(nbd), 1);
        assert_int_equal(nbd_can_multi_conn(nbd), 1);
        assert_int_equal(nbd_get_structured_replies_negotiated(nbd), structured);
        memset(data, 0, sizeof data);
        assert_int_equal(nbd_pread(nbd, data, SIZE, 0, 0), 0);
        assert_memory_equal(data, disk, SIZE);
        assert_int_equal(nbd_pread(nbd, data, 1, SIZE - 1, 0), 0);
        assert_int_equal(data[0], disk[SIZE - 1]);
        nbd_set_strict_mode(nbd, 0); /* what a careful client would not send */
        assert_int_equal(nbd_pread(nbd, data, 2, SIZE - 1, 0), -1);
        assert_int_equal(nbd_get_errno(), EINVAL);
        assert_int_equal(nbd_pwrite(nbd, data, 10, 0, 0), -1);
        assert_int_equal(nbd_get_errno(), EPERM);
        bad_from = 4096;
        assert_int_equal(nbd_pread(nbd, data, 8192, 0, 0), -1);
        assert_int_equal(nbd_get_errno(), EIO);
        bad_from = UINT64_MAX;
        assert_int_equal(nbd_pread(nbd, data, 8192, 0, 0), 0); /* the connection lives on */
        assert_int_equal(nbd_shutdown(nbd, 0), 0);
        nbd_close(nbd);
    }
    nbd_server_stop(server);
    assert_int_equal(opened, closed);
}

struct told {
    uint32_t words[16];
    size_t count;
};

static int note_extents(void *data, const char *context, uint64_t offset, uint32_t *entries, size_t count,
                        int *error)
{
    struct told *told = data;
    assert_string_equal(context, LIBNBD_CONTEXT_BASE_ALLOCATION);
    assert_true(count <= 16);
    memcpy(told->words, entries, count * sizeof *entries);
    told->count = count;
    return 0;
}

static void tells_holes(void **state)
{
    struct nbd_server *server = start(false);
    struct nbd_handle *nbd = connect_with(true, true);
    assert_int_equal(nbd_can_meta_context(nbd, LIBNBD_CONTEXT_BASE_ALLOCATION), 1);
    struct told told = {0};
    nbd_extent_callback callback = {.callback = note_extents, .user_data = &told};
    assert_int_equal(nbd_block_status(nbd, SIZE - 4096, 4096, callback, 0), 0);
    const uint32_t expected[] = {HOLE_FROM - 4096, 0, HOLE_TO - HOLE_FROM, 3, SIZE - HOLE_TO, 0};
    assert_int_equal(told.count, 6);
    assert_memory_equal(told.words, expected, sizeof expected);
    assert_int_equal(nbd_block_status(nbd, 8192, HOLE_FROM, callback, LIBNBD_CMD_FLAG_REQ_ONE), 0);
    assert_int_equal(told.count, 2);
    assert_int_equal(told.words[0], 8192);
    assert_int_equal(told.words[1], 3);
    nbd_close(nbd);
    nbd_server_stop(server);
}

static void writes(void **state)
{
    struct nbd_server *server = start(true);
    struct nbd_handle *one = connect_with(true, false), *two = connect_with(false, false);
    char data[1000], back[1000];
    memset(data, 'w', sizeof data);
    assert_int_equal(nbd_pwrite(one, data, sizeof data, 777, 0), 0);
    assert_int_equal(nbd_pread(two, back, sizeof back, 777, 0), 0);
    assert_memory_equal(data, back, sizeof data);
    int before = flushed;
    assert_int_equal(nbd_pwrite(one, data, 10, 0, LIBNBD_CMD_FLAG_FUA), 0);
    assert_int_equal(nbd_flush(two, 0), 0);
    assert_int_equal(flushed, before + 2);
    assert_int_equal(nbd_zero(one, 500, 1000, 0), 0);
    assert_int_equal(nbd_pread(two, back, 500, 1000, 0), 0);
    memset(data, 0, sizeof data);
    assert_memory_equal(data, back, 500);
    nbd_set_strict_mode(one, 0);
    assert_int_equal(nbd_pwrite(one, data, 10, SIZE - 5, 0), -1);
    assert_int_equal(nbd_get_errno(), ENOSPC);
    nbd_close(one);
    nbd_close(two);
    nbd_server_stop(server);
}

static int raw_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, path, strlen(path));
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 10};
    setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

/* Sends it after the hello and reads until the server hangs up. */
static void provoke(const char *bytes, size_t length)
{
    int client = raw_connect();
    char answer[4096];
    size_t hello = 0;
    while (hello < 18) {
        ssize_t got = recv(client, answer, 18 - hello, 0);
        assert_true(got > 0);
        hello += (size_t)got;
    }
    assert_true(send(client, bytes, length, MSG_NOSIGNAL) == (ssize_t)length);
    shutdown(client, SHUT_WR);
    ssize_t got;
    while ((got = recv(client, answer, sizeof answer, 0)) > 0)
        ;
    assert_true(got == 0 || errno == ECONNRESET); /* and not out of patience */
    close(client);
}

static void bears_bad_clients(void **state)
{
    struct nbd_server *server = start(true);
#define FLAGS "\0\0\0\3"
#define OPTION "IHAVEOPT"
    static const struct {
        const char *bytes;
        size_t length;
    } bad[] = {
#define BAD(text) {text, sizeof(text) - 1}
        BAD(""),
        BAD("\xff\xff\xff\xff"),
        BAD(FLAGS "IHAVENOT\0\0\0\7\0\0\0\0"),
        BAD(FLAGS OPTION "\0\0\0\7\xff\xff\xff\xff"),
        BAD(FLAGS OPTION "\0\0\0\7\0\0\0\4\xff\xff\xff\xff"),
        BAD(FLAGS OPTION "\0\0\0\7\0\0\0\6\xff\xff\xff\xf0\0\0"),
        BAD(FLAGS OPTION "\0\0\0\x0a\0\0\0\x08\0\0\0\0\xff\xff\xff\xff"),
        BAD(FLAGS OPTION "\0\0\0\x08\0\0\0\0" OPTION "\0\0\0\x0a\0\0\0\x0c\0\0\0\0\0\0\0\1\xff\xff\xff\xff"),
        BAD(FLAGS OPTION "\0\0\0\1\0\0\0\0"
                         "not a request, that is certain"),
        /* a write of 4 GB, a read of 4 GB, an unknown command */
        BAD(FLAGS OPTION "\0\0\0\1\0\0\0\0"
                         "\x25\x60\x95\x13\0\0\0\1xxxxxxxx\0\0\0\0\0\0\0\0\xff\xff\xff\xff"),
        BAD(FLAGS OPTION "\0\0\0\1\0\0\0\0"
                         "\x25\x60\x95\x13\0\0\0\0xxxxxxxx\0\0\0\0\0\0\0\0\xff\xff\xff\xff"),
        BAD(FLAGS OPTION "\0\0\0\1\0\0\0\0"
                         "\x25\x60\x95\x13\0\0\0\x63xxxxxxxx\0\0\0\0\0\0\0\0\0\0\0\1"),
        BAD(FLAGS OPTION "\0\0\0\1\0\0\0\0"
                         "\x25\x60\x95\x13\0\0\0\1xxxxxxxx\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\1x"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        provoke(bad[i].bytes, bad[i].length);
    struct nbd_handle *nbd = connect_with(true, true);
    char data[10];
    assert_int_equal(nbd_pread(nbd, data, sizeof data, 0, 0), 0);
    nbd_close(nbd);
    nbd_server_stop(server);
}

static void turns_away_a_crowd_and_stops_with_clients(void **state)
{
    struct nbd_server *server = start(false);
    struct nbd_handle *crowd[NBD_CONNECTIONS_MAX];
    for (size_t i = 0; i < NBD_CONNECTIONS_MAX; i++)
        crowd[i] = connect_with(true, false);
    struct nbd_handle *late = nbd_create();
    assert_int_equal(nbd_connect_unix(late, path), -1);
    nbd_close(late);
    int idle = raw_connect(); /* in the middle of its handshake */
    nbd_server_stop(server);
    char data[10];
    assert_int_equal(nbd_pread(crowd[0], data, sizeof data, 0, 0), -1);
    for (size_t i = 0; i < NBD_CONNECTIONS_MAX; i++)
        nbd_close(crowd[i]);
    close(idle);
    assert_int_equal(opened, closed);
    nbd_server_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_refuses_to_write),
        cmocka_unit_test(tells_holes),
        cmocka_unit_test(writes),
        cmocka_unit_test(bears_bad_clients),
        cmocka_unit_test(turns_away_a_crowd_and_stops_with_clients),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
