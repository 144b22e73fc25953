/* A running server (broker/http/server.h) for tests, with a certificate of its own in a folder of its own. */
#ifndef TESTS_SUPPORT_HTTPS_H
#define TESTS_SUPPORT_HTTPS_H

#include "broker/http/server.h"

struct https {
    char folder[64];
    char certificate_file[96], key_file[96];
    struct clock *clock;
    struct server *server;
    int port;
};

/* A fresh self-signed certificate and key as PEM files, for a server or a client; `fingerprint` (65 bytes,
 * may be NULL) gets the certificate's SHA-256. */
void https_certificate(const char *certificate_file, const char *key_file, char *fingerprint);

/* Starts; address, port, files and clock are filled in unless given. Ends the test when it fails. */
void https_start(struct https *https, struct server_settings settings);
void https_stop(struct https *https);

#endif
