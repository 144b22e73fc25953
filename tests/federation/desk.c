/* See desk.h. */
#include "tests/federation/desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/auth/auth.h"
#include "broker/auth/principal_store.h"
#include "broker/base/json.h"
#include "broker/control/identity.h"
#include "broker/control/routes.h"
#include "federation/routes.h"
#include "federation/services.h"
#include "tests/federation/scripted.h"
#include "tests/support/h2.h"
#include "tests/support/https.h"

const char *desk_match, *desk_accept;

static struct auth *auth;
static struct federation_services services;
static struct https https;
static struct h2_client *client;
static const struct h2_reply *last;
static char transfers[512];
static int keys;

static const char *const clouds[] = {"c"}, *const other_clouds[] = {"e"}, *const systems[] = {"u002"};
static const struct principal_grant grants[WHO_COUNT] = {
    [ADMIN] = {.id = "boss", .role = ROLE_PLATFORM_ADMIN},
    [OPERATOR] = {.id = "operator", .role = ROLE_PROVIDER_OPERATOR, .provider = "p"},
    [REGULATOR] = {.id = "regulator", .role = ROLE_REGULATOR, .clouds = clouds, .cloud_count = 1},
    [OTHER_REGULATOR] = {.id = "other-regulator",
                         .role = ROLE_REGULATOR,
                         .clouds = other_clouds,
                         .cloud_count = 1},
    [UNIT] = {.id = "unit-admin", .role = ROLE_UNIT_ADMIN, .unit = "u"},
    [MEMBER] =
        {.id = "member", .role = ROLE_UNIT_OPERATOR, .unit = "u", .systems = systems, .system_count = 1},
    [PART] = {.id = "part", .role = ROLE_UNIT_ADMIN, .unit = "u", .systems = systems, .system_count = 1},
    [STRANGER] = {.id = "stranger", .role = ROLE_UNIT_ADMIN, .unit = "v"},
    [ENGINEER] = {.id = "engineer", .role = ROLE_MIGRATION_ENGINEER, .unit = "u"},
    [AUDITOR] = {.id = "auditor", .role = ROLE_AUDITOR},
};
static char tokens[WHO_COUNT][4096];

static struct error *enrol(struct db *db, void *context)
{
    ARENA_AUTO struct arena *arena = arena_new();
    moment now = clock_now(house.clock);
    for (int i = 0; i < WHO_COUNT; i++) {
        const char *token, *jti;
        TRY(principal_store_insert(db, &(struct principal_row){.grant = grants[i]}, now));
        TRY(auth_issue_token(auth, db, NULL, grants[i].id, 60 * MOMENT_DAY, now, arena, &token, &jti));
        (void)snprintf(tokens[i], sizeof tokens[i], "%s", token);
    }
    return NULL;
}

static const char places[] =
    "INSERT INTO provider (id, name, created_at, updated_at) VALUES ('q', 'Q', now(), now());"
    "INSERT INTO agreement (provider_id, valid_from, settings, changed_at, metered_at)"
    " VALUES ('q', '1991-09-23', '{}', now(), now());"
    "INSERT INTO bid (id, provider_id, state, prices, weighted_total, submitted_by, submitted_at, "
    "approved_by,"
    " approved_at) VALUES ('bq', 'q', 'approved', '{}', 1, 'x', now(), 'x', now());"
    "INSERT INTO price_book VALUES ('kq', 'q', 'bq', '2020-01-01', '2090-01-01', 'x', now());"
    "INSERT INTO price SELECT 'q', (1000 + i)::text, '2020-01-01', '2090-01-01', 150, 'kq'"
    " FROM generate_series(1, 23) AS i;"
    "INSERT INTO cloud (id, name, kind, provider_id, created_at, updated_at)"
    " VALUES ('d', 'D', 'health', 'q', now(), now());"
    "INSERT INTO site VALUES ('d', 't', 'T', now());"
    "INSERT INTO endpoint (id, cloud_id, site_id, driver, url, timeout_us, enclave, created_at, updated_at)"
    " VALUES ('d-ext', 'd', 't', 'scripted', 'memory://d', 1000000, false, now(), now()),"
    " ('d-med', 'd', 't', 'memory', 'memory://m', 1000000, true, now(), now());"
    "INSERT INTO zone (cloud_id, id, kind, site_id, endpoint_id, network, created_at) VALUES"
    " ('d', 'ext', 'extranet', 't', 'd-ext', 'n', now()), ('d', 'medical', 'insurance', 't', 'd-med', 'n', "
    "now());";

