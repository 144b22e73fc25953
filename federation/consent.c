/* The rules of consents, without a database; see consent.h. */
#include "federation/consent.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "broker/base/digest.h"

#define GOAL_MAX 160

const char *consent_site(struct arena *arena, const char *cloud, const char *site)
{
    return arena_printf(arena, "%s/%s", cloud, site);
}

const char *consent_cloud(struct arena *arena, const struct consent *consent)
{
    const char *first = consent->from.items[0];
    size_t length = strcspn(first, "/");
    for (size_t i = 1; i < consent->from.count; i++) {
        const char *other = consent->from.items[i];
        if (strcspn(other, "/") != length || strncmp(first, other, length) != 0)
            return NULL;
    }
    return arena_strndup(arena, first, length);
}

bool consent_place_covers(const char *place, const char *site)
{
    size_t length = strlen(place);
    if (strncmp(place, site, length) != 0)
        return false;
    return !site[length] || (site[length] == '/' && !strchr(place, '/'));
}

static bool any_place(const struct json_texts *places, const char *site)
{
    for (size_t i = 0; i < places->count; i++)
        if (consent_place_covers(places->items[i], site))
            return true;
    return false;
}

static bool holds(const struct json_texts *texts, const char *wanted)
{
    for (size_t i = 0; wanted && i < texts->count; i++)
        if (!strcmp(texts->items[i], wanted))
            return true;
    return false;
}

enum consent_verdict consent_weigh(const struct consent *consent, const struct consent_ask *ask, moment now)
{
    if (strcmp(consent->unit, ask->unit) != 0 ||
        (!holds(&consent->systems, ask->system) && !holds(&consent->instances, ask->resource)) ||
        !any_place(&consent->from, ask->from) || !any_place(&consent->to, ask->to))
        return CONSENT_ELSEWHERE;
    if (consent->withdrawn_at && consent->withdrawn_at <= now)
        return CONSENT_WITHDRAWN;
    if (now >= consent->valid_until)
        return CONSENT_EXPIRED;
    return now < consent->valid_from ? CONSENT_EARLY : CONSENT_COVERS;
}

static moment turned(const struct consent *consent, enum consent_verdict verdict)
{
    return verdict == CONSENT_WITHDRAWN ? consent->withdrawn_at
           : verdict == CONSENT_EXPIRED ? consent->valid_until
                                        : -consent->valid_from; /* the first to come */
}

/* Where it would go, for people. */
static const char *goal(const struct consent_ask *ask, char text[GOAL_MAX])
{
    if (!strcmp(ask->to, CONSENT_EXPORT))
        return "files outside all clouds";
    (void)snprintf(text, GOAL_MAX, "\"%s\"", ask->to); /* ids are short */
    return text;
}

static struct error *denied(const struct consent *consent, enum consent_verdict verdict,
                            const struct consent_ask *ask)
{
    char at[20], text[GOAL_MAX];
    const char *to = goal(ask, text);
    moment_format_shanghai(verdict == CONSENT_WITHDRAWN ? consent->withdrawn_at
                           : verdict == CONSENT_EXPIRED ? consent->valid_until
                                                        : consent->valid_from,
                           at);
    const char *what = verdict == CONSENT_WITHDRAWN ? "was withdrawn on"
                       : verdict == CONSENT_EXPIRED ? "expired on"
                                                    : "is not in force before";
    return error_new(ERR_DENIED,
                     "the consent %s (%s) of unit \"%s\" for system \"%s\" to leave site \"%s\" for %s"
                     " %s %s (Asia/Shanghai)%s%s",
                     consent->id, consent->reference, ask->unit, ask->system, ask->from, to, what, at,
                     verdict == CONSENT_WITHDRAWN ? ": " : "",
                     verdict == CONSENT_WITHDRAWN ? consent->withdrawal_reason : "");
}

struct error *consent_judge(const struct consent *list, size_t count, const struct consent_ask *ask,
                            moment now, size_t *ret_which)
{
    char text[GOAL_MAX];
    const char *to = goal(ask, text);
    const struct consent *best = NULL;
    enum consent_verdict reason = CONSENT_ELSEWHERE;
    for (size_t i = 0; i < count; i++) {
        enum consent_verdict verdict = consent_weigh(&list[i], ask, now);
        if (verdict == CONSENT_COVERS) {
            *ret_which = i;
            return NULL;
        }
        if (verdict == CONSENT_ELSEWHERE)
            continue;
        if (!best || verdict > reason ||
            (verdict == reason && turned(&list[i], verdict) > turned(best, verdict))) {
            best = &list[i];
            reason = verdict;
        }
    }
    if (best)
        return denied(best, reason, ask);
    return error_new(ERR_DENIED,
                     "no consent of unit \"%s\" for system \"%s\"%s%s to leave site \"%s\" for %s"
                     " (procurement 2.1.1)",
                     ask->unit, ask->system, ask->resource ? " or its machine " : "",
                     ask->resource ? ask->resource : "", ask->from, to);
}

static void check_once(struct arena *arena, struct error **errors, const char *member,
                       const struct json_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        for (size_t k = 0; k < i; k++)
            if (!strcmp(texts->items[i], texts->items[k])) {
                error_collect(errors, arena_printf(arena, "/%s/%zu", member, i), "is named twice");
                break;
            }
}

static void check_digest(struct arena *arena, struct error **errors, struct consent *consent)
{
    char *digest = arena_strdup(arena, consent->digest);
    size_t digits = 0;
    for (; isxdigit((unsigned char)digest[digits]); digits++)
        digest[digits] = (char)tolower((unsigned char)digest[digits]);
    if (digest[digits] || digits != DIGEST_HEX - 1)
        error_collect(errors, "/document/digest", "must be the %d hex digits of the document's digest",
                      DIGEST_HEX - 1);
    consent->digest = digest;
}

struct error *consent_check_new(struct arena *arena, struct consent *consent, moment now)
{
    struct error *errors = NULL;
    check_digest(arena, &errors, consent);
    if (!consent->systems.count && !consent->instances.count)
        error_collect(&errors, "/systems", "systems or instances must be named");
    check_once(arena, &errors, "systems", &consent->systems);
    check_once(arena, &errors, "instances", &consent->instances);
    check_once(arena, &errors, "from", &consent->from);
    check_once(arena, &errors, "to", &consent->to);
    for (size_t i = 0; i < consent->from.count; i++)
        if (!strcmp(consent->from.items[i], CONSENT_EXPORT))
            error_collect(&errors, arena_printf(arena, "/from/%zu/kind", i),
                          "only where data goes to may be files");
    if (consent->valid_until <= consent->valid_from)
        error_collect(&errors, "/valid_until", "must be after valid_from");
    else if (consent->valid_until <= now)
        error_collect(&errors, "/valid_until", "is over already");
    return errors;
}
