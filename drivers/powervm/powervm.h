/* The driver "powervm": IBM Power servers through the REST interface of their HMC. See README.md in this
 * folder. */
#ifndef DRIVERS_POWERVM_POWERVM_H
#define DRIVERS_POWERVM_POWERVM_H

#include "drivers/driver.h"

extern const struct driver powervm_driver;

#endif
