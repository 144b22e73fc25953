/* The client's connection; see client.h. */
#include "broker/cli/client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/base/buf.h"
#include "broker/base/id.h"
#include "broker/base/json.h"

struct client {
    CURL *curl;
    char *url, *authorization;
    struct buf body;
    struct client_answer *answer; /* of the call that runs */
    FILE *out;                    /* likewise; NULL: none */
    char why[CURL_ERROR_SIZE];
};

static size_t on_body(char *bytes, size_t one, size_t count, void *context)
{
    struct client *client = context;
    long status = 0;
    (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status); /* it is there with the body */
    if (client->out && status >= 200 && status < 300)
        return fwrite(bytes, one, count, client->out);
    buf_append(&client->body, bytes, one * count);
    return buf_overflowed(&client->body) ? 0 : one * count;
}

/* The value of a header line when it has this name; to be freed. */
static char *header_value(const char *line, size_t length, const char *name)
{
    size_t size = strlen(name);
    if (length <= size || strncasecmp(line, name, size) || line[size] != ':')
        return NULL;
    const char *from = line + size + 1, *to = line + length;
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == '\r' || to[-1] == '\n' || to[-1] == ' '))
        to--;
    return strndup(from, (size_t)(to - from));
}

static void keep(char **slot, char *value)
{
    if (!value)
        return;
    free(*slot);
    *slot = value;
}

static size_t on_header(char *line, size_t one, size_t count, void *context)
{
    struct client *client = context;
    keep(&client->answer->etag, header_value(line, count, "etag"));
    keep(&client->answer->location, header_value(line, count, "location"));
    char *after = header_value(line, count, "retry-after");
    if (after)
        client->answer->retry_after = (int)strtol(after, NULL, 10);
    free(after);
    return one * count;
}

struct error *client_new(const struct client_settings *settings, struct client **ret_client)
{
    struct client *client = xcalloc(1, sizeof *client);
    client->curl = curl_easy_init();
    client->body = BUF_INIT(CLIENT_ANSWER_MAX);
    client->url = xstrdup(settings->url);
    while (*client->url && client->url[strlen(client->url) - 1] == '/')
        client->url[strlen(client->url) - 1] = '\0';
    CURL *curl = client->curl;
    if (!curl) {
        client_free(client);
        return error_new(ERR_INTERNAL, "libcurl could not be started");
    }
    if (settings->token)
        client->authorization = xasprintf("Authorization: Bearer %s", settings->token);
    bool good = !curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) &&
                !curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3) &&
                !curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") &&
                !curl_easy_setopt(curl, CURLOPT_PROXY, "") &&
                !curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 10L) &&
                !curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) &&
                !curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, client->why) &&
                !curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) &&
                !curl_easy_setopt(curl, CURLOPT_WRITEDATA, client) &&
                !curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) &&
                !curl_easy_setopt(curl, CURLOPT_HEADERDATA, client);
    if (good && settings->ca_file)
        good = !curl_easy_setopt(curl, CURLOPT_CAINFO, settings->ca_file);
    if (good && settings->certificate)
        good = !curl_easy_setopt(curl, CURLOPT_SSLCERT, settings->certificate) &&
               !curl_easy_setopt(curl, CURLOPT_SSLKEY, settings->key ? settings->key : settings->certificate);
    if (!good) {
        client_free(client);
        return error_new(ERR_INTERNAL, "libcurl lacks HTTP/2 or TLS 1.3");
    }
    *ret_client = client;
    return NULL;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    curl_easy_cleanup(client->curl);
    buf_done(&client->body);
    free(client->authorization);
    free(client->url);
    free(client);
}

/* A value that is NULL adds nothing. */
static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    char *line = value ? xasprintf("%s: %s", name, value) : NULL;
    if (line)
        list = curl_slist_append(list, line);
    free(line);
    return list;
}

