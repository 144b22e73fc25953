/* /v1/consents: a unit's permission for its data to leave a site, given and withdrawn by its administrator
 * alone.
 */
#include <string.h>

#include "broker/base/id.h"
#include "broker/control/view.h"
#include "federation/consent.h"
#include "federation/migration_word.h"
#include "federation/routes.h"
#include "federation/wave_store.h"

struct document {
    const char *algorithm, *digest, *reference;
};
struct signer {
    const char *name, *post;
};
struct place {
    const char *kind, *cloud, *site;
};
struct consent_body {
    const char *unit;
    struct document document;
    struct signer signer;
    struct json_texts systems, instances;
    struct json_list from, to;
    moment valid_from, valid_until;
};

static const char *const algorithms[] = {"sha256", "sm3", NULL};
static const struct json_member document_members[] = {
    {JSON_MEMBER(struct document, algorithm), .want = JSON_WANT_CHOICE, .flags = JSON_REQUIRED,
     .choices = algorithms},
    {JSON_MEMBER(struct document, digest), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = 64},
    {JSON_MEMBER(struct document, reference), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = CONSENT_REFERENCE_MAX},
};
static const struct json_spec document_spec = JSON_SPEC(struct document, document_members);
static const struct json_member signer_members[] = {
    {JSON_MEMBER(struct signer, name), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = CONSENT_SIGNER_MAX},
    {JSON_MEMBER(struct signer, post), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = CONSENT_SIGNER_MAX},
};
static const struct json_spec signer_spec = JSON_SPEC(struct signer, signer_members);
static const char *const place_kinds[] = {"export", NULL}; /* without one: a cloud or a site of it */
static const struct json_member place_members[] = {
    {JSON_MEMBER(struct place, kind), .want = JSON_WANT_CHOICE, .choices = place_kinds},
    {JSON_MEMBER(struct place, cloud), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct place, site), .want = JSON_WANT_NAME},
};
static const struct json_spec place_spec = JSON_SPEC(struct place, place_members);
#define PLACES \
    .want = JSON_WANT_LIST, .flags = JSON_REQUIRED, .min = 1, .max = CONSENT_PLACES_MAX, .spec = &place_spec
static const struct json_member give_members[] = {
    {JSON_MEMBER(struct consent_body, unit), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct consent_body, document), .want = JSON_WANT_OBJECT, .flags = JSON_REQUIRED,
     .spec = &document_spec},
    {JSON_MEMBER(struct consent_body, signer), .want = JSON_WANT_OBJECT, .flags = JSON_REQUIRED,
     .spec = &signer_spec},
    {JSON_MEMBER(struct consent_body, systems), .want = JSON_WANT_TEXTS, .min = 0,
     .max = CONSENT_SYSTEMS_MAX},
    {JSON_MEMBER(struct consent_body, instances), .want = JSON_WANT_TEXTS, .min = 0,
     .max = CONSENT_INSTANCES_MAX},
    {JSON_MEMBER(struct consent_body, from), PLACES},
    {JSON_MEMBER(struct consent_body, to), PLACES},
    {JSON_MEMBER(struct consent_body, valid_from), .want = JSON_WANT_MOMENT},
    {JSON_MEMBER(struct consent_body, valid_until), .want = JSON_WANT_MOMENT, .flags = JSON_REQUIRED},
};
static const struct json_spec give_spec = JSON_SPEC(struct consent_body, give_members);

static struct json_texts places_of(struct arena *arena, const struct json_list *list)
{
    const struct place *places = list->items;
    const char **items = arena_array(arena, list->count, sizeof *items);
    for (size_t i = 0; i < list->count; i++)
        items[i] = places[i].kind   ? CONSENT_EXPORT
                   : places[i].site ? consent_site(arena, places[i].cloud, places[i].site)
                                    : places[i].cloud;
    return (struct json_texts){items, list->count};
}

static struct error *check_places(struct arena *arena, const char *member, const struct json_list *list)
{
    const struct place *places = list->items;
    struct error *errors = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (!places[i].kind && !places[i].cloud)
            error_collect(&errors, arena_printf(arena, "/%s/%zu/cloud", member, i), "is required");
        else if (places[i].kind && (places[i].cloud || places[i].site))
            error_collect(&errors, arena_printf(arena, "/%s/%zu/kind", member, i),
                          "files are in no cloud and no site");
    return errors;
}

/* Who is bound to some systems speaks for these alone; that machines are of them is the store's look-up under
 * the caller's scope. */
