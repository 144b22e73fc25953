/* /v1/clouds: the federated clouds, their sites and zones. Everyone reads them (one catalog, one view,
 * procurement 1.1); platform administrators write them. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "broker/control/cloud.h"
#include "broker/control/routes.h"
#include "broker/control/view.h"

static const char *const cloud_kinds[] = {"service", "office", "backup", "health", "education", NULL};
static const char *const cloud_states[] = {"active", "suspended", "leaving", NULL};
static const char *const zone_kinds[] = {"extranet", "internet", "insurance", NULL};

static const struct json_member new_members[] = {
    {JSON_MEMBER(struct cloud_new, id), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct cloud_new, name), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = 100},
    {JSON_MEMBER(struct cloud_new, kind), .want = JSON_WANT_CHOICE, .flags = JSON_REQUIRED,
     .choices = cloud_kinds},
    {JSON_MEMBER(struct cloud_new, provider), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
};
static const struct json_spec new_spec = JSON_SPEC(struct cloud_new, new_members);

static const struct json_member change_members[] = {
    {JSON_MEMBER(struct cloud_change, name), .want = JSON_WANT_TEXT, .min = 1, .max = 100},
    {JSON_MEMBER(struct cloud_change, state), .want = JSON_WANT_CHOICE, .choices = cloud_states},
    {JSON_MEMBER(struct cloud_change, state_reason), .want = JSON_WANT_TEXT, .min = 1, .max = 500},
};
static const struct json_spec change_spec = JSON_SPEC(struct cloud_change, change_members);

static const struct json_member site_members[] = {
    {JSON_MEMBER(struct site_new, id), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct site_new, name), .want = JSON_WANT_TEXT, .flags = JSON_REQUIRED, .min = 1,
     .max = 100},
};
static const struct json_spec site_spec = JSON_SPEC(struct site_new, site_members);

static const struct json_member zone_members[] = {
    {JSON_MEMBER(struct zone_new, id), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct zone_new, kind), .want = JSON_WANT_CHOICE, .flags = JSON_REQUIRED,
     .choices = zone_kinds},
    {JSON_MEMBER(struct zone_new, site), .want = JSON_WANT_NAME, .flags = JSON_REQUIRED},
    {JSON_MEMBER(struct zone_new, endpoint), .want = JSON_WANT_NAME},
    {JSON_MEMBER(struct zone_new, network), .want = JSON_WANT_TEXT, .min = 1, .max = 255},
    {JSON_MEMBER(struct zone_new, pool_v4), .want = JSON_WANT_TEXT, .min = 1, .max = 18},
    {JSON_MEMBER(struct zone_new, pool_v6), .want = JSON_WANT_TEXT, .min = 1, .max = 43},
};
static const struct json_spec zone_spec = JSON_SPEC(struct zone_new, zone_members);

static struct error *answer_cloud(struct http_call *call, const char *id, int status,
                                  struct http_answer *answer)
{
    answer->audit_subject = answer->audit_cloud = id;
    return view_made(call, &cloud_select_one, DB_VALUES(db_text(id)), "such cloud", status,
                     status == 201 ? arena_printf(call->arena, "/v1/clouds/%s", id) : NULL, answer);
}

static struct error *list_clouds(struct http_call *call, struct http_answer *answer)
{
    return view_list(call, &cloud_select_list,
                     DB_VALUES(db_text(http_query(call, "kind")), db_text(http_query(call, "provider"))),
                     answer);
}

static struct error *get_cloud(struct http_call *call, struct http_answer *answer)
{
    return answer_cloud(call, http_param(call, "cloud"), 200, answer);
}

static struct error *add_cloud(struct http_call *call, struct http_answer *answer)
{
    struct cloud_new cloud = {0};
    TRY(http_read_body(call, &new_spec, &cloud));
    TRY(cloud_insert(call->db, &cloud, call->now));
    return answer_cloud(call, cloud.id, 201, answer);
}

/* A change of state is recorded with its reason (procurement 1.5.2). */
static struct error *change_cloud(struct http_call *call, struct http_answer *answer)
{
    const char *id = http_param(call, "cloud");
    struct cloud_change change = {0};
    TRY(http_read_body(call, &change_spec, &change));
    if (change.state && strcmp(change.state, "active") && !change.state_reason)
        return error_member("/state_reason",
                            "is required when a cloud is suspended or leaving (procurement 1.5.2)");
    int64_t version;
    TRY(cloud_version(call->db, id, &version));
    TRY(http_if_match(call, view_etag(call->arena, version)));
    TRY(cloud_update(call->db, id, &change, call->now));
    return answer_cloud(call, id, 200, answer);
}

