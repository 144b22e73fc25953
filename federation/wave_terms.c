/* See wave_terms.h. */
#include "federation/wave_terms.h"

#include <string.h>

#include "federation/migration.h"

#define LIMIT_MAX 1000
#define DOWNTIME_MAX_S (7 * 86400)
#define HOLD_DAYS_DEFAULT 7
#define HOLD_DAYS_MAX 90

static const struct json_member limit_members[] = {
#define LIMIT(name)                                                                              \
    {                                                                                            \
        JSON_MEMBER(struct wave_limits, name), .want = JSON_WANT_INT, .min = 1, .max = LIMIT_MAX \
    }
    LIMIT(total), LIMIT(site), LIMIT(link), LIMIT(host), LIMIT(datastore),
#undef LIMIT
};
const struct json_spec wave_limits_spec = JSON_SPEC(struct wave_limits, limit_members);
static const struct json_member follows_members[] = {
    {JSON_MEMBER(struct wave_follows, system), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct wave_follows, after), .want = JSON_WANT_TEXTS, .flags = JSON_REQUIRED, .min = 1,
     .max = WAVE_SYSTEMS_NAMED_MAX},
};
const struct json_spec wave_follows_spec = JSON_SPEC(struct wave_follows, follows_members);
static const struct json_member span_members[] = {
    {JSON_MEMBER(struct wave_span, from), .want = JSON_WANT_MOMENT, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct wave_span, to), .want = JSON_WANT_MOMENT, .flags = JSON_REQUIRED},
};
const struct json_spec wave_span_spec = JSON_SPEC(struct wave_span, span_members);
static const struct json_member place_members[] = {
    {JSON_MEMBER(struct link_place, cloud), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct link_place, site), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
};
static const struct json_spec place_spec = JSON_SPEC(struct link_place, place_members);
static const struct json_member link_members[] = {
    {JSON_MEMBER(struct wave_link_limit, from), .want = JSON_WANT_OBJECT, .flags = JSON_REQUIRED,
     .spec = &place_spec},
    {JSON_MEMBER(struct wave_link_limit, to), .want = JSON_WANT_OBJECT, .flags = JSON_REQUIRED,
     .spec = &place_spec},
    {JSON_MEMBER(struct wave_link_limit, bytes_per_second), .want = JSON_WANT_INT, .flags = JSON_REQUIRED,
     .min = 1, .max = WAVE_RATE_MAX},
};
const struct json_spec wave_link_spec = JSON_SPEC(struct wave_link_limit, link_members);
static const char *const methods[] = {
#define X(symbol, name) name,
    MIGRATION_METHODS(X)
#undef X
        NULL};
static const char *const proofs[] = {"full", "sampled", NULL};
static const struct json_member moves_members[] = {
    {JSON_MEMBER(struct wave_moves, method), .want = JSON_WANT_CHOICE, .choices = methods},
    {JSON_MEMBER(struct wave_moves, proof), .want = JSON_WANT_CHOICE, .choices = proofs},
    {JSON_MEMBER(struct wave_moves, downtime_seconds), .want = JSON_WANT_INT, .min = 0,
     .max = DOWNTIME_MAX_S},
    {JSON_MEMBER(struct wave_moves, hold_days), .want = JSON_WANT_INT, .min = 1, .max = HOLD_DAYS_MAX},
    {JSON_MEMBER(struct wave_moves, bandwidth), .want = JSON_WANT_INT, .min = 0, .max = WAVE_RATE_MAX},
    {JSON_MEMBER(struct wave_moves, commits_itself), .want = JSON_WANT_BOOL},
};
const struct json_spec wave_moves_spec = JSON_SPEC(struct wave_moves, moves_members);
const char *const wave_cutovers[] = {"manual", "automatic", NULL};

static const struct json_member terms_members[] = {WAVE_TERMS_MEMBERS};
static const struct json_spec terms_spec = JSON_SPEC(struct wave_terms, terms_members);

struct wave_terms wave_terms_default(void)
{
    return (struct wave_terms){.ask = {.limits = WAVE_LIMITS_DEFAULT},
                               .moves = {.proof = "full", .hold_days = HOLD_DAYS_DEFAULT},
                               .cutover = "manual"};
}

struct error *wave_terms_read(struct arena *arena, const json_t *kept, struct wave_terms *ret_terms)
{
    struct wave_terms terms = wave_terms_default();
    TRY(json_read(arena, kept, &terms_spec, &terms));
    *ret_terms = terms;
    return NULL;
}

json_t *wave_terms_merge(struct arena *arena, const json_t *kept, const json_t *body)
{
    json_t *merged = json_hold(arena, kept ? json_copy((json_t *)(uintptr_t)kept) : json_object());
    for (size_t i = 0; i < sizeof terms_members / sizeof *terms_members; i++) {
        json_t *value = json_object_get(body, terms_members[i].name);
        if (json_is_null(value))
            (void)json_object_del(merged, terms_members[i].name); /* may not be there */
        else if (json_is_object(value) && json_object_get(merged, terms_members[i].name)) {
            json_t *both = json_copy(json_object_get(merged, terms_members[i].name)), *member;
            const char *name;
            json_object_foreach (value, name, member)
                json_put(both, name, json_incref(member));
            json_put(merged, terms_members[i].name, both);
        } else if (value)
            json_put(merged, terms_members[i].name, json_incref(value));
    }
    return merged;
}

static bool is_place(const json_t *json, const struct link_place *place)
{
    const char *cloud = json_string_value(json_object_get(json, "cloud")),
               *site = json_string_value(json_object_get(json, "site"));
    return cloud && site && !strcmp(cloud, place->cloud) && !strcmp(site, place->site);
}

uint64_t wave_terms_rate(const json_t *kept, const struct link_place *from, const struct link_place *to)
{
    size_t i;
    const json_t *link;
    json_array_foreach (json_object_get(kept, "links"), i, link)
        if (is_place(json_object_get(link, "from"), from) && is_place(json_object_get(link, "to"), to))
            return (uint64_t)json_integer_value(json_object_get(link, "bytes_per_second"));
    return 0;
}
