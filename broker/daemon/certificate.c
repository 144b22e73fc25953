/* Making a self-signed certificate; see certificate.h. */
#include "broker/daemon/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/id.h"

/* "localhost,127.0.0.1" → "DNS:localhost,IP:127.0.0.1". */
static const char *alternative_names(struct arena *arena, const char *names)
{
    const char *text = "";
    char *list = arena_strdup(arena, names), *rest = list, *name;
    while ((name = strsep(&rest, ","))) {
        unsigned char address[16];
        bool numeric = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
        if (*name)
            text = arena_printf(arena, "%s%s%s:%s", text, *text ? "," : "", numeric ? "IP" : "DNS", name);
    }
    return text;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool good = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return good;
}

static bool fill(X509 *certificate, EVP_PKEY *key, const char *names)
{
    unsigned char serial[16];
    random_bytes(serial, sizeof serial);
    serial[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    X509_NAME *subject = X509_get_subject_name(certificate);
    bool good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) &&
                X509_set_version(certificate, X509_VERSION_3) &&
                X509_gmtime_adj(X509_getm_notBefore(certificate), -3600) &&
                X509_time_adj_ex(X509_getm_notAfter(certificate), CERTIFICATE_DAYS, 0, NULL) &&
                X509_set_pubkey(certificate, key) &&
                X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"yunqiao", -1,
                                           -1, 0) &&
                X509_set_issuer_name(certificate, subject) &&
                add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
                add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
                add_extension(certificate, NID_subject_alt_name, names) &&
                X509_sign(certificate, key, EVP_sha256());
    BN_free(number);
    return good;
}

/* Written beside and renamed, so that a crash leaves nothing half-written. */
static struct error *write_file(const char *path, BIO *content)
{
    char *data;
    long length = BIO_get_mem_data(content, &data);
    char *beside = xasprintf("%s.new", path);
    int file = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = file >= 0 && write(file, data, (size_t)length) == length && fsync(file) == 0;
    int why = errno;
    if (file >= 0)
        good &= close(file) == 0;
    good = good && rename(beside, path) == 0;
    free(beside);
    return good ? NULL : error_new(ERR_IO, "could not write %s: %s", path, strerror(why));
}

static struct error *make(const char *certificate_path, const char *key_path, const char *names)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *key_pem = BIO_new(BIO_s_mem()), *certificate_pem = BIO_new(BIO_s_mem());
    struct error *error = NULL;
    if (!key || !certificate || !key_pem || !certificate_pem || !fill(certificate, key, names) ||
        !PEM_write_bio_PKCS8PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL) ||
        !PEM_write_bio_X509(certificate_pem, certificate))
        error = error_new(ERR_INTERNAL, "could not make a certificate for %s", names);
    if (!error)
        error = write_file(key_path, key_pem);
    if (!error)
        error = write_file(certificate_path, certificate_pem);
    BIO_free(certificate_pem);
    BIO_free(key_pem);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return error;
}

struct error *certificate_ensure(const char *certificate, const char *key, const char *names)
{
    if (access(certificate, F_OK) == 0 && access(key, F_OK) == 0)
        return NULL;
    ARENA_AUTO struct arena *arena = arena_new();
    return make(certificate, key, alternative_names(arena, names));
}
