/* Endpoints: where a site's hypervisor manager is reached. Rows of broker/control/schema/3000_places.sql; the
 * gates that speak to them live in fleet.h. */
#ifndef BROKER_CONTROL_ENDPOINT_H
#define BROKER_CONTROL_ENDPOINT_H

#include "broker/base/moment.h"
#include "broker/db/db.h"

struct endpoint_new {
    const char *id, *cloud, *site, *driver, *url, *username, *secret, *ca_file, *fingerprint;
    const json_t *options;
    int64_t timeout_ms;
    bool enabled, enclave;
};

/* One row as the fleet needs it; text lives in the arena. */
struct endpoint_row {
    const char *id, *cloud, *site, *provider, *driver, *url, *username, *secret, *ca_file, *fingerprint;
    json_t *options; /* held by the arena */
    int64_t timeout_us, version;
    bool enabled;
};

/* A URL is shown to all who may read endpoints and stands in error messages, so it holds no password: for
 * http(s) no "@" at all, for the others no "user:password@". The error does not repeat the URL. */
struct error *endpoint_check_url(const char *url) ERROR_MUST_USE;

struct error *endpoint_insert(struct db *db, const struct endpoint_new *endpoint, moment now) ERROR_MUST_USE;
/* Writes every member of `endpoint` but id, cloud, site, driver and enclave, which never change. ERR_STALE
 * when the row is not of that version any more. */
struct error *endpoint_update(struct db *db, const struct endpoint_new *endpoint, int64_t version,
                              moment now) ERROR_MUST_USE;
/* ERR_NOT_FOUND "no such endpoint". */
struct error *endpoint_load(struct db *db, struct arena *arena, const char *id,
                            struct endpoint_row *ret_row) ERROR_MUST_USE;
struct error *endpoint_list_enabled(struct db *db, struct arena *arena, const char ***ret_ids,
                                    size_t *ret_count) ERROR_MUST_USE;
/* Ids of all enabled endpoints of which an inventory is due: never tried, or `interval_us` after the last
 * one. After failed ones the wait begins at the shorter of interval_us and ENDPOINT_RETRY_US, doubles with
 * every failure up to ENDPOINT_RETRY_MOST_US, and is up to a quarter longer, by a jitter of each endpoint and
 * failure. */
#define ENDPOINT_RETRY_US (30 * MOMENT_SECOND)
#define ENDPOINT_RETRY_MOST_US (5 * MOMENT_MINUTE)
struct error *endpoint_list_due(struct db *db, struct arena *arena, moment now, int64_t interval_us,
                                const char ***ret_ids, size_t *ret_count) ERROR_MUST_USE;
/* Whether its last inventory failed; then the schedule alone brings the next one. */
struct error *endpoint_is_failing(struct db *db, const char *id, bool *ret_failing) ERROR_MUST_USE;
/* After a whole inventory: what the manager is, and which architectures its hosts have (bits of enum
 * driver_architecture). Clears the alert that it could not be read. */
struct error *endpoint_synced(struct db *db, const char *id, const json_t *about, unsigned architectures,
                              moment now) ERROR_MUST_USE;
/* After one that failed: what was known stays, why it failed is told, and the ENDPOINT_ALERT_FAILURES-th in a
 * row raises an alert. */
#define ENDPOINT_ALERT_FAILURES 3
struct error *endpoint_not_synced(struct db *db, const char *id, const char *failure,
                                  moment now) ERROR_MUST_USE;

extern const struct db_statement endpoint_select_one, endpoint_select_list;

#endif
