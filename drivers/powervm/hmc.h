/* One session with an HMC: logon, requests in its web and uom dialects, jobs, and errors in the broker's
 * codes. Knows no nouns; partition.c, storage.c and system.c do. */
#ifndef DRIVERS_POWERVM_HMC_H
#define DRIVERS_POWERVM_HMC_H

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/base/error.h"
#include "drivers/driver.h"

#define HMC_ANSWER_MAX                                                                         \
    (64u * 1024 * 1024)       /* bytes of one answer: feeds of large consoles reach tens of MB \
                               */
#define HMC_UPDATE_TRIES 5    /* of a change that meets a stale ETag (412), then ERR_BUSY */
#define HMC_POLL_MIN_US 50000 /* between looks at a job, growing by half each time */
#define HMC_POLL_MAX_US 2000000
#define HMC_POLL_FAILURES 4    /* looks at a job that may fail in a row */
#define HMC_EVENTS_US 30000000 /* one request for events, which an HMC holds for about 10 s */
#define HMC_LOGOFF_US 5000000  /* most time that closing takes */

struct hmc;

/* Logs on. ERR_DENIED: certificate or credentials refused. A refused logon is never repeated by itself. */
struct error *hmc_open(const struct driver_endpoint *endpoint, const struct driver_call *call,
                       struct hmc **ret_hmc) ERROR_MUST_USE;
/* Logs off, best effort, and frees. */
void hmc_close(struct hmc *hmc);

/* Reports progress; ERR_CANCELLED when the caller wants to stop. */
struct error *hmc_progress(struct hmc *hmc, const struct driver_call *call, int percent,
                           const char *step) ERROR_MUST_USE;

/* GET of an address below /rest/api/uom/. The root is NULL for an empty feed. */
struct error *hmc_get(struct hmc *hmc, const struct driver_call *call, const char *path,
                      xmlNode **ret_root) ERROR_MUST_USE;
/* GET of a quick/… address; the text is in the arena, "" for an empty list. */
struct error *hmc_quick(struct hmc *hmc, const struct driver_call *call, const char *path,
                        const char **ret_text) ERROR_MUST_USE;
/* GET uom/Event: blocks until there is news or the HMC has waited long enough (then: NULL root). */
struct error *hmc_events(struct hmc *hmc, const struct driver_call *call, xmlNode **ret_root) ERROR_MUST_USE;
/* PUT of a new object of this kind. */
struct error *hmc_put(struct hmc *hmc, const struct driver_call *call, const char *path, const char *kind,
                      const char *body, xmlNode **ret_root) ERROR_MUST_USE;
/* DELETE; what is gone already is success. */
struct error *hmc_delete(struct hmc *hmc, const struct driver_call *call, const char *path) ERROR_MUST_USE;

/* Reads the object, lets `edit` change its payload (*ret_changed false: nothing to do), and posts it back on
 * the condition that nobody else changed it meanwhile; starts over when somebody did, at most
 * HMC_UPDATE_TRIES times. */
typedef struct error *hmc_edit(void *context, struct arena *arena, xmlNode *payload, bool *ret_changed);
struct error *hmc_update(struct hmc *hmc, const struct driver_call *call, const char *path, const char *kind,
                         hmc_edit *edit, void *context) ERROR_MUST_USE;

/* Waits before looking again: *pause_us (start with HMC_POLL_MIN_US), which then grows. False when the
 * deadline has come. */
bool hmc_pause(const struct driver_call *call, int64_t *pause_us);

struct hmc_parameter {
    const char *name, *value;
};

/* Runs an operation as a job to its end. Cancels the job when the caller cancels; leaves it running at the
 * deadline. */
struct error *hmc_job(struct hmc *hmc, const struct driver_call *call, const char *kind, const char *id,
                      const char *operation, const struct hmc_parameter *parameters,
                      size_t count) ERROR_MUST_USE;

/* The same in pieces, for a job that needs more than its record to be followed; `*ret_job` is its address.
 * Starting has an unknown outcome when it fails as ERR_UNAVAILABLE or ERR_TIMEOUT. A look is an error when
 * the job failed (then it has ended) or cannot be followed; `*failures`, 0 at first, counts looks that failed
 * in a row, which are no error before the last that may. */
struct error *hmc_job_start(struct hmc *hmc, const struct driver_call *call, const char *kind, const char *id,
                            const char *operation, const struct hmc_parameter *parameters, size_t count,
                            const char **ret_job) ERROR_MUST_USE;
struct error *hmc_job_look(struct hmc *hmc, const struct driver_call *call, const char *job,
                           const char *operation, int *failures, bool *ret_ended) ERROR_MUST_USE;
/* Removes the record of a job that has ended, best effort. */
void hmc_job_forget(struct hmc *hmc, const char *job);

/* Whether the error is a refusal (of a request or a job) that carries this code of the HMC's, e.g.
 * "HSCL3681". */
bool hmc_refused_with(const struct error *error, const char *code);
/* "https://host:port/rest/api/uom/", for links in documents. */
const char *hmc_base(const struct hmc *hmc);
/* Host name or address, and the user, as the console of another HMC would name this one. */
const char *hmc_address(const struct hmc *hmc, struct arena *arena);
const char *hmc_user(const struct hmc *hmc);

#endif
