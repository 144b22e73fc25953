/* Every history of one move: the broker's steps with a crash at any point between looking, doing and writing
 * down, unknown and failing outcomes, power cuts, hosts that start what they may start, operators at the
 * provider, people who press whatever the API takes, and a consent that is withdrawn. It asks the real
 * migration_decide and migration_next over the lists that it is given. */
#ifndef TESTS_FEDERATION_EXPLORER_H
#define TESTS_FEDERATION_EXPLORER_H

#include "federation/migration_step.h"

struct exploration {
    const struct migration_table *table;
    enum migration_method method;
    bool off;   /* the source was off when it began */
    bool quiet; /* no power cuts: then what ran must run in the end */
    bool test_required;
    bool convert; /* the guest has to be converted */
};

struct finding {
    const char *violation; /* NULL: none */
    char trace[8192];      /* the way to it, a line each */
    size_t nodes, edges, endings;
    unsigned states; /* bits of enum migration_state that were reached */
};

void explore(const struct exploration *exploration, struct finding *ret_finding);

#endif
