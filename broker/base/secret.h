/* Secrets by reference: "file:/path" (must not be readable by others), "env:NAME", "credential:NAME" (a
 * systemd credential, in $CREDENTIALS_DIRECTORY). Never stored in the database in clear, never logged. */
#ifndef BROKER_BASE_SECRET_H
#define BROKER_BASE_SECRET_H

#include "broker/base/error.h"

#define SECRET_MAX 65536 /* bytes */

/* One trailing newline is cut. The caller frees with secret_free, which overwrites it. */
struct error *secret_read(const char *reference, char **ret_secret) ERROR_MUST_USE;
void secret_free(char *secret);
/* The form alone, without reading. */
struct error *secret_check(const char *reference) ERROR_MUST_USE;

#endif