/* NULL when memory is out: libcurl then has freed nothing, and the call fails. */
static struct curl_slist *make_headers(const struct client *client, const struct client_request *request)
{
    struct curl_slist *list =
        curl_slist_append(NULL, "Accept: application/json, application/problem+json, */*;q=0.1");
    if (client->authorization)
        list = curl_slist_append(list, client->authorization);
    if (request->body || request->lines || request->bytes)
        list = curl_slist_append(list, request->lines   ? "Content-Type: application/x-ndjson"
                                       : request->bytes ? "Content-Type: application/octet-stream"
                                                        : "Content-Type: application/json");
    char key[ID_TEXT];
    id_new(key);
    char *line = NULL;
    if (!strcmp(request->method, "POST"))
        line = xasprintf("Idempotency-Key: %s", request->key ? request->key : key);
    if (line)
        list = curl_slist_append(list, line);
    free(line);
    list = add_header(list, "If-Match", request->if_match);
    list = add_header(list, "Upload-Offset", request->offset);
    list = add_header(list, "Range", request->range);
    return add_header(list, "If-Range", request->if_range);
}

static struct error *perform(struct client *client, const struct client_request *request)
{
    CURL *curl = client->curl;
    char *url = xasprintf("%s%s", client->url, request->path);
    char *built = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;
    const char *body = request->lines ? request->lines : request->bytes ? request->bytes : built;
    size_t length = request->bytes ? request->length : body ? strlen(body) : 0;
    struct curl_slist *headers = make_headers(client, request);
    buf_clear(&client->body);
    bool good = headers && !curl_easy_setopt(curl, CURLOPT_URL, url) &&
                !curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) &&
                !curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body) &&
                !curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)length) &&
                !curl_easy_setopt(curl, body ? CURLOPT_POST : CURLOPT_HTTPGET, 1L) &&
                !curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method) &&
                !curl_easy_setopt(curl, CURLOPT_TIMEOUT, request->out ? 0L : (long)CLIENT_TIMEOUT_S) &&
                !curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) &&
                !curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)CLIENT_TIMEOUT_S);
    CURLcode code = good ? curl_easy_perform(curl) : CURLE_OUT_OF_MEMORY;
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status); /* 0 when there was no answer */
    client->answer->status = (int)status;
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER,
                           NULL); /* so that it does not point to what is freed next */
    (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
    curl_slist_free_all(headers);
    free(built);
    free(url);
    if (code == CURLE_OK)
        return NULL;
    return error_new(code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE,
                     "no answer from %s: %s", client->url,
                     *client->why ? client->why : curl_easy_strerror(code));
}

struct error *client_call(struct client *client, const struct client_request *request,
                          struct client_answer *ret_answer)
{
    struct client_answer answer = {0};
    client->answer = &answer;
    client->out = request->out;
    struct error *error = perform(client, request);
    client->answer = NULL;
    client->out = NULL;
    if (error) {
        client_answer_done(&answer);
        return error;
    }
    answer.text = xstrdup(buf_text(&client->body));
    if (client->body.length)
        error_ignore(json_parse(client->body.data, client->body.length,
                                &answer.body)); /* YAML and text are not JSON */
    *ret_answer = answer;
    return NULL;
}

void client_answer_done(struct client_answer *answer)
{
    json_decref(answer->body);
    free(answer->text);
    free(answer->etag);
    free(answer->location);
    *answer = (struct client_answer){0};
}

static enum error_code code_of(int status)
{
    switch (status) {
    case 401:
        return ERR_UNAUTHENTICATED;
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 409:
    case 412:
    case 428:
        return ERR_CONFLICT;
    case 503:
        return ERR_UNAVAILABLE;
    default:
        return status >= 500 ? ERR_INTERNAL : ERR_INVALID;
    }
}

struct error *client_problem(const struct client_answer *answer)
{
    if (answer->status >= 200 && answer->status < 300)
        return NULL;
    const char *detail = json_string_value(json_object_get(answer->body, "detail"));
    const char *title = json_string_value(json_object_get(answer->body, "title"));
    struct error *error = error_new(code_of(answer->status), "%s (HTTP %d)",
                                    detail  ? detail
                                    : title ? title
                                            : "refused",
                                    answer->status);
    size_t i;
    json_t *member;
    json_array_foreach (json_object_get(answer->body, "errors"), i, member) {
        const char *pointer = json_string_value(json_object_get(member, "pointer"));
        const char *rule = json_string_value(json_object_get(member, "detail"));
        error_add_detail(error, pointer ? pointer : "", "%s", rule ? rule : "is not valid");
    }
    return error;
}

const char *client_escape(struct arena *arena, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *escaped = arena_alloc(arena, strlen(text) * 3 + 1), *at = escaped;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~:", c);
        if (plain) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        }
    }
    *at = '\0';
    return escaped;
}
