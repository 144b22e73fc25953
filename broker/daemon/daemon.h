/* The broker as a whole: everything that yunqiaod runs, started in order and stopped the other way round. */
#ifndef BROKER_DAEMON_DAEMON_H
#define BROKER_DAEMON_DAEMON_H

#include "broker/daemon/settings.h"

struct daemon;

/* Database, schema, keys, drivers, jobs, HTTP: in this order. When one fails, what was started is stopped
 * again. */
struct error *daemon_start(const struct settings *settings, struct daemon **ret_daemon) ERROR_MUST_USE;
/* The port that it answers on. */
int daemon_port(const struct daemon *daemon);
/* Takes over the reloadable settings, and certificate and key anew. */
struct error *daemon_reload(struct daemon *daemon, const struct settings *settings) ERROR_MUST_USE;
/* Drains and stops; NULL is accepted. */
void daemon_stop(struct daemon *daemon);

#endif
