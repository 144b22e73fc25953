/* Reports usage over HTTP/2 and times it, for contrib/bench_/metering.d/ingest: a thread and a connection for
 * each of three providers, batches of 1000 events as NDJSON, one batch at a time. Bodies are made before the
 * clock starts. Every event must be accepted, or the run ends. Prints `events seconds p50_us p99_us`, the
 * latter of a batch.
 *
 * bench.ingest URL CA-FILE TOKEN-FILE START ROUND BATCHES EVERY: meters of 2000 resources a provider that
 * report each every five minutes from START (seconds since 1970) on, resource after resource, going on where
 * the last ROUND (0…) ended; every EVERY-th report of a resource says something new. */
#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/moment.h"

#define CALLERS 3
#define RESOURCES 2000
#define EVENTS 1000 /* of a batch */
#define BATCHES_MAX 100
#define BODY_MAX (1024 * 1024)
#define ANSWER_MAX 65536
#define TOKEN_MAX 16384

struct run {
    const char *url, *ca_file;
    char token[TOKEN_MAX];
    int64_t start, round, batches, every;
};

struct caller {
    pthread_t thread;
    const struct run *run;
    unsigned provider; /* 1…CALLERS */
    struct buf bodies[BATCHES_MAX];
    struct buf answer;
    int64_t times[BATCHES_MAX]; /* microseconds */
};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "ingest: %s: %.400s\n", what, why);
    exit(1);
}

static void add_event(struct buf *body, const struct run *run, unsigned provider, int64_t number)
{
    int64_t resource = number % RESOURCES, sample = number / RESOURCES;
    char at[MOMENT_TEXT];
    moment_format(run->start * MOMENT_SECOND + sample * 5 * MOMENT_MINUTE, at);
    buf_printf(body,
               "{\"specversion\":\"1.0\",\"type\":\"cn.yunqiao.usage.state.v1\",\"source\":"
               "\"/providers/provider-%u/meter\",\"id\":\"%lld\",\"subject\":\"vm-%lld\",\"time\":\"%s\","
               "\"data\":{\"unit\":\"u%06lld\",\"system\":\"u%06lld001\",\"cloud\":\"cloud-%u\",\"kind\":"
               "\"instance\",\"architecture\":\"x86\",\"items\":[{\"item\":\"1001\",\"quantity\":\"%lld\"},"
               "{\"item\":\"1002\",\"quantity\":\"8\"}]}}\n",
               provider, (long long)number, (long long)resource, at, (long long)(1 + resource % 100),
               (long long)(1 + resource % 100), provider,
               (long long)(1 + (sample + resource) / run->every % 16));
}

static void make_bodies(struct caller *caller)
{
    const struct run *run = caller->run;
    int64_t number = run->round * run->batches * EVENTS;
    for (int64_t i = 0; i < run->batches; i++) {
        caller->bodies[i] = BUF_INIT(BODY_MAX);
        for (int k = 0; k < EVENTS; k++)
            add_event(&caller->bodies[i], run, caller->provider, number++);
        if (buf_overflowed(&caller->bodies[i]))
            fail("a body", "longer than the broker takes");
    }
}

static size_t on_body(char *bytes, size_t one, size_t count, void *context)
{
    buf_append(context, bytes, one * count);
    return one * count;
}

static CURL *open_handle(struct caller *caller)
{
    CURL *curl = curl_easy_init();
    bool good = curl && !curl_easy_setopt(curl, CURLOPT_URL, caller->run->url) &&
                !curl_easy_setopt(curl, CURLOPT_CAINFO, caller->run->ca_file) &&
                !curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) &&
                !curl_easy_setopt(curl, CURLOPT_PROXY, "") && !curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) &&
                !curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L) &&
                !curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) &&
                !curl_easy_setopt(curl, CURLOPT_WRITEDATA, &caller->answer);
    if (!good)
        fail("libcurl", "could not be set up");
    return curl;
}

static void post(struct caller *caller, CURL *curl, const struct buf *body)
{
    long status = 0;
    buf_clear(&caller->answer);
    if (curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body->length) ||
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data))
        fail("libcurl", "could not be set up");
    CURLcode code = curl_easy_perform(curl);
    if (code)
        fail("POST /v1/usage", curl_easy_strerror(code));
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) || status != 200 ||
        !strstr(buf_text(&caller->answer), "\"accepted\":1000,"))
        fail("POST /v1/usage", buf_text(&caller->answer));
}

static void *send_all(void *context)
{
    struct caller *caller = context;
    char *authorization = xasprintf("Authorization: Bearer %s", caller->run->token);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/x-ndjson");
    headers = curl_slist_append(headers, authorization);
    CURL *curl = open_handle(caller);
    if (!headers || curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers))
        fail("libcurl", "could not be set up");
    for (int64_t i = 0; i < caller->run->batches; i++) {
        int64_t began = moment_monotonic();
        post(caller, curl, &caller->bodies[i]);
        caller->times[i] = moment_monotonic() - began;
    }
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    free(authorization);
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

static int64_t number(const char *text, int64_t most)
{
    char *end;
    long long value = strtoll(text, &end, 10);
    if (*end || end == text || value < 0 || value > most)
        fail("usage", "bench.ingest URL CA-FILE TOKEN-FILE START ROUND BATCHES EVERY");
    return value;
}

static int by_size(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void report(const struct caller *callers, int64_t batches, int64_t took)
{
    int64_t times[CALLERS * BATCHES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < CALLERS; i++)
        for (int64_t k = 0; k < batches; k++)
            times[count++] = callers[i].times[k];
    qsort(times, count, sizeof *times, by_size);
    printf("%lld %lld.%06lld %lld %lld\n", (long long)count * EVENTS, (long long)(took / MOMENT_SECOND),
           (long long)(took % MOMENT_SECOND), (long long)times[count / 2],
           (long long)times[count * 99 / 100]);
}

int main(int argc, char **argv)
{
    static struct run run;
    if (argc != 8)
        fail("usage", "bench.ingest URL CA-FILE TOKEN-FILE START ROUND BATCHES EVERY");
    run.url = argv[1];
    run.ca_file = argv[2];
    read_token(argv[3], run.token);
    run.start = number(argv[4], INT64_C(10000000000));
    run.round = number(argv[5], 1000);
    run.batches = number(argv[6], BATCHES_MAX);
    run.every = number(argv[7], 1000000);
    if (!run.batches || !run.every || curl_global_init(CURL_GLOBAL_DEFAULT))
        fail("usage", "BATCHES and EVERY are at least 1");
    struct caller *callers = xcalloc(CALLERS, sizeof *callers);
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i].run = &run;
        callers[i].provider = i + 1;
        callers[i].answer = BUF_INIT(ANSWER_MAX);
        make_bodies(&callers[i]);
    }
    int64_t began = moment_monotonic();
    for (size_t i = 0; i < CALLERS; i++)
        if (pthread_create(&callers[i].thread, NULL, send_all, &callers[i]))
            fail("thread", "could not be started");
    for (size_t i = 0; i < CALLERS; i++)
        pthread_join(callers[i].thread, NULL);
    report(callers, run.batches, moment_monotonic() - began);
    for (size_t i = 0; i < CALLERS; i++) {
        for (int64_t k = 0; k < run.batches; k++)
            buf_done(&callers[i].bodies[k]);
        buf_done(&callers[i].answer);
    }
    free(callers);
    curl_global_cleanup();
    return 0;
}
