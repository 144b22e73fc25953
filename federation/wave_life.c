/* See wave_life.h. */
#include "federation/wave_life.h"

#include <stddef.h>
#include <string.h>

static const char *const life_names[] = {
#define X(symbol, name) [symbol] = name,
    WAVE_LIVES(X)
#undef X
};
static const char *const word_names[] = {
#define X(symbol, name) [symbol] = name,
    WAVE_WORDS(X)
#undef X
};

static const struct {
    enum wave_life from;
    enum wave_word word;
    enum wave_life to;
} table[] = {
    {WAVE_LIFE_DRAFT, WAVE_WORD_START, WAVE_LIFE_RUNNING},
    {WAVE_LIFE_RUNNING, WAVE_WORD_PAUSE, WAVE_LIFE_PAUSED},
    {WAVE_LIFE_PAUSED, WAVE_WORD_RESUME, WAVE_LIFE_RUNNING},
    {WAVE_LIFE_DRAFT, WAVE_WORD_CANCEL, WAVE_LIFE_CANCELLED},
    {WAVE_LIFE_RUNNING, WAVE_WORD_CANCEL, WAVE_LIFE_CANCELLED},
    {WAVE_LIFE_PAUSED, WAVE_WORD_CANCEL, WAVE_LIFE_CANCELLED},
    {WAVE_LIFE_RUNNING, WAVE_WORD_FINISH, WAVE_LIFE_DONE},
};

const char *wave_life_name(enum wave_life life)
{
    return life_names[life];
}

enum wave_life wave_life_find(const char *name)
{
    enum wave_life life = WAVE_LIFE_DRAFT;
    while (life < WAVE_LIFE_COUNT && strcmp(life_names[life], name) != 0)
        life++;
    return life;
}

bool wave_life_ended(enum wave_life life)
{
    return life == WAVE_LIFE_DONE || life == WAVE_LIFE_CANCELLED;
}

const char *wave_word_name(enum wave_word word)
{
    return word_names[word];
}

struct error *wave_life_next(enum wave_life life, enum wave_word word, enum wave_life *ret_life)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].from == life && table[i].word == word) {
            *ret_life = table[i].to;
            return NULL;
        }
    return error_new(ERR_CONFLICT, "could not %s the wave: it is %s", word_names[word], life_names[life]);
}
