/* The report of a stored wave: what of each system moved, when, how much, with which downtime, proved how, on
 * whose word, and what failed why (procurement 4.1.1.6, 4.1.3.1). It is made of the rows as they are; before
 * the wave has ended it says that it is not finished. */
#ifndef FEDERATION_WAVE_REPORT_H
#define FEDERATION_WAVE_REPORT_H

#include "broker/base/buf.h"
#include "federation/wave_sight.h"

#define WAVE_PAPER_MAX ((size_t)16 * 1024 * 1024)

/* In the arena. Its digest covers all but the time at which it was made. */
struct error *wave_report(struct db *db, struct arena *arena, const char *id, moment now,
                          json_t **ret_report) ERROR_MUST_USE;

/* Of such a report. Beyond the buffer's cap nothing more is written, which its end tells. */
void wave_report_html(const json_t *report, struct buf *buf);
void wave_report_csv(const json_t *report, struct buf *buf);

#endif