int desk_open(void **state)
{
    static const struct http_table *const tables[] = {&consent_routes,
                                                      &assessment_routes,
                                                      &wave_routes,
                                                      &migration_routes,
                                                      &link_routes,
                                                      &operation_routes,
                                                      &cloud_routes,
                                                      &resource_routes,
                                                      &audit_routes,
                                                      &transfer_export_routes,
                                                      &transfer_import_routes,
                                                      &stored_wave_routes};
    char folder[512];
    house_open(state);
    ok(driver_register(house.registry, scripted_driver()));
    pg_exec(house.pg, places);
    (void)snprintf(folder, sizeof folder, "%s/keys", pg_folder(house.pg)); /* a short folder */
    ok(auth_new(folder, house.db, clock_now(house.clock), &auth));
    house.services.auth = auth;
    services = (struct federation_services){.control = house.services, .migration_approvals = "unit"};
    (void)snprintf(transfers, sizeof transfers, "%s/transfers", pg_folder(house.pg));
    services.transfer_dir = transfers;
    services.transfer_space = services.transfer_unit_space = 1000000000;
    services.transfer_keep_us = 7 * MOMENT_DAY;
    ok(transfer_user_find("nobody", &services.transfer_user));
    ok(db_transaction(house.db, &db_scope_system, DB_READ_COMMITTED, enrol, NULL));
    ok(auth_refresh(auth, house.db, clock_now(house.clock)));
    https_start(&https, (struct server_settings){.tables = tables,
                                                 .table_count = sizeof tables / sizeof *tables,
                                                 .conninfo = pg_conninfo(house.pg),
                                                 .auth = auth,
                                                 .clock = house.clock,
                                                 .context = &services,
                                                 .workers = 2});
    client = h2_open(https.port, NULL);
    assert_non_null(client);
    return 0;
}

int desk_close(void **state)
{
    h2_close(client);
    https_stop(&https);
    auth_free(auth);
    return house_close(state);
}

int desk_reset(void **state)
{
    desk_match = desk_accept = NULL;
    scripted_detail(NULL);
    scripted_inventory(NULL);
    scripted_fail(NULL);
    pg_exec(house.pg,
            "SET session_replication_role = replica; DELETE FROM consent; DELETE FROM event;"
            "DELETE FROM assessment_host; DELETE FROM assessment;"
            "TRUNCATE transfer, transfer_file;"
            "TRUNCATE migration, migration_history, migration_approval, migration_ledger, other_side");
    return house_reset(state);
}

struct federation_services *desk_services(void)
{
    return &services;
}

const struct https *desk_https(void)
{
    return &https;
}

json_t *desk_send(struct arena *arena, enum who who, const char *method, const char *path,
                  const char *const *headers, const void *body, size_t length, int status)
{
    const struct h2_request request = {.method = method,
                                       .path = path,
                                       .token = tokens[who],
                                       .body = body,
                                       .length = length,
                                       .headers = headers};
    last = h2_call(client, &request);
    if (last->status != status)
        fail_msg("%s %s as %s: %d %s", method, path, grants[who].id, last->status,
                 last->body ? last->body : "");
    json_t *json = last->body ? json_loads(last->body, 0, NULL) : NULL;
    return json ? json_hold(arena, json) : NULL;
}

const void *desk_body(size_t *ret_length)
{
    *ret_length = last->length;
    return last->body;
}

json_t *desk_call(struct arena *arena, enum who who, const char *method, const char *path, const char *body,
                  int status)
{
    const char *headers[9] = {NULL};
    size_t count = 0;
    if (desk_match || desk_accept) {
        headers[count++] = desk_match ? "if-match" : "accept";
        headers[count++] = desk_match ? desk_match : desk_accept;
    } else if (!strcmp(method, "POST")) {
        headers[count++] = "idempotency-key";
        headers[count++] = arena_printf(arena, "key-%d", ++keys);
    }
    if (body) {
        headers[count++] = "content-type";
        headers[count++] = "application/json";
    }
    const struct h2_request request = {.method = method,
                                       .path = path,
                                       .token = tokens[who],
                                       .body = body,
                                       .length = body ? strlen(body) : 0,
                                       .headers = headers};
    last = h2_call(client, &request);
    if (last->status != status)
        fail_msg("%s %s as %s: %d %s", method, path, grants[who].id, last->status,
                 last->body ? last->body : "");
    json_t *json = last->body ? json_loads(last->body, 0, NULL) : NULL;
    return json ? json_hold(arena, json) : NULL;
}

const char *desk_bytes(struct arena *arena)
{
    return arena_strdup(arena, last->body ? last->body : "");
}

const char *desk_header(const char *name)
{
    return h2_header(last, name);
}

#define WORDS_MAX 40

struct process *desk_client(enum who who, const char *const *words)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *token = arena_printf(arena, "%s/token", pg_folder(house.pg));
    FILE *file = fopen(token, "we");
    assert_non_null(file);
    assert_int_equal(chmod(token, 0600), 0);
    assert_true(fputs(tokens[who], file) >= 0);
    assert_int_equal(fclose(file), 0);
    const char *argv[WORDS_MAX] = {BINARY_DIR "/yunqiao",
                                   "--url",
                                   arena_printf(arena, "https://localhost:%d", https.port),
                                   "--ca-file",
                                   https.certificate_file,
                                   "--token-file",
                                   token};
    size_t count = 7;
    for (; *words; words++) {
        assert_true(count + 1 < WORDS_MAX);
        argv[count++] = *words;
    }
    return process_start(argv, NULL);
}

const char *desk_text(const json_t *json, const char *member)
{
    const char *value = json_string_value(json_object_get(json, member));
    return value ? value : "";
}

size_t desk_count(struct arena *arena, enum who who, const char *path, const char *noun)
{
    return json_array_size(json_object_get(desk_call(arena, who, "GET", path, NULL, 200), noun));
}

void desk_expect(const char *sql, const char *wanted)
{
    char *got = house_text(sql);
    assert_string_equal(got, wanted);
    free(got);
}
