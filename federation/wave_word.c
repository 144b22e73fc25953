/* People's words on stored waves; see wave_new.h. Rows are locked job first, then wave, as the job does. */
#include <string.h>

#include "federation/wave_job.h"
#include "federation/wave_new.h"

struct error *wave_hold(struct db *db, struct arena *arena, const char *id, int64_t version,
                        struct wave_row *ret_wave)
{
    struct wave_row seen;
    TRY(wave_load(db, arena, id, false, &seen));
    if (seen.job)
        TRY(job_wake(db, seen.job));
    TRY(wave_load(db, arena, id, true, ret_wave));
    if (version >= 0 && ret_wave->version != version)
        return error_new(ERR_STALE, "the wave has moved on: it is %s in version %lld",
                         wave_life_name(ret_wave->life), (long long)ret_wave->version);
    return NULL;
}

/* One for each wave; a paused one has it still, unless its database gave it up. */
static struct error *have_job(struct db *db, struct arena *arena, const struct wave_row *wave,
                              const char **ret_job)
{
    struct error *error = wave_job_add(db, arena, wave, ret_job);
    if (!error || error_code(error) != ERR_EXISTS)
        return error;
    error_free(error);
    *ret_job = wave->job;
    return NULL;
}

struct error *wave_say(struct db *db, struct arena *arena, const char *id, int64_t version,
                       const struct wave_telling *telling, moment now, struct wave_row *ret_wave)
{
    struct wave_row wave;
    struct wave_telling word = *telling;
    enum wave_life to;
    TRY(wave_hold(db, arena, id, version, &wave));
    TRY(wave_life_next(wave.life, word.word, &to));          /* before a job is made */
    bool undoes = word.word == WAVE_WORD_CANCEL && wave.job; /* also when the job that it had has failed */
    if (word.word == WAVE_WORD_START || word.word == WAVE_WORD_RESUME || undoes)
        TRY(have_job(db, arena, &wave, &word.job));
    TRY(wave_tell(db, &wave, &word, now));
    if (wave.life == WAVE_LIFE_CANCELLED && !wave.job)
        TRY(wave_release(db, &wave)); /* it never had anything to take back */
    *ret_wave = wave;
    return NULL;
}
