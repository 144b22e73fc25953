/* The provider in memory (tests/broker/control/memory_cloud.h) with what a move asks of one: a driver
 * "scripted" whose machines are described as the test says. Its disks are never really read. */
#ifndef TESTS_FEDERATION_SCRIPTED_H
#define TESTS_FEDERATION_SCRIPTED_H

#include "drivers/driver_move.h"

/* With every capability of moving but live moves. */
const struct driver *scripted_driver(void);

/* What every machine is from now on, whose instance part comes from the provider in memory; borrowed. NULL:
 * one disk of 20 GB. And what the inventory has in hosts, pools and networks; NULL: a host, a pool and a
 * network "n". */
void scripted_detail(const struct driver_detail *detail);
void scripted_inventory(const struct driver_inventory *inventory);
/* The next details fail so; NULL: no more. */
void scripted_fail(const char *message);

#endif
