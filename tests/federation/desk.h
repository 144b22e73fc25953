/* The house of tests/broker/control with a second cloud and a server before it: cloud "d" of provider "q"
 * (site "t"; zones "ext" with endpoint "d-ext", "medical" with enclave "d-med"), for unit "u" and its like,
 * and callers of every role. */
#ifndef TESTS_FEDERATION_DESK_H
#define TESTS_FEDERATION_DESK_H

#include <jansson.h>
#include <stddef.h>

#include <stddef.h>

#include "tests/broker/control/house.h"
#include "tests/support/process.h"

enum who {
    ADMIN,
    OPERATOR,        /* of provider p */
    REGULATOR,       /* of cloud c */
    OTHER_REGULATOR, /* of cloud e, which there is not */
    UNIT,            /* administrator of u */
    MEMBER,          /* operator of u, bound to system u002 */
    PART,            /* administrator of u, bound to system u002 */
    STRANGER,        /* administrator of v */
    ENGINEER,        /* of u */
    AUDITOR,
    WHO_COUNT
};

/* What handlers see, for jobs of the test's own. */
struct federation_services *desk_services(void);
/* Port and certificate are in here. */
struct https;
const struct https *desk_https(void);

/* For cmocka's group set-up and tear-down. */
int desk_open(void **state);
int desk_close(void **state);
/* For a test's: house_reset, and no consents, assessments and events. */
int desk_reset(void **state);

/* If-Match of the next call; NULL: none. */
extern const char *desk_match;
/* Further header fields of the next calls, name, value, … NULL; a body then goes as it is, `length` bytes.
 */
json_t *desk_send(struct arena *arena, enum who who, const char *method, const char *path,
                  const char *const *headers, const void *body, size_t length, int status);
/* "text/html" and the like of the next call; NULL: none. */
extern const char *desk_accept;
/* The JSON of the answer; fails unless it has the status. NULL when the answer is not JSON. */
json_t *desk_call(struct arena *arena, enum who who, const char *method, const char *path, const char *body,
                  int status);
/* Of the last answer. */
const char *desk_bytes(struct arena *arena);
const void *desk_body(size_t *ret_length);
const char *desk_header(const char *name);

/* The command line client with the broker's address and that caller's token before these words, ended by
 * NULL. */
struct process *desk_client(enum who who, const char *const *words);

/* "" when there is none. */
const char *desk_text(const json_t *json, const char *member);
size_t desk_count(struct arena *arena, enum who who, const char *path, const char *noun);
/* Text of the first column must be this. */
void desk_expect(const char *sql, const char *wanted);

#endif
