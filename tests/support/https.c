/* See https.h. */
#include "tests/support/https.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/digest.h"

static void need(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "https fixture: %s\n", what);
        abort();
    }
}

void https_certificate(const char *certificate_file, const char *key_file, char *fingerprint)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    need(key && certificate, "no key");
    X509_set_version(certificate, 2);
    unsigned char serial[8];
    FILE *random = fopen("/dev/urandom", "re");
    need(random && fread(serial, sizeof serial, 1, random) == 1, "no random");
    fclose(random);
    uint64_t number;
    memcpy(&number, serial, sizeof number);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), number >> 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    need(X509_sign(certificate, key, EVP_sha256()) > 0, "no certificate");
    FILE *out = fopen(certificate_file, "we");
    need(out && PEM_write_X509(out, certificate) == 1 && fclose(out) == 0, "no certificate file");
    int fd = open(key_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    out = fd < 0 ? NULL : fdopen(fd, "w");
    need(out && PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(out) == 0,
         "no key file");
    unsigned char *der = NULL;
    int length = i2d_X509(certificate, &der);
    need(length > 0, "no DER");
    if (fingerprint)
        digest_sha256(der, (size_t)length, fingerprint);
    OPENSSL_free(der);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void https_start(struct https *https, struct server_settings settings)
{
    *https = (struct https){0};
    snprintf(https->folder, sizeof https->folder, "/tmp/yunqiao-http-XXXXXX");
    need(mkdtemp(https->folder) != NULL, "no folder");
    snprintf(https->certificate_file, sizeof https->certificate_file, "%s/cert.pem", https->folder);
    snprintf(https->key_file, sizeof https->key_file, "%s/key.pem", https->folder);
    https_certificate(https->certificate_file, https->key_file, NULL);
    https->clock = clock_new(0);
    settings.address = "127.0.0.1";
    settings.certificate_file = https->certificate_file;
    settings.key_file = https->key_file;
    if (!settings.clock)
        settings.clock = https->clock;
    struct error *error = server_new(&settings, &https->server);
    if (!error)
        error = server_start(https->server);
    if (error)
        fprintf(stderr, "%s\n", error_message(error));
    need(!error, "the server did not start");
    https->port = server_port(https->server);
}

void https_stop(struct https *https)
{
    server_free(https->server);
    clock_free(https->clock);
    unlink(https->certificate_file);
    unlink(https->key_file);
    rmdir(https->folder);
}
