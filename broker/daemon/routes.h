/* Every route table of the house, in one list: what the server answers and what openapi.yaml must tell. */
#ifndef BROKER_DAEMON_ROUTES_H
#define BROKER_DAEMON_ROUTES_H

#include "broker/http/http.h"

const struct http_table *const *routes_all(size_t *ret_count);

#endif
