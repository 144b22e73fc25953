/* The life of a stored wave: draft → running ⇄ paused → done, or cancelled from anywhere before. Pure. Only
 * wave_store.c writes a state down. */
#ifndef FEDERATION_WAVE_LIFE_H
#define FEDERATION_WAVE_LIFE_H

#include <stdbool.h>

#include "broker/base/error.h"

#define WAVE_LIVES(X)               \
    X(WAVE_LIFE_DRAFT, "draft")     \
    X(WAVE_LIFE_RUNNING, "running") \
    X(WAVE_LIFE_PAUSED, "paused")   \
    X(WAVE_LIFE_DONE, "done")       \
    X(WAVE_LIFE_CANCELLED, "cancelled")

enum wave_life {
#define X(symbol, name) symbol,
    WAVE_LIVES(X)
#undef X
        WAVE_LIFE_COUNT
};
const char *wave_life_name(enum wave_life life);
/* WAVE_LIFE_COUNT when there is none of that name. */
enum wave_life wave_life_find(const char *name);
bool wave_life_ended(enum wave_life life);

#define WAVE_WORDS(X)             \
    X(WAVE_WORD_START, "start")   \
    X(WAVE_WORD_PAUSE, "pause")   \
    X(WAVE_WORD_RESUME, "resume") \
    X(WAVE_WORD_CANCEL, "cancel") \
    X(WAVE_WORD_FINISH, "finish") /* the job's: every host is over */

enum wave_word {
#define X(symbol, name) symbol,
    WAVE_WORDS(X)
#undef X
        WAVE_WORD_COUNT
};
const char *wave_word_name(enum wave_word word);

/* ERR_CONFLICT when the state does not allow the word. */
struct error *wave_life_next(enum wave_life life, enum wave_word word,
                             enum wave_life *ret_life) ERROR_MUST_USE;

#endif
