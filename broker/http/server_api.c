/* The server's own resources. /healthz and /v1/openapi.yaml are documents too, so that the loop answers them
 * even when every worker is busy. */
#include <string.h>

#include "broker/http/event_stream.h"
#include "broker/http/openapi.h"

static struct error *get_health(struct http_call *call, struct http_answer *ret_answer)
{
    (void)call;
    ret_answer->body = json_object();
    json_put_text(ret_answer->body, "status", "alive");
    return NULL;
}

static const struct db_statement select_one = {"http_ready", "SELECT 1"};

static struct error *get_ready(struct http_call *call, struct http_answer *ret_answer)
{
    if (call->db) {
        struct db_rows *rows DB_ROWS_AUTO = NULL;
        TRY_DOING(db_query_one(call->db, &select_one, DB_NO_VALUES, "answer", &rows),
                  "the database does not answer");
    }
    ret_answer->body = json_object();
    json_put_text(ret_answer->body, "status", "ready");
    return NULL;
}

static struct error *get_openapi(struct http_call *call, struct http_answer *ret_answer)
{
    (void)call;
    ret_answer->content_type = OPENAPI_TYPE;
    ret_answer->bytes = openapi_yaml;
    ret_answer->length = openapi_yaml_size;
    return NULL;
}

static const struct http_route routes[] = {
    {"GET", "/healthz", get_health, NULL, HTTP_PUBLIC | HTTP_NO_DB, NULL},
    {"GET", "/readyz", get_ready, NULL, HTTP_PUBLIC, NULL},
    {"GET", "/v1/openapi.yaml", get_openapi, NULL, HTTP_PUBLIC | HTTP_NO_DB, NULL},
    {"GET", "/v1/events", event_stream_handler, "events:read", 0, NULL},
};

const struct http_table server_routes = HTTP_TABLE(routes);
