/* Assessments for people: HTML that prints well on A4, and CSV with a row for each finding. Of the stored
 * JSON, so that a report looks later as it did then. */
#ifndef FEDERATION_ASSESS_PAPER_H
#define FEDERATION_ASSESS_PAPER_H

#include "broker/base/buf.h"
#include "federation/assess_store.h"

#define ASSESS_PAPER_MAX ((size_t)16 * 1024 * 1024)

/* Beyond the buffer's cap nothing more is written, which its end tells. */
void assess_html(const struct assessment *assessment, const struct assessment_host *hosts, size_t count,
                 struct buf *buf);
void assess_csv(const struct assessment *assessment, const struct assessment_host *hosts, size_t count,
                struct buf *buf);

#endif
