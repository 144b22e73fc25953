/* What an HMC's refusals mean in the broker's codes. */
#ifndef DRIVERS_POWERVM_REFUSAL_H
#define DRIVERS_POWERVM_REFUSAL_H

#include "broker/base/error.h"

/* By HTTP status (0: a failed job) and the codes in the text, which decide first: HSCL…, VIOS…, REST…. */
enum error_code refusal_code(int status, const char *reason, const char *text);

#endif
