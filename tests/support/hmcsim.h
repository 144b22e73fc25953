/* contrib/hmcsim as a child of a test, and an endpoint that points to it. */
#ifndef TESTS_SUPPORT_HMCSIM_H
#define TESTS_SUPPORT_HMCSIM_H

#include <jansson.h>

#include "drivers/driver.h"

struct hmcsim;

#define HMCSIM_USER "hscroot"
#define HMCSIM_PASSWORD "abc123"

/* `arguments` (may be NULL): further ones, NULL-ended; jobs take 0.05 s unless they say otherwise. Aborts
 * when it does not come up. */
struct hmcsim *hmcsim_start(const char *const *arguments);
void hmcsim_stop(struct hmcsim *sim);
/* Another handle on console `number` (from 0) of a simulator started with --consoles; its own connection, so
 * another thread may have it. Stopped before the simulator is, which it does not end. */
struct hmcsim *hmcsim_console(const struct hmcsim *sim, size_t number);

const char *hmcsim_fingerprint(const struct hmcsim *sim);
/* Pinned by its fingerprint, 10 seconds for a round trip. Borrowed. */
struct driver_endpoint hmcsim_endpoint(const struct hmcsim *sim);
/* POST of one of its controls ("/__inject", "/__set", "/__clear") with this JSON; aborts unless it answers
 * 200. */
void hmcsim_control(struct hmcsim *sim, const char *path, const char *json);
/* Its present state (contrib/hmcsim_/README.md), valid until the next call. */
const json_t *hmcsim_state(struct hmcsim *sim);
/* Items of the state's list `list` whose member `member` is this text. */
size_t hmcsim_count(struct hmcsim *sim, const char *list, const char *member, const char *text);
/* First such item; NULL. Valid until the next call. */
const json_t *hmcsim_item(struct hmcsim *sim, const char *list, const char *member, const char *text);
/* Requests since the last /__clear whose "METHOD path" holds this text. */
size_t hmcsim_requests(struct hmcsim *sim, const char *text);

#endif
