/* See tls.h. The BIO below is the "memory": it reads from where the socket's bytes already are and writes to
 * where they leave from, so nothing is copied twice. */
#include "broker/http/tls.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"

static int memory_write(BIO *bio, const char *bytes, int length)
{
    struct tls *tls = BIO_get_data(bio);
    if (length <= 0)
        return 0;
    size_t needed = tls->out_length + (size_t)length;
    if (needed > tls->out_capacity) {
        size_t capacity = tls->out_capacity ? tls->out_capacity : 4096;
        while (capacity < needed)
            capacity *= 2;
        tls->out = xrealloc(tls->out, capacity, 1);
        tls->out_capacity = capacity;
    }
    memcpy(tls->out + tls->out_length, bytes, (size_t)length);
    tls->out_length += (size_t)length;
    return length;
}

static int memory_read(BIO *bio, char *bytes, int most)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (!tls->in_length) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t length = tls->in_length < (size_t)most ? tls->in_length : (size_t)most;
    memcpy(bytes, tls->in, length);
    tls->in += length;
    tls->in_length -= length;
    return (int)length;
}

static long memory_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *memory_method;

static void make_method(void)
{
    memory_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "connection memory");
    if (!memory_method || !BIO_meth_set_write(memory_method, memory_write) ||
        !BIO_meth_set_read(memory_method, memory_read) || !BIO_meth_set_ctrl(memory_method, memory_control))
        abort();
}

static int choose_h2(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_length,
                     const unsigned char *offered, unsigned offered_length, void *context)
{
    (void)ssl, (void)context;
    for (unsigned i = 0; i + 2 < offered_length; i += offered[i] + 1u)
        if (offered[i] == 2 && memcmp(offered + i + 1, "h2", 2) == 0) {
            *ret_name = offered + i + 1;
            *ret_length = 2;
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol */
}

static int accept_any(X509_STORE_CTX *store, void *context)
{
    (void)store, (void)context; /* the fingerprint decides, see tls.h */
    return 1;
}

static struct error *tls_error(const char *doing, const char *file)
{
    char text[256];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    ERR_clear_error();
    return error_new(ERR_INVALID, "could not %s %s: %s", doing, file, text);
}

struct error *tls_context_new(const char *certificate_file, const char *key_file, SSL_CTX **ret_context)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_method);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        abort();
    struct error *error = NULL;
    static const unsigned char id[] = "yunqiao";
    if (!SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_session_id_context(context, id, sizeof id - 1) || !SSL_CTX_set_num_tickets(context, 1))
        error = tls_error("set up TLS for", certificate_file);
    else if (SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1)
        error = tls_error("read the certificate", certificate_file);
    else if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1)
        error = tls_error("read the key", key_file);
    else if (SSL_CTX_check_private_key(context) != 1)
        error = tls_error("match the certificate with the key", key_file);
    if (error) {
        SSL_CTX_free(context);
        return error;
    }
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(context, choose_h2, NULL);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(context, accept_any, NULL);
    *ret_context = context;
    return NULL;
}

void tls_start(struct tls *tls, SSL_CTX *context)
{
    *tls = (struct tls){.ssl = SSL_new(context)};
    BIO *bio = tls->ssl ? BIO_new(memory_method) : NULL;
    if (!bio)
        abort();
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_accept_state(tls->ssl);
}

void tls_done(struct tls *tls)
{
    SSL_free(tls->ssl);
    free(tls->out);
    *tls = (struct tls){0};
}

static enum tls_result result_of(const struct tls *tls, int returned)
{
    int reason = SSL_get_error(tls->ssl, returned);
    ERR_clear_error();
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
        return TLS_WAIT;
    return reason == SSL_ERROR_ZERO_RETURN ? TLS_CLOSED : TLS_BROKEN;
}

enum tls_result tls_handshake(struct tls *tls)
{
    ERR_clear_error();
    int done = SSL_do_handshake(tls->ssl);
    if (done != 1)
        return result_of(tls, done);
    const unsigned char *name = NULL;
    unsigned length = 0;
    SSL_get0_alpn_selected(tls->ssl, &name, &length);
    return length == 2 ? TLS_OK : TLS_BROKEN; /* a client without ALPN gets as far as here */
}

enum tls_result tls_read(struct tls *tls, void *bytes, size_t most, size_t *ret_length)
{
    ERR_clear_error();
    int done = SSL_read_ex(tls->ssl, bytes, most, ret_length);
    return done == 1 ? TLS_OK : result_of(tls, done);
}

bool tls_write(struct tls *tls, const void *bytes, size_t length)
{
    ERR_clear_error();
    size_t written;
    if (SSL_write_ex(tls->ssl, bytes, length, &written) == 1 && written == length)
        return true;
    ERR_clear_error();
    return false;
}

void tls_shutdown(struct tls *tls)
{
    ERR_clear_error();
    if (SSL_is_init_finished(tls->ssl))
        (void)SSL_shutdown(tls->ssl); /* the peer may be gone, which is fine */
    ERR_clear_error();
}

bool tls_fingerprint(const struct tls *tls, char hex[DIGEST_HEX])
{
    X509 *certificate = SSL_get1_peer_certificate(tls->ssl);
    if (!certificate)
        return false;
    unsigned char *der = NULL;
    int length = i2d_X509(certificate, &der);
    bool valid = length > 0 && X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0 &&
                 X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0;
    if (valid)
        digest_sha256(der, (size_t)length, hex);
    OPENSSL_free(der);
    X509_free(certificate);
    return valid;
}
