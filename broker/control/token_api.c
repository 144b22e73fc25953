/* /v1/tokens and /v1/keys: bearer tokens and the keys that sign them. */
#include "broker/auth/auth.h"
#include "broker/base/id.h"
#include "broker/control/identity.h"
#include "broker/control/services.h"
#include "broker/control/view.h"

/* Newest first: ids are time-ordered. */
#define BEFORE_CURSOR "jti < CASE $1 WHEN '' THEN 'ffffffff-ffff-ffff-ffff-ffffffffffff' ELSE $1 END::uuid"
static const struct db_statement select_tokens = {
    "token_select_list",
    "SELECT jti::text, 1::bigint, body FROM token_view WHERE " BEFORE_CURSOR " ORDER BY jti DESC LIMIT $2"};
static const struct db_statement select_tokens_of = {
    "token_select_list_of", "SELECT jti::text, 1::bigint, body FROM token_view WHERE " BEFORE_CURSOR
                            " AND principal_id = $3 ORDER BY jti DESC LIMIT $2"};
static const struct db_statement select_keys = {
    "key_select_list",
    "SELECT kid, 1::bigint, body FROM signing_key_view WHERE kid > $1 ORDER BY kid LIMIT $2"};

struct token_new {
    const char *principal;
    int64_t expires_in; /* seconds */
};

static const struct json_member token_members[] = {
    {JSON_MEMBER(struct token_new, principal), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct token_new, expires_in), .want = JSON_WANT_INT, .min = TOKEN_LIFE_MIN / MOMENT_SECOND,
     .max = TOKEN_LIFE_MAX / MOMENT_SECOND},
};
static const struct json_spec token_spec = JSON_SPEC(struct token_new, token_members);

static struct error *list_tokens(struct http_call *call, struct http_answer *answer)
{
    struct http_page page;
    TRY(http_page(call, &page));
    if (page.after && !id_valid(page.after))
        return error_new(ERR_INVALID, "page_token is not one of this list");
    const char *principal = http_query(call, "principal");
    if (principal)
        return view_list(call, &select_tokens_of, DB_VALUES(db_text(principal)), answer);
    return view_list(call, &select_tokens, DB_NO_VALUES, answer);
}

/* Not HTTP_KEYED: the answer of a keyed call is stored, and a token must not lie in the database in clear. A
 * repeated call makes one more token, which expires. */
static struct error *add_token(struct http_call *call, struct http_answer *answer)
{
    const struct services *services = call->context;
    struct token_new token = {.expires_in = TOKEN_LIFE_DEFAULT / MOMENT_SECOND};
    const char *text, *jti;
    TRY(http_read_body(call, &token_spec, &token));
    TRY(auth_issue_token(services->auth, call->db, call->principal, token.principal,
                         token.expires_in * MOMENT_SECOND, call->now, call->arena, &text, &jti));
    answer->status = 201;
    answer->body = json_object();
    json_put_text(answer->body, "token", text);
    json_put_text(answer->body, "token_type", "Bearer");
    json_put_text(answer->body, "jti", jti);
    json_put_text(answer->body, "principal", token.principal);
    json_put_int(answer->body, "expires_in", token.expires_in);
    answer->audit_subject = jti;
    return NULL;
}

static struct error *revoke_token(struct http_call *call, struct http_answer *answer)
{
    answer->audit_subject = http_param(call, "jti");
    TRY(auth_revoke_token(call->db, call->principal, answer->audit_subject, call->now));
    answer->status = 204;
    return NULL;
}

static struct error *list_keys(struct http_call *call, struct http_answer *answer)
{
    return view_list(call, &select_keys, DB_NO_VALUES, answer);
}

/* The new keys are made by every broker at its next refresh. */
static struct error *rotate_keys(struct http_call *call, struct http_answer *answer)
{
    int64_t retired;
    TRY(auth_rotate_keys(call->db, call->now, &retired));
    answer->status = 200;
    answer->body = json_object();
    json_put_int(answer->body, "retired", retired);
    json_put_moment(answer->body, "retires_at", call->now + AUTH_KEY_OVERLAP);
    return NULL;
}

static struct error *revoke_key(struct http_call *call, struct http_answer *answer)
{
    answer->audit_subject = http_param(call, "kid");
    TRY(auth_revoke_key(call->db, answer->audit_subject, call->now));
    answer->status = 204;
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/v1/tokens", list_tokens, "tokens:read", 0, "page_size,page_token,principal"},
    {"POST", "/v1/tokens", add_token, "tokens:issue", 0, NULL},
    {"DELETE", "/v1/tokens/{jti}", revoke_token, "tokens:revoke", 0, NULL},
    {"GET", "/v1/keys", list_keys, "keys:read", 0, "page_size,page_token"},
    {"POST", "/v1/keys:rotate", rotate_keys, "keys:rotate", HTTP_NO_BODY, NULL},
    {"DELETE", "/v1/keys/{kid}", revoke_key, "keys:rotate", 0, NULL},
};
const struct http_table token_routes = HTTP_TABLE(routes);
