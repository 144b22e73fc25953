/* What a request means, decided on the loop (front.c); see there. */
#ifndef BROKER_HTTP_FRONT_H
#define BROKER_HTTP_FRONT_H

#include "broker/http/inside.h"
#include "broker/http/problem.h"

/* Who calls, by token or certificate. *ret_principal NULL: nobody, where that will do. */
struct error *front_authenticate(const struct stream *stream, bool needed,
                                 struct principal **ret_principal) ERROR_MUST_USE;
/* A call that comes back from a worker: its answer finds its stream, if that is still there. */
void front_deliver(struct loop *loop, struct mail *mail);

#endif
