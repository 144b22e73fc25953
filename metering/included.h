/* The base security services that every cloud includes (catalog items 2001–2017): shown on bills and
 * statements, never charged, never metered (procurement 3.1.2, 3.1.4, 3.2.2). */
#ifndef METERING_INCLUDED_H
#define METERING_INCLUDED_H

#include <jansson.h>

/* Puts "included_services". */
void included_put(json_t *body);

#endif
