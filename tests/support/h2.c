/* See h2.h. */
#include "tests/support/h2.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STREAMS_MAX 4096
#define DEADLINE_MS 20000

struct sending {
    const char *bytes;
    size_t left;
    bool unfinished;
};

struct h2_client {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
    nghttp2_session *session;
    struct h2_reply replies[STREAMS_MAX]; /* by id / 2 */
    struct sending sending[STREAMS_MAX];
    bool closed, discard;
    int64_t goaway;
    int32_t last_stream;
};

static _Thread_local int last_alert;

static void die(const char *what)
{
    fprintf(stderr, "h2 client: %s\n", what);
    ERR_print_errors_fp(stderr);
    abort();
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct h2_reply *reply_of(struct h2_client *client, int32_t stream)
{
    if (stream < 1 || stream / 2 >= STREAMS_MAX)
        die("too many streams");
    return &client->replies[stream / 2];
}

static void add(char **text, size_t *length, const void *bytes, size_t more)
{
    char *grown = realloc(*text, *length + more + 1);
    if (!grown)
        die("out of memory");
    memcpy(grown + *length, bytes, more);
    *length += more;
    grown[*length] = '\0';
    *text = grown;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
                     void *context)
{
    (void)session, (void)flags;
    struct h2_reply *reply = reply_of(context, frame->hd.stream_id);
    if (name_length == 7 && memcmp(name, ":status", 7) == 0)
        reply->status = (int)strtol((const char *)value, NULL, 10);
    size_t length = reply->headers ? strlen(reply->headers) : 0;
    add(&reply->headers, &length, name, name_length);
    add(&reply->headers, &length, ": ", 2);
    add(&reply->headers, &length, value, value_length);
    add(&reply->headers, &length, "\n", 1);
    return 0;
}

uint64_t h2_sum(uint64_t sum, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ at[i]) * UINT64_C(1099511628211);
    return sum;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t length, void *context)
{
    (void)session, (void)flags;
    struct h2_client *client = context;
    struct h2_reply *reply = reply_of(client, stream);
    reply->sum = h2_sum(reply->length ? reply->sum : H2_SUM, bytes, length);
    if (client->discard && reply->status == 200) {
        reply->length += length;
        return 0;
    }
    add(&reply->body, &reply->length, bytes, length);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t code, void *context)
{
    (void)session;
    struct h2_reply *reply = reply_of(context, stream);
    reply->done = true;
    reply->reset_code = code;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    struct h2_client *client = context;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        client->goaway = frame->goaway.error_code;
        client->last_stream = frame->goaway.last_stream_id;
    }
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        reply_of(client, frame->hd.stream_id)->reset = true;
    return 0;
}

static nghttp2_session *session_new(struct h2_client *client, const struct h2_options *options)
{
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&option))
        die("out of memory");
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_option_set_no_auto_window_update(option, options->no_window_update);
    nghttp2_option_set_max_send_header_block_length(option, (size_t)16 << 20);
    nghttp2_session *session;
    if (nghttp2_session_client_new2(&session, callbacks, client, option))
        die("no session");
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)options->window};
    if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, &window, options->window ? 1 : 0))
        die("no settings");
    return session;
}

static SSL_CTX *context_new(const struct h2_options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    static const unsigned char h2[] = {2, 'h', '2'};
    if (!context || (!options->no_alpn && SSL_CTX_set_alpn_protos(context, h2, sizeof h2)))
        die("no TLS context");
    if (options->certificate_file &&
        (SSL_CTX_use_certificate_chain_file(context, options->certificate_file) != 1 ||
         SSL_CTX_use_PrivateKey_file(context, options->key_file, SSL_FILETYPE_PEM) != 1))
        die("no client certificate");
    return context;
}

