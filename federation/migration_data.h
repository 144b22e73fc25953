/* What migration_data.c (passes), migration_clear.c (what they leave behind) and migration_pass_store.c
 * (their rows) share. */
#ifndef FEDERATION_MIGRATION_DATA_H
#define FEDERATION_MIGRATION_DATA_H

#include "drivers/driver_move.h"
#include "federation/copy.h"
#include "federation/migration_work.h"

const char *migration_manifest_path(const struct migration_work *work, size_t disk);
struct copy_end migration_copy_end(struct arena *arena, const struct driver_exported_disk *disk);

/* CONVERT. */
struct error *migration_convert(struct migration_work *work) ERROR_MUST_USE;
/* What it adds to the downtime, as a forecast; 0: none is going to run. */
int64_t migration_convert_us(const struct migration_work *work);
/* What one that was killed left of its own files. */
void migration_convert_clear(const struct migration_work *work);
/* In the transactions before and after it, and after a last pass: what the row says of it. */
struct error *migration_convert_begun(struct db *db, struct migration_work *work) ERROR_MUST_USE;
struct error *migration_convert_ended(struct db *db, struct migration_work *work) ERROR_MUST_USE;
struct error *migration_convert_again(struct db *db, struct migration_work *work) ERROR_MUST_USE;

/* SOURCE_CLOSE: the source's exports; COPY_END: all that the ledger has of exports, checkpoints and
 * manifests. */
struct error *migration_clear(struct migration_work *work, enum migration_effect effect) ERROR_MUST_USE;

/* Closes exports of passes that were cut short, but for those of the present plan: one at a time is open. */
struct error *migration_clear_others(struct migration_work *work) ERROR_MUST_USE;

/* In the transaction that writes the pass down: its rows, the forecast, the job's state. */
struct error *migration_pass_write(struct db *db, struct migration_work *work, moment now) ERROR_MUST_USE;

#endif
