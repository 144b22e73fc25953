/* See tls_peer.h. Any failure of its own set-up ends the test's process: a test cannot go on without its
 * peer. */
#include "tests/support/tls_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_MAX (1024 * 1024)

struct tls_peer {
    SSL_CTX *context;
    SSL *ssl; /* of the present connection, the thread's own */
    int listener, client;
    int stop_pipe[2];
    int port;
    char fingerprint[65];
    char ca_file[64];
    tls_peer_handler *handler;
    pthread_t thread;
    atomic_uint connections, requests;
};

static void must(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "tls_peer: %s failed (errno %d)\n", what, errno);
        abort();
    }
}

static void make_certificate(struct tls_peer *peer)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    must(key && certificate, "a key and a certificate");
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    must(names && X509_add_ext(certificate, names, -1), "the certificate's name");
    X509_EXTENSION_free(names);
    must(X509_sign(certificate, key, EVP_sha256()) > 0, "signing");
    must(SSL_CTX_use_certificate(peer->context, certificate) == 1, "using the certificate");
    must(SSL_CTX_use_PrivateKey(peer->context, key) == 1, "using the key");
    unsigned char digest[32];
    unsigned length = 0;
    must(X509_digest(certificate, EVP_sha256(), digest, &length) == 1 && length == 32, "the digest");
    for (unsigned i = 0; i < length; i++)
        snprintf(peer->fingerprint + 2 * i, 3, "%02x", digest[i]);
    snprintf(peer->ca_file, sizeof peer->ca_file, "/tmp/tls-peer-XXXXXX");
    int file = mkstemp(peer->ca_file);
    FILE *stream = file < 0 ? NULL : fdopen(file, "w");
    must(stream && PEM_write_X509(stream, certificate) == 1 && fclose(stream) == 0, "writing the CA file");
    X509_free(certificate);
    EVP_PKEY_free(key);
}

bool tls_peer_write(struct tls_peer *peer, const void *data, size_t length)
{
    size_t written = 0;
    return length == 0 || SSL_write_ex(peer->ssl, data, length, &written) == 1;
}

/* True when the client has something (or has closed), false when the peer is to stop. */
static bool wait_for(struct tls_peer *peer, int fd)
{
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = peer->stop_pipe[0], .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        must(errno == EINTR, "poll");
    return !fds[1].revents;
}

void tls_peer_hang(struct tls_peer *peer)
{
    (void)wait_for(peer, peer->client); /* either end is what was waited for */
}

/* Reads until the blank line and the body that Content-Length names; 0 at the end. */
static size_t read_request(struct tls_peer *peer, char *buffer, struct tls_peer_request *request)
{
    size_t have = 0, need = 0;
    char *blank = NULL;
    while (!blank || have < need) {
        if (have == REQUEST_MAX || (!SSL_pending(peer->ssl) && !wait_for(peer, peer->client)))
            return 0;
        size_t got = 0;
        if (SSL_read_ex(peer->ssl, buffer + have, REQUEST_MAX - have, &got) != 1)
            return 0;
        have += got;
        buffer[have] = '\0';
        if (blank)
            continue;
        blank = strstr(buffer, "\r\n\r\n");
        if (!blank)
            continue;
        const char *length = strcasestr(buffer, "\r\nContent-Length:");
        need = (size_t)(blank - buffer) + 4 + (length && length < blank ? strtoul(length + 17, NULL, 10) : 0);
    }
    blank[2] = '\0';
    request->body = blank + 4;
    request->length = have - (size_t)(blank + 4 - buffer);
    char *line_end = strstr(buffer, "\r\n"), *save = NULL;
    *line_end = '\0';
    request->headers = line_end + 2;
    request->method = strtok_r(buffer, " ", &save);
    request->path = strtok_r(NULL, " ", &save);
    return have;
}

static void serve(struct tls_peer *peer)
{
    peer->ssl = SSL_new(peer->context);
    must(peer->ssl && SSL_set_fd(peer->ssl, peer->client) == 1, "SSL_new");
    if (SSL_accept(peer->ssl) == 1) {
        atomic_fetch_add(&peer->connections, 1);
        char *buffer = calloc(1, REQUEST_MAX + 1);
        must(buffer, "calloc");
        struct tls_peer_request request;
        while (read_request(peer, buffer, &request)) {
            atomic_fetch_add(&peer->requests, 1);
            if (!peer->handler(peer, &request))
                break;
        }
        free(buffer);
    }
    SSL_free(peer->ssl);
    close(peer->client);
}

static void *run(void *context)
{
    struct tls_peer *peer = context;
    while (wait_for(peer, peer->listener)) {
        peer->client = accept4(peer->listener, NULL, NULL, SOCK_CLOEXEC);
        if (peer->client >= 0)
            serve(peer);
    }
    return NULL;
}

struct tls_peer *tls_peer_start(tls_peer_handler *handler)
{
    struct tls_peer *peer = calloc(1, sizeof *peer);
    must(peer, "calloc");
    signal(SIGPIPE, SIG_IGN);
    peer->handler = handler;
    peer->context = SSL_CTX_new(TLS_server_method());
    must(peer->context, "SSL_CTX_new");
    make_certificate(peer);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(peer->listener >= 0 && bind(peer->listener, (struct sockaddr *)&address, length) == 0, "bind");
    must(listen(peer->listener, 8) == 0, "listen");
    must(getsockname(peer->listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    peer->port = ntohs(address.sin_port);
    must(pipe2(peer->stop_pipe, O_CLOEXEC) == 0, "pipe");
    must(pthread_create(&peer->thread, NULL, run, peer) == 0, "pthread_create");
    return peer;
}

void tls_peer_stop(struct tls_peer *peer)
{
    must(write(peer->stop_pipe[1], "", 1) == 1, "stopping");
    pthread_join(peer->thread, NULL);
    close(peer->listener);
    close(peer->stop_pipe[0]);
    close(peer->stop_pipe[1]);
    SSL_CTX_free(peer->context);
    unlink(peer->ca_file);
    free(peer);
}

int tls_peer_port(const struct tls_peer *peer)
{
    return peer->port;
}

const char *tls_peer_fingerprint(const struct tls_peer *peer)
{
    return peer->fingerprint;
}

const char *tls_peer_ca_file(const struct tls_peer *peer)
{
    return peer->ca_file;
}

unsigned tls_peer_connections(const struct tls_peer *peer)
{
    return atomic_load(&peer->connections);
}

unsigned tls_peer_requests(const struct tls_peer *peer)
{
    return atomic_load(&peer->requests);
}
