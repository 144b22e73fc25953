/* See api.h. */
#include "tests/e2e/api.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/id.h"

#define ANSWER_MAX (32u << 20)
#define HEADERS_MAX (1u << 20)
#define TIMEOUT_MS 60000

struct client {
    CURL *curl;
    char *ca_file;
    int port;
};

struct client *client_new(const char *ca_file, int port)
{
    struct client *client = xcalloc(1, sizeof *client);
    client->curl = curl_easy_init();
    client->ca_file = xstrdup(ca_file);
    client->port = port;
    return client;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    free(client->ca_file);
    free(client);
}

void client_at(struct client *client, int port)
{
    client->port = port;
}

static size_t take(char *data, size_t size, size_t count, void *context)
{
    buf_append(context, data, size * count);
    return buf_overflowed(context) ? 0 : size * count;
}

static struct curl_slist *add_header(struct curl_slist *list, struct arena *arena, const char *name,
                                     const char *value)
{
    return value ? curl_slist_append(list, arena_printf(arena, "%s: %s", name, value)) : list;
}

static struct curl_slist *headers_of(const struct api_request *request, struct arena *arena)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* a 100 is never waited for */
    if (request->token)
        list = add_header(list, arena, "Authorization", arena_printf(arena, "Bearer %s", request->token));
    list = add_header(list, arena, "Idempotency-Key", request->key);
    list = add_header(list, arena, "If-Match", request->if_match);
    if (request->body)
        list = add_header(list, arena, "Content-Type", request->type ? request->type : "application/json");
    for (size_t i = 0; request->headers && request->headers[i]; i++)
        list = curl_slist_append(list, request->headers[i]);
    return list;
}

struct api_reply api_call(struct client *client, const struct api_request *request)
{
    ARENA_AUTO struct arena *arena = arena_new();
    BUF_AUTO struct buf body = BUF_INIT(ANSWER_MAX);
    BUF_AUTO struct buf headers = BUF_INIT(HEADERS_MAX);
    CURL *curl = client->curl;
    curl_easy_reset(curl);
    struct curl_slist *list = headers_of(request, arena);
    curl_easy_setopt(curl, CURLOPT_URL,
                     arena_printf(arena, "https://localhost:%d%s", client->port, request->path));
    curl_easy_setopt(curl, CURLOPT_CAINFO, client->ca_file);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    if (!strcmp(request->method, "HEAD"))
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request->timeout_ms ? request->timeout_ms : TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &headers);
    if (request->certificate) {
        curl_easy_setopt(curl, CURLOPT_SSLCERT, request->certificate);
        curl_easy_setopt(curl, CURLOPT_SSLKEY, request->certificate_key);
        curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    }
    if (request->body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(request->body));
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    struct api_reply reply = {0};
    long status = 0;
    if (curl_easy_perform(curl) == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        reply.status = (int)status;
    }
    reply.text = xstrdup(buf_text(&body));
    reply.headers = xstrdup(buf_text(&headers));
    reply.json = json_loads(reply.text, 0, NULL);
    curl_slist_free_all(list);
    return reply;
}

void api_done(struct api_reply *reply)
{
    json_decref(reply->json);
    free(reply->text);
    free(reply->headers);
    *reply = (struct api_reply){0};
}

struct api_reply api_get(struct client *client, const char *token, const char *path)
{
    return api_call(client, &(struct api_request){.method = "GET", .path = path, .token = token});
}

static struct api_reply send_as(struct client *client, struct api_request *request, json_t *body)
{
    ARENA_AUTO struct arena *arena = arena_new();
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    request->body = text;
    if (!strcmp(request->method, "POST"))
        request->key = id_new_in(arena);
    struct api_reply reply = api_call(client, request);
    free(text);
    json_decref(body);
    return reply;
}

struct api_reply api_send(struct client *client, const char *token, const char *method, const char *path,
                          json_t *body)
{
    return send_as(client, &(struct api_request){.method = method, .path = path, .token = token}, body);
}

struct api_reply api_change(struct client *client, const char *token, const char *method, const char *path,
                            json_t *body)
{
    struct api_reply now API_AUTO = api_get(client, token, path);
    const char *etag = api_header(&now, "etag");
    return send_as(client,
                   &(struct api_request){
                       .method = method, .path = path, .token = token, .if_match = etag ? etag : "\"\""},
                   body);
}

const char *api_header(const struct api_reply *reply, const char *name)
{
    static _Thread_local char value[2048];
    size_t length = strlen(name);
    for (const char *line = reply->headers; line && *line;) {
        size_t end = strcspn(line, "\r\n");
        if (end > length + 1 && !strncmp(line, name, length) && line[length] == ':') {
            const char *start = line + length + 1;
            start += strspn(start, " ");
            (void)snprintf(value, sizeof value, "%.*s", (int)(line + end - start), start); /* cut is fine */
            return value;
        }
        line += end;
        line += strspn(line, "\r\n");
    }
    return NULL;
}

const char *api_text(const struct api_reply *reply, const char *member)
{
    const char *text = json_string_value(json_object_get(reply->json, member));
    return text ? text : "";
}

void api_expect_at(const struct api_reply *reply, int status, const char *file, int line)
{
    if (reply->status == status)
        return;
    print_error("%s:%d: wanted %d and got %d: %s\n", file, line, status, reply->status,
                reply->text ? reply->text : "");
    fail();
}