static struct error *add_site(struct http_call *call, struct http_answer *answer)
{
    const char *cloud = http_param(call, "cloud");
    struct site_new site = {0};
    int64_t version;
    TRY(cloud_version(call->db, cloud, &version));
    TRY(http_read_body(call, &site_spec, &site));
    TRY(site_insert(call->db, cloud, &site, call->now));
    return answer_cloud(call, cloud, 201, answer);
}

/* A pool is a network in CIDR notation with no host bits set, as PostgreSQL's cidr wants it. */
static struct error *check_pool(const char *pool, int family, const char *pointer)
{
    unsigned char bytes[16];
    char host[INET6_ADDRSTRLEN];
    int width = family == AF_INET ? 32 : 128;
    const char *slash = pool ? strchr(pool, '/') : NULL;
    if (!pool)
        return NULL;
    size_t length = slash ? (size_t)(slash - pool) : 0;
    char *end = NULL;
    long prefix = slash ? strtol(slash + 1, &end, 10) : -1;
    if (!slash || length >= sizeof host || slash[1] < '0' || slash[1] > '9' || *end || prefix < 8 ||
        prefix > width)
        return error_member(pointer, "must be a network such as %s",
                            family == AF_INET ? "198.51.100.0/24" : "2001:db8::/64");
    memcpy(host, pool, length);
    host[length] = '\0';
    if (inet_pton(family, host, bytes) != 1)
        return error_member(pointer, "must be a network of IPv%d", family == AF_INET ? 4 : 6);
    for (long bit = prefix; bit < width; bit++)
        if (bytes[bit / 8] & (0x80 >> bit % 8))
            return error_member(pointer, "must not have bits set right of its prefix");
    return NULL;
}

static struct error *add_zone(struct http_call *call, struct http_answer *answer)
{
    const char *cloud = http_param(call, "cloud");
    struct zone_new zone = {0};
    int64_t version;
    TRY(cloud_version(call->db, cloud, &version));
    TRY(http_read_body(call, &zone_spec, &zone));
    TRY(check_pool(zone.pool_v4, AF_INET, "/pool_v4"));
    TRY(check_pool(zone.pool_v6, AF_INET6, "/pool_v6"));
    if (zone.endpoint && !zone.network)
        return error_member("/network",
                            "is required with an endpoint: the provider's name of the zone's network");
    TRY(zone_insert(call->db, cloud, &zone, call->now));
    return answer_cloud(call, cloud, 201, answer);
}

static const struct http_route routes[] = {
    {"GET", "/v1/clouds", list_clouds, "clouds:read", 0, "kind,provider,page_size,page_token"},
    {"POST", "/v1/clouds", add_cloud, "clouds:write", HTTP_KEYED, NULL},
    {"GET", "/v1/clouds/{cloud}", get_cloud, "clouds:read", 0, NULL},
    {"PATCH", "/v1/clouds/{cloud}", change_cloud, "clouds:write", HTTP_CONDITIONAL, NULL},
    {"POST", "/v1/clouds/{cloud}/sites", add_site, "clouds:write", HTTP_KEYED, NULL},
    {"POST", "/v1/clouds/{cloud}/zones", add_zone, "clouds:write", HTTP_KEYED, NULL},
};
const struct http_table cloud_routes = HTTP_TABLE(routes);
