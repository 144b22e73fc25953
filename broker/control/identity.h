/* The route tables of identity and audit; the rules are broker/auth's. They stand on this floor because a
 * handler includes broker/http, which lies above broker/auth. */
#ifndef BROKER_CONTROL_IDENTITY_H
#define BROKER_CONTROL_IDENTITY_H

#include "broker/http/http.h"

extern const struct http_table identity_routes; /* /v1/principals, /v1/whoami */
extern const struct http_table token_routes;    /* /v1/tokens, /v1/keys */
extern const struct http_table audit_routes;    /* /v1/audit */

#endif
