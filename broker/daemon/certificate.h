/* A self-signed server certificate for a broker to which none is configured: P-256, made once. Clients pin
 * its fingerprint. */
#ifndef BROKER_DAEMON_CERTIFICATE_H
#define BROKER_DAEMON_CERTIFICATE_H

#include "broker/base/error.h"

#define CERTIFICATE_DAYS 825

/* Writes `certificate` and `key` (mode 0600) when they are not there yet. `names`: comma-joined DNS names and
 * addresses. */
struct error *certificate_ensure(const char *certificate, const char *key, const char *names) ERROR_MUST_USE;

#endif
