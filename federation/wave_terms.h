/* The terms of a stored wave: limits, calendar, links, and what its moves are planned with; as the request
 * has them, and so kept (wave.terms). */
#ifndef FEDERATION_WAVE_TERMS_H
#define FEDERATION_WAVE_TERMS_H

#include "federation/link_store.h"
#include "federation/wave_api.h"

#define WAVE_LINKS_MAX 100
#define WAVE_SYSTEMS_NAMED_MAX 200
#define WAVE_WINDOWS_MAX 200
#define WAVE_DAYS_MAX 366
#define WAVE_RATE_MAX (INT64_C(1) << 40)
#define WAVE_LIMITS_DEFAULT \
    {                       \
        20, 10, 4, 4, 4     \
    }

struct wave_link_limit {
    struct link_place from, to;
    int64_t bytes_per_second; /* of all moves of the wave together */
};
/* Of each of its moves, as POST /v1/migrations has them. */
struct wave_moves {
    const char *method; /* NULL: the best of what both sides can */
    const char *proof;
    int64_t downtime_seconds, hold_days, bandwidth;
    bool commits_itself;
};
struct wave_terms {
    struct wave_ask ask;    /* first: members of both stand in one table */
    struct json_list links; /* of struct wave_link_limit */
    struct wave_moves moves;
    const char *cutover; /* "automatic": the wave says it; "manual": people do */
};

/* For spec tables of structs that begin with a struct wave_terms. null counts as absent. */
#define WAVE_TERMS_MEMBERS                                                                                  \
    {JSON_MEMBER(struct wave_ask, not_before), .want = JSON_WANT_MOMENT, .flags = JSON_NULLABLE},           \
        {JSON_MEMBER(struct wave_ask, began), .want = JSON_WANT_MOMENT, .flags = JSON_NULLABLE},            \
        {JSON_MEMBER(struct wave_ask, limits), .want = JSON_WANT_OBJECT, .flags = JSON_NULLABLE,            \
         .spec = &wave_limits_spec},                                                                        \
        {JSON_MEMBER(struct wave_ask, dependencies),                                                        \
         .want = JSON_WANT_LIST,                                                                            \
         .flags = JSON_NULLABLE,                                                                            \
         .min = 0,                                                                                          \
         .max = WAVE_SYSTEMS_NAMED_MAX,                                                                     \
         .spec = &wave_follows_spec},                                                                       \
        {JSON_MEMBER(struct wave_ask, windows),                                                             \
         .want = JSON_WANT_LIST,                                                                            \
         .flags = JSON_NULLABLE,                                                                            \
         .min = 0,                                                                                          \
         .max = WAVE_WINDOWS_MAX,                                                                           \
         .spec = &wave_span_spec},                                                                          \
        {JSON_MEMBER(struct wave_ask, blackout_days), .want = JSON_WANT_TEXTS, .flags = JSON_NULLABLE,      \
         .min = 0, .max = WAVE_DAYS_MAX},                                                                   \
        {JSON_MEMBER(struct wave_ask, holidays), .want = JSON_WANT_TEXTS, .flags = JSON_NULLABLE, .min = 0, \
         .max = WAVE_DAYS_MAX},                                                                             \
        {JSON_MEMBER(struct wave_terms, links),                                                             \
         .want = JSON_WANT_LIST,                                                                            \
         .flags = JSON_NULLABLE,                                                                            \
         .min = 0,                                                                                          \
         .max = WAVE_LINKS_MAX,                                                                             \
         .spec = &wave_link_spec},                                                                          \
        {JSON_MEMBER(struct wave_terms, moves), .want = JSON_WANT_OBJECT, .flags = JSON_NULLABLE,           \
         .spec = &wave_moves_spec},                                                                         \
    {                                                                                                       \
        JSON_MEMBER(struct wave_terms, cutover), .want = JSON_WANT_CHOICE, .flags = JSON_NULLABLE,          \
                                                 .choices = wave_cutovers                                   \
    }

extern const struct json_spec wave_limits_spec, wave_follows_spec, wave_span_spec, wave_link_spec,
    wave_moves_spec;
extern const char *const wave_cutovers[];

/* Everything at its default. */
struct wave_terms wave_terms_default(void);
/* Of what was kept. In the arena, text borrowed from `kept`. */
struct error *wave_terms_read(struct arena *arena, const json_t *kept,
                              struct wave_terms *ret_terms) ERROR_MUST_USE;
/* What was kept, with the terms that `body` has put in their place (null: taken away) and without its other
 * members. In the arena. */
json_t *wave_terms_merge(struct arena *arena, const json_t *kept, const json_t *body);
/* The wave's limit for that link; 0: none. `kept` as above. */
uint64_t wave_terms_rate(const json_t *kept, const struct link_place *from, const struct link_place *to);

#endif
