/* What the database refused, in the caller's words: constraint names and SQLSTATEs are for the log, not for
 * an answer. */
#ifndef BROKER_CONTROL_REFUSAL_H
#define BROKER_CONTROL_REFUSAL_H

#include "broker/base/error.h"

/* Of an insert of `what` "id". A taken key: ERR_EXISTS `cloud "x" exists already`. A missing parent:
 * ERR_INVALID at `pointer`
 * ("/provider"), `names no PARENT`. Any other error is wrapped. NULL stays NULL. */
struct error *refusal_of_insert(struct error *error, const char *what, const char *id, const char *pointer,
                                const char *parent) ERROR_MUST_USE;

#endif
