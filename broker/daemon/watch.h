/* Watchers: one thread for each endpoint whose driver tells of changes (drivers/driver.h: watch). A change
 * brings an inventory, soon and once for many changes. */
#ifndef BROKER_DAEMON_WATCH_H
#define BROKER_DAEMON_WATCH_H

#include "broker/control/fleet.h"

struct watch;

struct error *watch_start(const char *conninfo, struct fleet *fleet, struct watch **ret_watch) ERROR_MUST_USE;
/* Ends all threads; NULL is accepted. */
void watch_stop(struct watch *watch);

#endif
