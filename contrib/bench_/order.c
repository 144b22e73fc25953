/* Places orders over HTTP/2 and times them, for contrib/bench_/http: as many threads as it is given tokens,
 * each one connection with one order at a time, until the time is over. An order is a POST /v1/orders for one
 * bandwidth of 1 Mbps with an Idempotency-Key of its own. Any other answer than 202 ends the run. Prints
 * `orders seconds p50_us p99_us`.
 *
 * bench.order URL CA-FILE RUN SECONDS SYSTEM TOKEN-FILE [SYSTEM TOKEN-FILE]…; RUN names the run: no two of
 * one broker may have the same. SECONDS 0: one order of the first caller. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/moment.h"

#define CALLERS_MAX 64
#define ORDERS_MAX 1000000
#define SECONDS_MAX 60
#define TOKEN_MAX 16384
#define ANSWER_MAX 65536

struct caller {
    pthread_t thread;
    const char *url, *ca_file, *run, *system;
    char token[TOKEN_MAX];
    unsigned index;
    moment until; /* monotonic; 0: one order */
    struct buf answer;
    int64_t *times; /* microseconds of each order */
    size_t count, room;
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "order: %s: %s\n", what, why);
    exit(1);
}

static size_t on_body(char *bytes, size_t one, size_t count, void *context)
{
    buf_append(context, bytes, one * count);
    return one * count;
}

static CURL *open_handle(struct caller *caller)
{
    CURL *curl = curl_easy_init();
    bool good = curl && !curl_easy_setopt(curl, CURLOPT_URL, caller->url) &&
                !curl_easy_setopt(curl, CURLOPT_CAINFO, caller->ca_file) &&
                !curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) &&
                !curl_easy_setopt(curl, CURLOPT_PROXY, "") && !curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) &&
                !curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L) &&
                !curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) &&
                !curl_easy_setopt(curl, CURLOPT_WRITEDATA, &caller->answer);
    if (!good)
        fail("libcurl", "could not be set up");
    return curl;
}

static struct curl_slist *with(struct curl_slist *list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(list, line);
    if (!longer)
        fail("libcurl", "out of memory");
    return longer;
}

static void keep(struct caller *caller, int64_t took)
{
    if (caller->count == caller->room) {
        caller->room = caller->room ? caller->room * 2 : 4096;
        caller->times = xrealloc(caller->times, caller->room, sizeof *caller->times);
    }
    caller->times[caller->count++] = took;
}

static void place(struct caller *caller, CURL *curl)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *name = arena_printf(arena, "line-%s-%u-%zu", caller->run, caller->index, caller->count);
    const char *body =
        arena_printf(arena,
                     "{\"system\":\"%s\",\"cloud\":\"bench\",\"resources\":[{\"kind\":\"bandwidth\","
                     "\"name\":\"%s\",\"spec\":{\"mbps\":1,\"zone\":\"internet\"}}]}",
                     caller->system, name);
    struct curl_slist *headers = with(NULL, "Content-Type: application/json");
    headers = with(headers, arena_printf(arena, "Authorization: Bearer %s", caller->token));
    headers = with(headers, arena_printf(arena, "Idempotency-Key: %s", name));
    long status = 0;
    buf_clear(&caller->answer);
    int64_t began = moment_monotonic();
    if (curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) ||
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body))
        fail("libcurl", "could not be set up");
    CURLcode code = curl_easy_perform(curl);
    if (code)
        fail("POST /v1/orders", curl_easy_strerror(code));
    keep(caller, moment_monotonic() - began);
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) || status != 202)
        fail("POST /v1/orders", buf_text(&caller->answer));
    curl_slist_free_all(headers);
}

static void *run(void *context)
{
    struct caller *caller = context;
    CURL *curl = open_handle(caller);
    do
        place(caller, curl);
    while (moment_monotonic() < caller->until && caller->count < ORDERS_MAX);
    curl_easy_cleanup(curl);
    return NULL;
}

static void read_token(const char *path, char *token)
{
    FILE *file = fopen(path, "re");
    if (!file || !fgets(token, TOKEN_MAX, file))
        fail(path, "no token in it");
    token[strcspn(token, "\n")] = '\0';
    (void)fclose(file); /* only read */
}

static int by_size(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void report(const struct caller *callers, size_t count, int64_t took)
{
    size_t orders = 0, filled = 0;
    for (size_t i = 0; i < count; i++)
        orders += callers[i].count;
    int64_t *times = xcalloc(orders, sizeof *times);
    for (size_t i = 0; i < count; filled += callers[i++].count)
        memcpy(times + filled, callers[i].times, callers[i].count * sizeof *times);
    qsort(times, orders, sizeof *times, by_size);
    printf("%zu %lld.%06lld %lld %lld\n", orders, (long long)(took / MOMENT_SECOND),
           (long long)(took % MOMENT_SECOND), (long long)times[orders / 2],
           (long long)times[orders * 99 / 100]);
    free(times);
}

int main(int argc, char **argv)
{
    size_t count = argc > 6 ? (size_t)(argc - 5) / 2 : 0;
    if (!count || count > CALLERS_MAX || argc != 5 + 2 * (int)count)
        fail("usage", "bench.order URL CA-FILE RUN SECONDS SYSTEM TOKEN-FILE [SYSTEM TOKEN-FILE]...");
    char *end;
    long seconds = strtol(argv[4], &end, 10);
    if (*end || end == argv[4] || seconds < 0 || seconds > SECONDS_MAX)
        fail("SECONDS", "0 to 60 is needed");
    if (seconds == 0)
        count = 1;
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        fail("libcurl", "could not be set up");
    struct caller *callers = xcalloc(count, sizeof *callers);
    int64_t began = moment_monotonic();
    for (size_t i = 0; i < count; i++) {
        struct caller *caller = &callers[i];
        *caller = (struct caller){.url = argv[1], .ca_file = argv[2], .run = argv[3], .index = (unsigned)i};
        caller->system = argv[5 + 2 * i];
        read_token(argv[6 + 2 * i], caller->token);
        caller->until = seconds ? began + seconds * MOMENT_SECOND : 0;
        caller->answer = BUF_INIT(ANSWER_MAX);
        if (pthread_create(&caller->thread, NULL, run, caller))
            fail("thread", "could not be started");
    }
    for (size_t i = 0; i < count; i++)
        pthread_join(callers[i].thread, NULL);
    report(callers, count, moment_monotonic() - began);
    for (size_t i = 0; i < count; i++) {
        free(callers[i].times);
        buf_done(&callers[i].answer);
    }
    free(callers);
    curl_global_cleanup();
    return 0;
}