static int dial(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        die("could not connect");
    int on = 1; /* a small WINDOW_UPDATE must not wait for an acknowledgement */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct timeval limit = {.tv_sec = DEADLINE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

struct h2_client *h2_open(int port, const struct h2_options *options)
{
    static const struct h2_options plain = {0};
    options = options ? options : &plain;
    struct h2_client *client = calloc(1, sizeof *client);
    if (!client)
        die("out of memory");
    client->goaway = -1;
    client->discard = options->discard;
    signal(SIGPIPE, SIG_IGN); /* the server may close while the client writes */
    client->fd = dial(port);
    client->context = context_new(options);
    client->ssl = SSL_new(client->context);
    ERR_clear_error();
    last_alert = 0;
    if (!client->ssl || !SSL_set_fd(client->ssl, client->fd))
        die("no TLS");
    bool connected = SSL_connect(client->ssl) == 1;
    if (connected && options->no_alpn) { /* TLS 1.3: the server's verdict comes after our part */
        char byte;
        connected = SSL_read(client->ssl, &byte, 1) > 0;
    }
    if (!connected) {
        unsigned long error = ERR_peek_error();
        if (ERR_GET_REASON(error) > SSL_AD_REASON_OFFSET)
            last_alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
        ERR_clear_error();
        h2_close(client);
        return NULL;
    }
    client->session = session_new(client, options);
    return client;
}

int h2_alert(void)
{
    return last_alert;
}

void h2_close(struct h2_client *client)
{
    if (!client)
        return;
    nghttp2_session_del(client->session);
    SSL_free(client->ssl);
    SSL_CTX_free(client->context);
    close(client->fd);
    for (size_t i = 0; i < STREAMS_MAX; i++) {
        free(client->replies[i].body);
        free(client->replies[i].headers);
    }
    free(client);
}

bool h2_raw(struct h2_client *client, const void *bytes, size_t length)
{
    if (client->closed)
        return false;
    ERR_clear_error();
    if (length && SSL_write(client->ssl, bytes, (int)length) <= 0)
        client->closed = true;
    ERR_clear_error();
    return !client->closed;
}

static void flush(struct h2_client *client)
{
    const uint8_t *bytes;
    ssize_t length;
    while (!client->closed && (length = nghttp2_session_mem_send(client->session, &bytes)) > 0)
        (void)h2_raw(client, bytes, (size_t)length);
}

/* One read; false when nothing came in `ms` or the server has closed. */
static bool pump(struct h2_client *client, int ms)
{
    static _Thread_local char bytes[16384];
    flush(client);
    if (client->closed)
        return false;
    if (!SSL_pending(client->ssl)) {
        struct pollfd wait = {.fd = client->fd, .events = POLLIN};
        if (poll(&wait, 1, ms) <= 0)
            return false;
    }
    ERR_clear_error();
    int length = SSL_read(client->ssl, bytes, sizeof bytes);
    ERR_clear_error();
    if (length <= 0 || nghttp2_session_mem_recv(client->session, (uint8_t *)bytes, (size_t)length) < 0)
        client->closed = true;
    flush(client);
    return !client->closed;
}

static ssize_t provide(nghttp2_session *session, int32_t stream, uint8_t *bytes, size_t most, uint32_t *flags,
                       nghttp2_data_source *source, void *context)
{
    (void)session, (void)stream, (void)context;
    struct sending *sending = source->ptr;
    size_t length = sending->left < most ? sending->left : most;
    if (!length && sending->unfinished)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(bytes, sending->bytes, length);
    sending->bytes += length;
    sending->left -= length;
    if (!sending->left && !sending->unfinished)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)length;
}

static nghttp2_nv pair(const char *name, const char *value)
{
    union {
        const char *text;
        uint8_t *bytes;
    } n = {.text = name}, v = {.text = value};
    return (nghttp2_nv){n.bytes, v.bytes, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

int32_t h2_send(struct h2_client *client, const struct h2_request *request)
{
    nghttp2_nv fields[4200];
    size_t count = 0;
    char bearer[9000];
    fields[count++] = pair(":method", request->method);
    fields[count++] = pair(":scheme", "https");
    fields[count++] = pair(":authority", "localhost");
    fields[count++] = pair(":path", request->path);
    if (request->token) {
        snprintf(bearer, sizeof bearer, "Bearer %s", request->token);
        fields[count++] = pair("authorization", bearer);
    }
    for (const char *const *at = request->headers; at && *at; at += 2)
        fields[count++] = pair(at[0], at[1]);
    int32_t next = (int32_t)nghttp2_session_get_next_stream_id(client->session);
    (void)reply_of(client, next);
    struct sending *sending = &client->sending[next / 2];
    *sending = (struct sending){request->body, request->length, request->unfinished};
    nghttp2_data_provider provider = {.source.ptr = sending, .read_callback = provide};
    bool body = request->body || request->unfinished;
    int32_t stream =
        nghttp2_submit_request(client->session, NULL, fields, count, body ? &provider : NULL, NULL);
    if (stream != next)
        die("the request was not taken");
    flush(client);
    return stream;
}

void h2_reset(struct h2_client *client, int32_t stream)
{
    (void)nghttp2_submit_rst_stream(client->session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
    flush(client);
}

const struct h2_reply *h2_wait(struct h2_client *client, int32_t stream)
{
    struct h2_reply *reply = reply_of(client, stream);
    for (int64_t until = now_ms() + DEADLINE_MS; !reply->done && !client->closed && now_ms() < until;)
        (void)pump(client, 100);
    return reply;
}

const struct h2_reply *h2_peek(struct h2_client *client, int32_t stream)
{
    return reply_of(client, stream);
}

bool h2_wait_text(struct h2_client *client, int32_t stream, const char *text)
{
    struct h2_reply *reply = reply_of(client, stream);
    for (int64_t until = now_ms() + DEADLINE_MS; now_ms() < until;) {
        if (reply->body && strstr(reply->body, text))
            return true;
        if (reply->done || client->closed)
            return false;
        (void)pump(client, 100);
    }
    return false;
}

bool h2_has_text(struct h2_client *client, int32_t stream, const char *text)
{
    const struct h2_reply *reply = reply_of(client, stream);
    return reply->body && strstr(reply->body, text);
}

const char *h2_header(const struct h2_reply *reply, const char *name)
{
    static _Thread_local char value[9000];
    size_t length = strlen(name);
    for (const char *at = reply->headers; at && *at; at = strchr(at, '\n') + 1)
        if (strncmp(at, name, length) == 0 && at[length] == ':') {
            snprintf(value, sizeof value, "%.*s", (int)strcspn(at + length + 2, "\n"), at + length + 2);
            return value;
        }
    return NULL;
}

const struct h2_reply *h2_call(struct h2_client *client, const struct h2_request *request)
{
    return h2_wait(client, h2_send(client, request));
}

const struct h2_reply *h2_get(struct h2_client *client, const char *path, const char *token)
{
    return h2_call(client, &(struct h2_request){.method = "GET", .path = path, .token = token});
}

bool h2_until_closed(struct h2_client *client, int ms)
{
    for (int64_t until = now_ms() + ms; !client->closed && now_ms() < until;)
        (void)pump(client, 50);
    return client->closed;
}

void h2_poll(struct h2_client *client, int ms)
{
    while (pump(client, ms))
        ;
}

bool h2_poll_once(struct h2_client *client, int ms)
{
    return pump(client, ms);
}

void h2_open_window(struct h2_client *client)
{
    for (int32_t i = 0; i < STREAMS_MAX; i++)
        if (client->replies[i].length && !client->replies[i].done)
            (void)nghttp2_session_set_local_window_size(client->session, NGHTTP2_FLAG_NONE, 2 * i + 1,
                                                        INT32_MAX);
    (void)nghttp2_session_set_local_window_size(client->session, NGHTTP2_FLAG_NONE, 0, INT32_MAX);
    flush(client);
}

int32_t h2_last_stream(const struct h2_client *client)
{
    return client->last_stream;
}

int64_t h2_goaway(const struct h2_client *client)
{
    return client->goaway;
}

int h2_fd(const struct h2_client *client)
{
    return client->fd;
}
