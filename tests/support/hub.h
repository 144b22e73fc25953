/* A network between clouds that are hosts of their own (contrib/kvmcloud with an address): the bridge "yqhub"
 * in a namespace of the test program's own, where nothing of the machine's is. */
#ifndef TESTS_SUPPORT_HUB_H
#define TESTS_SUPPORT_HUB_H

#include <stdbool.h>

/* The program moves into a new network namespace with loopback and the bridge (10.90.0.1/24). Needs root;
 * before any other thread is started, so that all are in it. Ends the program when that does not work. */
void hub_make(void);
/* An address that no other call gave: "10.90.0.10/24", in a static buffer. */
const char *hub_address(void);

/* What happens to a cable (`cable` of kvmcloud). */
void hub_plug(const char *cable, bool in);
/* Bytes a second in both directions together; 0: as fast as it goes. */
void hub_slow(const char *cable, unsigned long rate);
/* Every `one_in`th packet that goes to this address ("10.90.0.10") is lost; 0: none any more. */
void hub_lose(const char *address, unsigned one_in);

#endif