static struct error *check_reach(const struct http_call *call, const struct consent_body *body)
{
    struct error *errors = NULL;
    if (!principal_sees_unit(call->principal, body->unit))
        return error_new(ERR_NOT_FOUND, "no such unit");
    for (size_t i = 0; i < body->systems.count; i++)
        if (!principal_sees_system(call->principal, body->unit, body->systems.items[i]))
            error_collect(&errors, arena_printf(call->arena, "/systems/%zu", i),
                          "the unit has no such system");
    for (size_t i = 0; i < body->instances.count; i++)
        if (!id_valid(body->instances.items[i]))
            error_collect(&errors, arena_printf(call->arena, "/instances/%zu", i),
                          "must be the id of a machine");
    return errors;
}

static struct error *answer_one(struct http_call *call, const struct consent *consent, int status,
                                struct http_answer *answer)
{
    answer->audit_unit = consent->unit;
    answer->audit_cloud = consent_cloud(call->arena, consent);
    answer->audit_subject = consent->id;
    return view_made(
        call, &consent_select_one, DB_VALUES(db_text(consent->id), db_moment(call->now)), "such consent",
        status, status == 201 ? arena_printf(call->arena, "/v1/consents/%s", consent->id) : NULL, answer);
}

static struct error *give(struct http_call *call, struct http_answer *answer)
{
    struct consent_body body = {.valid_from = call->now};
    TRY(http_read_body(call, &give_spec, &body));
    TRY(check_places(call->arena, "from", &body.from));
    TRY(check_places(call->arena, "to", &body.to));
    TRY(check_reach(call, &body));
    struct consent consent = {.id = id_new_in(call->arena),
                              .unit = body.unit,
                              .algorithm = body.document.algorithm,
                              .digest = body.document.digest,
                              .reference = body.document.reference,
                              .signer_name = body.signer.name,
                              .signer_post = body.signer.post,
                              .systems = body.systems,
                              .instances = body.instances,
                              .from = places_of(call->arena, &body.from),
                              .to = places_of(call->arena, &body.to),
                              .valid_from = body.valid_from,
                              .valid_until = body.valid_until,
                              .given_by = principal_id(call->principal),
                              .given_at = call->now};
    TRY(consent_check_new(call->arena, &consent, call->now));
    TRY(wave_wake_unit(call->db, consent.unit)); /* some of its moves may wait for it */
    TRY(consent_give(call->db, call->arena, &consent));
    return answer_one(call, &consent, 201, answer);
}

static struct error *get(struct http_call *call, struct http_answer *answer)
{
    TRY(view_id(call, "consent"));
    return view_one(call, &consent_select_one,
                    DB_VALUES(db_text(http_param(call, "consent")), db_moment(call->now)), "such consent",
                    answer);
}

static struct error *list(struct http_call *call, struct http_answer *answer)
{
    static const char *const states[] = {"in-force", "not-yet", "expired", "withdrawn"};
    const char *state = http_query(call, "state");
    size_t known = 0;
    while (state && known < sizeof states / sizeof *states && strcmp(state, states[known]) != 0)
        known++;
    if (known == sizeof states / sizeof *states)
        return error_member("?state", "must be in-force, not-yet, expired or withdrawn");
    return view_list_by_id(call, &consent_select_list,
                           DB_VALUES(db_text(http_query(call, "unit")), db_text(http_query(call, "system")),
                                     db_text(http_query(call, "cloud")), db_text(state),
                                     db_moment(call->now)),
                           answer);
}

struct withdrawal {
    const char *reason;
};
static const struct json_member withdraw_members[] = {
    {JSON_MEMBER(struct withdrawal, reason), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = CONSENT_REASON_MAX},
};
static const struct json_spec withdraw_spec = JSON_SPEC(struct withdrawal, withdraw_members);

static struct error *withdraw(struct http_call *call, struct http_answer *answer)
{
    struct withdrawal body = {0};
    struct consent consent;
    struct json_texts running;
    TRY(view_id(call, "consent"));
    TRY(http_read_body(call, &withdraw_spec, &body));
    TRY(consent_get(call->db, call->arena, http_param(call, "consent"), &consent));
    TRY(http_if_match(call, view_etag(call->arena, consent.version)));
    TRY(migration_wake_unit(call->db, call->arena, consent.unit, &running));
    TRY(consent_withdraw(call->db, call->arena, &consent, principal_id(call->principal), body.reason,
                         call->now));
    TRY(migration_check_consents(call->db, call->arena, consent.unit, &running, call->now));
    return answer_one(call, &consent, 200, answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/consents", list, "consents:read", 0, "unit,system,cloud,state,page_size,page_token"},
    {"POST", "/v1/consents", give, "consents:write", HTTP_KEYED, NULL},
    {"GET", "/v1/consents/{consent}", get, "consents:read", 0, NULL},
    {"POST", "/v1/consents/{consent}:withdraw", withdraw, "consents:write", HTTP_CONDITIONAL, NULL},
};
const struct http_table consent_routes = HTTP_TABLE(routes);
